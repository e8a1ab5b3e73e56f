"""Source–filter stage: spectral envelopes at the frame rate, applied to pulse and noise excitation.

A conditioning network maps content, f0, relative loudness and speaker to a hidden track. Two log envelopes are
projected from it and applied to the harmonic and the noise excitation as minimum-phase filters, frame by frame.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from svc.audio.stft import frame, rfft_cheap_grad
from svc.features.conditioning import Conditioning
from svc.models.wavenet import dilated_taps

KERNEL = 3
DILATIONS = (1, 2, 4)
WINDOW_FRAMES = 3  # of the analysis window; Hann windows that far apart add up to a constant


class ConditioningNetwork(nn.Module):
    """Conditioning network: hidden track (B, N, H), with FiLM by the speaker embedding in every layer.

    ``speaker_film_offset`` is a per-speaker offset of the FiLM parameters. It is zero for training speakers and learned
    only in adaptation, because an embedding space trained on few speakers is too poor for a new one.
    """

    def __init__(self, *, content: int, speakers: int, embedding_dim: int, hidden: int, layers: int):
        super().__init__()
        self.embedding = nn.Parameter(torch.randn(speakers, embedding_dim))
        self.input = nn.Linear(content + 3, hidden)
        self.dilations = [DILATIONS[i % len(DILATIONS)] for i in range(layers)]
        self.film = nn.Linear(embedding_dim, layers * 2 * hidden)
        self.speaker_film_offset = nn.Parameter(torch.zeros(speakers, layers * 2 * hidden), requires_grad=False)
        self.expand = nn.ModuleList(nn.Linear(KERNEL * hidden, hidden) for _ in self.dilations)
        self.project = nn.ModuleList(nn.Linear(hidden, hidden) for _ in self.dilations)
        nn.init.normal_(self.film.weight, std=0.3 * embedding_dim**-0.5)

    @property
    def margin(self) -> int:
        """One-sided receptive field in frames."""
        return sum(self.dilations) * (KERNEL - 1) // 2

    def forward(self, conditioning: Conditioning) -> Tensor:
        """Hidden track (B, N, H) of a conditioning of N frames."""
        c = conditioning
        tracks = torch.stack([torch.log2(c.f0 / 220), c.voiced, c.relative_loudness / 20], dim=-1)
        hidden = self.input(torch.cat([c.content.transpose(1, 2), tracks], dim=-1))
        speaker = c.speaker[:, None] if c.speaker.ndim == 2 else c.speaker.transpose(1, 2)
        film = self.film(speaker @ self.embedding) + speaker @ self.speaker_film_offset
        layers = zip(film.chunk(len(self.dilations), dim=-1), self.dilations, self.expand, self.project, strict=True)
        for film_of_layer, dilation, expand, project in layers:
            scale, shift = film_of_layer.chunk(2, dim=-1)
            x = functional.layer_norm(hidden, hidden.shape[-1:]) * (1 + scale) + shift
            taps = torch.cat(dilated_taps(x, dilation, dilation * (KERNEL - 1) // 2), dim=-1)
            hidden = hidden + project(functional.gelu(expand(taps)))
        return hidden


class EnvelopeFilter(nn.Module):
    """Minimum-phase filters of two excitations, from two log envelopes projected from the hidden track."""

    def __init__(self, *, hidden: int, points: int, hop: int):
        super().__init__()
        self.hop = hop
        self.size = WINDOW_FRAMES * hop
        self.fft = 2 ** math.ceil(math.log2((WINDOW_FRAMES + 1) * hop))
        self.points = points
        self.output = nn.Linear(hidden, 2 * points)
        nn.init.normal_(self.output.weight, std=0.1 * hidden**-0.5)
        bins = self.fft // 2 + 1
        fold = torch.zeros(self.fft)
        fold[0], fold[1 : self.fft // 2], fold[self.fft // 2] = 1, 2, 1
        self.register_buffer("fold", fold, persistent=False)
        self.register_buffer("window", torch.hann_window(self.size) * (2 / WINDOW_FRAMES), persistent=False)
        self.register_buffer("interpolation", _interpolation_matrix(points, bins), persistent=False)
        self.fold: Tensor
        self.window: Tensor
        self.interpolation: Tensor

    @property
    def margin(self) -> int:
        """One-sided receptive field of an output sample in frames."""
        return -(-self.fft // self.hop)

    def envelopes(self, hidden: Tensor) -> Tensor:
        """Log envelopes (B, N, 2, P) of harmonics and noise, in nepers, from a hidden track (B, N, H)."""
        with torch.autocast(hidden.device.type, enabled=False):
            log_envelopes: Tensor = self.output(hidden.to(self.output.weight.dtype)).unflatten(-1, (2, self.points))
            return log_envelopes

    def forward(self, excitations: Tensor, envelopes: Tensor) -> Tensor:
        """Shaped excitations (B, 2, T) from (B, 2, T) and log envelopes (B, N, 2, P)."""
        with torch.autocast(excitations.device.type, enabled=False):  # spectra and gains need fp32
            spectra = torch.fft.rfft(frame(excitations, self.size, self.hop) * self.window, n=self.fft)
            filters = self._minimum_phase(envelopes.transpose(1, 2) @ self.interpolation)
            shaped = torch.fft.irfft(_Filtered.apply(spectra, filters), n=self.fft)
            return self._overlap_add(shaped, excitations.shape[-1])

    def _minimum_phase(self, log_magnitude: Tensor) -> Tensor:
        """Complex log spectrum of the minimum-phase filter of a log magnitude (…, bins).

        That is the spectrum of the folded cepstrum (Oppenheim and Schafer).
        """
        cepstrum = torch.fft.irfft(log_magnitude, n=self.fft)
        return rfft_cheap_grad(cepstrum * self.fold, self.fft)

    def _overlap_add(self, frames: Tensor, length: int) -> Tensor:
        batch, channels, count, _ = frames.shape
        columns = frames.flatten(0, 1).transpose(1, 2)
        total = (count - 1) * self.hop + self.fft
        added = functional.fold(columns, (1, total), (1, self.fft), stride=(1, self.hop))
        before = (self.size - self.hop) // 2
        added = functional.pad(added[:, 0, 0, before:], (0, max(0, length + before - total)))
        return added[:, :length].unflatten(0, (batch, channels))


class _Filtered(torch.autograd.Function):
    """Spectrum · exp(log filter), with a backward pass of one product for each."""

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


def _interpolation_matrix(points: int, bins: int) -> Tensor:
    """Matrix (points, bins) of linear interpolation between equally spaced points."""
    eye = torch.eye(points)[:, None]
    return functional.interpolate(eye, size=bins, mode="linear", align_corners=True)[:, 0]
