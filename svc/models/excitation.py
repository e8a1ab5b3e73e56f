"""Excitation: sine or band-limited pulse train that follows f0, and noise, as pure functions of the frame number.

f0 is linear between frame centres, so its integral is quadratic there, and the phase at each centre is an input. So
any segment can be rendered alone, with the same bits as within the whole.
"""

import torch
from torch import Tensor


def harmonic(f0: Tensor, phase: Tensor, voiced: Tensor, hop: int, harmonics: int) -> Tensor:
    """Harmonic excitation: equal harmonics of f0 with unit power, fading over 10 ms where voicing starts and ends.

    One harmonic is the paper's sine excitation (2008.02830); all of them are a band-limited pulse train.

    Args:
        f0: (B, N) Hz, held through unvoiced frames.
        phase: (B, N) cycles at the frame centres.
        voiced: (B, N) 0 or 1.
        hop: samples in a frame; the rate is 100 times that.
        harmonics: number of them; 0 for all that fit below 0.48 of the rate.

    Returns:
        (B, N·hop).
    """
    time = _time_in_frame(hop, f0)
    cycles = (phase[..., None] + _interpolate(f0, time, integral=True) / 100 % 1.0) % 1.0  # small addends: fp32 does
    pitch = _interpolate(f0, time)
    count = _harmonic_count(pitch, hop * 100)
    count = count if harmonics == 0 else count.clamp(max=harmonics)
    amplitude = _interpolate(voiced, time).clamp(0, 1)
    return (amplitude * cosine_sum(cycles, count) * (2 / count.clamp_min(1)).sqrt()).flatten(-2)


def _harmonic_count(pitch: Tensor, rate: int) -> Tensor:
    """Number of harmonics below 0.48 of the rate; its fraction fades the next one out before Nyquist."""
    count = 0.48 * rate / pitch
    whole = count.floor()
    return whole + torch.minimum(count - whole, (25 - (whole + 1) * pitch / (0.02 * rate)).clamp(0, 1))


def cosine_sum(cycles: Tensor, count: Tensor) -> Tensor:
    """Σ cos(2πk·cycles), k = 1 … count, by the closed form of the Dirichlet kernel; a fraction fades the next one in.

    The cost does not grow with the count.
    """
    whole = count.floor()
    half = torch.pi * (cycles - cycles.round())
    near = half.abs() < 1e-4
    kernel = torch.sin((2 * whole + 1) * half) / torch.where(near, 1.0, torch.sin(half))
    total = 0.5 * (torch.where(near, 2 * whole + 1, kernel) - 1)
    return total + (count - whole) * torch.cos(2 * (whole + 1) * half)


def noise(start_frame: Tensor, frames: int, hop: int) -> Tensor:
    """White noise of unit power, a hash (splitmix64) of the index of each sample in its clip.

    Args:
        start_frame: (B,) index of the first frame.
        frames: N.
        hop: samples in a frame.

    Returns:
        (B, N·hop) float32, uniform in ±√3.
    """
    samples = torch.arange(frames * hop, device=start_frame.device) + start_frame[:, None] * hop
    bits = samples * -7046029254386353131  # wraps around on purpose
    bits = (bits ^ _shift(bits, 30)) * -4658895280553007687
    bits = (bits ^ _shift(bits, 27)) * -7723592293110705685
    bits = bits ^ _shift(bits, 31)
    return (_shift(bits, 40).float() / 2**23 - 1.0) * 3**0.5


def _shift(bits: Tensor, count: int) -> Tensor:
    return (bits >> count) & ((1 << (64 - count)) - 1)


def _time_in_frame(hop: int, like: Tensor) -> Tensor:
    """Time (hop,) of each sample of a frame relative to its centre, in frames: −1/2 … 1/2."""
    return (torch.arange(hop, device=like.device, dtype=like.dtype) - hop / 2) / hop


def _interpolate(values: Tensor, time: Tensor, integral: bool = False) -> Tensor:
    """Linear interpolation (B, N, hop) of values (B, N) at the frame centres, or its integral from the centre."""
    values = values[..., None]
    before = torch.cat([values[:, :1], values[:, :-1]], dim=1)
    after = torch.cat([values[:, 1:], values[:, -1:]], dim=1)
    slope = torch.where(time < 0, values - before, after - values)
    return values * time + slope * time.square() / 2 if integral else values + slope * time
