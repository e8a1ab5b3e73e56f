"""Multi-resolution STFT loss (Arik et al. 1808.06719; Yamamoto et al. 1910.11480), and the band limit of its audio.

With a second sample of the generator, the loss is the generalised energy distance (Gritsenko et al. 2008.01160).
"""

import torch
from torch import Tensor
from torch.nn import functional

from svc.audio.stft import rfft_cheap_grad
from svc.audio.weighting import weight
from svc.config import LossConfig
from svc.utils.hardware import copy_to

FLOOR = 1e-5  # magnitude of a full-scale sine is about size / 4
MIN_LEVEL = 3e-3  # level of white noise as loud as the softest segment that has its own norm
HANN_POWER = 0.375  # mean square of the window
TRANSITION_HZ = 400.0  # width of the low-pass, below the band limit


def reconstruction_losses(
    *, fake: Tensor, real: Tensor, config: LossConfig, sample_rate: int, fake2: Tensor | None = None
) -> dict[str, Tensor]:
    """Losses of audio (B, T) that need the real audio: ``spectral``, and with ``fake2`` ``energy_repulsion``.

    Args:
        fake: output of the generator.
        real: recorded audio.
        config: scales, and the frequency weighting of all audio. It moves the convergence to what is loud to the ear;
            the log magnitude, a ratio in every bin, it hardly changes.
        sample_rate: Hz.
        fake2: second sample of the generator for the same conditioning, without gradient. ``energy_repulsion`` is
            −E‖X − X′‖, the second term of the energy distance: without it the generator under-produces noise.
    """
    if config.weighting != "none":
        fake, real = (weight(audio, config.weighting, sample_rate) for audio in (fake, real))
        fake2 = None if fake2 is None else weight(fake2, config.weighting, sample_rate)
    losses = multi_resolution_stft_loss(fake=fake, real=real, scales=config.scales, fake2=fake2)
    spectral = {"spectral": losses["convergence"] + losses["log_magnitude"]}
    return spectral if fake2 is None else spectral | {"energy_repulsion": losses["energy_repulsion"]}


def multi_resolution_stft_loss(
    *, fake: Tensor, real: Tensor, scales: tuple[int, ...], fake2: Tensor | None = None
) -> dict[str, Tensor]:
    """Multi-resolution STFT loss: spectral convergence and log magnitude, each a mean over the scales.

    The convergence is ‖|R| − |F|‖ / ‖|R|‖ (Frobenius norm) of a segment, averaged over the segments, so that the
    micro batches of a batch add up to it. The norm of a segment is at least that of −50 dB. The log magnitude term is
    E|log|R| − log|F|| in nepers (1910.11480, eqs. 4–7). Audio is (B, T); scales are FFT sizes in samples, with Hann
    windows of the same size and a hop of a quarter; ``fake2`` is a second sample for the same conditioning.

    Returns:
        ``convergence`` and ``log_magnitude``, and with ``fake2`` also ``energy_repulsion``: the negative sum of both
        with ``fake2`` in the place of ``real``, but with the norm of ``real``.
    """
    losses: dict[str, list[Tensor]] = {}
    for size in scales:
        fake_spectrum, real_spectrum = magnitude(fake, size), magnitude(real, size)
        min_norm = MIN_LEVEL * (HANN_POWER * size * real_spectrum[0].numel()) ** 0.5
        norm = torch.linalg.vector_norm(real_spectrum, dim=(1, 2)).clamp_min(min_norm)
        of_scale = {
            "convergence": _convergence(fake_spectrum, real_spectrum, norm),
            "log_magnitude": _log_magnitude(fake_spectrum, real_spectrum),
        }
        if fake2 is not None:
            spectrum2 = magnitude(fake2, size)
            of_scale["energy_repulsion"] = -_convergence(fake_spectrum, spectrum2, norm) - _log_magnitude(
                fake_spectrum, spectrum2
            )
        for name, loss in of_scale.items():
            losses.setdefault(name, []).append(loss)
    return {name: torch.stack(values).mean() for name, values in losses.items()}


def _convergence(fake: Tensor, real: Tensor, norm: Tensor) -> Tensor:
    return (torch.linalg.vector_norm(real - fake, dim=(1, 2)) / norm).mean()


def _log_magnitude(fake: Tensor, real: Tensor) -> Tensor:
    return (real.log() - fake.log()).abs().mean()


def magnitude(audio: Tensor, size: int) -> Tensor:
    """Magnitude spectrogram (B, frames, size // 2 + 1) of audio (B, T), with a floor."""
    frames = functional.pad(audio.float(), (size // 2, size // 2)).unfold(-1, size, size // 4)
    spectrum = rfft_cheap_grad(frames * torch.hann_window(size, device=audio.device), size)
    return (spectrum.real.square() + spectrum.imag.square() + FLOOR**2).sqrt()


def limit_band(audio: Tensor, band: Tensor, sample_rate: int) -> Tensor:
    """Low-pass audio (B, T) at the band limit (B,) of each item, in Hz: no loss compares what a recording lacks.

    Unchanged where all limits are Nyquist. The limits are on the CPU. Zero phase, by the spectrum of the whole segment,
    with a raised-cosine edge.
    """
    if bool((band >= sample_rate / 2).all()):
        return audio
    spectrum = torch.fft.rfft(audio.float())
    frequency = torch.linspace(0, sample_rate / 2, spectrum.shape[-1])
    below = ((band.float()[:, None] - frequency) / TRANSITION_HZ).clamp(0, 1)
    below = torch.where((band < sample_rate / 2)[:, None], below, 1.0)
    gain = 0.5 - 0.5 * torch.cos(torch.pi * below)
    return torch.fft.irfft(spectrum * copy_to(gain, audio.device), n=audio.shape[-1])
