"""Speaker adaptation: from a folder of clips to a voice with one more speaker, in five stages."""

import hashlib
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from svc.adaptation import finetuning, speaker_embedding, zero_shot
from svc.adaptation.speech_or_singing import VoiceType, classify_speech_or_singing, read_tracks, singing_range
from svc.config import Config
from svc.data import manifest
from svc.data.manifest import Manifest
from svc.data.prepare import Summary, prepare
from svc.data.provenance import training_data
from svc.data.speaker_encodings import training_audio
from svc.errors import DataError, SvcError
from svc.inference import speakers
from svc.inference.converter import check_content_encoder
from svc.inference.voice import VoiceFile
from svc.training.loop import TrainResult
from svc.utils.distributed import process_group

MARKER = ".svc-fit"  # file in work folders of ours


@dataclass(frozen=True, slots=True)
class AdaptOptions:
    """Options of an adaptation.

    Attributes:
        name: of the speaker.
        voice_type: ``speech`` or ``song``; detected if not given.
        finetune_model: also train the generator, see ``svc.adaptation.finetuning``.
        overrides: options of the config by their dotted names.
        about: licence and note for the card.
    """

    name: str
    voice_type: VoiceType | None = None
    finetune_model: bool = False
    overrides: Mapping[str, Any] = field(default_factory=dict)
    about: str = ""


@dataclass(frozen=True, slots=True)
class AdaptResult:
    """Result of an adaptation.

    Attributes:
        voice: with the new speaker, the last; the original if the training was interrupted.
        initial: where the training started.
        outcome: of the last training.
        voice_type: given or detected.
    """

    voice: VoiceFile
    initial: speaker_embedding.InitialSpeaker
    outcome: TrainResult
    voice_type: VoiceType


def adapt(
    voice: VoiceFile,
    clips: Path,
    options: AdaptOptions,
    work_dir: Path,
    *,
    jobs: int | None = None,
    cpu: bool = False,
    on_prepared: Callable[[Summary, VoiceType], object] = lambda _summary, _type: None,
) -> AdaptResult:
    """Add a speaker to a voice; the same call continues after an interruption.

    Args:
        voice: stays as it is.
        clips: folder of recordings of one speaker.
        options: see there.
        work_dir: folder for intermediate files, ours or new; remove it when the voice is saved.
        jobs: processes that prepare.
        cpu: do not use accelerators.
        on_prepared: called with the summary of the clips before the training.

    Raises:
        SvcError: the name is in use, an option is wrong, no clip is usable, the work folder belongs to somebody else,
            or the training cannot continue.
    """
    check_content_encoder(voice)
    embedding_config = speaker_embedding.adaptation_config(voice, options.overrides)
    finetune_config = finetuning.finetune_config(voice, options.overrides)

    # 1. Prepare: check the clips and extract their features.
    summary = _prepare(voice, clips, options.name, work_dir, jobs)
    prepared = manifest.read(work_dir / "prepared")
    voice_type = options.voice_type or classify_speech_or_singing(read_tracks(prepared))
    on_prepared(summary, voice_type)

    # 2. Augment: speech is pitch-shifted up, because singing is higher.
    data = prepared
    if voice_type == "speech":
        data = speaker_embedding.with_pitch_shifted_speech(voice, prepared, work_dir / "pitch_shifted")

    # 3. Initialise: by the speaker encoder where its map is known, else the nearest mix of the voice's speakers.
    if zero_shot.has_encodings(voice):
        initial = zero_shot.initial_speaker(voice, training_audio(prepared)[prepared.speakers[0].name])
    else:
        segments = speaker_embedding.sample_segments(data, embedding_config)
        initial = speaker_embedding.nearest_speaker_mix(voice, segments, embedding_config)

    # 4. Train the speaker's own parameters; the generator stays as it is.
    run = work_dir / _run_name(voice, data, embedding_config)
    outcome = speaker_embedding.train_embedding(voice, initial, data, run, embedding_config, cpu=cpu)
    if outcome.interrupted:
        return AdaptResult(voice, initial, outcome, voice_type)
    stats = singing_range(prepared.speakers[0], voice_type)
    adapted = speakers.with_speaker(voice, stats, speaker_embedding.trained_params(run), about=options.about)
    adapted = replace(adapted, training_data=voice.training_data | training_data(prepared.clips))

    # 5. Fine-tune the source–filter stage, if requested, while the other speakers are replayed.
    if options.finetune_model:
        run = work_dir / _run_name(adapted, data, finetune_config)
        replayed = finetuning.with_replay_speakers(adapted)
        replay = process_group().on_main(lambda: finetuning.make_replay_dataset(replayed, data, run / "replay"))
        outcome = finetuning.finetune(replayed, replay, run / "run", finetune_config, cpu=cpu)
        if outcome.interrupted:
            return AdaptResult(voice, initial, outcome, voice_type)
        if outcome.best_step != 0:  # else no step was better than the start
            adapted = finetuning.apply_finetuned(adapted, run / "run")
    return AdaptResult(adapted, initial, outcome, voice_type)


def _prepare(voice: VoiceFile, clips: Path, name: str, work_dir: Path, jobs: int | None) -> Summary:
    """Prepare the clips in the work folder, which is removed again if it is new and nothing is usable."""
    existed = process_group().on_main(lambda: _own_work_dir(work_dir))
    try:
        name = speakers.check_new_name(voice, name)
        summary = prepare(clips, work_dir / "prepared", voice.config, jobs, speaker=name)
        if not summary.speakers[0].median_f0:
            raise DataError(f"{clips}: no pitch was found in any clip; record speech or singing")
    except SvcError:
        if process_group().main and not existed:
            shutil.rmtree(work_dir, ignore_errors=True)
        raise
    return summary


def _own_work_dir(folder: Path) -> bool:
    """Make the work folder, or check that it is ours; whether it existed."""
    try:
        if folder.exists():
            if not (folder / MARKER).exists():
                raise DataError(f"{folder}: is in the way; move it, or give the voice another name")
            return True
        folder.mkdir()
        (folder / MARKER).touch()
    except OSError as error:
        raise DataError(f"{folder}: cannot be made ({error.strerror}); put the voice into another folder") from None
    return False


def _run_name(voice: VoiceFile, data: Manifest, config: Config) -> str:
    """Folder of a run: other weights, speakers, clips or options are another run."""
    parts = (speakers.shared_weights_hash(voice), speakers.speaker_params_hash(voice), data.sha256, repr(config))
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]
