"""A training step on a GPU that is not there: finds mixed devices, float64 and host syncs.

Fake tensors (``torch._subclasses``) have shapes, types and devices but no values: what asks for one, as
``float(loss)`` does, raises. What is on the CPU is computed.
"""

import copy
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    FakeTensor,
    FakeTensorMode,
    unset_fake_temporarily,
)
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from svc.config import Config
from svc.data.batch import Batch
from svc.encoders import shared
from svc.features.conditioning import Conditioning
from svc.losses.envelope_phones import EnvelopePhoneLoss
from svc.losses.perceptual import build_perceptual_losses
from svc.training.optim import make_optimizer
from svc.training.state import TrainState, create_state
from svc.training.step import train_step

CHANNELS, SPEAKERS = 20, 3


class FakeGPU(TorchDispatchMode):
    """A device ``cuda`` of fake tensors, on which no result may be float64: Apple's GPUs do not have it.

    Nothing may be copied there with a wait for what is queued.
    """

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if (
            func is torch.ops.aten._to_copy.default
            and args[0].device.type == "cpu" != torch.device(kwargs.get("device") or "cpu").type
        ):
            assert kwargs.get("non_blocking"), "copy with a host sync"
        on_gpu = any(isinstance(value, FakeTensor) for value in tree_leaves((args, kwargs)))
        if not on_gpu and torch.device(kwargs.get("device") or "cpu").type == "cpu":
            with unset_fake_temporarily():
                return func(*args, **kwargs)
        result = func(*args, **kwargs)
        for value in tree_leaves(result):
            if isinstance(value, Tensor) and value.device.type == "cuda":
                assert value.dtype not in (torch.float64, torch.complex128), func
        return result


@contextmanager
def fake_gpu() -> Iterator[None]:
    with FakeTensorMode(allow_non_fake_inputs=True), FakeGPU():
        yield


def move(networks: Iterable[nn.Module]) -> None:
    """What ``to("cuda")`` would move, and nothing else."""
    for module in (module for network in networks for module in network.modules()):
        for name, value in module._parameters.items():
            if value is not None:
                moved = torch.empty_like(value, device="cuda")
                module._parameters[name] = nn.Parameter(moved, requires_grad=value.requires_grad)
        for name, value in module._buffers.items():
            module._buffers[name] = value if value is None else torch.empty_like(value, device="cuda")


def segments(config: Config) -> Batch:
    shape = (2, config.segment_frames)
    conditioning = Conditioning(
        f0=torch.full(shape, 200.0), voiced=torch.ones(shape), phase=torch.rand(shape), loudness=torch.rand(shape),
        relative_loudness=torch.rand(shape), content=torch.rand(2, CHANNELS, shape[1]),
        speaker=torch.eye(SPEAKERS)[:2], start_frame=torch.zeros(2, dtype=torch.long),
    )  # fmt: skip
    return Batch(
        conditioning,
        torch.rand(2, shape[1] * config.hop),
        torch.tensor([12_000.0, 6_000.0]),
        torch.ones(2, dtype=torch.long),
    )


def fill_gradients(state: TrainState) -> None:
    """In the place of a backward pass, for which autograd wants a driver."""
    for parameter in (*state.generator.parameters(), *state.discriminator.parameters()):
        parameter.grad = torch.empty_like(parameter)


def run_step(config: Config, step: int, of_envelopes: dict[str, EnvelopePhoneLoss] | None = None) -> dict[str, Tensor]:
    perceptual = build_perceptual_losses(config)
    state = create_state(config, content_channels=CHANNELS, num_speakers=SPEAKERS, device=torch.device("cpu"))
    with fake_gpu():
        move([state.generator, state.discriminator, state.ema_generator])
        move(part for loss in perceptual.values() for part in (loss.encoder, loss._resample))
        move((of_envelopes or {}).values())
        state.generator_optimizer = make_optimizer(state.generator, 1e-3)
        state.discriminator_optimizer = make_optimizer(state.discriminator, 1e-3)
        state.step, accelerator = step, Accelerator(cpu=True)
        accelerator.backward = lambda _loss: fill_gradients(state)
        return train_step(state, segments(config).to("cuda"), config, accelerator, perceptual, of_envelopes or {})


@pytest.fixture(scope="module")
def with_crepe(tiny):
    """All discriminators, and a perceptual loss."""
    (options, *_) = tiny.perceptual.values()
    crepe = replace(options, encoder="crepe-tiny", layers=("conv5",), conversion_layers=("conv5",), weight=1.0)
    return replace(tiny, perceptual={"pitch": crepe})


def test_a_step_stays_on_its_device(with_crepe, monkeypatch):
    """Both networks, all losses and both updates; the one host sync is that of ``count_skipped``."""
    syncs = []
    monkeypatch.setattr(TrainState, "count_skipped", lambda *_: syncs.append(1))
    losses = run_step(with_crepe, step=5)
    assert losses["total"].device.type == "cuda"
    assert syncs == [1]


def test_a_step_on_envelopes_stays_on_its_device(tiny, monkeypatch):
    monkeypatch.setattr(TrainState, "count_skipped", lambda *_: None)
    train = replace(tiny.train, synthesis_start_step=3, wavenet_start_step=3)
    conversion = replace(tiny.loss.conversion, envelope_phones=1.0)
    loss, targets = (
        replace(tiny.loss, conversion=conversion, aperiodicity=1.0),
        replace(tiny.virtual_speakers, fraction=0.5),
    )
    config = replace(tiny, train=train, loss=loss, virtual_speakers=targets)
    phones = EnvelopePhoneLoss(tiny.model.envelope_points, tiny.sample_rate)
    losses = run_step(config, 1, {"envelope_phones": phones})
    names = "envelope", "aperiodicity", "conversion/envelope_phones"
    assert {losses[name].device.type for name in names} == {"cuda"}


@pytest.mark.parametrize(
    ("mistake", "error"),
    [
        (lambda loss: loss + torch.zeros(3), RuntimeError),
        (lambda loss: loss.double(), AssertionError),
        (float, DataDependentOutputException),
        (lambda loss: loss + torch.zeros(3).to("cuda"), AssertionError),
    ],
    ids=["mixed devices", "float64", "host sync", "blocking copy"],
)
def test_mistakes_are_found(mistake, error):
    with fake_gpu(), pytest.raises(error):
        mistake(torch.ones(3, device="cuda").sum())


@pytest.mark.parametrize("name", ["crepe-tiny", "phone-classifier"])
def test_encoders_stay_on_the_device(name):
    network = copy.deepcopy(shared(name))
    with fake_gpu():
        move([network])
        layers = network(torch.ones(1, 16_000, device="cuda"))
    assert {layer.device.type for layer in layers.values()} == {"cuda"}
