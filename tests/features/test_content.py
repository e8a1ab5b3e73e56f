"""Content: the words, whatever the level and the pitch; whole or in chunks; and the warp that hides the singer."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from svc import encoders
from svc.audio.files import Audio
from svc.audio.resample import resample
from svc.audio.stft import a_weighted_loudness
from svc.config import Config, ContentConfig
from svc.data.synthetic.phrases import Note, Phrase, phrase
from svc.data.synthetic.singers import SINGERS, Rendition, render
from svc.encoders.true_envelope import CepstralEncoder
from svc.features import content, extract

CEPSTRAL = ContentConfig(encoder="cepstral", layer="cepstra")
KNOBS = {"cepstral": CEPSTRAL, "embedding": ContentConfig(layer="embedding")}


def heard(knobs, samples: np.ndarray, rate: int = 24_000, warp: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Content (C, N) and level (N,)."""
    level = extract.measure_loudness(Audio(samples, rate))
    encoder = encoders.shared(knobs.encoder)
    return content.extract(encoder, knobs.layer, Audio(samples, rate), len(level), level, warp), level


@pytest.fixture(params=KNOBS)
def knobs(request) -> ContentConfig:
    return KNOBS[request.param]


@pytest.fixture(scope="module")
def sung() -> Rendition:
    return render(SINGERS[1], phrase(1))


def distance(left: np.ndarray, right: np.ndarray) -> float:
    """Mean over frames of the RMS difference of a channel."""
    return float(np.sqrt(np.square(left - right).mean(axis=0)).mean())


def test_normalised_over_active_frames(knobs, sung):
    features, level = heard(knobs, sung.samples)
    active = level >= level.max() - content.ACTIVE
    assert 0.5 < active.mean() < 0.99
    np.testing.assert_allclose(features[:, active].mean(1), 0, atol=1e-4)
    variance = features[:, active].var(1)
    np.testing.assert_allclose(variance if knobs.encoder == "cepstral" else variance.mean(), 1, atol=1e-3)
    assert np.abs(features[:, ~active].mean(1)).max() > 0.5  # silence has no part in it


def test_normalised_together_keeps_the_sizes_of_channels(sung):
    level = extract.measure_loudness(sung)
    active = level >= level.max() - content.ACTIVE
    sizes = {}
    for how in ("none", "per_channel", "global_variance"):
        encoder = CepstralEncoder()
        encoder.normalization = how
        sizes[how] = content.extract(encoder, "cepstra", sung, len(level), level)[:, active].std(axis=1)
    np.testing.assert_allclose(sizes["per_channel"], 1, atol=1e-3)
    assert np.square(sizes["global_variance"]).mean() == pytest.approx(1, abs=1e-3)
    np.testing.assert_allclose(
        sizes["global_variance"] / sizes["global_variance"][0], sizes["none"] / sizes["none"][0], rtol=1e-3
    )


def test_a_held_vowel_is_not_blown_up():
    """Divided by its own deviation, the onset of 8 s would be 34; songs have 6, sung syllables 9."""
    note = Phrase((Note("", "a", 0.0, 8.0),), lead=0.2)
    features, _ = heard(ContentConfig(), render(SINGERS[3], note, f0=np.full(note.frames, 220.0)).samples)
    assert np.abs(features).max() < 17


def test_gain_does_not_matter(knobs, sung):
    (features, level), (other, _) = heard(knobs, sung.samples), heard(knobs, sung.samples * np.float32(0.1))
    loud = level >= level.max() - 20
    assert np.abs(features - other)[:, loud].max() < 1e-2


def test_an_octave_is_nearer_than_another_word(knobs):
    """The same phrase by one singer an octave up against another phrase at the same pitch."""
    (low, level), (high, _) = (heard(knobs, render(SINGERS[1], phrase(1), median=hz).samples) for hz in (98, 196))
    other, _ = heard(knobs, render(SINGERS[1], phrase(2), median=98).samples)
    count = min(low.shape[1], other.shape[1])
    loud = level[:count] >= level.max() - 20
    same, different = (distance(low[:, :count][:, loud], x[:, :count][:, loud]) for x in (high, other))
    assert same < 0.5 * different


@pytest.mark.parametrize("warp", [0.8, 1.05])
def test_a_warp_is_the_file_played_faster(knobs, sung, warp):
    warped, level = heard(knobs, sung.samples, warp=warp)
    fast = resample(Audio(sung.samples, round(sung.rate * warp)), sung.rate)
    played, _ = heard(knobs, fast.samples)
    place = (np.arange(len(level)) + 0.5) / warp - 0.5
    back = np.stack([np.interp(place, np.arange(played.shape[1]), row) for row in played])
    plain, _ = heard(knobs, sung.samples)
    loud = level >= level.max() - 30
    assert distance(warped[:, loud], back[:, loud]) < 0.07  # A-weighting hears the slower file as softer
    assert distance(warped[:, loud], plain[:, loud]) > 0.15


def test_a_warp_sounds_like_a_shorter_tract():
    """To cepstra, which hear the singer."""
    plain, other, warped, loud = three_voices(CEPSTRAL)
    assert distance(warped[:, loud], other[:, loud]) < 0.6 * distance(plain[:, loud], other[:, loud])


def three_voices(knobs):
    """A phrase, the same by a singer with a shorter tract, and the first again as from that, and where it is loud."""
    short = replace(SINGERS[1], tract=SINGERS[1].tract * 1.2)
    plain, level = heard(knobs, render(SINGERS[1], phrase(1), median=98).samples)
    other, _ = heard(knobs, render(short, phrase(1), median=98 * 1.2).samples)
    warped, _ = heard(knobs, render(SINGERS[1], phrase(1), median=98).samples, warp=1.2)
    return plain, other, warped, level >= level.max() - 20


def test_extract_fills_every_track(sung):
    found = extract.shared_extractor(Config()).extract(Audio(sung.samples[: 24_000 + 100], sung.rate))
    assert (found.f0.shape, found.voiced.shape, found.loudness.shape, found.content.shape) == ((100,),) * 3 + (
        (39, 100),
    )
    assert (found.f0 > 0).all()
    voiced = found.voiced & (sung.f0[:100] > 0)
    assert voiced.sum() > 40
    assert np.median(np.abs(1200 * np.log2(found.f0[voiced] / sung.f0[:100][voiced]))) < 5
    conditioning = found.conditioning(torch.tensor([0.0, 1.0]))
    assert conditioning.frames == 100
    assert torch.equal(conditioning.speaker, torch.tensor([[0.0, 1.0]]))


def test_a_given_curve_is_sung_as_it_is(sung):
    curve = np.where(np.arange(50) < 20, 0, 300).astype(np.float32)
    found = extract.shared_extractor(Config()).extract(Audio(sung.samples[:12_000], sung.rate), curve)
    assert (found.f0 == 300).all()
    assert np.array_equal(found.voiced, curve > 0)


def test_loudness_in_chunks_is_that_of_the_whole(sung, monkeypatch):
    whole = a_weighted_loudness(torch.from_numpy(sung.samples)[None], sung.rate)[0].numpy()
    monkeypatch.setattr(extract, "_CHUNK", 7)
    np.testing.assert_allclose(extract.measure_loudness(Audio(sung.samples, sung.rate)), whole, atol=1e-4)


def test_warped_content_is_one_for_each_warp(sung):
    config = Config(features=type(Config().features)(content=ContentConfig(perturbation_factors=(0.9, 1.2))))
    plain, level = heard(ContentConfig(), sung.samples[:12_000])
    stacked = extract.shared_extractor(config).perturbed_content(Audio(sung.samples[:12_000], sung.rate), level)
    assert stacked.shape == (2, *plain.shape)
    for row, warp in zip(stacked, (0.9, 1.2), strict=True):
        np.testing.assert_array_equal(row, heard(ContentConfig(), sung.samples[:12_000], warp=warp)[0])
