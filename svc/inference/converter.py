"""A song in, the same song sung by somebody else out: whole or streamed, the same to the last sample."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from svc.audio.disk_buffer import spool
from svc.audio.files import Audio, Samples
from svc.audio.resample import resampled
from svc.errors import WeightsError, printable
from svc.features import content, f0
from svc.features import extract as features
from svc.features.conditioning import Conditioning
from svc.inference import transpose as transposition
from svc.inference.speaker_mix import Cast, cast
from svc.inference.voice import Voice
from svc.utils.units import FRAMES_PER_SECOND

CHUNK = 10 * FRAMES_PER_SECOND  # frames of audio made at a time

Progress = Callable[[str, float], object]  # name of a stage, and the share of it that is done


def quiet(_stage: str, _share: float) -> None:
    """Progress that nobody watches."""


@dataclass(slots=True)
class Report:
    """What a conversion did, to be told to the user.

    Attributes:
        seconds: of audio.
        transpose: semitones.
        below: share of the voiced frames, as sung, below the singer's range.
        above: and above it.
        spent: seconds of computing by stage: ``f0``, ``content``, ``generator``, ``resample``.
        melody: (N,) Hz of the song, 0 where unvoiced.
        f0: (N,) Hz as sung, after transposition.
    """

    seconds: float = 0.0
    transpose: float = 0.0
    below: float = 0.0
    above: float = 0.0
    spent: dict[str, float] = field(default_factory=dict)
    melody: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, dtype=np.float32))
    f0: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, dtype=np.float32))
    _since: float = field(default_factory=time.perf_counter)

    def mark(self, stage: str) -> None:
        """Put the time since the last mark down to a stage."""
        now = time.perf_counter()
        self.spent[stage] = self.spent.get(stage, 0.0) + now - self._since
        self._since = now


def check_encoder(voice: Voice) -> None:
    """The content encoder here is the one that a voice was trained with.

    Raises:
        WeightsError: it is not.
    """
    if voice.encoder not in ("", content.stamp(voice.config.features.content)):
        raise WeightsError(
            f"this voice was trained with other weights of {printable(voice.encoder.partition(' ')[0])} than are "
            "here; convert with the svc that made it, or train it anew"
        )


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
        check_encoder(voice)

    def convert(
        self,
        audio: Audio,
        speaker: str,
        *,
        transpose: transposition.Key = "auto",
        curve: Path | None = None,
        progress: Progress = quiet,
    ) -> tuple[Audio, Report]:
        """The song at its own rate and to the sample as long, and a report.

        Args:
            audio: any rate.
            speaker: name or number, a mix as ``Ann:0.6,Bob:0.4``, or the path of a table of mixes.
            transpose: semitones, ``auto`` or ``match``, see ``svc.inference.transpose.choose``.
            curve: CSV of ``seconds,hz`` to take for the song's melody, before transposition.
            progress: called with the name of a stage and the share of it that is done.

        Raises:
            WeightsError: the voice has no such singer.
            DataError: the mix or the curve cannot be read.
        """
        rate = self.voice.config.sample_rate
        singer, report = cast(self.voice, speaker), Report(seconds=audio.seconds)
        song = spool([audio], rate)
        report.mark("resample")
        asked = self.listen(song.audio, singer, report, transpose=transpose, curve=curve, progress=progress)
        made = list(resampled(self.sing(asked, report, progress), rate, audio.rate, song.length))
        report.mark("resample")
        return Audio(np.concatenate(made), audio.rate), report

    def listen(
        self,
        audio: Audio,
        singer: Cast,
        report: Report,
        *,
        transpose: transposition.Key = "auto",
        curve: Path | None = None,
        progress: Progress = quiet,
    ) -> Conditioning:
        """What is to be sung, of audio at the model's rate that is whole frames long; the rest as in ``convert``."""
        frames = len(audio.samples) // self.voice.config.hop
        given = f0.read_csv(curve, frames) if curve else None

        def staged(stage: str, done: int) -> None:
            progress("listen", done / frames)
            if (stage, done) == ("content", 0):
                report.mark("f0")

        sung = features.extract(audio, self.voice.config, given, staged)
        report.melody = np.where(sung.voiced, sung.f0, 0).astype(np.float32)
        report.transpose = transposition.choose(transpose, sung.f0[sung.voiced], singer.singer.range)
        sung = replace(sung, f0=transposition.shifted(sung.f0, report.transpose))
        report.f0 = np.where(sung.voiced, sung.f0, 0).astype(np.float32)
        report.below, report.above = transposition.beyond(sung.f0[sung.voiced], *singer.singer.range[1:])
        report.mark("content")
        return sung.conditioning(singer.over(frames))

    def sing(self, asked: Conditioning, report: Report, progress: Progress = quiet) -> Iterator[Samples]:
        """Audio at the model's rate, ten seconds at a time."""
        for number, part in enumerate(self.stream(asked)):
            report.mark("generator")
            progress("sing", (number + 1) * CHUNK / asked.frames)
            yield part
            report.mark("resample")

    def stream(self, conditioning: Conditioning, chunk: int = CHUNK, refine: bool = True) -> Iterator[Samples]:
        """Audio of ``chunk`` frames at a time, each made with as much context as the generator looks at.

        Without ``refine`` the WaveNet is left out, where there is a front.
        """
        margin, hop = self.generator.margin, self.voice.config.hop
        for first in range(0, conditioning.frames, chunk):
            last = min(conditioning.frames, first + chunk)
            before, after = max(0, first - margin), min(conditioning.frames, last + margin)
            with torch.inference_mode():
                asked = conditioning.crop(before, after).to(self.device)
                audio = self.generator(asked, refine)[0].cpu().numpy()
            yield audio[(first - before) * hop : (last - before) * hop]
