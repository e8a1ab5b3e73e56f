"""The listeners of a run: who is built, what singers are known by, and a step that asks whose voice it is."""

import importlib.util
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from conftest import TINY

from svc.config import Config, load
from svc.data import dataset
from svc.data.batch import Batch
from svc.errors import ConfigError
from svc.training import perceptual_losses
from svc.training.perceptual_losses import enrolment, listeners
from svc.training.state import create_state
from svc.training.step import train_step
from svc.utils.optional import MissingExtra

needed = pytest.mark.skipif(not importlib.util.find_spec("resemblyzer"), reason="needs the eval extra")
KNOBS = TINY | {
    "train.wavenet_start_step": 0,
    "train.adversarial_start_step": 0,
    "train.batch_size": 4,
    "virtual_speakers.fraction": 0.5,
    "loss.speaker.weight": 0.5,
    "loss.speaker.conversion_weight": 0.5,
    "discriminator.conditional": True,
}


def test_nothing_is_imported_that_nobody_weighs(prepared, tiny, monkeypatch):
    monkeypatch.setitem(sys.modules, "resemblyzer", None)
    assert listeners(prepared, tiny) == {}
    for name in ("loss.speaker.weight", "loss.speaker.conversion_weight"):
        with pytest.raises(MissingExtra, match=r"^resemblyzer is not installed; run `pip install [^\n]*$"):
            listeners(prepared, load(None, TINY | {name: 0.1, "virtual_speakers.fraction": 0.5}))


def test_of_others_only_where_there_are_others():
    with pytest.raises(ConfigError, match=r"count only with virtual_speakers.fraction above 0"):
        load(None, {"loss.speaker.conversion_weight": 0.1})


def test_a_singer_is_known_by_their_own_training_clips(prepared, tiny):
    length = tiny.clamp_to_segment(tiny.loss.speaker.segment_seconds) * tiny.hop
    assert length == 0.4 * tiny.sample_rate  # no more than a crop
    for singer in ("alto", "bass"):
        audio, counts = enrolment(prepared, singer, tiny)
        frames = [clip.frames // tiny.segment_frames for clip in prepared.split("train") if clip.speaker == singer]
        assert audio.shape == (sum(frames), length)
        assert 0 < float(counts.min()) <= float(counts.max()) <= 1
        loud = audio[counts > 0.5]
        torch.testing.assert_close(loud.square().mean(dim=-1), torch.ones(len(loud)))
        again, _ = enrolment(prepared, singer, tiny)
        assert torch.equal(audio, again)


def test_by_a_minute_at_most_spread_over_all_there_is(prepared, tiny, monkeypatch):
    everything, counts = enrolment(prepared, "alto", tiny)
    monkeypatch.setattr(perceptual_losses, "ENROLLED", 1)
    audio, fewer = enrolment(prepared, "alto", tiny)
    places = [0, len(everything) - 1]
    assert torch.equal(audio, everything[places])
    assert torch.equal(fewer, counts[places])


def test_what_is_not_sung_hardly_counts(prepared, tiny, monkeypatch):
    real = perceptual_losses.read_active_share

    def mute(cache, clip, first, last):
        return np.float32(0) if first == 0 else real(cache, clip, first, last)

    monkeypatch.setattr(perceptual_losses, "read_active_share", mute)
    _, counts = enrolment(prepared, "alto", tiny)
    assert 0 < float(counts[0]) < 1e-3 < float(counts[1])


def stepped(prepared, config: Config) -> dict[str, float]:
    items = dataset.SegmentDataset(prepared, config)
    batch = Batch.stack([items[0, number] for number in range(4)])
    current = create_state(config, content_channels=20, num_speakers=2, device=torch.device("cpu"))
    terms = train_step(current, batch, config, Accelerator(cpu=True), listeners(prepared, config))
    return {name: float(term) for name, term in terms.items()}


@needed
def test_a_step_asks_whose_voice_it_is_and_parts_come_to_the_whole(prepared):
    config = load(None, KNOBS)
    whole = stepped(prepared, config)
    assert 0 < whole["identity"] < 1
    assert 0 < whole["other_identity"] < 1
    without = stepped(prepared, replace(config, loss=replace(config.loss, identity=0.0, other_identity=0.0)))
    assert whole.keys() - without.keys() == {"identity", "other_identity"}
    asked = 0.5 * (whole["identity"] + whole["other_identity"])
    assert whole["total"] == pytest.approx(without["total"] + asked, rel=1e-5)
    assert whole["gradient_norm"] != pytest.approx(without["gradient_norm"], rel=1e-4)
    halves = stepped(prepared, replace(config, train=replace(config.train, gradient_accumulation_steps=2)))
    for name in ("identity", "other_identity"):
        assert halves[name] == pytest.approx(whole[name], rel=1e-4)
