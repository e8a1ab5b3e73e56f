"""The one noun on the clock: what a singer sings from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from svc.utils.units import FRAMES_PER_SECOND, semitones_to_ratio

LIMITS = (20.0, 4000.0)  # Hz, of a transposed melody


@dataclass(frozen=True, kw_only=True, slots=True)
class Conditioning:
    """What the generator sings from, N frames of 10 ms.

    Attributes:
        f0: (B, N) Hz, held through unvoiced frames, so always positive.
        voiced: (B, N) 1 where the voice has a pitch, else 0.
        phase: (B, N) cycles in [0, 1) at the centre of each frame.
        loudness: (B, N) A-weighted level in dB.
        effort: (B, N) dB by which that is above what is usual in the recording (``features.extract.usual``).
        content: (B, C, N) content features.
        singer: (B, S) weights over the known singers; one-hot for one singer, convex for a mix, (B, S, N) for one
            that changes.
        start: (B,) number of the first frame in its song; it seeds the noise.
    """

    f0: Tensor
    voiced: Tensor
    phase: Tensor
    loudness: Tensor
    effort: Tensor
    content: Tensor
    singer: Tensor
    start: Tensor

    @property
    def frames(self) -> int:
        """N."""
        return self.f0.shape[-1]

    def to(self, device: torch.device | str) -> Conditioning:
        """The same on another device."""
        return Conditioning(**{f.name: getattr(self, f.name).to(device) for f in fields(self)})

    def crop(self, first: int, last: int) -> Conditioning:
        """Frames first … last − 1."""
        return replace(
            self,
            **{name: getattr(self, name)[..., first:last] for name in _ON_THE_CLOCK},
            singer=self.singer if self.singer.ndim == 2 else self.singer[..., first:last],
            start=self.start + first,
        )

    def items(self, which: slice | list[int]) -> Conditioning:
        """Some items of the batch."""
        return Conditioning(**{f.name: getattr(self, f.name)[which] for f in fields(self)})

    def transposed(self, semitones: float) -> Conditioning:
        """The same, higher."""
        f0 = (self.f0 * semitones_to_ratio(semitones)).clamp(*LIMITS)
        phase = np.stack([phase_track(curve) for curve in f0.cpu().numpy()])
        return replace(self, f0=f0, phase=torch.from_numpy(phase).to(f0.device))

    def with_singer(self, singer: Tensor) -> Conditioning:
        """The same sung by somebody else, (B, S) or (B, S, N)."""
        return replace(self, singer=singer)

    @staticmethod
    def stack(items: Sequence[Conditioning]) -> Conditioning:
        """Items of equal length, batched."""
        return Conditioning(
            **{f.name: torch.cat([getattr(item, f.name) for item in items]) for f in fields(Conditioning)}
        )


_ON_THE_CLOCK = ("f0", "voiced", "phase", "loudness", "effort", "content")


def one_hot(number: int, count: int) -> Tensor:
    """Weights (S,) of one singer alone."""
    singer = torch.zeros(count)
    singer[number] = 1
    return singer


def hold(f0: NDArray[np.float32], voiced: NDArray[np.bool_]) -> NDArray[np.float32]:
    """f0 (N,) with every unvoiced frame given the f0 of the nearest voiced one; 200 Hz where none is voiced."""
    known = np.flatnonzero(voiced)
    if not len(known):
        return np.full_like(f0, 200.0)
    frames = np.arange(len(f0))
    right = np.clip(np.searchsorted(known, frames), 0, len(known) - 1)
    left = np.maximum(right - 1, 0)
    nearer = np.where(np.abs(known[left] - frames) <= np.abs(known[right] - frames), left, right)
    return f0[known[nearer]]


def phase_track(f0: NDArray[np.float32]) -> NDArray[np.float32]:
    """Phase in cycles [0, 1) at the centre of every frame of a held f0 (N,).

    f0 runs straight between centres, so the advance is the mean of two neighbours times 10 ms. It is summed in
    whole 2^-52 cycles, which wrap around exactly, so an hour drifts by less than 1e-9 cycles.
    """
    steady = f0.astype(np.float64) / FRAMES_PER_SECOND
    advance = np.concatenate([[0.0], 0.5 * (steady[1:] + steady[:-1])]) if len(f0) else steady
    turns = np.cumsum((np.mod(advance, 1.0) * 2.0**52).astype(np.int64)) % 2**52
    return (turns / 2.0**52).astype(np.float32) % np.float32(1.0)
