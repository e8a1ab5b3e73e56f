"""A small world shared by the tests: two synthetic singers, prepared, and an untrained voice of theirs."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from svc.audio import files
from svc.audio.files import Audio
from svc.config import Config, load
from svc.data import manifest
from svc.data.manifest import Manifest
from svc.data.prepare import prepare
from svc.data.synthetic.phrases import phrase
from svc.data.synthetic.singers import SINGERS, render, save_rendition
from svc.features import content
from svc.inference.voice import VoiceFile, VoiceSpeaker
from svc.models.generator import Generator

TINY = {
    "features.f0.model": "tiny",
    "features.content.encoder": "cepstral",
    "features.content.layer": "cepstra",
    "features.content.perturbation_factors": [0.9, 1.1],
    "model.hidden_channels": 16,
    "model.hidden_layers": 2,
    "model.speaker_embedding_dim": 4,
    "model.envelope_points": 33,
    "model.guidance": 0.4,
    "sample_rate": 24_000,
    "model.wavenet.layers": 2,
    "model.wavenet.channels": 4,
    "discriminator.kinds": ["multi_scale"],
    "loss.adversarial": 0.3,
    "loss.feature_matching": 0.3,
    "discriminator.scales": 2,
    "discriminator.channels": 4,
    "discriminator.max_channels": 16,
    "loss.scales": [512, 128],
    "perceptual.phones.weight": 0.0,
    "train.steps": 12,
    "train.batch_size": 2,
    "train.segment_seconds": 0.4,
    "train.discriminator_segment_seconds": 0.2,
    "train.wavenet_start_step": 3,
    "train.adversarial_start_step": 5,
    "train.log_every": 1,
    "train.validate_every": 6,
    "train.checkpoint_every": 4,
    "train.num_validation_clips": 1,
    "train.discriminator_learning_rate": 5e-4,
    "train.precision": "no",
}


SLOWEST = ("test_page", "test_pipeline", "test_matrix", "test_recipes", "test_resume", "test_cli", "test_streaming")


def pytest_addoption(parser):
    parser.addoption("--slow", action="store_true", help="the slow tests as well")


def pytest_collection_modifyitems(config, items):
    """With --dist loadfile the slowest files come first, so that no process waits for another at the end."""
    items.sort(key=lambda item: SLOWEST.index(item.path.stem) if item.path.stem in SLOWEST else len(SLOWEST))
    if not config.getoption("--slow"):
        for item in items:
            if "slow" in item.keywords:
                item.add_marker(pytest.mark.skip(reason="slow; run tools/test --slow"))


@pytest.fixture(autouse=True, scope="session")
def one_core():
    """Small networks are slower on two threads than on one, and a pool of processes takes seconds to start."""
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "cpu_count", lambda: 1)
        yield


@pytest.fixture(scope="session")
def tiny() -> Config:
    return load(None, TINY)


@pytest.fixture(scope="session")
def singers_folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("singers")
    for singer in SINGERS[:2]:
        (folder / singer.name).mkdir()
        for number in range(3):
            save_rendition(folder / singer.name / f"{number}.wav", render(singer, phrase(number)))
    return folder


@pytest.fixture(scope="session")
def prepared(tmp_path_factory, singers_folder, tiny) -> Manifest:
    """One clip is held out by name: the bytes of synthetic audio, and so their hashes, differ between processors."""
    out = tmp_path_factory.mktemp("prepared")
    prepare(singers_folder, out, tiny, jobs=1)
    created = manifest.read(out)
    clips = [replace(clip, split="valid" if clip.path == "bass/0.wav" else "train") for clip in created.clips]
    manifest.write(out, clips, created.speakers, [], created.features)
    return manifest.read(out)


@pytest.fixture(scope="session")
def voice(tiny) -> VoiceFile:
    torch.manual_seed(0)
    generator = Generator(tiny, content_channels=20, num_speakers=2)
    torch.nn.init.normal_(generator.wavenet.output.weight, std=0.05)
    singers = (
        VoiceSpeaker("Ann", 60.0, 220.0, 150.0, 400.0),
        VoiceSpeaker("Bob Ö.", 90.0, 110.0, 80.0, 220.0, number=1),
    )
    encoder = content.encoder_fingerprint(tiny.features.content)
    return VoiceFile.of(generator.eval().requires_grad_(False), tiny, singers, {"licence": "CC0"}, encoder, 2)


@pytest.fixture(scope="module")
def tone() -> Audio:
    time = np.arange(int(1.2345 * 44_100)) / 44_100
    voice = sum(0.3 / k * np.sin(2 * np.pi * 196 * k * time) for k in range(1, 12))
    return Audio(voice.astype(np.float32), 44_100)


@pytest.fixture
def world(voice, tmp_path, monkeypatch) -> Path:
    """A folder with a voice and a song, where the commands run."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "a").mkdir(parents=True)
    voice.save(tmp_path / "runs" / "a" / "voice.safetensors")
    time = np.arange(44_100) / 44_100
    files.write(tmp_path / "song.wav", Audio(0.3 * np.sin(2 * np.pi * 220 * time).astype(np.float32), 44_100))
    return tmp_path
