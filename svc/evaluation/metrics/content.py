"""Content distance: whether an output keeps the phonetic content of its source, frame by frame.

A conversion keeps the timing of its source, so frames are compared without time warping. This is no word error rate;
see ``transcript`` for that.
"""

import math

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from svc.audio.files import Audio
from svc.audio.resample import resample
from svc.encoders.phone_classifier import PhoneEncoder
from svc.features import content
from svc.features.extract import measure_loudness

Content = NDArray[np.float64]  # (C, N) of 10 ms frames, compared by Euclidean distance

RATE, HOP = 16_000, 160  # Hz, samples
ACTIVE = 40.0  # dB below the loudest frame
SILENCE = -90.0  # dB, below which a frame is silent
MIN_DISTANCE = 30  # frames between two frames that count as different content
MAX_FRAMES = 1000  # of which every pair is compared


class PhoneContent:
    """Phonetic posteriorgram (PPG) of 39 phones by the bundled phone model.

    Square roots of the posteriors, whose Euclidean distance is √2 times the Hellinger distance. It is not independent
    of a voice whose content encoder is the same model; the report says so.
    """

    def __init__(self) -> None:
        self.encoder = PhoneEncoder()

    def extract(self, audio: Audio) -> Content:
        """(39, N) of audio at any rate and level."""
        plain = resample(audio, RATE)
        normalised = content.normalise_level(plain, measure_loudness(plain))
        posteriors = content.encode(self.encoder, "log_posteriors", normalised.samples)
        return np.exp(posteriors[:, : len(plain.samples) // HOP].astype(np.float64) / 2)


def content_distance(source_content: Content, output_content: Content, source: Audio) -> float:
    """Mean distance between output and source content, relative to the source's distance to its own other content.

    Frames count where the source is within 40 dB of its loudest frame. Other content is whatever the source has more
    than 0.3 s before or after a frame. 0 for identical content (C, N), about 1 for unrelated content; NaN if the source
    is active for too short a time.
    """
    count = min(source_content.shape[1], output_content.shape[1])
    where = np.flatnonzero(_active(source)[:count])
    sample = where[:: math.ceil(len(where) / MAX_FRAMES) or 1]
    different = np.abs(sample[:, None] - sample) > MIN_DISTANCE
    unrelated = cdist(source_content[:, sample].T, source_content[:, sample].T)[different]
    if not unrelated.any():
        return math.nan
    distances = np.linalg.norm(output_content[:, where] - source_content[:, where], axis=0)
    return float(distances.mean() / unrelated.mean())


def _active(audio: Audio) -> NDArray[np.bool_]:
    """Mask (N,) of the frames within 40 dB of the loudest, at a peak of 1."""
    samples = resample(audio, RATE).samples
    level = measure_loudness(Audio(samples / np.float32(max(1e-9, np.abs(samples).max(initial=0.0))), RATE))
    return (level >= level.max(initial=-np.inf) - ACTIVE) & (level > SILENCE)
