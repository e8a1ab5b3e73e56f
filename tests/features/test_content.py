"""Content: the words, whatever the level and the pitch; whole or in chunks; and the warp that hides the singer."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from svc.audio.files import Audio
from svc.audio.loudness import loudness
from svc.audio.resample import resample
from svc.config import Config, ContentConfig
from svc.data.synthetic import SINGERS, Rendition, phrase, render
from svc.features import content, extract, f0

KNOBS = ContentConfig()


def heard(samples: np.ndarray, rate: int = 24_000, warp: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Content (C, N) and level (N,)."""
    level = extract.measure_loudness(Audio(samples, rate))
    return content.extract(Audio(samples, rate), len(level), level, KNOBS, warp), level


@pytest.fixture(scope="module")
def sung() -> Rendition:
    return render(SINGERS[1], phrase(1))


def distance(left: np.ndarray, right: np.ndarray) -> float:
    """Mean distance of frames."""
    return float(np.linalg.norm(left - right, axis=0).mean())


@pytest.mark.parametrize("chunk", [1, 7, 100])
def test_chunks_join_exactly(sung, monkeypatch, chunk):
    encoder, samples = content.load("cepstral"), resample(Audio(sung.samples, sung.rate), 16_000).samples[:33_333]
    whole = content.encode(encoder, "cepstra", samples)
    monkeypatch.setattr(content, "CHUNK", chunk)
    assert whole.shape == (20, 209)  # the last frame is begun
    np.testing.assert_allclose(content.encode(encoder, "cepstra", samples), whole, atol=1e-5)


def test_normalised_over_active_frames(sung):
    features, level = heard(sung.samples)
    active = level >= level.max() - content.ACTIVE
    assert 0.5 < active.mean() < 0.99
    np.testing.assert_allclose(features[:, active].mean(1), 0, atol=1e-4)
    np.testing.assert_allclose(features[:, active].var(1), 1, atol=1e-3)
    assert np.abs(features[:, ~active].mean(1)).max() > 0.5  # silence has no part in it


@pytest.mark.parametrize("gain", [0.1, 2.0])
def test_gain_does_not_matter(sung, gain):
    (features, level), (other, _) = heard(sung.samples), heard(sung.samples * np.float32(gain))
    loud = level >= level.max() - 20
    assert np.abs(features - other)[:, loud].max() < 1e-2


def test_an_octave_is_nearer_than_another_word(sung):
    """The same phrase by one singer an octave up against another phrase at the same pitch."""
    (low, level), (high, _) = (heard(render(SINGERS[1], phrase(1), median=hz).samples) for hz in (98, 196))
    other, _ = heard(render(SINGERS[1], phrase(2), median=98).samples)
    count = min(low.shape[1], other.shape[1])
    loud = level[:count] >= level.max() - 20
    same, different = (distance(low[:, :count][:, loud], x[:, :count][:, loud]) for x in (high, other))
    assert same < 0.5 * different


@pytest.mark.parametrize("warp", [0.8, 0.95, 1.05, 1.3])
def test_a_warp_is_the_file_played_faster(sung, warp):
    warped, level = heard(sung.samples, warp=warp)
    fast = resample(Audio(sung.samples, round(sung.rate * warp)), sung.rate)
    played, _ = heard(fast.samples)
    place = (np.arange(len(level)) + 0.5) / warp - 0.5
    back = np.stack([np.interp(place, np.arange(played.shape[1]), row) for row in played])
    plain, _ = heard(sung.samples)
    loud = level >= level.max() - 30
    assert distance(warped[:, loud], back[:, loud]) < 0.3  # A-weighting hears the slower file as softer
    assert distance(warped[:, loud], plain[:, loud]) > 1.0


def test_a_warp_sounds_like_a_shorter_tract():
    short = replace(SINGERS[1], tract=SINGERS[1].tract * 1.2)
    plain, level = heard(render(SINGERS[1], phrase(1), median=98).samples)
    other, _ = heard(render(short, phrase(1), median=98 * 1.2).samples)
    warped, _ = heard(render(SINGERS[1], phrase(1), median=98).samples, warp=1.2)
    loud = level >= level.max() - 20
    assert distance(warped[:, loud], other[:, loud]) < 0.6 * distance(plain[:, loud], other[:, loud])


def test_extract_fills_every_track(sung):
    found = extract.extract(Audio(sung.samples[: 24_000 + 100], sung.rate), Config())
    assert (found.f0.shape, found.voiced.shape, found.loudness.shape, found.content.shape) == ((100,),) * 3 + (
        (20, 100),
    )
    assert (found.f0 > 0).all()
    voiced = found.voiced & (sung.f0[:100] > 0)
    assert voiced.sum() > 40
    assert np.median(np.abs(1200 * np.log2(found.f0[voiced] / sung.f0[:100][voiced]))) < 5
    conditioning = found.conditioning(torch.tensor([0.0, 1.0]))
    assert conditioning.frames == 100
    assert torch.equal(conditioning.singer, torch.tensor([[0.0, 1.0]]))


def test_progress_only_grows_stage_by_stage(sung, monkeypatch):
    monkeypatch.setattr(f0, "BATCH", 10)
    told: list[tuple[str, int]] = []
    audio = Audio(sung.samples[:24_000], sung.rate)
    extract.extract(audio, Config(), progress=lambda *news: told.append(news))
    melody, words = ([done for stage, done in told if stage == name] for name in ("f0", "content"))
    assert told == [("f0", done) for done in melody] + [("content", done) for done in words]
    assert melody == sorted(melody)
    assert len({*melody}) > 5  # news of every batch of frames that somebody sings in
    assert melody[-1] == 100
    assert words == [0, 100]


def test_a_given_curve_is_sung_as_it_is(sung):
    curve = np.where(np.arange(50) < 20, 0, 300).astype(np.float32)
    found = extract.extract(Audio(sung.samples[:12_000], sung.rate), Config(), curve)
    assert (found.f0 == 300).all()
    assert np.array_equal(found.voiced, curve > 0)


def test_loudness_in_chunks_is_that_of_the_whole(sung, monkeypatch):
    whole = loudness(torch.from_numpy(sung.samples)[None], sung.rate)[0].numpy()
    monkeypatch.setattr(extract, "_CHUNK", 7)
    np.testing.assert_allclose(extract.measure_loudness(Audio(sung.samples, sung.rate)), whole, atol=1e-4)


def test_warped_content_is_one_for_each_warp(sung):
    config = Config(features=type(Config().features)(content=ContentConfig(warps=(0.9, 1.2))))
    plain, level = heard(sung.samples[:12_000])
    stacked = extract.warped_content(Audio(sung.samples[:12_000], sung.rate), level, config)
    assert stacked.shape == (2, *plain.shape)
    for row, warp in zip(stacked, (0.9, 1.2), strict=True):
        np.testing.assert_array_equal(row, heard(sung.samples[:12_000], warp=warp)[0])
