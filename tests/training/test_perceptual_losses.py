"""Perceptual losses of a run: which are built, enrolment audio, and a step with the speaker loss."""

import importlib.util
import os
import signal
import sys
from dataclasses import replace

import pytest
import torch
from accelerate import Accelerator
from conftest import TINY
from runs import first_batch, losses, new_state, replaced

from svc.config import Config, load
from svc.config.schema import SpeakerLossConfig
from svc.errors import ConfigError
from svc.training import checkpoint, loop
from svc.training.loop import train
from svc.training.perceptual_losses import build_losses, enrolment_audio
from svc.training.step import train_step
from svc.utils.optional import MissingExtra

needed = pytest.mark.skipif(not importlib.util.find_spec("resemblyzer"), reason="needs the eval extra")
OPTIONS = TINY | {
    "train.wavenet_start_step": 0,
    "train.adversarial_start_step": 0,
    "train.batch_size": 4,
    "virtual_speakers.fraction": 0.5,
    "loss.speaker.weight": 0.5,
    "loss.speaker.conversion_weight": 0.5,
}


def test_losses_without_weight_import_nothing(prepared, tiny, monkeypatch):
    monkeypatch.setitem(sys.modules, "resemblyzer", None)
    assert build_losses(prepared, tiny) == {}
    for name in ("loss.speaker.weight", "loss.speaker.conversion_weight"):
        with pytest.raises(MissingExtra, match=r"^resemblyzer is not installed; run `pip install [^\n]*$"):
            build_losses(prepared, load(None, TINY | {name: 0.1, "virtual_speakers.fraction": 0.5}))


def test_conversion_losses_need_virtual_speakers():
    with pytest.raises(ConfigError, match=r"loss.speaker.conversion_weight need virtual_speakers.fraction above 0"):
        load(None, {"loss.speaker.conversion_weight": 0.1})


def test_a_singer_is_known_by_their_own_training_clips(prepared, tiny):
    length = tiny.clamp_to_segment(tiny.loss.speaker.segment_seconds) * tiny.hop
    assert length == 0.4 * tiny.sample_rate  # at most a segment
    for speaker in ("alto", "bass"):
        audio, counts = enrolment_audio(prepared, speaker, tiny)
        frames = [clip.frames // tiny.segment_frames for clip in prepared.split("train") if clip.speaker == speaker]
        assert audio.shape == (sum(frames), length)
        assert 0 < float(counts.min()) <= float(counts.max()) <= 1
        loud = audio[counts > 0.5]
        torch.testing.assert_close(loud.square().mean(dim=-1), torch.ones(len(loud)))
        again, _ = enrolment_audio(prepared, speaker, tiny)
        assert torch.equal(audio, again)


def losses_of_a_step(prepared, config: Config) -> dict[str, float]:
    batch, perceptual = first_batch(prepared, config, 4), build_losses(prepared, config)
    losses = train_step(new_state(config), batch, config, Accelerator(cpu=True), perceptual)
    return {name: float(loss) for name, loss in losses.items()}


@needed
def test_the_speaker_loss_in_a_step_and_in_micro_batches(prepared):
    config = load(None, OPTIONS)
    whole = losses_of_a_step(prepared, config)
    assert 0 < whole["speaker"] < 1
    assert 0 < whole["conversion/speaker"] < 1
    without = losses_of_a_step(prepared, replace(config, loss=replace(config.loss, speaker=SpeakerLossConfig())))
    assert whole.keys() - without.keys() == {"speaker", "conversion/speaker"}
    weighted = 0.5 * (whole["speaker"] + whole["conversion/speaker"])
    assert whole["total"] == pytest.approx(without["total"] + weighted, rel=1e-5)
    assert whole["grad_norm"] != pytest.approx(without["grad_norm"], rel=1e-4)
    halves = losses_of_a_step(prepared, replaced(config, gradient_accumulation_steps=2))
    for name in ("speaker", "conversion/speaker"):
        assert halves[name] == pytest.approx(whole[name], rel=1e-4)


def test_layer_weights_survive_a_resume(prepared, tmp_path, monkeypatch):
    """A run that is interrupted while they are measured ends as one that is not, bit for bit."""
    overrides = {
        **{"train.steps": 5, "train.validate_every": 5, "train.wavenet_start_step": 0},
        **{"train.adversarial_start_step": 0, "loss.energy_repulsion": 0.0},
    }
    loss = {"encoder": "cochleagram", "layers": ["envelope"], "weight": 1, "balance_after_steps": 3}
    config = load(None, TINY | overrides | {f"perceptual.cochleagram.{key}": value for key, value in loss.items()})
    train(prepared, tmp_path / "whole", config, cpu=True)
    real = loop.train_step

    def interrupted(state, *others):
        if state.step == 2 + (tmp_path / "cut" / "again").exists() * 9:
            (tmp_path / "cut" / "again").touch()
            os.kill(os.getpid(), signal.SIGINT)
        return real(state, *others)

    monkeypatch.setattr(loop, "train_step", interrupted)
    assert train(prepared, tmp_path / "cut", config, cpu=True).step == 3
    train(prepared, tmp_path / "cut", config, cpu=True)
    whole, cut = (checkpoint.newest(tmp_path / name) for name in ("whole", "cut"))
    assert whole.meta["layer_balance"] == cut.meta["layer_balance"]
    assert whole.meta["layer_balance"]["cochleagram"]["count"] == [1.0]
    assert losses(tmp_path / "whole") == losses(tmp_path / "cut")
