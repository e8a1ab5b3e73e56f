"""The cochleagram against a direct one: Hilbert envelopes of the same filters at the full rate."""

import numpy as np
import torch

from svc.encoders.cochleagram import FLOOR, POWER, Cochleagram, filters

RATE, LENGTH = 16_000, 3_200


def test_envelopes_are_those_of_the_full_rate():
    audio = torch.randn(2, LENGTH, generator=torch.Generator().manual_seed(0))
    layer = Cochleagram()(audio)["envelope"].unflatten(1, (40, 10)).transpose(2, 3).flatten(2)
    size = 4 * LENGTH
    spectrum = np.fft.rfft(audio.numpy(), n=size)[:, None] * filters(np.fft.rfftfreq(size, 1 / RATE))
    analytic = 2 * np.fft.ifft(np.pad(spectrum, ((0, 0), (0, 0), (0, size - spectrum.shape[-1]))))[..., :LENGTH]
    power = (np.abs(analytic) ** 2).reshape(2, 40, -1, 16).mean(axis=-1)
    wanted = (power + FLOOR**2) ** (POWER / 2) - FLOOR**POWER
    assert np.abs(layer.numpy() - wanted).mean() < 0.01 * wanted.mean()


def test_filters_keep_the_power_between_their_centres():
    power = (filters(np.linspace(80, 7000, 500)) ** 2).sum(axis=0)
    np.testing.assert_allclose(power, 1, atol=1e-9)


def test_a_tone_excites_its_band():
    tone = torch.sin(2 * torch.pi * 1000 / RATE * torch.arange(LENGTH))[None]
    bands = Cochleagram()(tone)["envelope"].unflatten(1, (40, 10)).mean(dim=(0, 2, 3))
    assert int(bands.argmax()) == int(filters(np.array([1000.0]))[:, 0].argmax())
