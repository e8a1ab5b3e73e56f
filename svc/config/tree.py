"""Dataclasses to nested mappings of plain values (dict ⇄ dataclass) and back, with all faults in words at once."""

import contextlib
import dataclasses
import difflib
import math
import typing
from collections.abc import Mapping
from typing import Any, Literal, TypeVar

from svc.errors import ConfigError

T = TypeVar("T")

NOTHING: Mapping[str, str] = {}

_TYPE_NAMES = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}


def build(
    cls: type, tree: Any, prefix: str, faults: list[str], renamed: Mapping[str, str] = NOTHING, base: Any = None
) -> Any:
    """A dataclass from nested mappings of differences from its defaults; faults are added to a list.

    Args:
        cls: the dataclass.
        tree: the mappings.
        prefix: dotted name of the group, with a dot at its end.
        faults: gets one sentence for each.
        renamed: old dotted names of options, and what they are now.
        base: an object whose values are the defaults instead of those of the class.
    """
    if not isinstance(tree, dict):
        faults.append(f"{prefix.rstrip('.') or 'config'} must hold `name: value` pairs, not {short_repr(tree)}")
        return None
    hints = typing.get_type_hints(cls)
    values = {}
    for key, value in tree.items():
        if key not in hints:
            name = key if isinstance(key, str) else short_repr(key)
            near = difflib.get_close_matches(name, hints, n=1)
            unknown = f"unknown option {prefix}{name}" + (f" (did you mean {near[0]}?)" if near else "")
            faults += _moved(prefix + name, value, renamed) or [unknown]
        elif dataclasses.is_dataclass(hints[key]):
            values[key] = build(typing.cast(type, hints[key]), value, f"{prefix}{key}.", faults, renamed)
        elif typing.get_origin(hints[key]) is Mapping:
            values[key] = _mapping(cls, key, value, f"{prefix}{key}.", faults, renamed)
        else:
            values[key] = _value(hints[key], value, prefix + str(key), faults)
    if faults:
        return None
    return cls(**values) if base is None else dataclasses.replace(base, **values)


def _mapping(cls: type, key: str, tree: Any, prefix: str, faults: list[str], renamed: Mapping[str, str]) -> Any:
    """A mapping of names to dataclasses: differences from the default entries, and new ones."""
    kind = typing.get_args(typing.get_type_hints(cls)[key])[1]
    entries = dict(getattr(cls(), key))
    if not isinstance(tree, dict):
        faults.append(f"{prefix.rstrip('.')} must hold `name: value` pairs, not {short_repr(tree)}")
        return None
    for name, entry in tree.items():
        if not isinstance(name, str):
            faults.append(f"{prefix.rstrip('.')}: {short_repr(name)} is not a name")
        elif moved := _moved(prefix + name, entry, renamed):
            faults += moved
        else:
            entries[name] = build(kind, entry, f"{prefix}{name}.", faults, renamed, entries.get(name, kind()))
    return entries


def _moved(name: str, value: Any, renamed: Mapping[str, str]) -> list[str]:
    """What an option, or those of a group, are called now."""
    options = [f"{name}.{leaf}" for leaf in value] if isinstance(value, dict) else [name]
    return [f"{option} is now {renamed[option]}" for option in options if option in renamed]


def _value(hint: Any, value: Any, name: str, faults: list[str]) -> Any:
    origin = typing.get_origin(hint)
    if origin is Literal:
        choices = typing.get_args(hint)
        if value is False and "no" in choices:
            value = "no"  # YAML 1.1 reads a bare `no` as false
        if not any(type(value) is type(choice) and value == choice for choice in choices):
            faults.append(f"{name} must be one of {', '.join(map(str, choices))}, not {short_repr(value)}")
        return value
    if origin is tuple:
        if not isinstance(value, list | tuple):
            faults.append(f"{name} must be a list, not {short_repr(value)}")
            return value
        return tuple(_value(typing.get_args(hint)[0], item, name, faults) for item in value)
    raw = value
    if hint is float and isinstance(value, int | str) and not isinstance(value, bool):
        with contextlib.suppress(ValueError, OverflowError):
            value = float(value)  # YAML 1.1 reads 1e-4 as a string
    if type(value) is not hint or (hint is float and not math.isfinite(value)):
        faults.append(f"{name} must be {_TYPE_NAMES[hint]}, not {short_repr(raw)}")
    return value


def short_repr(value: Any) -> str:
    """A value as it was given, if that is short and can be written at all."""
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # Python writes no integer of more than 4300 digits
        return f"a {type(value).__name__} past all bounds"
    return text if len(text) <= 80 else text[:77] + "…"


def to_tree(config: Any) -> dict[str, Any]:
    """Every option as nested mappings of plain values."""
    return {key: _plain(value) for key, value in dataclasses.asdict(config).items()}


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, with dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            flat.update(flatten(value, f"{prefix}{key}."))
        else:
            flat[prefix + key] = value
    return flat


def set_dotted(tree: dict[str, Any], dotted: str, value: Any) -> None:
    """Set what a dotted key leads to.

    Raises:
        ConfigError: a name on the way is a value.
    """
    node: Any = tree
    *parents, leaf = dotted.split(".")
    for name in parents:
        node = node.setdefault(name, {})
        if not isinstance(node, dict):
            raise ConfigError(f"--set {dotted}: {name} is a value, not a group of options")
    node[leaf] = value


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """The options in which two trees differ, each as ``name: old → new``."""
    before, after = flatten(old), flatten(new)
    return [
        f"{key}: {before.get(key)} → {after.get(key)}"
        for key in sorted(before.keys() | after.keys())
        if before.get(key) != after.get(key)
    ]


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(child) for key, child in value.items()}
    return list(value) if isinstance(value, tuple) else value


def from_overrides(cls: type[T], overrides: Mapping[str, Any]) -> T:
    """A dataclass from dotted differences from its defaults.

    Raises:
        ConfigError: any option is wrong; all faults are listed at once.
    """
    tree: dict[str, Any] = {}
    for dotted, value in overrides.items():
        set_dotted(tree, dotted, value)
    faults: list[str] = []
    built = build(cls, tree, "", faults)
    if faults:
        raise ConfigError(f"--set: {'; '.join(faults)}")
    return typing.cast(T, built)
