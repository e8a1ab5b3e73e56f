"""A page to look at and to listen to, all in one file."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import soundfile
from jinja2 import Environment
from matplotlib.figure import Figure
from numpy.typing import NDArray

from svc.audio.files import Audio
from svc.audio.picture import draw

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
    """One recording on the page, with a melody (N,) in Hz to draw over it, 0 where unvoiced."""

    title: str
    audio: Audio
    f0: Curve | None = None


@dataclass(frozen=True, slots=True)
class Section:
    """Recordings to compare, and what was measured of them."""

    heading: str
    text: str
    exhibits: Sequence[Exhibit]


def write(path: Path, title: str, intro: str, table: Table, sections: Sequence[Section]) -> None:
    """Write the page: a table, then every section with players, spectrograms and the melody over them."""
    page = Environment(autoescape=True).from_string(_PAGE)
    shown = [
        {
            "heading": section.heading,
            "text": section.text,
            "picture": _embedded(section),
            "sounds": [{"title": e.title, "data": _sound(e.audio)} for e in section.exhibits],
        }
        for section in sections
    ]
    path.write_text(page.render(title=title, intro=intro, table=table, sections=shown), encoding="utf-8")


def picture(section: Section, stream: IO[bytes]) -> None:
    """Write the spectrograms of a section as PNG."""
    figure = Figure(figsize=(11, 1.9 * len(section.exhibits)), layout="constrained")
    rows = figure.subplots(len(section.exhibits), squeeze=False)[:, 0]
    for axes, exhibit in zip(rows, section.exhibits, strict=True):
        draw(axes, exhibit.audio.samples, exhibit.audio.rate, exhibit.f0, exhibit.title)
    figure.savefig(stream, format="png", dpi=80)


def _embedded(section: Section) -> str:
    stream = io.BytesIO()
    picture(section, stream)
    return base64.b64encode(stream.getvalue()).decode()


def _sound(audio: Audio) -> str:
    stream = io.BytesIO()
    soundfile.write(stream, np.clip(audio.samples, -1, 1), audio.rate, format="FLAC", subtype="PCM_16")
    return base64.b64encode(stream.getvalue()).decode()


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{{ title }}</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
table { border-collapse: collapse; } td, th { padding: .2rem .8rem; text-align: right; border-bottom: 1px solid #ddd; }
td:first-child, th:first-child { text-align: left; } img { width: 100%; }
.sounds { display: flex; flex-wrap: wrap; gap: 1rem; } figure { margin: 0; } audio { display: block; width: 20rem; }
</style></head><body>
<h1>{{ title }}</h1><p>{{ intro }}</p>
<table><tr>{% for name in table.columns %}<th>{{ name }}</th>{% endfor %}</tr>
{% for row in table.rows %}<tr>{% for cell in row %}<td>{{ cell }}</td>{% endfor %}</tr>
{% endfor %}</table>
{% for section in sections %}<h2>{{ section.heading }}</h2><p>{{ section.text }}</p>
<div class="sounds">{% for sound in section.sounds %}<figure><figcaption>{{ sound.title }}</figcaption>
<audio controls preload="none" src="data:audio/flac;base64,{{ sound.data }}"></audio></figure>{% endfor %}</div>
<img alt="spectrograms with the melody drawn over them" src="data:image/png;base64,{{ section.picture }}">
{% endfor %}</body></html>
"""
