"""HTML report page in one file: a sentence, audio players with spectrograms, and folded tables."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from jinja2 import Environment
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from svc.audio.files import Audio
from svc.audio.plot import plot_spectrogram
from svc.utils import atomic

Curve = NDArray[np.floating]
STRIP = (11.0, 1.5)  # inches of a spectrogram on the page
GOOD, FAIR = 0.6, 0.3  # position of a mark between floor and ceiling


@dataclass(frozen=True, slots=True)
class Table:
    """A table of text cells, with an explanation of each column for the page."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    hints: Sequence[str] = ()

    def markdown(self) -> str:
        """The table in Markdown, without a final newline."""
        lines = [self.columns, ["---"] * len(self.columns), *self.rows]
        return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


@dataclass(frozen=True, slots=True)
class Mark:
    """A number with a label, and its position from floor (0) to ceiling (1)."""

    label: str
    value: str
    position: float
    hint: str

    @property
    def verdict(self) -> str:
        """``good``, ``fair`` or ``poor``."""
        return "good" if self.position >= GOOD else "fair" if self.position >= FAIR else "poor"


@dataclass(frozen=True, slots=True)
class AudioExample:
    """A recording on the page, with its f0 (N,) in Hz and a reference f0 to plot over it; 0 where unvoiced."""

    title: str
    audio: Audio
    f0: Curve | None = None
    reference_f0: Curve | None = None

    def plot(self, axes: Axes, title: str) -> None:
        """The spectrogram with f0."""
        plot_spectrogram(axes, self.audio.samples, self.audio.rate, self.f0, title, self.reference_f0)


@dataclass(frozen=True, slots=True)
class Section:
    """Recordings to compare at the same position, with marks."""

    heading: str
    examples: Sequence[AudioExample]
    marks: Sequence[Mark] = ()


@dataclass(frozen=True, slots=True)
class Page:
    """Contents of a page: a sentence, sections of recordings; folded, tables by heading, and notes."""

    title: str
    intro: str
    tables: Mapping[str, Table]
    sections: Sequence[Section] = ()
    notes: Sequence[str] = ()
    order: str = ""  # of the sections, in words


def write(path: Path, page: Page) -> None:
    """Write a page."""
    template = Environment(autoescape=True).from_string(
        Path(__file__).with_name("report.html.jinja").read_text(encoding="utf-8")
    )
    sections = [(section, [_player(example) for example in section.examples]) for section in page.sections]
    atomic.write_bytes(path, template.render(page=page, sections=sections).encode())


def _player(example: AudioExample) -> dict[str, str | float]:
    """What the template shows of a recording: FLAC, no louder than full scale, and its spectrogram.

    The picture fills its frame, so that its width is the length of the recording.
    """
    audio, title = example.audio, example.title
    peak = float(np.abs(audio.samples).max(initial=0.0))
    if peak > 1:
        title += f" ({-20 * np.log10(peak):.1f} dB, to avoid clipping)"
    sound = io.BytesIO()
    soundfile.write(sound, audio.samples / max(1.0, peak), audio.rate, format="FLAC", subtype="PCM_16")
    figure = Figure(figsize=STRIP)
    axes = figure.add_axes((0, 0, 1, 1))
    example.plot(axes, "")
    axes.tick_params("y", direction="in", pad=-18, colors="white")
    axes.tick_params("x", bottom=False, labelbottom=False)
    picture = _base64(png(figure))
    return {"title": title, "seconds": audio.seconds, "data": _base64(sound.getvalue()), "picture": picture}


def plot_section(section: Section) -> bytes:
    """Spectrograms of a section as PNG."""
    figure = Figure(figsize=(11, 1.9 * len(section.examples)), layout="constrained")
    rows = figure.subplots(len(section.examples), squeeze=False)[:, 0]
    for axes, example in zip(rows, section.examples, strict=True):
        example.plot(axes, example.title)
    return png(figure)


def png(figure: Figure) -> bytes:
    """A figure as PNG."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=80)
    return stream.getvalue()


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
