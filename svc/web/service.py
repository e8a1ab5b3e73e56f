"""What the buttons of the page do; knows nothing of the page."""

import re
import secrets
import shutil
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from svc.audio import files
from svc.errors import DataError, SvcError, printable
from svc.inference import transpose
from svc.inference.converter import Converter, Progress, Report, quiet
from svc.inference.speaker_mix import Cast, cast
from svc.inference.speakers import check_free
from svc.inference.voice import Voice
from svc.web import f0_plot, jobs
from svc.web.limits import Deadline, Limits, length, read

UNEXPECTED = "This did not work, and it is not your fault: the reason is in the terminal where svc serve runs."
FAR = 0.2  # share of the notes beyond the range from which on another key is worth a try


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants to hear.

    Attributes:
        singer: name or number.
        other: who is mixed in; empty for nobody.
        share: of the other, 0 to 1.
        key: ``auto``, ``match`` or semitones, as text.
    """

    singer: str
    other: str = ""
    share: float = 0.0
    key: str = "auto"

    @property
    def speaker(self) -> str:
        """As ``svc.inference.speaker_mix.cast`` reads it."""
        if not self.other or self.share <= 0 or self.other == self.singer:
            return self.singer
        return f"{self.singer}:{1 - self.share:.4f},{self.other}:{self.share:.4f}"


@dataclass(frozen=True, slots=True)
class Result:
    """A conversion.

    Attributes:
        audio: the file to hear and to keep.
        picture: PNG of the melodies.
        told: what happened, in sentences.
    """

    audio: Path
    picture: bytes
    told: str


class Service:
    """A voice, and what can be asked of it.

    Args:
        voice: file of the voice to begin with.
        folder: for whatever is made; ``served`` in it is what browsers may read.
        limits: of what is taken.

    Raises:
        WeightsError: the voice is refused.
    """

    def __init__(self, voice: Path, folder: Path, limits: Limits | None = None):
        self.limits = limits or Limits()
        self.folder, self.served = folder, folder / "served"
        self.served.mkdir(exist_ok=True)
        self.voice_file = voice
        self._programs = jobs.Programs()
        self._converter = Converter(Voice.load(voice))
        self._asked: list[tuple[str, Deadline]] = []  # conversions under way, and the pages that wait for them

    @property
    def voice(self) -> Voice:
        """As it is now, with who has been fitted."""
        return self._converter.voice

    @property
    def made(self) -> Path | None:
        """The file of the voice with who has been fitted; it goes when the server ends."""
        return self.voice_file if self.voice_file.is_relative_to(self.folder) else None

    def singers(self) -> list[tuple[str, str]]:
        """What to show and what to write in a wish for everybody in the voice."""
        names = {singer.name for singer in self.voice.singers}
        return [
            (f"{singer.number} {singer.name}", singer.name if str(singer.number) in names else str(singer.number))
            for singer in self.voice.singers
        ]

    def convert(self, song: str | None, wish: Wish, progress: Progress = quiet, page: str = "") -> Result:
        """Sing an uploaded song.

        Args:
            song: the file.
            wish: see there.
            progress: called with the name of a stage and the share of it that is done.
            page: who asks, for ``leave``.

        Raises:
            SvcError: there is no song, it is refused or takes too long, or the wish makes no sense.
        """
        asked = page, Deadline(self.limits.convert_seconds, "the conversion")
        self._asked.append(asked)
        try:
            return self._sing(song, wish, progress, asked[1])
        finally:
            self._asked.remove(asked)

    def _sing(self, song: str | None, wish: Wish, progress: Progress, deadline: Deadline) -> Result:
        path, converter = self._received(song, "drop a song first, or record one"), self._converter

        def watched(stage: str, share: float) -> None:
            deadline.check()
            progress(stage, min(1.0, share))

        if not {wish.singer, wish.other} <= {word for _, word in self.singers()} | {""}:
            raise DataError("choose a singer of the menu; reload the page if they have changed")
        singer = cast(converter.voice, wish.speaker)
        audio = read(path, self.limits.minutes)
        made, report = converter.convert(audio, wish.speaker, transpose=transpose.parse(wish.key), progress=watched)
        out = self.served / secrets.token_hex(16)
        out.mkdir()
        target = out / f"{_short(path.stem)}_{_short(singer.label)}.wav"
        try:
            files.write(target, made)
        except SvcError:
            shutil.rmtree(out)
            raise
        drawn = f0_plot.picture(report.melody, report.f0, singer.singer.range, singer.label)
        return Result(target, drawn, _told(singer, report))

    def leave(self, page: str) -> None:
        """A page was closed: its conversion, if one is under way, ends."""
        for waiting, deadline in list(self._asked):
            if waiting == page:
                deadline.leave()

    def fit(self, name: str, clips: Sequence[str]) -> Iterator[str]:
        """Fit a new singer, telling what goes on; in the end the voice has one more.

        Raises:
            SvcError: the name is taken or unfit, a clip is refused, or the fit failed.
        """
        if not name.strip():
            raise DataError("give the singer a name first")
        name = check_free(self.voice, name.strip())
        paths = [self._received(clip, "drop some clips of the singer first") for clip in clips or [""]]
        seconds = [length(path, self.limits.minutes) for path in paths]
        if len(paths) > self.limits.clips or sum(seconds) > 60 * self.limits.clip_minutes:
            raise DataError(f"give {self.limits.clips} clips of {self.limits.clip_minutes:g} minutes at most")
        work = self.folder / f"fit-{secrets.token_hex(8)}"
        given = work / "clips"
        try:
            given.mkdir(parents=True)
            for number, path in enumerate(paths):
                shutil.copyfile(path, given / jobs.safe_name(number, path.name))
            made = work / "voice.safetensors"
            words = jobs.command(self.voice_file.absolute(), given, name, made)
            for text in self._programs.watch(words, work, Deadline(self.limits.fit_seconds, "the fit")):
                yield self._shown(text)
            converter = Converter(Voice.load(made))
            made = made.replace(self.folder / f"voice_{_short(name)}.safetensors")
            self.voice_file, self._converter = made, converter
        finally:
            shutil.rmtree(work, ignore_errors=True)

    def sentence(self, error: Exception) -> str:
        """What to tell of an error: no folder of ours, and of the unexpected nothing but that it happened."""
        if not isinstance(error, SvcError):
            traceback.print_exception(error)
            return UNEXPECTED
        return f"{self._shown(printable(str(error)))}."

    def close(self) -> None:
        """End what still runs."""
        self._programs.close()

    def _shown(self, text: str) -> str:
        """Text without the names of our folders."""
        return re.sub(rf"{re.escape(str(self.folder))}/(?:[\w.-]+/)*", "", text)

    def _received(self, upload: str | None, missing: str) -> Path:
        """The file of an upload; nothing else of this machine is read for a browser."""
        if not upload:
            raise DataError(missing)
        path = Path(upload).resolve()
        if not path.is_relative_to(self.served.resolve()):
            raise DataError("only what was uploaded is read; drop the file on the page")
        return path


def _short(name: str) -> str:
    """As much of a name as goes into that of a file."""
    return name.encode()[:100].decode(errors="ignore")


def _told(singer: Cast, report: Report) -> str:
    moved = f"moved by {report.transpose:+g} semitones" if report.transpose else "in its own key"
    spent = sum(report.spent.values())
    text = f"Sung by {singer.label}, {moved}; {report.seconds:.1f} s of song took {spent:.1f} s."
    if singer.singer.high_f0 <= 0:
        return f"{text} The singer's range is not known."
    shares = {"below": report.below, "above": report.above}
    beyond = ", ".join(f"{share:.0%} {where}" for where, share in shares.items() if share >= 0.005)
    text += f" Notes more than a semitone outside the singer's range: {beyond or 'none'}."
    return f"{text} Another key may sound better." if report.below + report.above > FAR else text
