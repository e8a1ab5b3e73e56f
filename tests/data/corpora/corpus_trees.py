"""Directory trees of corpora with tiny sounds, for the tests."""

import io
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np
import soundfile

from svc.data.corpora.base import Recording

SAMPLE_RATE = 16000
SECONDS = 0.05


@cache
def sound(suffix: str) -> bytes:
    """A sine of 0.05 s as a file."""
    content = io.BytesIO()
    sine = 0.1 * np.sin(2 * np.pi * 220 * np.arange(round(SECONDS * SAMPLE_RATE)) / SAMPLE_RATE)
    soundfile.write(content, sine, SAMPLE_RATE, format="FLAC" if suffix == ".flac" else "WAV")
    return content.getvalue()


def write_tree(root: Path, sounds: Iterable[str], texts: Mapping[str, str | bytes] | None = None) -> Path:
    """Write tiny sounds and texts below a folder, by their relative paths."""
    contents = {path: sound(Path(path).suffix) for path in sounds}
    for path, text in (texts or {}).items():
        contents[path] = text.encode() if isinstance(text, str) else text
    for path, content in contents.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
    return root


def count(recordings: Sequence[Recording]) -> tuple[int, int, dict[str, int]]:
    """Numbers of speakers and groups, and of recordings of each kind."""
    assert len({recording.path for recording in recordings}) == len(recordings)
    speakers = {recording.speaker for recording in recordings}
    return len(speakers), len({recording.group for recording in recordings}), Counter(r.kind for r in recordings)


def by_name(recordings: Sequence[Recording]) -> dict[str, Recording]:
    """Recordings by the names of their files, which must differ."""
    names = {recording.path.name: recording for recording in recordings}
    assert len(names) == len(recordings)
    return names
