"""The acoustic model learns what it is told, and a run resumed is the run uninterrupted."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from phonetics import corpus
from phonetics.corpus import CACHE_KEY, Utterance
from phonetics.dataset import PhoneBatch, PhoneDataset
from phonetics.phones import NUMBER, SILENCE, UNKNOWN
from phonetics.train import PhoneConfig, PhoneTrainer, align_singing, augmented_log_mel, phone_losses

from svc.encoders import phone_classifier
from svc.encoders.phone_classifier import log_mel, mel_bank
from svc.features.cache import FeatureCache, to_int16
from svc.training import auxiliary

TINY = PhoneConfig(steps=8, segment_frames=64, speech_pairs=2, singing_pairs=1, synthetic_segments=0, warmup_steps=2)


def sound(phone: str, frames: int, rng: np.random.Generator) -> np.ndarray:
    """A note with one formant of its own: an /a/ is not an /i/."""
    time = np.arange(frames * 160) / 16_000
    formant, pitch = {"a": 800, "i": 2400, "_": 0}[phone], rng.uniform(120, 300)
    tones = sum(
        np.exp(-(((k * pitch - formant) / 300) ** 2)) * np.sin(2 * np.pi * k * pitch * time) for k in range(1, 25)
    )
    return (0.2 * (tones if formant else 0 * time) + 1e-3 * rng.standard_normal(len(time))).astype(np.float32)


def write(folder, name: str, phones: str, song: bool) -> Utterance:
    rng = np.random.default_rng(sum(map(ord, name)))
    voices = np.stack([np.concatenate([sound(phone, 40, rng) for phone in phones]) for _ in range(3)])
    truth = np.repeat([NUMBER[phone] for phone in phones], 40)
    store = FeatureCache(folder / "store")
    key = store.key(name, {"version": 1})
    labels = np.full_like(truth, UNKNOWN) if song else truth
    store.put(key, {"audio": np.round(voices * 20_000).astype(np.int16), "labels": labels.astype(np.int8)})
    return Utterance(name, key, len(truth), tuple((NUMBER[phone],) for phone in phones if phone != "_") if song else ())


@pytest.fixture
def small(monkeypatch):
    """A network that a test can wait for."""
    monkeypatch.setattr(phone_classifier, "CHANNELS", 32)
    monkeypatch.setattr(phone_classifier, "BLOCKS", 2)
    monkeypatch.setattr(auxiliary.hardware, "bf16_is_fast", lambda device: False)


@pytest.fixture
def utterances(tmp_path):
    spoken = [
        write(tmp_path, f"spoken{number}", text, song=False) for number, text in enumerate(("_a_i_", "_ia_", "ai"))
    ]
    return [*spoken, write(tmp_path, "sung", "_a_i_", song=True)]


def crops(audio, labels, lengths, equaliser=None, times=None) -> PhoneBatch:
    """Of a batch that is all pairs, as it was sung, unless it is told otherwise."""
    count, frames = labels.shape
    curves = torch.zeros(count, 4) if equaliser is None else equaliser
    time_map = torch.arange(frames, dtype=torch.float32).expand(count, -1) if times is None else times
    return PhoneBatch(audio, labels, torch.tensor(lengths), count // 2, torch.full((count,), 0.5), curves, time_map)


def test_it_learns_two_phones_and_then_their_times_in_singing(tmp_path, small, utterances):
    config = replace(TINY, steps=60, learning_rate=5e-3)
    run = PhoneTrainer(tmp_path, utterances, config)
    run.train(log_every=20)
    first, *_, last = [json.loads(line) for line in (tmp_path / "losses.jsonl").read_text().splitlines()]
    assert last["cross_entropy"] < 0.6 * first["cross_entropy"]
    sounds = PhoneDataset(tmp_path, utterances, config.segment_frames)
    times = align_singing(run.network, sounds, utterances[3:])[utterances[3].key]
    truth = np.repeat([NUMBER[phone] for phone in "_a_i_"], 40)
    assert np.mean(times == truth) > 0.9


def test_resumed_equals_uninterrupted(tmp_path, small, utterances):
    whole = PhoneTrainer(tmp_path, utterances, TINY)
    whole.train()
    (tmp_path / auxiliary.CHECKPOINT).unlink()
    part = PhoneTrainer(tmp_path, utterances, TINY)
    for _ in range(5):
        if part.step in (2, 4):
            part.times = align_singing(part.network, part.dataset, part.singing)
        part.take_step()
    part.save()
    resumed = PhoneTrainer(tmp_path, utterances, TINY)
    resumed.restore()
    assert resumed.step == 5
    resumed.train()
    for one, other in zip(whole.network.parameters(), resumed.network.parameters(), strict=True):
        assert torch.equal(one, other)


class Pointing:
    """In place of the network: the directions that it is given, and no opinion on sounds."""

    def __init__(self, words):
        self.words = words

    def __call__(self, spectrum):
        return [], self.words, torch.zeros(*self.words.shape[:2], 39)


def test_padding_costs_nothing():
    """Two voices of 8 and of 4 frames; in one heard frame of twelve, and in all of the padding, they are opposite."""
    words = torch.zeros(4, 8, 3)
    words[:2, :4, 0] = words[:2, 4:, 1] = 1  # the two frames that stand in the contrast, 0 and 4
    words[2:, :, 2] = 1
    words[3, 4:] *= -1
    words[1, 1] *= -1
    labels = torch.full((4, 8), UNKNOWN)
    batch = crops(torch.zeros(4, 1_280), labels, [8, 8, 4, 4])
    terms = phone_losses(Pointing(words), batch, TINY)
    assert float(terms["cosine"]) == pytest.approx(2 / 12)
    expected_loss = math.log1p(
        math.exp(-1 / TINY.temperature)
    )  # frames 0 and 4 of the longer; of the shorter 0 is the only one
    assert float(terms["info_nce"]) == pytest.approx(2 * expected_loss / 3, rel=1e-3)
    assert float(terms["cross_entropy"]) == 0


@pytest.mark.parametrize("half", [False, True])
def test_whole_times_pick_frames_and_those_between_are_means(half):
    audio = 0.1 * torch.randn(2, 1_600, generator=torch.Generator().manual_seed(0))
    times = torch.tensor([[0, 0, 1, 3, 3, 4, 7, 8, 9, 9], [0, 0.5, 1, 1.5, 2.5, 3, 4.5, 6.5, 8.5, 9]])
    plain = log_mel(audio, mel_bank())
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        result = augmented_log_mel(crops(audio, torch.zeros(2, 10), [10, 10], times=times), 1.2)
    assert result.dtype == torch.float32
    torch.testing.assert_close(result[0], plain[0, times[0].long()])
    torch.testing.assert_close(result[1], (plain[1, times[1].floor().long()] + plain[1, times[1].ceil().long()]) / 2)


class SureOfSilence:
    """In place of the network: it hears nothing anywhere."""

    def __call__(self, spectrum):
        return [], None, torch.tensor([9.0] + [0.0] * 38).expand(*spectrum.shape[:2], 39)


def tone(folder, loud_from: int, loud_to: int, syllables: int) -> Utterance:
    """100 frames of next to nothing, and in them a note on as many syllables /a/."""
    time = np.arange(16_000) / 16_000
    here = (time >= loud_from / 100) & (time < loud_to / 100)
    samples = np.where(here, 0.1, 1e-5) * np.sin(2 * np.pi * 1_000 * time)
    store = FeatureCache(folder / "store")
    key = store.key(f"{loud_from} {loud_to}", CACHE_KEY)
    audio = to_int16(samples[None])
    store.put(key, {"audio": audio, "labels": np.full(100, UNKNOWN, dtype=np.int8)})
    return Utterance("tone", key, 100, ((NUMBER["a"],),) * syllables)


def test_a_held_vowel_is_no_silence_however_sure_the_model_is(tmp_path):
    utterance = tone(tmp_path, 20, 80, 1)
    sounds = PhoneDataset(tmp_path, [utterance], 64)
    truth = align_singing(SureOfSilence(), sounds, [utterance])[utterance.key]
    assert (truth[20:80] == NUMBER["a"]).all()
    assert (truth[[*range(17), *range(83, 100)]] == SILENCE).all()  # the level is that of 40 ms
    assert set(truth[17:83].tolist()) == {NUMBER["a"], SILENCE}


def test_what_is_held_out_is_never_cropped(tmp_path, small, utterances):
    held = Utterance("held", "0000" + "1" * 60, 100, ())
    assert held.is_held_out
    assert Utterance("ga", "f" * 64, 100, ((NUMBER["g"], NUMBER["a"]),)).is_held_out
    run = PhoneTrainer(tmp_path, [*utterances, held], TINY)
    created = replace(held, path=f"{corpus.SYNTHETIC}0")
    assert run.held_out == [held]
    assert PhoneTrainer(tmp_path, [*utterances, created], TINY).held_out == []
    assert held not in run.dataset.speech
