"""Speaker embeddings that start at the speaker encoder's, and their own learning rate."""

import numpy as np
import pytest
import torch

from svc.data import speaker_encodings
from svc.data.speaker_encodings import principal_components
from svc.models.weight_names import EMBEDDING
from svc.training import state as training_state
from svc.training.optim import make_optimizer, scale_learning_rates
from svc.training.state import create_state, start_embeddings


def test_principal_components_keep_distances_and_have_unit_variance():
    """Twelve points of rank 11: with all components distances are kept up to one factor; the rest is 0."""
    encodings = np.random.default_rng(0).normal(size=(12, 128)).astype(np.float32)
    scores = principal_components(encodings, 64)
    assert not scores[:, 12:].any()
    assert np.mean(scores[:, :12] ** 2) == pytest.approx(1, rel=1e-5)
    ratio = np.linalg.norm(scores[1:] - scores[0], axis=1) / np.linalg.norm(encodings[1:] - encodings[0], axis=1)
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-4)


def test_an_embedding_has_a_learning_rate_of_its_own():
    """Adam's first step is the learning rate, whatever the gradient."""
    network = torch.nn.ParameterDict({name: torch.nn.Parameter(torch.zeros(3)) for name in ("a", "b")})
    optimizer = make_optimizer(network, 0.01, {"b": 5.0})
    (network["a"].sum() + network["b"].sum()).backward()
    scale_learning_rates(0.5, optimizer)
    optimizer.step()
    torch.testing.assert_close(network["a"].data, torch.full((3,), -0.005))
    torch.testing.assert_close(network["b"].data, torch.full((3,), -0.025))


def test_a_new_state_starts_at_the_speaker_encodings(prepared, tiny, monkeypatch):
    encodings = np.array([[1.0, 0, 0], [0, 1.0, 0]], dtype=np.float32)
    monkeypatch.setattr(training_state, "encode_speakers", lambda _: encodings)
    state = create_state(tiny, content_channels=20, num_speakers=2, device=torch.device("cpu"))
    start_embeddings(state, prepared)
    for generator in (state.generator, state.ema_generator):
        first, second = generator.get_parameter(EMBEDDING).detach()
        torch.testing.assert_close(first, -second)
        assert float(first.norm()) > 0


def test_speakers_are_encoded_from_their_training_clips(prepared, monkeypatch):
    monkeypatch.setattr(speaker_encodings, "encode", lambda clips: np.array([len(clips), clips[0].rate]))
    rate = prepared.features["sample_rate"]
    counts = [sum(c.speaker == s.name for c in prepared.split("train")) for s in prepared.speakers]
    assert speaker_encodings.encode_speakers(prepared).tolist() == [[count, rate] for count in counts]
