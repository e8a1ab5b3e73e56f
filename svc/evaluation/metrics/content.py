"""Whether the words are kept: content beside the source's, in an encoder that the generator never hears.

A conversion keeps its source's clock, so frame is held against frame: words sung late are wrong.
"""

import math
from abc import ABC, abstractmethod
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar

import librosa
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import convolve1d
from scipy.spatial.distance import cdist
from scipy.special import softmax

from svc.audio.files import Audio, Samples
from svc.audio.resample import resample
from svc.encoders.phone_classifier import Wav2Letter
from svc.errors import DataError
from svc.features import content
from svc.features.extract import measure_loudness
from svc.utils.optional import extra

Content = NDArray[np.float64]

RATE, HOP = 16_000, 160  # Hz, samples
ACTIVE = 40.0  # dB below the loudest frame
SILENCE = -90.0  # dB, where nobody sings
APART = 30  # frames, between what counts as other words
SAMPLE = 1000  # frames at most, of which every pair is compared
DEFAULT = "sphinx"


class WordsJudge(ABC):
    """Hears what is sung and as little as it can of who sings; Euclidean distance tells sounds apart."""

    name: ClassVar[str]

    @abstractmethod
    def content(self, audio: Audio) -> Content:
        """Features (C, N) of audio at any rate, whatever its level."""


class SphinxJudge(WordsJudge):
    """How like each of 40 English phones a frame is, by the acoustic model that comes with PocketSphinx.

    Square roots of phone posteriors, whose Euclidean distance is Hellinger's (times √2). The posteriors are those of
    Gaussian mixtures over cepstra and their slopes (Huggins-Daines et al. 2006), made less sure of themselves by an
    acoustic scale, and smoothed.
    """

    name = "sphinx"
    window = 410  # samples
    states, phones, fillers = 3, 42, 2  # senones of a phone; the model's first are those of phones without context
    neper = 1024 * math.log(1.0001)  # of likelihood, a step of the scores
    scale = 0.1
    smoothing = np.hanning(13)[1:-1] / 6  # 110 ms

    def __init__(self) -> None:
        self.sphinx = extra("pocketsphinx")

    def content(self, audio: Audio) -> Content:
        """(40, N)."""
        samples = levelled(audio).samples
        scores = self._senones(np.pad(samples, ((self.window - HOP) // 2, self.window)))
        costs = scores[: len(samples) // HOP].reshape(-1, self.phones, self.states).min(axis=2)[:, self.fillers :]
        posteriors = softmax(-self.scale * self.neper * costs, axis=1)
        return np.sqrt(convolve1d(posteriors, self.smoothing, axis=0, mode="nearest")).T

    def _senones(self, samples: Samples) -> NDArray[np.int16]:
        """Costs (N, 126) of the phones' states, from the log that the decoder keeps: 1 MB a second, while it reads."""
        with TemporaryDirectory() as folder:
            decoder = self.sphinx.Decoder(
                lm=None,
                dict=None,
                allphone=self.sphinx.get_model_path("en-us/en-us-phone.lm.bin"),
                compallsen=True,
                senlogdir=folder,
                loglevel="FATAL",
            )
            decoder.start_utt()
            decoder.process_raw((samples * 20_000).astype(np.int16).tobytes(), full_utt=True)
            decoder.end_utt()
            (log,) = Path(folder).iterdir()
            head, _, body = log.read_bytes().partition(b"endhdr\n")
        count = int(head.split()[head.split().index(b"n_sen") + 1])
        rows = np.frombuffer(body, np.int16, offset=4).reshape(-1, 1 + count)  # after a byte-order mark; count first
        return rows[:, 1 : 1 + self.phones * self.states]


class MfccJudge(WordsJudge):
    """Mel cepstra c1–c12 less their mean, and their slopes: needs nothing, and hears a singer's formants as words."""

    name = "mfcc"
    window, fft = 400, 512  # samples
    slope = 10**0.5  # weight of the slopes, which are smaller

    def content(self, audio: Audio) -> Content:
        """(24, N)."""
        at_peak = levelled(audio)
        voice = _active(at_peak)
        if not voice.any():
            return np.zeros((24, len(voice)))
        cepstra = librosa.feature.mfcc(
            y=np.pad(at_peak.samples, ((self.fft - HOP) // 2, self.fft + 9 * HOP)),
            sr=RATE,
            n_mfcc=13,
            n_fft=self.fft,
            win_length=self.window,
            hop_length=HOP,
            n_mels=40,
            center=False,
        )[1:]
        slopes = librosa.feature.delta(cepstra)[:, : len(voice)]
        cepstra = cepstra[:, : len(voice)]
        mean = cepstra[:, voice].mean(axis=1, keepdims=True)
        return np.concatenate([cepstra - mean, self.slope * slopes]).astype(np.float64)


class AcousticJudge(WordsJudge):
    """How like each of 39 sounds a frame is, by the acoustic model that ships.

    It needs no extra. Of a voice that sings from its features, it is no independent judge.
    """

    name = "wav2letter"

    def __init__(self) -> None:
        self.encoder = Wav2Letter()

    def content(self, audio: Audio) -> Content:
        """(39, N): square roots of posteriors."""
        plain = resample(audio, RATE)
        levelled = content.at_level(plain, measure_loudness(plain))
        posteriors = content.encode(self.encoder, "sounds", levelled.samples)
        return np.exp(posteriors[:, : len(plain.samples) // HOP].astype(np.float64) / 2)


JUDGES: dict[str, type[WordsJudge]] = {judge.name: judge for judge in (SphinxJudge, MfccJudge, AcousticJudge)}


def judge_by_name(name: str) -> WordsJudge:
    """A judge by name.

    Raises:
        DataError: there is none of that name, or the extra it needs is not installed.
    """
    if name not in JUDGES:
        raise DataError(f"--words {name}: no such judge; give one of {', '.join(JUDGES)}")
    return JUDGES[name]()


def word_error(given: Content, made: Content, source: Audio) -> float:
    """Mean distance of an output's content to its source's, over that of the source to its own other words.

    Frames count where the source is within 40 dB of its loudest. Other words are whatever the source sings more than
    0.3 s before or after.

    Args:
        given: content (C, N) of the source.
        made: of the output, by the same judge.
        source: as recorded.

    Returns:
        0 for a copy, about 1 for unrelated words; NaN if the source sings for too short a time.
    """
    count = min(given.shape[1], made.shape[1])
    where = np.flatnonzero(_active(levelled(source))[:count])
    some = where[:: math.ceil(len(where) / SAMPLE) or 1]
    apart = np.abs(some[:, None] - some) > APART
    other = cdist(given[:, some].T, given[:, some].T)[apart]
    if not other.any():
        return math.nan
    return float(np.linalg.norm(made[:, where] - given[:, where], axis=0).mean() / other.mean())


def _active(audio: Audio) -> NDArray[np.bool_]:
    level = measure_loudness(audio)
    return (level >= level.max(initial=-np.inf) - ACTIVE) & (level > SILENCE)


def levelled(audio: Audio) -> Audio:
    """A recording at 16 kHz, its peak at 1."""
    samples = resample(audio, RATE).samples
    return Audio(samples / np.float32(max(1e-9, np.abs(samples).max(initial=0.0))), RATE)
