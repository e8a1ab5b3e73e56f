"""Training exposure: whether a source, or the target's own performance, was among the recordings of a voice.

Scores on recordings that a voice was trained on say little about others. Another take of a song by the same speaker
counts as one of them.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from svc.config import Config
from svc.data import corpora
from svc.data.corpora import Recording
from svc.data.extraction import load_audio, slice_at_silence
from svc.errors import SvcError
from svc.evaluation.metrics.table import Row
from svc.evaluation.songs import ConversionPair, Song
from svc.features.cache import to_int16
from svc.features.extract import measure_loudness
from svc.features.training_data import TrainingData, audio_hash, song_hash


class Exposure:
    """What a voice was trained on, as seen from the sources of an evaluation.

    Where their folder has the layout of a corpus, that says which song a file is.
    """

    def __init__(self, data: TrainingData, config: Config, sources: Path):
        self.data, self.rate = data, config.sample_rate
        recordings = _recordings(sources) if data.hashes else []
        self.groups = {recording.path.resolve(): recording.group for recording in recordings}
        self.trained = trained_groups(recordings, data)

    def mark(self, rows: Iterable[Row], pairs: Sequence[ConversionPair], truths: Mapping[Path, Path]) -> list[str]:
        """Add ``seen`` to all rows of an evaluation: 1 where the source or the truth was trained on, else 0.

        The truths are files by the file of the conversion. Returns notes for the report.
        """
        if not self.data.hashes:
            return ["The voice does not say what it was trained on: these songs may be among it."]
        songs = {pair.song.id: pair.song for pair in pairs}
        song_seen = {name: self.has(song.path, song.speaker, song) for name, song in songs.items()}
        seen = {}
        for pair in pairs:
            truth = truths.get(pair.output)
            key = pair.song.id, pair.target
            seen[key] = song_seen[pair.song.id] or (truth is not None and self.has(truth, pair.target, pair.song))
        for row in rows:
            if row["system"] != "reference":
                row["seen"] = float(seen[row["song"], row["target"]])
        count = len({song for (song, _), is_seen in seen.items() if is_seen})
        return [f"The voice was trained on {count} of {len(songs)} songs, or on their truths."] if count else []

    def has(self, path: Path, speaker: str, song: Song) -> bool:
        """Whether a speaker's performance of a song, or this very recording, was trained on."""
        group = self.groups.get(song.path.resolve(), "")
        if (speaker, group) in self.trained:
            return True
        names = _names(song.name) | _in_plain_folder(path, group)
        return any(song_hash(speaker, name) in self.data.hashes for name in names) or self._has_audio(path)

    def _has_audio(self, path: Path) -> bool:
        """Whether a recording, or any slice of it as `svc prepare` cuts it, was trained on."""
        try:
            audio = load_audio(path, self.rate)
        except SvcError:
            return False
        hop = audio.rate // 100
        slices = slice_at_silence(measure_loudness(audio))
        return any(audio_hash(to_int16(audio.samples[a * hop : b * hop])) in self.data.hashes for a, b in slices)


def trained_groups(recordings: Iterable[Recording], data: TrainingData) -> set[tuple[str, str]]:
    """Speaker and group of the recordings of a corpus of which any take was trained on.

    A voice may have been prepared from a copy of them as a plain folder, where a song is a file.
    """
    return {
        (one.speaker, one.group)
        for one in recordings
        if any(
            song_hash(one.speaker, name) in data.hashes for name in {one.group} | _in_plain_folder(one.path, one.group)
        )
    }


def _recordings(sources: Path) -> list[Recording]:
    """Recordings of a folder with the layout of a corpus; none of other folders."""
    try:
        name = corpora.detect(sources)
        return [] if name == "folder" else corpora.find(sources, name)
    except SvcError:
        return []


def _in_plain_folder(path: Path, group: str) -> set[str]:
    """What the song of a file, and its other takes, are called that were prepared from a plain folder without songs."""
    name, corpus = path.resolve().stem, corpora.CORPORA.get(group.partition("/")[0])
    return {f"folder/{take}" for take in (corpus.takes(name) if corpus else (name,))}


def _names(name: str) -> set[str]:
    """What the song of a path below a speaker's folder may be called in a manifest.

    ``ravdess/05-01/2`` may be a take of ``ravdess/05-01``; a folder of a plain folder, or its file, may be the song.
    """
    parts = name.split("/")
    return {"/".join(parts[: n + 1]) for n in range(len(parts))} | {f"folder/{part}" for part in parts}
