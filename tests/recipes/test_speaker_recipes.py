"""The recipe of the speaker encoder, small: losses by hand, exact resume, and weights that load."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from test_recipes import recipe

from svc.encoders.speaker_encoder import SpeakerEncoder, normalise


@pytest.fixture(scope="module")
def module():
    return recipe("train_speaker_encoder")


def test_augmentation_keeps_the_speech(module):
    mel = torch.randn(2, 100, 64, generator=torch.Generator().manual_seed(0))
    power = module.augment(mel, np.random.default_rng(0), equaliser_db=0.0)
    assert (power >= mel.exp()).all()
    plain, noisy = normalise(mel.exp()), normalise(power)
    assert torch.corrcoef(torch.stack([plain.flatten(), noisy.flatten()]))[0, 1] > 0.7


def test_it_trains_resumes_and_loads(module, singers_folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(module, "SECONDS", 3.0)
    options = {"steps": 2, "speakers": 3, "segments": 2, "warmup_steps": 1, "loss": "centre"}
    arguments = [f"{name}={value}" for name, value in options.items()]
    module.main([singers_folder], tmp_path / "run", tmp_path / "mel", [*arguments, "segment_seconds=[0.5,0.7]"])
    file = tmp_path / "run" / module.WEIGHTS
    assert f"{file}: 0.9" in capsys.readouterr().out
    config = module.SpeakerConfig(**options, segment_seconds=(0.5, 0.7))
    speakers = module.read_speakers([singers_folder], tmp_path / "mel")
    (tmp_path / "parts").mkdir()
    for _ in range(2):
        run = module.SpeakerTrainer(tmp_path / "parts", *speakers, config)
        run.restore()
        run.take_step()
        run.save()
    run.whiten()
    assert SpeakerEncoder(run.write()).weight_hash() == SpeakerEncoder(file).weight_hash()
    run.held_out = run.speakers
    assert 0 <= run.evaluate()["eer"] < 0.5

    (tmp_path / "lstm").mkdir()
    lstm = module.SpeakerTrainer(tmp_path / "lstm", *speakers, replace(config, network="lstm", loss="ge2e"))
    assert lstm.take_step().keys() == {"ge2e"}
    assert SpeakerEncoder(lstm.write()).fingerprint().startswith("speaker/1 lstm ")


def test_held_out_speakers_are_those_with_most_clips(module, tmp_path):
    for number in range(21):
        (tmp_path / str(number)).mkdir()
        for clip in range(3 if number in (4, 9, 11) else 1):
            (tmp_path / str(number) / f"{clip}.wav").touch()
    training, held_out = module.split([tmp_path])
    assert {speaker.name for speaker in held_out} == {"4", "9", "11"}
    assert len(training) == 18


def test_encoders_are_compared(singers_folder, tmp_path, capsys):
    for actor in singers_folder.iterdir():
        for kind in ("speech", "song"):
            (tmp_path / "ravdess" / actor.name).mkdir(parents=True, exist_ok=True)
            (tmp_path / "ravdess" / actor.name / kind).symlink_to(actor)
        (tmp_path / "speech" / f"{actor.name}-once").mkdir(parents=True)
        (tmp_path / "speech" / f"{actor.name}-once" / "0.wav").symlink_to(actor / "0.wav")
        (tmp_path / "speech" / actor.name).symlink_to(actor)
    recipe("compare_speaker_encoders").main(tmp_path / "ravdess", tmp_path / "speech", ["cepstral"], clips=2)
    heads, _, row = [line.split(" | ") for line in capsys.readouterr().out.splitlines()]
    assert len(heads) == len(row) == 9
    assert heads[1:3] == ["2 people, other clips", "2 people, halves of a clip"]
    assert row[1] == "0.0 (0.0–0.0); 100.0 (100.0–100.0)"
