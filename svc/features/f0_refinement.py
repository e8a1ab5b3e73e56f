"""f0 refinement by autocorrelation (Boersma 1993): the peak of the audio's autocorrelation near a rough f0.

CREPE answers in bins of 20 cents, jitters by about 5, and is late where the pitch moves, as it looks at 64 ms at once.
The autocorrelation over 30 ms, divided by that of its window (Boersma 1993), knows better (figures in
recipes/LOG.md); CREPE says which of its peaks is meant.
"""

import torch
from torch import Tensor

from svc.audio.stft import frame
from svc.utils.units import hop_samples

SAMPLE_RATE = 16_000  # Hz of the audio it takes
WINDOW, PERIODS = 0.03, 3.0  # s of the Hann window, and periods of f0 that it holds at least
SEARCH_CENTS = 200.0  # cents between the rough f0 and a peak
DISTANCE_PENALTY = 0.1 / 1200  # of correlation, that a peak must be higher by for each cent that it is further away
CREAK_HZ = 32.0, 52.0
CREAK_BAND = 1500.0  # Hz; above it a singer's formant rings between the pulses
MIN_CREAK, CREAK_CONTRAST = 0.6, 0.15  # autocorrelation of creak, and by how much it is higher than at shorter lags
OVERSAMPLING = 4  # lags in a sample, by band-limited interpolation
_CHUNK = 512  # frames
CACHE_KEY = f"refine/3 {SAMPLE_RATE} {WINDOW} {PERIODS} {SEARCH_CENTS} {DISTANCE_PENALTY} {OVERSAMPLING}"


def refine_by_autocorrelation(audio: Tensor, f0: Tensor) -> tuple[Tensor, Tensor]:
    """f0 (N,) in Hz, moved to the highest peak in reach, or left as it is where there is none, and the peak's height.

    The height (N,) is 1 where the audio (T,) at 16 kHz repeats itself, and 0 where there is no peak. The rough f0 is
    above 0 everywhere.
    """
    longest = max(WINDOW, PERIODS / max(float(f0.min()), 50.0)) if len(f0) else WINDOW
    windows = frame(audio[None], 2 * int(longest / 2 * SAMPLE_RATE) + 2, hop_samples(SAMPLE_RATE))[0]
    moved = [_move_to_peak(windows[n : n + _CHUNK], f0[n : n + _CHUNK]) for n in range(0, len(f0), _CHUNK)]
    return (torch.cat([f0 for f0, _ in moved]), torch.cat([top for _, top in moved])) if moved else (f0, f0)


def track_creak(audio: Tensor, where: Tensor) -> tuple[Tensor, Tensor]:
    """f0 (M,) of frames that are creaky, below the range of CREPE, and their autocorrelation there, 0 of others.

    Of audio (T,) at 16 kHz only some frames (M,) are tracked. The highest peak between 32 and 52 Hz counts if it is
    much higher than all peaks at shorter lags, of which it could be a multiple.
    """
    windows = frame(audio[None], int(PERIODS / CREAK_HZ[0] * SAMPLE_RATE), hop_samples(SAMPLE_RATE))[0]
    longest, shortest = (int(SAMPLE_RATE * OVERSAMPLING / hz) for hz in CREAK_HZ)
    tracked = [torch.zeros(2, 0)]
    for n in range(0, len(where), _CHUNK):
        part = where[n : n + _CHUNK]
        alike = _autocorrelation(windows[part], torch.full((len(part),), CREAK_HZ[0]), CREAK_BAND)
        top, lag = alike[:, shortest:longest].max(dim=1)
        before = alike[:, : shortest * 3 // 4]
        peaks = (before[:, 1:-1] >= before[:, :-2]) & (before[:, 1:-1] > before[:, 2:])
        others = torch.where(peaks, before[:, 1:-1], 0.0).amax(dim=1)
        creaky = (top >= MIN_CREAK) & (top >= others + CREAK_CONTRAST)
        tracked.append(torch.stack([SAMPLE_RATE * OVERSAMPLING / (lag + shortest), top * creaky]))
    f0, top = torch.cat(tracked, dim=1)
    return f0, top


def _move_to_peak(windows: Tensor, f0: Tensor) -> tuple[Tensor, Tensor]:
    """f0 (N,) of windows (N, T), and the height of the peaks."""
    alike = _autocorrelation(windows, f0)
    lags = torch.arange(1, alike.shape[1] - 1)
    before, here, after = alike[:, :-2], alike[:, 1:-1], alike[:, 2:]
    away = 1200 * torch.log2(lags * (f0[:, None] / (SAMPLE_RATE * OVERSAMPLING)))
    peaks = (here >= before) & (here > after) & (away.abs() <= SEARCH_CENTS)
    best = torch.where(peaks, here - DISTANCE_PENALTY * away.abs(), -torch.inf).argmax(dim=1, keepdim=True)
    left, top, right = (part.gather(1, best)[:, 0] for part in (before, here, after))
    beside = 0.5 * (left - right) / (left - 2 * top + right)  # of a parabola through the three
    exact = SAMPLE_RATE * OVERSAMPLING / (lags[best[:, 0]] + beside)
    in_reach = peaks.any(dim=1)
    return torch.where(in_reach, exact, f0), torch.where(in_reach, top, 0.0)


def _autocorrelation(windows: Tensor, f0: Tensor, band: float = SAMPLE_RATE / 2) -> Tensor:
    """Of a band in Hz of windows (N, T), 1 at lag 0, ``OVERSAMPLING`` lags a sample, as far as any f0 (N,) asks for."""
    size = windows.shape[1]
    time = (torch.arange(size) - (size - 1) / 2) / SAMPLE_RATE
    half = (PERIODS / f0).clamp(WINDOW, size / SAMPLE_RATE)[:, None] / 2
    hann = 0.5 + 0.5 * torch.cos((time / half).clamp(-1, 1) * torch.pi)
    centred = windows - (windows * hann).sum(dim=1, keepdim=True) / hann.sum(dim=1, keepdim=True)
    furthest = int(SAMPLE_RATE * OVERSAMPLING / float(f0.min()) * 2 ** (SEARCH_CENTS / 1200)) + 3

    def correlate(part: Tensor) -> Tensor:
        length = 1 << (2 * size - 1).bit_length()
        power = torch.fft.rfft(part, length).abs().square()
        power[:, round(band * length / SAMPLE_RATE) + 1 :] = 0
        lagged: Tensor = torch.fft.irfft(power, length * OVERSAMPLING)[:, :furthest]
        return lagged / lagged[:, :1].clamp_min(1e-12)

    return correlate(centred * hann) / correlate(hann).clamp_min(0.01)
