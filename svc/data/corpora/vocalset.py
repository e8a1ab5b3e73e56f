"""VocalSet corpus (Wilkins et al. 2018): 20 singers, scales, arpeggios, long tones and excerpts in many techniques.

Layout (Zenodo 1193957): ``FULL/female1/arpeggios/straight/f1_arpeggios_straight_a.wav``; version 1.2 (Zenodo
1442513) has ``data_by_singer`` in place of ``FULL``, and the same files again by technique and vowel, which are left
out. File names are irregular: speaker and technique are those of the folders.
"""

import re
from collections.abc import Collection
from pathlib import Path

from svc.data.corpora.base import NO_LANGUAGE, Kind, Layout, Recording

CONTEXTS = ("arpeggios", "scales", "long_tones", "excerpts")
EXCLUDE = frozenset({"inhaled", "lip_trill", "vocal_fry", "spoken"})  # techniques without a usual singing tone
LANGUAGES = {"caro": "it", "dona": "la", "row": "en"}  # of the excerpts
CREDIT = "VocalSet (Wilkins et al. 2018)"
LAYOUT = Layout(
    "vocalset",
    "FULL/female1/arpeggios/straight/*.wav",
    tuple(
        f"{prefix}{sex}[0-9]*/{context}/*/*.*"
        for prefix in ("", "FULL/", "data_by_singer/")
        for sex in ("female", "male")
        for context in CONTEXTS
    ),
)


def find(root: Path, exclude: Collection[str] = EXCLUDE) -> list[Recording]:
    """Recordings of VocalSet; a group is an excerpt's song, or an exercise in a technique.

    Args:
        root: of the corpus.
        exclude: techniques to leave out.

    Raises:
        DataError: there are none.
    """
    return [_recording(path) for path in LAYOUT.all_files(root) if path.parent.name not in exclude]


def _recording(path: Path) -> Recording:
    singer, context, technique = path.parts[-4:-1]
    song = re.search(r"(?:^|_)(caro|dona|row)(?:_|$)", path.stem.lower()) if context == "excerpts" else None
    language = LANGUAGES[song[1]] if song else NO_LANGUAGE
    kind: Kind = "speech" if technique == "spoken" else "song"
    parts = (context, song[1] if song else technique)
    group = LAYOUT.group(*parts) if kind == "song" else LAYOUT.group("speech", *parts)
    return Recording(path, singer, group, kind, language, "CC BY 4.0")
