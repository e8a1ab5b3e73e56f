"""RAVDESS corpus (Livingstone and Russo 2018): 24 actors who sing and speak two sentences with emotions.

Layout (Zenodo 1188976): ``Audio_Song_Actors_01-24/Actor_01/03-02-05-01-01-02-01.wav``, in copies also without the
first folder, or by kind ``actor01/{song,speech}/``. A file is called modality-channel-emotion-intensity-statement-
repetition-actor; modality 03 is audio only, channel 01 speech, 02 song. All actors sing the same melody for an
emotion, in two takes. Some copies hold every file twice, in a folder in the folder; of
files of the same name the first is taken.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from svc.data.corpora.base import Corpus, Kind, Recording

STATEMENTS = {"01": "Kids are talking by the door", "02": "Dogs are sitting by the door"}
_NAME = "-".join(["03", "0[12]", "0[1-8]", "0[12]", "0[12]", "0[12]", "[0-9][0-9]"]) + ".*"
_ACTORS = ("Actor_[0-9][0-9]", "actor[0-9][0-9]")


def _read(_root: Path, paths: Sequence[Path]) -> Iterator[Recording]:
    first: dict[str, Path] = {}
    for path in paths:
        first.setdefault(path.stem, path)
    for stem, path in first.items():
        _, channel, emotion, _, statement, _, actor = stem.split("-")
        kind: Kind = "speech" if channel == "01" else "song"
        group = CORPUS.group_of_kind(kind, f"{emotion}-{statement}")
        yield Recording(path, f"actor{actor}", group, kind, "en", "CC BY-NC-SA 4.0", STATEMENTS[statement])


CORPUS = Corpus(
    "ravdess",
    "Actor_01/03-02-01-01-01-01-01.wav or actor01/{song,speech}/…",
    tuple(
        f"{prefix}{actor}/{kind}{_NAME}"
        for prefix in ("", "[Aa]udio_*/")
        for actor in _ACTORS
        for kind in ("", "song/", "speech/")
    ),
    credit="RAVDESS (Livingstone and Russo 2018)",
    read=_read,
)
