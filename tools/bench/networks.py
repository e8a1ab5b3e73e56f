"""Generators and training steps, with random weights, on random conditioning."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from material import SPEAKERS, Sizes, conditioning
from timing import Columns, Contestant, Group, Timed
from torch import Tensor, nn

from svc.config import Config, load
from svc.data.batch import Batch
from svc.features import content
from svc.losses.adversarial import discriminator_loss
from svc.losses.perceptual import build_perceptual_losses
from svc.losses.stft import reconstruction_losses
from svc.losses.total import loss_weights, weighted_sum
from svc.models.generator import Generator
from svc.models.weight_names import EMBEDDING
from svc.training import state
from svc.training.micro_batch import DISCRIMINATOR, sample_micro_batches
from svc.training.state import TrainState
from svc.training.step import adversarial_losses, split_outputs, train_step
from svc.utils import hardware

BASE = "base"  # of svc/config/*.yaml, the default
STEP, PART = "svc base, a step", "… "  # label of a row, and prefix of the rows of its parts
ENVELOPE_STEP = "svc base, a step on envelopes alone"


def generators(sizes: Sizes, device: str) -> Group:
    """One forward pass of each of our generators."""
    text = (
        f"One forward pass of {sizes.generator:g} s ({sizes.paper:g} s for svc/config/paper.yaml, 16 kHz; base "
        "44.1 kHz, demo 24 kHz), random weights, inference mode, fp32, with the excitation."
    )
    return Group(_titled("generator", device), text, _generators(sizes, device), "svc base")


def _generators(sizes: Sizes, device: str) -> list[Contestant]:
    base, demo, paper = (random_generator(configured(name), device) for name in (BASE, "demo", "paper"))
    seconds = {base: sizes.generator, demo: sizes.generator, paper: sizes.paper}
    inputs = {network: conditioning(seconds[network], network.content_channels, device) for network in seconds}

    def run(network: Generator, use_wavenet: bool = True) -> None:
        network(inputs[network], use_wavenet)

    runs: list[tuple[str, Generator, dict[str, bool]]] = [
        ("svc base", base, {}),
        ("svc base, source-filter stage alone", base, {"use_wavenet": False}),
        ("svc demo", demo, {}),
        ("svc paper", paper, {}),
    ]
    return [
        Contestant(name, _silently(partial(run, network, **how)), seconds[network], _used(network, **how))
        for name, network, how in runs
    ]


def training(sizes: Sizes, device: str) -> Group:
    """One training step with all stages and losses, and its parts."""
    config = configured(BASE, {"train.wavenet_start_step": 0, "train.adversarial_start_step": 0, **sizes.training})
    text = (
        f"One step of svc/config/base.yaml with source-filter stage, WaveNet and discriminator, "
        f"{config.train.batch_size} × {config.train.segment_seconds:g} s, precision {config.train.precision}; then its "
        "parts, forward and backward; optimisers and averages are the rest."
    )
    return Group(_titled("train", device), text, _Steps(config, device).contestants(), STEP, columns=_shares)


def _shares(timed: Mapping[str, Timed]) -> Columns:
    """Share of each part in the step."""
    parts = [name for name in timed if name.startswith(PART)]
    return {part: {"of our step": f"{timed[part].rtf / timed[STEP].rtf:.0%}"} for part in parts}


class _Steps:
    """A training step and its parts on a device; each part has realistic inputs."""

    def __init__(self, config: Config, device: str):
        self.config, self.accelerator, self.device = config, _accelerator(config.train.precision), device
        self.state, self.spare, self.on_envelopes = self._state(), self._state(), self._state()
        self.batch = self._batch()
        self.generator, self.discriminator = self.spare.generator, self.spare.discriminator
        self.fake = torch.randn_like(self.batch.audio).mul(0.1).requires_grad_()
        self.other = torch.randn_like(self.batch.audio).mul(0.1)
        weighted = {name: replace(options, weight=1.0) for name, options in config.perceptual.items()}
        self.perceptual_losses = build_perceptual_losses(replace(config, perceptual=weighted))
        seconds = {name: loss.to(device).segment_seconds for name, loss in self.perceptual_losses.items()}
        [self.micro_batch] = sample_micro_batches(self.batch, config, seconds)
        self.signals = self._wavenet_inputs()

    def contestants(self) -> list[Contestant]:
        """The step and its parts."""
        parts: dict[str, Callable[[], None]] = {
            "source-filter stage": partial(self._sing, use_wavenet=False),
            "WaveNet": self._wavenet,
            "second sample": self._second_sample,
            "spectral loss": self._spectral,
            "discriminator update": self._discriminator,
            "adversarial losses": self._adversarial,
            **{f"perceptual loss {name}": partial(self._perceptual, name) for name in self.perceptual_losses},
        }
        runs = {
            STEP: self._step,
            ENVELOPE_STEP: self._envelope_step,
            **{PART + name: self._autocast(run) for name, run in parts.items()},
        }
        seconds = self.config.train.batch_size * self.config.train.segment_seconds
        return [Contestant(name, run, seconds) for name, run in runs.items()]

    def _step(self) -> None:
        train_step(self.state, self.batch, self.config, self.accelerator)

    def _envelope_step(self) -> None:
        many = 10**9
        starts: dict[str, Any] = {f"{stage}_start_step": many for stage in ("synthesis", "wavenet", "adversarial")}
        config = replace(self.config, train=replace(self.config.train, **starts))
        train_step(self.on_envelopes, self.batch, config, self.accelerator)

    def _sing(self, use_wavenet: bool) -> None:
        self.generator.zero_grad()
        self.generator(self.batch.conditioning, use_wavenet).square().mean().backward()

    def _wavenet(self) -> None:
        wavenet = self.generator.get_submodule("wavenet")
        wavenet.zero_grad()
        wavenet(*self.signals).float().square().mean().backward()

    def _second_sample(self) -> None:
        with torch.no_grad():
            self.generator(self.batch.conditioning.with_new_noise(torch.rand(len(self.batch.audio))), True)

    def _spectral(self) -> None:
        self.fake.grad = None
        truth, other = self.batch.audio, self.other if self.config.loss.energy_repulsion else None
        terms = reconstruction_losses(
            fake=self.fake, real=truth, config=self.config.loss, sample_rate=self.config.sample_rate, fake2=other
        )
        weighted_sum(terms, loss_weights(self.config)).backward()

    def _discriminator(self) -> None:
        self.discriminator.zero_grad()
        fake, real = self.micro_batch.normalised_window(self.fake.detach(), DISCRIMINATOR)
        fake_out, real_out = split_outputs(self.discriminator(torch.cat([fake, real])), len(fake))
        discriminator_loss(fake=fake_out, real=real_out).backward()

    def _adversarial(self) -> None:
        self.fake.grad = None
        embedding = self.generator.get_parameter(EMBEDDING).detach()
        self.micro_batch.judged = self.micro_batch.normalised_window(self.fake, DISCRIMINATOR)
        losses = adversarial_losses(self.discriminator, self.micro_batch, embedding)
        weighted_sum(losses, loss_weights(self.config)).backward()

    def _perceptual(self, name: str) -> None:
        self.fake.grad = None
        reconstruction, _ = self.perceptual_losses[name](self.micro_batch.loss_inputs(self.fake, name))
        reconstruction.backward()

    def _state(self) -> TrainState:
        channels = content.channels(self.config.features.content)
        created = state.create_state(
            self.config, content_channels=channels, num_speakers=SPEAKERS, device=torch.device(self.device)
        )
        if self.device != "cpu":
            created.generator, created.discriminator = self.accelerator.prepare(
                created.generator, created.discriminator
            )
        return created

    def _batch(self) -> Batch:
        channels, train = content.channels(self.config.features.content), self.config.train
        segments = conditioning(train.segment_seconds, channels, self.device, train.batch_size)
        audio = 0.1 * torch.randn(train.batch_size, segments.frames * self.config.hop, device=self.device)
        band = torch.full((train.batch_size,), self.config.sample_rate / 2)
        return Batch(segments, audio, band, torch.zeros(train.batch_size, dtype=torch.long, device=self.device))

    def _wavenet_inputs(self) -> list[Tensor]:
        caught: list[Tensor] = []

        def catch(_module: nn.Module, inputs: tuple[Tensor, ...], named: dict[str, Tensor]) -> None:
            caught.extend(value.detach().requires_grad_() for value in (*inputs, *named.values()))

        hook = self.generator.get_submodule("wavenet").register_forward_pre_hook(catch, with_kwargs=True)
        self.generator(self.batch.conditioning)
        hook.remove()
        return caught

    def _autocast(self, run: Callable[[], None]) -> Callable[[], None]:
        def within() -> None:
            with self.accelerator.autocast():
                run()

        return within


@lru_cache
def _accelerator(precision: str) -> Accelerator:
    """Shared: a process cannot have two of different kinds."""
    if not torch.cuda.is_available():
        return Accelerator(cpu=True)
    half = hardware.use_bf16(precision, torch.device("cuda"))
    return Accelerator(mixed_precision="bf16" if half else "no")


def configured(name: str, changed: dict[str, Any] | None = None) -> Config:
    """A config of the project, with overrides."""
    return load(Path(name), changed)


def random_generator(config: Config, device: str) -> Generator:
    """A generator with random weights that depend on the config only."""
    torch.manual_seed(0)
    channels = content.channels(config.features.content)
    return Generator(config, content_channels=channels, num_speakers=SPEAKERS).to(device).eval()


def _silently(run: Callable[[], object]) -> Callable[[], None]:
    """Without gradients and return value."""

    def inference() -> None:
        with torch.inference_mode():
            run()

    return inference


def _weights(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def _used(network: Generator, use_wavenet: bool = True) -> int:
    return _weights(network) - (0 if use_wavenet else _weights(network.get_submodule("wavenet")))


def _titled(title: str, device: str) -> str:
    return title if device == "cpu" else f"{title}, on the GPU"
