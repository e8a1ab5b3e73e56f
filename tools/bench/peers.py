"""Other people's networks, from an installed package or from a checkout; none of their code is here."""

import contextlib
import importlib
import io
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from svc.errors import DataError

MODULES = {
    "parallel_wavegan": ("parallel_wavegan.models", "parallel_wavegan.losses"),
    "hifigan": ("models",),
    "vocos": ("vocos.models", "vocos.heads"),
}
INSTALL = {  # what the absent are to be had by
    "parallel_wavegan": "pip install parallel_wavegan (with --no-build-isolation if that fails), or ",
    "hifigan": "parallel_wavegan has it too, or a checkout of jik876/hifi-gan by ",
    "vocos": "pip install vocos, or ",
}
HOP = 256  # samples in a mel frame, of all of them
HIFIGAN_V1 = {
    "resblock": "1",
    "upsample_rates": (8, 8, 2, 2),
    "upsample_kernel_sizes": (16, 16, 4, 4),
    "upsample_initial_channel": 512,
    "resblock_kernel_sizes": (3, 7, 11),
    "resblock_dilation_sizes": ((1, 3, 5), (1, 3, 5), (1, 3, 5)),
}


@dataclass(frozen=True, slots=True)
class Peers:
    """What is here, as modules by their names, and a sentence about each that is not."""

    modules: Mapping[str, Any]
    absent: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Vocoder:
    """A generator for inference, and the mel spectrogram (1, M, frames) that it takes."""

    name: str
    network: nn.Module
    sing: Callable[[Tensor], Tensor]
    mels: int


def parse(assignments: Sequence[str]) -> dict[str, Path]:
    """``["vocos=PATH"]`` as ``{"vocos": PATH}``.

    Raises:
        DataError: an assignment has another form, names nobody known or no folder.
    """
    given = {}
    for assignment in assignments:
        name, equals, path = assignment.partition("=")
        if not equals or name not in MODULES:
            raise DataError(f"--peer {assignment}: write NAME=PATH with a NAME of {', '.join(MODULES)}")
        if not path or not Path(path).is_dir():
            raise DataError(f"--peer {assignment}: no such folder; name the checkout, where its modules lie")
        given[name] = Path(path).resolve()
    return given


def find(given: Mapping[str, Path]) -> Peers:
    """Import what can be imported, checkouts first.

    Raises:
        DataError: a checkout that was given cannot be imported from.
    """
    _put_back_what_moved()
    modules: dict[str, Any] = {}
    absent: dict[str, str] = {}
    for name, parts in MODULES.items():
        if name == "hifigan" and name not in given:  # is no package, and `models` might be anybody's
            continue
        try:
            with _first(given.get(name)):
                modules |= {part: _quietly(importlib.import_module, part) for part in parts}
        except Exception as error:  # a stranger's code may fail in any way
            if name in given:
                reason = f"cannot be imported from there ({type(error).__name__}: {error})"
                raise DataError(f"--peer {name}={given[name]}: {reason}; install what it needs") from None
            missing = isinstance(error, ModuleNotFoundError) and error.name == name
            why = "not here" if missing else f"cannot be imported ({type(error).__name__}: {error})"
            absent[name] = f"{name}: {why}; {INSTALL[name]}--peer {name}=PATH"
    if "models" not in modules and "parallel_wavegan.losses" not in modules:
        absent["hifigan"] = f"hifigan: not here; {INSTALL['hifigan']}--peer hifigan=PATH"
    return Peers(modules, absent)


def vocoders(peers: Peers) -> tuple[list[Vocoder], list[str]]:
    """The generators with random weights, ready to sing, and the names of those that are absent."""
    wavegan, hifigan = peers.modules.get("parallel_wavegan.models"), peers.modules.get("models")
    made, absent = [], []
    if "parallel_wavegan" in peers.absent:
        absent.append("ParallelWaveGAN v1")
    else:
        made.append(Vocoder("ParallelWaveGAN v1", *_parallel_wavegan(wavegan), mels=80))
    if "hifigan" in peers.absent:
        absent.append("HiFi-GAN v1")
    elif hifigan is not None:
        made.append(Vocoder("HiFi-GAN v1", *_plain(hifigan.Generator, SimpleNamespace(**HIFIGAN_V1)), mels=80))
    else:
        theirs = "HiFi-GAN v1 (parallel_wavegan's HiFiGANGenerator)"
        assert wavegan is not None
        made.append(Vocoder(theirs, *_plain(wavegan.HiFiGANGenerator), mels=80))
    if "vocos" in peers.absent:
        absent.append("Vocos")
    else:
        made.append(Vocoder("Vocos", *_vocos(peers.modules), mels=100))
    return made, absent


def _parallel_wavegan(models: Any) -> tuple[nn.Module, Callable[[Tensor], Tensor]]:
    """Its defaults are v1: 30 layers in 3 stacks, 64 residual and skip and 128 gate channels, 80 mels."""
    network, _ = _plain(models.ParallelWaveGANGenerator)
    return network, lambda mel: network.inference(mel[0].T)  # type: ignore[operator]


def _plain(build: Callable[..., nn.Module], *arguments: Any) -> tuple[nn.Module, Callable[[Tensor], Tensor]]:
    network = _quietly(build, *arguments).eval()
    _quietly(network.remove_weight_norm)
    return network, network


def _vocos(modules: Mapping[str, Any]) -> tuple[nn.Module, Callable[[Tensor], Tensor]]:
    """The sizes of its published 24 kHz mel voice."""
    backbone = modules["vocos.models"].VocosBackbone(input_channels=100, dim=512, intermediate_dim=1536, num_layers=8)
    head = modules["vocos.heads"].ISTFTHead(dim=512, n_fft=1024, hop_length=HOP, padding="center")
    network = nn.Sequential(backbone, head).eval()
    return network, network


def wavegan_step(peers: Peers, batch: int, samples: int, device: str) -> Callable[[], None]:
    """One step of ParallelWaveGAN v1 as its trainer makes it, both networks; with torch's own RAdam.

    Args:
        peers: with parallel_wavegan.
        batch: crops.
        samples: in a crop, a multiple of the hop.
        device: where.
    """
    models, losses = peers.modules["parallel_wavegan.models"], peers.modules["parallel_wavegan.losses"]
    generator = _quietly(models.ParallelWaveGANGenerator).to(device)
    discriminator = _quietly(models.ParallelWaveGANDiscriminator).to(device)
    spectral = losses.MultiResolutionSTFTLoss().to(device)
    fooling, telling = losses.GeneratorAdversarialLoss(), losses.DiscriminatorAdversarialLoss()
    mine = torch.optim.RAdam(generator.parameters(), lr=1e-4, eps=1e-6)
    its = torch.optim.RAdam(discriminator.parameters(), lr=5e-5, eps=1e-6)
    noise, real = torch.randn(2, batch, 1, samples, device=device)
    mel = torch.randn(batch, 80, samples // HOP + 2 * generator.aux_context_window, device=device)

    def step() -> None:
        fake = generator(noise, mel)
        loss = sum(spectral(fake, real)) + 4.0 * fooling(discriminator(fake))
        _follow(mine, generator, loss, 10.0)
        with torch.no_grad():
            fake = generator(noise, mel)  # once more, as its trainer does
        _follow(its, discriminator, sum(telling(discriminator(fake), discriminator(real))), 1.0)

    return lambda: _quietly(step)


def _follow(optimizer: torch.optim.Optimizer, network: nn.Module, loss: Any, clip: float) -> None:
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(network.parameters(), clip)
    optimizer.step()


@contextlib.contextmanager
def _first(folder: Path | None) -> Iterator[None]:
    """Import from a folder before all others."""
    before = [*sys.path]
    sys.path[:0] = [str(folder)] if folder else []
    try:
        yield
    finally:
        sys.path[:] = before


def _put_back_what_moved() -> None:
    """SciPy's window where parallel_wavegan looks for it."""
    import scipy.signal

    if not hasattr(scipy.signal, "kaiser"):
        scipy.signal.kaiser = scipy.signal.windows.kaiser


def _quietly(work: Callable[..., Any], *arguments: Any) -> Any:
    """Without what they print and warn of."""
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return work(*arguments)
