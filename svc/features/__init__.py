"""Features of audio on the 10 ms clock: f0, voicing, loudness, content; and the generator's conditioning."""
