"""A melody made exact: instantaneous frequencies of the lowest harmonics around a rough f0.

CREPE answers in bins of 20 cents and jitters by about 5; its ``tiny`` network more. One look at the phase
derivative of the harmonics removes that, as StoneMask does for WORLD (Morise et al. 2016), so that ``tiny`` with
this step is nearer to Praat's autocorrelation than ``full`` without. Where voice sets in or dies away, the phases jump
from frame to frame; a mean with both neighbours, which counts who is sure, takes that away (figures in recipes/LOG.md).
"""

import torch
from torch import Tensor
from torch.nn import functional

from svc.audio.spectrogram import frame
from svc.units import hop_samples

RATE = 8_000  # Hz of the audio it takes
PERIODS = 4  # of f0 in the Hann window; more smooths glides away
HARMONICS = 10  # at most, below 3.6 kHz
HIGHEST = 3600.0  # Hz
FURTHEST = 120.0  # cents; a frame that wants to move further keeps its rough f0
LEAP = 200.0  # cents; a neighbour so far off is not asked
SMALL = 3.0  # cents, about what the mean takes from the crest of a deep vibrato
_CHUNK = 512  # frames
IDENTITY = f"refine/2 {PERIODS} {HARMONICS} {HIGHEST} {FURTHEST} {LEAP} {SMALL}"


def refine(audio: Tensor, f0: Tensor, periodicity: Tensor) -> Tensor:
    """f0 (N,) in Hz, above 0 everywhere, moved to the frequency of its harmonics, without jitter.

    Args:
        audio: (T,) at 8 kHz.
        f0: (N,) Hz; frames are centred as everywhere.
        periodicity: (N,) 0–1, how sure each frame is.
    """
    return steadied(by_harmonics(audio, f0), periodicity)


def steadied(f0: Tensor, periodicity: Tensor) -> Tensor:
    """f0 (N,) in Hz, each frame moved towards its mean with both neighbours, in cents, all but the last 3 cents.

    The mean is weighted by squared periodicity (N,), and each neighbour counts the more the less sure a frame itself
    is, up to twice. Neighbours 200 cents off or more are left out. So a vibrato stays as it is, and so does a leap.
    """
    if not len(f0):
        return f0
    cents = 1200 * torch.log2(functional.pad(f0.double()[None, None], (1, 1), mode="replicate")[0, 0]).unfold(0, 3, 1)
    sure = functional.pad(periodicity.double(), (1, 1)).unfold(0, 3, 1)
    weight = (sure.square() + 1e-9) * ((cents - cents[:, 1:2]).abs() < LEAP)
    weight[:, ::2] *= 2 * (1 - sure[:, 1:2])
    moved = (weight * cents).sum(dim=1) / weight.sum(dim=1) - cents[:, 1]
    return f0 * (2 ** (functional.softshrink(moved, SMALL) / 1200)).to(f0.dtype)


def by_harmonics(audio: Tensor, f0: Tensor) -> Tensor:
    """f0 (N,) moved to the amplitude-weighted mean frequency of its harmonics in audio (T,) at 8 kHz."""
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
