"""Contract of every registered encoder: named layers of the declared channels, frozen, differentiable in the audio."""

from typing import ClassVar

import pytest
import torch
from networks import NAMES, build, built

from svc import encoders
from svc.encoders.base import Encoder
from svc.encoders.ssl import SSLEncoder

COUNT = 20  # registered encoders: one that vanishes is noticed


@pytest.fixture(params=NAMES)
def name(request) -> str:
    return request.param


@pytest.fixture
def encoder(name) -> Encoder:
    return built(name)


def sound(seconds: float, rate: int, batch: int = 1) -> torch.Tensor:
    time = torch.arange(round(seconds * rate)) / rate
    tone = sum(torch.sin(2 * torch.pi * 200 * k * time) / k for k in range(1, 20))
    return 0.1 * (tone + 0.1 * torch.randn(batch, len(time), generator=torch.Generator().manual_seed(0)))


def shortest(encoder: Encoder) -> float:
    """Seconds that every layer can be computed from."""
    return 0.1 if encoder.hop is None else 0.02


def test_the_registry():
    assert len(NAMES) == COUNT
    with pytest.raises(ValueError, match="two encoders are called ge2e"):
        encoders.register("ge2e")(encoders.classes()["ecapa"])


def test_an_encoder_of_a_file_of_its_own_is_found(monkeypatch):
    class Silent(Encoder):
        channels: ClassVar = {"none": 1}

    monkeypatch.setattr(encoders, "_CLASSES", dict(encoders._CLASSES))
    encoders.register("silent")(Silent)
    encoders.classes.cache_clear()
    assert encoders.classes()["silent"] is Silent
    monkeypatch.undo()
    encoders.classes.cache_clear()
    assert "silent" not in encoders.classes()


@torch.no_grad()
def test_layers_are_as_declared(encoder):
    assert encoder.hop in (None, encoder.sample_rate // 100)
    hop = encoder.sample_rate // 100
    for samples, batch in ((8 * hop, 2), (5 * hop - 1, 1), (5 * hop, 1)):
        frames = 1 if encoder.hop is None else samples // hop
        layers = encoder(torch.zeros(batch, samples))
        assert {name: layer.shape[::2] for name, layer in layers.items()} == dict.fromkeys(
            encoder.channels, (batch, frames)
        )
        assert all(torch.isfinite(layer).all() for layer in layers.values())
        if not isinstance(encoder, SSLEncoder):  # which is built with fewer channels here
            assert {name: layer.shape[1] for name, layer in layers.items()} == dict(encoder.channels)


@torch.no_grad()
def test_one_layer_alone_is_the_same(encoder):
    audio = sound(0.1, encoder.sample_rate)
    for name, layer in encoder(audio).items():
        assert torch.equal(encoder.layer(audio, name), layer)


@torch.no_grad()
def test_it_is_frozen(encoder):
    audio = sound(0.1, encoder.sample_rate)
    before, key = encoder(audio), encoder.fingerprint()
    assert not encoder.train().training
    unlike_lstm = [module for module in encoder.modules() if not isinstance(module, torch.nn.LSTM)]
    assert not any(module.training for module in unlike_lstm)
    assert not any(value.requires_grad for value in (*encoder.parameters(), *encoder.buffers()))
    after = encoder(audio)
    assert all(torch.equal(before[layer], after[layer]) for layer in before)
    assert encoder.fingerprint() == key


def test_the_gradient_reaches_the_audio(encoder):
    audio = sound(max(0.02, shortest(encoder)), encoder.sample_rate).requires_grad_()
    for layer in encoder(audio).values():
        some = torch.randn(layer.shape, generator=torch.Generator().manual_seed(0))
        (gradient,) = torch.autograd.grad((some * layer).sum(), audio, retain_graph=True)
        assert torch.isfinite(gradient).all()
        assert (gradient != 0).float().mean() > 0.9


def test_the_gradient_is_the_difference_quotient(encoder):
    audio = sound(0.1, encoder.sample_rate)
    some = {name: torch.randn(layer.shape, generator=torch.Generator().manual_seed(0)) / layer.norm()
            for name, layer in encoder(audio).items()}  # fmt: skip

    def total(x: torch.Tensor) -> torch.Tensor:
        return sum((layer * some[name]).double().sum() for name, layer in encoder(x).items())

    variable = audio.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(total(variable), variable)
    step = 1e-4 * audio.norm() * gradient / gradient.norm()
    with torch.no_grad():
        quotient = (total(audio + step) - total(audio - step)) / (2 * step.norm())
    assert quotient.item() == pytest.approx(gradient.norm().item(), rel=0.04)


def test_the_gradient_at_silence_is_finite(encoder):
    silence = torch.zeros(1, round(max(0.03, shortest(encoder)) * encoder.sample_rate), requires_grad=True)
    sum(layer.square().sum() for layer in encoder(silence).values()).backward()
    assert torch.isfinite(silence.grad).all()


@torch.no_grad()
def test_a_batch_is_its_items(encoder):
    audio = sound(0.1, encoder.sample_rate, batch=3)
    together = encoder(audio)
    for i in range(3):
        for layer, alone in encoder(audio[i : i + 1]).items():
            torch.testing.assert_close(together[layer][i : i + 1], alone, atol=1e-5, rtol=1e-4)


def test_the_fingerprint_is_that_of_the_network(encoder, name):
    again = build(name)
    assert again.fingerprint() == encoder.fingerprint()
    values = [value for value in again.state_dict().values() if value.is_floating_point() or value.is_complex()]
    for value in values[:: max(1, len(values) // 4)]:
        value.view(-1)[0] += 1e-3
        assert again.weight_hash() != encoder.weight_hash()
        value.view(-1)[0] -= 1e-3


def test_no_two_networks_are_one():
    here = [name for name in NAMES if name not in ("ge2e", "ecapa")]
    assert len({built(name).fingerprint() for name in here}) == len(here)


@pytest.mark.parametrize("name", ["crepe-tiny", "cepstral", "phone-classifier"])
@torch.no_grad()
def test_a_click_reaches_no_further_than_the_margin(name):
    encoder, at = built(name), 12
    audio = sound(0.25, encoder.sample_rate)
    untouched = encoder(audio)
    for place in (0, encoder.hop - 1):
        clicked = audio.clone()
        clicked[0, at * encoder.hop + place] += 1
        for layer, after in encoder(clicked).items():
            touched = (after - untouched[layer]).abs().amax(dim=(0, 1)).gt(1e-4).nonzero()[:, 0] - at
            assert (0 in touched, int(touched.abs().max()) <= encoder.margin) == (True, True)


@pytest.mark.parametrize("name", ["cepstral", "phone-classifier"])
def test_computed_tables_are_no_weights(name):
    """The last bit of a mel bank on another machine must not change the fingerprint of a voice's encoder."""
    again = build(name)
    again.bank *= 1 + 1e-7
    assert again.weight_hash() == built(name).weight_hash()
