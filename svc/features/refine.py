"""A melody made exact: instantaneous frequencies of the lowest harmonics around a rough f0.

CREPE answers in bins of 20 cents and jitters by about 5; its ``tiny`` network more. One look at the phase
derivative of the harmonics removes that, as StoneMask does for WORLD (Morise et al. 2016), so that ``tiny`` with
this step is nearer to Praat's autocorrelation than ``full`` without (figures in recipes/LOG.md).
"""

import torch
from torch import Tensor

from svc.audio.spectrogram import frame
from svc.units import hop_samples

RATE = 8_000  # Hz of the audio it takes
PERIODS = 4  # of f0 in the Hann window; more smooths glides away
HARMONICS = 10  # at most, below 3.6 kHz
HIGHEST = 3600.0  # Hz
FURTHEST = 120.0  # cents; a frame that wants to move further keeps its rough f0
_CHUNK = 512  # frames
IDENTITY = f"refine/1 {PERIODS} {HARMONICS} {HIGHEST} {FURTHEST}"


def refine(audio: Tensor, f0: Tensor) -> Tensor:
    """f0 (N,) in Hz, above 0 everywhere, moved to the amplitude-weighted mean frequency of its harmonics.

    Args:
        audio: (T,) at 8 kHz.
        f0: (N,) Hz; frames are centred as everywhere.
    """
    slowest = max(float(f0.min()), 50.0)
    size = 2 * int(PERIODS / 2 / slowest * RATE) + 2
    windows = frame(audio[None], size, hop_samples(RATE))[0]
    parts = [
        _step(windows[n : n + _CHUNK], f0[n : n + _CHUNK], _step(windows[n : n + _CHUNK], f0[n : n + _CHUNK]))
        for n in range(0, len(f0), _CHUNK)
    ]
    return torch.cat(parts) if parts else f0


def _step(windows: Tensor, rough: Tensor, start: Tensor | None = None) -> Tensor:
    f0 = rough if start is None else start
    size = windows.shape[-1]
    time = (torch.arange(size) - (size - 1) / 2) / RATE
    half = PERIODS / 2 / f0[:, None]
    phase = (time / half).clamp(-1, 1) * torch.pi
    window = 0.5 + 0.5 * torch.cos(phase)
    slope = -0.5 * torch.pi * torch.sin(phase) / half
    turn = torch.polar(torch.ones(1), -2 * torch.pi * f0[:, None] * time)
    turned = torch.ones_like(turn)
    total, weight = torch.zeros_like(f0), torch.zeros_like(f0)
    for k in range(1, HARMONICS + 1):
        turned = turned * turn
        spectrum = (windows * window * turned).sum(dim=-1)
        derivative = (windows * slope * turned).sum(dim=-1)
        shift = -(derivative * spectrum.conj()).imag / (spectrum.abs().square() + 1e-20) / (2 * torch.pi)
        amplitude = spectrum.abs() * (k * f0 < HIGHEST)
        total = total + amplitude * (k * f0 + shift)
        weight = weight + amplitude * k
    moved = total / weight.clamp_min(1e-12)
    near = (1200 * torch.log2(moved.clamp_min(1.0) / rough)).abs() < FURTHEST
    return torch.where(near & (weight > 1e-9), moved, rough)
