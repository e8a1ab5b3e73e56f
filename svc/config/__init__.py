"""Configuration: typed schema, validation of ranges, and trees of plain values."""

from svc.config.schema import (
    Config,
    ContentConfig,
    DiscriminatorConfig,
    F0Config,
    FeaturesConfig,
    Follower,
    ListenerConfig,
    LossConfig,
    OthersConfig,
    TrainConfig,
    from_tree,
    load,
    parse_overrides,
)
from svc.config.tree import differences, flatten, to_tree

__all__ = [
    "Config",
    "ContentConfig",
    "DiscriminatorConfig",
    "F0Config",
    "FeaturesConfig",
    "Follower",
    "ListenerConfig",
    "LossConfig",
    "OthersConfig",
    "TrainConfig",
    "differences",
    "flatten",
    "from_tree",
    "load",
    "parse_overrides",
    "to_tree",
]
