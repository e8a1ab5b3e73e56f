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
from svc.errors import DataError, SvcError, os_errors_as
from svc.inference import speakers
from svc.inference.converter import check_content_encoder
from svc.inference.voice import VoiceFile
from svc.training.loop import TrainResult
from svc.utils.distributed import process_group

MARKER = ".svc-fit"  # file in work folders of ours


@dataclass(frozen=True, slots=True)
class AdaptOptions:
    """Options of an adaptation."""

    name: str  # of the speaker
    voice_type: VoiceType | None = None  # detected if not given
    finetune_model: bool = False  # also train the generator, see ``svc.adaptation.finetuning``
    overrides: Mapping[str, Any] = field(default_factory=dict)  # options of the config by their dotted names
    about: str = ""  # licence and note for the card


@dataclass(frozen=True, slots=True)
class AdaptResult:
    """Result of an adaptation."""

    voice: VoiceFile  # with the new speaker, the last; the original if the training was interrupted
    initial: speaker_embedding.InitialSpeaker  # where the training started
    outcome: TrainResult  # of the last training
    voice_type: VoiceType  # detected if not given


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
    """Add a speaker to a voice, which stays as it is, from a folder of recordings of one speaker.

    The same call continues after an interruption: intermediate files are in the work folder, ours or new; remove it
    when the voice is saved. ``on_prepared`` is called with the summary of the clips before the training.

    Raises:
        SvcError: the name is in use, an option is wrong, no clip is usable, the work folder belongs to somebody else,
            or the training cannot continue.
    """
    check_content_encoder(voice)
    embedding_config = speaker_embedding.adaptation_config(voice, options.overrides)
    overrides = {**finetuning.FINETUNE_DEFAULTS, **options.overrides}
    finetune_config = speaker_embedding.adaptation_config(voice, overrides)

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
    with os_errors_as(DataError, folder, "cannot be made", "put the voice into another folder"):
        if folder.exists():
            if not (folder / MARKER).exists():
                raise DataError(f"{folder}: is in the way; move it, or give the voice another name")
            return True
        folder.mkdir()
        (folder / MARKER).touch()
    return False


def _run_name(voice: VoiceFile, data: Manifest, config: Config) -> str:
    """Folder of a run: other weights, speakers, clips or options are another run."""
    parts = (speakers.shared_weights_hash(voice), speakers.speaker_params_hash(voice), data.sha256, repr(config))
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]
