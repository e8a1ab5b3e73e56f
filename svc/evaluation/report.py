"""A page to look at and to listen to, all in one file."""

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
from svc.audio.plot import draw
from svc.utils import atomic

Curve = NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class Table:
    """Named columns and rows of as many cells."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]

    def markdown(self) -> str:
        """Lines of Markdown, without the last line's end."""
        lines = [self.columns, ["---"] * len(self.columns), *self.rows]
        return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


@dataclass(frozen=True, slots=True)
class Exhibit:
    """One recording on the page, with a melody (N,) in Hz to draw over it, and one that was asked for; 0: unvoiced."""

    title: str
    audio: Audio
    f0: Curve | None = None
    asked: Curve | None = None


@dataclass(frozen=True, slots=True)
class Section:
    """Recordings to compare, and what was measured of them."""

    heading: str
    text: str
    exhibits: Sequence[Exhibit]


@dataclass(frozen=True, slots=True)
class Page:
    """All of it: a sentence, tables by their headings, drawings by theirs (PNG), and recordings."""

    title: str
    intro: str
    tables: Mapping[str, Table]
    sections: Sequence[Section] = ()
    drawings: Mapping[str, bytes] = field(default_factory=dict)
    notes: Sequence[str] = ()


def write(path: Path, page: Page) -> None:
    """Write the page: tables, drawings, then every section with players and spectrograms with the melodies."""
    template = Environment(autoescape=True).from_string(_PAGE)
    shown = [
        {
            "heading": section.heading,
            "text": section.text,
            "picture": _text(section_picture(section)),
            "sounds": [{"title": e.title, "data": _sound(e.audio)} for e in section.exhibits],
        }
        for section in page.sections
    ]
    drawings = {heading: _text(drawing) for heading, drawing in page.drawings.items()}
    atomic.write_bytes(path, template.render(page=page, sections=shown, drawings=drawings).encode())


def section_picture(section: Section) -> bytes:
    """The spectrograms of a section as PNG."""
    figure = Figure(figsize=(11, 1.9 * len(section.exhibits)), layout="constrained")
    rows = figure.subplots(len(section.exhibits), squeeze=False)[:, 0]
    for axes, exhibit in zip(rows, section.exhibits, strict=True):
        draw(axes, exhibit.audio.samples, exhibit.audio.rate, exhibit.f0, exhibit.title, exhibit.asked)
    return png(figure)


def png(figure: Figure) -> bytes:
    """A drawing as a file."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=80)
    return stream.getvalue()


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _sound(audio: Audio) -> str:
    stream = io.BytesIO()
    soundfile.write(stream, np.clip(audio.samples, -1, 1), audio.rate, format="FLAC", subtype="PCM_16")
    return _text(stream.getvalue())


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
{% for heading, drawing in drawings.items() %}<h2>{{ heading }}</h2>
<img alt="{{ heading }}" src="data:image/png;base64,{{ drawing }}">
{% endfor %}
{% for section in sections %}<h2>{{ section.heading }}</h2><p>{{ section.text }}</p>
<div class="sounds">{% for sound in section.sounds %}<figure><figcaption>{{ sound.title }}</figcaption>
<audio controls preload="none" src="data:audio/flac;base64,{{ sound.data }}"></audio></figure>{% endfor %}</div>
<img alt="spectrograms with the melody drawn over them" src="data:image/png;base64,{{ section.picture }}">
{% endfor %}</body></html>
"""
