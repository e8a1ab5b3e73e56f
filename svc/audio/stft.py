"""Framing on the 10 ms clock, short-time Fourier spectra (STFT), mel filter bank and A-weighted loudness."""

from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from svc.audio.weighting import a_weighting
from svc.utils.hardware import copy_to
from svc.utils.units import hop_samples

FLOOR = -100.0  # dB of A-weighted loudness
WINDOW_FRAMES = 4  # of 10 ms, of A-weighted loudness
HZ_PER_MEL = 200 / 3  # up to 1 kHz, then 27 mels for a factor of 6.4
BREAK_MEL, LOG_STEP = 15.0, np.log(6.4) / 27


def linear_interpolation(points: int, position: Tensor) -> Tensor:
    """Matrix (points, K) of linear interpolation: values (…, points) times it are values at positions (K,)."""
    distance = position - torch.arange(points, device=position.device)[:, None]
    return (1 - distance.abs()).clamp_min(0)


def frame(audio: Tensor, size: int, hop: int) -> Tensor:
    """Overlapping frames, frame n centred on sample (n + 1/2)·hop; silence is assumed around the audio.

    Args:
        audio: (B, T).
        size: samples in a frame.
        hop: samples between frames.

    Returns:
        (B, N, size), N = T // hop.
    """
    count = audio.shape[-1] // hop
    if not count:
        return audio.new_zeros(*audio.shape[:-1], 0, size)
    after = (size - hop) // 2
    before = size - hop - after  # gets the odd sample, so that sample t weighs most in frame t // hop
    padded = functional.pad(audio[..., : count * hop], (before, after))
    return padded.unfold(-1, size, hop)


def power_spectrogram(audio: Tensor, size: int, hop: int, fft: int | None = None) -> Tensor:
    """Power of Hann-windowed frames, (B, N, fft // 2 + 1); a full-scale sine reads 0 dB over its main lobe.

    Args:
        audio: (B, T).
        size: samples in a frame.
        hop: samples between frames.
        fft: length of the transform, ``size`` if not given.
    """
    frames = frame(audio, size, hop)
    if not frames.numel():  # the FFT of the MKL refuses an empty batch
        return audio.new_zeros(*frames.shape[:-1], (fft or size) // 2 + 1)
    window = torch.hann_window(size, dtype=audio.dtype)  # on the CPU, where its sum is no host sync
    spectrum = rfft_cheap_grad(frames * copy_to(window, audio.device), fft or size)
    return (spectrum.real.square() + spectrum.imag.square()) * (4.0 / float(window.sum()) ** 2)  # abs() is slow


def a_weighted_loudness(audio: Tensor, sample_rate: int) -> Tensor:
    """A-weighted level of 40 ms Hann windows, as in DDSP (Engel et al. 2020).

    Args:
        audio: (B, T).
        sample_rate: Hz.

    Returns:
        (B, N) dB; a full-scale 1 kHz sine reads 0, silence reads −100. A 100 Hz sine reads 0.25 dB high: the
        weighting bends within the width of the window's spectrum.
    """
    hop = hop_samples(sample_rate)
    size = WINDOW_FRAMES * hop
    power = power_spectrogram(audio, size, hop) @ copy_to(_weights(size, sample_rate).to(audio.dtype), audio.device)
    return 10 * torch.log10(power + 10 ** (FLOOR / 10))


@lru_cache
def _weights(size: int, sample_rate: int) -> Tensor:
    """A-weighting of each bin as a power gain, over the spectral spread of the Hann window (1.5 bins)."""
    decibels = a_weighting(np.maximum(np.fft.rfftfreq(size, 1 / sample_rate), 1.0))
    return torch.from_numpy(10 ** (decibels / 10) / 1.5)


def mel_filters(rate: float, fft: int, bands: int, low: float, high: float) -> NDArray[np.float64]:
    """Mel filter bank on Slaney's scale: triangular filters (bands, fft // 2 + 1) of height 1.

    The numbers of librosa's, without its second of imports.

    Args:
        rate: Hz.
        fft: samples of the transform.
        bands: number of filters.
        low, high: Hz, edges of the first and the last.
    """
    edges = _mel_to_hz(np.linspace(_hz_to_mel(low), _hz_to_mel(high), bands + 2))[:, None]
    frequencies = np.fft.rfftfreq(fft, 1 / rate)
    rising = (frequencies - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - frequencies) / (edges[2:] - edges[1:-1])
    return np.maximum(0.0, np.minimum(rising, falling))


def _hz_to_mel(hz: float) -> float:
    mel = hz / HZ_PER_MEL
    return mel if mel < BREAK_MEL else BREAK_MEL + float(np.log(mel / BREAK_MEL)) / LOG_STEP


def _mel_to_hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    return HZ_PER_MEL * np.where(mel < BREAK_MEL, mel, BREAK_MEL * np.exp(LOG_STEP * (mel - BREAK_MEL)))


def rfft_cheap_grad(frames: Tensor, size: int) -> Tensor:
    """Spectrum (…, size // 2 + 1) of real frames (…, length ≤ size), as ``torch.fft.rfft``; its gradient is cheaper.

    The library computes the gradient by a complex transform of full length.
    """
    with_gradient = torch.is_grad_enabled() and frames.requires_grad
    spectrum: Tensor = _RealSpectrum.apply(frames, size) if with_gradient else torch.fft.rfft(frames, n=size)
    return spectrum


class _RealSpectrum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, frames: Tensor, size: int) -> Tensor:
        ctx.size, ctx.length = size, frames.shape[-1]
        return torch.fft.rfft(frames, n=size)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        mirrored = torch.full((ctx.size // 2 + 1,), ctx.size / 2, device=gradient.device)
        mirrored[0] = ctx.size  # 0 Hz and Nyquist are there once, all others twice
        if ctx.size % 2 == 0:
            mirrored[-1] = ctx.size
        return torch.fft.irfft(gradient * mirrored, n=ctx.size)[..., : ctx.length], None
