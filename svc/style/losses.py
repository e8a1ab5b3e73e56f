"""Content and style losses on the layers of a frozen encoder (Gatys et al. 1508.06576)."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from svc.style.gram import GramTarget
from svc.style.layers import Layers
from svc.style.presets import StyleConfig


@dataclass(frozen=True, slots=True)
class Target:
    """What a layer is compared with, and the units of its loss."""

    content: Tensor | None
    gram: GramTarget | None
    content_scale: float
    gram_scale: float = 1.0
    gram_divisor: float = 1.0


class StyleObjective:
    """Weighted sum of content loss, style loss and L2 penalty of a spectrogram.

    Units of the losses by ``form``, for layers of C channels, H bins and W frames (D = C · H):

    - ``relative``: Gram / frames, of those within 40 dB of the loudest; shares of the target's squared norm, by layer.
    - ``sum``: Σ (ΔF)², Σ (ΔG)² of the bare Gram, as in Perez et al.
    - ``random-cnn-2d``: Σ (ΔF)² / 4CHW, Σ (ΔG)² / 4C²HW, the Gram not divided, so that it grows with the length.
    - ``ulyanov``: Gram / frames; sums. ``mean``: the same with means over all elements, as in the shallow net.
    - ``size``: Gram / CHW, means, as in the VGGish notebook.

    Spectrograms of content and style are log(1 + |STFT|) (1, bins, N), layers (1, C, H, W) or (1, C, W).
    """

    def __init__(self, layers: Callable[[Tensor], Layers], content: Tensor, style: Tensor, config: StyleConfig) -> None:
        self.layers, self.config = layers, config
        with torch.no_grad():
            of_content, of_style = layers(content), layers(style)
        self.active = _active(content)
        names = dict.fromkeys([*config.content_layers, *config.style_layers])
        self.targets = {name: self._target(name, of_content[name], of_style[name], _active(style)) for name in names}

    def __call__(self, spectrogram: Tensor) -> dict[str, Tensor]:
        """``total`` and the unweighted ``content``, ``style`` and ``l2``, each (), in double precision."""
        layers, config = self.layers(spectrogram), self.config
        content = style = spectrogram.new_zeros((), dtype=torch.float64)
        for name, target in self.targets.items():
            if target.content is not None:
                content = content + target.content_scale * (layers[name] - target.content).square().sum().double()
            if target.gram is not None:
                features = self._matrix(layers[name], self.active)
                style = style + target.gram_scale * target.gram.distance(features, target.gram_divisor)
        l2 = spectrogram.square().mean().double()
        total = config.content_weight * content + config.style_weight * style + config.l2 * l2
        return {"total": total, "content": content, "style": style, "l2": l2}

    def _target(self, name: str, content: Tensor, style: Tensor, active: Tensor) -> Target:
        form, size, channels = self.config.form, content.numel(), content.shape[1]
        wanted = content if name in self.config.content_layers else None
        power = max(float(content.square().sum()), 1e-12)
        scales = {"relative": 1 / power, "sum": 1.0, "ulyanov": 1.0, "random-cnn-2d": 1 / (4 * size)}
        content_scale = scales.get(form, 1 / size)
        if name not in self.config.style_layers:
            return Target(wanted, None, content_scale)
        matrices = self._matrix(content, self.active), self._matrix(style, active)
        divisors = [
            {"sum": 1.0, "random-cnn-2d": 1.0, "size": layer.numel()}.get(form, matrix.shape[1])
            for layer, matrix in zip((content, style), matrices, strict=True)
        ]
        gram = GramTarget(matrices[1], divisors[1])
        norm = max(float(gram.norm), 1e-30)
        scales = {"relative": 1 / norm, "sum": 1.0, "ulyanov": 1.0, "random-cnn-2d": 1 / (4 * channels * size)}
        return Target(wanted, gram, content_scale, scales.get(form, 1 / len(matrices[1]) ** 2), divisors[0])

    def _matrix(self, layer: Tensor, active: Tensor) -> Tensor:
        """Features (D, positions): all channels × bins over time, or the channels over bins and time."""
        if self.config.form == "relative":
            places = (torch.arange(layer.shape[-1]) + 0.5) * len(active) / layer.shape[-1]
            layer = layer[..., active[places.long()]]
        return layer[0].flatten(0, -2) if self.config.gram_axis == "time" else layer[0].flatten(1)


def _active(spectrogram: Tensor) -> Tensor:
    """Mask (N,) of the frames within 40 dB of the loudest."""
    power = torch.expm1(spectrogram[0]).square().sum(dim=0)
    return power > 1e-4 * power.max()
