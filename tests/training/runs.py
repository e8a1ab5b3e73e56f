"""What the tests of training share: new states, batches, and the files of a run."""

import json
from dataclasses import replace
from pathlib import Path

import torch

from svc.config import Config
from svc.data.batch import Batch
from svc.data.dataset import SegmentDataset
from svc.data.manifest import Manifest
from svc.training import checkpoint
from svc.training.state import TrainState, create_state


def new_state(config: Config) -> TrainState:
    """For two speakers, and the content features of the encoder ``cepstral``."""
    return create_state(config, content_channels=20, num_speakers=2, device=torch.device("cpu"))


def first_batch(prepared: Manifest, config: Config, size: int) -> Batch:
    """The first segments of the first epoch."""
    items = SegmentDataset(prepared, config)
    return Batch.stack([items[0, number] for number in range(size)])


def replaced(config: Config, **options) -> Config:
    """With other options of the training."""
    return replace(config, train=replace(config.train, **options))


def rows(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def losses(run: Path) -> list[dict]:
    return rows(run / "losses.jsonl")


def weights(run: Path) -> dict[str, bytes]:
    folder = checkpoint.newest(run).folder
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.safetensors"))}
