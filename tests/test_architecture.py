"""The building: who may import whom, what nobody may call, and how long a page may be."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "svc").rglob("*.py"))
OURS = [path for room in ("svc", "recipes", "tools") for path in sorted((ROOT / room).rglob("*.py"))]
LEVELS = (
    "errors",
    "utils",
    "audio",
    "encoders",
    "config",
    "features",
    "models",
    "data losses",
    "training",
    "inference",
    "adaptation evaluation",
    "style",  # its report measures as evaluation does
    "web",
    "api cli",
    "__main__",
)
RANKS = {room: rank for rank, rooms in enumerate(LEVELS) for room in rooms.split()}
BARRED = {"inference": {"data", "losses", "training"}}  # lower, and still none of its business
LONGEST = 300  # lines


def imports(path: Path, text: str | None = None) -> set[str]:
    """Dotted names of all modules that a file imports, wherever in it."""
    package = path.relative_to(ROOT).parent.parts
    names: set[str] = set()
    for node in ast.walk(ast.parse(text if text is not None else path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = [*package[: len(package) - node.level + 1]] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            names |= {f"{module}.{alias.name}" for alias in node.names}
    return names


def wrong_imports(path: Path, text: str | None = None) -> list[str]:
    room = path.relative_to(ROOT / "svc").parts[0].removesuffix(".py")
    wrong = []
    for name in imports(path, text):
        parts = name.split(".")
        inside = parts[0] == "svc" and len(parts) > 1 and parts[1] not in ("__version__", room)
        if parts[0] == "recipes" or (inside and (room == "__init__" or _upwards(room, parts[1]))):
            wrong.append(name)
    return wrong


def _upwards(room: str, other: str) -> bool:
    return RANKS[other] >= RANKS[room] or other in BARRED.get(room, ())


def test_imports_lead_downwards():
    assert {path: wrong for path in SOURCES if (wrong := wrong_imports(path))} == {}


@pytest.mark.parametrize(
    ("place", "text"),
    [
        ("svc/audio/files.py", "from svc.features import f0"),
        ("svc/features/f0.py", "from svc import models"),
        ("svc/models/source_filter.py", "def f():\n    import svc.losses.stft"),
        ("svc/inference/voice.py", "from svc.cli.app import app"),
        ("svc/inference/converter.py", "from svc.data.dataset import SegmentDataset"),
        ("svc/audio/files.py", "from .. import features"),
        ("svc/audio/files.py", "from ..encoders.base import Encoder"),
        ("svc/cli/app.py", "import recipes.train"),
        ("svc/__init__.py", "from svc.errors import SvcError"),
    ],
)
def test_the_rule_sees(place, text):
    assert len(wrong_imports(ROOT / place, text)) == 1


def test_every_room_has_a_rank():
    rooms = {path.relative_to(ROOT / "svc").parts[0].removesuffix(".py") for path in SOURCES} - {"__init__"}
    assert rooms <= RANKS.keys()


def test_three_loose_modules_at_the_top():
    assert {path.stem for path in (ROOT / "svc").glob("*.py")} == {"__init__", "__main__", "api", "errors"}


def forbidden(tree: ast.AST) -> list[str]:
    """Ways to run what a stranger wrote."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if called == "torch.load" and "weights_only=True" in map(ast.unparse, node.keywords):
                continue  # in download.py, of files that others published
            if called in {"torch.load", "os.system", "yaml.load", "eval", "exec", "__import__", "torch.hub.load"}:
                found.append(called)
            wild = [k for k in node.keywords if k.arg in {"shell", "allow_pickle"}]
            found += [f"{k.arg}=" for k in wild if ast.unparse(k.value) != "False"]
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""] + [f"{node.module}.{alias.name}" for alias in node.names]
        found += [name for name in names if name.split(".")[0] in {"pickle", "cPickle", "dill", "joblib", "marshal"}]
        found += [name for name in names if name in {"torch.load", "os.system", "yaml.load"}]
    return found


def test_nothing_runs_what_a_stranger_wrote():
    calls = {path: forbidden(ast.parse(path.read_text(encoding="utf-8"))) for path in OURS}
    assert {path: found for path, found in calls.items() if found} == {}


def test_the_ban_sees_and_leaves_alone_what_only_looks_alike():
    for text in (
        *("torch.load(x)", "import pickle", "from pickle import loads as f", "subprocess.run(x, shell=True)"),
        *("os.system('x')", "from os import system", "yaml.load(x)", "eval(x)", "np.load(x, allow_pickle=True)"),
    ):
        assert forbidden(ast.parse(text)), text
    for text in (
        *("model.eval()", "safe_load(x)", "yaml.safe_load(x)", "torch.load(x, weights_only=True)"),
        *("subprocess.run(x, shell=False)", "np.load(x, allow_pickle=False)"),
    ):
        assert forbidden(ast.parse(text)) == [], text


def test_a_page_is_short():
    assert [path for path in SOURCES if len(path.read_text(encoding="utf-8").splitlines()) > LONGEST] == []


def test_inference_imports_no_training():
    code = "import sys, svc.inference.converter; print(*sorted(m for m in sys.modules if m.startswith('svc.')))"
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = ran.stdout.split()
    assert "svc.inference.voice" in loaded
    assert not [name for name in loaded if name.split(".")[1] in {"training", "losses", "cli"}]
    assert "svc.models.discriminators" not in loaded
