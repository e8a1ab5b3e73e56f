"""Content: the words, whatever the level and the pitch; whole or in chunks; and the warp that hides the singer."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from svc import encoders
from svc.audio.files import Audio
from svc.audio.resample import resample
from svc.audio.stft import a_weighted_loudness
from svc.config import Config, ContentConfig, load
from svc.data.synthetic.phrases import Note, Phrase, phrase
from svc.data.synthetic.singers import SINGERS, Rendition, render
from svc.encoders.true_envelope import CepstralEncoder
from svc.features import content, extract

CEPSTRAL = ContentConfig(encoder="cepstral", layer="cepstra")
OPTIONS = {"cepstral": CEPSTRAL, "embedding": ContentConfig(layer="embedding")}


def encode(options, samples: np.ndarray, rate: int = 24_000, warp: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Content (C, N) and level (N,)."""
    level = extract.measure_loudness(Audio(samples, rate))
    encoder = encoders.shared(options.encoder)
    return content.extract(encoder, options.layer, Audio(samples, rate), len(level), level, warp), level


@pytest.fixture(params=OPTIONS)
def options(request) -> ContentConfig:
    return OPTIONS[request.param]


@pytest.fixture(scope="module")
def song() -> Rendition:
    return render(SINGERS[1], phrase(1))


def distance(left: np.ndarray, right: np.ndarray) -> float:
    """Mean over frames of the RMS difference of a channel."""
    return float(np.sqrt(np.square(left - right).mean(axis=0)).mean())


def test_normalised_over_active_frames(options, song):
    features, level = encode(options, song.samples)
    active = level >= level.max() - content.ACTIVE
    assert 0.5 < active.mean() < 0.99
    np.testing.assert_allclose(features[:, active].mean(1), 0, atol=1e-4)
    variance = features[:, active].var(1)
    np.testing.assert_allclose(variance if options.encoder == "cepstral" else variance.mean(), 1, atol=1e-3)
    assert np.abs(features[:, ~active].mean(1)).max() > 0.5  # silence has no part in it


def test_normalised_together_keeps_the_sizes_of_channels(song):
    level = extract.measure_loudness(song)
    active = level >= level.max() - content.ACTIVE
    sizes = {}
    for how in ("none", "per_channel", "global_variance"):
        encoder = CepstralEncoder()
        encoder.normalization = how
        sizes[how] = content.extract(encoder, "cepstra", song, len(level), level)[:, active].std(axis=1)
    np.testing.assert_allclose(sizes["per_channel"], 1, atol=1e-3)
    assert np.square(sizes["global_variance"]).mean() == pytest.approx(1, abs=1e-3)
    np.testing.assert_allclose(
        sizes["global_variance"] / sizes["global_variance"][0], sizes["none"] / sizes["none"][0], rtol=1e-3
    )


def test_a_held_vowel_is_not_blown_up():
    """Divided by its own deviation, the onset of 8 s would be 34; songs have 6, sung syllables 9."""
    note = Phrase((Note("", "a", 0.0, 8.0),), lead=0.2)
    features, _ = encode(ContentConfig(), render(SINGERS[3], note, f0=np.full(note.frames, 220.0)).samples)
    assert np.abs(features).max() < 17


def test_gain_does_not_matter(options, song):
    (features, level), (other, _) = encode(options, song.samples), encode(options, song.samples * np.float32(0.1))
    loud = level >= level.max() - 20
    assert np.abs(features - other)[:, loud].max() < 1e-2


def test_an_octave_is_nearer_than_another_word(options):
    """The same phrase by one singer an octave up against another phrase at the same pitch."""
    (low, level), (high, _) = (encode(options, render(SINGERS[1], phrase(1), median=hz).samples) for hz in (98, 196))
    other, _ = encode(options, render(SINGERS[1], phrase(2), median=98).samples)
    count = min(low.shape[1], other.shape[1])
    loud = level[:count] >= level.max() - 20
    same, different = (distance(low[:, :count][:, loud], x[:, :count][:, loud]) for x in (high, other))
    assert same < 0.5 * different


@pytest.mark.parametrize("warp", [0.8, 1.05])
def test_a_warp_is_the_file_played_faster(options, song, warp):
    warped, level = encode(options, song.samples, warp=warp)
    fast = resample(Audio(song.samples, round(song.rate * warp)), song.rate)
    played, _ = encode(options, fast.samples)
    place = (np.arange(len(level)) + 0.5) / warp - 0.5
    back = np.stack([np.interp(place, np.arange(played.shape[1]), row) for row in played])
    plain, _ = encode(options, song.samples)
    loud = level >= level.max() - 30
    assert distance(warped[:, loud], back[:, loud]) < 0.07  # A-weighting makes the slower file softer
    assert distance(warped[:, loud], plain[:, loud]) > 0.15


def test_a_warp_sounds_like_a_shorter_tract():
    """To cepstra, which follow the singer."""
    plain, other, warped, loud = three_voices(CEPSTRAL)
    assert distance(warped[:, loud], other[:, loud]) < 0.6 * distance(plain[:, loud], other[:, loud])


def three_voices(options):
    """A phrase, the same by a singer with a shorter tract, and the first again as from that, and where it is loud."""
    short = replace(SINGERS[1], tract=SINGERS[1].tract * 1.2)
    plain, level = encode(options, render(SINGERS[1], phrase(1), median=98).samples)
    other, _ = encode(options, render(short, phrase(1), median=98 * 1.2).samples)
    warped, _ = encode(options, render(SINGERS[1], phrase(1), median=98).samples, warp=1.2)
    return plain, other, warped, level >= level.max() - 20


def test_extract_fills_every_track(song):
    features = extract.shared_extractor(Config()).extract(Audio(song.samples[: 24_000 + 100], song.rate))
    assert (features.f0.shape, features.voiced.shape, features.loudness.shape, features.content.shape) == (
        (100,),
    ) * 3 + ((39, 100),)
    assert (features.f0 > 0).all()
    voiced = features.voiced & (song.f0[:100] > 0)
    assert voiced.sum() > 40
    assert np.median(np.abs(1200 * np.log2(features.f0[voiced] / song.f0[:100][voiced]))) < 5
    conditioning = features.conditioning(torch.tensor([0.0, 1.0]))
    assert conditioning.frames == 100
    assert torch.equal(conditioning.speaker, torch.tensor([[0.0, 1.0]]))


def test_a_given_curve_is_kept(song):
    curve = np.where(np.arange(50) < 20, 0, 300).astype(np.float32)
    features = extract.shared_extractor(Config()).extract(Audio(song.samples[:12_000], song.rate), curve)
    assert (features.f0 == 300).all()
    assert np.array_equal(features.voiced, curve > 0)


def test_loudness_in_chunks_is_that_of_the_whole(song, monkeypatch):
    whole = a_weighted_loudness(torch.from_numpy(song.samples)[None], song.rate)[0].numpy()
    monkeypatch.setattr(extract, "_CHUNK", 7)
    np.testing.assert_allclose(extract.measure_loudness(Audio(song.samples, song.rate)), whole, atol=1e-4)


def test_warped_content_is_one_for_each_warp(song):
    config = Config(features=type(Config().features)(content=ContentConfig(perturbation_factors=(0.9, 1.2))))
    plain, level = encode(ContentConfig(), song.samples[:12_000])
    stacked = extract.shared_extractor(config).perturbed_content(Audio(song.samples[:12_000], song.rate), level)
    assert stacked.shape == (2, *plain.shape)
    for row, warp in zip(stacked, (0.9, 1.2), strict=True):
        np.testing.assert_array_equal(row, encode(ContentConfig(), song.samples[:12_000], warp=warp)[0])


# --- the networks of an extractor ---

FEATURES = {"features.f0.model": "tiny", "features.content.encoder": "cepstral", "features.content.layer": "cepstra"}
CONFIG = load(None, FEATURES)


def devices(extractor: extract.FeatureExtractor) -> set[str]:
    networks = [*extractor.crepe, extractor.encoder]
    return {value.device.type for network in networks for value in (*network.parameters(), *network.buffers())}


def test_an_extractor_on_a_device_moves_no_other():
    first = extract.FeatureExtractor(CONFIG)
    other = extract.FeatureExtractor(CONFIG, torch.device("meta"))  # in place of an accelerator
    assert (devices(first), devices(other)) == ({"cpu"}, {"meta"})
    assert devices(extract.FeatureExtractor(CONFIG)) == {"cpu"}
    assert first.encoder is extract.FeatureExtractor(CONFIG).encoder  # on the CPU a process has one


def test_the_shared_extractor_is_made_once():
    assert extract.shared_extractor(CONFIG) is extract.shared_extractor(load(None, {"train.seed": 7, **FEATURES}))
    assert extract.shared_extractor(CONFIG) is not extract.shared_extractor(
        load(None, {**FEATURES, "features.f0.fmin": 60.0})
    )
