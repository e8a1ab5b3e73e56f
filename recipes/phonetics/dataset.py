"""Training segments of the phone classifier: pure functions of seed and step, so that training resumes exactly."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from phonetics.corpus import RATE, Utterance
from phonetics.phones import SILENCE, UNKNOWN, Labels
from svc.audio.files import Audio, Samples
from svc.encoders.phone_classifier import HOP
from svc.features.cache import FeatureCache, from_int16
from svc.features.content import LEVEL
from svc.features.extract import measure_loudness
from svc.utils.units import db_to_gain

GAIN = (-6.0, 3.0)  # dB
NOISE = (-50.0, -15.0)  # dB below the level of the loudest frame, in half of the segments
SILENCE_THRESHOLD = 30.0  # dB below the loudest frame; what is louder is no silence
EQUALISER = (0.3, 0.25, 0.15, 0.1)  # deviation of the equaliser's cosines, in deviations of a log-mel spectrum
TIME_FACTORS = (0.2, 1.3)  # speed at which audio is read, in half of the segments: vowels in singing are long
TIME_FACTOR_FRAMES = (8, 48)  # for which one of them holds
SINGING_SHARE = 0.5  # of the segments of labelled speech are of its singing version

TimeMap = NDArray[np.float32]
_Segment = tuple[Samples, Labels, int, TimeMap]  # audio, labels, frames before the padding, which frame is read when
Number = TypeVar("Number", np.float32, np.int64)


@dataclass(frozen=True, slots=True)
class PhoneBatch:
    """A batch of B segments."""

    audio: Tensor  # (B, T) at 16 kHz; the first 2 · ``pairs`` are pairs, the same words at the same times in two voices
    labels: Tensor  # (B, N)
    lengths: Tensor  # (B,) frames of a recording; what follows is padding
    pairs: int  # how many
    vtlp: Tensor  # (B,) vocal-tract length perturbation, 0 to 1 from the least to the greatest factor
    equaliser: Tensor  # (B, 4) weights of cosines to be added to log-mel spectra
    time_map: Tensor  # (B, N) frame of the audio to be read at each frame


class PhoneDataset:
    """Random segments of speech, singing and synthetic speech; recordings shorter than half of one are left out.

    Attributes:
        speech: recordings.
        singing: recordings of syllables in a known order.
        synthetic: synthetic speech.
    """

    def __init__(self, folder: Path, utterances: Sequence[Utterance], frames: int) -> None:
        self._cache = FeatureCache(folder / "store")
        self._frames = frames
        self._labels_by_key: dict[tuple[str, bool], Labels] = {}
        long = [utterance for utterance in utterances if utterance.frames >= frames // 2]
        self.synthetic = [u for u in long if u.is_synthetic]
        self.speech = [u for u in long if not u.syllables and not u.is_synthetic]
        self.singing = [u for u in long if u.syllables]

    def has_labels(self, speech: bool, synthetic: bool) -> bool:
        """Whether any frame has a label, of speech, of synthetic speech, or of both."""
        pool = [*(self.synthetic if synthetic else ()), *(self.speech if speech else ())]
        return any(bool((self._cache.get(u.key, "labels") != UNKNOWN).any()) for u in pool)

    def batch(
        self, seed: int, step: int, speech: int, singing: int, synthetic: int, times: Mapping[str, Labels]
    ) -> PhoneBatch:
        """Pairs of segments of recordings, and segments of synthetic speech.

        Args:
            seed: of the run.
            step: of the run.
            speech: pairs.
            singing: pairs.
            synthetic: segments.
            times: labels (N,) of singing by its keys, as far as it is aligned.
        """
        rng = np.random.default_rng([seed, step])
        items: list[_Segment] = []
        pools = (self.speech, speech, 2), (self.singing, singing, 2), (self.synthetic, synthetic, 1)
        for pool, count, voices in pools:
            for _ in range(count if pool else 0):
                items += self._segments(pool[rng.integers(len(pool))], voices, rng, times)
        single = synthetic if self.synthetic else 0
        audio, labels, lengths, time_maps = zip(*items, strict=True)
        augmented = np.stack([_augment(samples, rng) for samples in audio])
        vtlp = rng.random(len(items), dtype=np.float32)
        equaliser = (rng.standard_normal((len(items), len(EQUALISER))) * EQUALISER).astype(np.float32)
        return PhoneBatch(
            audio=torch.from_numpy(augmented),
            labels=torch.from_numpy(np.stack(labels)),
            lengths=torch.tensor(lengths),
            pairs=(len(items) - single) // 2,
            vtlp=torch.from_numpy(vtlp),
            equaliser=torch.from_numpy(equaliser),
            time_map=torch.from_numpy(np.stack(time_maps)),
        )

    def utterance(self, utterance: Utterance, singing: bool = False) -> tuple[Samples, Labels]:
        """A whole recording in its own voice, or its singing version, (T,), and its labels (N,).

        Frames that are labelled silence and are too loud for it are unknown.
        """
        audio = read_voices(self._cache, utterance, singing=singing)[0]
        labels = self._cache.get(utterance.key, "singing_labels" if singing else "labels").astype(np.int64)
        labels[(labels == SILENCE) & non_silent(audio)] = UNKNOWN
        return audio, labels

    def _segments(
        self, utterance: Utterance, voices: int, rng: np.random.Generator, times: Mapping[str, Labels]
    ) -> list[_Segment]:
        """The same frames in some of the voices of a recording."""
        singing = utterance.singing_frames > 0 and rng.random() < SINGING_SHARE
        frames = utterance.singing_frames if singing else utterance.frames
        first = int(rng.integers(max(1, frames - self._frames // 2)))
        last = min(first + self._frames, frames)
        audio = read_voices(self._cache, utterance, first, last, singing)
        labels = times[utterance.key] if utterance.key in times else self._labels(utterance, singing)
        time_map = random_time_map(self._frames, rng)
        read = self._pad(labels[first:last], UNKNOWN)[time_map.round().astype(int)]
        length = int((time_map <= last - first - 1).sum())
        return [(self._pad(audio[voice], 0), read, length, time_map) for voice in rng.permutation(len(audio))[:voices]]

    def _labels(self, utterance: Utterance, singing: bool) -> Labels:
        if (utterance.key, singing) not in self._labels_by_key:
            self._labels_by_key[utterance.key, singing] = self.utterance(utterance, singing)[1]
        return self._labels_by_key[utterance.key, singing]

    def _pad(self, values: NDArray[Number], value: int) -> NDArray[Number]:
        """To the length of a segment, in frames or samples."""
        length = self._frames * (HOP if values.dtype == np.float32 else 1)
        return np.pad(values, (0, length - len(values)), constant_values=value)


def _augment(audio: Samples, rng: np.random.Generator) -> Samples:
    """Random gain, and in half of the cases white noise."""
    scaled = audio * np.float32(db_to_gain(rng.uniform(*GAIN)))
    if rng.random() < 0.5:
        level = db_to_gain(LEVEL + rng.uniform(*NOISE))
        scaled = scaled + rng.standard_normal(len(audio), dtype=np.float32) * np.float32(level)
    return scaled


def read_voices(
    cache: FeatureCache, utterance: Utterance, first: int = 0, last: int | None = None, singing: bool = False
) -> Samples:
    """Frames [first, last) of a recording, (3, T) at 16 kHz: its own voice, then others; one of synthetic speech.

    Of its singing version there are (2, T).

    Raises:
        DataError: it is not in the cache, or damaged.
    """
    frames = utterance.singing_frames if singing else utterance.frames
    stop = (frames if last is None else last) * HOP
    return from_int16(cache.get(utterance.key, "singing" if singing else "audio", first * HOP, stop))


def non_silent(audio: Samples) -> NDArray[np.bool_]:
    """Frames (N,) of audio (T,) at 16 kHz that are too loud for silence."""
    level = measure_loudness(Audio(audio, RATE))
    return np.asarray(level > level.max(initial=LEVEL - SILENCE_THRESHOLD) - SILENCE_THRESHOLD)


def random_time_map(frames: int, rng: np.random.Generator) -> TimeMap:
    """Time-warp augmentation: which frame of the audio to read at each frame (N,), never a later one."""
    if rng.random() < 0.5:
        return np.arange(frames, dtype=np.float32)
    lengths = rng.integers(*TIME_FACTOR_FRAMES, size=1 + frames // TIME_FACTOR_FRAMES[0])
    low, high = np.log(TIME_FACTORS[0]), np.log(TIME_FACTORS[1])
    speed = np.repeat(np.exp(rng.uniform(low, high, len(lengths))), lengths)[:frames]
    return np.minimum(np.cumsum(speed) - speed[0], np.arange(frames)).astype(np.float32)
