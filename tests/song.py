"""A random conditioning from a seed."""

import torch

from svc.features.conditioning import Conditioning, phase_track

CONTENT, SPEAKERS = 5, 3


def song(frames: int, batch: int = 1, seed: int = 0, dtype: torch.dtype = torch.float32, **arguments) -> Conditioning:
    """Gliding f0, voiced and unvoiced frames, random content, one speaker an item; ``given`` replaces tracks."""
    rng = torch.Generator().manual_seed(seed)

    def walk(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, frames, generator=rng).cumsum(-1)

    f0 = arguments.get("f0", 220 * 2 ** (walk(batch) / 24).clamp(-1, 1))
    f0 = f0.expand(batch, frames)
    tracks = {
        "f0": f0,
        "voiced": (torch.arange(frames) % 40 < 30).float().expand(batch, frames),
        "phase": torch.stack([torch.from_numpy(phase_track(row.float().numpy())) for row in f0]),
        "loudness": -20 + 3 * torch.randn(batch, frames, generator=rng),
        "relative_loudness": 3 * torch.randn(batch, frames, generator=rng),
        "content": torch.randn(batch, CONTENT, frames, generator=rng),
        "speaker": torch.eye(SPEAKERS)[torch.arange(batch) % SPEAKERS],
    }
    tracks = {name: value.to(dtype) for name, value in (tracks | arguments).items()}
    return Conditioning(**tracks, start_frame=torch.zeros(batch, dtype=torch.long))
