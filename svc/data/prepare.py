"""Prepare training data: from corpora or ``DATA/<speaker>/**/*`` to a folder of checked, resampled clips with features.

One bad file stops nothing: it is listed with its reason. What is in the feature cache already is not computed again.
"""

import os
import secrets
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock, Timeout

from svc.config import Config
from svc.data import manifest
from svc.data.corpora import Recording
from svc.data.corpora.split import Side, check_shares, ensure_sides, sides
from svc.data.manifest import Clip
from svc.data.process_file import PrepareJob, process_file
from svc.data.sources import Rejected, Sources, common_folder, find_single_speaker, find_sources
from svc.errors import DataError
from svc.features.cache import FeatureCache
from svc.features.extract import changed_features, feature_fingerprint
from svc.features.speaker import Speaker
from svc.utils.distributed import ProcessGroup, end_with_parent, process_group
from svc.utils.progress import progress

_LOCK = ".lock"
_Result = list[Clip] | Rejected


@dataclass(frozen=True, slots=True)
class Summary:
    """What a prepared folder holds, what was rejected, and notes to print."""

    clips: list[Clip]
    speakers: list[Speaker]
    rejected: list[Rejected]
    notes: list[str] = field(default_factory=list)


def prepare(
    data: Path | Sequence[Path],
    out: Path,
    config: Config,
    jobs: int | None = None,
    device: str = "cpu",
    speaker: str | None = None,
    *,
    corpus: str | None = None,
    licence: str | None = None,
    group_regex: str | None = None,
    valid: float = 0.1,
    test: float = 0.1,
) -> Summary:
    """Prepare recordings of one or several corpora, or of a plain folder of speakers.

    The split is by song or sentence, of a plain folder without songs by file, see ``svc.data.corpora.split``.

    Under ``accelerate launch`` every process, on every machine, does a share of the files; the main one locks the
    folder and writes its tables, and all return the summary. All must see both folders.

    Args:
        data: one or several folders, each a corpus, or with one folder for each speaker, any audio format below.
        out: the prepared folder.
        config: sample rate and features.
        jobs: processes; by default one for each core, or where several were launched just those.
        device: of the networks; with an accelerator, this process does its share alone on the one that is its own.
        speaker: name of the only speaker of all data, if there is only one; then folders in it mean nothing, and no
            test clips are held out.
        corpus: name of the corpus of all folders; by the layout of each if not given.
        licence: of recordings whose corpus gives none.
        group_regex: its first group names the song of a file in plain folders, by the path below the folder.
        valid: share of groups for validation.
        test: share of groups for testing.

    Raises:
        DataError: there is nothing to prepare, nothing usable in it, or another run holds the folder.
    """
    check_shares(valid, test)
    roots = [Path(data)] if isinstance(data, str | Path) else [Path(root) for root in data]
    roots = roots if len(roots) == 1 else [root.resolve() for root in roots]
    group = process_group()
    test = 0.0 if speaker else test

    def find() -> Sources:
        return find_single_speaker(roots[0], speaker) if speaker else find_sources(roots, corpus, licence, group_regex)

    try:
        with ExitStack() as held:
            sources = group.on_main(find)
            abort_file = group.on_main(lambda: _lock(roots, out, sources, held))
            work = group.on_main(lambda: _jobs(sources.recordings, roots, out, config, valid, test))
            group.on_all(lambda: _check_visible(roots, out))
            results = group.map_sharded(work, lambda part: _process(part, group, jobs, device), abort_file)
            return group.on_main(lambda: _write_tables(out, sources, work, results))
    except Timeout:
        raise DataError(f"{out}: another `svc prepare` is working there; wait for it or choose another -o") from None
    except OSError as error:
        raise DataError(f"{out}: cannot be written ({error.strerror}); choose another folder with -o") from None


def _lock(roots: Sequence[Path], out: Path, sources: Sources, held: ExitStack) -> Path:
    """Lock the prepared folder, if there is something to prepare; returns the file by which a process stops all."""
    if not sources.recordings:
        example = f"put them as {roots[0]}/<speaker>/<anything>.wav"
        reason = sources.rejected[0]["reason"] if sources.rejected else example
        raise DataError(f"{roots[0]}: no files in speakers' folders; {reason}")
    if any(out.resolve().is_relative_to(root.resolve()) for root in roots):
        raise DataError(f"{out}: lies inside the data, where it would be taken for a speaker; choose another -o")
    out.mkdir(parents=True, exist_ok=True)
    held.enter_context(FileLock(out / _LOCK, timeout=0))
    abort_file = out / f".failed-{secrets.token_hex(4)}"  # a new name every time: networked folders cache old files
    held.callback(abort_file.unlink, missing_ok=True)
    return abort_file


def _jobs(
    recordings: Sequence[Recording], roots: Sequence[Path], out: Path, config: Config, valid: float, test: float
) -> list[PrepareJob]:
    data, fingerprint, split = common_folder(roots), feature_fingerprint(config), _group_sides(recordings, valid, test)
    return [
        PrepareJob(one, data, out / "store", fingerprint, config, split=split.get(one.group), valid=valid, test=test)
        for one in recordings
    ]


def _group_sides(recordings: Sequence[Recording], valid: float, test: float) -> dict[str, Side]:
    """Sides of all groups; a small corpus has songs, and sentences, on every side."""
    split: dict[str, Side] = {}
    grouped = [recording for recording in recordings if recording.group]
    for corpus_and_kind in dict.fromkeys((one.group.partition("/")[0], one.kind) for one in grouped):
        own = [one for one in grouped if (one.group.partition("/")[0], one.kind) == corpus_and_kind]
        split |= sides({one.group for one in own}, valid, test, {one.group: one.split for one in own if one.split})
    return split


def _check_visible(roots: Sequence[Path], out: Path) -> None:
    for path in (*roots, out / _LOCK):
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
    done = 0
    while done < len(part):
        rest = part[done:]
        try:
            with ProcessPoolExecutor(min(jobs, len(rest)), get_context("spawn"), initializer=_start_worker) as pool:
                for result in pool.map(process_file, rest):
                    yield result
                    done += 1
        except BrokenProcessPool:
            if jobs == 1:  # else any of several files
                job, done = part[done], done + 1
                path = job.recording.path
                yield job.reject(
                    f"{path}: its process was ended from outside, out of memory?; cut it into shorter files"
                )
            jobs = 1


def _start_worker() -> None:
    """Use one thread, and end with the parent, however that ends."""
    torch.set_num_threads(1)
    end_with_parent()


@contextmanager
def _one_thread() -> Iterator[None]:
    """As in a process of its own: the last bits of a sum depend on the number of threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _write_tables(out: Path, sources: Sources, work: list[PrepareJob], results: list[_Result]) -> Summary:
    clips = [clip for result in results if isinstance(result, list) for clip in result]
    rejected = sources.rejected + [result for result in results if isinstance(result, dict)]
    if not clips:
        raise DataError(f"{work[0].data}: none of {len(results)} files is usable, for example {rejected[0]['reason']}")
    clips = ensure_sides(clips, work[0].valid)
    cache = FeatureCache(out / "store")
    speakers = [_speaker_stats(name, own, cache) for name, own in manifest.by_speaker(clips).items()]
    manifest.write(out, clips, speakers, rejected, work[0].fingerprint)
    return Summary(clips, speakers, rejected, sources.notes)


def _speaker_stats(name: str, clips: list[Clip], cache: FeatureCache) -> Speaker:
    """Pitch range, level and seconds of a speaker, from all clips but those of the test side."""
    clips = [clip for clip in clips if clip.split != "test"] or clips
    curves, levels = [], []
    for clip in clips:
        with cache.open(clip.key) as entry:
            curves.append(entry.get("f0")[entry.get("voiced").astype(bool)])
            levels.append(entry.get("median_level")[0])
    pitch = np.concatenate(curves)
    low, median, high = np.percentile(pitch, (5, 50, 95)) if len(pitch) else (0.0, 0.0, 0.0)
    seconds = sum(clip.frames for clip in clips) / 100
    level = float(np.average(levels, weights=[max(1, clip.active) for clip in clips]))
    band = max(clip.band for clip in clips)
    return Speaker(name, seconds, *(round(float(value), 2) for value in (median, low, high, level, band)))


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
