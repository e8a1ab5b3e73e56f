"""HTML report page in one file: tables, figures, audio players and spectrograms."""

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


@dataclass(frozen=True, slots=True)
class Table:
    """A table of text cells."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]

    def markdown(self) -> str:
        """The table in Markdown, without a final newline."""
        lines = [self.columns, ["---"] * len(self.columns), *self.rows]
        return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


@dataclass(frozen=True, slots=True)
class AudioExample:
    """A recording on the page, with its f0 (N,) in Hz and a reference f0 to plot over it; 0 where unvoiced."""

    title: str
    audio: Audio
    f0: Curve | None = None
    reference_f0: Curve | None = None


@dataclass(frozen=True, slots=True)
class Section:
    """Recordings to compare, with a text."""

    heading: str
    text: str
    examples: Sequence[AudioExample]


@dataclass(frozen=True, slots=True)
class Page:
    """The contents of a page: tables and figures (PNG) by heading, sections of recordings, notes."""

    title: str
    intro: str
    tables: Mapping[str, Table]
    sections: Sequence[Section] = ()
    figures: Mapping[str, bytes] = field(default_factory=dict)
    notes: Sequence[str] = ()


def write(path: Path, page: Page) -> None:
    """Write a page: tables, notes, figures, then every section with players and spectrograms."""
    template = Environment(autoescape=True).from_string(_PAGE)
    shown = [
        {
            "heading": section.heading,
            "text": section.text,
            "picture": _base64(plot_section(section)),
            "sounds": [{"title": e.title, "data": _flac(e.audio)} for e in section.examples],
        }
        for section in page.sections
    ]
    figures = {heading: _base64(image) for heading, image in page.figures.items()}
    atomic.write_bytes(path, template.render(page=page, sections=shown, figures=figures).encode())


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


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{{ page.title }}</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
table { border-collapse: collapse; display: block; overflow-x: auto; }
td, th { padding: .2rem .8rem; text-align: right; border-bottom: 1px solid #ddd; }
td:first-child, th:first-child { text-align: left; } img { max-width: 100%; }
.sounds { display: flex; flex-wrap: wrap; gap: 1rem; } figure { margin: 0; } audio { display: block; width: 20rem; }
</style></head><body>
<h1>{{ page.title }}</h1><p>{{ page.intro }}</p>
{% for heading, table in page.tables.items() %}{% if heading %}<h2>{{ heading }}</h2>{% endif %}
<table><tr>{% for name in table.columns %}<th>{{ name }}</th>{% endfor %}</tr>
{% for row in table.rows %}<tr>{% for cell in row %}<td>{{ cell }}</td>{% endfor %}</tr>
{% endfor %}</table>
{% endfor %}{% if page.notes %}<ul>{% for note in page.notes %}<li>{{ note }}</li>{% endfor %}</ul>{% endif %}
{% for heading, image in figures.items() %}<h2>{{ heading }}</h2>
<img alt="{{ heading }}" src="data:image/png;base64,{{ image }}">
{% endfor %}
{% for section in sections %}<h2>{{ section.heading }}</h2><p>{{ section.text }}</p>
<div class="sounds">{% for sound in section.sounds %}<figure><figcaption>{{ sound.title }}</figcaption>
<audio controls preload="none" src="data:audio/flac;base64,{{ sound.data }}"></audio></figure>{% endfor %}</div>
<img alt="spectrograms with f0" src="data:image/png;base64,{{ section.picture }}">
{% endfor %}</body></html>
"""
