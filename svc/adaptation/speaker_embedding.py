"""A new singer for a voice, from a little speech or song.

The clips are prepared as for training. Of the singers that the voice knows, those are sought who together come nearest;
from there what is the new singer's own, embedding and accent, is trained by the same loop as everything else, while the
generator stays as it is: so nobody else's sound changes by a bit.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from svc.adaptation import speech_or_singing
from svc.config import Config, from_tree, to_tree
from svc.config.tree import put
from svc.data import manifest
from svc.data.batch import Batch
from svc.data.dataset import CropDataset
from svc.data.manifest import Manifest
from svc.data.pitch_augmentation import raise_clips
from svc.data.prepare import Summary, prepare
from svc.inference import speakers
from svc.inference.voice import Voice
from svc.losses.total import reconstruction_terms
from svc.training import checkpoint
from svc.training.loop import Outcome, train
from svc.training.state import TrainState
from svc.utils.distributed import crew
from svc.utils.optional import MissingExtra

NEVER = 10**6  # a step that no fit reaches
SINGER_ONLY = {
    "train.steps": 300,
    "train.refine_start": NEVER,  # the front alone: who sings is said there, and a step costs a fifth
    "train.adversary_start": NEVER,
    "train.learning_rate": 5e-2,
    "train.warmup": 10,
    "train.ema": 0.95,
    "train.validate_every": 20,
    "train.checkpoint_every": 100,
    "train.log_every": 20,
    "train.phrases": 8,
    "train.keep": 1,
    "train.trackers": [],
}
MIX_STEPS, MIX_RATE, MIX_CROPS = 40, 0.1, 16


@dataclass(frozen=True, slots=True)
class Start:
    """Where a fit begins.

    Attributes:
        row: of a mix of known singers.
        names: the known singers who come nearest, and their shares in the mix, largest first.
    """

    row: speakers.Row
    names: list[tuple[str, float]]


def configured(voice: Voice, changes: Mapping[str, Any]) -> Config:
    """How to fit: the voice's own configuration but for the training, of which it knows only what is near.

    Raises:
        ConfigError: a change is wrong.
    """
    own, tree = to_tree(voice.config), to_tree(Config())
    tree |= {name: own[name] for name in ("sample_rate", "features", "model")}
    tree["loss"] |= {name: own["loss"][name] for name in ("scales", "spectral", "repulsion")}
    for name, value in {**SINGER_ONLY, **changes}.items():
        put(tree, name, value)
    return from_tree(tree, where="--set")


def prepare_clips(voice: Voice, clips: Path, name: str, out: Path, jobs: int | None = None) -> Summary:
    """Prepare a folder of one new singer's recordings, as ``svc.data.prepare.prepare`` does.

    Raises:
        DataError: the name is taken, or nothing is usable.
    """
    return prepare(clips, out, voice.config, jobs, singer=speakers.check_free(voice, name))


def with_high_notes(voice: Voice, prepared: Manifest, out: Path) -> Manifest:
    """Speech, and the same at the pitches of song; only the speech where Praat (extra ``eval``) is not installed."""
    try:
        crew().once(lambda: raise_clips(prepared, out, voice.config))
    except MissingExtra:
        return prepared
    return manifest.read(out)


def fit(voice: Voice, prepared: Manifest, run: Path, config: Config, *, cpu: bool = False) -> tuple[Outcome, Start]:
    """Train the embedding of the only singer of a prepared folder.

    Args:
        voice: left as it is.
        prepared: see ``prepare_clips``.
        run: folder of the run; if it holds checkpoints it goes on there.
        config: see ``configured``.
        cpu: leave accelerators alone.
    """
    start = nearest(voice, _crops(prepared, config), config)

    def begin(state: TrainState) -> None:
        row = {name: value[None] for name, value in start.row.items()}
        for generator in (state.generator, state.average):
            generator.load_state_dict(voice.generator.state_dict() | row)
            generator.requires_grad_(False)
        for name in speakers.ROWS:
            state.generator.get_parameter(name).requires_grad_(True)

    return train(prepared, run, config, cpu=cpu, begin=begin), start


def nearest(voice: Voice, crops: Batch, config: Config) -> Start:
    """The mix of known singers that comes nearest to crops, found by gradient from those who do alone."""
    generator = copy.deepcopy(voice.generator).requires_grad_(False)
    count, known = len(crops.audio), generator.singers

    def distance(singer: Tensor) -> Tensor:
        sung = generator(crops.conditioning.with_singer(singer.expand(count, -1)), refine=False)
        return reconstruction_terms(fake=sung, real=crops.audio, config=config.loss)["spectral"]

    with torch.no_grad():
        alone = torch.stack([distance(row) for row in torch.eye(known)])
    logits = nn.Parameter((alone.min() - alone) * 20)
    optimizer = torch.optim.Adam([logits], lr=MIX_RATE)
    for _ in range(MIX_STEPS if known > 1 else 0):
        optimizer.zero_grad()
        distance(logits.softmax(dim=0)).backward()
        optimizer.step()
    shares = logits.detach().softmax(dim=0)
    order = shares.argsort(descending=True).tolist()
    row = {name: shares @ generator.get_parameter(name) for name in speakers.ROWS}
    return Start(row, [(voice.singers[n].name, float(shares[n])) for n in order])


def _crops(prepared: Manifest, config: Config) -> Batch:
    items = CropDataset(prepared, config)
    return Batch.stack([items[n // len(items), n % len(items)] for n in range(MIX_CROPS)])


def joined(voice: Voice, prepared: Manifest, run: Path, heard: str) -> Voice:
    """The voice with the singer of a prepared folder, as a run left them at their best.

    Raises:
        TrainingError: the run holds no checkpoint.
    """
    weights = checkpoint.average_weights(checkpoint.best_or_last(run))
    row = {name: weights[name][0] for name in speakers.ROWS}
    return speakers.added(voice, speech_or_singing.at_song(prepared.singers[0], heard), row)
