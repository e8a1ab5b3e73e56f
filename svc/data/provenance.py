"""Provenance of a voice: fingerprints, licences and credits of the clips of a prepared folder."""

from collections.abc import Iterable
from pathlib import PurePosixPath

from svc.data.corpora import CORPORA
from svc.data.manifest import Clip
from svc.features.training_data import TrainingData, minutes_by_licence, song_hash
from svc.utils.units import FRAMES_PER_SECOND


def training_data(clips: Iterable[Clip]) -> TrainingData:
    """What a voice is trained on: the clips of the training side, with their songs.

    A song is a group of the manifest; the file's name is one where there are no groups.
    """
    trained = [clip for clip in clips if clip.split == "train"]
    songs = {song_hash(clip.speaker, song_of(clip)) for clip in trained}
    audio = {bytes.fromhex(clip.audio_hash) for clip in trained if clip.audio_hash}
    corpora = dict.fromkeys(clip.group.partition("/")[0] for clip in trained if clip.group)
    credits = tuple(CORPORA[name].credit for name in corpora if name in CORPORA and CORPORA[name].credit)
    licences = minutes_by_licence((clip.licence, clip.frames / FRAMES_PER_SECOND) for clip in trained)
    return TrainingData(frozenset(songs | audio), licences, credits)


def song_of(clip: Clip) -> str:
    """The group of a clip, or ``folder/<name of its file>``, as the reader of plain folders calls it."""
    return clip.group or f"folder/{PurePosixPath(clip.split_unit).stem}"
