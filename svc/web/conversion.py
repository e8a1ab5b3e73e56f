"""A conversion as chosen on the page, its result, and a summary for people."""

from dataclasses import dataclass
from pathlib import Path

from svc.inference.converter import ConversionReport
from svc.inference.loudness import Loudness
from svc.inference.options import OUTSIDE_HINT
from svc.inference.speaker_mix import SpeakerMix
from svc.web.melody import Curve


@dataclass(frozen=True, slots=True)
class ConversionRequest:
    """A conversion as chosen on the page."""

    first: str  # name or number of a speaker
    second: str = ""  # of the one that is mixed in; empty for none
    share: float = 0.0  # of the second, 0 to 1
    transpose: str = "auto"  # or match, or semitones
    loudness: Loudness = "source"

    @property
    def speaker(self) -> str:
        """Text for ``svc.inference.speaker_mix.parse_speaker``."""
        if not self.second or self.share <= 0 or self.second == self.first:
            return self.first
        return f"{self.first}:{1 - self.share:.4f},{self.second}:{self.share:.4f}"


@dataclass(frozen=True, slots=True)
class Result:
    """A conversion."""

    audio: Path  # to play and download
    melody: Path  # CSV of the f0
    f0: Curve  # (N,) Hz of the song as it was converted, before transposition, 0 where unvoiced
    plot: bytes  # PNG of the f0 curves
    message: str  # summary in sentences


def summarise(mix: SpeakerMix, report: ConversionReport) -> str:
    """Speaker, key, time and notes out of range, in sentences."""
    steps = f"{abs(report.transpose):g} semitones {'higher' if report.transpose > 0 else 'lower'}"
    key = steps if report.transpose else "in the original key"
    parts = [f"{mix.label}, {key}. {report.seconds:.1f} s of song took {sum(report.timings.values()):.1f} s."]
    parts += [f"{note[0].upper()}{note[1:]}." for note in report.melody_notes]
    if gain := report.gain.describe():
        parts.append(f"{gain[0].upper()}{gain[1:]}.")
    if mix.stats.high_f0 <= 0:
        parts.append("The range of the speaker is not known.")
    shares = {"below": report.share_below_range, "above": report.share_above_range}
    outside = " and ".join(f"{share:.0%} of the notes lie {side}" for side, share in shares.items() if share >= 0.005)
    parts += [f"{outside} the speaker's range."] if outside else []
    parts += ["Another key may sound better."] if sum(shares.values()) > OUTSIDE_HINT else []
    return " ".join(parts)
