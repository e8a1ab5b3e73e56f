"""Web service: conversions and fits for the page, without knowledge of the page."""

import re
import secrets
import shutil
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from svc.audio import files
from svc.errors import DataError, SvcError, printable
from svc.features.transpose import parse_transpose
from svc.inference.converter import ConversionReport, Converter, Progress, no_progress
from svc.inference.speaker_mix import SpeakerMix
from svc.inference.speakers import check_new_name
from svc.inference.voice import VoiceFile
from svc.web import f0_plot, jobs
from svc.web.limits import Deadline, Limits, check_length, read

UNEXPECTED = "This did not work, and it is not your fault: the reason is in the terminal where svc serve runs."
OUTSIDE_HINT = 0.2  # share of the notes outside the range above which another transposition is suggested


@dataclass(frozen=True, slots=True)
class ConversionRequest:
    """A conversion as chosen on the page.

    Attributes:
        first: name or number of a speaker.
        second: of the one that is mixed in; empty for none.
        share: of the second, 0 to 1.
        transpose: ``auto``, ``match`` or semitones, as text.
    """

    first: str
    second: str = ""
    share: float = 0.0
    transpose: str = "auto"

    @property
    def speaker(self) -> str:
        """Text for ``svc.inference.speaker_mix.parse_speaker``."""
        if not self.second or self.share <= 0 or self.second == self.first:
            return self.first
        return f"{self.first}:{1 - self.share:.4f},{self.second}:{self.share:.4f}"


@dataclass(frozen=True, slots=True)
class Result:
    """A conversion.

    Attributes:
        audio: file to play and download.
        plot: PNG of the f0 curves.
        message: summary in sentences.
    """

    audio: Path
    plot: bytes
    message: str


class Service:
    """A voice with its conversions and fits.

    Args:
        voice: file of the voice at the start.
        folder: for all output; browsers may read ``served`` in it.
        limits: of uploads and computing.

    Raises:
        WeightsError: the voice is refused.
    """

    def __init__(self, voice: Path, folder: Path, limits: Limits | None = None):
        self.limits = limits or Limits()
        self.folder, self.served = folder, folder / "served"
        self.served.mkdir(exist_ok=True)
        self.voice_file = voice
        self._jobs = jobs.Jobs()
        self._converter = Converter(VoiceFile.load(voice))
        self._running: list[tuple[str, Deadline]] = []  # conversions, and the pages that wait for them

    @property
    def voice(self) -> VoiceFile:
        """The voice with all speakers fitted so far."""
        return self._converter.voice

    @property
    def saved_voice(self) -> Path | None:
        """File of the voice with the fitted speakers; it is deleted when the server ends."""
        return self.voice_file if self.voice_file.is_relative_to(self.folder) else None

    def speakers(self) -> list[tuple[str, str]]:
        """Label and value of a menu of all speakers."""
        return [(f"{speaker.number} {speaker.name}", f"#{speaker.number}") for speaker in self.voice.speakers]

    def convert(
        self, song: str | None, request: ConversionRequest, progress: Progress = no_progress, page: str = ""
    ) -> Result:
        """Convert an uploaded song.

        Args:
            song: the file.
            request: see there.
            progress: called with the name of a stage and the share of it that is done.
            page: who waits, for ``cancel``.

        Raises:
            SvcError: there is no song, it is refused or takes too long, or the request is not valid.
        """
        path, converter = self._uploaded(song, "drop a song first, or record one"), self._converter
        if not {request.first, request.second} <= {value for _, value in self.speakers()} | {""}:
            raise DataError("choose a speaker from the menu; reload the page if they have changed")
        deadline = Deadline(self.limits.convert_seconds, "the conversion")

        def show(stage: str, share: float) -> None:
            deadline.check()
            progress(stage, min(1.0, share))

        running = page, deadline
        self._running.append(running)
        try:
            mix = converter.parse_speaker(request.speaker)
            audio = read(path, self.limits.minutes)
            transpose = parse_transpose(request.transpose)
            converted, report = converter.convert(audio, mix, transpose=transpose, progress=show)
            out = self.served / secrets.token_hex(16)
            out.mkdir()
            target = out / f"{_short(path.stem)}_{_short(mix.label)}.wav"
            try:
                files.write(target, converted)
            except SvcError:
                shutil.rmtree(out)
                raise
            plot = f0_plot.plot_f0(report.source_f0, report.f0, mix.stats.range, mix.label)
            return Result(target, plot, _summary(mix, report))
        finally:
            self._running.remove(running)

    def cancel(self, page: str) -> None:
        """Stop the conversion of a page that was closed."""
        for waiting, deadline in list(self._running):
            if waiting == page:
                deadline.cancel()

    def fit(self, name: str, clips: Sequence[str]) -> Iterator[str]:
        """Fit a new speaker, and yield the progress; afterwards the voice has one more.

        Raises:
            SvcError: the name is in use or not allowed, a clip is refused, or the fit failed.
        """
        if not name.strip():
            raise DataError("give the speaker a name first")
        name = check_new_name(self.voice, name.strip())
        paths = [self._uploaded(clip, "drop some clips of the speaker first") for clip in clips or [""]]
        seconds = [check_length(path, self.limits.minutes) for path in paths]
        if len(paths) > self.limits.clips or sum(seconds) > 60 * self.limits.clip_minutes:
            raise DataError(f"give {self.limits.clips} clips of {self.limits.clip_minutes:g} minutes at most")
        work = self.folder / f"fit-{secrets.token_hex(8)}"
        try:
            (work / "clips").mkdir(parents=True)
            for number, path in enumerate(paths):
                shutil.copyfile(path, work / "clips" / jobs.safe_name(number, path.name))
            out = work / "voice.safetensors"
            command = jobs.fit_command(self.voice_file.absolute(), work / "clips", name, out)
            for text in self._jobs.run(command, work, Deadline(self.limits.fit_seconds, "the fit")):
                yield self._without_folders(text)
            converter = Converter(VoiceFile.load(out))
            saved = out.replace(self.folder / f"voice_{_short(name)}.safetensors")
            self.voice_file, self._converter = saved, converter
        finally:
            shutil.rmtree(work, ignore_errors=True)

    def error_message(self, error: Exception) -> str:
        """Message for the page: without folders, and without details of unexpected errors."""
        if not isinstance(error, SvcError):
            traceback.print_exception(error)
            return UNEXPECTED
        return f"{self._without_folders(printable(str(error)))}."

    def close(self) -> None:
        """End all jobs."""
        self._jobs.close()

    def _without_folders(self, text: str) -> str:
        return re.sub(rf"{re.escape(str(self.folder))}/(?:[\w.-]+/)*", "", text)

    def _uploaded(self, upload: str | None, missing: str) -> Path:
        """The file of an upload; no other file of this machine is read for a browser."""
        if not upload:
            raise DataError(missing)
        path = Path(upload).resolve()
        if not path.is_relative_to(self.served.resolve()):
            raise DataError("only uploads are read; drop the file on the page")
        return path


def _short(name: str) -> str:
    """The part of a name that fits into a file name."""
    return name.encode()[:100].decode(errors="ignore")


def _summary(mix: SpeakerMix, report: ConversionReport) -> str:
    shift = f"transposed by {report.transpose:+g} semitones" if report.transpose else "not transposed"
    computing = sum(report.timings.values())
    text = f"Converted to {mix.label}, {shift}; {report.seconds:.1f} s of song took {computing:.1f} s."
    if mix.stats.high_f0 <= 0:
        return f"{text} The range of the speaker is not known."
    shares = {"below": report.share_below_range, "above": report.share_above_range}
    outside = ", ".join(f"{share:.0%} {side}" for side, share in shares.items() if share >= 0.005)
    text += f" Notes more than a semitone outside the speaker's range: {outside or 'none'}."
    return f"{text} Another transposition may sound better." if sum(shares.values()) > OUTSIDE_HINT else text
