"""The loop: from scratch or from the newest checkpoint to the last step."""

import contextlib
import math
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs, PartialState
from accelerate.utils import ProjectConfiguration

from svc.config import Config, to_tree
from svc.data import dataset, prepare
from svc.data.manifest import Manifest
from svc.models.discriminators import Discriminator
from svc.models.wavenet import WaveNet
from svc.training import checkpoint, state, validation
from svc.training.gan_health import Watch
from svc.training.locking import locked
from svc.training.perceptual_losses import listeners
from svc.training.resume import check_same, check_together, settled
from svc.training.signals import any_process, stopping
from svc.training.step import train_step
from svc.training.throughput import Meter
from svc.training.tracking import Tracker, chosen, everywhere
from svc.utils.progress import progress


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended, and the phrases as they were last sung."""

    run: Path
    step: int
    best_step: int | None
    best: float
    interrupted: bool
    renditions: list[validation.Rendition] = field(default_factory=list)


def train(
    prepared: Manifest,
    run: Path,
    config: Config,
    *,
    cpu: bool = False,
    accept_changes: bool = False,
    judge: validation.Judge | None = None,
    begin: Callable[[state.TrainState], object] | None = None,
) -> Outcome:
    """Train, or go on training, a run.

    Args:
        prepared: what to learn from.
        run: the folder of the run; if it holds checkpoints the newest is resumed exactly.
        config: every knob.
        cpu: leave accelerators alone.
        accept_changes: go on although the config is not the one the run started with.
        judge: scores the phrases besides the spectral distance; its ``overall`` chooses the best checkpoint.
        begin: changes the fresh state first, for a run that begins with a voice: with that, step 0 may be the best.

    Raises:
        TrainingError: the config changed, the run belongs to other singers, or a loss is not finite.
        MissingExtra: the library of a tracker, or of a listener, is not installed.
    """
    prepare.check_config(prepared, config)
    found = checkpoint.newest(run)
    device = PartialState(cpu=cpu).device
    fixed = settled(config, found, device)
    accelerator = Accelerator(
        cpu=cpu,
        mixed_precision=fixed.train.precision if device.type != "cpu" else "no",
        log_with=chosen(config.train.trackers, run, found.step if found else 0),
        project_config=ProjectConfiguration(project_dir=str(run), logging_dir=str(run)),
        kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)],
    )
    items = dataset.SegmentDataset(prepared, config)
    content = items[0, 0].conditioning.content.shape[1]
    current = state.create(fixed, content_channels=content, num_speakers=len(prepared.speakers), device=accelerator.device)
    if begin:
        begin(current)
    if found is not None:
        check_same(found, prepared, config, accept_changes)
        checkpoint.restore(found, current)
        if found.meta.get("best_by") != _scale(judge):
            current.best, current.best_step = -math.inf, None
    elif accelerator.is_main_process:
        run.mkdir(parents=True, exist_ok=True)
    check_together(accelerator, current.step, run)
    _prepare(accelerator, current, config.train.compile)
    with locked(run) if accelerator.is_main_process else contextlib.nullcontext():
        return _Loop(prepared, run, config, accelerator, current, content, judge, first=0 if begin else 1).go(items)


def _prepare(accelerator: Accelerator, current: state.TrainState, compiled: bool) -> None:
    """The one place, and the one order, in which things are handed to Accelerate.

    Networks are compiled in place, so that no weight is renamed, and before they are wrapped, for a step calls them
    unwrapped too; but not the front, of whose complex spectra torch 2.11 compiles a wrong gradient.
    """
    networks = current.generator, current.discriminator
    for part in (*networks[0].children(), networks[1]) if compiled else ():
        if isinstance(part, WaveNet | Discriminator):
            part.compile()
    ready = accelerator.prepare(*networks, current.generator_optimizer, current.discriminator_optimizer)
    current.generator, current.discriminator, current.generator_optimizer, current.discriminator_optimizer = ready


class _Loop:
    def __init__(
        self,
        prepared: Manifest,
        run: Path,
        config: Config,
        accelerator: Accelerator,
        current: state.TrainState,
        content: int,
        judge: validation.Judge | None,
        first: int,
    ):
        self.prepared, self.run, self.config = prepared, run, config
        self.accelerator, self.state, self.content = accelerator, current, content
        self.tracker = Tracker(run, config, accelerator, current.step)
        self.phrases = validation.choose(prepared, config) if accelerator.is_main_process else []
        self.judge = judge
        self.first = first  # step that may be the best
        self.listeners = {name: one.to(accelerator.device) for name, one in listeners(prepared, config).items()}
        self.watch, self.meter = Watch(), Meter()
        self.renditions: list[validation.Rendition] = []
        self.saved = current.step

    def go(self, items: dataset.SegmentDataset) -> Outcome:
        accelerator, train = self.accelerator, self.config.train
        rank, world = accelerator.process_index, accelerator.num_processes
        batches = self.meter.timed(dataset.loader(items, step=self.state.step, rank=rank, world=world))
        bar = progress(batches, "train", "step", train.steps, self.state.step, not accelerator.is_main_process)
        with stopping() as stop:
            if self.state.step == 0 and self.state.best_step is None and self.validate():
                self.save()
            for batch in bar:
                terms = train_step(self.state, batch.to(accelerator.device), self.config, accelerator, self.listeners)
                self.after(terms, bar)
                if any_process(accelerator, stop.is_set()):
                    break
            if self.saved != self.state.step:
                self.save()
        if self.meter.steps and accelerator.is_main_process:
            bar.write(self.meter.verdict(), file=sys.stderr)
        bar.close()
        self.tracker.close()
        accelerator.wait_for_everyone()
        interrupted = self.state.step < train.steps
        return Outcome(self.run, self.state.step, self.state.best_step, self.state.best, interrupted, self.renditions)

    def after(self, terms: dict[str, torch.Tensor], bar: Any) -> None:
        """What is due once a step is done."""
        step, train = self.state.step, self.config.train
        last = step == train.steps
        if step % train.log_every == 0 or last:
            values = everywhere(terms, self.accelerator)
            self.tracker.losses(step, values, self.meter.lap())
            for sentence in self.watch.notice(values) if self.accelerator.is_main_process else ():
                bar.write(f"step {step}: {sentence}", file=sys.stderr)
            best = f" best {self.state.best:.3f}" if self.state.best_step is not None else ""
            bar.set_postfix_str(f"spectral {values['spectral']:.3f}{best}")
        improved = (step % train.validate_every == 0 or last) and self.validate()
        if step % train.checkpoint_every == 0 or last or improved:
            self.save()

    def validate(self) -> bool:
        """Sing the phrases with the averaged weights and judge them; whether they never were as good."""
        if not self.accelerator.is_main_process:
            return False
        step = self.state.step
        use_wavenet = max(step, 1) > self.config.train.refine_start
        self.renditions = validation.sing(self.state.average, self.phrases, use_wavenet=use_wavenet)
        if not self.renditions:
            return False
        scores = validation.spectral_judge(self.renditions, self.config)
        if self.judge:
            scores |= self.judge(self.renditions)
        self.tracker.renditions(step, self.renditions, scores)
        improved = step >= self.first and scores["overall"] > self.state.best
        if improved:
            self.state.best, self.state.best_step = scores["overall"], step
        return improved

    def save(self) -> None:
        """Write a checkpoint, on the main process."""
        if not self.accelerator.is_main_process:
            return
        with _unwrapped(self.accelerator, self.state):
            extra = {
                "config": to_tree(self.config),
                "data": self.prepared.sha256,
                "features": self.prepared.features,
                "bf16": self.state.average.bf16,
                "best_by": _scale(self.judge),
                "content_channels": self.content,
                "singers": [asdict(singer) for singer in self.prepared.speakers],
            }
            checkpoint.write(self.run, self.state, extra, self.config.train.keep)
        self.saved = self.state.step


def _scale(judge: validation.Judge | None) -> str:
    """What the best checkpoint is chosen by: scores of another scale are not compared."""
    return "judge" if judge else "spectral"


@contextlib.contextmanager
def _unwrapped(accelerator: Accelerator, current: state.TrainState) -> Any:
    wrapped = current.generator, current.discriminator
    optimizers = current.generator_optimizer, current.discriminator_optimizer
    current.generator, current.discriminator = (accelerator.unwrap_model(network) for network in wrapped)
    current.generator_optimizer, current.discriminator_optimizer = (
        getattr(optimizer, "optimizer", optimizer) for optimizer in optimizers
    )
    try:
        yield current
    finally:
        current.generator, current.discriminator = wrapped
        current.generator_optimizer, current.discriminator_optimizer = optimizers
