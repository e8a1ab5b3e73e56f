"""Singing from Python, with the verbs of the command line.

For example::

    from svc.api import Voice

    voice = Voice.load("runs/mine/voice.safetensors")
    samples = voice.convert(audio, 44_100, speaker="Ann")

Nothing is changed in place: what adds, renames or removes a singer returns another voice.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from svc.adaptation import pipeline
from svc.audio.files import MAX_RATE, MIN_RATE, Audio
from svc.inference import speakers as voice_speakers
from svc.inference import voice
from svc.inference.converter import Converter, Report
from svc.inference.transpose import Key
from svc.utils.units import FRAMES_PER_SECOND


class Voice:
    """A voice that sings.

    Args:
        model: what a voice file holds.
        device: to sing on.

    Raises:
        WeightsError: its content features are of another encoder than is here.
    """

    def __init__(self, model: voice.Voice, device: str = "cpu"):
        self.model, self.device = model, device
        self.converter = Converter(model, device)
        self.report = Report()  # of the last song

    @staticmethod
    def load(path: str | Path, device: str = "cpu") -> Voice:
        """Read a voice file.

        Raises:
            WeightsError: it is missing, not a voice, damaged, or not to be trusted.
        """
        return Voice(voice.Voice.load(Path(path)), device)

    @property
    def speakers(self) -> tuple[voice.Known, ...]:
        """Its singers, with numbers, names, ranges and kinds."""
        return self.model.singers

    def convert(
        self, audio: NDArray[np.floating], rate: int, *, speaker: str | int, transpose: Key = "auto"
    ) -> NDArray[np.float32]:
        """The song sung by somebody else, (T,), at its own rate; ``report`` tells more of the last one.

        Args:
            audio: (T,), full scale 1.
            rate: Hz.
            speaker: name, number, or a mix as ``Ann:0.6,Bob:0.4``.
            transpose: semitones, ``auto`` or ``match``, see ``svc.inference.transpose.choose``.

        Raises:
            ValueError: the audio is not (T,), shorter than 10 ms or at no usual rate, or a sample is not a number.
            WeightsError: there is no such singer.
        """
        samples = np.asarray(audio, dtype=np.float32)
        if samples.ndim != 1 or not np.isfinite(samples).all():
            raise ValueError(f"audio must be finite samples (T,), not of shape {samples.shape}")
        if not MIN_RATE <= rate <= MAX_RATE or len(samples) * FRAMES_PER_SECOND < rate:
            raise ValueError(f"audio must be 10 ms or more at {MIN_RATE} to {MAX_RATE} Hz")
        made, self.report = self.converter.convert(Audio(samples, rate), str(speaker), transpose=transpose)
        return made.samples

    def fit(
        self,
        clips: str | Path,
        name: str,
        work: str | Path,
        *,
        full: bool = False,
        changes: Mapping[str, Any] | None = None,
        jobs: int = 1,
    ) -> Voice:
        """The voice with a new singer, from a folder of clips; the same call goes on where one was stopped.

        Call it in the main thread, for Ctrl-C stops it; with more than one job, below ``if __name__ == "__main__"``.

        Args:
            clips: folder of one singer's recordings.
            name: of the singer.
            work: folder for what is made on the way, to be removed when the voice is saved.
            full: train the voice as well as the singer, see ``svc.adaptation.finetuning``.
            changes: knobs of svc/config/schema.py by dotted names, as ``{"train.steps": 100}``.
            jobs: processes that prepare.

        Raises:
            SvcError: the name is taken, or nothing is usable.
            KeyboardInterrupt: it was stopped, and saved.
        """
        wish, place = pipeline.Wish(name, full=full, changes=changes), Path(work)
        pipeline.prepare(self.model, Path(clips), wish, place, jobs)
        joined = pipeline.join(self.model, wish, place, cpu=self.device == "cpu")
        if joined.outcome.interrupted:
            raise KeyboardInterrupt(f"stopped and saved in {place}; call it again to go on")
        return self._with(joined.voice)

    def rename(self, who: str, name: str) -> Voice:
        """With another name for a singer."""
        return self._with(voice_speakers.renamed(self.model, who, name))

    def remove(self, who: str) -> Voice:
        """Without a singer, whose number nobody else gets."""
        return self._with(voice_speakers.removed(self.model, who))

    def merge(self, other: Voice) -> Voice:
        """With the singers of another that was fitted from the same."""
        return self._with(voice_speakers.merged(self.model, other.model)[0])

    def save(self, path: str | Path) -> None:
        """Write the voice file; it appears whole or not at all.

        Raises:
            WeightsError: the folder does not take it.
        """
        self.model.save(Path(path))

    def _with(self, model: voice.Voice) -> Voice:
        return Voice(model, self.device)
