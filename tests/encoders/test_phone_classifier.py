"""The acoustic model that ships: its weights are there, of their size, and hear what is sung."""

import json
import struct

import numpy as np
import pytest
import torch
from phonetics.invariance import Take, abx_error
from phonetics.phones import SILENCE

from svc import encoders
from svc.audio.files import Audio
from svc.data.synthetic.phrases import phrase
from svc.data.synthetic.singers import SINGERS, render
from svc.encoders import phone_classifier
from svc.encoders.phone_classifier import WEIGHTS, PhoneEncoder
from svc.errors import WeightsError
from svc.features import content
from svc.features.extract import measure_loudness


@pytest.fixture(scope="module")
def model() -> PhoneEncoder:
    return PhoneEncoder()


def said(model: PhoneEncoder, audio: Audio) -> np.ndarray:
    """Log posteriors (39, N)."""
    level = measure_loudness(audio)
    return content.encode(model, "log_posteriors", content.normalise_level(audio, level).samples)[:, : len(level)]


def test_the_weights_ship_in_half_precision(model):
    assert WEIGHTS.stat().st_size < 20e6
    data = WEIGHTS.read_bytes()
    header = json.loads(data[8 : 8 + struct.unpack("<Q", data[:8])[0]])
    assert {entry["dtype"] for name, entry in header.items() if name != "__metadata__"} == {"F16"}
    assert all(torch.isfinite(value).all() for value in model.state_dict().values())


def test_posteriors_are_probabilities_and_directions_have_unit_length(model):
    audio = 0.1 * torch.randn(1, 16_000, generator=torch.Generator().manual_seed(0))
    layers = model(audio)
    torch.testing.assert_close(layers["log_posteriors"].exp().sum(1), torch.ones(1, 100))
    torch.testing.assert_close(layers["embedding"].norm(dim=1), torch.ones(1, 100))


def test_silence_and_a_held_vowel(model):
    silence = said(model, Audio(np.zeros(16_000, dtype=np.float32), 16_000))
    assert (silence.argmax(axis=0) == SILENCE).all()
    rng = np.random.default_rng(0)
    for f0 in (110.0, 220.0, 330.0):
        assert (said(model, vowel(f0, rng)).argmax(axis=0) != SILENCE).mean() > 0.95


def vowel(f0: float, rng: np.random.Generator) -> Audio:
    """Two seconds of [a] with a little vibrato: harmonics under three formants."""
    time = np.arange(32_000) / 16_000
    phase = 2 * np.pi * f0 * (time + 0.002 * np.sin(2 * np.pi * 5 * time))
    sound = 0.001 * rng.standard_normal(32_000)
    for number in range(1, int(7_000 / f0)):
        gain = sum(
            1 / (1 + ((number * f0 - place) / width) ** 2) for place, width in ((750, 90), (1250, 110), (2600, 160))
        )
        sound += gain * np.sin(number * phase + rng.uniform(0, 6))
    return Audio((0.1 * sound / np.abs(sound).max()).astype(np.float32), 16_000)


def test_features_follow_the_words_of_synthetic_singers(model):
    """Phrases by four singers, of whom the tracts differ by half: in ABX across them, fewer errors than by cepstra."""
    errors = []
    for encoder, layer in ((model, "log_posteriors"), (encoders.shared("cepstral"), "cepstra")):
        takes = []
        for singer in SINGERS:
            for seed in (1, 2, 3):
                audio = render(singer, phrase(seed), 16_000).samples[:16_000]
                level = measure_loudness(Audio(audio, 16_000))
                features = content.extract(encoder, layer, Audio(audio, 16_000), len(level), level)
                takes.append(Take(singer.name, str(seed), "", features))
        errors.append(abx_error(takes))
    assert errors[0] < 0.2
    assert errors[0] <= errors[1]


def test_without_the_file_there_is_one_sentence(tmp_path, monkeypatch):
    missing = tmp_path / "phone_classifier.safetensors"
    with pytest.raises(WeightsError, match=r"not there; train it with recipes/train_phone_model\.py"):
        PhoneEncoder(missing)
    missing.write_bytes(b"half")
    with pytest.raises(WeightsError, match="reinstall svc"):
        PhoneEncoder(missing)
    assert phone_classifier.WEIGHTS.name == missing.name
