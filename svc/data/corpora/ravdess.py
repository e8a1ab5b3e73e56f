"""RAVDESS corpus (Livingstone and Russo 2018): 24 actors who sing and speak two sentences with emotions.

Layout (Zenodo 1188976): ``Audio_Song_Actors_01-24/Actor_01/03-02-05-01-01-02-01.wav``, in copies also without the
first folder, or by kind ``actor01/{song,speech}/``. A file is called modality-channel-emotion-intensity-statement-
repetition-actor; modality 03 is audio only, channel 01 speech, 02 song. All actors sing the same melody for an
emotion, in two takes. Some copies hold every file twice, in a folder in the folder.
"""

import re
from pathlib import Path

from svc.data.corpora.base import Layout, Recording

STATEMENTS = {"01": "Kids are talking by the door", "02": "Dogs are sitting by the door"}
_NAME = "-".join(["03", "0[12]", "0[1-8]", "0[12]", "0[12]", "0[12]", "[0-9][0-9]"]) + ".*"
_ACTORS = ("Actor_[0-9][0-9]", "actor[0-9][0-9]")
CREDIT = "RAVDESS (Livingstone and Russo 2018)"
LAYOUT = Layout(
    "ravdess",
    "Actor_01/03-02-01-01-01-01-01.wav or actor01/{song,speech}/…",
    tuple(
        f"{prefix}{actor}/{kind}{_NAME}"
        for prefix in ("", "[Aa]udio_*/")
        for actor in _ACTORS
        for kind in ("", "song/", "speech/")
    ),
)
_STEM = re.compile("-".join(7 * ["([0-9]{2})"]))


def find(root: Path) -> list[Recording]:
    """Recordings of RAVDESS; a group is emotion and statement, so all actors, takes and intensities share it.

    Of files of the same name in several folders, the first is taken.

    Raises:
        DataError: there are none.
    """
    recordings: dict[str, Recording] = {}
    for path in LAYOUT.all_files(root):
        recordings.setdefault(path.stem, _recording(path))
    return list(recordings.values())


def _recording(path: Path) -> Recording:
    name = _STEM.fullmatch(path.stem)
    assert name is not None  # the patterns of the layout say so
    _, channel, emotion, _, statement, _, actor = name.groups()
    sentence = f"{emotion}-{statement}"
    speaker, licence, text = f"actor{actor}", "CC BY-NC-SA 4.0", STATEMENTS[statement]
    if channel == "01":
        return Recording(path, speaker, LAYOUT.group("speech", sentence), "speech", "en", licence, text)
    return Recording(path, speaker, LAYOUT.group(sentence), "song", "en", licence, text)
