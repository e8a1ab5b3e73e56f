"""The speaker encoder: unit vectors that gain and silence do not move, of recordings of any length."""

import numpy as np
import pytest
import torch

from svc.audio.files import Audio
from svc.audio.resample import resample
from svc.data.synthetic.phrases import phrase
from svc.data.synthetic.singers import SINGERS, render
from svc.encoders.speaker_encoder import SAMPLE_RATE, SIZE, SpeakerEncoder, mel_bank
from svc.errors import DataError, WeightsError


@pytest.fixture(scope="module")
def speaker() -> SpeakerEncoder:
    torch.manual_seed(0)
    return SpeakerEncoder(None)


@pytest.fixture(scope="module")
def recordings() -> list[Audio]:
    return [
        Audio(render(SINGERS[number], phrase(number), SAMPLE_RATE).samples, SAMPLE_RATE).first(5.0)
        for number in range(2)
    ]


def test_a_unit_vector_whatever_the_gain_and_rate(speaker, recordings):
    vector = speaker.embed(recordings[0])
    assert vector.shape == (SIZE,)
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)
    quiet = Audio(recordings[0].samples * np.float32(1e-2), SAMPLE_RATE)
    np.testing.assert_allclose(speaker.embed(quiet), vector, atol=1e-4)
    assert speaker.embed(resample(recordings[0], 44_100)) @ vector > 0.99


def test_a_long_recording_is_the_mean_of_its_windows(speaker, recordings):
    samples = torch.from_numpy(recordings[0].samples)
    windows = torch.stack([samples[:48_000], samples[-48_000:]])
    mean = speaker(windows)["embedding"][..., 0].mean(dim=0)
    np.testing.assert_allclose(speaker.embed(recordings[0]), mean / mean.norm(), atol=1e-5)
    silence = np.zeros(6 * SAMPLE_RATE, dtype=np.float32)
    padded = Audio(np.concatenate([recordings[0].samples[:48_000], silence]), SAMPLE_RATE)
    assert speaker.embed(padded) @ speaker.embed(recordings[0].first(3.0)) > 0.9


def test_what_cannot_be_embedded(speaker):
    for samples in (np.zeros(16_000, dtype=np.float32), np.ones(1000, dtype=np.float32)):
        with pytest.raises(DataError, match=r"^no speaker embedding: the recording is silent or shorter than 0\.1 s$"):
            speaker.embed(Audio(samples, SAMPLE_RATE))


def test_the_bank_is_warped():
    """A warp of 1.15 reads 1000 Hz where 1150 Hz is read without."""
    assert torch.argmax(mel_bank(1.15)[32]) == torch.argmax(mel_bank()[round(32 * 1.15)])


def test_weights_that_are_not_there(tmp_path):
    with pytest.raises(WeightsError, match=r"x\.safetensors: not there; train it with recipes/train_speaker_encoder"):
        SpeakerEncoder(tmp_path / "x.safetensors")
    (tmp_path / "x.safetensors").write_bytes(b"12345678901")
    with pytest.raises(WeightsError, match=r"damaged or another network"):
        SpeakerEncoder(tmp_path / "x.safetensors")
