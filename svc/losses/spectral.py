"""The multi-scale spectral loss: spectral convergence for the peaks, log magnitude for the quiet parts."""

import torch
from torch import Tensor
from torch.nn import functional

from svc.audio.spectrogram import real_spectrum

FLOOR = 1e-5  # magnitude of a full-scale sine is about size / 4


def spectral_loss(*, fake: Tensor, real: Tensor, scales: tuple[int, ...]) -> dict[str, Tensor]:
    """Both terms, each averaged over the scales (Arik et al. 1808.06719; 1910.11480, eqs. 4–7).

    Convergence is ‖|R| − |F|‖ / ‖|R|‖ in the Frobenius norm over the whole batch, so that a silent crop cannot
    blow it up; the log term is E|log|R| − log|F|| in nepers.

    Args:
        fake: (B, T).
        real: (B, T).
        scales: FFT sizes in samples; Hann windows as long, hop a quarter.

    Returns:
        ``convergence`` and ``log_magnitude``.
    """
    convergence, log_magnitude = [], []
    for size in scales:
        guess, truth = magnitude(fake, size), magnitude(real, size)
        convergence.append(torch.linalg.vector_norm(truth - guess) / torch.linalg.vector_norm(truth).clamp_min(FLOOR))
        log_magnitude.append((truth.log() - guess.log()).abs().mean())
    return {
        "convergence": torch.stack(convergence).mean(),
        "log_magnitude": torch.stack(log_magnitude).mean(),
    }


def magnitude(audio: Tensor, size: int) -> Tensor:
    """Magnitude spectrogram (B, frames, size // 2 + 1) of audio (B, T), never quite zero."""
    frames = functional.pad(audio.float(), (size // 2, size // 2)).unfold(-1, size, size // 4)
    spectrum = real_spectrum(frames * torch.hann_window(size, device=audio.device), size)
    return (spectrum.real.square() + spectrum.imag.square() + FLOOR**2).sqrt()
