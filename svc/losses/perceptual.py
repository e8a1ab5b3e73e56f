"""Perceptual (deep-feature) losses on layers of frozen encoders (Gatys et al. 1508.06576; Polyak et al. 2008.02830).

An encoder such as CREPE or the phone model compares the generator's audio with the real one in its layers. Converted
audio, of which there is no recording, is compared with the segment it was converted from.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

import torch
from torch import Tensor, distributed
from torchaudio.transforms import Resample

from svc import encoders
from svc.config import Config, PerceptualLossConfig
from svc.encoders.base import Encoder
from svc.features.conditioning import select_items

Layers = Mapping[str, Tensor]

INPUT_RMS = 0.1  # of the real audio at the input of an encoder
EPS = 1e-5  # keeps the distance to silence finite


@dataclass(frozen=True, slots=True)
class LossInputs:
    """Audio of a micro batch of B segments, of which K are also converted to other speakers.

    Attributes:
        fake: (B + K, T) output of the generator, scaled like ``real``.
        real: (B, T) recorded audio at unit power.
        converted_from: indices of the K segments that are converted.
        speaker: (B + K, S) speaker weights of ``fake``.
        voiced: (B, N) voiced frames.
    """

    fake: Tensor
    real: Tensor
    converted_from: list[int]
    speaker: Tensor
    voiced: Tensor


class AudioLoss(Protocol):
    """Loss on audio through a frozen encoder.

    Attributes:
        segment_seconds: length of the window of each segment that it gets.
    """

    segment_seconds: float

    def to(self, device: torch.device | str) -> Self:
        """Move it to a device."""
        ...

    def __call__(self, inputs: LossInputs) -> tuple[Tensor, Tensor | None]:
        """Reconstruction loss, and conversion loss or None, each a mean over the segments."""
        ...


class PerceptualLoss:
    """Perceptual loss: distance of the activations of a frozen encoder.

    Attributes:
        encoder: in eval mode, without gradients for its weights.
        config: layers and distance.
        segment_seconds: length of the window of each segment that it gets.
        balance: weights of the layers in the reconstruction.
    """

    def __init__(self, encoder: Encoder, config: PerceptualLossConfig, rate: int, micro_batches: int = 1) -> None:
        self.encoder, self.config, self.segment_seconds = encoder, config, config.segment_seconds
        self.balance: LayerBalance | UncertaintyWeights = (
            UncertaintyWeights(config.uncertainty_rate / micro_batches, len(config.layers))
            if config.uncertainty_rate
            else LayerBalance(config.balance_after_steps * micro_batches, len(config.layers))
        )
        self._resample = Resample(rate, encoder.sample_rate)

    def to(self, device: torch.device | str) -> Self:
        """Move it to a device."""
        self.encoder.to(device)
        self._resample.to(device)
        self.balance.to(device)
        return self

    def features(self, audio: Tensor) -> dict[str, Tensor]:
        """Activations (B, C, N) of all layers for audio (B, T) at unit power."""
        return self.encoder(self._resample(INPUT_RMS * audio))

    def __call__(self, inputs: LossInputs) -> tuple[Tensor, Tensor | None]:
        """Distance of reconstructed segments from the real ones, and of converted ones from their sources."""
        fake = self.features(inputs.fake)
        with torch.no_grad():
            real = self.features(inputs.real)
        size, sources = len(inputs.real), inputs.converted_from
        frame_mask = inputs.voiced if self.config.voiced_frames_only else None
        reconstructed = {layer: values[:size] for layer, values in fake.items()}
        reconstruction = self.balance(self.distances(reconstructed, real, self.config.layers, frame_mask))
        if not sources:
            return reconstruction, None
        converted = {layer: values[size:] for layer, values in fake.items()}
        source = {layer: select_items(values, sources) for layer, values in real.items()}
        source_mask = None if frame_mask is None else select_items(frame_mask, sources)
        return reconstruction, self.distances(converted, source, self.config.conversion_layers, source_mask).mean()

    def distances(self, fake: Layers, real: Layers, names: Sequence[str], frame_mask: Tensor | None = None) -> Tensor:
        """Mean distance over segments in each layer (L,).

        Args:
            fake: activations (B, C, N) of generated audio by layer.
            real: activations of the real audio, or of the source of a conversion.
            names: layers.
            frame_mask: (B, N) frames that count; all by default. The distance of a segment without any is 0.
        """
        measure = DISTANCES[self.config.distance]
        first = fake[names[0]]
        mask = torch.ones_like(first[:, :1]) if frame_mask is None else frame_mask.to(first.dtype)[:, None]
        return torch.stack([measure(fake[name], real[name], mask).mean() for name in names])


class LayerBalance:
    """Layer weights of deep feature losses (Germain et al. 1806.10522): 1 / mean loss of each layer early in training.

    The mean of the layers, unweighted at first. In the last tenth of the first calls the mean loss of each layer is
    measured; from then on each layer is divided by it, so that all begin at 1. All processes have the same weights.

    Attributes:
        calls: in training, so far.
        first_calls: without weights; 0 for no weights at all.
        total: (L,) sum of what was measured.
        count: (L,) number of finite values in it.
    """

    def __init__(self, first_calls: int, layers: int) -> None:
        self.calls, self.first_calls = 0, first_calls
        self.total, self.count = torch.zeros(2, layers)

    def to(self, device: torch.device | str) -> None:
        """Move it to a device."""
        self.total, self.count = self.total.to(device), self.count.to(device)

    def __call__(self, distances: Tensor) -> Tensor:
        """Weighted mean () of the distances (L,) in the layers."""
        self.calls += 1
        if self.calls > self.first_calls > 0:
            means = torch.where(self.count > 0, self.total / self.count, 1.0)
            distances = distances / means.clamp_min(EPS)
        elif self.calls > 0.9 * self.first_calls > 0:
            values = distances.detach().clone()
            if distributed.is_initialized():
                distributed.all_reduce(values)
                values /= distributed.get_world_size()
            finite = values.isfinite()
            self.total += torch.where(finite, values, 0)
            self.count += finite
        return distances.mean()

    def state(self) -> dict[str, Any]:
        """All that a checkpoint has to hold, as plain numbers."""
        return {"calls": self.calls, "total": self.total.tolist(), "count": self.count.tolist()}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Take what ``state`` gave, unless it is of other layers."""
        if len(state.get("total", ())) == len(self.total):
            self.calls = int(state["calls"])
            self.total, self.count = (torch.tensor(state[key]).to(self.total) for key in ("total", "count"))


class UncertaintyWeights:
    """Weights by uncertainty (Kendall et al. 1705.07115): each layer has exp(−s), and s minimises exp(−s)·L + s.

    The optimum is s = log L: all layers then weigh the same, as by ``LayerBalance``, but for the whole training.

    Attributes:
        rate: of the gradient descent of s at each call.
        log_scale: s (L,), 0 at first.
    """

    def __init__(self, rate: float, layers: int) -> None:
        self.rate, self.log_scale = rate, torch.zeros(layers)

    def to(self, device: torch.device | str) -> None:
        """Move it to a device."""
        self.log_scale = self.log_scale.to(device)

    def __call__(self, distances: Tensor) -> Tensor:
        """Weighted mean () of the distances (L,) in the layers; s moves by one step after it."""
        weighted = distances * torch.exp(-self.log_scale)
        slope = 1 - weighted.detach()
        if distributed.is_initialized():
            distributed.all_reduce(slope)
            slope /= distributed.get_world_size()
        self.log_scale = self.log_scale - self.rate * torch.where(slope.isfinite(), slope.clamp_min(-1), 0)
        return weighted.mean()

    def state(self) -> dict[str, Any]:
        """All that a checkpoint has to hold, as plain numbers."""
        return {"log_scale": self.log_scale.tolist()}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Take what ``state`` gave, unless it is of other layers or another rule."""
        if len(state.get("log_scale", ())) == len(self.log_scale):
            self.log_scale = torch.tensor(state["log_scale"]).to(self.log_scale)


def l1(fake: Tensor, real: Tensor, mask: Tensor) -> Tensor:
    """L1 distance Σ|Δ| / Σ|real| (B,) of activations (B, C, N), over the frames of a mask (B, 1, N)."""
    return _sum((fake - real).abs() * mask) / _sum(real.abs() * mask).clamp_min(EPS)


def l2(fake: Tensor, real: Tensor, mask: Tensor) -> Tensor:
    """L2 distance ‖Δ‖ / ‖real‖ (B,) of activations (B, C, N), over the frames of a mask (B, 1, N)."""
    error, power = (_sum(values.square() * mask) for values in (fake - real, real))
    return ((error + EPS**2).sqrt() - EPS) / power.sqrt().clamp_min(EPS)  # finite slope at 0


def cosine(fake: Tensor, real: Tensor, mask: Tensor) -> Tensor:
    """Mean cosine distance (B,) over the channels of activations (B, C, N), over the frames of a mask (B, 1, N)."""
    distance = 1 - torch.nn.functional.cosine_similarity(fake, real, dim=1, eps=EPS)[:, None]
    return _sum(distance * mask) / _sum(mask).clamp_min(1)


def _sum(values: Tensor) -> Tensor:
    return values.sum(dim=(1, 2))


DISTANCES = {"l1": l1, "l2": l2, "cosine": cosine}


def build_perceptual_losses(config: Config) -> dict[str, PerceptualLoss]:
    """The perceptual losses of a config with a weight above 0, by name.

    Raises:
        WeightsError: the weights of an encoder are missing or damaged.
    """
    return {
        name: PerceptualLoss(
            encoders.load(options.encoder, random_weights=options.random_weights),
            options,
            config.sample_rate,
            config.train.gradient_accumulation_steps,
        )
        for name, options in config.perceptual.items()
        if options.weight or options.conversion_weight
    }
