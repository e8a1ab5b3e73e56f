"""Naturalness without a network: clipping, clicks, noise and over-smoothing of an output against its source."""

import math

import librosa
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, signal

from svc.audio.files import Audio
from svc.audio.resample import resample
from svc.evaluation.metrics.spectral import active, mel_cepstra

Curve = NDArray[np.float64]

FLOOR = -80.0  # dB, where noise is no longer heard beside a voice
SHORTEST = 0.1  # s

QUIETEST = 0.001  # full scale, of a peak that can be flat
MIN_RUN = 3  # samples of a flat top
STEPS = 20.0  # of quantisation by which a wave falls beside a flat top; 16 at most if that is a rounded smooth peak

CLICK_WINDOW = 0.01  # s, of the spectra, four times overlapped
CLICK_REACH = 12  # spectra to each side that are averaged
CLICK_RATIO = 4.0  # a click to what is around it
CLICK_LEVEL = 0.001  # of the peak, the least that is around it
AROUND = 48  # ms to each side: three periods of the lowest voice
BESIDE = 2  # ms to each side that belong to the click
SPARED = 2  # ms among those around that may belong to another click

SILENCE = -50.0  # dB below the loudest frame
BAND_LEVEL = -70.0  # dB below the peak of the long-term spectrum
BAND_GUARD = 100.0  # Hz

HARMONICS_BELOW = 4000.0  # Hz
HARMONICS_RATE = 10_000  # Hz, holds them
TICK = 0.0005  # s, of the clock that is warped
PERIODS = 6  # in a window: harmonics are every sixth bin, and reach one to each side
BETWEEN = np.array([-3, -2, 2])  # bins from a harmonic, out of reach of any
BATCH = 1000  # windows at a time

GLOBAL_RATE = 16_000  # Hz, at most, of what is compared
ENVELOPE = 8  # c1 … c8 follow the vocal tract, those above the harmonics


def measure(source: Audio, output: Audio, source_f0: Curve, output_f0: Curve) -> dict[str, float]:
    """All measures of a conversion of any rates.

    Args:
        source: what was converted.
        output: in time with the source.
        source_f0: (N,) Hz every 10 ms, 0 where unvoiced.
        output_f0: the same of the output.

    Returns:
        ``clipped`` (share of the output's samples), ``clicks`` (of the output, per second), ``silence_noise`` (dB),
        ``above_band`` (dB), ``aperiodicity`` and ``global_variance`` (dB, output less source). NaN where there is
        nothing to measure: in silence, below 0.1 s, without voiced frames.
    """
    rate = min(source.rate, output.rate, GLOBAL_RATE)
    return {
        "clipped": clipped(output),
        "clicks": clicks(output),
        "silence_noise": silence_noise(source, output),
        "above_band": above_band(source, output),
        "aperiodicity": aperiodicity(output, output_f0) - aperiodicity(source, source_f0),
        "global_variance": global_variance(output, rate) - global_variance(source, rate),
    }


def clipped(audio: Audio) -> float:
    """Share of samples in runs of three or more at the highest or the lowest value, however far below full scale.

    Rounding flattens the tops of smooth waves, too, so the wave must fall steeply to both sides of a run. What was
    resampled, dithered or coded after it was clipped is not found.
    """
    samples = audio.samples.astype(np.float64)
    return _flat_tops(samples) + _flat_tops(-samples) if len(samples) else math.nan


def _flat_tops(samples: Curve) -> float:
    peak = float(samples.max())
    if peak < QUIETEST:
        return 0.0
    step = float(np.diff(np.unique(samples[samples > 0.9 * peak])).min(initial=peak))  # of quantisation
    edges = np.flatnonzero(np.diff(np.concatenate([[False], samples == peak, [False]])))
    starts, ends = edges[::2], edges[1::2]
    lengths = ends - starts
    longest = int(lengths.max())
    padded = np.pad(samples, longest, constant_values=-peak)
    beside = np.maximum(padded[longest + starts - lengths], padded[longest + ends - 1 + lengths])
    flat = (lengths >= MIN_RUN) & (peak - beside > min(STEPS * step, peak / 2))
    return float(lengths[flat].sum() / len(samples))


def clicks(audio: Audio) -> float:
    """Impulses, steps and the edges of gaps per second.

    Every spectrum is divided by the mean power around it: the matched filter for an impulse in coloured noise
    (Godsill and Rayner 1998, ch. 5), with averaged spectra in place of linear prediction. A click stands four times
    above all but two milliseconds of the 48 before and of the 48 after it; glottal pulses do not.
    """
    if not _sounds(audio):
        return math.nan
    size = round(CLICK_WINDOW * audio.rate / 4) * 4
    spectra = librosa.stft(audio.samples, n_fft=size, hop_length=size // 4, pad_mode="reflect")
    power = np.square(np.abs(spectra), dtype=np.float64)
    weights = 1 / (ndimage.uniform_filter1d(power, 2 * CLICK_REACH + 1, axis=1) + 1e-9 * power.max())
    weights /= weights.mean(axis=0)  # an impulse keeps its height
    filtered = librosa.istft(spectra * weights, n_fft=size, hop_length=size // 4)

    block = audio.rate // 1000
    peaks = np.abs(filtered[: len(filtered) // block * block]).reshape(-1, block).max(axis=1)
    sides = np.lib.stride_tricks.sliding_window_view(np.pad(peaks, AROUND + BESIDE), AROUND)
    levels = np.partition(sides, AROUND - 1 - SPARED, axis=1)[:, AROUND - 1 - SPARED]
    around = np.maximum(levels[: len(peaks)], levels[-len(peaks) :])
    found = peaks > CLICK_RATIO * np.maximum(around, CLICK_LEVEL * np.abs(audio.samples).max())
    found &= peaks == ndimage.maximum_filter1d(peaks, 2 * BESIDE + 1)
    found[:BESIDE] = found[-BESIDE:] = False  # the recording itself starts and ends there
    return float(found.sum() / audio.seconds)


def silence_noise(source: Audio, output: Audio) -> float:
    """Noise added to silence: the output's level where the source is silent, less the source's, in dB.

    Both are relative to the mean power of the recording, and −80 dB at least. Silent is what is 50 dB below the
    source's loudest 10 ms, and 30 ms away from anything louder. NaN if nothing is.
    """
    given, made = _frame_power(source), _frame_power(output)
    count = min(len(given), len(made))
    given, made = given[:count], made[:count]
    if not given.any() or not made.any():
        return math.nan
    silent = ndimage.binary_erosion(given < given.max() * 10 ** (SILENCE / 10), iterations=3, border_value=1)
    if not silent.any():
        return math.nan
    added, own = (_decibels(float(power[silent].mean() / power.mean())) for power in (made, given))
    return added - own


def _frame_power(audio: Audio) -> Curve:
    """Mean square (N,) of frames of 10 ms at any rate, without the offset."""
    count = _frames(audio)
    if not count:
        return np.zeros(0)
    edges = np.arange(count + 1) * audio.rate // 100
    samples = audio.samples[: edges[-1]].astype(np.float64)
    return np.add.reduceat(np.square(samples - samples.mean()), edges[:-1]) / np.diff(edges)


def above_band(source: Audio, output: Audio) -> float:
    """Energy invented above the source's bandwidth, in dB of the output's energy, −80 at least.

    The bandwidth ends 100 Hz above the last frequency whose long-term power is within 70 dB of the strongest one's.
    What the source holds above it, such as the noise of 16 bits, is no invention.
    """
    if not _sounds(source) or not _sounds(output):
        return math.nan
    frequencies, power = _long_term(source)
    edge = frequencies[power > power.max() * 10 ** (BAND_LEVEL / 10)].max() + BAND_GUARD
    own = power[frequencies > edge].sum() / power.sum()
    frequencies, power = _long_term(output)
    return _decibels(float(power[frequencies > edge].sum() / power.sum() - own))


def _long_term(audio: Audio) -> tuple[Curve, Curve]:
    """Frequencies and mean power (B,) of 40 ms Hann windows (Welch 1967)."""
    frequencies, power = signal.welch(audio.samples.astype(np.float64), audio.rate, nperseg=audio.rate // 25)
    return frequencies, power


def aperiodicity(audio: Audio, f0: Curve) -> float:
    """Share of the energy up to 4 kHz that harmonics of f0 (N,) do not explain: mean over voiced frames, in dB.

    Time is warped until f0 is constant, so that vibrato is no noise. In Hann windows of six periods, what lies
    between the harmonics stands for what lies beneath them. A frame has −60 dB at least; the first and the last two
    of a voiced stretch do not count.
    """
    count = min(len(f0), _frames(audio))
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
    """Share (N,) of the energy of each window's first harmonics that is not theirs."""
    power = np.square(np.abs(np.fft.rfft(windows)))
    orders = np.arange(1, harmonics.max() + 1)
    counted = orders <= harmonics[:, None]
    bins = orders[:, None] * PERIODS
    energy = power[:, bins + np.arange(-PERIODS // 2, PERIODS // 2)].sum(axis=2)
    noise = power[:, bins + BETWEEN].mean(axis=2) * PERIODS
    return np.sum(noise * counted, axis=1) / np.maximum(np.sum(energy * counted, axis=1), 1e-20)


def global_variance(audio: Audio, rate: int = GLOBAL_RATE) -> float:
    """Spread over time of the mel cepstra c1 … c8 where there is sound, at a rate in Hz: mean variance in dB.

    Over-smoothed voices have less (Toda and Tokuda 2007). Level is left out.
    """
    if not _sounds(audio):
        return math.nan
    narrow = resample(audio, rate // 100 * 100)
    level = float(np.sqrt(np.mean(np.square(narrow.samples, dtype=np.float64))))
    cepstra = mel_cepstra(Audio(narrow.samples * np.float32(0.1 / level), narrow.rate))
    spread = cepstra[1 : ENVELOPE + 1, active(cepstra[0])].var(axis=1)
    return float(np.mean(10 * np.log10(spread + 1e-10)))


def _sounds(audio: Audio) -> bool:
    """Long enough and not constant."""
    return audio.seconds >= SHORTEST and float(np.ptp(audio.samples)) > 0


def _frames(audio: Audio) -> int:
    return len(audio.samples) * 100 // audio.rate


def _decibels(ratio: float) -> float:
    return 10 * math.log10(max(ratio, 10 ** (FLOOR / 10)))
