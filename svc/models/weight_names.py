"""Version of the weights, and the names of the parameters that every speaker has of its own; without torch."""

VERSION = 6  # of the weights; others are not read
EMBEDDING = "conditioner.embedding"
SPEAKER_FILM_OFFSET = "conditioner.speaker_film_offset"
SPEAKER_PARAM_NAMES = (EMBEDDING, SPEAKER_FILM_OFFSET)  # parameters with one row for each speaker
