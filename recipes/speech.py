"""Clean speech for supervised trainings, and the quality of degraded speech: PESQ, or a distance of our own."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from svc.audio import files
from svc.audio.files import Samples
from svc.audio.find import find_audio
from svc.audio.resample import resample
from svc.audio.stft import mel_filters, power_spectrogram
from svc.encoders.pesq_net import HIGHEST, LOWEST, PESQNetwork
from svc.utils.progress import progress

RATE = 16_000
HELD_OUT = 10  # one speaker in so many
UPDATES, UPDATE_RATE = 5, 3e-4  # of the surrogate by a batch
DB_PER_E = 8.0  # log-mel distance at which our own quality has fallen to 1/e
Metric = Callable[[Samples, Samples], float]


def read_speakers(folders: list[Path], seconds: float) -> dict[Path, list[Samples]]:
    """Clips of 3 s or more at 16 kHz, cut to a length, by their folder: a folder is a speaker."""
    paths = [path for folder in folders for path in find_audio(folder)]
    speakers: dict[Path, list[Samples]] = {path.parent: [] for path in paths}
    for path in progress(paths, "read", "clip", len(paths)):
        samples = resample(files.read(path).first(seconds), RATE).samples
        if len(samples) >= 3 * RATE:
            speakers[path.parent].append(samples)
    return speakers


def read_clips(folders: list[Path], seconds: float) -> tuple[list[Samples], list[Samples]]:
    """Clips as ``read_speakers`` reads them, for training and of the speakers that are held out."""
    speakers = read_speakers(folders, seconds)
    held_out = sorted(speakers)[::HELD_OUT]
    sides: tuple[list[Samples], list[Samples]] = [], []
    for speaker, clips in speakers.items():
        sides[speaker in held_out].extend(clips)
    return sides


def draw_segment(clip: Samples, length: int, level: float, draw: np.random.Generator) -> Samples:
    """A random segment (T,) of a clip, scaled to an RMS level."""
    start = int(draw.integers(len(clip) - length + 1))
    segment = clip[start : start + length]
    return np.float32(level) * segment / np.float32(np.sqrt(np.mean(np.square(segment))) + 1e-4)


def load_quality() -> tuple[str, Metric]:
    """Wide-band PESQ of (real, degraded) if the package is installed, -1 where it finds no speech.

    Else a quality of our own on the same scale: 1 + 3.6 exp(-log-mel distance / 8 dB).
    """
    try:
        from pesq import pesq
    except ImportError:
        return "log-mel quality (pip install pesq for PESQ)", log_mel_quality
    return "PESQ", lambda real, fake: float(pesq(RATE, real, fake, "wb", on_error=1))


def log_mel_quality(real: Samples, fake: Samples) -> float:
    """1 + 3.6 exp(-log-mel distance / 8 dB) of audio (T,) at an RMS level of about .1."""
    bank = torch.from_numpy(mel_filters(RATE, 512, 48, 60.0, 7800.0)).float().T
    powers = [power_spectrogram(torch.from_numpy(audio)[None], 512, 160) @ bank for audio in (real, fake)]
    levels = [10 * torch.log10(power + 1e-7) for power in powers]
    distance = (levels[0] - levels[1]).square().mean(dim=-1).sqrt().mean()
    return LOWEST + (HIGHEST - LOWEST) * float(torch.exp(-distance / DB_PER_E))


def update_surrogate(surrogate: PESQNetwork, real: Tensor, fake: Tensor) -> None:
    """Label audio (B, T) anew, and train the surrogate on it for some updates (MetricGAN, Fu et al. 1905.04874)."""
    quality = load_quality()[1]
    labels = torch.tensor([quality(one.numpy(), two.numpy()) for one, two in zip(real, fake, strict=True)])
    surrogate.requires_grad_(True)
    optimizer = torch.optim.Adam(
        surrogate.parameters(), UPDATE_RATE
    )  # a new one: no state, so that runs resume exactly
    for _ in range(UPDATES):
        error = (surrogate.score(real, fake) - labels)[labels > 0] / (HIGHEST - LOWEST)
        optimizer.zero_grad()
        error.square().sum().backward()
        optimizer.step()
    surrogate.requires_grad_(False)
