"""From a spectrogram back to audio: fast Griffin–Lim (Perraudin et al. 2013), or a filter on the content itself."""

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from svc.audio.files import Samples
from svc.encoders.spectrogram import magnitude
from svc.style.presets import StyleConfig

MOMENTUM = 0.99  # of fast Griffin–Lim
POINTS = 32  # of a spectral envelope, evenly spaced in mel
MAX_GAIN = 3.5  # nepers, 30 dB
EPS = 1e-5  # power


def stft(samples: Samples, config: StyleConfig) -> Tensor:
    """Complex spectrogram (1, bins, N) of samples (T,), not scaled, N = T // hop + 1."""
    audio, window = torch.from_numpy(samples)[None], torch.hann_window(config.window)
    return torch.stft(audio, config.fft, config.hop, config.window, window, return_complex=True)


def istft(spectrum: Tensor, length: int, config: StyleConfig) -> Samples:
    """Samples (T,) of a complex spectrogram (1, bins, N)."""
    window = torch.hann_window(config.window)
    return np.asarray(torch.istft(spectrum, config.fft, config.hop, config.window, window, length=length)[0])


def reconstruct(spectrogram: Tensor, content: Tensor, length: int, config: StyleConfig) -> Samples:
    """Samples (T,) of log(1 + |STFT|) (1, bins, N), with the content's complex spectrogram at hand."""
    if config.phase == "envelope":
        return istft(content * torch.exp(envelope_change(spectrogram, content, config.sample_rate)), length, config)
    wanted = magnitude(spectrogram)
    phase, momentum = torch.sgn(content), MOMENTUM
    if config.phase == "random":
        angle = 2 * torch.pi * torch.rand(wanted.shape, generator=torch.Generator().manual_seed(config.seed))
        phase, momentum = torch.polar(torch.ones_like(wanted), angle), 0.0
    return istft(griffin_lim(wanted, phase, length, config, momentum), length, config)


def griffin_lim(wanted: Tensor, phase: Tensor, length: int, config: StyleConfig, momentum: float = MOMENTUM) -> Tensor:
    """Complex spectrogram of magnitudes (1, bins, N), its phase made consistent from a start exp(iφ).

    A momentum of 0 is the algorithm of Griffin and Lim (1984).
    """
    before = torch.zeros_like(phase)
    for _ in range(config.griffin_lim_rounds):
        projected = stft(istft(wanted * phase, length, config), config)
        phase = torch.sgn(projected + momentum * (projected - before))
        before = projected
    return wanted * phase


def envelope_change(spectrogram: Tensor, content: Tensor, sample_rate: int) -> Tensor:
    """Change of the spectral envelope, log gain (1, bins, N), from the content's spectrum to log(1 + |STFT|)."""
    points = mel_points(sample_rate, content.shape[1])
    bank = points / points.sum(dim=1, keepdim=True)
    bands = [torch.log(bank @ power + EPS) for power in (magnitude(spectrogram).square(), content.abs().square())]
    return points.T @ (0.5 * (bands[0] - bands[1])).clamp(-MAX_GAIN, MAX_GAIN)


@lru_cache
def mel_points(sample_rate: int, bins: int) -> Tensor:
    """Linear interpolation (32, bins) between points that are evenly spaced in mel."""
    mel = np.log1p(np.linspace(0, sample_rate / 2, bins) / 700)
    place = mel / mel[-1] * (POINTS - 1)
    return torch.from_numpy(np.maximum(0, 1 - np.abs(place - np.arange(POINTS)[:, None]))).float()
