"""A speaker: name, pitch range and level; what a prepared folder and a voice know of one."""

import unicodedata
from dataclasses import dataclass

from svc.errors import DataError

MAX_NAME = 64  # characters
_FORBIDDEN = set('/\\:*?"<>|')


@dataclass(frozen=True, slots=True)
class Speaker:
    """Statistics of one speaker."""

    name: str  # see ``checked_name``
    seconds: float  # of accepted audio
    median_f0: float  # Hz over all voiced frames
    low_f0: float  # Hz, 5th percentile
    high_f0: float  # Hz, 95th percentile
    level: float = 0.0  # dB, A-weighted, of voiced frames: the mean over clips of their medians; 0 if not measured
    band: float = 0.0  # Hz, up to which the recordings reach; 0 if not measured

    @property
    def range(self) -> tuple[float, float, float]:
        """Median, low and high f0 in Hz, 0 where not measured."""
        return self.median_f0, self.low_f0, self.high_f0


def checked_name(name: str) -> str:
    """A speaker name in Unicode's composed form (NFC), if it is safe in file names, tables and command lines.

    Raises:
        DataError: it is not.
    """
    composed = unicodedata.normalize("NFC", name)
    fits = 0 < len(composed) <= MAX_NAME and composed.isprintable() and composed == composed.strip()
    if not fits or _FORBIDDEN & set(composed) or composed[0] in ".-" or ".." in composed:
        raise DataError(f"{ascii(name)[:80]} is no speaker name; use 1 to {MAX_NAME} letters, digits and spaces")
    return composed


def checked_new_name(name: str) -> str:
    """``checked_name`` that also refuses what ``--speaker`` reads otherwise: a number, or a list with commas.

    Raises:
        DataError: the name cannot be given to a speaker.
    """
    composed = checked_name(name)
    if composed.isdecimal():
        raise DataError(f"{composed}: is a number, and every speaker has a number already; use a name with a letter")
    if "," in composed:
        raise DataError(f"{composed}: holds a comma, which separates the speakers of a mix; use a name without one")
    return composed
