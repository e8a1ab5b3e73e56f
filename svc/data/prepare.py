"""From ``DATA/<singer>/**/*`` to a prepared folder: checked, resampled, with features. One bad file stops nothing."""

import os
import secrets
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock, Timeout

from svc.config import Config
from svc.data import manifest
from svc.data.entry import Rejected, Work, enter
from svc.data.manifest import Clip
from svc.errors import DataError
from svc.features import extract as features
from svc.features.cache import FeatureCache
from svc.features.speaker import Speaker, checked_new_name
from svc.utils.distributed import ProcessGroup, process_group
from svc.utils.progress import progress

_IGNORED = {".txt", ".lab", ".csv", ".json", ".md", ".mid", ".textgrid", ".pdf", ".html", ".yaml", ".ini"}
_LOCK = ".lock"


@dataclass(frozen=True, slots=True)
class Summary:
    """What preparing came to."""

    clips: list[Clip]
    singers: list[Speaker]
    rejected: list[Rejected]


@dataclass(frozen=True, slots=True)
class _Plan:
    work: list[Work]
    rejected: list[Rejected]
    alarm: Path


def prepare(
    data: Path, out: Path, config: Config, jobs: int | None = None, device: str = "cpu", singer: str | None = None
) -> Summary:
    """Prepare a folder of singers; what is already in the store is not computed again.

    Under ``accelerate launch`` every process, on every machine, does a share of the files; the main one holds the
    folder, writes its tables, and all have the summary. Everybody must see both folders.

    Args:
        data: a folder with one folder a singer, any layout and any audio format below.
        out: the prepared folder.
        config: sample rate and features.
        jobs: processes; if not given one for each core, or where several were launched just those.
        device: for the networks that listen; with an accelerator, this process does its share alone, in large
            batches, on the one that is its own.
        singer: whose recordings all of the data are, if they are one singer's; then folders in it mean nothing.

    Raises:
        DataError: there is nothing to prepare, nothing usable in it, or another run holds the folder.
    """
    together = process_group()
    try:
        with ExitStack() as held:
            plan = together.on_main(lambda: _plan(data, out, config, held, singer))
            together.on_all(lambda: _get_ready(data, out, config, together.device(device)))
            results = together.map_sharded(plan.work, lambda work: _share(work, together, jobs, device), plan.alarm)
            return together.on_main(lambda: _tables(data, out, plan, results))
    except Timeout:
        raise DataError(f"{out}: another `svc prepare` is working there; wait for it or choose another -o") from None
    except BrokenProcessPool:
        raise DataError(f"{out}: a process was ended from outside, for want of memory?; use fewer --jobs") from None
    except OSError as error:
        raise DataError(f"{out}: cannot be written ({error.strerror}); choose another folder with -o") from None


def _plan(data: Path, out: Path, config: Config, held: ExitStack, singer: str | None) -> _Plan:
    """What there is to do; from now on the folder is held."""
    found, rejected = find(data) if singer is None else (find_one(data, singer), [])
    if not found:
        reason = rejected[0]["reason"] if rejected else f"put them as {data}/<singer>/<anything>.wav"
        raise DataError(f"{data}: no files in singers' folders; {reason}")
    if out.resolve().is_relative_to(data.resolve()):
        raise DataError(f"{out}: lies inside the data, where it would pass for a singer; choose another -o")
    out.mkdir(parents=True, exist_ok=True)
    held.enter_context(FileLock(out / _LOCK, timeout=0))
    alarm = out / f".failed-{secrets.token_hex(4)}"  # another name every time: networked folders remember old files
    held.callback(alarm.unlink, missing_ok=True)
    identity = features.feature_fingerprint(config)
    work = [Work(singer, path, data, out / "store", identity, config) for singer, path in found]
    return _Plan(work, rejected, alarm)


def find(data: Path) -> tuple[list[tuple[str, Path]], list[Rejected]]:
    """(singer, file) of everything below the singers' folders that may be audio, and what cannot be anybody's.

    Raises:
        DataError: the folder is not there.
    """
    if not data.is_dir():
        raise DataError(f"{data}: no such folder; name one that holds a folder for each singer")
    found: list[tuple[str, Path]] = []
    rejected: list[Rejected] = []
    for place in sorted(data.iterdir()):
        if not place.is_dir():
            if _may_be_audio(place.name):
                reason = f"{place}: belongs to no singer; move it into a folder of its singer's name"
                rejected.append({"path": place.name, "singer": "", "reason": reason})
        elif not place.name.startswith("."):
            try:
                found += [(checked_new_name(place.name), path) for path in files_below(place)]
            except DataError as error:
                rejected.append({"path": place.name, "singer": "", "reason": str(error)})
    return found, rejected


def find_one(data: Path, singer: str) -> list[tuple[str, Path]]:
    """The same of a folder that is one singer's.

    Raises:
        DataError: the folder is not there, or holds nothing that may be audio.
    """
    if data.is_file():
        raise DataError(f"{data}: is a file; put it into a folder of {singer}'s recordings and name that")
    if not data.is_dir():
        raise DataError(f"{data}: no such folder; name one that holds recordings of {singer}")
    found = [(checked_new_name(singer), path) for path in files_below(data)]
    if not found:
        raise DataError(f"{data}: holds no recordings; put some of {singer} there")
    return found


def files_below(folder: Path) -> Iterator[Path]:
    """Everything in a folder, however deep, that may be audio, in order."""
    for root, folders, names in os.walk(folder):
        folders.sort()
        yield from (Path(root) / name for name in sorted(names) if _may_be_audio(name))


def _may_be_audio(name: str) -> bool:
    return not name.startswith(".") and Path(name).suffix.lower() not in _IGNORED


def _share(work: Sequence[Work], together: ProcessGroup, jobs: int | None, device: str) -> Iterator[Clip | Rejected]:
    """Enter the files of this process, in order."""
    cores = (os.cpu_count() or 1) if together.world == 1 else 1
    name = "prepare" if together.world == 1 else f"prepare, one of {together.world} shares"
    results = _run(work, (jobs or cores) if device == "cpu" else 1)
    yield from progress(results, name, "file", len(work), quiet=not together.main)


def _get_ready(data: Path, out: Path, config: Config, device: str) -> None:
    for seen in (data, out / _LOCK):
        if not seen.exists():
            raise DataError(f"{seen}: not seen by every machine; choose folders that all of them share")
    features.move_encoders_to(device, config)


def _tables(data: Path, out: Path, plan: _Plan, results: list[Clip | Rejected]) -> Summary:
    clips = [result for result in results if isinstance(result, Clip)]
    rejected = plan.rejected + [result for result in results if not isinstance(result, Clip)]
    if not clips:
        raise DataError(f"{data}: none of {len(results)} files is usable, for example {rejected[0]['reason']}")
    clips = _mend_split(clips)
    singers = [_describe(name, clips, FeatureCache(out / "store")) for name in sorted({c.singer for c in clips})]
    manifest.write(out, clips, singers, rejected, plan.work[0].identity)
    return Summary(clips, singers, rejected)


def _run(work: Sequence[Work], jobs: int) -> Iterator[Clip | Rejected]:
    if jobs == 1 or len(work) <= 1:
        with _one_thread():
            yield from map(enter, work)
        return
    with ProcessPoolExecutor(min(jobs, len(work)), get_context("spawn"), initializer=_single_thread) as pool:
        yield from pool.map(enter, work)


def _single_thread() -> None:
    torch.set_num_threads(1)


@contextmanager
def _one_thread() -> Iterator[None]:
    """As in a process of its own: the last bits of a sum depend on the number of threads."""
    threads = torch.get_num_threads()
    _single_thread()
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _mend_split(clips: list[Clip]) -> list[Clip]:
    """Every singer keeps a clip to train on, and there is at least one clip to validate on."""
    mended = list(clips)
    for singer in sorted({c.singer for c in clips}):
        own = [i for i, c in enumerate(mended) if c.singer == singer]
        if all(mended[i].split == "valid" for i in own):
            first = min(own, key=lambda i: mended[i].key)
            mended[first] = replace(mended[first], split="train")
    if all(c.split == "train" for c in mended) and len(mended) > 1:
        spare = [i for i, c in enumerate(mended) if sum(d.singer == c.singer for d in mended) > 1]
        if spare:
            chosen = min(spare, key=lambda i: mended[i].key)
            mended[chosen] = replace(mended[chosen], split="valid")
    return mended


def _describe(name: str, clips: list[Clip], store: FeatureCache) -> Speaker:
    own = [c for c in clips if c.singer == name]
    curves = [store.get(c.key, "f0")[store.get(c.key, "voiced").astype(bool)] for c in own]
    pitch = np.concatenate(curves)
    low, median, high = np.percentile(pitch, (5, 50, 95)) if len(pitch) else (0.0, 0.0, 0.0)
    seconds = sum(c.frames for c in own) / 100
    levels = [
        features.median_voiced_level(store.get(c.key, "loudness").astype(np.float32), store.get(c.key, "voiced").astype(bool))
        for c in own
    ]
    level = float(np.average(levels, weights=[max(1, c.active) for c in own]))
    return Speaker(name, seconds, *(round(float(value), 2) for value in (median, low, high, level)))


def check_config(prepared: manifest.Manifest, config: Config) -> None:
    """A prepared folder fits a configuration.

    Raises:
        DataError: its features were made with others, and which.
    """
    differing = features.changed_features(prepared.features, config)
    if differing:
        raise DataError(
            f"{prepared.folder}: prepared with other {', '.join(differing)}; run `svc prepare` with this config"
        )
