"""What every frozen network promises, whichever it is."""

import torch

from svc.encoders.base import Encoder


@torch.no_grad()
def assert_it_never_learns(encoder: Encoder, audio: torch.Tensor) -> None:
    before, key = encoder(audio), encoder.weight_hash()
    assert not encoder.train().training
    assert not any(module.training for module in encoder.modules())
    assert not any(value.requires_grad for value in (*encoder.parameters(), *encoder.buffers()))
    after = encoder(audio)
    assert all(torch.equal(before[layer], after[layer]) for layer in before)
    assert encoder.weight_hash() == key
