"""Parameter names: those of the speakers' own weights, and a map from the names of version 4 to the current ones."""

from collections.abc import Mapping
from typing import TypeVar

T = TypeVar("T")

VERSION = 5  # of the weights
EMBEDDING = "conditioner.embedding"
SPEAKER_FILM_OFFSET = "conditioner.speaker_film_offset"
SPEAKER_PARAM_NAMES = (EMBEDDING, SPEAKER_FILM_OFFSET)  # parameters with one row for each speaker
READABLE_VERSIONS = (4, VERSION)
_MODULES_OF_4 = {  # current name of a module or parameter of the generator → its name in version 4
    "conditioner.input": "conditioner.entry",
    "conditioner.film": "conditioner.steering",
    "conditioner.speaker_film_offset": "conditioner.accent",
    "conditioner.expand": "conditioner.wide",
    "conditioner.project": "conditioner.narrow",
    "source_filter.output": "front.exit",
    "wavenet.input": "wavenet.entry",
    "wavenet.cond": "wavenet.steering",
    "wavenet.output": "wavenet.exit",
}
_LAYER_OF_4 = {"dilated_weight": "taps", "cond_weight": "steering", "res_skip": "mixer"}  # in wavenet.layers.N


def stored_name(name: str, version: int) -> str:
    """Name of a parameter in weights of a version."""
    return _renamed(name, _MODULES_OF_4, _LAYER_OF_4) if version == 4 else name


def rename_weights(tensors: Mapping[str, T], version: int) -> dict[str, T]:
    """Tensors or arrays of a version of the weights by their current names.

    What follows a slash, as in the moments of an optimiser, is kept; so is every name that did not change.
    """
    if version != 4:
        return dict(tensors)
    modules = {old: new for new, old in _MODULES_OF_4.items()}
    layer = {old: new for new, old in _LAYER_OF_4.items()}
    return {_renamed(name, modules, layer): tensor for name, tensor in tensors.items()}


def _renamed(name: str, modules: Mapping[str, str], layer: Mapping[str, str]) -> str:
    path, slash, moment = name.partition("/")
    parts = path.split(".")
    if parts[:2] == ["wavenet", "layers"]:
        parts[3] = layer.get(parts[3], parts[3])
    else:
        module = ".".join(parts[:2])
        parts[:2] = [modules.get(module, module)]
    return ".".join(parts) + slash + moment
