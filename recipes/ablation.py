"""Ablation study at equal compute: ``python recipes/ablation.py STUDY PREPARED -o OUT --seconds 300``.

The source-filter stage is trained once. Every variant continues from it for as many steps as fit into the given
seconds, by the measured time of its own step. With ``--sources SONGS`` it evaluates each voice and prints its row; the
same command goes on where it was interrupted.
"""

import json
import statistics
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from svc import cli
from svc.errors import ConfigError

if TYPE_CHECKING:
    from svc.config import Config
    from svc.data.manifest import Manifest
    from svc.evaluation.evaluator import EvaluatorConfig
    from svc.evaluation.metrics.table import Measure
    from svc.training.checkpoint import Checkpoint

ROUNDS = 7  # of timing
ALL_STAGES = {"train.wavenet_start_step": 0, "train.adversarial_start_step": 0}  # from the first step
Overrides = dict[str, Any]
GENERATORS: dict[str, Overrides] = {
    "source-filter": {"model.wavenet.layers": 0},
    "96 channels": {"model.wavenet.channels": 96},
    "192 channels": {},
    "384 channels": {"model.wavenet.channels": 384},
}
NO_PHONES: Overrides = {"perceptual.phones.weight": 0.0}
PHONES: Overrides = {"perceptual.phones.weight": 0.5}
OTHER_SPEAKERS = PHONES | {
    "virtual_speakers.fraction": 0.25,
    "virtual_speakers.mixup_fraction": 0.0,
    "loss.conversion.adversarial": 2.0,
}
OBJECTIVES: dict[str, Overrides] = {  # variants after "phones" add to it
    "spectral": NO_PHONES | {"train.adversarial_start_step": 10**6},
    "adversarial": NO_PHONES,
    "crepe": NO_PHONES | {"perceptual.crepe.weight": 0.5},
    "phones": PHONES,
    "crepe and phones": PHONES | {"perceptual.crepe.weight": 0.5},
    "speaker": PHONES | {"loss.speaker.weight": 0.5},
    "other speakers": OTHER_SPEAKERS,
    "virtual speakers": OTHER_SPEAKERS | {"virtual_speakers.mixup_fraction": 0.5},
}


def single_loss(name: str, encoder: str, *layers: str) -> Overrides:
    """One perceptual loss in the place of the phone loss, of the same weight."""
    options = {"encoder": encoder, "layers": list(layers), "weight": 0.5}
    return NO_PHONES | {f"perceptual.{name}.{option}": value for option, value in options.items()}


def all_losses(singles: Mapping[str, Overrides]) -> Overrides:
    """The sum of several perceptual losses, which share the weight of one."""
    merged = {option: value for single in singles.values() for option, value in single.items()}
    weights = {option: 0.5 / len(singles) for option, value in merged.items() if value == 0.5}
    return merged | weights


PERCEPTUAL: dict[str, Overrides] = {
    "none": NO_PHONES,
    "phones": PHONES,
    "crepe": NO_PHONES | {"perceptual.crepe.weight": 0.5},
    "speaker": NO_PHONES | {"loss.speaker.encoder": "speaker", "loss.speaker.weight": 0.5},
    "cochleagram": single_loss("cochleagram", "cochleagram", "envelope"),
    "dfl": single_loss("dfl", "dfl", *(f"layer{number}" for number in range(1, 7))),
    "autoencoder": single_loss("autoencoder", "autoencoder", "layer1", "layer2"),
    "pesq": single_loss("pesq", "pesq-net", "features"),
    "A-weighting": NO_PHONES | {"loss.weighting": "a_weighting"},
}
PERCEPTUAL["random phones"] = PHONES | {"perceptual.phones.random_weights": True}
PERCEPTUAL["all"] = all_losses(
    {name: PERCEPTUAL[name] for name in ("speaker", "cochleagram", "dfl", "autoencoder", "pesq", "phones")}
)
STUDIES = {"generator": GENERATORS, "objective": OBJECTIVES, "perceptual": PERCEPTUAL}
SHOWN = ("cosine", "f0_median", "content_distance", "wer_to_source", "mcd", "mcd_aligned", "aperiodicity", "distillmos")


def main(
    study: Annotated[str, typer.Argument(help=f"{' or '.join(STUDIES)}")],
    prepared: Annotated[Path, typer.Argument(help="folder made by `svc prepare`")],
    out: Annotated[Path, typer.Option("-o", "--out", help="folder for a run of each variant; resumed if there")],
    base: Annotated[Path, typer.Option("-c", "--config", help="base config")] = Path("base"),
    source_filter_steps: Annotated[int, typer.Option(min=1, help="steps of the shared source-filter stage")] = 2000,
    seconds: Annotated[float, typer.Option(min=1, help="of computing for each variant after that")] = 300.0,
    only: Annotated[list[str] | None, typer.Option(help="variant; repeatable")] = None,
    sources: Annotated[Path | None, typer.Option(help="songs to evaluate the voices by: DIR/<speaker>/**/*")] = None,
    enrolment: Annotated[Path | None, typer.Option(help="recordings of the targets; the sources by default")] = None,
    parallel: Annotated[Path | None, typer.Option(help="takes by the targets; the sources by default")] = None,
    speaker_encoder: Annotated[str, typer.Option(help="of the evaluation: campplus, resemblyzer …")] = "resemblyzer",
    mos: Annotated[list[str] | None, typer.Option(help="distillmos or dnsmos; repeatable")] = None,
    asr: Annotated[str | None, typer.Option(help="Whisper model that counts the words: size or folder")] = None,
) -> None:
    """Train every variant for the same compute from the same source-filter stage, and export its voice."""
    from svc.cli.export import export_run
    from svc.config import load
    from svc.data import manifest
    from svc.evaluation.evaluator import EvaluatorConfig
    from svc.training import checkpoint
    from svc.training.loop import train
    from svc.utils import atomic

    if study not in STUDIES:
        raise ConfigError(f"{study}: no such study; there are {', '.join(STUDIES)}")
    variants = STUDIES[study]
    unknown = sorted(set(only or ()) - variants.keys())
    if unknown:
        raise ConfigError(f"--only {unknown[0]}: no such variant; there are {', '.join(variants)}")
    overrides = {name: variants[name] for name in only or variants}
    configs = {name: load(base, ALL_STAGES | changed) for name, changed in overrides.items()}  # checks all
    data = manifest.read(prepared)
    stage = {"train.wavenet_start_step": source_filter_steps, "train.adversarial_start_step": source_filter_steps}
    alone = load(base, stage | {"train.steps": source_filter_steps, "model.wavenet.layers": 0})
    if train(data, out / "source_filter_alone", alone, cpu=True).interrupted:
        typer.echo("next: the same command again, to go on")
        return
    shared = checkpoint.load_named(out / "source_filter_alone", "last")
    costs = read_costs(out / "costs.json")
    costs |= measure_step_seconds({name: config for name, config in configs.items() if name not in costs}, data)
    atomic.write_bytes(out / "costs.json", json.dumps(costs, indent=1).encode())
    metrics = EvaluatorConfig(speaker_encoder=speaker_encoder, mos=tuple(mos or ()), asr=asr or "")
    folders = {"sources": sources, "enrolment": enrolment, "parallel": parallel or sources}
    if sources:
        typer.echo(f"| loss | s a step | {' | '.join(measure.title for measure in shown())} |")
    for name, changed in overrides.items():
        steps = source_filter_steps + round(seconds / costs[name])
        config = load(base, stage | changed | {"train.steps": steps, "train.validate_every": steps})
        run = out / name.replace(" ", "_")
        initialise(shared, run, config, len(data.speakers))
        if train(data, run, config, cpu=True).interrupted:
            typer.echo("next: the same command again, to go on")
            return
        voice = export_run(run, "last", {"note": f"{costs[name]:.3f} s a step, {steps - source_filter_steps} steps"})
        voice.save(run / "voice.safetensors")
        weights = sum(parameter.numel() for parameter in voice.generator.parameters())
        typer.echo(
            f"{name}: {costs[name]:.3f} s a step, {weights / 1e6:.2f} M weights, {steps - source_filter_steps} steps"
        )
        if sources:
            evaluate_row(folders, run, metrics)
            print_row(name, costs[name], run, out / next(iter(overrides)).replace(" ", "_"))
    if not sources:
        typer.echo(f"next: svc evaluate --voice {out}/VARIANT/voice.safetensors --sources … for each, then svc compare")


def shown() -> "list[Measure]":
    """The columns of the table."""
    from svc.evaluation.metrics.table import MEASURES

    return [measure for measure in MEASURES if measure.key in SHOWN]


def evaluate_row(folders: dict[str, Any], run: Path, metrics: "EvaluatorConfig") -> None:
    """Write the scores of a variant's conversions to its run, unless they are there."""
    from svc.evaluation.run import EvaluationRequest, evaluate
    from svc.inference.converter import Converter
    from svc.inference.voice import VoiceFile
    from svc.utils.atomic import write_bytes

    if (run / "rows.json").exists():
        return
    request = EvaluationRequest(**folders, out=run / "evaluation", num_targets=1, metrics=metrics)
    rows = evaluate(request, Converter(VoiceFile.load(run / "voice.safetensors"))).scores.rows
    write_bytes(run / "rows.json", json.dumps([row for row in rows if row["system"] == "voice"]).encode())


def print_row(name: str, cost: float, run: Path, first: Path) -> None:
    """Means over conversions with half of their 95 % intervals; * where they differ from the first variant's.

    A difference counts if the sign-flip test over the songs has p < .05.
    """
    from svc.evaluation.metrics.table import values
    from svc.evaluation.statistics import estimate, sign_flip_p_value

    rows, others = (json.loads((folder / "rows.json").read_text()) for folder in (run, first))
    songs, cells = [row["song"] for row in rows], []
    for measure in shown():
        own = values(rows, measure.key)
        gains = [b - a for a, b in zip(values(others, measure.key), own, strict=True)]
        mark = "*" if sign_flip_p_value(gains, songs) < 0.05 else ""
        cells.append(measure.interval(estimate(own, songs)) + mark)
    typer.echo(f"| {name} | {cost:.2f} | {' | '.join(cells)} |")


def read_costs(path: Path) -> dict[str, float]:
    """Step times of an earlier call, which its runs were planned by."""
    return {name: float(cost) for name, cost in json.loads(path.read_text()).items()} if path.exists() else {}


def measure_step_seconds(configs: "dict[str, Config]", prepared: "Manifest") -> dict[str, float]:
    """Median seconds of a training step of each config, measured in turn."""
    import torch
    from accelerate import Accelerator

    from svc.data import dataset
    from svc.training import state
    from svc.training.perceptual_losses import build_losses
    from svc.training.step import train_step

    accelerator = Accelerator(cpu=True)
    states, batches, losses = {}, {}, {name: build_losses(prepared, config) for name, config in configs.items()}
    for name, config in configs.items():
        items = dataset.SegmentDataset(prepared, config)
        batches[name] = next(iter(dataset.batches(items, step=0, rank=0, world=1)))
        content = batches[name].conditioning.content.shape[1]
        device = torch.device("cpu")
        states[name] = state.create_state(
            config, content_channels=content, num_speakers=len(prepared.speakers), device=device
        )
    spent: dict[str, list[float]] = {name: [] for name in configs}
    for _ in range(ROUNDS):
        for name, config in configs.items():
            started = time.perf_counter()
            train_step(states[name], batches[name], config, accelerator, losses[name])
            spent[name].append(time.perf_counter() - started)
    return {name: statistics.median(seconds) for name, seconds in spent.items()}


def initialise(shared: "Checkpoint", run: Path, config: "Config", singers: int) -> None:
    """Start a run from the source-filter stage of another, unless it has started."""
    import torch

    from svc.config import to_tree
    from svc.training import checkpoint, state

    if checkpoint.newest(run):
        return
    content = int(shared.meta["content_channels"])
    created = state.create_state(config, content_channels=content, num_speakers=singers, device=torch.device("cpu"))
    checkpoint.load_partial(shared, created)
    kept = {key: shared.meta[key] for key in ("data", "score_source", "content_channels", "speakers")}
    checkpoint.write(run, created, kept | {"config": to_tree(config)}, config.train.keep_checkpoints)


if __name__ == "__main__":
    cli.run(main)
