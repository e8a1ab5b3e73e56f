"""The PESQ surrogate: what it sees, and that the perceptual loss on its features is the predicted PESQ."""

import torch

from svc import encoders
from svc.config import PerceptualLossConfig
from svc.encoders.pesq_net import HIGHEST, HOP, LOWEST, SEGMENT, PESQEncoder
from svc.losses.perceptual import INPUT_RMS, PerceptualLoss


def noise(*size: int) -> torch.Tensor:
    return torch.randn(*size, generator=torch.Generator().manual_seed(0))


def test_a_frame_sees_4095_samples():
    assert SEGMENT == 4095
    audio = noise(1, 60 * HOP).requires_grad_()
    encoders.load("pesq-net", random_weights=True)(audio)["features"][0, :, 30].sum().backward()
    (seen,) = audio.grad[0].nonzero(as_tuple=True)
    assert int(seen[-1] - seen[0]) + 1 in (SEGMENT - 1, SEGMENT)  # a Hann window begins with 0


def test_the_perceptual_loss_is_the_predicted_pesq():
    encoder = PESQEncoder()
    real, fake = noise(2, 2, 8000)
    torch.testing.assert_close(encoder.model.score(INPUT_RMS * real, INPUT_RMS * real), torch.full((2,), HIGHEST))
    loss = PerceptualLoss(encoder, PerceptualLossConfig(encoder="pesq-net", layers=("features",)), 16_000)
    distance = loss.distances(loss.features(fake), loss.features(real), ("features",))
    scores = encoder.model.score(INPUT_RMS * real, INPUT_RMS * fake)
    distances = -torch.log((scores - LOWEST) / (HIGHEST - LOWEST)) / encoder.model.log_scale.exp()
    torch.testing.assert_close(distances.mean(), distance[0])


def test_more_noise_has_a_lower_score():
    time = torch.arange(16_000) / 16_000
    tone = 0.1 * sum(torch.sin(2 * torch.pi * 150 * k * time) / k for k in range(1, 30))[None]
    scores = [
        float(PESQEncoder().model.score(tone, tone + level * noise(1, 16_000))) for level in (0.0003, 0.003, 0.03)
    ]
    assert scores[0] > scores[1] > scores[2]
