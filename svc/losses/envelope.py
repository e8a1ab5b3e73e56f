"""Envelope loss: predicted log envelopes against those of the recording, without synthesising audio.

The envelope of a recording is that of CheapTrick (Morise 2015): power spectrum of a window of three periods, smoothed
over two thirds of f0, then liftered, so that it does not follow the harmonics.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

from svc.audio.stft import frame
from svc.features.conditioning import Conditioning
from svc.models.excitation import harmonic, noise
from svc.utils.hardware import copy_to
from svc.utils.units import FRAMES_PER_SECOND

NEPERS_PER_DB = math.log(10) / 20
PERIODS = 3.0  # in the window
SMOOTHING = 2 / 3  # width of the rectangle, of f0
COMPENSATION = 0.15  # of what the smoothing takes from the peaks (Morise 2015, eq. 9)
ERB_SLOPE = 4.37e-3  # of the equivalent rectangular bandwidth, by Hz
F0_FLOOR = 70.0  # Hz; a lower f0 gets a window of three periods of this
FLAT_BINS = 5  # up to which spectra are about flat
BAND_SHARE = 0.95  # of a recording's band, up to which its envelope is measured
POWER_FLOOR = 1e-10  # power a bin of white noise at −100 dB


def envelope_loss(envelopes: Tensor, conditioning: Conditioning, audio: Tensor, band: Tensor, hop: int) -> Tensor:
    """L1 distance in nepers of the sum of both excitations' power to the spectral envelope of a recording.

    Frequencies weigh as their density on the ERB scale (Glasberg and Moore 1990): a fifth of the loss lies above 8 kHz,
    where linear frequency has two thirds.

    Args:
        envelopes: log envelopes (B, N, 2, P) of harmonics and noise of unit power, 0 Hz to Nyquist.
        conditioning: of the segments; the gain of the envelopes is its loudness.
        audio: (B, T) recorded audio.
        band: (B,) Hz; the loss ends there.
        hop: samples in a frame.
    """
    predicted = total_envelope(envelopes, conditioning)
    with torch.no_grad():
        target = spectral_envelope(audio, conditioning.f0, hop, envelopes.shape[-1])
        frequency = torch.linspace(0, hop * FRAMES_PER_SECOND / 2, envelopes.shape[-1], device=audio.device)
        below_band = frequency < BAND_SHARE * copy_to(band, audio.device)[:, None, None]
        weight = below_band * (frequency > 0.5 * conditioning.f0[..., None]) / (1 + ERB_SLOPE * frequency)
    return ((predicted - target).abs() * weight).sum() / weight.sum()


def total_envelope(envelopes: Tensor, conditioning: Conditioning) -> Tensor:
    """Log amplitude envelope (B, N, P) of both excitations together, at the level of the conditioning, in nepers."""
    harmonics, noisy = envelopes.float().unbind(dim=2)
    voiced = conditioning.voiced[..., None].clamp_min(1e-6)
    total = 0.5 * torch.logaddexp(2 * harmonics + voiced.log(), 2 * noisy)
    return total + conditioning.loudness[..., None] * NEPERS_PER_DB


def measured_envelope(envelopes: Tensor, conditioning: Conditioning, hop: int) -> Tensor:
    """Log amplitude envelope (B, N, P) that CheapTrick would read in the synthesised audio, in nepers.

    It is the sum of what it reads in both excitations, each filtered; so it has the scatter of noise and the smear of
    an f0 that moves, as that of a recording has. Their cross terms are left out.

    Args:
        envelopes: log envelopes (B, N, 2, P) of harmonics and noise of unit power.
        conditioning: of the segments.
        hop: samples in a frame.
    """
    c = conditioning
    with torch.no_grad():
        excitations = harmonic(c.f0, c.phase, c.voiced, hop, 0), noise(c.start_frame, c.frames, hop)
        readings = [spectral_envelope(excitation, c.f0, hop, envelopes.shape[-1]) for excitation in excitations]
    harmonics, noisy = (envelopes.float() + torch.stack(readings, dim=2)).unbind(dim=2)
    return 0.5 * torch.logaddexp(2 * harmonics, 2 * noisy) + c.loudness[..., None] * NEPERS_PER_DB


def relative_envelope(envelopes: Tensor, conditioning: Conditioning, band: Tensor, hop: int) -> Tensor:
    """Log envelopes (B, N, P) relative to the loudness of the loudest frame, and very low above the band (B,) in Hz."""
    frequency = torch.linspace(0, hop * FRAMES_PER_SECOND / 2, envelopes.shape[-1], device=envelopes.device)
    outside = frequency > BAND_SHARE * copy_to(band, envelopes.device)[:, None, None]
    loudest = conditioning.loudness.amax(dim=-1)[:, None, None] * NEPERS_PER_DB
    return (envelopes - loudest).masked_fill(outside, math.log(POWER_FLOOR))


def spectral_envelope(audio: Tensor, f0: Tensor, hop: int, points: int) -> Tensor:
    """Log amplitude envelope (B, N, P) by CheapTrick, in nepers; white noise of unit power reads about 0.

    Args:
        audio: (B, T).
        f0: (B, N) Hz, also in unvoiced frames; of the batch of the audio.
        hop: samples in a frame of 10 ms.
        points: P, from 0 Hz to Nyquist.
    """
    rate = hop * FRAMES_PER_SECOND
    power, f0 = pitch_adaptive_power(audio, f0, hop, PERIODS)
    size = 2 * (power.shape[-1] - 1)
    logarithm = 0.5 * _smooth(power, SMOOTHING * f0 * size / rate).log()
    cycles = torch.arange(size // 2 + 1, device=audio.device) / rate * f0
    lifter = torch.sinc(cycles) * (1 + 2 * COMPENSATION * (1 - torch.cos(2 * torch.pi * cycles)))
    cepstrum = torch.fft.irfft(logarithm, n=size)
    lifter = torch.cat([lifter, lifter[..., 1:-1].flip(-1)], dim=-1)
    smooth = torch.fft.rfft(cepstrum * lifter).real
    position = torch.linspace(0, size // 2, points, device=audio.device)
    return _interpolate(smooth, position.expand(*smooth.shape[:-1], -1))


def pitch_adaptive_power(audio: Tensor, f0: Tensor, hop: int, periods: float) -> tuple[Tensor, Tensor]:
    """Power spectrum (B, N, bins) of a Hann window of some periods of f0; white noise of unit power reads 1.

    Also returns f0 (B, N, 1), raised to what the longest window of this many periods can hold.
    """
    rate = hop * FRAMES_PER_SECOND
    size = 2 ** math.ceil(math.log2(periods * rate / F0_FLOOR))
    f0 = f0[..., None].clamp_min(periods * rate / size)
    seconds = (torch.arange(size, device=audio.device) - (size - 1) / 2) / rate
    phase = (seconds * f0 / periods).clamp(-0.5, 0.5)
    window = torch.cos(torch.pi * phase).square()
    window = window / window.square().sum(dim=-1, keepdim=True).sqrt()
    spectrum = torch.fft.rfft(frame(audio.float(), size, hop) * window)
    return spectrum.real.square() + spectrum.imag.square() + POWER_FLOOR, f0


def _smooth(power: Tensor, width: Tensor) -> Tensor:
    """Mean of a spectrum (B, N, bins) over a rectangle of a width (B, N, 1) in bins, mirrored at both ends.

    Spectra fall by about 12 dB an octave; they are made flat for the running sum, which is fp32 on every device.
    """
    bins = power.shape[-1]
    slope = 1 + (torch.arange(bins, device=power.device) / FLAT_BINS).square()
    flat, margin = power * slope, bins // 4
    mirrored = torch.cat([flat[..., 1 : margin + 1].flip(-1), flat, flat[..., -margin - 1 : -1].flip(-1)], dim=-1)
    integral = functional.pad(mirrored.cumsum(dim=-1), (1, 0))
    centre = torch.arange(bins, device=power.device) + margin + 0.5
    high, low = (_interpolate(integral, centre + side * width / 2) for side in (1, -1))
    return ((high - low) / (width * slope)).clamp_min(POWER_FLOOR)


def _interpolate(values: Tensor, position: Tensor) -> Tensor:
    """Linear interpolation of values (…, K) at positions (…, P) between 0 and K − 1."""
    index = position.long().clamp(0, values.shape[-1] - 2)
    low, high = values.gather(-1, index), values.gather(-1, index + 1)
    return low + (high - low) * (position - index).to(values.dtype)
