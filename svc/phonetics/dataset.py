"""Crops for the acoustic model: pure functions of seed and step, so that training resumes exactly."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from svc.audio.files import Audio, Samples
from svc.encoders.phone_classifier import HOP
from svc.features.cache import Store, samples_of
from svc.features.content import LEVEL
from svc.features.extract import measure_loudness
from svc.phonetics.corpus import RATE, Utterance
from svc.phonetics.phones import SILENCE, UNKNOWN, Labels
from svc.utils.units import db_to_gain

GAIN = (-6.0, 3.0)  # dB
NOISE = (-50.0, -15.0)  # dB below the level of the loudest frame, in half of the crops
LOUD = 30.0  # dB below the loudest frame; what is louder is no silence
CURVES = (0.3, 0.25, 0.15, 0.1)  # deviation of the equaliser's cosines, in deviations of a log-mel spectrum
PACES = (0.2, 1.3)  # of time, in half of the crops: sung vowels are long
HELD = (8, 48)  # frames of one pace
AS_SUNG = 0.5  # of the crops of speech whose sounds are known

Positions = NDArray[np.float32]
_Piece = tuple[Samples, Labels, int, Positions]  # audio, labels, the frames before the padding, what is heard when
Number = TypeVar("Number", np.float32, np.int64)


@dataclass(frozen=True, slots=True)
class Crops:
    """A batch.

    Attributes:
        audio: (B, T) at 16 kHz; the first 2 · ``pairs`` are pairs, the same words at the same times in two voices.
        labels: (B, N).
        lengths: (B,) frames of a recording; what comes behind is padding.
        pairs: how many.
        warp: (B,) of the frequency axis, 0 to 1 for least to most.
        equaliser: (B, 4) weights of cosines to be added to log-mel spectra.
        times: (B, N) frames of the audio to be heard at each frame.
    """

    audio: Tensor
    labels: Tensor
    lengths: Tensor
    pairs: int
    warp: Tensor
    equaliser: Tensor
    times: Tensor


class Sounds:
    """Recordings and synthetic speech, cut up.

    Attributes:
        spoken: recordings that are long enough.
        sung: those of syllables in a known order.
        made: synthetic speech.
    """

    def __init__(self, folder: Path, utterances: Sequence[Utterance], frames: int) -> None:
        self._store = Store(folder / "store")
        self._frames = frames
        self._known: dict[tuple[str, bool], Labels] = {}
        long = [utterance for utterance in utterances if utterance.frames >= frames // 2]
        self.made = [u for u in long if u.made]
        self.spoken = [u for u in long if not u.syllables and not u.made]
        self.sung = [u for u in long if u.syllables]

    def labelled(self, spoken: bool, synthetic: bool) -> bool:
        """Whether the sound of any frame is known, of speech, of synthetic speech, or of both."""
        pool = [*(self.made if synthetic else ()), *(self.spoken if spoken else ())]
        return any(bool((self._store.get(u.key, "labels") != UNKNOWN).any()) for u in pool)

    def batch(self, seed: int, step: int, spoken: int, sung: int, synthetic: int, times: Mapping[str, Labels]) -> Crops:
        """Pairs of crops of recordings, and crops of synthetic speech.

        Args:
            seed: of the run.
            step: of the run.
            spoken: pairs of speech.
            sung: pairs of song.
            synthetic: crops.
            times: labels (N,) of sung utterances by their keys, as far as they are known.
        """
        rng = np.random.default_rng([seed, step])
        items: list[_Piece] = []
        for pool, count, voices in ((self.spoken, spoken, 2), (self.sung, sung, 2), (self.made, synthetic, 1)):
            for _ in range(count if pool else 0):
                items += self._crop(pool[rng.integers(len(pool))], voices, rng, times)
        alone = synthetic if self.made else 0
        return Crops(
            audio=torch.from_numpy(np.stack([_degraded(audio, rng) for audio, *_ in items])),
            labels=torch.from_numpy(np.stack([known for _, known, _, _ in items])),
            lengths=torch.tensor([length for _, _, length, _ in items]),
            pairs=(len(items) - alone) // 2,
            warp=torch.from_numpy(rng.random(len(items), dtype=np.float32)),
            equaliser=torch.from_numpy((rng.standard_normal((len(items), len(CURVES))) * CURVES).astype(np.float32)),
            times=torch.from_numpy(np.stack([heard_at for *_, heard_at in items])),
        )

    def whole(self, utterance: Utterance, sung: bool = False) -> tuple[Samples, Labels]:
        """A recording in its own voice, or as if it were sung, (T,), and its labels (N,).

        What passed for silence and is loud is unknown.
        """
        audio = read_voices(self._store, utterance, sung=sung)[0]
        known = self._store.get(utterance.key, "sung_labels" if sung else "labels").astype(np.int64)
        known[(known == SILENCE) & loud(audio)] = UNKNOWN
        return audio, known

    def _crop(
        self, utterance: Utterance, voices: int, rng: np.random.Generator, times: Mapping[str, Labels]
    ) -> list[_Piece]:
        """The same stretch in some of the voices of a recording."""
        sung = utterance.sung_frames > 0 and rng.random() < AS_SUNG
        frames = utterance.sung_frames if sung else utterance.frames
        first = int(rng.integers(max(1, frames - self._frames // 2)))
        last = min(first + self._frames, frames)
        audio = read_voices(self._store, utterance, first, last, sung)
        known = times[utterance.key] if utterance.key in times else self._labels(utterance, sung)
        heard_at = paces(self._frames, rng)
        piece = self._filled(known[first:last], UNKNOWN)[heard_at.round().astype(int)]
        length = int((heard_at <= last - first - 1).sum())
        return [
            (self._filled(audio[voice], 0), piece, length, heard_at) for voice in rng.permutation(len(audio))[:voices]
        ]

    def _labels(self, utterance: Utterance, sung: bool) -> Labels:
        if (utterance.key, sung) not in self._known:
            self._known[utterance.key, sung] = self.whole(utterance, sung)[1]
        return self._known[utterance.key, sung]

    def _filled(self, values: NDArray[Number], value: int) -> NDArray[Number]:
        """To the length of a crop, in frames or samples."""
        length = self._frames * (HOP if values.dtype == np.float32 else 1)
        return np.pad(values, (0, length - len(values)), constant_values=value)


def _degraded(audio: Samples, rng: np.random.Generator) -> Samples:
    louder = audio * np.float32(db_to_gain(rng.uniform(*GAIN)))
    if rng.random() < 0.5:
        level = db_to_gain(LEVEL + rng.uniform(*NOISE))
        louder = louder + rng.standard_normal(len(audio), dtype=np.float32) * np.float32(level)
    return louder


def read_voices(
    store: Store, utterance: Utterance, first: int = 0, last: int | None = None, sung: bool = False
) -> Samples:
    """Frames first … last − 1 of a recording, (3, T) at 16 kHz: its own voice, then others; one of synthetic speech.

    As if it were sung there are (2, T).

    Raises:
        DataError: it is not in the store, or damaged.
    """
    whole = utterance.sung_frames if sung else utterance.frames
    audio = store.get(utterance.key, "sung" if sung else "audio", first * HOP, (whole if last is None else last) * HOP)
    return samples_of(audio)


def loud(audio: Samples) -> NDArray[np.bool_]:
    """Frames (N,) of audio (T,) at 16 kHz that are too loud for silence."""
    level = measure_loudness(Audio(audio, RATE))
    return np.asarray(level > level.max(initial=LEVEL - LOUD) - LOUD)


def paces(frames: int, rng: np.random.Generator) -> Positions:
    """Which frame of the audio each of some frames is, (N,), never a later one: time runs on, at changing paces."""
    if rng.random() < 0.5:
        return np.arange(frames, dtype=np.float32)
    held = rng.integers(*HELD, size=1 + frames // HELD[0])
    pace = np.repeat(np.exp(rng.uniform(np.log(PACES[0]), np.log(PACES[1]), len(held))), held)[:frames]
    return np.minimum(np.cumsum(pace) - pace[0], np.arange(frames)).astype(np.float32)
