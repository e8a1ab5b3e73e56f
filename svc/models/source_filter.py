"""The source–filter front: at the frame rate, what the vocal tract does to pulse and noise.

A conditioning network turns content, melody, effort and singer into a hidden track; two log envelopes are read
off it and applied to the harmonic and the noise excitation as minimum-phase filters, frame by frame.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from svc.audio.stft import frame, real_spectrum
from svc.features.conditioning import Conditioning
from svc.models.wavenet import neighbours

KERNEL = 3
DILATIONS = (1, 2, 4)
WINDOW_FRAMES = 3  # of the analysis window; Hann windows that far apart add up to a constant


class ConditioningNetwork(nn.Module):
    """Hidden track (B, N, H) of a conditioning; the singer's embedding scales and shifts every layer.

    An accent adds to that what no embedding says. It is 0 of singers who were there in training, and is for one who
    comes later: a dozen singers teach the network a dozen points of the embeddings' space and little about the rest.
    """

    def __init__(self, *, content: int, singers: int, singer_channels: int, hidden: int, layers: int):
        super().__init__()
        self.embedding = nn.Parameter(torch.randn(singers, singer_channels))
        self.entry = nn.Linear(content + 3, hidden)
        self.dilations = [DILATIONS[i % len(DILATIONS)] for i in range(layers)]
        self.steering = nn.Linear(singer_channels, layers * 2 * hidden)
        self.accent = nn.Parameter(torch.zeros(singers, layers * 2 * hidden), requires_grad=False)
        self.wide = nn.ModuleList(nn.Linear(KERNEL * hidden, hidden) for _ in self.dilations)
        self.narrow = nn.ModuleList(nn.Linear(hidden, hidden) for _ in self.dilations)
        nn.init.normal_(self.steering.weight, std=0.3 * singer_channels**-0.5)

    @property
    def margin(self) -> int:
        """Frames on either side that one frame depends on."""
        return sum(self.dilations) * (KERNEL - 1) // 2

    def forward(self, conditioning: Conditioning) -> Tensor:
        """(B, N, H)."""
        c = conditioning
        tracks = torch.stack([torch.log2(c.f0 / 220), c.voiced, c.effort / 20], dim=-1)
        hidden = self.entry(torch.cat([c.content.transpose(1, 2), tracks], dim=-1))
        singer = c.singer[:, None] if c.singer.ndim == 2 else c.singer.transpose(1, 2)
        steered = self.steering(singer @ self.embedding) + singer @ self.accent
        steering = steered.chunk(len(self.dilations), dim=-1)
        for steer, dilation, wide, narrow in zip(steering, self.dilations, self.wide, self.narrow, strict=True):
            scale, shift = steer.chunk(2, dim=-1)
            inner = functional.layer_norm(hidden, hidden.shape[-1:]) * (1 + scale) + shift
            around = torch.cat(neighbours(inner, dilation, dilation * (KERNEL - 1) // 2), dim=-1)
            hidden = hidden + narrow(functional.gelu(wide(around)))
        return hidden


class EnvelopeFilter(nn.Module):
    """Two log envelopes from the hidden track, applied to two excitations as minimum-phase filters."""

    def __init__(self, *, hidden: int, points: int, hop: int):
        super().__init__()
        self.hop = hop
        self.size = WINDOW_FRAMES * hop
        self.fft = 2 ** math.ceil(math.log2((WINDOW_FRAMES + 1) * hop))
        self.points = points
        self.exit = nn.Linear(hidden, 2 * points)
        nn.init.normal_(self.exit.weight, std=0.1 * hidden**-0.5)
        bins = self.fft // 2 + 1
        fold = torch.zeros(self.fft)
        fold[0], fold[1 : self.fft // 2], fold[self.fft // 2] = 1, 2, 1
        self.register_buffer("fold", fold, persistent=False)
        self.register_buffer("window", torch.hann_window(self.size) * (2 / WINDOW_FRAMES), persistent=False)
        self.register_buffer("spread", _spread(points, bins), persistent=False)
        self.fold: Tensor
        self.window: Tensor
        self.spread: Tensor

    @property
    def margin(self) -> int:
        """Frames on either side that one sample of the result depends on."""
        return -(-self.fft // self.hop)

    def forward(self, excitations: Tensor, hidden: Tensor) -> Tensor:
        """Shaped excitations (B, 2, T) from (B, 2, T) and the hidden track (B, N, H)."""
        with torch.autocast(excitations.device.type, enabled=False):  # spectra and gains need all their bits
            envelopes = self.exit(hidden.to(excitations.dtype)).unflatten(-1, (2, self.points)).transpose(1, 2)
            spectra = torch.fft.rfft(frame(excitations, self.size, self.hop) * self.window, n=self.fft)
            filters = self._minimum_phase(envelopes @ self.spread)
            shaped = torch.fft.irfft(_Filtered.apply(spectra, filters), n=self.fft)
            return self._overlap(shaped, excitations.shape[-1])

    def _minimum_phase(self, log_magnitude: Tensor) -> Tensor:
        """Log spectrum, magnitude (…, bins) and phase, of the filter whose energy comes as early as it can.

        That is the spectrum of the folded cepstrum (Oppenheim and Schafer).
        """
        cepstrum = torch.fft.irfft(log_magnitude, n=self.fft)
        return real_spectrum(cepstrum * self.fold, self.fft)

    def _overlap(self, frames: Tensor, length: int) -> Tensor:
        batch, channels, count, _ = frames.shape
        columns = frames.flatten(0, 1).transpose(1, 2)
        total = (count - 1) * self.hop + self.fft
        added = functional.fold(columns, (1, total), (1, self.fft), stride=(1, self.hop))
        before = (self.size - self.hop) // 2
        added = functional.pad(added[:, 0, 0, before:], (0, max(0, length + before - total)))
        return added[:, :length].unflatten(0, (batch, channels))


class _Filtered(torch.autograd.Function):
    """Spectrum · exp(log filter), with a gradient of one product for each."""

    @staticmethod
    def forward(ctx: Any, spectrum: Tensor, log_filter: Tensor) -> Tensor:
        response = torch.polar(log_filter.real.exp(), log_filter.imag)
        filtered = spectrum * response
        ctx.save_for_backward(filtered, response if ctx.needs_input_grad[0] else None)
        return filtered

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor]:
        filtered, response = ctx.saved_tensors
        return None if response is None else gradient * response.conj(), gradient * filtered.conj()


def _spread(points: int, bins: int) -> Tensor:
    """Matrix (points, bins) that draws straight lines between equally spaced points."""
    eye = torch.eye(points)[:, None]
    return functional.interpolate(eye, size=bins, mode="linear", align_corners=True)[:, 0]
