"""Band limit of generated and real audio."""

import torch

from svc.losses.stft import limit_band

RATE = 44_100


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
