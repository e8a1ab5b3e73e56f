"""Configuration: typed schema, validation of ranges, and trees of plain values."""

from svc.config.reading import from_tree, load, parse_overrides
from svc.config.renamed import OLD_OPTIONS
from svc.config.schema import (
    Config,
    ContentConfig,
    DiscriminatorConfig,
    F0Config,
    FeaturesConfig,
    LossConfig,
    PerceptualLossConfig,
    TrackerName,
    TrainConfig,
    VirtualSpeakersConfig,
)
from svc.config.tree import differences, flatten, to_tree

__all__ = [
    "OLD_OPTIONS",
    "Config",
    "ContentConfig",
    "DiscriminatorConfig",
    "F0Config",
    "FeaturesConfig",
    "LossConfig",
    "PerceptualLossConfig",
    "TrackerName",
    "TrainConfig",
    "VirtualSpeakersConfig",
    "differences",
    "flatten",
    "from_tree",
    "load",
    "parse_overrides",
    "to_tree",
]
