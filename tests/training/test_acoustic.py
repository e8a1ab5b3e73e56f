"""The acoustic model learns what it is told, and a run resumed is the run uninterrupted."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from svc.data import speech
from svc.data.phones import NUMBER, SILENCE, UNKNOWN
from svc.data.sounds import Crops, Sounds
from svc.data.speech import IDENTITY, Utterance
from svc.encoders import wav2letter
from svc.encoders.wav2letter import AcousticModel, log_mel, mel_bank
from svc.features.store import Store
from svc.training import acoustic
from svc.training.acoustic import AcousticConfig, AcousticRun, aligned, spectra, terms_of

TINY = AcousticConfig(steps=8, crop=64, spoken=2, sung=1, synthetic=0, warmup=2)


def sound(phone: str, frames: int, rng: np.random.Generator) -> np.ndarray:
    """A note with one formant of its own: an /a/ is not an /i/."""
    time = np.arange(frames * 160) / 16_000
    formant, pitch = {"a": 800, "i": 2400, "_": 0}[phone], rng.uniform(120, 300)
    tones = sum(
        np.exp(-(((k * pitch - formant) / 300) ** 2)) * np.sin(2 * np.pi * k * pitch * time) for k in range(1, 25)
    )
    return (0.2 * (tones if formant else 0 * time) + 1e-3 * rng.standard_normal(len(time))).astype(np.float32)


def write(folder, name: str, phones: str, sung: bool) -> Utterance:
    rng = np.random.default_rng(sum(map(ord, name)))
    voices = np.stack([np.concatenate([sound(phone, 40, rng) for phone in phones]) for _ in range(3)])
    known = np.repeat([NUMBER[phone] for phone in phones], 40)
    store = Store(folder / "store")
    key = store.key(name, IDENTITY)
    labels = np.full_like(known, UNKNOWN) if sung else known
    store.put(key, {"audio": np.round(voices * 20_000).astype(np.int16), "labels": labels.astype(np.int8)})
    return Utterance(name, key, len(known), tuple((NUMBER[phone],) for phone in phones if phone != "_") if sung else ())


@pytest.fixture
def small(monkeypatch):
    """A network that a test can wait for."""
    monkeypatch.setattr(wav2letter, "CHANNELS", 32)
    monkeypatch.setattr(wav2letter, "BLOCKS", 2)
    monkeypatch.setattr(acoustic.machine, "half_is_fast", lambda device: False)


@pytest.fixture
def utterances(tmp_path):
    spoken = [
        write(tmp_path, f"spoken{number}", text, sung=False) for number, text in enumerate(("_a_i_", "_ia_", "ai"))
    ]
    return [*spoken, write(tmp_path, "sung", "_a_i_", sung=True)]


def test_it_learns_two_sounds_and_then_when_they_are_sung(tmp_path, small, utterances):
    config = replace(TINY, steps=60, learning_rate=5e-3)
    run = AcousticRun(tmp_path, utterances, config)
    run.train(every=20)
    first, *_, last = [json.loads(line) for line in (tmp_path / "losses.jsonl").read_text().splitlines()]
    assert last["naming"] < 0.6 * first["naming"]
    sounds = Sounds(tmp_path, utterances, config.crop)
    times = aligned(run.model, sounds, utterances[3:])[utterances[3].key]
    truth = np.repeat([NUMBER[phone] for phone in "_a_i_"], 40)
    assert np.mean(times == truth) > 0.9


def test_resumed_equals_uninterrupted(tmp_path, small, utterances):
    whole = AcousticRun(tmp_path, utterances, TINY)
    whole.train()
    (tmp_path / acoustic.CHECKPOINT).unlink()
    part = AcousticRun(tmp_path, utterances, TINY)
    for _ in range(5):
        if part.step in (2, 4):
            part.times = aligned(part.model, part.sounds, part.sung)
        part.take_step()
    part.save()
    resumed = AcousticRun(tmp_path, utterances, TINY)
    resumed.restore()
    assert resumed.step == 5
    resumed.train()
    for one, other in zip(whole.model.parameters(), resumed.model.parameters(), strict=True):
        assert torch.equal(one, other)


def test_pairs_that_agree_cost_nothing_and_unknown_frames_neither(small):
    torch.manual_seed(0)
    audio = 0.1 * torch.randn(1, 16_000).repeat(2, 1)
    labels = torch.full((2, 100), UNKNOWN)
    labels[:, :3] = SILENCE
    batch = Crops(audio, labels, 1, torch.full((2,), 0.5), torch.zeros(2, 4))
    with torch.no_grad():
        terms = terms_of(AcousticModel(), batch, TINY)
    assert float(terms["agreement"]) == pytest.approx(0, abs=1e-5)
    assert float(terms["naming"]) > 0


def test_the_middle_warp_is_none_and_an_equaliser_adds_its_cosine():
    audio = 0.1 * torch.randn(2, 1_600)
    batch = Crops(audio, torch.zeros(2, 10), 1, torch.full((2,), 0.5), torch.tensor([[0.0] * 4, [1.0, 0, 0, 0]]))
    plain = log_mel(audio, mel_bank())
    found = spectra(batch, 1.2)
    torch.testing.assert_close(found[0], plain[0])
    place = (torch.arange(80) + 0.5) / 80
    torch.testing.assert_close(found[1] - plain[1], torch.cos(torch.pi * place).expand(10, 80), atol=1e-5, rtol=0)


def test_a_warp_moves_a_tone():
    def loudest(frequency: float, warp: float) -> int:
        tone = 0.1 * torch.sin(2 * torch.pi * frequency * torch.arange(16_000) / 16_000)
        return int(log_mel(tone[None], mel_bank(warp))[0, 50].argmax())

    assert loudest(1000, 1.2) == pytest.approx(loudest(1200, 1.0), abs=1)
    assert loudest(1000, 1.2) > loudest(1000, 1.0) > loudest(1000, 0.8333)


def test_what_is_held_out_is_never_cropped(tmp_path, small, utterances):
    held = Utterance("held", "0000" + "1" * 60, 100, ())
    assert held.held
    assert Utterance("ga", "f" * 64, 100, ((NUMBER["g"], NUMBER["a"]),)).held
    run = AcousticRun(tmp_path, [*utterances, held], TINY)
    assert held in run.held
    assert held not in run.sounds._spoken


def test_what_cannot_be_read_is_told(tmp_path):
    with pytest.raises(speech.DataError, match="prepare the recordings again"):
        speech.read_prepared(tmp_path)
