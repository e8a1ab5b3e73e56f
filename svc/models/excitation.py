"""The source: sinusoids that follow f0, and noise, both as pure functions of the frame number.

f0 runs straight between frame centres, its integral is a parabola between them, and the phase at every centre
is given. So any stretch of a song can be made on its own, to the bit the same as within the whole.
"""

import torch
from torch import Tensor


def harmonic(f0: Tensor, phase: Tensor, voiced: Tensor, hop: int, harmonics: int) -> Tensor:
    """Equal harmonics of f0 with unit power, fading over 10 ms where voicing starts and ends.

    One harmonic is the paper's sine excitation (2008.02830); all of them are a band-limited pulse train.

    Args:
        f0: (B, N) Hz, held through unvoiced frames.
        phase: (B, N) cycles at the frame centres.
        voiced: (B, N) 0 or 1.
        hop: samples in a frame; the rate is 100 times that.
        harmonics: how many; 0 for as many as fit below 0.48 of the rate.

    Returns:
        (B, N·hop).
    """
    place = _place(hop, f0)
    cycles = phase[..., None].double() + _between(f0, place, integral=True).double() / 100
    cycles = (cycles % 1.0).to(f0.dtype)
    pitch = _between(f0, place)
    count = _fitting(pitch, hop * 100)
    count = count if harmonics == 0 else count.clamp(max=harmonics)
    amplitude = _between(voiced, place).clamp(0, 1)
    return (amplitude * cosine_sum(cycles, count) * (2 / count.clamp_min(1)).sqrt()).flatten(-2)


def _fitting(pitch: Tensor, rate: int) -> Tensor:
    """Harmonics that fit below 0.48 of the rate; the fraction is that of the next one, which is gone at Nyquist."""
    count = 0.48 * rate / pitch
    whole = count.floor()
    return whole + torch.minimum(count - whole, (25 - (whole + 1) * pitch / (0.02 * rate)).clamp(0, 1))


def cosine_sum(cycles: Tensor, count: Tensor) -> Tensor:
    """Σ cos(2πk·cycles), k = 1 … count; the last one fades in with the fraction of the count.

    Dirichlet's closed form, so the cost does not grow with the count.
    """
    whole = count.floor()
    half = torch.pi * (cycles - cycles.round())
    near = half.abs() < 1e-4
    kernel = torch.sin((2 * whole + 1) * half) / torch.where(near, 1.0, torch.sin(half))
    total = 0.5 * (torch.where(near, 2 * whole + 1, kernel) - 1)
    return total + (count - whole) * torch.cos(2 * (whole + 1) * half)


def noise(start: Tensor, frames: int, hop: int, seed: int = 0) -> Tensor:
    """White noise of unit power that depends only on the seed and on the number of each sample in its song.

    Args:
        start: (B,) number of the first frame.
        frames: N.
        hop: samples in a frame.
        seed: another seed, other noise.

    Returns:
        (B, N·hop) float32, uniform in ±√3.
    """
    samples = torch.arange(frames * hop, device=start.device) + start[:, None] * hop
    bits = samples * -7046029254386353131 + seed * 0x2545F4914F6CDD1D  # splitmix64: wraps around on purpose
    bits = (bits ^ _shift(bits, 30)) * -4658895280553007687
    bits = (bits ^ _shift(bits, 27)) * -7723592293110705685
    bits = bits ^ _shift(bits, 31)
    return (_shift(bits, 40).float() / 2**23 - 1.0) * 3**0.5


def _shift(bits: Tensor, count: int) -> Tensor:
    return (bits >> count) & ((1 << (64 - count)) - 1)


def _place(hop: int, like: Tensor) -> Tensor:
    """Distance of each sample of a frame from its centre, in frames: −1/2 … 1/2."""
    return (torch.arange(hop, device=like.device, dtype=like.dtype) - hop / 2) / hop


def _between(values: Tensor, place: Tensor, integral: bool = False) -> Tensor:
    """Values (B, N) at the frame centres, drawn straight between them (B, N, hop), or the integral from the centre."""
    values = values[..., None]
    before = torch.cat([values[:, :1], values[:, :-1]], dim=1)
    after = torch.cat([values[:, 1:], values[:, -1:]], dim=1)
    slope = torch.where(place < 0, values - before, after - values)
    return values * place + slope * place.square() / 2 if integral else values + slope * place
