"""Python API: the verbs of the command line.

For example::

    from svc.api import Voice

    voice = Voice.load("runs/mine/voice.safetensors")
    samples = voice.convert(audio, 44_100, speaker="Ann")

Nothing is changed in place: methods that add, rename or remove a speaker return a new voice.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from svc.adaptation.pipeline import AdaptOptions, adapt
from svc.adaptation.zero_shot import add_recording
from svc.audio.files import MAX_RATE, MIN_RATE, Audio
from svc.features.transpose import Transpose
from svc.inference import speakers as voice_speakers
from svc.inference.base_voice import find_voice
from svc.inference.converter import ConversionReport, Converter
from svc.inference.speaker_mix import is_recording
from svc.inference.voice import VoiceFile, VoiceSpeaker
from svc.style.presets import make_config
from svc.style.transfer import transfer
from svc.utils.units import FRAMES_PER_SECOND


class Voice:
    """A voice and its converter.

    Args:
        file: content of a voice file.
        device: to convert on.
        guidance: how far to move from the average speaker, 0 to 2; the voice's own if not given.

    Raises:
        WeightsError: the content encoder differs from that of the voice's training.
    """

    def __init__(self, file: VoiceFile, device: str = "cpu", guidance: float | None = None):
        self.file, self.device, self.guidance = file, device, guidance
        self.converter = Converter(file, device, guidance)
        self.report = ConversionReport()  # of the last conversion

    @staticmethod
    def load(path: str | Path, device: str = "cpu", guidance: float | None = None) -> Voice:
        """Read a voice file; ``base`` is the voice that ships with the package.

        Raises:
            WeightsError: it is missing, not a voice, damaged, or not consistent.
        """
        return Voice(VoiceFile.load(find_voice(path)), device, guidance)

    @property
    def speakers(self) -> tuple[VoiceSpeaker, ...]:
        """The speakers, with numbers, names, ranges and kinds."""
        return self.file.speakers

    def convert(
        self, audio: NDArray[np.floating], rate: int, *, speaker: str | int, transpose: Transpose = "auto"
    ) -> NDArray[np.float32]:
        """Convert audio to a speaker; ``report`` then holds the measures of this conversion.

        Args:
            audio: (T,), or (T, 2), of which the mean is converted and placed as the source is; full scale 1.
            rate: Hz.
            speaker: name, number, a mix as ``Ann:0.6,Bob:0.4``, or, of the base voice, the path of a recording.
            transpose: semitones, ``auto`` or ``match``, see ``svc.features.transpose.choose_transposition``.

        Returns:
            Of the same shape, at the same rate.

        Raises:
            ValueError: the audio is not (T,) or (T, 2), shorter than 10 ms, at a rate out of range, or not finite.
            WeightsError: there is no such speaker.
        """
        converter = self.converter
        if is_recording(str(speaker)):
            file, mix = add_recording(self.file, Path(str(speaker)))
            converter = Converter(file, self.device, self.guidance)
        else:
            mix = converter.parse_speaker(str(speaker))
        samples = np.asarray(audio, dtype=np.float32)
        stereo = samples if samples.ndim == 2 and samples.shape[1] == 2 else None
        mono = _audio(samples if stereo is None else samples.mean(axis=1), rate)
        converted, self.report = converter.convert(mono, mix, transpose=transpose, stereo=stereo)
        return converted.samples

    def fit(
        self,
        clips: str | Path,
        name: str,
        work_dir: str | Path,
        *,
        finetune_model: bool = False,
        overrides: Mapping[str, Any] | None = None,
        jobs: int = 1,
    ) -> Voice:
        """Add a speaker from a folder of clips; the same call continues after an interruption.

        Call it in the main thread, for Ctrl-C stops it; with more than one job, below ``if __name__ == "__main__"``.

        Args:
            clips: folder of recordings of one speaker.
            name: of the speaker.
            work_dir: folder for intermediate files; remove it when the voice is saved.
            finetune_model: also train the generator, see ``svc.adaptation.finetuning``.
            overrides: options of svc/config/schema.py by dotted names, as ``{"train.steps": 100}``.
            jobs: processes that prepare.

        Raises:
            SvcError: the name is in use, or no clip is usable.
            KeyboardInterrupt: the training was stopped and saved.
        """
        options = AdaptOptions(name, finetune_model=finetune_model, overrides=overrides or {})
        cpu = self.device == "cpu"
        result = adapt(self.file, Path(clips), options, Path(work_dir), jobs=jobs, cpu=cpu)
        if result.outcome.interrupted:
            raise KeyboardInterrupt(f"stopped and saved in {work_dir}; call it again to continue")
        return Voice(result.voice, self.device)

    def rename(self, who: str, name: str) -> Voice:
        """Rename a speaker."""
        return Voice(voice_speakers.with_renamed(self.file, who, name), self.device)

    def remove(self, who: str) -> Voice:
        """Remove a speaker, whose number is not used again."""
        return Voice(voice_speakers.without(self.file, who), self.device)

    def merge(self, other: Voice) -> Voice:
        """Add the speakers of another voice that was fitted to the same one."""
        return Voice(voice_speakers.merge(self.file, other.file)[0], self.device)

    def save(self, path: str | Path) -> None:
        """Write the voice file; it appears whole or not at all.

        Raises:
            WeightsError: the folder cannot be written.
        """
        self.file.save(Path(path))


def transfer_style(
    content: tuple[NDArray[np.floating], int],
    style: tuple[NDArray[np.floating], int],
    *,
    preset: str = "default",
    as_published: bool = False,
    match_pitch: bool = True,
    **options: Any,
) -> NDArray[np.float32]:
    """Neural style transfer: the texture of one clip on the content of another, without any training.

    Args:
        content: samples (T,), full scale 1, and their rate in Hz.
        style: the same of the style clip.
        preset: see ``svc.style.presets``.
        as_published: the preset as its authors had it.
        match_pitch: transpose the content to the median f0 of the style first.
        options: of ``svc.style.presets.StyleConfig``, that differ from the preset.

    Returns:
        (T,) at the content's rate.

    Raises:
        ValueError: the audio is not (T,), shorter than 10 ms, at a rate out of range, or not finite.
        SvcError: a clip is silent or shorter than 1 s, both are the same, or an option is wrong.
    """
    config = make_config(preset, options, as_published=as_published)
    return transfer(_audio(*content), _audio(*style), config, match_pitch=match_pitch).audio.samples


def _audio(samples: NDArray[np.floating], rate: int) -> Audio:
    values = np.asarray(samples, dtype=np.float32)
    if values.ndim != 1 or not np.isfinite(values).all():
        raise ValueError(f"audio must be finite samples (T,), not of shape {values.shape}")
    if not MIN_RATE <= rate <= MAX_RATE or len(values) * FRAMES_PER_SECOND < rate:
        raise ValueError(f"audio must be 10 ms or more at {MIN_RATE} to {MAX_RATE} Hz")
    return Audio(values, rate)
