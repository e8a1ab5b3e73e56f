"""Aperiodicity loss: predicted power between the harmonics against that of the recording, without synthesising audio.

The total envelope does not tell harmonics from noise; the power between the harmonics does (D'Alessandro et al. 1998).
"""

import torch
from torch import Tensor
from torch.nn import functional

from svc.features.conditioning import Conditioning
from svc.losses.envelope import BAND_SHARE, ERB_SLOPE, NEPERS_PER_DB, POWER_FLOOR, pitch_adaptive_power
from svc.models.excitation import harmonic
from svc.utils.hardware import copy_to
from svc.utils.units import FRAMES_PER_SECOND

PERIODS = 6.0  # in the Hann window: its main lobe ends at a third of f0
PLACES = (0.4, 0.5, 0.6)  # between two harmonics, in f0
CELL = (3, 5)  # frames × points, whose mean power is compared: single bins of noise scatter by 6 dB


def aperiodicity_loss(envelopes: Tensor, conditioning: Conditioning, audio: Tensor, band: Tensor, hop: int) -> Tensor:
    """L1 distance in nepers of the level between the harmonics, in voiced frames.

    Predicted is the power of the noise and what harmonics of the same f0 leak there: f0 that moves spreads them.
    Frequencies weigh as in the envelope loss.

    Args:
        envelopes: log envelopes (B, N, 2, P) of harmonics and noise of unit power, 0 Hz to Nyquist.
        conditioning: of the segments; the gain of the envelopes is its loudness.
        audio: (B, T) recorded audio.
        band: (B,) Hz; the loss ends there.
        hop: samples in a frame.
    """
    points = envelopes.shape[-1]
    with torch.no_grad():
        f0, voiced = conditioning.f0, conditioning.voiced
        pulses = harmonic(f0, conditioning.phase, torch.ones_like(voiced), hop, 0)
        leakage = power_between_harmonics(pulses, f0, hop, points)
        target = 0.5 * _cells(power_between_harmonics(audio, f0, hop, points)).log()
        frequency = torch.linspace(0, hop * FRAMES_PER_SECOND / 2, points, device=audio.device)
        below_band = frequency < BAND_SHARE * copy_to(band, audio.device)[:, None, None]
        inside = below_band & (frequency > 0.5 * f0[..., None])
        weight = _cells(voiced[..., None] * inside / (1 + ERB_SLOPE * frequency))
        weight = weight * (_cells(voiced[..., None].expand(*voiced.shape, points)) > 0.99)
    harmonics, noise = (2 * (envelopes.float() + conditioning.loudness[..., None, None] * NEPERS_PER_DB)).unbind(dim=2)
    predicted = 0.5 * _cells(harmonics.exp() * leakage + noise.exp() + POWER_FLOOR).log()
    return ((predicted - target).abs() * weight).sum() / weight.sum().clamp_min(1e-6)


def power_between_harmonics(audio: Tensor, f0: Tensor, hop: int, points: int) -> Tensor:
    """Power (B, N, P) halfway between the two harmonics of f0 around each frequency; white noise of unit power reads 1.

    Args:
        audio: (B, T).
        f0: (B, N) Hz.
        hop: samples in a frame of 10 ms.
        points: P, from 0 Hz to Nyquist.
    """
    rate = hop * FRAMES_PER_SECOND
    power, f0 = pitch_adaptive_power(audio, f0, hop, PERIODS)
    size = 2 * (power.shape[-1] - 1)
    harmonic_below = (torch.linspace(0, rate / 2, points, device=audio.device) / f0).floor()
    readings = [_read(power, (harmonic_below + place) * f0 * size / rate) for place in PLACES]
    return torch.stack(readings).mean(dim=0)


def _read(power: Tensor, position: Tensor) -> Tensor:
    """Values of spectra (B, N, bins) at the nearest of fractional bins (B, N, P)."""
    return power.gather(-1, position.round().long().clamp(max=power.shape[-1] - 1))


def _cells(values: Tensor) -> Tensor:
    """Means over cells of frames and points, (B, N, P) → (B, N // 3, P // 5)."""
    return functional.avg_pool2d(values[:, None], CELL)[:, 0]
