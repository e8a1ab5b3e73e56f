"""Feature extraction: encoders belong to an extractor on its device."""

import torch

from svc.config import load
from svc.features.extract import FeatureExtractor, shared_extractor

FEATURES = {"features.f0.model": "tiny", "features.content.encoder": "cepstral", "features.content.layer": "cepstra"}
CONFIG = load(None, FEATURES)


def devices(extractor: FeatureExtractor) -> set[str]:
    networks = [*extractor.crepe, extractor.encoder]
    return {value.device.type for network in networks for value in (*network.parameters(), *network.buffers())}


def test_an_extractor_on_a_device_moves_no_other():
    first = FeatureExtractor(CONFIG)
    other = FeatureExtractor(CONFIG, torch.device("meta"))  # in place of an accelerator
    assert (devices(first), devices(other)) == ({"cpu"}, {"meta"})
    assert devices(FeatureExtractor(CONFIG)) == {"cpu"}
    assert first.encoder is FeatureExtractor(CONFIG).encoder  # on the CPU a process has one


def test_the_shared_extractor_is_made_once():
    assert shared_extractor(CONFIG) is shared_extractor(load(None, {"train.seed": 7, **FEATURES}))
    assert shared_extractor(CONFIG) is not shared_extractor(load(None, {**FEATURES, "features.f0.fmin": 60.0}))
