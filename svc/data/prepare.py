"""Prepare training data: from ``DATA/<speaker>/**/*`` to a folder of checked, resampled clips with features.

One bad file stops nothing: it is listed with its reason. What is in the feature cache already is not computed again.
"""

import os
import secrets
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from itertools import groupby
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock, Timeout

from svc.audio.find import find_audio, may_be_audio
from svc.config import Config
from svc.data import manifest
from svc.data.manifest import Clip
from svc.data.process_file import PrepareJob, Rejected, process_file
from svc.errors import DataError
from svc.features.cache import FeatureCache
from svc.features.extract import changed_features, feature_fingerprint
from svc.features.speaker import Speaker, checked_new_name
from svc.utils.distributed import ProcessGroup, process_group
from svc.utils.progress import progress

_LOCK = ".lock"
_Result = list[Clip] | Rejected


@dataclass(frozen=True, slots=True)
class Summary:
    """What a prepared folder holds, and what was rejected."""

    clips: list[Clip]
    speakers: list[Speaker]
    rejected: list[Rejected]


@dataclass(frozen=True, slots=True)
class _Plan:
    jobs: list[PrepareJob]
    rejected: list[Rejected]
    abort_file: Path


def prepare(
    data: Path, out: Path, config: Config, jobs: int | None = None, device: str = "cpu", speaker: str | None = None
) -> Summary:
    """Prepare a folder of speakers' recordings.

    Under ``accelerate launch`` every process, on every machine, does a share of the files; the main one locks the
    folder and writes its tables, and all return the summary. All must see both folders.

    Args:
        data: a folder with one folder for each speaker, any layout and any audio format below.
        out: the prepared folder.
        config: sample rate and features.
        jobs: processes; by default one for each core, or where several were launched just those.
        device: of the networks; with an accelerator, this process does its share alone on the one that is its own.
        speaker: name of the only speaker of all data, if there is only one; then folders in it mean nothing.

    Raises:
        DataError: there is nothing to prepare, nothing usable in it, or another run holds the folder.
    """
    group = process_group()
    try:
        with ExitStack() as held:
            plan = group.on_main(lambda: _plan(data, out, config, held, speaker))
            group.on_all(lambda: _check_visible(data, out))
            results = group.map_sharded(plan.jobs, lambda part: _process(part, group, jobs, device), plan.abort_file)
            return group.on_main(lambda: _write_tables(data, out, plan, results))
    except Timeout:
        raise DataError(f"{out}: another `svc prepare` is working there; wait for it or choose another -o") from None
    except BrokenProcessPool:
        raise DataError(f"{out}: a process was ended from outside, out of memory?; use fewer --jobs") from None
    except OSError as error:
        raise DataError(f"{out}: cannot be written ({error.strerror}); choose another folder with -o") from None


def _plan(data: Path, out: Path, config: Config, held: ExitStack, speaker: str | None) -> _Plan:
    """The files to process; from now on the folder is locked."""
    files, rejected = find_by_speaker(data) if speaker is None else (find_single_speaker(data, speaker), [])
    if not files:
        reason = rejected[0]["reason"] if rejected else f"put them as {data}/<speaker>/<anything>.wav"
        raise DataError(f"{data}: no files in speakers' folders; {reason}")
    if out.resolve().is_relative_to(data.resolve()):
        raise DataError(f"{out}: lies inside the data, where it would be taken for a speaker; choose another -o")
    out.mkdir(parents=True, exist_ok=True)
    held.enter_context(FileLock(out / _LOCK, timeout=0))
    abort_file = out / f".failed-{secrets.token_hex(4)}"  # a new name every time: networked folders cache old files
    held.callback(abort_file.unlink, missing_ok=True)
    fingerprint = feature_fingerprint(config)
    jobs = [PrepareJob(name, path, data, out / "store", fingerprint, config) for name, path in files]
    return _Plan(jobs, rejected, abort_file)


def find_by_speaker(data: Path) -> tuple[list[tuple[str, Path]], list[Rejected]]:
    """(speaker, file) of everything below the speakers' folders that may be audio, and what belongs to no speaker.

    Raises:
        DataError: the folder is not there.
    """
    if not data.is_dir():
        raise DataError(f"{data}: no such folder; name one that holds a folder for each speaker")
    files: list[tuple[str, Path]] = []
    rejected: list[Rejected] = []
    for path in sorted(data.iterdir()):
        if not path.is_dir():
            if may_be_audio(path.name):
                reason = f"{path}: belongs to no speaker; move it into a folder of its speaker's name"
                rejected.append({"path": path.name, "speaker": "", "reason": reason})
        elif not path.name.startswith("."):
            try:
                name = checked_new_name(path.name)
                files += [(name, file) for file in find_audio(path)]
            except DataError as error:
                rejected.append({"path": path.name, "speaker": "", "reason": str(error)})
    return files, rejected


def find_single_speaker(data: Path, speaker: str) -> list[tuple[str, Path]]:
    """(speaker, file) of everything in a folder of one speaker that may be audio.

    Raises:
        DataError: the folder is not there, or holds nothing that may be audio.
    """
    if data.is_file():
        raise DataError(f"{data}: is a file; put it into a folder of {speaker}'s recordings and name that")
    if not data.is_dir():
        raise DataError(f"{data}: no such folder; name one that holds recordings of {speaker}")
    name = checked_new_name(speaker)
    files = [(name, path) for path in find_audio(data)]
    if not files:
        raise DataError(f"{data}: holds no recordings; put some of {speaker} there")
    return files


def _check_visible(data: Path, out: Path) -> None:
    for path in (data, out / _LOCK):
        if not path.exists():
            raise DataError(f"{path}: not seen by every machine; choose folders that all of them share")


def _process(part: Sequence[PrepareJob], group: ProcessGroup, jobs: int | None, device: str) -> Iterator[_Result]:
    """Process the files of this process, in order."""
    cores = (os.cpu_count() or 1) if group.world_size == 1 else 1
    name = "prepare" if group.world_size == 1 else f"prepare, one of {group.world_size} shares"
    placed = [replace(job, device=group.device(device)) for job in part]
    results = _run(placed, (jobs or cores) if device == "cpu" else 1)
    yield from progress(results, name, "file", len(part), quiet=not group.main)


def _run(part: Sequence[PrepareJob], jobs: int) -> Iterator[_Result]:
    if jobs == 1 or len(part) <= 1:
        with _one_thread():
            yield from map(process_file, part)
        return
    with ProcessPoolExecutor(min(jobs, len(part)), get_context("spawn"), initializer=_use_one_thread) as pool:
        yield from pool.map(process_file, part)


def _use_one_thread() -> None:
    torch.set_num_threads(1)


@contextmanager
def _one_thread() -> Iterator[None]:
    """As in a process of its own: the last bits of a sum depend on the number of threads."""
    threads = torch.get_num_threads()
    _use_one_thread()
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _write_tables(data: Path, out: Path, plan: _Plan, results: list[_Result]) -> Summary:
    clips = [clip for result in results if isinstance(result, list) for clip in result]
    rejected = plan.rejected + [result for result in results if isinstance(result, dict)]
    if not clips:
        raise DataError(f"{data}: none of {len(results)} files is usable, for example {rejected[0]['reason']}")
    clips = _ensure_split(clips)
    cache = FeatureCache(out / "store")
    own = groupby(sorted(clips, key=lambda clip: clip.speaker), key=lambda clip: clip.speaker)
    speakers = [_speaker_stats(name, list(group), cache) for name, group in own]
    manifest.write(out, clips, speakers, rejected, plan.jobs[0].fingerprint)
    return Summary(clips, speakers, rejected)


def _ensure_split(clips: list[Clip]) -> list[Clip]:
    """Every speaker keeps something to train on, and something is held out; groups and files stay whole."""
    units: dict[str, list[Clip]] = {}
    units_of: dict[str, set[str]] = {}  # names of units by speaker
    for clip in clips:
        units.setdefault(clip.split_unit, []).append(clip)
        units_of.setdefault(clip.speaker, set()).add(clip.split_unit)
    split = {name: unit[0].split for name, unit in units.items()}
    order = {name: min(clip.key for clip in unit) for name, unit in units.items()}
    for own in units_of.values():
        if all(split[name] == "valid" for name in own):
            split[min(own, key=order.__getitem__)] = "train"
    if "valid" not in split.values():
        spare = [name for name, unit in units.items() if all(len(units_of[clip.speaker]) > 1 for clip in unit)]
        if spare:
            split[min(spare, key=order.__getitem__)] = "valid"
    return [replace(clip, split=split[clip.split_unit]) for clip in clips]


def _speaker_stats(name: str, clips: list[Clip], cache: FeatureCache) -> Speaker:
    curves, levels = [], []
    for clip in clips:
        with cache.open(clip.key) as entry:
            curves.append(entry.get("f0")[entry.get("voiced").astype(bool)])
            levels.append(entry.get("median_level")[0])
    pitch = np.concatenate(curves)
    low, median, high = np.percentile(pitch, (5, 50, 95)) if len(pitch) else (0.0, 0.0, 0.0)
    seconds = sum(clip.frames for clip in clips) / 100
    level = float(np.average(levels, weights=[max(1, clip.active) for clip in clips]))
    return Speaker(name, seconds, *(round(float(value), 2) for value in (median, low, high, level)))


def check_config(prepared: manifest.Manifest, config: Config) -> None:
    """Check that a prepared folder fits a configuration.

    Raises:
        DataError: its features were made with others, and which.
    """
    changed = changed_features(prepared.features, config)
    if changed:
        raise DataError(
            f"{prepared.folder}: prepared with other {', '.join(changed)}; run `svc prepare` with this config"
        )
