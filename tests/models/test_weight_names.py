"""Parameter names of version 4: the map is complete, reversible, and keeps every value."""

import pytest
import torch
from song import CONTENT, SPEAKERS

from svc.config import load
from svc.models.generator import Generator
from svc.models.weight_names import VERSION, rename_weights, stored_name

NAMES_OF_4 = {
    *("conditioner.embedding", "conditioner.accent", "conditioner.entry.weight", "conditioner.entry.bias"),
    *("conditioner.steering.weight", "conditioner.steering.bias", "conditioner.wide.0.weight"),
    *("conditioner.wide.0.bias", "conditioner.narrow.0.weight", "conditioner.narrow.0.bias"),
    *("front.exit.weight", "front.exit.bias", "wavenet.entry.weight", "wavenet.steering.weight"),
    *("wavenet.steering.bias", "wavenet.layers.0.taps", "wavenet.layers.0.steering"),
    *("wavenet.layers.0.mixer.weight", "wavenet.exit.weight"),
}


@pytest.fixture(scope="module")
def weights() -> dict[str, torch.Tensor]:
    return Generator(load(None), content_channels=CONTENT, num_speakers=SPEAKERS).state_dict()


def test_names_of_version_4(weights):
    stored = {stored_name(name, 4) for name in weights}
    assert {name for name in stored if not any(f".{number}" in name for number in range(1, 10))} == NAMES_OF_4
    assert rename_weights({stored_name(name, 4): name for name in weights}, 4) == {name: name for name in weights}


def test_moments_of_the_optimiser_and_current_names_are_kept(weights):
    moments = {f"{name}/exp_avg": value for name, value in weights.items()}
    assert rename_weights({f"{stored_name(name, 4)}/exp_avg": weights[name] for name in weights}, 4) == moments
    assert rename_weights(weights, VERSION) == weights
    assert rename_weights({"views.0.1.bias": 0}, 4) == {"views.0.1.bias": 0}
