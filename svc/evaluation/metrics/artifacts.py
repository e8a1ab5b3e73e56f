"""Artifacts: breath kept, noise in pauses, global variance (over-smoothing), and noise between the harmonics."""

import math

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, signal

from svc.audio.files import Audio
from svc.audio.resample import resample
from svc.evaluation.metrics.spectral import active, mel_cepstra
from svc.utils.units import hop_samples

Curve = NDArray[np.float64]

FLOOR = -80.0  # dB, below which noise is inaudible beside a voice
PAUSE = -50.0  # dB relative to the loudest frame
GUARD = 3  # frames around louder or voiced ones, which spread

BREATH = (-60.0, -40.0)  # dB relative to the loudest frame
BREATH_BAND = (1000.0, 8000.0)  # Hz
BREATH_OVER_NOISE = 10.0  # dB over the background noise
BREATH_FRAMES = 10  # at least
BREATH_TOLERANCE = 10.0  # dB
BACKGROUND = 3  # percentile of the frames
SILENCE = 1e-20  # power

GLOBAL_RATE = 16_000  # Hz, at most, at which global variance is compared
ENVELOPE = 8  # c1 … c8 describe the vocal tract, higher ones the harmonics

HARMONICS_BELOW = 4000.0  # Hz
HARMONICS_RATE = 10_000  # Hz
TICK = 0.0005  # s, step of the time warp
PERIODS = 6  # in a window: harmonics lie at every sixth bin and spread one bin to each side
BETWEEN = np.array([-3, -2, 2])  # bins from a harmonic, free of harmonics
BATCH = 1000  # windows at a time


def measure(source: Audio, output: Audio, source_f0: Curve) -> dict[str, float]:
    """All artifact measures of a conversion, in time with its source, whose f0 is (N,) Hz, 0 where unvoiced.

    Returns:
        ``breath_kept`` (share), ``pause_noise`` and ``global_variance`` (dB, output minus source). NaN where there is
        nothing to measure: in silence, without breaths or pauses.
    """
    rate = min(source.rate, output.rate, GLOBAL_RATE)
    breath = breath_frames(source, source_f0)
    return {
        "breath_kept": breath_kept(source, output, breath),
        "pause_noise": pause_noise(source, output, breath),
        "global_variance": global_variance(output, rate) - global_variance(source, rate),
    }


def breath_frames(audio: Audio, f0: Curve) -> NDArray[np.bool_]:
    """Frames (N,) of audible breaths: 0.1 s or more, unvoiced, 40 to 60 dB below the loudest frame, over the noise.

    Their level is that of 1 to 8 kHz, where breath is and hum is not. f0 is (N,) Hz, 0 where unvoiced.
    """
    level = _breath_level(audio)
    low, high = (_decibels(_frame_power(audio).max()) + limit for limit in BREATH)
    audible = level > max(low, np.percentile(level, BACKGROUND) + BREATH_OVER_NOISE)
    apart = ndimage.binary_erosion(f0 <= 0, iterations=GUARD, border_value=1)
    return np.asarray(ndimage.binary_opening(apart & audible & (level < high), np.ones(BREATH_FRAMES)), bool)


def breath_kept(source: Audio, output: Audio, breath: NDArray[np.bool_]) -> float:
    """Share of the breath frames (N,) of a source whose level comes out within 10 dB; NaN if there are none.

    Both levels are relative to the mean power of their recording, so a gain does not count.
    """
    own, converted = (_breath_level(audio) - _decibels(_frame_power(audio).mean()) for audio in (source, output))
    where = np.flatnonzero(breath[: len(converted)])
    return float(np.mean(np.abs(converted[where] - own[where]) <= BREATH_TOLERANCE)) if len(where) else math.nan


def pause_noise(source: Audio, output: Audio, breath: NDArray[np.bool_]) -> float:
    """Noise added to pauses in dB: level of the output in the silent frames of the source, minus the source's.

    Both levels are relative to the mean power of their recording, and at least −80 dB. Silent frames (10 ms) are 50 dB
    below the loudest one of the source, and at least 30 ms away from any louder frame and from the frames (N,) of
    breaths: a lost breath is no gain here. NaN if there are none.
    """
    own, converted = _frame_power(source), _frame_power(output)
    count = min(len(own), len(converted))
    own, converted = own[:count], converted[:count]
    quiet = (own < own.max() * 10 ** (PAUSE / 10)) & ~breath[:count]
    silent = ndimage.binary_erosion(quiet, iterations=GUARD, border_value=1)
    if not silent.any() or not converted.any():
        return math.nan
    before, after = (max(FLOOR, _decibels(power[silent].mean() / power.mean())) for power in (own, converted))
    return after - before


def _breath_level(audio: Audio) -> Curve:
    """Level (N,) in dB of 1 to 8 kHz, mean power over 50 ms."""
    band = (BREATH_BAND[0], min(BREATH_BAND[1], 0.45 * audio.rate))
    filtered = signal.sosfilt(signal.butter(4, band, "bandpass", fs=audio.rate, output="sos"), audio.samples)
    power = _frame_power(Audio(filtered.astype(np.float32), audio.rate))
    return 10 * np.log10(np.maximum(ndimage.uniform_filter1d(power, 5, mode="nearest"), SILENCE))


def _frame_power(audio: Audio) -> Curve:
    """Mean square (N,) of 10 ms frames, DC removed."""
    hop = hop_samples(audio.rate)
    frames = audio.samples[: len(audio.samples) // hop * hop].astype(np.float64).reshape(-1, hop)
    return np.asarray(np.square(frames - frames.mean()).mean(axis=1))


def _decibels(power: float) -> float:
    return 10 * math.log10(power + SILENCE)


def global_variance(audio: Audio, rate: int = GLOBAL_RATE) -> float:
    """Global variance (Toda and Tokuda 2007) in dB: mean variance over time of the mel cepstra c1 … c8.

    Over active frames, at a sample rate in Hz, without level. Over-smoothed voices have less. NaN in silence.
    """
    narrow = resample(audio, rate)
    level = float(np.sqrt(np.mean(np.square(narrow.samples, dtype=np.float64))))
    if not level:
        return math.nan
    cepstra = mel_cepstra(Audio(narrow.samples * np.float32(0.1 / level), rate))
    spread = cepstra[1 : ENVELOPE + 1, active(cepstra[0])].var(axis=1)
    return float(np.mean(10 * np.log10(spread + 1e-10)))


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
