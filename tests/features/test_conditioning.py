"""The noun on the clock: cropped, stacked and handed to another singer without a value out of place."""

from dataclasses import fields

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from svc.features.conditioning import Conditioning, fill_unvoiced, phase_track

ON_THE_CLOCK = ("f0", "voiced", "phase", "loudness", "relative_loudness", "content")


def numbered(batch: int, frames: int, start: int = 0) -> Conditioning:
    """Every value is its frame number plus 1000 times its item."""
    track = torch.arange(frames).float() + 1000 * torch.arange(batch)[:, None]
    return Conditioning(
        **dict.fromkeys(("f0", "voiced", "phase", "loudness", "relative_loudness"), track),
        content=track[:, None].expand(batch, 3, frames),
        speaker=torch.eye(4)[:batch],
        start_frame=torch.full((batch,), start),
    )


def same(left: Conditioning, right: Conditioning) -> bool:
    return all(torch.equal(getattr(left, f.name), getattr(right, f.name)) for f in fields(Conditioning))


@settings(max_examples=30, deadline=None)
@given(first=st.integers(0, 8), last=st.integers(8, 20), start=st.integers(0, 2**40), batch=st.integers(1, 4))
def test_crop(first, last, start, batch):
    whole = numbered(batch, 20, start)
    part = whole.crop(first, last)
    assert part.frames == last - first
    for name in ON_THE_CLOCK:
        assert torch.equal(getattr(part, name), getattr(whole, name)[..., first:last])
    assert part.start_frame.tolist() == [start + first] * batch
    assert torch.equal(part.speaker, whole.speaker)
    assert same(whole.crop(2, 20).crop(3, 7), whole.crop(5, 9))
    assert same(whole.crop(0, 20), whole)


def test_stack():
    items = [numbered(1, 5, start=7), numbered(2, 5, start=9)]
    batch = Conditioning.stack(items)
    assert batch.f0.shape == (3, 5)
    assert batch.content.shape == (3, 3, 5)
    assert batch.start_frame.tolist() == [7, 9, 9]
    assert same(Conditioning.stack([batch]), batch)
    with pytest.raises(RuntimeError, match=r"[Ss]izes of tensors must match"):
        Conditioning.stack([numbered(1, 5), numbered(1, 6)])


def test_every_track_moves_to_the_device():
    moved = numbered(1, 3).to("meta")
    assert {getattr(moved, f.name).device.type for f in fields(Conditioning)} == {"meta"}


@settings(max_examples=100, deadline=None)
@given(voiced=st.lists(st.booleans(), max_size=40))
def test_hold_takes_the_nearest_voiced_frame(voiced):
    voiced = np.array(voiced, dtype=bool)
    f0 = 100 + np.arange(len(voiced), dtype=np.float32)
    held = fill_unvoiced(f0, voiced)
    assert held.shape == f0.shape
    if not voiced.any():
        assert (held == 200).all()
        return
    source = (held - 100).astype(int)
    assert voiced[source].all()
    voiced_frames = np.flatnonzero(voiced)
    nearest = np.abs(voiced_frames[:, None] - np.arange(len(voiced))).min(axis=0)
    assert np.array_equal(np.abs(source - np.arange(len(voiced))), nearest)


def test_phase_is_the_integral_of_f0():
    assert phase_track(np.full(5, 125, np.float32)).tolist() == [0, 0.25, 0.5, 0.75, 0]
    assert phase_track(np.array([100, 150, 100], np.float32)).tolist() == [0, 0.25, 0.5]
    assert [phase_track(np.full(n, 333, np.float32)).shape for n in (0, 1, 2)] == [(0,), (1,), (2,)]
