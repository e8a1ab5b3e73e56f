"""Error-to-signal ratio (ESR) and DC loss with pre-emphasis (Wright and Välimäki 1911.08922).

For reconstructions that are aligned to the sample. A converted voice has another phase, and its ESR says nothing.
"""

from torch import Tensor

from svc.audio.weighting import weight

EPS = 1e-8  # mean square of the target, at least


def esr(*, fake: Tensor, real: Tensor, sample_rate: int, weighting: str = "none") -> Tensor:
    """Error-to-signal ratio Σ|y − ŷ|² / Σ|y|² of audio (B, T), both filtered by a curve of ``audio.weighting``.

    The mean over the segments: 0 is perfect, 1 is silence, 4 the inverted target.
    """
    error = fake - real
    if weighting != "none":
        error, real = weight(error, weighting, sample_rate), weight(real, weighting, sample_rate)
    return (error.square().mean(dim=-1) / real.square().mean(dim=-1).clamp_min(EPS)).mean()


def dc_loss(*, fake: Tensor, real: Tensor) -> Tensor:
    """DC loss (mean(y − ŷ))² / mean(y²) of audio (B, T), the mean over the segments; pre-emphasis does not see it."""
    return ((fake - real).mean(dim=-1).square() / real.square().mean(dim=-1).clamp_min(EPS)).mean()
