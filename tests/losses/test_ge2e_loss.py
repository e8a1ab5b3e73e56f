"""GE2E by hand: the centroid of an utterance's own speaker is made without it."""

import pytest
import torch
from torch.nn import functional

from svc.losses.ge2e import ge2e_loss


def test_ge2e_by_hand():
    vectors = functional.normalize(torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(0)), dim=-1)
    losses = []
    for j in range(3):
        for i in range(4):
            logits = []
            for k in range(3):
                used = [vectors[k, m] for m in range(4) if (k, m) != (j, i)]
                centroid = torch.stack(used).mean(dim=0)
                logits.append(10 * functional.cosine_similarity(vectors[j, i], centroid, dim=0) - 5)
            losses.append(-torch.log_softmax(torch.stack(logits), dim=0)[j])
    found = ge2e_loss(vectors, torch.tensor([10.0, -5.0]))
    assert found.item() == pytest.approx(torch.stack(losses).mean().item(), rel=1e-5)
