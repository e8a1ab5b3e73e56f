"""GPU code paths; every test is skipped without CUDA."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from svc.audio.files import Audio
from svc.data.prepare import prepare
from svc.inference.converter import Converter
from svc.training import loop

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]


def song() -> Audio:
    times = np.arange(44_100) / 44_100
    return Audio((0.3 * np.sin(2 * np.pi * 220 * times)).astype(np.float32), 44_100)


@pytest.mark.parametrize("precision", ["no", "bf16"])
def test_two_training_steps(prepared, tiny, tmp_path, precision):
    train = replace(
        tiny.train,
        steps=2,
        wavenet_start_step=0,
        adversarial_start_step=0,
        validate_every=2,
        checkpoint_every=2,
        precision=precision,
    )
    outcome = loop.train(prepared, tmp_path, replace(tiny, train=train), cpu=False)
    assert outcome.step == 2


def test_conversion_as_on_the_cpu(voice):
    on_cpu, _ = Converter(voice, "cpu").convert(song(), "Ann", transpose=0)
    on_gpu, _ = Converter(voice, "cuda").convert(song(), "Ann", transpose=0)
    error = np.sqrt(np.mean(np.square(on_gpu.samples - on_cpu.samples)))
    assert error < 0.01 * np.sqrt(np.mean(np.square(on_cpu.samples)))


def test_two_devices_in_one_process(voice):
    """The encoders of one converter stay on its device when another converter is created."""
    on_gpu = Converter(voice, "cuda")
    Converter(voice, "cpu")
    on_gpu.convert(song(), "Ann", transpose=0)


def test_prepare(singers_folder, tiny, tmp_path):
    summary = prepare(singers_folder, tmp_path / "prepared", tiny, jobs=1, device="cuda")
    assert summary is not None
