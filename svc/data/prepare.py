"""From ``DATA/<singer>/**/*`` to a prepared folder: checked, resampled, with features. One bad file stops nothing."""

import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock, Timeout

from svc.audio import files
from svc.audio.resample import resample
from svc.config import Config, from_tree, to_tree
from svc.data import manifest
from svc.data.manifest import Clip, Singer
from svc.errors import AudioError, DataError
from svc.features import extract as features
from svc.features.store import Store, file_hash
from svc.progress import progress

ACTIVE = 40.0  # dB below the loudest frame
_IGNORED = {".txt", ".lab", ".csv", ".json", ".md", ".mid", ".textgrid", ".pdf", ".html", ".yaml", ".ini"}


@dataclass(frozen=True, slots=True)
class Summary:
    """What preparing came to."""

    clips: list[Clip]
    singers: list[Singer]
    rejected: list[dict[str, str]]


def prepare(data: Path, out: Path, config: Config, jobs: int | None = None) -> Summary:
    """Prepare a folder of singers; what is already in the store is not computed again.

    Args:
        data: a folder with one folder a singer, any layout and any audio format below.
        out: the prepared folder.
        config: sample rate and features.
        jobs: processes; one for each core if not given.

    Raises:
        DataError: there is nothing to prepare, nothing usable in it, or another run holds the folder.
    """
    found = list(find(data))
    if not found:
        raise DataError(f"{data}: no files in singers' folders; put them as {data}/<singer>/<anything>.wav")
    try:
        out.mkdir(parents=True, exist_ok=True)
        with FileLock(out / ".lock", timeout=0):
            return _prepare(data, out, found, config, jobs)
    except Timeout:
        raise DataError(f"{out}: another `svc prepare` is working there; wait for it or choose another -o") from None
    except OSError as error:
        raise DataError(f"{out}: cannot be written ({error.strerror}); choose another folder with -o") from None


def find(data: Path) -> Iterator[tuple[str, Path]]:
    """(singer, file) of everything under the singers' folders that may be audio, in a fixed order.

    Raises:
        DataError: the folder is not there or a singer's name will not do.
    """
    if not data.is_dir():
        raise DataError(f"{data}: no such folder; name one that holds a folder for each singer")
    for folder in sorted(p for p in data.iterdir() if p.is_dir() and not p.name.startswith(".")):
        name = manifest.checked_name(folder.name)
        for root, folders, names in os.walk(folder):
            folders.sort()
            for file in sorted(names):
                if not file.startswith(".") and Path(file).suffix.lower() not in _IGNORED:
                    yield name, Path(root) / file


def _prepare(data: Path, out: Path, found: list[tuple[str, Path]], config: Config, jobs: int | None) -> Summary:
    identity = features.identity(config)
    work = [_Work(singer, path, data, out / "store", identity, to_tree(config)) for singer, path in found]
    clips: list[Clip] = []
    rejected: list[dict[str, str]] = []
    for result in progress(_run(work, jobs or os.cpu_count() or 1), "prepare", "file", len(work)):
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
    config: dict[str, object]


def _run(work: list[_Work], jobs: int) -> Iterator[Clip | dict[str, str]]:
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


def _one(work: _Work) -> Clip | dict[str, str]:
    name = str(work.path.relative_to(work.data))
    try:
        files.check_file(work.path)
        source = file_hash(work.path)
        store = Store(work.store)
        key = store.key(source, work.identity)
        if not store.has(key):
            store.put(key, entry(files.read(work.path), from_tree(work.config)))
        voiced = store.get(key, "active")
        return Clip(name, work.singer, key, len(voiced), int(voiced.sum()), manifest.split_of(source))
    except AudioError as error:
        return {"path": name, "singer": work.singer, "reason": str(error)}
    except OSError as error:
        return {
            "path": name,
            "singer": work.singer,
            "reason": f"{work.path}: cannot be read ({error.strerror}); check its permissions",
        }


def entry(audio: files.Audio, config: Config) -> dict[str, np.ndarray[tuple[int, ...], np.dtype[np.generic]]]:
    """What the store holds of a file: samples at the model's rate, features, and perturbed content."""
    audio = resample(audio, config.sample_rate)
    found = features.extract(audio, config)
    samples = audio.samples[: len(found.f0) * config.hop]
    return {
        "audio": np.round(np.clip(samples, -1, 1) * 32767).astype(np.int16),
        "f0": found.f0,
        "voiced": found.voiced,
        "loudness": found.loudness,
        "active": found.loudness >= found.loudness.max() - ACTIVE,
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
    wanted = features.identity(config)
    differing = [name for name, value in wanted.items() if prepared.features.get(name) != _as_json(value)]
    if differing:
        raise DataError(
            f"{prepared.folder}: prepared with other {', '.join(differing)}; run `svc prepare` with this config"
        )


def _as_json(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value
