"""Waveform discriminators: several views of the same sound, each judged piece by piece."""

from abc import abstractmethod
from itertools import pairwise
from math import gcd

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm

from svc.config import DiscriminatorConfig

SLOPE = 0.2  # of the leaky rectifier
Judgement = tuple[Tensor, list[Tensor]]  # scores, and the activations of every hidden layer


class Discriminator(nn.Module):
    """Audio (B, T), and who is said to sing it (B, S), → one judgement for each view.

    Only a conditional one asks who: to what a piece sounds like in itself it adds how well its last activations fit the
    singer, by a projection (Miyato and Koyama 1802.05637).
    """

    def __init__(self, config: DiscriminatorConfig, views: int, singers: int):
        super().__init__()
        width = widths(config)[-1]
        self.fits = nn.ModuleList(nn.Linear(singers, width, bias=False) for _ in range(views * config.conditional))
        for weight in self.fits.parameters():
            nn.init.zeros_(weight)

    @abstractmethod
    def forward(self, audio: Tensor, singer: Tensor | None = None) -> list[Judgement]:
        """Scores (real is 1, fake is 0) and activations of every view."""

    def _judge(self, number: int, layers: nn.Module, signal: Tensor, singer: Tensor | None) -> Judgement:
        activations = []
        *hidden, last = layers.children()
        for layer in hidden:
            signal = functional.leaky_relu(layer(signal), SLOPE)
            activations.append(signal)
        scores = last(signal)
        if self.fits and singer is not None:
            wanted = self.fits[number](singer)
            scores = scores + torch.einsum("bc...,bc->b...", signal, wanted)[:, None]
        return scores, activations


class MultiScale(Discriminator):
    """The waveform at 1, 1/2, 1/4 … of its rate through strided grouped convolutions (MelGAN, 1910.06711)."""

    def __init__(self, config: DiscriminatorConfig, singers: int):
        super().__init__(config, config.scales, singers)
        self.views = nn.ModuleList(_scale_layers(config) for _ in range(config.scales))

    def forward(self, audio: Tensor, singer: Tensor | None = None) -> list[Judgement]:
        """Scores (B, 1, pieces) and activations (B, C, pieces) of every scale."""
        judgements = []
        signal = audio[:, None]
        for i, view in enumerate(self.views):
            if i:
                signal = functional.avg_pool1d(signal, 4, stride=2, padding=1, count_include_pad=False)
            judgements.append(self._judge(i, view, signal, singer))
        return judgements


class MultiPeriod(Discriminator):
    """The waveform folded at several periods, through two-dimensional convolutions (HiFi-GAN, 2010.05646)."""

    def __init__(self, config: DiscriminatorConfig, singers: int):
        super().__init__(config, len(config.periods), singers)
        self.periods = config.periods
        self.views = nn.ModuleList(_period_layers(config) for _ in config.periods)

    def forward(self, audio: Tensor, singer: Tensor | None = None) -> list[Judgement]:
        """Scores (B, 1, pieces, period) and activations (B, C, pieces, period) of every period."""
        judgements = []
        for i, (period, view) in enumerate(zip(self.periods, self.views, strict=True)):
            padded = functional.pad(audio[:, None], (0, -audio.shape[-1] % period), mode="reflect")
            judgements.append(self._judge(i, view, padded.unflatten(-1, (-1, period)), singer))
        return judgements


def build(config: DiscriminatorConfig, singers: int) -> Discriminator:
    """The discriminator of a configuration."""
    return {"multi_scale": MultiScale, "multi_period": MultiPeriod}[config.kind](config, singers)


def widths(config: DiscriminatorConfig) -> list[int]:
    """Channels of the hidden layers."""
    return [min(config.max_channels, config.channels * 4**i) for i in range(len(config.strides) + 1)]


def _scale_layers(config: DiscriminatorConfig) -> nn.Sequential:
    wide = widths(config)
    layers = [nn.Conv1d(1, wide[0], 15, padding=7)]
    for stride, before, after in zip(config.strides, wide[:-1], wide[1:], strict=True):
        groups = gcd(max(1, before // 4), before, after)
        layers.append(nn.Conv1d(before, after, 10 * stride + 1, stride, 5 * stride, groups=groups))
    layers.append(nn.Conv1d(wide[-1], wide[-1], 5, padding=2))
    layers.append(nn.Conv1d(wide[-1], 1, 3, padding=1))
    return nn.Sequential(*(weight_norm(layer) for layer in layers))


def _period_layers(config: DiscriminatorConfig) -> nn.Sequential:
    wide = [1, *widths(config)]
    layers = [nn.Conv2d(before, after, (5, 1), (3, 1), (2, 0)) for before, after in pairwise(wide)]
    layers.append(nn.Conv2d(wide[-1], 1, (3, 1), padding=(1, 0)))
    return nn.Sequential(*(weight_norm(layer) for layer in layers))
