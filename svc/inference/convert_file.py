"""Songs in files: hours long in constant memory, at the loudness that is asked for."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from svc.audio import files, lufs
from svc.audio.chunks import parts
from svc.audio.disk_buffer import spool
from svc.audio.files import Audio, Samples
from svc.audio.resample import resampled
from svc.errors import AudioError, DataError, WeightsError
from svc.features.conditioning import Conditioning
from svc.features.extract import usual
from svc.features.f0 import write_csv
from svc.inference import separation
from svc.inference import transpose as transposition
from svc.inference.converter import Converter, Progress, Report, quiet
from svc.inference.separation import Separator
from svc.inference.speaker_mix import Cast, cast
from svc.utils.units import db_to_gain

HEADROOM = 0.99  # full scale that a song made louder stays below
LUFS = (-70.0, 0.0)


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked of a song.

    Attributes:
        speaker: see ``svc.inference.speaker_mix.cast``.
        transpose: see ``svc.inference.transpose.choose``.
        loudness: ``source``, as the song is; ``target``, as the singer sings; or LUFS.
        curve: CSV of ``seconds,hz`` to take for the melody.
        save_f0: where to write the melody as such a CSV.
    """

    speaker: str
    transpose: transposition.Key = "auto"
    loudness: str | float = "source"
    curve: Path | None = None
    save_f0: Path | None = None


@dataclass(frozen=True, slots=True)
class Gain:
    """Gain in dB that a loudness needed, and what of it was left away so that nothing clips."""

    given: float = 0.0
    withheld: float = 0.0

    def told(self) -> str:
        """In words; nothing where nothing was done."""
        short = f", {self.withheld:.1f} dB less than asked so that nothing clips" if self.withheld else ""
        return f"made {abs(self.given):.1f} dB {'louder' if self.given > 0 else 'quieter'}{short}" if self.given else ""


def parse_loudness(text: str) -> str | float:
    """``source``, ``target``, or something like ``-14LUFS``.

    Raises:
        DataError: it is none of them.
    """
    word = text.strip().lower()
    if word in ("source", "target"):
        return word
    try:
        wanted = float(word.removesuffix("lufs"))
    except ValueError:
        wanted = math.nan
    if not LUFS[0] <= wanted <= LUFS[1]:
        raise DataError(f"--loudness {text}: give source, target, or {LUFS[0]:g} to {LUFS[1]:g} LUFS as -14LUFS")
    return wanted


def convert_file(
    converter: Converter, song: Path, target: Path, wish: Wish, progress: Progress = quiet
) -> tuple[Report, Gain]:
    """Sing a file into another, which has its rate and to the sample its length, and appears whole or not at all.

    Returns:
        The report, and what was done for the loudness.

    Raises:
        SvcError: an input cannot be read, or the output not be written.
    """
    files.check_format(target)
    voice, rate = converter.voice, converter.voice.config.sample_rate
    singer = cast(voice, wish.speaker)
    if wish.loudness == "target" and not singer.singer.level:
        raise WeightsError(f"--loudness target: nobody knows how loud {singer.label} is; give LUFS as -14LUFS")
    spooled = spool(files.blocks(song), rate)
    files.check_format(target, spooled.rate)
    report = Report(seconds=spooled.seconds)
    report.mark("resample")
    asked = converter.listen(
        spooled.audio, singer, report, transpose=wish.transpose, curve=wish.curve, progress=progress
    )
    made, gain = _levelled(converter.sing(asked, report, progress), asked, singer, wish, (rate, spooled.rate))
    with files.writing(target, spooled.rate) as file:
        for part in resampled(made, rate, spooled.rate, spooled.length):
            file.write(part)
    if wish.save_f0:
        write_csv(wish.save_f0, report.melody)
    report.mark("resample")
    return report, gain


def _levelled(
    sung: Iterator[Samples], asked: Conditioning, singer: Cast, wish: Wish, rates: tuple[int, int]
) -> tuple[Iterable[Samples], Gain]:
    """What is sung, at the first rate, at the loudness that is wished for, so that it does not clip at the second."""
    if wish.loudness == "source":
        return sung, Gain()
    whole = spool((Audio(part, rates[0]) for part in sung), rates[0]).audio.samples
    if wish.loudness == "target":
        gain = _of_the_singer(asked, singer)
    else:
        measured = lufs.integrated(whole, rates[0])
        gain = float(wish.loudness) - measured if math.isfinite(measured) else 0.0
    peak = max((float(np.abs(part).max()) for part in resampled(parts(whole), *rates)), default=0.0)
    withheld = max(0.0, 20 * math.log10(peak * db_to_gain(gain) / HEADROOM)) if peak else 0.0
    given = gain - withheld
    return (part * np.float32(db_to_gain(given)) for part in parts(whole)), Gain(given, withheld)


def _of_the_singer(asked: Conditioning, singer: Cast) -> float:
    """Gain in dB from the level of a song where somebody sings to that of the singer's own recordings."""
    return singer.singer.level - float(usual(asked.loudness[0].numpy(), asked.voiced[0].numpy() > 0))


def convert_mix(
    converter: Converter, separator: Separator, song: Path, target: Path, wish: Wish, progress: Progress = quiet
) -> tuple[Report, str]:
    """Sing the vocal of a full mix of one or two channels, and put it back; the mix is in memory as a whole.

    Returns:
        The report, and what was done to the levels, in words.

    Raises:
        SvcError: an input cannot be read, no voice is heard in it, or the output cannot be written.
    """
    mix, rate = separation.read(song)
    files.check_format(target, rate)
    vocal, rest = separator.separate(mix, rate, progress)
    heard = separation.level(vocal)
    if heard < files.MIN_LEVEL:
        raise AudioError(f"{song}: no voice is heard in it; give a song with one, or leave --separate away")
    made, report = converter.convert(
        Audio(vocal.mean(axis=0), rate), wish.speaker, transpose=wish.transpose, curve=wish.curve, progress=progress
    )
    done = separation.remix(made.samples, vocal, rest)
    separation.write(target, done.samples, rate)
    if wish.save_f0:
        write_csv(wish.save_f0, report.melody)
    lowered = f", all lowered by {done.lowered:.1f} dB so that nothing clips" if done.lowered else ""
    return report, f"the vocal was {separation.level(mix) - heard:.1f} dB below the mix{lowered}"
