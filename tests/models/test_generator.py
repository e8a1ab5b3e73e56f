"""The generator: its shapes, how far it looks, and that it adds nothing of its own."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from scipy.signal import welch
from song import CONTENT, SINGERS, song
from torch import nn
from torch.nn import functional

from svc.config import load
from svc.models.front import EnvelopeFilter
from svc.models.generator import Generator
from svc.models.subbands import FilterBank
from svc.models.wavenet import STEERING, GatedLayer, WaveNet, interpolate

SMALL = {
    "singer_channels": 4,
    "hidden_channels": 8,
    "hidden_layers": 2,
    "envelope_points": 33,
    "channels": 4,
    "layers": 3,
    "cycle": 3,
}
KINDS = list(product(("source_filter", "none"), (1, 2, 4, 8, 16)))


def build(rate: int = 24_000, trained: bool = True, seed: int = 0, **knobs) -> Generator:
    """A small generator; ``trained`` moves the layers that start at zero."""
    overrides = {f"model.{name}": value for name, value in (SMALL | knobs).items()}
    torch.manual_seed(seed)
    generator = Generator(load(None, overrides | {"sample_rate": rate}), content=CONTENT, singers=SINGERS).eval()
    if trained and generator.wavenet is not None:
        nn.init.normal_(generator.wavenet.exit.weight, std=0.1)
    return generator


def db(ratio) -> float:
    return 20 * float(torch.as_tensor(ratio).clamp_min(1e-20).log10())


def rms(signal: torch.Tensor) -> torch.Tensor:
    return signal.square().mean().sqrt()


def psd(signal: torch.Tensor, rate: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    return welch(signal.double().numpy(), rate, nperseg=size)


# --- shapes and reach ---


@pytest.mark.parametrize(("front", "subbands"), KINDS)
@pytest.mark.parametrize("rate", [16_000, 24_000])
def test_shape(front, subbands, rate):
    generator = build(rate, front=front, subbands=subbands)
    with torch.no_grad():
        for frames, batch in ((1, 1), (17, 3)):
            assert generator(song(frames, batch)).shape == (batch, frames * rate // 100)


@pytest.mark.parametrize(("front", "subbands"), KINDS)
@pytest.mark.parametrize(("layers", "hidden"), [(1, 1), (4, 3), (9, 2)])
def test_margin_is_how_far_it_looks(front, subbands, layers, hidden):
    generator = build(front=front, subbands=subbands, layers=layers, cycle=9, hidden_layers=hidden).double()
    frames, middle = 2 * generator.margin + 9, generator.margin + 4
    whole = song(frames, dtype=torch.float64, voiced=torch.ones(1, frames))
    tracks = {name: getattr(whole, name).clone().requires_grad_() for name in ("f0", "loudness", "content")}
    samples = generator(replace(whole, **tracks))[0].unflatten(0, (frames, -1))[middle]
    gradients = torch.autograd.grad((samples * torch.randn_like(samples)).sum(), list(tracks.values()))
    touched = torch.stack([g.reshape(-1, frames).abs().sum(0) for g in gradients]).sum(0).nonzero()[:, 0]
    reach = max(middle - int(touched[0]), int(touched[-1]) - middle)
    slack = 1 if front == "none" else 4  # the front's filters reach less far into the hidden track than the margin
    assert generator.margin - slack <= reach <= generator.margin


@pytest.mark.parametrize(("layers", "cycle", "kernel"), [(1, 1, 3), (5, 5, 3), (6, 3, 5), (2, 2, 1)])
def test_wavenet_margin_is_exact(layers, cycle, kernel):
    torch.manual_seed(0)
    sizes = {"inputs": 2, "outputs": 1, "channels": 3, "hidden": 4, "layers": layers, "cycle": cycle}
    net = WaveNet(**sizes, kernel=kernel).double()
    signal = torch.randn(1, 2, 400, dtype=torch.float64, requires_grad=True)
    net(signal, torch.randn(1, 4, 4, dtype=torch.float64))[0, 0, 200].backward()
    touched = signal.grad.abs().sum((0, 1)).nonzero()[:, 0]
    assert [200 - int(touched[0]), int(touched[-1]) - 200] == [net.margin] * 2


@pytest.mark.parametrize(("kernel", "dilation"), [(3, 1), (3, 4), (5, 2), (1, 1)])
def test_a_layer_is_a_dilated_convolution_with_a_gate(kernel, dilation):
    torch.manual_seed(0)
    layer = GatedLayer(6, kernel, dilation).double()
    flow, steering = torch.randn(2, 50, 6).double(), torch.randn(2, 50, STEERING).double()
    taps = layer.taps.unflatten(0, (kernel, 6)).permute(2, 1, 0)
    mixed = functional.conv1d(flow.mT, taps, dilation=dilation, padding=dilation * (kernel - 1) // 2)
    filtered, gate = mixed.chunk(2, dim=1)
    opened = torch.tanh(filtered) * 2 * torch.sigmoid(2 * (gate + (steering @ layer.steering).mT))
    onward, skip = functional.conv1d(opened, layer.mixer.weight[..., None]).chunk(2, dim=1)
    torch.testing.assert_close(layer(flow, steering), (onward.mT, skip.mT))


def test_bf16_is_40_db_below_the_wavenets_own_sound():
    generator, whole = build(channels=32, layers=8, cycle=4, subbands=8), song(50)
    with torch.no_grad():
        exact, front = generator(whole), generator(whole, refine=False)
        generator.bf16 = True
        error = generator(whole) - exact
    assert 0 < error.square().mean() < 1e-4 * (exact - front).square().mean()


@pytest.mark.parametrize(("front", "subbands"), KINDS)
def test_chunks_equal_the_whole(front, subbands):
    generator = build(front=front, subbands=subbands)
    whole = song(90)
    margin, hop, frames = generator.margin, generator.hop, 90
    with torch.no_grad():
        at_once = generator(whole)
        parts = []
        for first in range(0, frames, 25):
            before, after = max(0, first - margin), min(frames, first + 25 + margin)
            part = generator(whole.crop(before, after))
            parts.append(part[:, (first - before) * hop :][:, : min(25, frames - first) * hop])
    torch.testing.assert_close(torch.cat(parts, dim=1), at_once, atol=1e-5, rtol=0)


def test_interpolation_runs_straight_between_centres():
    steps = interpolate(torch.tensor([[[0.0, 1.0, 3.0]]]), 4)[0, 0]
    wanted = [0, 0, 0.125, 0.375, 0.625, 0.875, 1.25, 1.75, 2.25, 2.75, 3, 3]
    torch.testing.assert_close(steps, torch.tensor(wanted))


# --- nothing of its own ---


def test_wavenet_keeps_silence():
    torch.manual_seed(0)
    net = WaveNet(inputs=8, outputs=4, channels=6, hidden=5, layers=4, cycle=4, kernel=3)
    assert net(torch.zeros(2, 8, 300), torch.randn(2, 5, 5)).abs().max() == 0


def test_no_tone_at_the_edges_of_the_bands():
    torch.manual_seed(0)
    bank, rate, hop = FilterBank(4), 24_000, 240
    net = WaveNet(inputs=8, outputs=4, channels=16, hidden=8, layers=6, cycle=6, kernel=3)
    hidden = torch.randn(1, 1, 8, generator=torch.Generator().manual_seed(1)).expand(1, 1_000, 8)
    noise = torch.randn(1, 2, 1_000 * hop, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        made = bank.join(net(bank.split(noise), hidden))[0, 0]
    frequency, power = psd(made, rate, 4_800)
    for edge in (3_000, 6_000, 9_000):
        near = np.abs(frequency - edge) <= 20
        around = (np.abs(frequency - edge) > 40) & (np.abs(frequency - edge) <= 400)
        assert 10 * np.log10(power[near].mean() / np.median(power[around])) < 6  # a bias of 0.1 makes it 20


@pytest.mark.parametrize("subbands", [1, 4, 16])
def test_a_fresh_wavenet_is_a_small_correction_of_its_front(subbands):
    generator, whole = build(trained=False, subbands=subbands, channels=64, layers=8, cycle=4), song(30)
    with torch.no_grad():
        front = generator(whole, refine=False)
        assert -60 < db(rms(generator(whole) - front) / rms(front)) < -15


def test_no_layers_is_the_front_alone():
    generator, whole = build(layers=0), song(30)
    with torch.no_grad():
        assert torch.equal(generator(whole), generator(whole, refine=False))


@pytest.mark.parametrize("subbands", [1, 4])
def test_silence_is_silent(subbands):
    generator = build(subbands=subbands)
    with torch.no_grad():
        assert db(rms(generator(song(40, loudness=torch.full((1, 40), -100.0))))) < -90
        assert db(rms(generator(song(40, loudness=torch.full((1, 40), -20.0))))) > -40


@pytest.mark.parametrize(("front", "level"), [("none", 0.1), ("source_filter", 1.0)])
def test_excitation_levels(front, level):
    generator = build(front=front, harmonics=1)
    loud, hushed = (generator.excite(song(60, voiced=torch.full((1, 60), v)))[0] for v in (1.0, 0.0))
    assert rms(loud[0]) == pytest.approx(level, rel=0.01)
    assert hushed[0].abs().max() == 0
    assert rms(hushed[1]) == pytest.approx(level / 3 if front == "none" else 1, rel=0.02)
    assert rms(loud[1]) == pytest.approx(0.003 if front == "none" else 1, rel=0.02)


# --- singers ---


def test_one_hot_is_the_singer_and_half_and_half_is_between():
    generator, whole = build(), song(20)

    def sung_by(*weights: float) -> torch.Tensor:
        with torch.no_grad():
            return generator.conditioner(whole.with_singer(torch.tensor([weights], dtype=torch.float32)))

    second = sung_by(0, 1, 0)
    with torch.no_grad():
        generator.conditioner.embedding[[0, 2]] = 7.0
        assert torch.equal(sung_by(0, 1, 0), second)
        generator.conditioner.embedding[2] = generator.conditioner.embedding[:2].mean(0)
    torch.testing.assert_close(sung_by(0.5, 0.5, 0), sung_by(0, 0, 1))
    assert not torch.allclose(sung_by(1, 0, 0), sung_by(0, 1, 0))


def test_a_batch_is_its_items():
    generator = build()
    with torch.no_grad():
        together = generator(song(20, batch=3))
        for i in range(3):
            whole = song(20, batch=3)
            alone = replace(whole, **{n: getattr(whole, n)[i : i + 1] for n in whole.__dataclass_fields__})
            torch.testing.assert_close(generator(alone)[0], together[i], atol=1e-5, rtol=0)


# --- the envelope filter ---


def envelope_filter(gain: float = 0.0, wild: float = 0.0, hop: int = 240) -> EnvelopeFilter:
    """Flat envelopes of ``gain`` dB, or random ones that move by ``wild`` nepers."""
    torch.manual_seed(0)
    made = EnvelopeFilter(hidden=4, points=33, hop=hop).requires_grad_(False)
    nn.init.normal_(made.exit.weight, std=wild)
    nn.init.constant_(made.exit.bias, gain * np.log(10) / 20)
    return made


@pytest.mark.parametrize("hop", [160, 240, 441, 480])
@pytest.mark.parametrize(("gain", "factor"), [(0.0, 1.0), (-20 * np.log10(2), 0.5), (20.0, 10.0)])
def test_a_flat_envelope_is_a_gain(hop, gain, factor):
    audio = torch.randn(2, 2, 30 * hop)
    shaped = envelope_filter(gain, hop=hop)(audio, torch.randn(2, 30, 4))
    inner = slice(2 * hop, -2 * hop)
    torch.testing.assert_close(shaped[..., inner], factor * audio[..., inner], atol=1e-4 * factor, rtol=0)


class Deaf(nn.Module):
    """A conditioning network that says the same whatever it is told."""

    margin = 0

    def forward(self, conditioning):
        return torch.linspace(-1, 1, SMALL["hidden_channels"]).expand(*conditioning.f0.shape, -1)


@pytest.mark.parametrize("subbands", [1, 8])
def test_loudness_is_a_gain(subbands):
    generator, whole = build(subbands=subbands), song(30)
    generator.conditioner = Deaf()
    with torch.no_grad():
        soft, loud = (generator(replace(whole, loudness=torch.full((1, 30), level))) for level in (-40.0, -20.0))
    torch.testing.assert_close(loud, 10 * soft, atol=1e-6, rtol=1e-4)
    assert rms(loud) > 0.01


def test_envelopes_do_what_they_say():
    front = envelope_filter()
    tilt = torch.linspace(0, -4, 33)
    front.exit.bias.copy_(torch.cat([tilt, -tilt]))
    noise = torch.randn(1, 2, 240 * 800, generator=torch.Generator().manual_seed(0))
    shaped = front(noise, torch.zeros(1, 800, 4))
    for channel, sign in ((0, 1), (1, -1)):
        frequency, power = psd(shaped[0, channel], 24_000, 512)
        _, before = psd(noise[0, channel], 24_000, 512)
        gain = 0.5 * np.log(power / before)
        inner = (frequency > 200) & (frequency < 11_800)
        assert np.abs(gain - sign * -4 * frequency / 12_000)[inner].max() < 0.05


def test_minimum_phase_has_no_energy_before_the_click():
    front = envelope_filter(wild=0.5)
    click = torch.zeros(1, 2, 240 * 20)
    click[..., 2_400] = 1
    hidden = torch.randn(1, 1, 4).expand(1, 20, 4)
    shaped = front(click, hidden)[0]
    for response in shaped:
        assert db(rms(response[:2_399]) * 2_399**0.5 / response.square().sum().sqrt()) < -60
        assert db(response[2_400:2_640].square().sum().sqrt() / response.square().sum().sqrt()) > -0.1


def test_the_gradient_of_the_filters_is_right():
    front = EnvelopeFilter(hidden=2, points=3, hop=160).double()
    noise = torch.randn(1, 2, 2 * 160, dtype=torch.float64)
    hidden = torch.randn(1, 2, 2, dtype=torch.float64, requires_grad=True)
    torch.autograd.gradcheck(lambda h: front(noise, h).square().sum(), hidden)
    weights = torch.linspace(0, 1, 320, dtype=torch.float64, requires_grad=True)
    torch.autograd.gradcheck(lambda w: front(noise * w, hidden.detach())[..., 100:110], weights)


def test_under_autocast_the_wavenet_hears_all_bits():
    generator, heard = build(subbands=8), []
    generator.wavenet.register_forward_pre_hook(lambda _, inputs: heard.append(inputs[0].dtype))
    with torch.autocast("cpu", torch.bfloat16):
        generator(song(20))
    assert heard == [torch.float32]
