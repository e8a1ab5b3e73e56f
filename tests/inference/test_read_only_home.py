"""What a conversion, a preparation and a training import needs no folder for a compiler's cache."""

import ast
from pathlib import Path

SVC = Path(__file__).parents[2] / "svc"
CACHING = {"librosa", "numba", "resampy", "torchcrepe"}  # numba finds no place for its cache without a writable home
ROOMS = ("utils", "config", "audio", "features", "models", "data", "losses", "training", "inference", "adaptation")
ENCODERS = ("__init__", "base", "crepe", "phone_classifier", "true_envelope", "ssl", "weights")


def imported(path: Path) -> set[str]:
    """Packages that a module imports, wherever in it."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom) and not node.level]
    return {name.partition(".")[0] for name in names}


def test_nothing_needs_numba():
    paths = [path for room in ROOMS for path in (SVC / room).rglob("*.py")]
    paths += [SVC / "encoders" / f"{name}.py" for name in ENCODERS]
    assert {str(path.relative_to(SVC)) for path in paths if imported(path) & CACHING} == set()
