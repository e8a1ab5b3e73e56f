"""How a file is refused: one sentence that names it."""

from pathlib import Path

from svc.errors import AudioError


def refusal(path: Path, reason: str) -> AudioError:
    """The error to raise, its text printable whatever the name."""
    name = str(path)
    return AudioError(f"{name if name.isprintable() else ascii(name)}: {reason}")


def detail(error: Exception) -> str:
    """The last, most telling part of a library's message."""
    return " ".join(str(error).split()).rstrip(".").split(": ")[-1] or type(error).__name__
