"""The acoustic model learns what it is told, and a run resumed is the run uninterrupted."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from svc.encoders import phone_classifier
from svc.encoders.phone_classifier import AcousticModel, log_mel, mel_bank
from svc.errors import DataError, TrainingError
from svc.features.cache import Store, sixteen_bits
from svc.phonetics import corpus
from svc.phonetics import train as phone_training
from svc.phonetics.corpus import IDENTITY, Utterance
from svc.phonetics.dataset import Crops, Sounds
from svc.phonetics.phones import NUMBER, SILENCE, UNKNOWN
from svc.phonetics.train import AcousticConfig, AcousticRun, accuracy, aligned, spectra, terms_of
from svc.training.locking import locked

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
    key = store.key(name, {"version": 1})
    labels = np.full_like(known, UNKNOWN) if sung else known
    store.put(key, {"audio": np.round(voices * 20_000).astype(np.int16), "labels": labels.astype(np.int8)})
    return Utterance(name, key, len(known), tuple((NUMBER[phone],) for phone in phones if phone != "_") if sung else ())


@pytest.fixture
def small(monkeypatch):
    """A network that a test can wait for."""
    monkeypatch.setattr(phone_classifier, "CHANNELS", 32)
    monkeypatch.setattr(phone_classifier, "BLOCKS", 2)
    monkeypatch.setattr(phone_training.hardware, "half_is_fast", lambda device: False)


@pytest.fixture
def utterances(tmp_path):
    spoken = [
        write(tmp_path, f"spoken{number}", text, sung=False) for number, text in enumerate(("_a_i_", "_ia_", "ai"))
    ]
    return [*spoken, write(tmp_path, "sung", "_a_i_", sung=True)]


def crops(audio, labels, lengths, equaliser=None, times=None) -> Crops:
    """Of a batch that is all pairs, as it was sung, unless it is told otherwise."""
    count, frames = labels.shape
    curves = torch.zeros(count, 4) if equaliser is None else equaliser
    heard_at = torch.arange(frames, dtype=torch.float32).expand(count, -1) if times is None else times
    return Crops(audio, labels, torch.tensor(lengths), count // 2, torch.full((count,), 0.5), curves, heard_at)


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
    (tmp_path / phone_training.CHECKPOINT).unlink()
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


@pytest.mark.parametrize("change", ["config", "utterances", "damage", "network", "earlier"])
def test_only_the_same_run_goes_on(tmp_path, small, utterances, monkeypatch, change):
    run = AcousticRun(tmp_path, utterances, TINY)
    run.take_step()
    run.save()
    file, config, reason = (
        tmp_path / phone_training.CHECKPOINT,
        TINY,
        "damaged, of another network or of an earlier svc",
    )
    if change == "config":
        config, reason = replace(TINY, steps=9), r"changed \(steps: 8 → 9\)"
    elif change == "utterances":
        utterances, reason = utterances[1:], r"changed \(the recordings\)"
    elif change == "damage":
        file.write_bytes(file.read_bytes()[:-100])
    elif change == "network":
        monkeypatch.setattr(phone_classifier, "BLOCKS", 3)
    else:
        save_file(load_file(file), file)
    with pytest.raises(
        TrainingError, match=rf"{phone_training.CHECKPOINT}: .*{reason}.*; .*choose another -o, or delete"
    ):
        AcousticRun(tmp_path, utterances, config).restore()


def test_precision_goes_on_as_it_began(tmp_path, small, utterances, monkeypatch):
    run = AcousticRun(tmp_path, utterances, TINY)
    run.save()
    monkeypatch.setattr(phone_training.hardware, "half_is_fast", lambda device: True)
    resumed = AcousticRun(tmp_path, utterances, TINY)
    assert resumed.half
    resumed.restore()
    assert not resumed.half


def test_one_training_a_folder(tmp_path):
    with locked(tmp_path / "run"), pytest.raises(TrainingError, match="another training"), locked(tmp_path / "run"):
        pass
    with locked(tmp_path / "run"):
        pass
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(TrainingError, match="cannot be written"), locked(tmp_path / "file"):
        pass


def test_too_little_to_learn_from_is_told(tmp_path, small, utterances):
    for few, config in (
        ([], TINY),
        (utterances, replace(TINY, spoken=0, sung=0)),
        (utterances, replace(TINY, crop=900)),
    ):
        with pytest.raises(DataError, match="to make pairs of"):
            AcousticRun(tmp_path, few, config)
    for few, config in ((utterances[3:], TINY), (utterances, replace(TINY, spoken=0))):
        with pytest.raises(DataError, match="no frame whose sound is known"):
            AcousticRun(tmp_path, few, config)


def test_a_loss_that_is_not_finite_ends_the_run_before_it_spoils_a_weight(tmp_path, small, utterances, monkeypatch):
    run = AcousticRun(tmp_path, utterances, TINY)
    before = [value.clone() for value in run.model.parameters()]
    monkeypatch.setattr(
        phone_training,
        "terms_of",
        lambda *_: dict.fromkeys(("naming", "agreement", "contrast"), run.model.sharpness * np.nan),
    )
    with pytest.raises(TrainingError, match="step 0 or its gradient is not finite"):
        run.take_step()
    assert all(torch.equal(one, other) for one, other in zip(before, run.model.parameters(), strict=True))


def test_with_nothing_held_out_there_is_no_accuracy(tmp_path, small, utterances):
    run = AcousticRun(tmp_path, [u for u in utterances if not u.held], replace(TINY, steps=1))
    run.train(every=1)
    (row,) = [json.loads(line) for line in (tmp_path / "losses.jsonl").read_text().splitlines()]
    assert row.keys() == {"step", "naming", "agreement", "contrast"}
    assert 0 <= accuracy(run.model, run.sounds, utterances[:1]) <= 1


def test_pairs_that_agree_cost_nothing_and_unknown_frames_neither(small):
    torch.manual_seed(0)
    audio = 0.1 * torch.randn(1, 16_000).repeat(2, 1)
    labels = torch.full((2, 100), UNKNOWN)
    labels[:, :3] = SILENCE
    batch = crops(audio, labels, [100, 100])
    with torch.no_grad():
        terms = terms_of(AcousticModel(), batch, TINY)
    assert float(terms["agreement"]) == pytest.approx(0, abs=1e-5)
    assert float(terms["naming"]) > 0


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
    terms = terms_of(Pointing(words), batch, TINY)
    assert float(terms["agreement"]) == pytest.approx(2 / 12)
    told = math.log1p(math.exp(-1 / TINY.temperature))  # frames 0 and 4 of the longer; of the shorter 0 is the only one
    assert float(terms["contrast"]) == pytest.approx(2 * told / 3, rel=1e-3)
    assert float(terms["naming"]) == 0


def test_naming_is_the_mean_over_known_frames():
    words = torch.zeros(2, 8, 3)
    words[..., 0] = 1
    labels = torch.full((2, 8), UNKNOWN)
    labels[0, :3] = NUMBER["a"]
    batch = crops(torch.zeros(2, 1_280), labels, [8, 8])
    assert float(terms_of(Pointing(words), batch, TINY)["naming"]) == pytest.approx(math.log(39))


def test_the_middle_warp_is_none_and_an_equaliser_adds_its_cosine():
    audio = 0.1 * torch.randn(2, 1_600)
    equaliser = torch.tensor([[0.0] * 4, [1.0, 0, 0, 0]])
    batch = crops(audio, torch.zeros(2, 10), [10, 10], equaliser)
    plain = log_mel(audio, mel_bank())
    found = spectra(batch, 1.2)
    torch.testing.assert_close(found[0], plain[0])
    place = (torch.arange(80) + 0.5) / 80
    torch.testing.assert_close(found[1] - plain[1], torch.cos(torch.pi * place).expand(10, 80), atol=1e-5, rtol=0)


@pytest.mark.parametrize("half", [False, True])
def test_whole_times_pick_frames_and_those_between_are_means(half):
    audio = 0.1 * torch.randn(2, 1_600, generator=torch.Generator().manual_seed(0))
    times = torch.tensor([[0, 0, 1, 3, 3, 4, 7, 8, 9, 9], [0, 0.5, 1, 1.5, 2.5, 3, 4.5, 6.5, 8.5, 9]])
    plain = log_mel(audio, mel_bank())
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        found = spectra(crops(audio, torch.zeros(2, 10), [10, 10], times=times), 1.2)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found[0], plain[0, times[0].long()])
    torch.testing.assert_close(found[1], (plain[1, times[1].floor().long()] + plain[1, times[1].ceil().long()]) / 2)


class SureOfSilence:
    """In place of the network: it hears nothing anywhere."""

    def __call__(self, spectrum):
        return [], None, torch.tensor([9.0] + [0.0] * 38).expand(*spectrum.shape[:2], 39)


def tone(folder, loud_from: int, loud_to: int, syllables: int) -> Utterance:
    """100 frames of next to nothing, and in them a note on as many syllables /a/."""
    time = np.arange(16_000) / 16_000
    here = (time >= loud_from / 100) & (time < loud_to / 100)
    samples = np.where(here, 0.1, 1e-5) * np.sin(2 * np.pi * 1_000 * time)
    store = Store(folder / "store")
    key = store.key(f"{loud_from} {loud_to}", IDENTITY)
    audio = sixteen_bits(samples[None])
    store.put(key, {"audio": audio, "labels": np.full(100, UNKNOWN, dtype=np.int8)})
    return Utterance("tone", key, 100, ((NUMBER["a"],),) * syllables)


def test_a_held_vowel_is_no_silence_however_sure_the_model_is(tmp_path):
    utterance = tone(tmp_path, 20, 80, 1)
    sounds = Sounds(tmp_path, [utterance], 64)
    known = aligned(SureOfSilence(), sounds, [utterance])[utterance.key]
    assert (known[20:80] == NUMBER["a"]).all()
    assert (known[[*range(17), *range(83, 100)]] == SILENCE).all()  # the level is that of 40 ms
    assert set(known[17:83].tolist()) == {NUMBER["a"], SILENCE}


def test_what_is_loud_and_nothing_that_is_sung_is_unknown(tmp_path):
    """Between two of the same vowel the path must fall silent, where nobody does."""
    utterance = tone(tmp_path, 0, 100, 2)
    known = aligned(SureOfSilence(), Sounds(tmp_path, [utterance], 64), [utterance])[utterance.key]
    assert sorted(known.tolist()) == [UNKNOWN] + [NUMBER["a"]] * 99
    assert known[0] == known[-1] == NUMBER["a"]
    too_many = Utterance("tone", utterance.key, 100, ((NUMBER["a"],),) * 51)
    assert (aligned(SureOfSilence(), Sounds(tmp_path, [], 64), [too_many])[utterance.key] == UNKNOWN).all()


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
    made = replace(held, path=f"{corpus.MADE}0")
    assert run.held == [held]
    assert AcousticRun(tmp_path, [*utterances, made], TINY).held == []
    assert held not in run.sounds.spoken


def test_what_cannot_be_read_is_told(tmp_path):
    with pytest.raises(corpus.DataError, match="prepare the recordings again"):
        corpus.read_prepared(tmp_path)
