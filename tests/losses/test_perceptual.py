"""Perceptual losses: exact distances; the gradient reaches the audio and no frozen weight."""

import json
import math
from dataclasses import replace

import pytest
import torch

from svc import encoders
from svc.config import load
from svc.encoders.base import Encoder
from svc.errors import ConfigError
from svc.losses.perceptual import (
    INPUT_RMS,
    LayerBalance,
    PerceptualLoss,
    UncertaintyWeights,
    build_perceptual_losses,
    cosine,
    l1,
    l2,
)

RATE = 24_000


def tone(frequency: float, seconds: float = 0.3, harmonics: int = 8) -> torch.Tensor:
    """(1, T) at unit power."""
    time = torch.arange(round(seconds * RATE)) / RATE
    audio = sum(torch.sin(2 * torch.pi * k * frequency * time) / k for k in range(1, harmonics + 1))
    return (audio / audio.square().mean().sqrt())[None]


@pytest.mark.parametrize(
    ("measure", "fake", "real", "wanted"),
    [
        (l1, [3.0, 0.0], [1.0, 1.0], 1.5),
        (l1, [0.0, 0.0], [1.0, -1.0], 1.0),
        (l2, [3.0, 0.0], [1.0, 2.0], math.sqrt(8 / 5)),
        (cosine, [1.0, 1.0], [2.0, 0.0], 1 - math.sqrt(0.5)),
        (cosine, [-1.0, 0.0], [2.0, 0.0], 2.0),
    ],
)
def test_distances(measure, fake, real, wanted):
    """Of two channels, at two of three frames, in the first of two crops."""
    one, other = (torch.tensor(values)[None, :, None] * torch.tensor([1.0, 1.0, -5.0]) for values in (fake, real))
    one, other = torch.cat([one, other]), torch.cat([other, other])
    one[:, :, 2] += 7
    mask = torch.tensor([1.0, 1.0, 0.0]).expand(2, 1, 3)
    assert measure(one, other, mask).tolist() == pytest.approx([wanted, 0], abs=1e-5)
    assert measure(one, other, 0 * mask).tolist() == [0, 0]


def between(loss: PerceptualLoss, fake: torch.Tensor, real: torch.Tensor, layers) -> torch.Tensor:
    with torch.no_grad():
        real_features = loss.features(real)
    return loss.distances(loss.features(fake), real_features, layers).mean()


class Power(Encoder):
    """Power of a frame, in two layers of which one is twice the other."""

    sample_rate = RATE
    margin = 0
    identity = "power"

    def forward(self, audio):
        power = audio.unflatten(-1, (-1, RATE // 100)).square().mean(dim=-1)[:, None]
        return {"once": power, "twice": 2 * power, "one": torch.ones_like(power)}


def test_layers_are_averaged_and_the_level_is_set():
    config = replace(load(None).perceptual["crepe"], distance="l1")
    loss = PerceptualLoss(Power(), config, RATE)
    fake, real = 2 * torch.ones(1, 2_400), torch.ones(1, 2_400)
    assert float(loss.encoder(INPUT_RMS * real)["once"].mean()) == pytest.approx(INPUT_RMS**2)
    assert float(between(loss, fake, real, ("once", "twice"))) == pytest.approx(3.0)
    assert float(between(loss, fake, real, ("once", "one"))) == pytest.approx(1.5)


@pytest.fixture(scope="module")
def crepe_loss() -> PerceptualLoss:
    config = load(None, {"perceptual.crepe.weight": 1.0, "perceptual.phones.weight": 0.0})
    (loss,) = build_perceptual_losses(config).values()
    return loss


def test_only_losses_with_a_weight_are_built():
    assert build_perceptual_losses(load(None, {"perceptual.phones.weight": 0.0})) == {}
    assert build_perceptual_losses(
        load(
            None,
            {
                "perceptual.phones.weight": 0.0,
                "perceptual.crepe.conversion_weight": 0.5,
                "virtual_speakers.fraction": 0.5,
            },
        )
    ).keys() == {"crepe"}


def test_another_pitch_has_a_larger_distance_than_another_timbre(crepe_loss):
    """In the pitch layer, which compares converted audio with its source."""
    layers = crepe_loss.config.conversion_layers
    brighter = between(crepe_loss, tone(220, harmonics=16), tone(220), layers)
    higher = between(crepe_loss, tone(220 * 2 ** (1 / 12)), tone(220), layers)
    assert float(between(crepe_loss, tone(220), tone(220), layers)) == 0
    assert float(higher) > 3 * float(brighter)


@pytest.mark.parametrize("kind", ["crepe", "phones"])
def test_the_gradient_reaches_the_audio_alone(kind, crepe_loss):
    loss = crepe_loss if kind == "crepe" else PerceptualLoss(encoders.load("cepstral"), CEPSTRA, RATE)
    fake, real = tone(230).requires_grad_(), tone(220).requires_grad_()
    between(loss, fake, real, loss.config.layers).backward()
    assert torch.isfinite(fake.grad).all()
    assert float((fake.grad != 0).float().mean()) > 0.9
    assert real.grad is None
    assert all(weight.grad is None for weight in loss.encoder.parameters())


CEPSTRA = replace(
    load(None).perceptual["phones"], encoder="cepstral", layers=("cepstra",), conversion_layers=("cepstra",)
)


def test_layers_are_balanced_by_their_losses_at_the_end_of_the_first_steps():
    """Germain et al.: unweighted for 20 calls; the means of the last two are 3, 6 and 0; NaN does not count."""
    balance, values = LayerBalance(20, 3), torch.tensor([1.0, 2.0, 0.0])
    for call in range(20):
        part = values * {18: 2, 19: 4}.get(call, 100)
        torch.testing.assert_close(balance(part), part.mean())
    torch.testing.assert_close(balance(torch.tensor([3.0, 6.0, 0.0])), torch.tensor(2 / 3))
    again = LayerBalance(20, 3)
    again.load_state(json.loads(json.dumps(balance.state())))
    assert torch.equal(again(values), balance(values))
    again.load_state(LayerBalance(20, 2).state())  # of other layers: left alone
    assert again.calls == 22
    broken = LayerBalance(2, 1)
    for value in (1.0, math.nan):
        broken(torch.tensor([value]))
    assert float(broken(torch.tensor([5.0]))) == 5.0


def test_any_sum_of_encoders_is_written_as_yaml(tmp_path):
    """Alone, all, all but one, and with random weights; each at its ratio to the spectral loss."""
    file = tmp_path / "losses.yaml"
    file.write_text(
        "perceptual:\n"
        "  phones: {weight: 0}\n"
        "  cochleagram: {encoder: cochleagram, layers: [envelope], weight: 0.01, balance_after_steps: 500}\n"
        "  control: {encoder: autoencoder, layers: [layer1, layer2], weight: 0.02, random_weights: true}\n"
    )
    alone = {"cochleagram": {"perceptual.control.weight": 0}, "control": {"perceptual.cochleagram.weight": 0}}
    assert build_perceptual_losses(load(file)).keys() == alone.keys()
    for name, overrides in alone.items():
        assert build_perceptual_losses(load(file, overrides)).keys() == {name}
    losses = build_perceptual_losses(load(file))
    assert losses["cochleagram"].balance.first_calls == 500
    trained, control = (encoders.load("autoencoder", random_weights=flag) for flag in (False, True))
    assert losses["control"].encoder.fingerprint() == control.fingerprint() != trained.fingerprint()
    with pytest.raises(ConfigError, match=r"perceptual.crepe.random_weights: crepe-tiny has none"):
        load(None, {"perceptual.crepe.random_weights": True})


def test_random_weights_of_the_phone_classifier_are_no_identity():
    layers = encoders.load("phone-classifier", random_weights=True)(0.1 * tone(200)[:, :4_000])
    assert float((layers["block4"] - layers["block1"]).abs().mean()) > 0.1


def test_uncertainty_weights_settle_at_the_log_of_each_loss():
    weights, distances = UncertaintyWeights(0.1, 2), torch.tensor([0.25, 3.0])
    assert weights(distances) == pytest.approx(1.625)  # the mean, unweighted at first
    for _ in range(500):
        weighted = weights(distances)
    torch.testing.assert_close(weights.log_scale, distances.log())
    assert weighted == pytest.approx(1)
    resumed = UncertaintyWeights(0.1, 2)
    resumed.load_state(weights.state())
    torch.testing.assert_close(resumed.log_scale, weights.log_scale)
