"""VocalSet corpus (Wilkins et al. 2018): 20 singers, scales, arpeggios, long tones and excerpts in many techniques.

Layout (Zenodo 1193957): ``FULL/female1/arpeggios/straight/f1_arpeggios_straight_a.wav``; version 1.2 (Zenodo
1442513) has ``data_by_singer`` in place of ``FULL``, and the same files again by technique and vowel, which are left
out. File names are irregular: speaker and technique are those of the folders.
"""

import re
from pathlib import Path

from svc.data.corpora.base import NO_LANGUAGE, Corpus, Recording, each

CONTEXTS = ("arpeggios", "scales", "long_tones", "excerpts")
EXCLUDE = {"inhaled", "lip_trill", "vocal_fry", "spoken"}  # techniques without a usual singing tone
LANGUAGES = {"caro": "it", "dona": "la", "row": "en"}  # of the excerpts


def _recording(path: Path) -> Recording | None:
    """A group is an excerpt's song, or an exercise in a technique."""
    singer, context, technique = path.parts[-4:-1]
    if technique in EXCLUDE:
        return None
    song = re.search(r"(?:^|_)(caro|dona|row)(?:_|$)", path.stem.lower()) if context == "excerpts" else None
    language = LANGUAGES[song[1]] if song else NO_LANGUAGE
    group = CORPUS.group(context, song[1] if song else technique)
    return Recording(path, singer, group, "song", language, "CC BY 4.0")


CORPUS = Corpus(
    "vocalset",
    "FULL/female1/arpeggios/straight/*.wav",
    tuple(
        f"{prefix}{sex}[0-9]*/{context}/*/*.*"
        for prefix in ("", "FULL/", "data_by_singer/")
        for sex in ("female", "male")
        for context in CONTEXTS
    ),
    credit="VocalSet (Wilkins et al. 2018)",
    read=each(_recording),
)
