"""Band limit: low-pass of generated and real audio where the recording ends, so that no loss compares what it lacks."""

import torch
from torch import Tensor

TRANSITION_HZ = 400.0  # width of the low-pass, below the band limit


def limit_band(audio: Tensor, band: Tensor, sample_rate: int) -> Tensor:
    """Low-pass audio (B, T) at the band limit (B,) of each item, in Hz; unchanged where all limits are Nyquist.

    The limits are on the CPU. Zero phase, by the spectrum of the whole segment, with a raised-cosine edge.
    """
    if bool((band >= sample_rate / 2).all()):
        return audio
    spectrum = torch.fft.rfft(audio.float())
    frequency = torch.linspace(0, sample_rate / 2, spectrum.shape[-1])
    below = ((band.float()[:, None] - frequency) / TRANSITION_HZ).clamp(0, 1)
    below = torch.where((band < sample_rate / 2)[:, None], below, 1.0)
    gain = (0.5 - 0.5 * torch.cos(torch.pi * below)).to(audio.device)
    return torch.fft.irfft(spectrum * gain, n=audio.shape[-1])
