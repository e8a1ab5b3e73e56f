"""Conditioning of the generator, at 100 Hz: f0, voicing, phase, loudness, content and speaker weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from svc.utils.hardware import copy_to
from svc.utils.units import F0_RANGE_HZ, FRAMES_PER_SECOND, semitones_to_ratio

NOISE_OFFSET = 2**31  # frames; no song starts there


@dataclass(frozen=True, kw_only=True, slots=True)
class Conditioning:
    """The inputs of the generator, N frames of 10 ms."""

    f0: Tensor  # (B, N) Hz, positive also in unvoiced frames
    voiced: Tensor  # (B, N) 1 in voiced frames, else 0
    phase: Tensor  # (B, N) cycles in [0, 1) at the centre of each frame
    loudness: Tensor  # (B, N) A-weighted level in dB
    relative_loudness: Tensor  # (B, N) dB above the median voiced level of the recording (``features.extract``)
    content: Tensor  # (B, C, N) content features
    speaker: Tensor  # (B, S) weights over the speakers: one-hot, or convex for a mix; (B, S, N) if they change in time
    start_frame: Tensor  # (B,) number of the first frame in its song; it seeds the noise

    @property
    def frames(self) -> int:
        """N."""
        return self.f0.shape[-1]

    def to(self, device: torch.device | str) -> Conditioning:
        """The same on another device."""
        return Conditioning(**{f.name: copy_to(getattr(self, f.name), device) for f in fields(self)})

    def crop(self, first: int, last: int) -> Conditioning:
        """Frames first … last − 1."""
        return replace(
            self,
            **{name: getattr(self, name)[..., first:last] for name in _FRAME_FIELDS},
            speaker=self.speaker if self.speaker.ndim == 2 else self.speaker[..., first:last],
            start_frame=self.start_frame + first,
        )

    def select(self, which: slice | list[int]) -> Conditioning:
        """Some items of the batch."""
        return Conditioning(**{f.name: select_items(getattr(self, f.name), which) for f in fields(self)})

    def transposed(self, semitones: float) -> Conditioning:
        """The same at another pitch."""
        f0 = (self.f0 * semitones_to_ratio(semitones)).clamp(*F0_RANGE_HZ)
        phase = np.stack([phase_track(curve) for curve in f0.cpu().numpy()])
        return replace(self, f0=f0, phase=torch.from_numpy(phase).to(f0.device))

    def with_speaker(self, speaker: Tensor) -> Conditioning:
        """The same for other speaker weights, (B, S) or (B, S, N)."""
        return replace(self, speaker=speaker)

    def with_new_noise(self, phase_offset: Tensor) -> Conditioning:
        """The same with other noise, and pulses shifted by a phase offset (B,) in cycles."""
        phase = (self.phase + copy_to(phase_offset, self.phase.device)[:, None]) % 1.0
        return replace(self, start_frame=self.start_frame + NOISE_OFFSET, phase=phase)

    @staticmethod
    def stack(items: Sequence[Conditioning]) -> Conditioning:
        """Items of equal length, batched."""
        return Conditioning(
            **{f.name: torch.cat([getattr(item, f.name) for item in items]) for f in fields(Conditioning)}
        )


_FRAME_FIELDS = ("f0", "voiced", "phase", "loudness", "relative_loudness", "content")


def one_hot(number: int, count: int) -> Tensor:
    """Weights (S,) of one speaker."""
    weights = torch.zeros(count)
    weights[number] = 1
    return weights


def fill_unvoiced(f0: NDArray[np.float32], voiced: NDArray[np.bool_]) -> NDArray[np.float32]:
    """f0 (N,) with that of the nearest voiced frame in every unvoiced one; 200 Hz where none is voiced."""
    where = np.flatnonzero(voiced)
    if not len(where):
        return np.full_like(f0, 200.0)
    frames = np.arange(len(f0))
    right = np.clip(np.searchsorted(where, frames), 0, len(where) - 1)
    left = np.maximum(right - 1, 0)
    nearer = np.where(np.abs(where[left] - frames) <= np.abs(where[right] - frames), left, right)
    return f0[where[nearer]]


def phase_track(f0: NDArray[np.float32]) -> NDArray[np.float32]:
    """Phase in cycles [0, 1) at the centre of every frame of f0 (N,), positive everywhere.

    f0 runs straight between centres, so the advance is the mean of two neighbours times 10 ms. It is summed in
    whole 2^-52 cycles, which wrap around exactly, so an hour drifts by less than 1e-9 cycles.
    """
    steady = f0.astype(np.float64) / FRAMES_PER_SECOND
    advance = np.concatenate([[0.0], 0.5 * (steady[1:] + steady[:-1])]) if len(f0) else steady
    turns = np.cumsum((np.mod(advance, 1.0) * 2.0**52).astype(np.int64)) % 2**52
    return (turns / 2.0**52).astype(np.float32) % np.float32(1.0)


def select_items(values: Tensor, which: slice | list[int]) -> Tensor:
    """Some items of a batch (B, …); an index by a list would make the host wait for a GPU."""
    return values[which] if isinstance(which, slice) else torch.stack([values[n] for n in which])
