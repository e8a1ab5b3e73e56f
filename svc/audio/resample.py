"""Changing the sample rate: the one place that does."""

import numpy as np
import soxr

from svc.audio.files import Audio, Samples


def resample(audio: Audio, rate: int) -> Audio:
    """Convert to another rate: round(T · rate / old rate) samples, soxr HQ."""
    if rate == audio.rate:
        return audio
    samples = soxr.resample(audio.samples, audio.rate, rate, quality="HQ")
    return Audio(fit_length(samples, round(len(audio.samples) * rate / audio.rate)), rate)


def fit_length(samples: Samples, length: int) -> Samples:
    """Make it exactly so many samples: cut, or padded with silence."""
    if len(samples) < length:
        samples = np.pad(samples, (0, length - len(samples)))
    return np.ascontiguousarray(samples[:length], dtype=np.float32)
