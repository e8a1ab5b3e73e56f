"""Frames on the 10 ms clock and their spectra."""

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
    window = torch.hann_window(size, dtype=audio.dtype, device=audio.device)
    spectrum: Tensor = torch.fft.rfft(frames * window, n=fft or size)
    return spectrum.abs().square() * (4.0 / float(window.sum()) ** 2)
