"""Speaker selection: one speaker of a voice, a convex mix of some, or a mix that changes over time."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from svc.audio.find import is_audio
from svc.errors import DataError, WeightsError
from svc.features.speaker import Speaker
from svc.inference.voice_header import VoiceHeader
from svc.utils.units import FRAMES_PER_SECOND

if TYPE_CHECKING:  # a typing error is found before torch is imported
    from torch import Tensor

MAX_ROWS = 1_000_000  # of a CSV of mixes


@dataclass(frozen=True, slots=True)
class SpeakerMix:
    """Weights of a voice's speakers."""

    label: str  # for file names and messages
    weights: NDArray[np.float32]  # (S, 1), or (S, N) where the mix changes; every column sums to 1
    stats: Speaker  # f0 range and level of the speaker; of a mix the weighted means

    def weights_at(self, frames: slice) -> Tensor:
        """Weights (S,), or (S, N) at some frames, where the last of a changing mix holds to the end."""
        import torch

        if self.weights.shape[1] == 1:
            return torch.from_numpy(self.weights[:, 0])
        index = np.arange(frames.start or 0, frames.stop)
        return torch.from_numpy(self.weights[:, np.minimum(index, self.weights.shape[1] - 1)])


def is_recording(text: str) -> bool:
    """Whether a speaker is the path of an audio file, see ``svc.adaptation.zero_shot``."""
    return is_audio(Path(text).name) and Path(text).is_file()


def parse_speaker(voice: VoiceHeader, text: str) -> SpeakerMix:
    """Speaker weights from a name, a number, a mix as ``Ann:0.6,Bob:0.4``, or the path of a CSV of mixes.

    In a mix a speaker whose name has a comma goes by the number, as ``#3:0.6,Bob:0.4``.

    Raises:
        WeightsError: the voice has no such speaker.
        DataError: the mix or the CSV cannot be read.
    """
    try:
        alone = np.eye(len(voice.speakers), dtype=np.float32)[voice.speaker_index(text)]
        return _mix_from_weights(voice, "", alone[:, None])
    except WeightsError:
        if Path(text).suffix.lower() == ".csv":
            return _mix_from_weights(voice, Path(text).stem, read_mix_csv(voice, Path(text)))
        if ":" not in text and "," not in text:
            raise
    weights = np.zeros((len(voice.speakers), 1), dtype=np.float32)
    for part in text.split(","):
        name, colon, share = part.rpartition(":")
        index = voice.speaker_index((name if colon else part).strip())
        try:
            weights[index] += float(share) if colon else 1.0
        except ValueError:
            raise DataError(f"--speaker {text}: write a mix as Ann:0.6,Bob:0.4") from None
    if not (np.isfinite(weights).all() and weights.min() >= 0 and weights.sum() > 0):
        raise DataError(f"--speaker {text}: shares of a mix must be 0 or more, and not all of them 0")
    return _mix_from_weights(voice, "", weights / weights.sum())


def read_mix_csv(voice: VoiceHeader, path: Path) -> NDArray[np.float32]:
    """Weights (S, N) from a CSV: a line ``seconds,Ann,Bob``, then times and the share of each speaker.

    Shares are interpolated linearly between lines; before the first and after the last they stay.

    Raises:
        DataError: it is not such a CSV.
        WeightsError: the voice has no such speaker.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            head, *rows = [row for row in csv.reader(stream) if row]
        numbers = [[float(value) for value in row] for row in rows]
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check the path") from None
    except (UnicodeDecodeError, csv.Error, ValueError):
        raise DataError(f"{path}: is not a CSV of mixes; begin with a line seconds,Ann,Bob, then numbers") from None
    if head[0].strip().lower() != "seconds" or len(head) < 2:
        raise DataError(f"{path}: does not name the speakers; begin with a line seconds,Ann,Bob")
    complete = 1 <= len(rows) <= MAX_ROWS and all(len(row) == len(head) for row in rows)
    if not complete or not np.isfinite(numbers).all():
        raise DataError(f"{path}: every line needs the seconds and a share for each of {len(head) - 1} speakers")
    table = np.array(numbers)
    times, shares = table[:, 0], table[:, 1:]
    if (np.diff(times) <= 0).any() or not 0 <= times[0] <= times[-1] < 1e5 or shares.min() < 0:
        raise DataError(f"{path}: times must rise and shares be 0 or more; correct the CSV")
    if (shares.sum(axis=1) <= 0).any():
        raise DataError(f"{path}: all shares of a line are 0; correct the CSV")
    shares = shares / shares.sum(axis=1, keepdims=True)
    centres = (np.arange(round(times[-1] * FRAMES_PER_SECOND) + 1) + 0.5) / FRAMES_PER_SECOND
    weights = np.zeros((len(voice.speakers), len(centres)), dtype=np.float32)
    for name, share in zip(head[1:], shares.T, strict=True):
        weights[voice.speaker_index(name.strip())] += np.interp(centres, times, share).astype(np.float32)
    return weights


def _mix_from_weights(voice: VoiceHeader, label: str, weights: NDArray[np.float32]) -> SpeakerMix:
    mean = weights.mean(axis=1)
    parts = [(share, speaker) for share, speaker in zip(mean, voice.speakers, strict=True) if share > 0]
    if len(parts) == 1:
        return SpeakerMix(label or parts[0][1].name, weights, parts[0][1])
    name = label or "+".join(f"{speaker.name}{share:.2g}" for share, speaker in parts)
    measured = [(share, speaker) for share, speaker in parts if speaker.median_f0 > 0]
    total = sum(share for share, _ in measured) or 1.0
    logs = sum(share / total * np.log(speaker.range) for share, speaker in measured)
    median, low, high = np.exp(logs).tolist() if measured else (0.0, 0.0, 0.0)
    level = float(sum(share * speaker.level for share, speaker in parts)) if all(s.level for _, s in parts) else 0.0
    seconds = sum(speaker.seconds for _, speaker in parts)
    band = min((speaker.band for _, speaker in parts if speaker.band), default=0.0)
    return SpeakerMix(name, weights, Speaker(name, seconds, median, low, high, level, band))
