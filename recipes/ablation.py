"""What sings best for the same compute: ``python recipes/ablation.py STUDY PREPARED -o OUT --seconds 300``.

The front is trained once. Every variant goes on from it for as many steps as fit into the given seconds of computing,
by the cost of its own step, which is measured first, all variants in turn.
"""

import json
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from svc import cli
from svc.errors import ConfigError

if TYPE_CHECKING:
    from svc.config import Config
    from svc.data.manifest import Manifest
    from svc.training.checkpoint import Checkpoint

ROUNDS = 7  # of timing
BOTH = {"train.refine_start": 0, "train.adversary_start": 0}  # front, WaveNet and adversary at once
Knobs = dict[str, Any]
GENERATORS: dict[str, Knobs] = {  # channels and layers traded for about the same cost
    "front": {"model.layers": 0},
    "1 band": {"model.subbands": 1, "model.channels": 24, "model.layers": 8, "model.cycle": 8},
    "4 bands": {"model.subbands": 4, "model.channels": 48, "model.layers": 8, "model.cycle": 8},
    "8 bands": {"model.subbands": 8, "model.channels": 64, "model.layers": 10, "model.cycle": 5},
    "16 bands": {"model.subbands": 16, "model.channels": 128, "model.layers": 8, "model.cycle": 4},
}
BARE: Knobs = {"loss.words": 0.0}
WORDS: Knobs = {"loss.words": 0.5}
OTHERS = WORDS | {
    "others.share": 0.25,
    "others.mixed": 0.0,
    "loss.other_adversarial": 0.3,
    "loss.other_words": 0.5,
}
MIXES = OTHERS | {"others.mixed": 0.5}
OBJECTIVES: dict[str, Knobs] = {  # "words" is the base; what comes after it adds to it
    "spectral": BARE | {"train.adversary_start": 10**6},
    "adversarial": BARE,
    "melody": BARE | {"loss.melody": 0.5},
    "words": WORDS,
    "melody and words": WORDS | {"loss.melody": 0.5},
    "penalty": WORDS | {"discriminator.penalty": 1.0},
    "identity": WORDS | {"loss.identity": 0.5},
    "others": OTHERS,
    "mixes": MIXES,
    "conditional": MIXES | {"discriminator.conditional": True},
}
STUDIES = {"generator": GENERATORS, "objective": OBJECTIVES}


def main(
    study: Annotated[str, typer.Argument(help=f"what varies: {' or '.join(STUDIES)}")],
    prepared: Annotated[Path, typer.Argument(help="folder made by `svc prepare`")],
    out: Annotated[Path, typer.Option("-o", "--out", help="folder for a run of each variant; resumed if there")],
    base: Annotated[Path, typer.Option("-c", "--config", help="what the variants vary")] = Path("configs/base.yaml"),
    front: Annotated[int, typer.Option(min=1, help="steps of the front alone, shared by all")] = 2000,
    seconds: Annotated[float, typer.Option(min=1, help="computing for each variant after that")] = 300.0,
    only: Annotated[list[str] | None, typer.Option(help="variant; repeatable")] = None,
) -> None:
    """Train every variant for the same compute from the same front, and export a voice of each."""
    from svc.config import load
    from svc.data import manifest
    from svc.training import checkpoint
    from svc.training.export import voice_of
    from svc.training.loop import train
    from svc.utils import atomic

    if study not in STUDIES:
        raise ConfigError(f"{study}: no such study; there are {', '.join(STUDIES)}")
    variants = STUDIES[study]
    nobody = sorted(set(only or ()) - variants.keys())
    if nobody:
        raise ConfigError(f"--only {nobody[0]}: no such variant; there are {', '.join(variants)}")
    knobs = {name: variants[name] for name in only or variants}
    whole = {name: load(base, BOTH | changed) for name, changed in knobs.items()}  # what is wrong is told first
    read = manifest.read(prepared)
    stage = {"train.refine_start": front, "train.adversary_start": front}
    alone = load(base, stage | {"train.steps": front, "model.layers": 0})
    if train(read, out / "front_alone", alone, cpu=True).interrupted:
        typer.echo("next: the same command again, to go on")
        return
    shared = checkpoint.at(out / "front_alone", "last")
    costs = known(out / "costs.json")
    costs |= measure({name: config for name, config in whole.items() if name not in costs}, read)
    atomic.write_bytes(out / "costs.json", json.dumps(costs, indent=1).encode())
    for name, changed in knobs.items():
        steps = front + round(seconds / costs[name])
        config = load(base, stage | changed | {"train.steps": steps, "train.validate_every": steps})
        run = out / name.replace(" ", "_")
        begin(shared, run, config, len(read.singers))
        if train(read, run, config, cpu=True).interrupted:
            typer.echo("next: the same command again, to go on")
            return
        voice = voice_of(run, "last", {"note": f"{costs[name]:.3f} s a step, {steps - front} steps"})
        voice.save(run / "voice.safetensors")
        weights = sum(parameter.numel() for parameter in voice.generator.parameters())
        typer.echo(f"{name}: {costs[name]:.3f} s a step, {weights / 1e6:.2f} M weights, {steps - front} steps")
    typer.echo(f"next: svc evaluate --voice {out}/VARIANT/voice.safetensors --sources … for each, then svc compare")


def known(path: Path) -> dict[str, float]:
    """Costs measured by an earlier call, by which the steps of runs that it began were counted."""
    return {name: float(cost) for name, cost in json.loads(path.read_text()).items()} if path.exists() else {}


def measure(configs: "dict[str, Config]", prepared: "Manifest") -> dict[str, float]:
    """Median seconds of a step of each, all in turn."""
    import torch
    from accelerate import Accelerator

    from svc.data import dataset
    from svc.training import state
    from svc.training.perceptual_losses import listeners
    from svc.training.step import train_step

    accelerator = Accelerator(cpu=True)
    states, batches, hear = {}, {}, {name: listeners(prepared, config) for name, config in configs.items()}
    for name, config in configs.items():
        items = dataset.CropDataset(prepared, config)
        batches[name] = next(iter(dataset.loader(items, step=0, rank=0, world=1)))
        content = batches[name].conditioning.content.shape[1]
        device = torch.device("cpu")
        states[name] = state.create(config, content=content, singers=len(prepared.singers), device=device)
    spent: dict[str, list[float]] = {name: [] for name in configs}
    for _ in range(ROUNDS):
        for name, config in configs.items():
            started = time.perf_counter()
            train_step(states[name], batches[name], config, accelerator, hear[name])
            spent[name].append(time.perf_counter() - started)
    return {name: statistics.median(seconds) for name, seconds in spent.items()}


def begin(shared: "Checkpoint", run: Path, config: "Config", singers: int) -> None:
    """Begin a run of a variant with the front of another, unless it has begun."""
    import torch

    from svc.config import to_tree
    from svc.training import checkpoint, state

    if checkpoint.newest(run):
        return
    content = int(shared.meta["content_channels"])
    begun = state.create(config, content=content, singers=singers, device=torch.device("cpu"))
    checkpoint.graft(shared, begun)
    kept = {key: shared.meta[key] for key in ("data", "best_by", "content_channels", "singers")}
    checkpoint.write(run, begun, kept | {"config": to_tree(config)}, config.train.keep)


if __name__ == "__main__":
    cli.run(main)
