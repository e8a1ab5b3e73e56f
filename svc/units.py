"""Conversions between units, and the one clock: frames of 10 ms.

Frame n covers the samples [n·hop, (n+1)·hop); its centre is sample (n + 1/2)·hop. N = T // hop everywhere.
"""

import math

FRAMES_PER_SECOND = 100


def hop_samples(sample_rate: int) -> int:
    """Samples in a frame of 10 ms.

    Raises:
        ValueError: the rate is not a positive multiple of 100 Hz.
    """
    if sample_rate <= 0 or sample_rate % FRAMES_PER_SECOND:
        raise ValueError(f"{sample_rate} Hz is not a positive multiple of {FRAMES_PER_SECOND} Hz")
    return sample_rate // FRAMES_PER_SECOND


def samples_to_frames(samples: int, sample_rate: int) -> int:
    """Whole frames in so many samples."""
    return samples // hop_samples(sample_rate)


def frames_to_samples(frames: int, sample_rate: int) -> int:
    """Samples in so many frames."""
    return frames * hop_samples(sample_rate)


def seconds_to_frames(seconds: float) -> int:
    """Frames nearest to a duration in seconds."""
    return round(seconds * FRAMES_PER_SECOND)


def hz_to_cents(frequency: float, reference: float) -> float:
    """Distance in cents from a reference frequency; 1200 cents are an octave."""
    return 1200.0 * math.log2(frequency / reference)


def semitones_to_ratio(semitones: float) -> float:
    """Frequency ratio of an interval in semitones."""
    return 2.0 ** (semitones / 12.0)


def gain_to_db(gain: float) -> float:
    """Level in dB of an amplitude ratio."""
    return 20.0 * math.log10(gain)


def db_to_gain(level: float) -> float:
    """Amplitude ratio of a level in dB."""
    return 10.0 ** (level / 20.0)


def clock(seconds: float) -> str:
    """A duration to read: ``1:02:03``, ``4:05`` or ``7.1 s``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
