"""The voice that ships with the package, and which voice file a command means."""

from pathlib import Path

import svc

BASE = "base"  # its name for --voice and --from
BASE_VOICE = Path(svc.__file__).parent / "voices" / "base.safetensors"


def find_voice(path: str | Path | None = None) -> Path:
    """A voice file: ``base`` is that of the package; if not given, the newest runs/*/voice.safetensors, else ``base``.

    A file or folder called ``base`` comes first.
    """
    if path is not None:
        return BASE_VOICE if str(path) == BASE and not Path(path).exists() else Path(path)
    voices = sorted(Path("runs").glob("*/voice.safetensors"), key=lambda voice: voice.stat().st_mtime)
    return voices[-1] if voices else BASE_VOICE


def name_voice(path: Path) -> str:
    """A voice file as messages and commands name it: ``base`` for that of the package."""
    return BASE if path == BASE_VOICE else str(path)
