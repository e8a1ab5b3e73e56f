"""Conversions between units, and the one clock: frames of 10 ms.

Frame n covers the samples [n·hop, (n+1)·hop); its centre is sample (n + 1/2)·hop. N = T // hop everywhere.
"""

FRAMES_PER_SECOND = 100
F0_RANGE_HZ = (20.0, 4000.0)  # of a transposed f0


def hop_samples(sample_rate: int) -> int:
    """Samples in a frame of 10 ms.

    Raises:
        ValueError: the rate is not a positive multiple of 100 Hz.
    """
    if sample_rate <= 0 or sample_rate % FRAMES_PER_SECOND:
        raise ValueError(f"{sample_rate} Hz is not a positive multiple of {FRAMES_PER_SECOND} Hz")
    return sample_rate // FRAMES_PER_SECOND


def seconds_to_frames(seconds: float) -> int:
    """Frames nearest to a duration in seconds."""
    return round(seconds * FRAMES_PER_SECOND)


def semitones_to_ratio(semitones: float) -> float:
    """Frequency ratio of an interval in semitones."""
    return 2.0 ** (semitones / 12.0)


def db_to_gain(level: float) -> float:
    """Amplitude ratio of a level in dB."""
    return 10.0 ** (level / 20.0)
