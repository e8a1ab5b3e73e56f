"""GAN metrics: accuracy of a discriminator that sees or guesses, level of a part, and the warnings."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor

from svc.config import load
from svc.models.discriminators import Discriminator, EnvelopeDiscriminator
from svc.training.gan_metrics import PERIOD, Diagnostics, discriminator_metrics, wavenet_levels
from svc.training.validation import ValidationClip, ValidationOutput

RATE = 24_000
CONFIG = load(None, {"train.discriminator_segment_seconds": 0.4})
EMBEDDING = torch.ones(1, 4)
OWN = SimpleNamespace(speaker=torch.ones(1, 1))


class LevelDiscriminator(Discriminator):
    """Scores the peak of the audio, so that it depends on the level and the shape alone."""

    def __init__(self, sign: float = 1.0):
        super().__init__()
        self.sign = torch.nn.Parameter(torch.tensor(sign))

    def forward(self, audio: Tensor, speaker: Tensor) -> list[tuple[Tensor, list[Tensor]]]:
        return [(self.sign * audio.abs().amax(dim=-1)[:, None, None], [])]


def output(real: Tensor, fake: Tensor) -> ValidationOutput:
    clip = ValidationClip("a.wav", "a", OWN, {}, real[None], torch.tensor([RATE / 2]))  # type: ignore[arg-type]
    return ValidationOutput(clip, fake, {})


def tone(frequency: float, level: float) -> Tensor:
    return 10 ** (level / 20) * torch.sin(2 * torch.pi * frequency * torch.arange(RATE) / RATE)


def test_accuracy_counts_clips_whose_reconstruction_scores_lower():
    outputs = [output(tone(200, 0), tone(200, -6)), output(tone(200, 0), tone(200, 6))]
    metrics = discriminator_metrics(LevelDiscriminator(), outputs, CONFIG, EMBEDDING)
    assert metrics["discriminator_accuracy"] == 0.5
    peaks = 2**0.5, 2**0.5 * 10**-0.3, 2**0.5 * 10**0.3  # at the level that gives the real segment unit power
    expected = np.mean([(peaks[0] - 1) ** 2 + fake**2 for fake in peaks[1:]])
    assert metrics["discriminator_loss"] == pytest.approx(expected, rel=1e-3)
    assert (
        discriminator_metrics(LevelDiscriminator(-1.0), outputs[:1], CONFIG, EMBEDDING)["discriminator_accuracy"] == 0.0
    )
    assert discriminator_metrics(LevelDiscriminator(), [], CONFIG, EMBEDDING) == {}


def test_an_envelope_discriminator_sees_the_envelopes_of_both():
    """One without weights but a bias scores all alike; what it sees of a clip and of a duller one differs."""
    config = load(None, {"sample_rate": RATE, "discriminator.channels": 4})
    network = EnvelopeDiscriminator(config.discriminator, RATE, embedding_dim=4)
    frames, loudness = 100, torch.full((1, 100), -20.0)
    own = SimpleNamespace(speaker=torch.ones(1, 1), f0=torch.full((1, frames), 200.0), loudness=loudness)
    buzz = sum(tone(200 * k, -30) for k in range(1, 40))
    clip = ValidationClip("a.wav", "a", own, {}, buzz[None], torch.tensor([RATE / 2]))  # type: ignore[arg-type]
    seen = []
    network.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    metrics = discriminator_metrics(network, [ValidationOutput(clip, tone(200, -30), {})], config, EMBEDDING)
    assert set(metrics) == {"discriminator_accuracy", "discriminator_loss"}
    assert [signal.shape for signal in seen] == [(1, frames, config.model.envelope_points)] * 2
    real, fake = (signal[0, 50, 60:100].mean() for signal in seen)
    assert float(real - fake) > 2


def test_only_the_middle_of_a_clip_counts():
    real = torch.cat([torch.zeros(RATE), tone(200, 0), torch.zeros(RATE)])
    fake = real.clone()
    fake[: RATE // 2] = 9
    metrics = discriminator_metrics(LevelDiscriminator(), [output(real, fake)], CONFIG, EMBEDDING)
    assert metrics["discriminator_accuracy"] == 0.0  # equal scores: not above


def test_level_of_the_wavenet_by_band():
    alone = tone(500, 0) + tone(2_000, -6)
    whole = alone + tone(6_000, 0) + tone(700, -40)
    levels = wavenet_levels([output(whole, whole)], [output(whole, alone)], RATE)
    assert levels["wavenet_0-1kHz"] == pytest.approx(-40, abs=0.1)
    assert levels["wavenet_4-8kHz"] == pytest.approx(0, abs=1e-3)


def test_warnings_name_a_blind_adversary_and_an_idle_wavenet():
    diagnostics = Diagnostics()
    fine = {"discriminator_accuracy": 0.9, "wavenet_0-1kHz": -40.0, "wavenet_1-4kHz": -20.0}
    assert diagnostics.check_scores(fine) == diagnostics.check_scores({}) == []
    bad = {"discriminator_accuracy": 0.5, "wavenet_0-1kHz": -40.0, "wavenet_1-4kHz": -30.0}
    blind, idle = diagnostics.check_scores(bad)
    assert "50%" in blind
    assert "-30 dB" in idle
    assert diagnostics.check_scores(bad) == []


def warnings(diagnostics: Diagnostics, times: int = PERIOD, **losses: float) -> list[str]:
    return [text for _ in range(times) for text in diagnostics.check_losses(losses)]


@pytest.mark.parametrize(("loss", "expected"), [(0.02, "is too strong (loss 0.02"), (0.495, "is at chance (loss 0.49")])
def test_a_bad_discriminator_gives_one_warning(loss, expected):
    diagnostics = Diagnostics()
    assert warnings(diagnostics, 2 * PERIOD - 1, discriminator=loss) == []
    (warning,) = warnings(diagnostics, 50, discriminator=loss)
    assert expected in warning
    assert warnings(diagnostics, 100, discriminator=0.3) == []
    assert warnings(diagnostics, 100, discriminator=loss) == []


def test_a_diverging_generator_gives_a_warning():
    diagnostics = Diagnostics()
    assert warnings(diagnostics, 50, spectral=1.0) == []
    (warning,) = warnings(diagnostics, 50, spectral=1.5)
    assert "risen from 1.00 to 1.3" in warning


def test_typical_losses_and_one_bad_step_give_no_warning():
    diagnostics = Diagnostics()
    assert warnings(diagnostics, PERIOD, discriminator=1.0, spectral=0.1) == []  # the first losses do not count
    assert warnings(diagnostics, 50, spectral=1.0, discriminator=0.3) == []
    assert warnings(diagnostics, 1, spectral=3.0, discriminator=0.0) == []
    assert warnings(diagnostics, 1, spectral=math.nan, discriminator=math.nan) == []
    assert warnings(diagnostics, 50, spectral=1.0, discriminator=0.3) == []
