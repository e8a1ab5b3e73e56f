"""From a folder of clips to a voice with a singer more: prepared, heard, fitted, and tuned if that is asked."""

import hashlib
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from svc.adaptation import finetuning, speaker_embedding
from svc.adaptation.speech_or_singing import Material, material_of
from svc.config import Config
from svc.data import manifest
from svc.data.manifest import Manifest
from svc.data.prepare import Summary
from svc.errors import DataError, SvcError
from svc.inference import speakers
from svc.inference.converter import check_encoder
from svc.inference.voice import Voice
from svc.training.loop import Outcome
from svc.utils.distributed import crew

MARK = ".svc-fit"  # the file that tells a folder of ours


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for.

    Attributes:
        name: of the singer.
        material: what the clips are; found out if not given.
        full: whether the voice is trained as well, see ``svc.adaptation.finetuning``.
        changes: knobs by their dotted names.
    """

    name: str
    material: Material | None = None
    full: bool = False
    changes: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Joined:
    """What came of it.

    Attributes:
        voice: with the new singer, the last; the one that was given if the training was interrupted.
        start: the known singers who come nearest.
        outcome: of the last training.
        material: what the clips were taken for.
    """

    voice: Voice
    start: speaker_embedding.Start
    outcome: Outcome
    material: Material


def prepare(voice: Voice, clips: Path, wish: Wish, work: Path, jobs: int | None = None) -> Summary:
    """Check and analyse the clips, in a folder for all that is made on the way.

    Raises:
        SvcError: the name is taken, a knob is wrong, no clip is usable, or the folder is somebody else's, which is
            left as it was.
    """
    check_encoder(voice)
    _configs(voice, wish)
    begun = crew().once(lambda: _claim(work))
    try:
        summary = speaker_embedding.prepare_clips(voice, clips, wish.name, work / "prepared", jobs)
        if not summary.singers[0].median_f0:
            raise DataError(f"{clips}: no pitch was found in any clip; record speech or song")
    except SvcError:
        if crew().main and not begun:
            shutil.rmtree(work, ignore_errors=True)
        raise
    return summary


def _claim(work: Path) -> bool:
    """Make a folder ours; whether it was before."""
    try:
        if work.exists():
            if not (work / MARK).exists():
                raise DataError(f"{work}: is in the way; move it, or give the voice another name")
            return True
        work.mkdir()
        (work / MARK).touch()
    except OSError as error:
        raise DataError(f"{work}: cannot be made ({error.strerror}); give the voice another place") from None
    return False


def heard_as(wish: Wish, work: Path) -> Material:
    """What the prepared clips are taken for."""
    return wish.material or material_of(manifest.read(work / "prepared"))


def join(voice: Voice, wish: Wish, work: Path, *, cpu: bool = False) -> Joined:
    """Train what is to be trained for the singer of the prepared clips; called again it goes on.

    Args:
        voice: left as it is.
        wish: see there.
        work: see ``prepare``.
        cpu: leave accelerators alone.

    Raises:
        SvcError: a knob is wrong, or the training cannot go on.
    """
    config, all_of_it = _configs(voice, wish)
    prepared, material = manifest.read(work / "prepared"), heard_as(wish, work)
    heard = speaker_embedding.with_high_notes(voice, prepared, work / "raised") if material == "speech" else prepared
    run = work / _fingerprint(voice, heard, config)
    outcome, start = speaker_embedding.fit(voice, heard, run, config, cpu=cpu)
    if outcome.interrupted:
        return Joined(voice, start, outcome, material)
    new = speaker_embedding.joined(voice, prepared, run, material)
    if wish.full:
        place = work / _fingerprint(new, heard, all_of_it)
        rehearsed = crew().once(lambda: finetuning.rehearse(new, heard, place / "rehearsed"))
        outcome = finetuning.tune(new, rehearsed, place / "run", all_of_it, cpu=cpu)
        if outcome.interrupted:
            new = voice
        elif outcome.best_step != 0:  # else it came no nearer
            new = finetuning.tuned(new, place / "run")
    return Joined(new, start, outcome, material)


def _configs(voice: Voice, wish: Wish) -> tuple[Config, Config]:
    """For the fit, and for the whole voice."""
    return speaker_embedding.configured(voice, wish.changes or {}), finetuning.tuning(voice, wish.changes or {})


def _fingerprint(voice: Voice, prepared: Manifest, config: Config) -> str:
    """A name for the run of a voice, clips and knobs: with others it is another run."""
    told = (speakers.base(voice), speakers.singers_of(voice), prepared.sha256, repr(config))
    return hashlib.sha256(repr(told).encode()).hexdigest()[:16]
