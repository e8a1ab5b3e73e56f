"""Training loop: from scratch or from the newest checkpoint to the last step."""

import contextlib
import math
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from accelerate.utils import ProjectConfiguration
from tqdm import tqdm

from svc.config import Config, to_tree
from svc.data import dataset, prepare
from svc.data.batch import Batch
from svc.data.manifest import Manifest
from svc.data.provenance import training_data
from svc.features.training_data import TrainingData
from svc.models.weight_names import EMBEDDING
from svc.training import checkpoint, gan_metrics, validation
from svc.training.logging import RunLogger, Throughput, check_trackers, make_trackers, mean_over_ranks
from svc.training.perceptual_losses import balance_state, build_envelope_losses, build_losses, restore_balance
from svc.training.resume import any_rank, check_config_unchanged, check_ranks_agree, lock_run, stop_on_signal
from svc.training.state import TrainState, create_state, start_embeddings, unwrapped, wrap
from svc.training.step import train_step
from svc.utils import hardware
from svc.utils.distributed import joined_state
from svc.utils.progress import progress


@dataclass(frozen=True, slots=True)
class TrainResult:
    """End of a run, and the last outputs for the validation clips."""

    run: Path
    step: int
    best_step: int | None
    best_score: float
    interrupted: bool
    outputs: list[validation.ValidationOutput] = field(default_factory=list)


def train(
    prepared: Manifest,
    run: Path,
    config: Config,
    *,
    cpu: bool = False,
    allow_config_change: bool = False,
    score: validation.ScoreFn | None = None,
    initialise: Callable[[TrainState], object] | None = None,
) -> TrainResult:
    """Train a run, or resume it.

    Args:
        prepared: dataset.
        run: folder of the run; if it holds checkpoints the newest is resumed exactly.
        config: all options.
        cpu: do not use accelerators.
        allow_config_change: resume although the config changed.
        score: scores validation outputs besides the spectral distance; its ``overall`` chooses the best checkpoint.
        initialise: changes the new state of a run that starts from a voice; step 0 may then be the best one.

    Raises:
        TrainingError: another training has the folder, the config or the speakers changed, or losses are not finite.
        MissingExtra: the library of a tracker, or of a perceptual loss, is not installed.
    """
    prepare.check_config(prepared, config)
    segments = dataset.SegmentDataset(prepared, config)
    process = joined_state(cpu)
    if process.is_main_process:
        check_trackers(config.train.trackers)
    with lock_run(run) if process.is_main_process else contextlib.nullcontext():
        process.wait_for_everyone()  # no process looks for checkpoints before the folder is locked
        newest = checkpoint.newest(run)
        accelerator = _make_accelerator(run, config, newest.step if newest else 0, process.device, cpu)
        content_channels = segments[0, 0].conditioning.content.shape[1]
        state = create_state(
            config, content_channels=content_channels, num_speakers=len(prepared.speakers), device=accelerator.device
        )
        if initialise:
            initialise(state)
        elif config.train.embedding_start == "speaker-encoder" and not newest:
            start_embeddings(state, prepared)
        if newest:
            check_config_unchanged(newest, prepared, config, allow_config_change)
            checkpoint.restore(newest, state)
            state.initial_data = TrainingData.from_tree(newest.meta.get("initial_data") or TrainingData().to_tree())
            state.has_wavenet = bool(newest.meta.get("has_wavenet"))
            if newest.meta.get("score_source") != _score_source(score):
                state.best_score, state.best_step = -math.inf, None
        check_ranks_agree(accelerator, state.step, run)
        wrap(accelerator, state, config)
        trainer = Trainer(prepared, run, config, accelerator, state, score, first_best_step=0 if initialise else 1)
        restore_balance(trainer.perceptual, newest.meta.get("layer_balance", {}) if newest else {})
        return trainer.run_steps(segments)


def _make_accelerator(run: Path, config: Config, step: int, device: torch.device, cpu: bool) -> Accelerator:
    """Accelerator with the trackers of a run; matrix products in bf16 on GPUs alone."""
    bf16 = device.type != "cpu" and hardware.use_bf16(config.train.precision, device)
    return Accelerator(
        cpu=cpu,
        mixed_precision="bf16" if bf16 else "no",
        log_with=make_trackers(config.train.trackers, run, step),
        project_config=ProjectConfiguration(project_dir=str(run), logging_dir=str(run)),
        kwargs_handlers=[DistributedDataParallelKwargs()],
    )


def _score_source(score: validation.ScoreFn | None) -> str:
    """What chooses the best checkpoint; scores of different sources are not compared."""
    return str(getattr(score, "description", "evaluator")) if score else "spectral"


class Trainer:
    """Runs the steps of a training, with what is due after a step: logs, validation, checkpoints."""

    def __init__(
        self,
        prepared: Manifest,
        run: Path,
        config: Config,
        accelerator: Accelerator,
        state: TrainState,
        score: validation.ScoreFn | None,
        first_best_step: int,
    ):
        self.prepared, self.run, self.config = prepared, run, config
        self.accelerator, self.state = accelerator, state
        self.score, self.first_best_step = score, first_best_step
        self.logger = RunLogger(run, config, accelerator, state.step)
        self.clips = validation.select_clips(prepared, config) if accelerator.is_main_process else []
        self.perceptual = {name: loss.to(accelerator.device) for name, loss in build_losses(prepared, config).items()}
        self.of_envelopes = {
            name: loss.to(accelerator.device) for name, loss in build_envelope_losses(prepared, config).items()
        }
        self.diagnostics, self.throughput = gan_metrics.Diagnostics(), Throughput()
        self.outputs: list[validation.ValidationOutput] = []
        self.saved_step = state.step

    def run_steps(self, segments: dataset.SegmentDataset) -> TrainResult:
        """Run all steps that are left."""
        accelerator, state, train = self.accelerator, self.state, self.config.train
        rank, world = accelerator.process_index, accelerator.num_processes
        batches = self.throughput.wrap(dataset.batches(segments, step=state.step, rank=rank, world=world))
        bar = progress(batches, "train", "step", train.steps, state.step, not accelerator.is_main_process)
        if state.step and accelerator.is_main_process:
            bar.write(f"resumes from step {state.step} of {train.steps}", file=sys.stderr)
        with stop_on_signal(announce=accelerator.is_main_process) as stop:
            if state.step == 0 and state.best_step is None and self.validate():
                self.save()
            for batch in self.saving(bar):
                batch = batch.to(accelerator.device)
                losses = train_step(state, batch, self.config, accelerator, self.perceptual, self.of_envelopes)
                self.after_step(losses, bar)
                if any_rank(accelerator, stop.is_set()):
                    break
            if self.saved_step != state.step:
                self.save()
        if accelerator.is_main_process and (advice := self.throughput.advice()):
            bar.write(advice, file=sys.stderr)
        bar.close()
        self.logger.close()
        accelerator.wait_for_everyone()
        interrupted = state.step < train.steps
        return TrainResult(self.run, state.step, state.best_step, state.best_score, interrupted, self.outputs)

    def saving(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """The batches; the state is saved if loading one fails, so that nothing is lost with a worker."""
        try:
            yield from batches
        except Exception:
            if self.saved_step != self.state.step:
                self.save()
            raise

    def after_step(self, losses: dict[str, torch.Tensor], bar: Any) -> None:
        """Log, validate and save where it is due."""
        step, train = self.state.step, self.config.train
        last = step == train.steps
        if step % train.log_every == 0 or last:
            values = mean_over_ranks(losses, self.accelerator)
            self.logger.losses(step, values, self.throughput.interval())
            self._warn(self.diagnostics.check_losses(values))
            best = f", best score {self.state.best_score:.3f}" if self.state.best_step is not None else ""
            name = "spectral" if "spectral" in values else "envelope"
            bar.set_postfix_str(f"{name} loss {values[name]:.3f}{best}")
        improved = (step % train.validate_every == 0 or last) and self.validate()
        if step % train.checkpoint_every == 0 or last or improved:
            self.save()

    def validate(self) -> bool:
        """Synthesize the validation clips with the EMA weights and score them; True if the score is the best."""
        if not self.accelerator.is_main_process:
            return False
        step = self.state.step
        use_wavenet = self.state.has_wavenet or max(step, 1) > self.config.train.wavenet_start_step
        self.outputs = validation.synthesize(self.state.ema_generator, self.clips, use_wavenet=use_wavenet)
        if not self.outputs:
            return False
        scores = validation.spectral_score(self.outputs, self.config) | self._gan_scores(use_wavenet)
        if self.score:
            scores |= self.score(self.outputs)
        self.logger.validation(step, self.outputs, scores)
        improved = step >= self.first_best_step and scores["overall"] > self.state.best_score
        if improved:
            self.state.best_score, self.state.best_step = scores["overall"], step
        return improved

    def _gan_scores(self, use_wavenet: bool) -> dict[str, float]:
        """Metrics of the networks that take part by now; warns of what is wrong with them."""
        state = self.state
        scores: dict[str, float] = {}
        if max(state.step, 1) > self.config.train.adversarial_start_step:
            discriminator = self.accelerator.unwrap_model(state.discriminator)
            embedding = state.ema_generator.get_parameter(EMBEDDING)
            scores |= gan_metrics.discriminator_metrics(discriminator, self.outputs, self.config, embedding)
        if use_wavenet and state.ema_generator.wavenet is not None and state.ema_generator.source_filter is not None:
            clips = [replace(clip, targets={}) for clip in self.clips]
            alone = validation.synthesize(state.ema_generator, clips, use_wavenet=False)
            scores |= gan_metrics.wavenet_levels(self.outputs, alone, self.config.sample_rate)
        self._warn(self.diagnostics.check_scores(scores))
        return scores

    def _warn(self, warnings: list[str]) -> None:
        for warning in warnings if self.accelerator.is_main_process else ():
            tqdm.write(f"step {self.state.step}: {warning}", file=sys.stderr)

    def save(self) -> None:
        """Write a checkpoint, on the main process."""
        if not self.accelerator.is_main_process:
            return
        extra = {
            "config": to_tree(self.config),
            "data": self.prepared.sha256,
            "features": self.prepared.features,
            "score_source": _score_source(self.score),
            "content_channels": self.state.ema_generator.content_channels,
            "speakers": [asdict(speaker) for speaker in self.prepared.speakers],
            "training_data": (training_data(self.prepared.clips) | self.state.initial_data).to_tree(),
            "initial_data": self.state.initial_data.to_tree(),
            "has_wavenet": self.state.has_wavenet,
            "layer_balance": balance_state(self.perceptual),
        }
        state = unwrapped(self.accelerator, self.state)
        checkpoint.write(self.run, state, extra, self.config.train.keep_checkpoints)
        self.saved_step = self.state.step
