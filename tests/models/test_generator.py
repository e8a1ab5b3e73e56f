"""The generator: its shapes, how far it looks, and that it adds nothing of its own."""

import math
from dataclasses import replace

import pytest
import torch
from levels import db, rms
from song import CONTENT, SPEAKERS, song
from torch import nn

from svc.config import load
from svc.models.generator import Generator

SMALL = {
    "speaker_embedding_dim": 4,
    "hidden_channels": 8,
    "hidden_layers": 2,
    "envelope_points": 33,
    "wavenet.channels": 4,
    "wavenet.layers": 3,
    "wavenet.dilation_cycle": 3,
}
NAMES = {"channels": "wavenet.channels", "layers": "wavenet.layers", "cycle": "wavenet.dilation_cycle"}  # in calls


def build(rate: int = 24_000, trained: bool = True, seed: int = 0, **options) -> Generator:
    """A small generator; ``trained`` moves the layers that start at zero."""
    overrides = {f"model.{NAMES.get(name, name)}": value for name, value in (SMALL | options).items()}
    torch.manual_seed(seed)
    generator = Generator(
        load(None, overrides | {"sample_rate": rate}), content_channels=CONTENT, num_speakers=SPEAKERS
    ).eval()
    if trained and generator.wavenet is not None:
        nn.init.normal_(generator.wavenet.output.weight, std=0.1)
    return generator


# --- shapes and reach ---


@pytest.mark.parametrize("source_filter", [True, False])
@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_shape(source_filter, rate):
    generator = build(rate, source_filter=source_filter)
    with torch.no_grad():
        for frames, batch in ((1, 1), (17, 3)):
            assert generator(song(frames, batch)).shape == (batch, frames * rate // 100)


def test_guidance_moves_the_envelopes_away_from_those_of_the_average_speaker():
    generator, source = build(layers=0), song(17)
    average = source.with_speaker(torch.full_like(source.speaker, 1 / SPEAKERS))
    with torch.no_grad():
        plain, guided, middle = (
            generator(conditioning, guidance=guidance, synthesise=False)
            for conditioning, guidance in ((source, 0.0), (source, 0.4), (average, 0.0))
        )
        torch.testing.assert_close(guided - middle, 1.4 * (plain - middle))
        assert float((plain - middle).abs().max()) > 0.01
        torch.testing.assert_close(generator(average, guidance=0.4, synthesise=False), middle)


@pytest.mark.parametrize("source_filter", [True, False])
@pytest.mark.parametrize(("layers", "hidden"), [(1, 1), (4, 3), (9, 2)])
def test_margin_is_how_far_it_looks(source_filter, layers, hidden):
    generator = build(source_filter=source_filter, layers=layers, cycle=4, hidden_layers=hidden).double()
    frames, middle = 2 * generator.margin + 9, generator.margin + 4
    whole = song(frames, dtype=torch.float64, voiced=torch.ones(1, frames))
    tracks = {name: getattr(whole, name).clone() for name in ("f0", "loudness", "relative_loudness", "content")}
    for track in tracks.values():
        track[..., middle] += 1
    with torch.no_grad():
        change = (generator(replace(whole, **tracks)) - generator(whole))[0].unflatten(0, (frames, -1))
    touched = change.abs().sum(1).nonzero()[:, 0]
    reach = max(middle - int(touched[0]), int(touched[-1]) - middle)
    slack = 1 if not source_filter else 4  # the filters reach less far into the hidden track than the margin
    assert generator.margin - slack <= reach <= generator.margin


def test_without_source_filter_the_median_level_is_the_gain():
    """And effort is heard, not applied."""
    generator, whole = build(source_filter=False), song(30)
    with torch.no_grad():
        plain = generator(whole)
        louder = generator(replace(whole, loudness=whole.loudness + 20))
        both = generator(replace(whole, loudness=whole.loudness + 20, relative_loudness=whole.relative_loudness + 20))
        harder = generator(replace(whole, loudness=whole.loudness + 1, relative_loudness=whole.relative_loudness + 1))
    torch.testing.assert_close(louder, 10 * plain)
    assert 0.001 < rms(harder - plain) / rms(plain) < 1
    assert rms(both) < 5 * rms(plain)


@pytest.mark.parametrize("source_filter", [True, False])
def test_chunks_equal_the_whole(source_filter):
    generator = build(source_filter=source_filter)
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


# --- nothing of its own ---


def test_a_fresh_wavenet_changes_little():
    generator, whole = build(trained=False, channels=64, layers=8, cycle=4), song(30)
    with torch.no_grad():
        base = generator(whole, use_wavenet=False)
        assert -60 < db(rms(generator(whole) - base) / rms(base)) < -15


def test_the_wavenet_refines_the_envelopes_and_leaves_the_stage_alone():
    """A constant that it adds to the log envelopes is a gain; no gradient reaches the stage through it."""
    generator, whole = build(), song(30)
    with torch.no_grad():
        base = generator(whole, use_wavenet=False)
    generator.wavenet.forward = lambda signal, hidden: torch.full((1, 66, hidden.shape[1]), 0.5)
    with torch.no_grad():
        torch.testing.assert_close(generator(whole), base * math.exp(0.5), rtol=1e-4, atol=1e-6)
    del generator.wavenet.forward
    generator(whole).square().sum().backward()
    trained = {name for name, parameter in generator.named_parameters() if parameter.grad is not None}
    assert trained == {name for name, _ in generator.named_parameters() if name.startswith("wavenet.")}
    generator.zero_grad(set_to_none=True)
    generator(whole, use_wavenet=False).square().sum().backward()
    assert all(parameter.grad is None for parameter in generator.wavenet.parameters())
    assert generator.source_filter.output.weight.grad is not None


def test_no_layers_is_the_source_filter_stage_alone():
    generator, whole = build(layers=0), song(30)
    with torch.no_grad():
        assert torch.equal(generator(whole), generator(whole, use_wavenet=False))


def test_silence_is_silent():
    generator = build()
    with torch.no_grad():
        assert db(rms(generator(song(40, loudness=torch.full((1, 40), -100.0))))) < -90
        assert db(rms(generator(song(40, loudness=torch.full((1, 40), -20.0))))) > -40


@pytest.mark.parametrize(("source_filter", "level"), [(False, 0.1), (True, 1.0)])
def test_excitation_levels(source_filter, level):
    generator = build(source_filter=source_filter, num_harmonics=1)
    loud, hushed = (generator.excitation(song(60, voiced=torch.full((1, 60), v)))[0] for v in (1.0, 0.0))
    assert rms(loud[0]) == pytest.approx(level, rel=0.01)
    assert hushed[0].abs().max() == 0
    assert rms(hushed[1]) == pytest.approx(level / 3 if not source_filter else 1, rel=0.02)
    assert rms(loud[1]) == pytest.approx(0.003 if not source_filter else 1, rel=0.02)


# --- singers ---


def test_one_hot_is_the_singer_and_half_and_half_is_between():
    generator, whole = build(), song(20)

    def sung_by(*weights: float) -> torch.Tensor:
        with torch.no_grad():
            return generator.conditioner(whole.with_speaker(torch.tensor([weights], dtype=torch.float32)))

    second = sung_by(0, 1, 0)
    with torch.no_grad():
        generator.conditioner.embedding[[0, 2]] = 7.0
        assert torch.equal(sung_by(0, 1, 0), second)
        generator.conditioner.embedding[2] = generator.conditioner.embedding[:2].mean(0)
    torch.testing.assert_close(sung_by(0.5, 0.5, 0), sung_by(0, 0, 1))
    assert not torch.allclose(sung_by(1, 0, 0), sung_by(0, 1, 0))


# --- loudness and precision ---


class ConstantConditioner(nn.Module):
    """Conditioning network whose output does not depend on its input."""

    margin = 0

    def forward(self, conditioning):
        return torch.linspace(-1, 1, SMALL["hidden_channels"]).expand(*conditioning.f0.shape, -1)


def test_loudness_is_a_gain():
    generator, whole = build(), song(30)
    generator.conditioner = ConstantConditioner()
    with torch.no_grad():
        soft, loud = (generator(replace(whole, loudness=torch.full((1, 30), level))) for level in (-40.0, -20.0))
    torch.testing.assert_close(loud, 10 * soft, atol=1e-6, rtol=1e-4)
    assert rms(loud) > 0.01


# --- band ---


def test_envelopes_fall_above_the_band_and_stay_as_they_are_below():
    """By 2 nepers an octave from the level at the edge, at least; what is lower already stays."""
    generator = build(32_000)
    envelopes = torch.full((1, 5, 2, 33), 0.5)
    envelopes[..., 20:] = 9.0  # from 10 kHz on, which no recording has
    envelopes[..., 32] = -9.0
    limited = generator._fall_above(envelopes, 8_000.0)
    assert torch.equal(limited[..., :16], envelopes[..., :16])
    torch.testing.assert_close(limited[..., 30], torch.full((1, 5, 2), 0.5 - 2 * math.log2(15_000 / 7_600)))
    assert (limited[..., 32] == -9).all()
