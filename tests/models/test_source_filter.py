"""The envelope filter: a gain where it is flat, what it says elsewhere, and nothing before its time."""

import numpy as np
import pytest
import torch
from levels import db, psd, rms
from torch import nn

from svc.models.source_filter import EnvelopeFilter


def envelope_filter(gain: float = 0.0, wild: float = 0.0, hop: int = 240) -> EnvelopeFilter:
    """Flat envelopes of ``gain`` dB, or random ones that move by ``wild`` nepers."""
    torch.manual_seed(0)
    network = EnvelopeFilter(hidden=4, points=33, hop=hop).requires_grad_(False)
    nn.init.normal_(network.output.weight, std=wild)
    nn.init.constant_(network.output.bias, gain * np.log(10) / 20)
    return network


@pytest.mark.parametrize(("hop", "gain", "factor"), [(160, -20 * np.log10(2), 0.5), (441, 20.0, 10.0)])
def test_a_flat_envelope_is_a_gain(hop, gain, factor):
    audio = torch.randn(2, 2, 30 * hop)
    network = envelope_filter(gain, hop=hop)
    shaped = network(audio, network.envelopes(torch.randn(2, 30, 4)))
    inner = slice(2 * hop, -2 * hop)
    torch.testing.assert_close(shaped[..., inner], factor * audio[..., inner], atol=1e-4 * factor, rtol=0)


def test_envelopes_do_what_they_say():
    envelope = envelope_filter()
    tilt = torch.linspace(0, -4, 33)
    envelope.output.bias.copy_(torch.cat([tilt, -tilt]))
    noise = torch.randn(1, 2, 240 * 800, generator=torch.Generator().manual_seed(0))
    shaped = envelope(noise, envelope.envelopes(torch.zeros(1, 800, 4)))
    for channel, sign in ((0, 1), (1, -1)):
        frequency, power = psd(shaped[0, channel], 24_000, 512)
        _, before = psd(noise[0, channel], 24_000, 512)
        gain = 0.5 * np.log(power / before)
        inner = (frequency > 200) & (frequency < 11_800)
        assert np.abs(gain - sign * -4 * frequency / 12_000)[inner].max() < 0.05


def test_minimum_phase_has_no_energy_before_the_click():
    envelope = envelope_filter(wild=0.5)
    click = torch.zeros(1, 2, 240 * 20)
    click[..., 2_400] = 1
    hidden = torch.randn(1, 1, 4).expand(1, 20, 4)
    shaped = envelope(click, envelope.envelopes(hidden))[0]
    for response in shaped:
        assert db(rms(response[:2_399]) * 2_399**0.5 / response.square().sum().sqrt()) < -60
        assert db(response[2_400:2_640].square().sum().sqrt() / response.square().sum().sqrt()) > -0.1


def test_the_gradient_of_the_filters_is_right():
    envelope = EnvelopeFilter(hidden=2, points=3, hop=160).double()
    noise = torch.randn(1, 2, 2 * 160, dtype=torch.float64)
    hidden = torch.randn(1, 2, 2, dtype=torch.float64, requires_grad=True)
    torch.autograd.gradcheck(lambda h: envelope(noise, envelope.envelopes(h)).square().sum(), hidden)
    weights = torch.linspace(0, 1, 320, dtype=torch.float64, requires_grad=True)
    torch.autograd.gradcheck(lambda w: envelope(noise * w, envelope.envelopes(hidden.detach()))[..., 100:110], weights)
