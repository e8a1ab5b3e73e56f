"""Generalised end-to-end loss (GE2E) of speaker encoders (Wan et al. 1710.10467)."""

import torch
from torch import Tensor
from torch.nn import functional


def ge2e_loss(embedding: Tensor, similarity: Tensor) -> Tensor:
    """Softmax loss of GE2E (Wan et al. 1710.10467) of unit vectors (speakers, segments, D).

    Each is compared with the centroid of every speaker; its own centroid is without it.

    Args:
        embedding: (speakers, segments, D).
        similarity: scale and offset of the cosines.
    """
    speakers, segments, _ = embedding.shape
    total = embedding.sum(dim=1)
    others = functional.normalize(total[:, None] - embedding, dim=-1)
    own = (embedding * others).sum(dim=-1)
    cosines = embedding @ functional.normalize(total, dim=-1).T  # (speakers, segments, speakers)
    mine = torch.eye(speakers, dtype=torch.bool)[:, None].expand(-1, segments, -1)
    cosines = torch.where(mine, own[..., None], cosines)
    logits = similarity[0].clamp_min(1e-3) * cosines + similarity[1]
    return functional.cross_entropy(logits.flatten(0, 1), torch.arange(speakers).repeat_interleave(segments))
