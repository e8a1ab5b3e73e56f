"""Web service: conversions and fits for the page, without knowledge of the page."""

import re
import secrets
import shutil
import threading
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from svc.adaptation.zero_shot import add_speaker, has_encodings
from svc.audio import files
from svc.audio.files import Audio
from svc.data.synthetic.phrases import recorded_phrase
from svc.data.synthetic.singers import SINGERS, render
from svc.errors import DataError, SvcError, printable
from svc.features import f0_csv
from svc.features.transpose import parse_transpose
from svc.inference.converter import ConversionOptions, Converter, Progress, no_progress
from svc.inference.speakers import check_new_name
from svc.inference.voice import VoiceFile
from svc.web import jobs, melody
from svc.web.conversion import ConversionRequest, Result, summarise
from svc.web.limits import Limits, check_length

UNEXPECTED = "This did not work, and it is not your fault: the reason is in the terminal where svc serve runs."
EXAMPLE_SEED = 9_001


@dataclass(frozen=True, slots=True)
class FitStatus:
    """What the page shows of the fit."""

    state: Literal["idle", "running", "finished", "failed"]  # idle before the first one
    message: str
    share: float = 0.0  # of the work that is done, 0 to 1


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
        self.name = voice.stem if voice.stem != "voice" else voice.resolve().parent.name
        self._converter = Converter(VoiceFile.load(voice))
        self._cancelled: dict[str, threading.Event] = {}  # by page, until its conversion has ended
        self._job: tuple[str, jobs.Job] | None = None  # the fit of a name
        self._fit_status = FitStatus("idle", "A fit takes some minutes. It goes on when you close the page.")
        self._lock = threading.RLock()  # of the voice and the fit

    @property
    def voice(self) -> VoiceFile:
        """The voice with all speakers fitted so far."""
        return self._converter.voice

    @property
    def saved_voice(self) -> Path | None:
        """File of the voice with the fitted speakers; it is deleted when the server ends."""
        return self.voice_file if self.voice_file.is_relative_to(self.folder) else None

    def speakers(self) -> list[tuple[str, str]]:
        """Label, with the range, and value of a menu of all speakers."""
        return [
            (f"{s.name} · {melody.note_name(s.low_f0)} to {melody.note_name(s.high_f0)}" if s.high_f0 else s.name,
             f"#{s.number}")
            for s in self.voice.speakers
        ]  # fmt: skip

    def example(self) -> Path:
        """A short song, by a synthetic tenor."""
        path = self.served / "example" / "example song.wav"
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            song = render(SINGERS[-1], recorded_phrase(EXAMPLE_SEED))
            files.write(path, Audio(song.samples, song.rate))
        return path

    def convert(
        self, song: str | None, request: ConversionRequest, progress: Progress = no_progress, page: str = "",
        f0_curve: melody.Curve | None = None,
    ) -> Result:  # fmt: skip
        """Convert an uploaded song.

        Args:
            song: the file.
            request: see there.
            progress: called with the name of a stage and the share of it that is done.
            page: who waits, for ``cancel``.
            f0_curve: (N,) Hz, 0 where unvoiced, to sing instead of the song's own melody.

        Raises:
            SvcError: there is no song, it is refused or takes too long, or the request is not valid.
        """
        end, cancelled = time.monotonic() + self.limits.convert_seconds, self._cancelled.get(page, threading.Event())

        def show(stage: str, share: float) -> None:
            if cancelled.is_set():
                raise DataError("the conversion was cancelled")
            if time.monotonic() > end:
                raise DataError("the conversion took too long; give a shorter song")
            progress(stage, min(1.0, share))

        out, converter = self.served / secrets.token_hex(16), self._converter
        try:
            path = self._uploaded(song, "Drop a song first, or record one")
            if not {request.first, request.second} <= {value for _, value in self.speakers()} | {""}:
                raise DataError("choose a speaker from the menu; reload the page if they have changed")
            check_length(path, self.limits.minutes)
            show("extract", 0.0)
            mix, transpose = converter.parse_speaker(request.speaker), parse_transpose(request.transpose)
            name = _short(path.stem)
            csv, target = out / f"{name}_melody.csv", out / f"{name}_{_short(mix.label)}.wav"
            out.mkdir()
            if f0_curve is not None:
                f0_csv.write_csv(csv, f0_curve.astype("float32"))
            curve_file = csv if f0_curve is not None else None
            options = ConversionOptions(mix, transpose, request.loudness, curve_file, save_f0_csv=csv)
            report = converter.convert_file(path, target, options, show)
            plot = melody.plot_f0(report.source_f0, report.f0, mix.stats.range, mix.label)
            return Result(target, csv, report.source_f0, plot, summarise(mix, report))
        except SvcError:
            shutil.rmtree(out, ignore_errors=True)
            raise
        finally:
            if self._cancelled.get(page) is cancelled:
                del self._cancelled[page]

    def announce(self, page: str) -> None:
        """Prepare for a conversion of a page, which ``cancel`` stops also while it waits; the one before it ends."""
        self.cancel(page)
        self._cancelled[page] = threading.Event()

    def cancel(self, page: str) -> None:
        """Stop the conversion of a page."""
        if event := self._cancelled.get(page):
            event.set()

    @property
    def zero_shot(self) -> bool:
        """Whether the voice takes a speaker from recordings without training."""
        return has_encodings(self.voice)

    def start_fit(self, name: str, clips: Sequence[str], zero_shot: bool = False) -> None:
        """Fit a new speaker beside the page, see ``fit_status``; or add one at once, without training.

        Raises:
            SvcError: the name is in use or not allowed, a clip is refused, or another fit is running.
        """
        with self._lock:
            if self.fit_status().state == "running":
                raise DataError("another fit is running; wait for it, or cancel it")
            if not name.strip():
                raise DataError("Give the speaker a name first")
            name = check_new_name(self.voice, name.strip())
            paths = [self._uploaded(clip, "Drop some recordings of the speaker first") for clip in clips or [""]]
            seconds = [check_length(path, self.limits.minutes) for path in paths]
            if len(paths) > self.limits.clips or sum(seconds) > 60 * self.limits.clip_minutes:
                raise DataError(f"give {self.limits.clips} recordings of {self.limits.clip_minutes:g} minutes at most")
            if zero_shot:
                voice = add_speaker(self.voice, name, paths)
                path = self.folder / f"voice_{_short(name)}.safetensors"
                voice.save(path)
                self._use(path, voice, name)
                return
            work = self.folder / f"fit-{secrets.token_hex(8)}"
            (work / "clips").mkdir(parents=True)
            for number, path in enumerate(paths):
                shutil.copyfile(path, work / "clips" / jobs.safe_name(number, path.name))
            command = jobs.fit_command(self.voice_file.absolute(), work / "clips", name, work / "voice.safetensors")
            self._job = name, jobs.Job(command, work, self.limits.fit_seconds)

    def fit_status(self) -> FitStatus:
        """State of the last fit; after it has finished the voice has one more speaker."""
        with self._lock:
            if self._job is None:
                return self._fit_status
            name, job = self._job
            try:
                if job.is_running():
                    return FitStatus("running", f"{name}: {job.stage}. You can convert songs meanwhile.", job.share)
                voice = VoiceFile.load(job.folder / "voice.safetensors")
                path = self.folder / f"voice_{_short(name)}.safetensors"
                self._use((job.folder / "voice.safetensors").replace(path), voice, name)
            except Exception as failure:  # whatever it is, the page goes on
                self._end_fit(FitStatus("failed", self.error_message(failure)))
            return self._fit_status

    def cancel_fit(self) -> None:
        """End a fit that is running."""
        with self._lock:
            self._end_fit(FitStatus("failed", "The fit was cancelled."))

    def _use(self, path: Path, voice: VoiceFile, name: str) -> None:
        """Go on with a voice that has one more speaker."""
        self.voice_file, self._converter = path, Converter(voice)
        if self._job:
            self._job[1].close()
        text = f"{name} is ready, under Convert a song. Download the voice: it is gone when the server ends."
        self._job, self._fit_status = None, FitStatus("finished", text, 1.0)

    def _end_fit(self, status: FitStatus) -> None:
        if self._job:
            self._job[1].close()
            self._job, self._fit_status = None, status

    def error_message(self, error: Exception) -> str:
        """Message for the page: without folders, options, or details of unexpected errors."""
        if not isinstance(error, SvcError):
            traceback.print_exception(error)
            return UNEXPECTED
        text = re.sub(rf"{re.escape(str(self.folder))}/(?:[\w.-]+/)*", "", printable(str(error)))
        parts = [part for part in re.sub(r"--[\w-]+ \S+: ", "", text).split("; ") if "--" not in part]
        return f"{'; '.join(parts)}."

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
