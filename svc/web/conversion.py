"""A conversion as chosen on the page, its result, and a summary for people."""

from dataclasses import dataclass
from pathlib import Path

from svc.inference.converter import ConversionReport
from svc.inference.loudness import Loudness
from svc.inference.speaker_mix import SpeakerMix
from svc.inference.voice import VoiceFile
from svc.web.melody import Curve

OUTSIDE_HINT = 0.2  # share of the notes outside the range above which another key is suggested


@dataclass(frozen=True, slots=True)
class ConversionRequest:
    """A conversion as chosen on the page.

    Attributes:
        first: name or number of a speaker.
        second: of the one that is mixed in; empty for none.
        share: of the second, 0 to 1.
        transpose: ``auto``, ``match`` or semitones, as text.
        loudness: see ``svc.inference.loudness``.
    """

    first: str
    second: str = ""
    share: float = 0.0
    transpose: str = "auto"
    loudness: Loudness = "source"

    @property
    def speaker(self) -> str:
        """Text for ``svc.inference.speaker_mix.parse_speaker``."""
        if not self.second or self.share <= 0 or self.second == self.first:
            return self.first
        return f"{self.first}:{1 - self.share:.4f},{self.second}:{self.share:.4f}"

    def label(self, voice: VoiceFile) -> str:
        """Names of the speakers, with their shares."""
        names = {f"#{speaker.number}": speaker.name for speaker in voice.speakers}
        if ":" not in self.speaker:
            return names[self.first]
        return f"{names[self.first]} {1 - self.share:.0%} + {names[self.second]} {self.share:.0%}"


@dataclass(frozen=True, slots=True)
class Result:
    """A conversion.

    Attributes:
        audio: file to play and download.
        melody: CSV of the f0 of the song, as it was converted, before transposition.
        f0: (N,) Hz of that, 0 where unvoiced.
        plot: PNG of the f0 curves.
        message: summary in sentences.
    """

    audio: Path
    melody: Path
    f0: Curve
    plot: bytes
    message: str


def summarise(label: str, mix: SpeakerMix, report: ConversionReport) -> str:
    """Speaker, key, time and notes out of range, in sentences."""
    steps = f"{abs(report.transpose):g} semitones {'higher' if report.transpose > 0 else 'lower'}"
    key = steps if report.transpose else "in the original key"
    parts = [f"{label}, {key}. {report.seconds:.1f} s of song took {sum(report.timings.values()):.1f} s."]
    if gain := report.gain.describe():
        parts.append(f"{gain[0].upper()}{gain[1:]}.")
    if mix.stats.high_f0 <= 0:
        parts.append("The range of the speaker is not known.")
    shares = {"below": report.share_below_range, "above": report.share_above_range}
    outside = " and ".join(f"{share:.0%} of the notes lie {side}" for side, share in shares.items() if share >= 0.005)
    parts += [f"{outside} the speaker's range."] if outside else []
    parts += ["Another key may sound better."] if sum(shares.values()) > OUTSIDE_HINT else []
    return " ".join(parts)
