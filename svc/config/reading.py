"""Read a configuration: a YAML file of differences from the defaults, and overrides by dotted names."""

import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from svc.config.renamed import OLD_OPTIONS
from svc.config.schema import Config
from svc.config.tree import build, flatten, set_dotted, to_tree
from svc.config.validation import validate
from svc.errors import ConfigError

PACKAGED = {path.stem: path for path in sorted(Path(__file__).parent.glob("*.yaml"))}  # configs by name


def load(path: Path | None, overrides: Mapping[str, Any] | None = None) -> Config:
    """A configuration from a YAML file of differences and dotted overrides such as ``{"train.steps": 10}``.

    Args:
        path: of the file, or the name of a config of the package, such as ``base`` or ``24k``.
        overrides: values by dotted names.

    Raises:
        ConfigError: the file cannot be read, or any option is wrong; all faults are listed at once.
    """
    tree: Any = {}
    if path is not None:
        try:
            tree = yaml.safe_load(find_file(path).read_text(encoding="utf-8")) or {}
        except OSError as error:
            reason = f"cannot be read ({error.strerror}); name a YAML file, or one of {', '.join(PACKAGED)}"
            raise ConfigError(f"{path}: {reason}") from None
        except (yaml.YAMLError, ValueError, RecursionError) as error:  # dates and integers past all bounds, too
            raise ConfigError(f"{path}: is not YAML ({str(error).splitlines()[0]}); correct the file") from None
        if not isinstance(tree, dict):
            raise ConfigError(f"{path}: holds no `name: value` pairs, as in `train: {{steps: 1000}}`")
    for dotted, value in (overrides or {}).items():
        set_dotted(tree, dotted, value)
    return from_tree(tree, where=str(path or "config"))


def find_file(path: Path) -> Path:
    """The file of a config: that of the package where its name is given, such as ``base``."""
    packaged = PACKAGED.get(str(path))
    return packaged if packaged and not Path(path).is_file() else Path(path)


def parse_overrides(assignments: list[str]) -> dict[str, Any]:
    """``["train.steps=10"]`` as ``{"train.steps": 10}``; values are YAML.

    Raises:
        ConfigError: an assignment has no ``=`` or its value is not YAML.
    """
    overrides = {}
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        if not equals or not name.strip():
            raise ConfigError(f"--set {assignment}: write it as group.option=value")
        try:
            overrides[name.strip()] = yaml.safe_load(value)
        except (yaml.YAMLError, ValueError, RecursionError):
            raise ConfigError(f"--set {assignment}: the value is not YAML") from None
    return overrides


def from_tree(tree: Any, where: str = "config") -> Config:
    """A configuration from nested mappings of differences.

    Raises:
        ConfigError: any option is wrong; all faults are listed at once.
    """
    faults: list[str] = []
    config = build(Config, tree, "", faults, OLD_OPTIONS)
    if not faults:
        faults = validate(flatten(to_tree(config)))
    if faults:
        raise ConfigError(f"{where}: " + "; ".join(faults))
    return typing.cast(Config, config)
