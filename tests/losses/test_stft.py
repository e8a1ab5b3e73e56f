"""Multi-resolution STFT loss, the weighted sum and the band limit: values by hand, and a pinned one."""

import math

import pytest
import torch

from svc.config import LossConfig, load
from svc.errors import ConfigError
from svc.losses.stft import FLOOR, MIN_LEVEL, limit_band, magnitude, multi_resolution_stft_loss, reconstruction_losses
from svc.losses.total import loss_weights, weighted_sum

SCALES = (512, 128, 64)
RATE = 44_100


def noise(seed: int, samples: int = 4_000, batch: int = 2) -> torch.Tensor:
    return torch.randn(batch, samples, generator=torch.Generator().manual_seed(seed))


def both(fake: torch.Tensor, real: torch.Tensor, scales=SCALES) -> list[float]:
    losses = multi_resolution_stft_loss(fake=fake, real=real, scales=scales)
    return [float(losses["convergence"]), float(losses["log_magnitude"])]


@pytest.mark.parametrize("gain", [0.5, -2.0, 1.01])
def test_a_gain(gain):
    expected = [abs(abs(gain) - 1), abs(math.log(abs(gain)))]
    assert both(gain * noise(0), noise(0)) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("size", [512, 64])
def test_magnitude_of_a_sine_is_a_quarter_of_the_size_and_of_silence_the_floor(size):
    sine = torch.sin(2 * torch.pi / 8 * torch.arange(4 * size))[None]
    spectrum = magnitude(sine, size)
    assert spectrum.shape == (1, 17, size // 2 + 1)
    assert float(spectrum[0, 8, size // 8]) == pytest.approx(size / 4, rel=1e-3)
    torch.testing.assert_close(magnitude(torch.zeros(1, 100), size).unique(), torch.tensor([FLOOR]))


@pytest.mark.parametrize(("fake", "real"), [(0, 0), (1, 0), (0, 1)])
def test_silent_segments_stay_finite(fake, real):
    audio = (fake * noise(0)).requires_grad_()
    losses = multi_resolution_stft_loss(fake=audio, real=real * noise(1), scales=SCALES)
    sum(losses.values()).backward()
    assert all(torch.isfinite(value) for value in losses.values())
    assert torch.isfinite(audio.grad).all()


def test_a_silent_segment_counts_as_one_of_50_db():
    real = torch.cat([noise(0, batch=1), torch.zeros(1, 4_000)])
    fake = torch.cat([noise(0, batch=1), MIN_LEVEL * noise(1, batch=1)])
    assert both(fake, real)[0] == pytest.approx(0.5, rel=0.03)
    fake[1] *= 1e-3
    assert both(fake, real)[0] < 1e-3


def test_a_batch_is_the_mean_of_its_micro_batches():
    """Whatever the levels of its segments."""
    fake, real = noise(0, batch=4), noise(1, batch=4) * torch.tensor([[1.0], [0.1], [0.0], [3.0]])
    parts = [both(fake[n : n + 2], real[n : n + 2]) for n in (0, 2)]
    assert both(fake, real) == pytest.approx([sum(t) / 2 for t in zip(*parts, strict=True)], rel=1e-5)


def test_pinned():
    torch.manual_seed(0)
    real, fake = torch.randn(2, 3_000), torch.randn(2, 3_000)
    assert both(fake, real, (2048, 512, 64)) == pytest.approx([0.66185004, 0.70885754], abs=1e-6)


def test_every_loss_has_a_weight():
    assert loss_weights(
        load(None, {"loss.spectral": 2, "loss.adversarial": 0.5, "loss.feature_matching": 0}), ramp=0.5
    ) == {
        "spectral": 2.0,
        "energy_repulsion": 0.25,
        "aperiodicity": 0.0,
        "adversarial": 0.25,
        "feature_matching": 0.0,
        **{"crepe": 0.0, "phones": 0.0, "speaker": 0.0},
        **dict.fromkeys([f"conversion/{name}" for name in ("adversarial", "crepe", "phones", "speaker")], 0.0),
        **{"envelope": 0.0, "conversion/envelope_phones": 0.0, "conversion/envelope_speaker": 0.0},
    }


def test_weighted_sum():
    losses = {"a": torch.tensor(3.0, requires_grad=True), "b": torch.tensor(5.0), "c": torch.tensor(torch.nan)}
    total = weighted_sum(losses, {"a": 2.0, "b": 0.1, "c": 0.0, "unused": 1.0})
    total.backward()
    assert total.item() == pytest.approx(6.5)
    assert float(losses["a"].grad) == 2.0
    nothing = weighted_sum({"c": torch.tensor(1.0)}, {"c": 0.0})
    nothing.backward()
    assert nothing.item() == 0


def test_a_misspelt_loss_is_an_error():
    with pytest.raises(ConfigError, match=r"no weight for b, spektral$"):
        weighted_sum({"spektral": torch.tensor(1.0), "b": torch.tensor(1.0), "a": torch.tensor(1.0)}, {"a": 1.0})


def best_gain(repulsion: float) -> float:
    """Gain of noise with the lowest loss for unit noise."""
    gains = [0.5 + 0.05 * step for step in range(15)]
    config = LossConfig(scales=(512,))

    def cost(gain: float) -> float:
        audio = {"fake": gain * noise(1), "real": noise(0), "fake2": gain * noise(2)}
        losses = reconstruction_losses(**audio, config=config, sample_rate=RATE)
        return float(losses["spectral"] + repulsion * losses["energy_repulsion"])

    return min(gains, key=cost)


def test_energy_repulsion_keeps_the_level_of_noise():
    assert best_gain(0.0) < 0.95 <= best_gain(LossConfig().energy_repulsion)
    assert best_gain(0.5) == pytest.approx(1.0, abs=0.01)
    assert best_gain(1.0) > 1.05


def tone(hz: float) -> torch.Tensor:
    return torch.sin(2 * torch.pi * hz * torch.arange(RATE).double() / RATE).float()


def test_a_tone_above_the_band_is_gone_and_one_below_stays():
    audio = torch.stack([tone(5_000) + tone(9_000), tone(5_000) + tone(9_000)])
    limited = limit_band(audio, torch.tensor([8_000.0, RATE / 2]), RATE)
    torch.testing.assert_close(limited[0], tone(5_000), atol=1e-3, rtol=0)
    torch.testing.assert_close(limited[1], audio[1], atol=1e-3, rtol=0)


def test_full_band_is_left_as_it_is():
    audio = torch.randn(2, 300)
    assert limit_band(audio, torch.full((2,), RATE / 2), RATE) is audio


def test_no_gradient_comes_from_above_the_band():
    audio = (tone(9_000) + tone(5_000))[None].requires_grad_()
    limit_band(audio, torch.tensor([8_000.0]), RATE).square().sum().backward()
    spectrum = torch.fft.rfft(audio.grad[0]).abs()
    assert spectrum[9_000] < 1e-4 * spectrum[5_000]


def test_weighting_counts_a_fault_by_its_frequency():
    """A-weighting takes 19 dB from 100 Hz and adds 1 dB at 3 kHz; without it both faults count alike."""
    scores = {}
    for weighting in ("none", "a_weighting"):
        config = LossConfig(scales=(1024,), weighting=weighting)
        real = noise(0, RATE, batch=1)
        losses = [
            reconstruction_losses(fake=real + 30 * tone(hz), real=real, config=config, sample_rate=RATE)["spectral"]
            for hz in (100, 3_000)
        ]
        scores[weighting] = [float(loss) for loss in losses]
    assert scores["none"][0] == pytest.approx(scores["none"][1], rel=0.1)
    assert scores["a_weighting"][0] < 0.2 * scores["a_weighting"][1]
