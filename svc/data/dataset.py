"""Crops of prepared clips. Item (epoch, index) is a pure function of the seed, so nothing need be stored to resume."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from torch.utils.data import DataLoader, Sampler

from svc.config import Config
from svc.data.batch import ROUNDING, Batch
from svc.data.manifest import Clip, Manifest
from svc.errors import DataError
from svc.features.cache import Store, samples_of
from svc.features.conditioning import one_hot
from svc.features.extract import Features, usual

Place = tuple[int, int]  # epoch, index
_WARP_SHARE = 0.9  # of the training crops hear perturbed content


class CropDataset(torch.utils.data.Dataset[Batch]):
    """Crops to train on, each clip as often as its sung length asks for; content is perturbed at random."""

    def __init__(self, prepared: Manifest, config: Config):
        self.prepared = prepared
        self.config = config
        self.store = Store(prepared.folder / "store")
        self.clips = [c for c in prepared.split("train") if c.frames >= config.crop_frames and c.active]
        if not self.clips:
            raise DataError(f"{prepared.folder}: no training clip is as long as train.crop; lower it")
        if config.train.back_translated and "translated" not in self.store.shapes(self.clips[0].key):
            raise DataError(f"{prepared.folder}: holds no conversions; make them with recipes/back_translate.py")
        silent = {singer.name for singer in prepared.singers} - {clip.singer for clip in self.clips}
        if silent:
            names = ", ".join(sorted(silent))
            raise DataError(f"{prepared.folder}: no training clip of {names} is as long as train.crop; lower it")
        counts = [max(1, round(clip.active / config.crop_frames)) for clip in self.clips]
        self.slots = np.repeat(np.arange(len(self.clips)), counts)

    def __len__(self) -> int:
        return len(self.slots)

    def __getitem__(self, place: Place) -> Batch:
        """A batch of one."""
        epoch, index = place
        rng = np.random.default_rng([self.config.train.seed, epoch, index])
        clip = self.clips[self.slots[index]]
        first = self._choose(clip, rng)
        return self._crop(clip, first, first + self.config.crop_frames, rng)

    def _choose(self, clip: Clip, rng: np.random.Generator) -> int:
        """First frame of a crop, the more sung of two random places."""
        length = self.config.crop_frames
        active = np.concatenate([[0], np.cumsum(self.store.get(clip.key, "active"))])
        starts = rng.integers(0, clip.frames - length + 1, size=2)
        return int(max(starts, key=lambda s: active[s + length] - active[s]))

    def _crop(self, clip: Clip, first: int, last: int, rng: np.random.Generator) -> Batch:
        features = read_features(self.store, clip, first, last, self._content(clip, first, last, rng))
        singer = one_hot(self.prepared.number(clip.singer), len(self.prepared.singers))
        conditioning = features.conditioning(singer)
        conditioning = replace(
            conditioning,
            phase=(conditioning.phase + float(rng.random())) % 1.0,
            start=torch.tensor([int(rng.integers(2**31))]),
        )
        return Batch(conditioning, read_audio(self.store, clip, first, last, self.config.hop))

    def _content(self, clip: Clip, first: int, last: int, rng: np.random.Generator) -> np.ndarray:
        translated = self.config.train.back_translated
        if translated and rng.random() < translated:
            heard = self.store.get(clip.key, "translated", first, last)
            return heard[rng.integers(len(heard))].astype(np.float32)
        warps = len(self.config.features.content.warps)
        if warps and rng.random() < _WARP_SHARE:
            low, high = self.store.get(clip.key, "warped", first, last)[_neighbours(rng, warps)]
            share = rng.random()
            return (low * (1 - share) + high * share).astype(np.float32)
        return self.store.get(clip.key, "content", first, last).astype(np.float32)


def _neighbours(rng: np.random.Generator, count: int) -> list[int]:
    low = int(rng.integers(max(1, count - 1)))
    return [low, min(low + 1, count - 1)]


def read_features(store: Store, clip: Clip, first: int, last: int, content: np.ndarray | None = None) -> Features:
    """Features of the frames first … last − 1 of a clip."""
    if content is None:
        content = store.get(clip.key, "content", first, last).astype(np.float32)
    loudness = store.get(clip.key, "loudness").astype(np.float32)
    voiced = store.get(clip.key, "voiced").astype(bool)
    return Features(
        store.get(clip.key, "f0", first, last).astype(np.float32),
        voiced[first:last],
        loudness[first:last],
        (loudness - usual(loudness, voiced))[first:last],
        content,
    )


def read_audio(store: Store, clip: Clip, first: int, last: int, hop: int) -> torch.Tensor:
    """Samples (1, T) of the frames first … last − 1 of a clip."""
    return torch.from_numpy(samples_of(store.get(clip.key, "audio", first * hop, last * hop)))[None]


class StepSampler(Sampler[list[Place]]):
    """The places of the crops of each step for one process, from a step on, without end.

    The order of an epoch depends on the seed and the epoch alone; the global batch of a step is the same for any
    number of processes, each taking its share.
    """

    def __init__(self, items: int, config: Config, *, step: int, rank: int, world: int):
        if config.train.batch % (world * config.train.accumulate):
            parts = f"in train.accumulate {config.train.accumulate} parts among {world} processes"
            raise DataError(f"train.batch {config.train.batch} does not divide {parts}; take a multiple")
        crops, share = config.train.batch // (world * config.train.accumulate), config.others.share
        if abs(share * crops - round(share * crops)) > ROUNDING:
            parts = f"{crops} crops, which a process takes at once"
            raise DataError(f"others.share {share} of {parts}, is not a whole number; change it or train.batch")
        self.items, self.config, self.step, self.rank, self.world = items, config, step, rank, world

    def __iter__(self) -> Iterator[list[Place]]:
        share = self.config.train.batch // self.world
        for step in range(self.step, self.config.train.steps):
            first = step * self.config.train.batch + self.rank * share
            yield [self._place(position) for position in range(first, first + share)]

    def _place(self, position: int) -> Place:
        epoch, index = divmod(position, self.items)
        return epoch, int(self._order(epoch)[index])

    def _order(self, epoch: int) -> np.ndarray:
        if getattr(self, "_epoch", None) != epoch:
            self._epoch = epoch
            self._permutation = np.random.default_rng([self.config.train.seed, epoch]).permutation(self.items)
        return self._permutation


def loader(dataset: CropDataset, *, step: int, rank: int, world: int) -> DataLoader[Batch]:
    """Batches of the steps from ``step`` on, for one process."""
    return DataLoader(
        dataset,
        batch_sampler=StepSampler(len(dataset), dataset.config, step=step, rank=rank, world=world),
        num_workers=dataset.config.train.workers,
        collate_fn=Batch.stack,
        persistent_workers=False,
    )
