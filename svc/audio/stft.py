"""Framing on the 10 ms clock and short-time Fourier spectra (STFT)."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional


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
    spectrum = rfft_cheap_grad(frames * window.to(audio.device), fft or size)
    return (spectrum.real.square() + spectrum.imag.square()) * (4.0 / float(window.sum()) ** 2)  # abs() is slow


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
