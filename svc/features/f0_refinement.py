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
OVERSAMPLING = 4  # lags in a sample, by band-limited interpolation
_CHUNK = 512  # frames
CACHE_KEY = f"refine/2 {SAMPLE_RATE} {WINDOW} {PERIODS} {SEARCH_CENTS} {DISTANCE_PENALTY} {OVERSAMPLING}"


def refine_by_autocorrelation(audio: Tensor, f0: Tensor) -> Tensor:
    """f0 (N,) in Hz, above 0 everywhere, moved to the highest peak in reach, or left as it is where there is none.

    Args:
        audio: (T,) at 16 kHz.
        f0: (N,) Hz; frames are centred as everywhere.
    """
    longest = max(WINDOW, PERIODS / max(float(f0.min()), 50.0)) if len(f0) else WINDOW
    windows = frame(audio[None], 2 * int(longest / 2 * SAMPLE_RATE) + 2, hop_samples(SAMPLE_RATE))[0]
    chunks = range(0, len(f0), _CHUNK)
    moved = [_move_to_peak(windows[n : n + _CHUNK], f0[n : n + _CHUNK]) for n in chunks]
    return torch.cat(moved) if moved else f0


def _move_to_peak(windows: Tensor, f0: Tensor) -> Tensor:
    """f0 (N,) of windows (N, T)."""
    alike = _autocorrelation(windows, f0)
    lags = torch.arange(1, alike.shape[1] - 1)
    before, here, after = alike[:, :-2], alike[:, 1:-1], alike[:, 2:]
    away = 1200 * torch.log2(lags * (f0[:, None] / (SAMPLE_RATE * OVERSAMPLING)))
    peaks = (here >= before) & (here > after) & (away.abs() <= SEARCH_CENTS)
    best = torch.where(peaks, here - DISTANCE_PENALTY * away.abs(), -torch.inf).argmax(dim=1, keepdim=True)
    left, top, right = (part.gather(1, best)[:, 0] for part in (before, here, after))
    beside = 0.5 * (left - right) / (left - 2 * top + right)  # of a parabola through the three
    exact = SAMPLE_RATE * OVERSAMPLING / (lags[best[:, 0]] + beside)
    return torch.where(peaks.any(dim=1), exact, f0)


def _autocorrelation(windows: Tensor, f0: Tensor) -> Tensor:
    """Of windows (N, T) at lags of 1 / (RATE · FINER), 1 at lag 0, as far as any f0 (N,) asks for."""
    size = windows.shape[1]
    time = (torch.arange(size) - (size - 1) / 2) / SAMPLE_RATE
    half = (PERIODS / f0).clamp(WINDOW, size / SAMPLE_RATE)[:, None] / 2
    hann = 0.5 + 0.5 * torch.cos((time / half).clamp(-1, 1) * torch.pi)
    centred = windows - (windows * hann).sum(dim=1, keepdim=True) / hann.sum(dim=1, keepdim=True)
    furthest = int(SAMPLE_RATE * OVERSAMPLING / float(f0.min()) * 2 ** (SEARCH_CENTS / 1200)) + 3

    def correlate(part: Tensor) -> Tensor:
        length = 1 << (2 * size - 1).bit_length()
        power = torch.fft.rfft(part, length).abs().square()
        lagged: Tensor = torch.fft.irfft(power, length * OVERSAMPLING)[:, :furthest]
        return lagged / lagged[:, :1].clamp_min(1e-12)

    return correlate(centred * hann) / correlate(hann).clamp_min(0.01)
