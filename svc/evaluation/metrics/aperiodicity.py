"""Aperiodicity: noise between the harmonics of a voice."""

import math

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from svc.audio.files import Audio
from svc.audio.resample import resample

Curve = NDArray[np.float64]

HARMONICS_BELOW = 4000.0  # Hz
HARMONICS_RATE = 10_000  # Hz
TICK = 0.0005  # s, step of the time warp
PERIODS = 6  # in a window: harmonics lie at every sixth bin and spread one bin to each side
BETWEEN = np.array([-3, -2, 2])  # bins from a harmonic, free of harmonics
BATCH = 1000  # windows at a time


def aperiodicity(audio: Audio, f0: Curve) -> float:
    """Aperiodic share of the energy up to 4 kHz, given f0 (N,): mean over voiced frames, in dB.

    Time is warped to a constant f0, so vibrato does not count as noise. In Hann windows of six periods the level
    between the harmonics is taken as the noise level. A frame has at least −60 dB; the first and last two frames of a
    voiced segment do not count.
    """
    count = min(len(f0), len(audio.samples) * 100 // audio.rate)
    voiced = np.flatnonzero(f0[:count] > 0)
    top = min(HARMONICS_BELOW, 0.45 * audio.rate)
    inner = ndimage.binary_erosion((f0[:count] > 0) & (f0[:count] < top), np.ones(5)) if count else np.zeros(0, bool)
    if not inner.any():
        return math.nan
    centres, times = (np.arange(count) + 0.5) / 100, np.arange(0.0, count / 100, TICK)
    pitch = np.exp(np.interp(times, centres[voiced], np.log(f0[voiced])))
    cycles = (np.cumsum(pitch) - pitch[0]) * TICK
    density = 2 * math.ceil(HARMONICS_RATE / 2 / pitch.min())  # samples per period
    steps = np.arange(-PERIODS * density // 2, PERIODS * density // 2) / density
    smooth = resample(resample(audio, HARMONICS_RATE), 3 * HARMONICS_RATE)
    splines = ndimage.spline_filter(smooth.samples)
    middles, harmonics = np.interp(centres[inner], times, cycles), (top / f0[:count][inner]).astype(int)
    shares = []
    for start in range(0, len(middles), BATCH):
        warped = np.interp(middles[start : start + BATCH, None] + steps, cycles, times)
        windows = ndimage.map_coordinates(splines, [warped * smooth.rate], prefilter=False)
        shares.append(_noise_share(windows * np.hanning(len(steps) + 1)[:-1], harmonics[start : start + BATCH]))
    return float(np.mean(10 * np.log10(np.clip(np.concatenate(shares), 1e-6, 1.0))))


def _noise_share(windows: Curve, harmonics: NDArray[np.int_]) -> Curve:
    """Share (N,) of noise in the energy of the first harmonics of each window."""
    power = np.square(np.abs(np.fft.rfft(windows)))
    orders = np.arange(1, harmonics.max() + 1)
    counted = orders <= harmonics[:, None]
    bins = orders[:, None] * PERIODS
    energy = power[:, bins + np.arange(-PERIODS // 2, PERIODS // 2)].sum(axis=2)
    noise = power[:, bins + BETWEEN].mean(axis=2) * PERIODS
    return np.sum(noise * counted, axis=1) / np.maximum(np.sum(energy * counted, axis=1), 1e-20)
