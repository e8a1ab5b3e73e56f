"""Every configuration of the package builds a generator and takes a training step; paper.yaml is the paper's form."""

from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from song import CONTENT, SPEAKERS, song

from svc.config import load
from svc.data.batch import Batch
from svc.losses.perceptual import build_perceptual_losses
from svc.losses.total import loss_weights
from svc.training import state
from svc.training.step import train_step

CONFIGS = sorted((Path(__file__).parents[2] / "svc" / "config").glob("*.yaml"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_builds_and_takes_a_step_with_every_network(path):
    options = {
        "train.segment_seconds": 0.3,
        "train.discriminator_segment_seconds": 0.2,
        "train.synthesis_start_step": 0,
        "train.wavenet_start_step": 0,
        "train.adversarial_start_step": 0,
    }
    config = load(path, options)
    current = state.create_state(config, content_channels=CONTENT, num_speakers=SPEAKERS, device=torch.device("cpu"))
    before = current.generator.wavenet.output.weight.clone()
    size = 4 if 0 < config.virtual_speakers.fraction < 0.5 else 2  # one of them is converted
    audio = 0.1 * torch.randn(size, config.segment_frames * config.hop)
    batch = Batch(
        song(config.segment_frames, size), audio, torch.full((size,), 6_000.0), torch.ones(size, dtype=torch.long)
    )
    losses = train_step(current, batch, config, Accelerator(cpu=True), build_perceptual_losses(config))
    assert all(bool(torch.isfinite(loss)) for loss in losses.values())
    expected = {name for name, weight in loss_weights(config).items() if weight}
    expected -= {"conversion/envelope_phones", "conversion/envelope_speaker"}  # before train.synthesis_start_step
    assert expected | {"discriminator", "total"} <= losses.keys()
    assert not torch.equal(before, current.generator.wavenet.output.weight)
    assert current.generator(song(7)).shape == (1, 7 * config.hop)


def test_the_papers_form():
    config = load(next(path for path in CONFIGS if path.stem == "paper"))
    generator = state.create_state(config, content_channels=20, num_speakers=3, device=torch.device("cpu")).generator
    assert config.sample_rate == 16_000
    assert generator.source_filter is None
    assert generator.harmonics == 1
    assert len(generator.wavenet.layers) == 30
    assert generator.wavenet.margin == 3 * (2**10 - 1)
    terms = {name for name, weight in loss_weights(config).items() if weight}
    both = {"adversarial", "crepe", "phones"}
    assert terms == {"spectral", *both, *(f"conversion/{name}" for name in both)}
