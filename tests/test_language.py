"""The language of the code: names are the field's terms; no participles as nouns, no metaphors.

The words may be parts of names (``heard_frames``), of functions, classes, modules, arguments, attributes and variables.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PARTICIPLES = {"told", "heard", "sung", "asked", "made", "known", "given"}  # as nouns
METAPHORS = {"album", "cast", "twins", "crew", "gate", "spool", "ears", "listener", "listeners", "judgement"}
FOUND = "found"  # as a whole name only: `not_found` is plain English
FOLDERS = sorted(
    f"{path.relative_to(ROOT).as_posix()}"
    for top in ("svc", "recipes", "tools/bench")
    for path in [ROOT / top, *(ROOT / top).rglob("*")]
    if path.is_dir() and any(path.glob("*.py"))
)
# Exceptions by folder: terms of the field, and names still to be renamed. An entry that is not needed fails the test.
ALLOWED = {
    "svc/models": {"gate", "gate_only"},  # of gated activation units
}


def names(tree: ast.AST) -> Iterator[str]:
    """All names that a module defines or assigns."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.id if isinstance(node, ast.Name) else node.attr
        elif isinstance(node, ast.alias) and node.asname:
            yield node.asname


def is_refused(name: str) -> bool:
    parts = re.findall(r"[a-z]+|[A-Z]+(?![a-z])|[A-Z][a-z]*", name)
    return name.strip("_").lower() == FOUND or any(part.lower() in PARTICIPLES | METAPHORS for part in parts)


def refused(folder: str) -> set[str]:
    modules = list((ROOT / folder).glob("*.py"))
    defined = {name for path in modules for name in names(ast.parse(path.read_text(encoding="utf-8")))}
    return {name for name in defined | {path.stem for path in modules} if is_refused(name)}


def test_names_are_plain():
    assert {folder: names for folder in FOLDERS if (names := refused(folder))} == ALLOWED


def test_the_rule_sees_and_leaves_alone():
    for text in (
        *("told = 1", "def f(heard_frames): ...", "class Listener: ...", "class AlbumWriter: ...", "self.sung = 2"),
        *("for asked in x: ...", "found = 1", "import svc.audio as ears", "with x as spool: ..."),
        *("def made_by_hand(): ...", "[x for known in y]"),
    ):
        assert any(is_refused(name) for name in names(ast.parse(text))), text
    plain = ("broadcast", "aggregate", "unknown", "gradient", "not_found", "Manifest", "castable")
    assert not [name for name in plain if is_refused(name)]
