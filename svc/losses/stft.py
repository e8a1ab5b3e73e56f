"""The multi-scale spectral loss: spectral convergence for the peaks, log magnitude for the quiet parts."""

import torch
from torch import Tensor
from torch.nn import functional

from svc.audio.stft import real_spectrum

FLOOR = 1e-5  # magnitude of a full-scale sine is about size / 4
QUIETEST = 3e-3  # level of white noise as loud as the quietest crop that is worth its own norm
HANN = 0.375  # mean square of the window


def spectral_loss(
    *, fake: Tensor, real: Tensor, scales: tuple[int, ...], other: Tensor | None = None
) -> dict[str, Tensor]:
    """All terms, each averaged over the scales (Arik et al. 1808.06719; 1910.11480, eqs. 4–7).

    Convergence is ‖|R| − |F|‖ / ‖|R|‖ in the Frobenius norm over a crop, averaged over the crops, so that a batch is
    worth as much in parts; a silent crop counts as one of −50 dB. The log term is E|log|R| − log|F|| in nepers.

    Args:
        fake: (B, T).
        real: (B, T).
        scales: FFT sizes in samples; Hann windows as long, hop a quarter.
        other: (B, T) another rendition than the fake one, if there is one.

    Returns:
        ``convergence`` and ``log_magnitude``, and of the other rendition ``repulsion``, the negative sum of the same
        with it in the place of the truth, but for the norm.
    """
    terms: dict[str, list[Tensor]] = {}
    for size in scales:
        guess, truth = magnitude(fake, size), magnitude(real, size)
        least = QUIETEST * (HANN * size * truth[0].numel()) ** 0.5
        norm = torch.linalg.vector_norm(truth, dim=(1, 2)).clamp_min(least)
        found = {"convergence": _convergence(guess, truth, norm), "log_magnitude": _log_magnitude(guess, truth)}
        if other is not None:
            away = magnitude(other, size)
            found["repulsion"] = -_convergence(guess, away, norm) - _log_magnitude(guess, away)
        for name, term in found.items():
            terms.setdefault(name, []).append(term)
    return {name: torch.stack(values).mean() for name, values in terms.items()}


def _convergence(guess: Tensor, truth: Tensor, norm: Tensor) -> Tensor:
    return (torch.linalg.vector_norm(truth - guess, dim=(1, 2)) / norm).mean()


def _log_magnitude(guess: Tensor, truth: Tensor) -> Tensor:
    return (truth.log() - guess.log()).abs().mean()


def magnitude(audio: Tensor, size: int) -> Tensor:
    """Magnitude spectrogram (B, frames, size // 2 + 1) of audio (B, T), never quite zero."""
    frames = functional.pad(audio.float(), (size // 2, size // 2)).unfold(-1, size, size // 4)
    spectrum = real_spectrum(frames * torch.hann_window(size, device=audio.device), size)
    return (spectrum.real.square() + spectrum.imag.square() + FLOOR**2).sqrt()
