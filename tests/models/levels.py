"""How loud a signal is, in all and by frequency."""

import numpy as np
import torch
from scipy.signal import welch


def db(ratio) -> float:
    return 20 * float(torch.as_tensor(ratio).clamp_min(1e-20).log10())


def rms(signal: torch.Tensor) -> torch.Tensor:
    return signal.square().mean().sqrt()


def psd(signal: torch.Tensor, rate: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    return welch(signal.double().numpy(), rate, nperseg=size)
