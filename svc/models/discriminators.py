"""Discriminators: mel and multi-resolution spectrograms, multi-scale and multi-period waveforms, or several of them."""

import math
from abc import abstractmethod
from collections.abc import Callable, Iterable
from itertools import pairwise
from math import gcd

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm
from torchaudio.functional import melscale_fbanks

from svc.audio.stft import linear_interpolation, rfft_cheap_grad
from svc.config import DiscriminatorConfig
from svc.utils.units import hop_samples

SLOPE = 0.2  # of the leaky ReLU
MAGNITUDE_FLOOR = 1e-2  # of spectrograms of audio at unit power, whose magnitudes are around the root of the FFT size
MEL_WINDOW_FRAMES = 4
MEL_FLOOR, MEL_MEAN, MEL_DEVIATION = 1e-3, 2.0, 3.0  # nepers of power, of audio at unit power
ENVELOPE_FLOOR, ENVELOPE_MEAN, ENVELOPE_DEVIATION = -8.0, -3.5, 3.0  # nepers, relative to the loudest frame
DiscriminatorOutput = tuple[Tensor, list[Tensor]]  # of one view: scores, and the activations of every hidden layer


class Discriminator(nn.Module):
    """Discriminator: audio (B, T) → one output for each view of it (spectrogram, scale or period)."""

    @abstractmethod
    def forward(self, audio: Tensor, speaker: Tensor | None = None) -> list[DiscriminatorOutput]:
        """Scores (trained to 1 for real and 0 for fake audio) and activations of every view.

        ``speaker``: embeddings (B, E), which only a speaker-aware discriminator reads.
        """


class MelDiscriminator(Discriminator):
    """Mel-spectrogram discriminator: 2-D convolutions on log-mel spectrograms at the frame rate.

    A generator trained by distances to the truth blurs the formants of a frame and their movement from frame to frame.
    This discriminator sees that within a hundred steps.
    """

    def __init__(self, config: DiscriminatorConfig, sample_rate: int, embedding_dim: int):  # noqa: ARG002
        super().__init__()
        self.hop = hop_samples(sample_rate)
        self.size = 2 ** math.ceil(math.log2(MEL_WINDOW_FRAMES * self.hop))
        filters = melscale_fbanks(self.size // 2 + 1, 40.0, sample_rate / 2, config.mel_bands, sample_rate)
        self.register_buffer("filters", filters, persistent=False)
        self.filters: Tensor
        self.views = nn.ModuleList([_mel_layers(config.channels)])

    def forward(self, audio: Tensor, speaker: Tensor | None = None) -> list[DiscriminatorOutput]:  # noqa: ARG002
        """Scores (B, 1, frames / 2, bands / 8) and activations (B, C, frames, bands) of the one view."""
        with torch.autocast(audio.device.type, enabled=False):  # the logarithm needs fp32
            mel = (_power(audio.float(), self.size, self.hop) @ self.filters + MEL_FLOOR).log()
        signal = ((mel - MEL_MEAN) / MEL_DEVIATION)[:, None].contiguous(memory_format=torch.channels_last)
        return [_run_view(self.views[0], signal)]


class EnvelopeDiscriminator(Discriminator):
    """Speaker-aware discriminator of spectral envelopes: its score has a projection term (Miyato and Koyama 2018).

    The term is the inner product of the last activations and a linear map of the speaker embedding. No audio is
    synthesised. Envelopes hardly show f0, so that a conversion is judged by the voice alone, in any range.
    """

    def __init__(self, config: DiscriminatorConfig, sample_rate: int, embedding_dim: int):
        super().__init__()
        self.nyquist = sample_rate / 2
        self.bands = config.mel_bands
        self.views = nn.ModuleList([_mel_layers(config.channels)])
        self.projection = nn.Linear(embedding_dim, 2 * config.channels, bias=False)

    def forward(self, audio: Tensor, speaker: Tensor | None = None) -> list[DiscriminatorOutput]:
        """Scores (B, 1, N / 2, bands / 8) and activations of log envelopes (B, N, P) in nepers, for ``audio``.

        0 nepers is the level of the loudest frame; ``speaker``: embeddings (B, E).
        """
        assert speaker is not None
        with torch.autocast(audio.device.type, enabled=False):  # logarithms need fp32
            warped = audio.float() @ mel_positions(audio.shape[-1], self.bands, self.nyquist, audio.device)
            level = 0.5 * torch.logaddexp(2 * warped, torch.full_like(warped, 2 * ENVELOPE_FLOOR))
        signal = ((level - ENVELOPE_MEAN) / ENVELOPE_DEVIATION)[:, None].contiguous(memory_format=torch.channels_last)
        scores, activations = _run_view(self.views[0], signal)
        direction = self.projection(functional.layer_norm(speaker.float(), speaker.shape[-1:]))
        return [(scores + torch.einsum("bcnf,bc->bnf", activations[-1], direction)[:, None], activations)]


class MultiResolutionDiscriminator(Discriminator):
    """Multi-resolution spectrogram discriminator (UnivNet, 2106.07889): 2-D convolutions on log magnitudes.

    It sees noise between harmonics and pulses between periods directly, wherever they lie in time.
    """

    def __init__(self, config: DiscriminatorConfig, sample_rate: int, embedding_dim: int):  # noqa: ARG002
        super().__init__()
        self.fft_sizes = config.fft_sizes
        self.views = nn.ModuleList(_spectrogram_layers(config.channels) for _ in config.fft_sizes)

    def forward(self, audio: Tensor, speaker: Tensor | None = None) -> list[DiscriminatorOutput]:  # noqa: ARG002
        """Scores (B, 1, frames, bands) and activations (B, C, frames, bands) of every FFT size."""
        outputs = []
        for size, view in zip(self.fft_sizes, self.views, strict=True):
            log_magnitude = 0.5 * (_power(audio, size, size // 4) + MAGNITUDE_FLOOR**2).log()
            signal = 0.5 * log_magnitude[:, None].contiguous(memory_format=torch.channels_last)
            outputs.append(_run_view(view, signal))
        return outputs


class MultiScaleDiscriminator(Discriminator):
    """Multi-scale discriminator (MelGAN, 1910.06711): strided grouped convolutions at 1, 1/2, 1/4 … of the rate."""

    def __init__(self, config: DiscriminatorConfig, sample_rate: int, embedding_dim: int):  # noqa: ARG002
        super().__init__()
        self.views = nn.ModuleList(_scale_layers(config) for _ in range(config.scales))

    def forward(self, audio: Tensor, speaker: Tensor | None = None) -> list[DiscriminatorOutput]:  # noqa: ARG002
        """Scores (B, 1, patches) and activations (B, C, patches) of every scale."""
        outputs = []
        signal = audio[:, None]
        for i, view in enumerate(self.views):
            if i:
                signal = functional.avg_pool1d(signal, 4, stride=2, padding=1, count_include_pad=False)
            outputs.append(_run_view(view, signal))
        return outputs


class MultiPeriodDiscriminator(Discriminator):
    """Multi-period discriminator (HiFi-GAN, 2010.05646): 2-D convolutions on the waveform folded at several periods."""

    def __init__(self, config: DiscriminatorConfig, sample_rate: int, embedding_dim: int):  # noqa: ARG002
        super().__init__()
        self.periods = config.periods
        self.views = nn.ModuleList(_period_layers(config) for _ in config.periods)

    def forward(self, audio: Tensor, speaker: Tensor | None = None) -> list[DiscriminatorOutput]:  # noqa: ARG002
        """Scores (B, 1, patches, period) and activations (B, C, patches, period) of every period."""
        outputs = []
        for period, view in zip(self.periods, self.views, strict=True):
            padded = functional.pad(audio[:, None], (0, -audio.shape[-1] % period), mode="reflect")
            outputs.append(_run_view(view, padded.unflatten(-1, (-1, period))))
        return outputs


class CombinedDiscriminator(Discriminator):
    """Several discriminators beside one another: the outputs of all their views."""

    def __init__(self, discriminators: Iterable[Discriminator]):
        super().__init__()
        self.discriminators = nn.ModuleList(discriminators)

    def forward(self, audio: Tensor, speaker: Tensor | None = None) -> list[DiscriminatorOutput]:
        """Scores and activations of every view of every discriminator."""
        return [output for discriminator in self.discriminators for output in discriminator(audio, speaker)]


_CLASSES: dict[str, Callable[[DiscriminatorConfig, int, int], Discriminator]] = {
    "mel": MelDiscriminator,
    "envelope": EnvelopeDiscriminator,
    "multi_resolution": MultiResolutionDiscriminator,
    "multi_scale": MultiScaleDiscriminator,
    "multi_period": MultiPeriodDiscriminator,
}


def build_discriminator(config: DiscriminatorConfig, sample_rate: int, embedding_dim: int = 0) -> Discriminator:
    """Discriminator of a configuration, for audio (B, T) at a rate in Hz and speaker embeddings (B, E)."""
    discriminators = [_CLASSES[kind](config, sample_rate, embedding_dim) for kind in config.kinds]
    return discriminators[0] if len(discriminators) == 1 else CombinedDiscriminator(discriminators)


def hidden_channels(config: DiscriminatorConfig) -> list[int]:
    """Channels of the hidden layers."""
    return [min(config.max_channels, config.channels * 4**i) for i in range(len(config.strides) + 1)]


def mel_positions(points: int, bands: int, nyquist: float, device: torch.device | str = "cpu") -> Tensor:
    """Matrix (points, bands) that interpolates values at equal distances in Hz to equal distances on the mel scale."""
    mel = torch.linspace(0, 2595 * math.log10(1 + nyquist / 700), bands, device=device)
    position = 700 * (10 ** (mel / 2595) - 1) / nyquist * (points - 1)
    return linear_interpolation(points, position)


def _run_view(layers: nn.Module, signal: Tensor) -> DiscriminatorOutput:
    activations = []
    *hidden, last = layers.children()
    for layer in hidden:
        signal = functional.leaky_relu(layer(signal), SLOPE)
        activations.append(signal)
    return last(signal), activations


def _scale_layers(config: DiscriminatorConfig) -> nn.Sequential:
    channels = hidden_channels(config)
    layers = [nn.Conv1d(1, channels[0], 15, padding=7)]
    for stride, before, after in zip(config.strides, channels[:-1], channels[1:], strict=True):
        groups = gcd(max(1, before // 4), before, after)
        layers.append(nn.Conv1d(before, after, 10 * stride + 1, stride, 5 * stride, groups=groups))
    layers.append(nn.Conv1d(channels[-1], channels[-1], 5, padding=2))
    layers.append(nn.Conv1d(channels[-1], 1, 3, padding=1))
    return nn.Sequential(*(weight_norm(layer) for layer in layers))


def _period_layers(config: DiscriminatorConfig) -> nn.Sequential:
    channels = [1, *hidden_channels(config)]
    layers = [nn.Conv2d(before, after, (5, 1), (3, 1), (2, 0)) for before, after in pairwise(channels)]
    layers.append(nn.Conv2d(channels[-1], 1, (3, 1), padding=(1, 0)))
    return nn.Sequential(*(weight_norm(layer) for layer in layers))


def _power(audio: Tensor, size: int, hop: int) -> Tensor:
    """Power spectrogram (B, frames, size // 2 + 1) of audio (B, T), Hann window."""
    frames = functional.pad(audio, (size // 2, size // 2)).unfold(-1, size, hop)
    spectrum = rfft_cheap_grad(frames * torch.hann_window(size, device=audio.device), size)
    return spectrum.real.square() + spectrum.imag.square()


def _mel_layers(channels: int) -> nn.Sequential:
    """Five layers that halve frequency three times and time once."""
    wide = 2 * channels
    layers = [
        nn.Conv2d(1, channels, (3, 5), padding=(1, 2)),
        nn.Conv2d(channels, wide, (3, 3), (1, 2), (1, 1)),
        nn.Conv2d(wide, wide, (3, 3), (2, 2), (1, 1)),
        nn.Conv2d(wide, wide, (3, 3), (1, 2), (1, 1)),
        nn.Conv2d(wide, 1, (3, 3), padding=(1, 1)),
    ]
    return nn.Sequential(*(weight_norm(layer) for layer in layers))


def _spectrogram_layers(channels: int) -> nn.Sequential:
    """Five layers that halve frequency four times and time twice."""
    wide = 2 * channels
    layers = [
        nn.Conv2d(1, channels, (3, 9), (1, 2), (1, 4)),
        nn.Conv2d(channels, wide, (3, 5), (2, 2), (1, 2)),
        nn.Conv2d(wide, wide, (3, 3), (1, 2), (1, 1)),
        nn.Conv2d(wide, wide, (3, 3), (2, 2), (1, 1)),
        nn.Conv2d(wide, 1, (3, 3), padding=(1, 1)),
    ]
    return nn.Sequential(*(weight_norm(layer) for layer in layers))
