"""Content distance: whether an output keeps the phonetic content of its source, frame by frame.

A conversion keeps the timing of its source, so frames are compared without time warping. This is no word error rate;
see ``transcript`` for that.
"""

import math
from abc import ABC, abstractmethod
from typing import ClassVar

import librosa
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from svc.audio.files import Audio
from svc.audio.resample import resample
from svc.encoders.phone_classifier import PhoneEncoder
from svc.errors import DataError
from svc.features import content
from svc.features.extract import measure_loudness

Content = NDArray[np.float64]

RATE, HOP = 16_000, 160  # Hz, samples
ACTIVE = 40.0  # dB below the loudest frame
SILENCE = -90.0  # dB, below which a frame is silent
MIN_DISTANCE = 30  # frames between two frames that count as different content
MAX_FRAMES = 1000  # of which every pair is compared
DEFAULT = "phone-classifier"


class ContentMetric(ABC):
    """Content features of a recording, compared by Euclidean distance."""

    name: ClassVar[str]

    @abstractmethod
    def content(self, audio: Audio) -> Content:
        """Features (C, N) of audio at any rate and level, 10 ms frames."""


class MfccContent(ContentMetric):
    """MFCCs c1–c12 minus their mean, and deltas. No weights; also sensitive to the formants of the speaker."""

    name = "mfcc"
    window, fft = 400, 512  # samples
    delta_weight = 10**0.5  # deltas are smaller

    def content(self, audio: Audio) -> Content:
        """(24, N)."""
        normalised = peak_normalise(audio)
        active = _active(normalised)
        if not active.any():
            return np.zeros((24, len(active)))
        cepstra = librosa.feature.mfcc(
            y=np.pad(normalised.samples, ((self.fft - HOP) // 2, self.fft + 9 * HOP)),
            sr=RATE,
            n_mfcc=13,
            n_fft=self.fft,
            win_length=self.window,
            hop_length=HOP,
            n_mels=40,
            center=False,
        )[1:]
        deltas = librosa.feature.delta(cepstra)[:, : len(active)]
        cepstra = cepstra[:, : len(active)]
        mean = cepstra[:, active].mean(axis=1, keepdims=True)
        return np.concatenate([cepstra - mean, self.delta_weight * deltas]).astype(np.float64)


class PhoneContent(ContentMetric):
    """Phonetic posteriorgram (PPG) of 39 phones by the bundled phone model.

    Square roots of the posteriors, whose Euclidean distance is √2 times the Hellinger distance. It is not independent
    of a voice whose content encoder is the same model; the report says so.
    """

    name = "phone-classifier"

    def __init__(self) -> None:
        self.encoder = PhoneEncoder()

    def content(self, audio: Audio) -> Content:
        """(39, N): square roots of posteriors."""
        plain = resample(audio, RATE)
        normalised = content.normalise_level(plain, measure_loudness(plain))
        posteriors = content.encode(self.encoder, "log_posteriors", normalised.samples)
        return np.exp(posteriors[:, : len(plain.samples) // HOP].astype(np.float64) / 2)


METRICS: dict[str, type[ContentMetric]] = {metric.name: metric for metric in (PhoneContent, MfccContent)}


def load_content_metric(name: str) -> ContentMetric:
    """Content metric by name: ``phone-classifier`` or ``mfcc``.

    Raises:
        DataError: no such metric.
    """
    if name not in METRICS:
        raise DataError(f"--content-metric {name}: no such metric; choose one of {', '.join(METRICS)}")
    return METRICS[name]()


def content_distance(source_content: Content, output_content: Content, source: Audio) -> float:
    """Mean distance between output and source content, relative to the source's distance to its own other content.

    Frames count where the source is within 40 dB of its loudest frame. Other content is whatever the source has more
    than 0.3 s before or after a frame.

    Args:
        source_content: (C, N).
        output_content: (C, N), by the same metric.
        source: the recording.

    Returns:
        0 for identical content, about 1 for unrelated content; NaN if the source is active for too short a time.
    """
    count = min(source_content.shape[1], output_content.shape[1])
    where = np.flatnonzero(_active(peak_normalise(source))[:count])
    sample = where[:: math.ceil(len(where) / MAX_FRAMES) or 1]
    different = np.abs(sample[:, None] - sample) > MIN_DISTANCE
    unrelated = cdist(source_content[:, sample].T, source_content[:, sample].T)[different]
    if not unrelated.any():
        return math.nan
    distances = np.linalg.norm(output_content[:, where] - source_content[:, where], axis=0)
    return float(distances.mean() / unrelated.mean())


def _active(audio: Audio) -> NDArray[np.bool_]:
    level = measure_loudness(audio)
    return (level >= level.max(initial=-np.inf) - ACTIVE) & (level > SILENCE)


def peak_normalise(audio: Audio) -> Audio:
    """A recording at 16 kHz with its peak at 1."""
    samples = resample(audio, RATE).samples
    return Audio(samples / np.float32(max(1e-9, np.abs(samples).max(initial=0.0))), RATE)
