"""Training segments of prepared clips. Item (epoch, index) is a pure function of the seed: resuming needs no state."""

import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields, replace
from functools import lru_cache
from typing import Any, cast

import numpy as np
import torch
from torch.utils.data import DataLoader, Sampler

from svc.config import Config
from svc.data.batch import Batch
from svc.data.manifest import Clip, Manifest
from svc.errors import DataError
from svc.features.cache import CacheEntry, FeatureCache, from_int16
from svc.features.conditioning import Conditioning, one_hot
from svc.features.extract import Features

ItemIndex = tuple[int, int]  # epoch, index
_Arrays = tuple[dict[str, np.ndarray], list[np.ndarray]]  # conditioning by name, and the other fields of a batch
PERTURBED_SHARE = 0.9  # of the training segments have perturbed content


class SegmentDataset(torch.utils.data.Dataset[Batch]):
    """Random segments of the training clips, each clip as often as its active length asks for.

    Raises:
        DataError: no clip of some speaker is as long as a segment.
    """

    def __init__(self, prepared: Manifest, config: Config):
        self.prepared = prepared
        self.config = config
        self.cache = prepared.cache
        self.clips = [c for c in prepared.split("train") if c.frames >= config.segment_frames and c.active]
        without = {speaker.name for speaker in prepared.speakers} - {clip.speaker for clip in self.clips}
        if without or not self.clips:
            names = f" of {', '.join(sorted(without))}" if self.clips else ""
            raise DataError(f"{prepared.folder}: no training clip{names} is as long as train.segment_seconds; lower it")
        self.band_limits = prepared.band_limits(config)
        counts = [max(1, round(clip.active / config.segment_frames)) for clip in self.clips]
        self.epoch_items = np.repeat(np.arange(len(self.clips)), counts)

    def __len__(self) -> int:
        return len(self.epoch_items)

    def __getitem__(self, item: ItemIndex) -> Batch:
        """A batch of one; its entry in the cache is opened once, and only the segment is read."""
        epoch, index = item
        rng = np.random.default_rng([self.config.train.seed, epoch, index])
        clip = self.clips[self.epoch_items[index]]
        with self.cache.open(clip.key) as entry:
            first = self._pick_start(entry, clip, rng)
            return self._segment(entry, clip, first, first + self.config.segment_frames, rng)

    def _pick_start(self, entry: CacheEntry, clip: Clip, rng: np.random.Generator) -> int:
        """First frame of a segment: of two random ones that with more active frames after it."""
        length = self.config.segment_frames
        starts = rng.integers(0, clip.frames - length + 1, size=2)
        return int(max(starts, key=lambda start: count_active(entry, int(start), int(start) + length)))

    def _segment(self, entry: CacheEntry, clip: Clip, first: int, last: int, rng: np.random.Generator) -> Batch:
        features = _features(entry, first, last, self._content(entry, first, last, rng))
        speaker = one_hot(self.prepared.speaker_index(clip.speaker), len(self.prepared.speakers))
        conditioning = features.conditioning(speaker)
        phase = (conditioning.phase + float(rng.random())) % 1.0
        start_frame = torch.tensor([int(rng.integers(2**31))])
        return Batch(
            replace(conditioning, phase=phase, start_frame=start_frame),
            _audio(entry, first, last, self.config.hop),
            torch.tensor([self.band_limits[clip.key]]),
            torch.tensor([self._pick_speaker(rng)]),
        )

    def _pick_speaker(self, rng: np.random.Generator) -> int:
        """Index of the speaker of a random segment: those of whom there is more are drawn more often."""
        return self.prepared.speaker_index(self.clips[self.epoch_items[rng.integers(len(self))]].speaker)

    def _content(self, entry: CacheEntry, first: int, last: int, rng: np.random.Generator) -> np.ndarray:
        """Content between two neighbouring perturbation factors, or as it is."""
        count = len(self.config.features.content.perturbation_factors)
        if not count or rng.random() >= PERTURBED_SHARE:
            return entry.get("content", first, last).astype(np.float32)
        low = int(rng.integers(max(1, count - 1)))
        perturbed = entry.get("perturbed_content", first, last)
        share = rng.random()
        return (perturbed[low] * (1 - share) + perturbed[min(low + 1, count - 1)] * share).astype(np.float32)


def count_active(entry: CacheEntry, first: int, last: int) -> int:
    """Active frames among the frames [first, last) of a clip."""
    before, after = (entry.get("cumulative_active", frame, frame + 1) for frame in (first, last))
    return int(after[0]) - int(before[0])


def read_features(cache: FeatureCache, clip: Clip, first: int, last: int) -> Features:
    """Features of the frames [first, last) of a clip."""
    with cache.open(clip.key) as entry:
        return _features(entry, first, last, entry.get("content", first, last).astype(np.float32))


def read_audio(cache: FeatureCache, clip: Clip, first: int, last: int, hop: int) -> torch.Tensor:
    """Samples (1, T) of the frames [first, last) of a clip."""
    with cache.open(clip.key) as entry:
        return _audio(entry, first, last, hop)


def _features(entry: CacheEntry, first: int, last: int, content: np.ndarray) -> Features:
    return Features(
        entry.get("f0", first, last).astype(np.float32),
        entry.get("voiced", first, last).astype(bool),
        entry.get("loudness", first, last).astype(np.float32),
        entry.get("relative_loudness", first, last).astype(np.float32),
        content,
    )


def _audio(entry: CacheEntry, first: int, last: int, hop: int) -> torch.Tensor:
    return torch.from_numpy(from_int16(entry.get("audio", first * hop, last * hop)))[None]


class StepSampler(Sampler[list[ItemIndex]]):
    """Indices of the items of each step for one process, from a step on.

    The order of an epoch depends on the seed and the epoch alone; the global batch of a step is the same for any
    number of processes, each taking its share.
    """

    def __init__(self, items: int, config: Config, *, step: int, rank: int, world: int):
        train, fraction = config.train, config.virtual_speakers.fraction
        count = world * train.gradient_accumulation_steps
        if train.batch_size % count:
            counts = f"train.gradient_accumulation_steps {train.gradient_accumulation_steps} × {world} processes"
            raise DataError(f"train.batch_size {train.batch_size} is no multiple of {counts}; choose a multiple")
        size = train.batch_size // count
        if abs(fraction * size - round(fraction * size)) > 1e-6:
            raise DataError(
                f"virtual_speakers.fraction {fraction} of {size} segments in a micro batch is not a whole number; "
                "change it or train.batch_size"
            )
        self.items, self.config, self.step, self.rank, self.world = items, config, step, rank, world

    def __iter__(self) -> Iterator[list[ItemIndex]]:
        share = self.config.train.batch_size // self.world
        for step in range(self.step, self.config.train.steps):
            first = step * self.config.train.batch_size + self.rank * share
            yield [self._item(position) for position in range(first, first + share)]

    def _item(self, position: int) -> ItemIndex:
        epoch, index = divmod(position, self.items)
        return epoch, int(_order(self.config.train.seed, epoch, self.items)[index])


@lru_cache(maxsize=2)
def _order(seed: int, epoch: int, items: int) -> np.ndarray:
    return np.random.default_rng([seed, epoch]).permutation(items)


def batches(dataset: SegmentDataset, *, step: int, rank: int, world: int) -> Iterator[Batch]:
    """Batches of the steps from ``step`` on, for one process.

    Raises:
        DataError: a worker was ended from outside.
    """
    workers = dataset.config.train.num_workers
    loader = DataLoader(
        dataset,
        batch_sampler=StepSampler(len(dataset), dataset.config, step=step, rank=rank, world=world),
        num_workers=workers,
        collate_fn=_stack_arrays if workers else Batch.stack,
    )
    try:
        yield from map(_from_arrays, _load(loader)) if workers else loader
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        raise DataError(
            "a process that loads data was ended from outside, out of memory or /dev/shm?; run the same command again, "
            f"with less than train.num_workers={workers}, 0 for none"
        ) from None


def _load(loader: DataLoader[Any]) -> Iterator[Any]:
    """What workers send. Only here may torch's signal handler notice a dead worker: it would raise within a step."""
    items, handler = iter(loader), cast(Callable[[int, Any], Any], signal.getsignal(signal.SIGCHLD))
    try:
        while True:
            signal.signal(signal.SIGCHLD, handler)
            handler(signal.SIGCHLD, None)  # of a worker that died in the meantime
            arrays = next(items, None)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            if arrays is None:
                return
            yield arrays
    finally:
        signal.signal(signal.SIGCHLD, handler)


def _stack_arrays(items: Sequence[Batch]) -> _Arrays:
    """Workers send arrays, because tensors would go through /dev/shm, which is small in many containers."""
    batch = Batch.stack(items)
    conditioning = {f.name: getattr(batch.conditioning, f.name).numpy() for f in fields(Conditioning)}
    return conditioning, [tensor.numpy() for tensor in (batch.audio, batch.band, batch.other_speaker)]


def _from_arrays(arrays: _Arrays) -> Batch:
    conditioning, others = arrays
    tensors = {name: torch.from_numpy(array) for name, array in conditioning.items()}
    return Batch(Conditioning(**tensors), *map(torch.from_numpy, others))
