"""From ``DATA/<singer>/**/*`` to a prepared folder: checked, resampled, with features. One bad file stops nothing."""

import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from svc.audio import files
from svc.audio.files import Audio
from svc.audio.resample import resample
from svc.config import Config
from svc.data import manifest
from svc.data.manifest import Clip, Singer
from svc.errors import AudioError, DataError
from svc.features import content
from svc.features import extract as features
from svc.features.store import Store, file_hash
from svc.progress import progress

Array = NDArray[np.generic]
Rejected = dict[str, str]  # path, singer, reason

_IGNORED = {".txt", ".lab", ".csv", ".json", ".md", ".mid", ".textgrid", ".pdf", ".html", ".yaml", ".ini"}


@dataclass(frozen=True, slots=True)
class Summary:
    """What preparing came to."""

    clips: list[Clip]
    singers: list[Singer]
    rejected: list[Rejected]


def prepare(data: Path, out: Path, config: Config, jobs: int | None = None, device: str = "cpu") -> Summary:
    """Prepare a folder of singers; what is already in the store is not computed again.

    Args:
        data: a folder with one folder a singer, any layout and any audio format below.
        out: the prepared folder.
        config: sample rate and features.
        jobs: processes; one for each core if not given.
        device: for the networks that listen; with an accelerator, this process does it all, in large batches.

    Raises:
        DataError: there is nothing to prepare, nothing usable in it, or another run holds the folder.
    """
    found, rejected = find(data)
    if not found:
        reason = rejected[0]["reason"] if rejected else f"put them as {data}/<singer>/<anything>.wav"
        raise DataError(f"{data}: no files in singers' folders; {reason}")
    if out.resolve().is_relative_to(data.resolve()):
        raise DataError(f"{out}: lies inside the data, where it would pass for a singer; choose another -o")
    try:
        out.mkdir(parents=True, exist_ok=True)
        with FileLock(out / ".lock", timeout=0):
            features.listen_on(device, config)
            processes = (jobs or os.cpu_count() or 1) if device == "cpu" else 1
            return _prepare(data, out, found, rejected, config, processes)
    except Timeout:
        raise DataError(f"{out}: another `svc prepare` is working there; wait for it or choose another -o") from None
    except BrokenProcessPool:
        raise DataError(f"{out}: a process was ended from outside, for want of memory?; use fewer --jobs") from None
    except OSError as error:
        raise DataError(f"{out}: cannot be written ({error.strerror}); choose another folder with -o") from None


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
                found += [(manifest.checked_name(place.name), path) for path in files_below(place)]
            except DataError as error:
                rejected.append({"path": place.name, "singer": "", "reason": str(error)})
    return found, rejected


def files_below(folder: Path) -> Iterator[Path]:
    """Everything in a folder, however deep, that may be audio, in order."""
    for root, folders, names in os.walk(folder):
        folders.sort()
        yield from (Path(root) / name for name in sorted(names) if _may_be_audio(name))


def _may_be_audio(name: str) -> bool:
    return not name.startswith(".") and Path(name).suffix.lower() not in _IGNORED


def _prepare(
    data: Path, out: Path, found: list[tuple[str, Path]], rejected: list[Rejected], config: Config, jobs: int
) -> Summary:
    identity = features.identity(config)
    work = [_Work(singer, path, data, out / "store", identity, config) for singer, path in found]
    clips: list[Clip] = []
    for result in progress(_run(work, jobs), "prepare", "file", len(work)):
        if isinstance(result, Clip):
            clips.append(result)
        else:
            rejected.append(result)
    if not clips:
        raise DataError(f"{data}: none of {len(work)} files is usable, for example {rejected[0]['reason']}")
    clips = _mend_split(clips)
    singers = [_describe(name, clips, Store(out / "store")) for name in sorted({c.singer for c in clips})]
    manifest.write(out, clips, singers, rejected, identity)
    return Summary(clips, singers, rejected)


@dataclass(frozen=True, slots=True)
class _Work:
    singer: str
    path: Path
    data: Path
    store: Path
    identity: dict[str, object]
    config: Config


def _run(work: list[_Work], jobs: int) -> Iterator[Clip | Rejected]:
    if jobs == 1 or len(work) == 1:
        with _one_thread():
            yield from map(_one, work)
        return
    with ProcessPoolExecutor(min(jobs, len(work)), get_context("spawn"), initializer=_single_thread) as pool:
        yield from pool.map(_one, work)


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


def _one(work: _Work) -> Clip | Rejected:
    name = str(work.path.relative_to(work.data))
    try:
        files.check_file(work.path)
        source = file_hash(work.path)
        store = Store(work.store)
        key = store.key(source, work.identity)
        active = _stored(store, key, "active")
        if active is None:
            listened = store.key(source, {name: value for name, value in work.identity.items() if name != "content"})
            melody = _stored(store, listened, "melody")
            made = entry(files.read(work.path), work.config, melody)
            store.put(key, made)
            if melody is None:
                store.put(listened, {"melody": np.where(made["voiced"], made["f0"], np.float32(0))})
            active = made["active"]
        return Clip(name, work.singer, key, len(active), int(active.sum()), manifest.split_of(source))
    except AudioError as error:
        return {"path": name, "singer": work.singer, "reason": str(error)}
    except OSError as error:
        reason = f"{work.path}: cannot be read ({error.strerror}); check its permissions"
        return {"path": name, "singer": work.singer, "reason": reason}


def _stored(store: Store, key: str, name: str) -> Array | None:
    try:
        return store.get(key, name) if store.has(key) else None
    except DataError:
        return None  # damaged: it is made again


def entry(audio: Audio, config: Config, melody: Array | None = None) -> dict[str, Array]:
    """What the store holds of a file: samples at the model's rate, features, and perturbed content.

    A melody (N,) in Hz, 0 where unvoiced, need not be tracked: another encoder for the words does not change it.
    """
    peak = max(1.0, float(np.abs(audio.samples).max()))
    audio = resample(Audio(audio.samples / np.float32(peak), audio.rate), config.sample_rate)
    found = features.extract(audio, config, None if melody is None else melody.astype(np.float32))
    samples = audio.samples[: len(found.f0) * config.hop]
    return {
        "audio": np.round(np.clip(samples, -1, 1) * 32767).astype(np.int16),
        "f0": found.f0,
        "voiced": found.voiced,
        "loudness": found.loudness,
        "active": found.loudness >= found.loudness.max() - content.ACTIVE,
        "content": found.content.astype(np.float16),
        "warped": features.warped_content(audio, found.loudness, config).astype(np.float16),
    }


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


def _describe(name: str, clips: list[Clip], store: Store) -> Singer:
    own = [c for c in clips if c.singer == name]
    curves = [store.get(c.key, "f0")[store.get(c.key, "voiced").astype(bool)] for c in own]
    pitch = np.concatenate(curves)
    low, median, high = np.percentile(pitch, (5, 50, 95)) if len(pitch) else (0.0, 0.0, 0.0)
    seconds = sum(c.frames for c in own) / 100
    return Singer(name, seconds, round(float(median), 2), round(float(low), 2), round(float(high), 2))


def check_config(prepared: manifest.Manifest, config: Config) -> None:
    """A prepared folder fits a configuration.

    Raises:
        DataError: its features were made with others, and which.
    """
    differing = features.differing(prepared.features, config)
    if differing:
        raise DataError(
            f"{prepared.folder}: prepared with other {', '.join(differing)}; run `svc prepare` with this config"
        )
