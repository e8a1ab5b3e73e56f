"""HTML report page in one file: a sentence, audio players with spectrograms, and folded tables and figures."""

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile
from jinja2 import Environment
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


@dataclass(frozen=True, slots=True)
class Section:
    """Recordings to compare at the same position, with marks."""

    heading: str
    examples: Sequence[AudioExample]
    marks: Sequence[Mark] = ()


@dataclass(frozen=True, slots=True)
class Page:
    """Contents of a page: a sentence, sections of recordings; folded, tables and figures (PNG) by heading, notes."""

    title: str
    intro: str
    tables: Mapping[str, Table]
    sections: Sequence[Section] = ()
    figures: Mapping[str, bytes] = field(default_factory=dict)
    notes: Sequence[str] = ()
    order: str = ""  # of the sections, in words


def write(path: Path, page: Page) -> None:
    """Write a page."""
    template = Environment(autoescape=True).from_string(
        Path(__file__).with_name("report.html.jinja").read_text(encoding="utf-8")
    )
    shown = [
        (
            section,
            [
                {"title": e.title, "seconds": e.audio.seconds, "data": _flac(e.audio), "picture": _base64(_strip(e))}
                for e in section.examples
            ],
        )
        for section in page.sections
    ]
    figures = {heading: _base64(image) for heading, image in page.figures.items()}
    atomic.write_bytes(path, template.render(page=page, sections=shown, figures=figures).encode())


def _strip(example: AudioExample) -> bytes:
    """Spectrogram that fills its picture, so that its width is the length of the recording."""
    figure = Figure(figsize=STRIP)
    axes = figure.add_axes((0, 0, 1, 1))
    plot_spectrogram(axes, example.audio.samples, example.audio.rate, example.f0, "", example.reference_f0)
    axes.tick_params("y", direction="in", pad=-18, colors="white")
    axes.tick_params("x", bottom=False, labelbottom=False)
    return png(figure)


def plot_section(section: Section) -> bytes:
    """Spectrograms of a section as PNG."""
    figure = Figure(figsize=(11, 1.9 * len(section.examples)), layout="constrained")
    rows = figure.subplots(len(section.examples), squeeze=False)[:, 0]
    for axes, example in zip(rows, section.examples, strict=True):
        plot_spectrogram(
            axes, example.audio.samples, example.audio.rate, example.f0, example.title, example.reference_f0
        )
    return png(figure)


def png(figure: Figure) -> bytes:
    """A figure as PNG."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=80)
    return stream.getvalue()


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _flac(audio: Audio) -> str:
    stream = io.BytesIO()
    soundfile.write(stream, np.clip(audio.samples, -1, 1), audio.rate, format="FLAC", subtype="PCM_16")
    return _base64(stream.getvalue())
