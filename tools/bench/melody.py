"""The melody: torchcrepe as published against our form of its network and our whole tracker."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
import torchcrepe
from material import Singing
from numpy.typing import NDArray
from timing import Columns, Contestant, Group, Timed
from torch import Tensor

from svc.audio.stft import frame
from svc.config import F0Config
from svc.encoders import crepe
from svc.features import f0

BATCH = 64  # frames, of torchcrepe
VOICED = 0.5  # periodicity of torchcrepe's full network, above which a frame is compared
FAR = 20.0  # cents
REFERENCE = "torchcrepe full"
RANGE = (F0Config().fmin, F0Config().fmax)  # Hz
Model = Literal["tiny", "full"]
Melody = tuple[NDArray[np.float32], NDArray[np.float32]]  # Hz and periodicity, (N,) each


def group(singing: Singing) -> Group:
    """All trackers on the same audio at 16 kHz."""
    audio = singing.audio
    frames = len(audio.samples) // crepe.HOP
    samples = torch.from_numpy(audio.samples)
    runs: dict[str, Callable[[], Melody]] = {}
    models: tuple[Model, ...] = ("full", "tiny")
    for model in models:
        runs[f"torchcrepe {model}"] = partial(stock(model), samples)
    for model in models:
        runs[f"svc {model}: its network, torchcrepe's decoder"] = partial(same_decoder, crepe.load(model), samples)
    kinds: tuple[Literal["tiny", "full", "both"], ...] = ("full", "tiny", "both")
    for kind in kinds:
        for refine in (False, True):
            knobs = F0Config(model=kind, refine=refine)
            name = f"svc {kind}: tracked{' and refined' if refine else ''}"
            runs[name] = partial(f0.track, audio, frames, knobs)
    weights: dict[str, int] = {model: sum(p.numel() for p in torchcrepe.Crepe(model).parameters()) for model in models}
    weights["both"] = sum(weights.values())
    contestants = [
        Contestant(name, run, audio.seconds, weights[name.split()[1].rstrip(":")]) for name, run in runs.items()
    ]
    what = "recorded" if singing.f0 is None else "synthetic"
    text = (
        f"{audio.seconds:.0f} s of {what} singing at 16 kHz. torchcrepe: `predict` with `weighted_argmax`, batches of "
        f"{BATCH}, its table of bins without dither. Cents over the frames whose periodicity it puts above {VOICED}. "
        "Its decoder pulls towards the middle of a bin, which is 20 cents wide; ours does not. "
        "Wanted: our full network with torchcrepe's decoder within 2 cents and 1 % of torchcrepe full."
    )
    return Group("f0", text, contestants, [REFERENCE], columns=partial(accuracy, truth=singing.f0))


def stock(model: Model) -> Callable[[Tensor], Melody]:
    """The library as published, on our clock: its frames are moved to ours by padding."""
    torchcrepe.load.model("cpu", model)
    network = torchcrepe.infer.model
    _exact_bins()

    def track(samples: Tensor) -> Melody:
        torchcrepe.infer.model, torchcrepe.infer.capacity = network, model  # one at a time, or it is read again
        around = (crepe.WINDOW - crepe.HOP) // 2
        padded = torch.nn.functional.pad(samples, (around, around))[None]
        decoder = torchcrepe.decode.weighted_argmax
        shared: dict[str, Any] = {"model": model, "decoder": decoder, "batch_size": BATCH, "pad": False}
        found = torchcrepe.predict(padded, 16_000, crepe.HOP, *RANGE, return_periodicity=True, **shared)
        return found[0][0].numpy(), found[1][0].numpy()

    return track


def same_decoder(network: crepe.Crepe, samples: Tensor) -> Melody:
    """Our network's probabilities through the library's decoder."""
    with torch.inference_mode():
        windows = frame(samples[None], crepe.WINDOW, crepe.HOP)[0]
        batches = windows.split(f0.BATCH)
        probabilities = torch.cat([network.layers(crepe.normalise(batch))["pitch"] for batch in batches])
        decoder = torchcrepe.decode.weighted_argmax
        found = torchcrepe.postprocess(probabilities.T[None], *RANGE, decoder, return_periodicity=True)
    return found[0][0].numpy(), found[1][0].numpy()


def accuracy(timed: Mapping[str, Timed], truth: NDArray[np.float64] | None) -> Columns:
    """Distance of every tracker to the reference, and to the truth where it is known."""
    melodies: dict[str, Melody] = {name: entry.outcomes[-1] for name, entry in timed.items()}
    asked, periodicity = melodies[REFERENCE]
    voiced = periodicity > VOICED
    columns = {}
    for name, (curve, _) in melodies.items():
        columns[name] = _distance(curve, asked, voiced, REFERENCE)
        if truth is not None:
            columns[name] |= _distance(curve, truth, voiced & (truth > 0), "the truth")
    return columns


def _distance(curve: NDArray[Any], asked: NDArray[Any], where: NDArray[np.bool_], whose: str) -> dict[str, str]:
    cents = np.abs(1200 * np.log2(curve[where] / asked[where]))
    middle, share = (f"{np.median(cents):.2f}", f"{np.mean(cents > FAR):.2%}") if len(cents) else ("–", "–")
    return {f"cents from {whose}, median": middle, f"> {FAR:.0f} cents from {whose}": share}


def _exact_bins() -> None:
    """The library draws its decoder's table of bins with dither, once a process; every process would differ."""
    cents = f0.FIRST_BIN_CENTS + f0.CENTS_PER_BIN * torch.arange(crepe.BINS)
    torchcrepe.decode.weighted_argmax.weights = cents[None, :, None]
