"""A song in, the same song sung by somebody else out: whole or streamed, the same to the last sample."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from svc.audio.files import Audio, Samples
from svc.audio.resample import fit_length, resample
from svc.conditioning import LIMITS, Conditioning, octaves_towards, one_hot
from svc.errors import DataError, WeightsError, printable
from svc.features import content, f0
from svc.features import extract as features
from svc.units import FRAMES_PER_SECOND, semitones_to_ratio
from svc.voice import Voice

CHUNK = 10 * FRAMES_PER_SECOND  # frames of audio made at a time


@dataclass(slots=True)
class Report:
    """What a conversion did, to be told to the user.

    Attributes:
        seconds: of audio.
        transpose: semitones.
        spent: seconds of computing by stage: ``f0``, ``content``, ``generator``, ``resample``.
        melody: (N,) Hz of the song, 0 where unvoiced.
        f0: (N,) Hz as sung, after transposition.
    """

    seconds: float = 0.0
    transpose: float = 0.0
    spent: dict[str, float] = field(default_factory=dict)
    melody: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, dtype=np.float32))
    f0: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, dtype=np.float32))


class Converter:
    """Sings in a voice.

    Args:
        voice: whose singers sing; its weights move to the device.
        device: to compute on.
        bf16: the WaveNet's products in bf16: faster where the processor has it, and 60 dB or more below the sound
            no longer the same for other chunks.

    Raises:
        WeightsError: the encoder of the content features is another than the voice was trained with.
    """

    def __init__(self, voice: Voice, device: str = "cpu", bf16: bool = False):
        self.voice = voice
        self.device = device
        self.generator = copy.copy(voice.generator.to(device))  # the same weights, another precision
        self.generator.bf16 = bf16
        features.listen_on(device, voice.config)
        if voice.encoder not in ("", content.stamp(voice.config.features.content)):
            raise WeightsError(
                f"this voice was trained with other weights of {printable(voice.encoder.partition(' ')[0])} than are "
                "here; convert with the svc that made it, or train it anew"
            )

    def convert(
        self,
        audio: Audio,
        singer: str,
        *,
        transpose: float | str = 0.0,
        curve: Path | None = None,
        progress: Callable[[str, float], object] = lambda _stage, _share: None,
    ) -> tuple[Audio, Report]:
        """The song at its own rate and to the sample as long, and a report.

        Args:
            audio: any rate.
            singer: name or number.
            transpose: semitones, or ``auto`` for the octaves that come nearest to the singer's own range, which
                keep the song in key with its backing track.
            curve: CSV of ``seconds,hz`` to take for the song's melody, before transposition.
            progress: called with the name of a stage and the share of it that is done.
        """
        report = Report(seconds=audio.seconds)
        started = time.perf_counter()
        rate = self.voice.config.sample_rate
        hop = self.voice.config.hop
        resampled = resample(audio, rate).samples
        frames = -(-len(resampled) // hop)
        whole = Audio(fit_length(resampled, frames * hop), rate)
        mark = _Marks(report, started)
        mark("resample")
        given = f0.read_csv(curve, frames) if curve else None
        sung = self._features(whole, given, frames, progress, mark)
        report.melody = np.where(sung.voiced, sung.f0, 0).astype(np.float32)
        number = self.voice.number(singer)
        report.transpose = self._transposition(sung, number, transpose)
        sung = replace(sung, f0=_shifted(sung.f0, report.transpose))
        report.f0 = np.where(sung.voiced, sung.f0, 0).astype(np.float32)
        parts = []
        for part in self.stream(sung.conditioning(one_hot(number, len(self.voice.singers)))):
            parts.append(part)
            progress("sing", len(parts) * CHUNK / frames)
        mark("generator")
        made = Audio(np.concatenate(parts), rate)
        output = Audio(fit_length(resample(made, audio.rate).samples, len(audio.samples)), audio.rate)
        mark("resample")
        return output, report

    def stream(self, conditioning: Conditioning, chunk: int = CHUNK) -> Iterator[Samples]:
        """Audio of ``chunk`` frames at a time, each made with as much context as the generator looks at."""
        margin, hop = self.generator.margin, self.voice.config.hop
        for first in range(0, conditioning.frames, chunk):
            last = min(conditioning.frames, first + chunk)
            before, after = max(0, first - margin), min(conditioning.frames, last + margin)
            with torch.inference_mode():
                audio = self.generator(conditioning.crop(before, after).to(self.device))[0].cpu().numpy()
            yield audio[(first - before) * hop : (last - before) * hop]

    def _features(
        self,
        audio: Audio,
        curve: NDArray[np.float32] | None,
        frames: int,
        progress: Callable[[str, float], object],
        mark: _Marks,
    ) -> features.Features:
        def staged(stage: str, done: int) -> None:
            progress("listen", done / frames)
            if (stage, done) == ("content", 0):
                mark("f0")

        found = features.extract(audio, self.voice.config, curve, staged)
        mark("content")
        return found

    def _transposition(self, sung: features.Features, number: int, wanted: float | str) -> float:
        if wanted != "auto":
            return float(wanted)
        return octaves_towards(self.voice.singers[number].median_f0, sung.f0[sung.voiced])


class _Marks:
    """Adds the time since the last mark to a stage."""

    def __init__(self, report: Report, started: float):
        self.report, self.last = report, started

    def __call__(self, stage: str) -> None:
        now = time.perf_counter()
        self.report.spent[stage] = self.report.spent.get(stage, 0.0) + now - self.last
        self.last = now


def _shifted(curve: NDArray[np.float32], semitones: float) -> NDArray[np.float32]:
    shifted = curve * np.float32(semitones_to_ratio(semitones))
    return np.clip(shifted, *LIMITS).astype(np.float32)


def parse_transpose(text: str) -> float | str:
    """``auto`` or semitones.

    Raises:
        DataError: it is neither.
    """
    if text.strip().lower() == "auto":
        return "auto"
    try:
        semitones = float(text)
    except ValueError:
        semitones = math.nan
    if not abs(semitones) <= 48:
        raise DataError(f"--transpose {text}: give auto, or semitones between -48 and 48")
    return semitones
