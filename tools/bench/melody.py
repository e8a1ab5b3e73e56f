"""f0: torchcrepe as published, our form of its network, and our whole tracker."""

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
NETWORKS: dict[Model, type[crepe.Crepe]] = {"tiny": crepe.CrepeTiny, "full": crepe.CrepeFull}
F0Curve = tuple[NDArray[np.float32], NDArray[np.float32]]  # Hz and periodicity, (N,) each


def group(singing: Singing) -> Group:
    """All trackers on the same audio at 16 kHz."""
    audio = singing.audio
    frames = len(audio.samples) // crepe.HOP
    samples = torch.from_numpy(audio.samples)
    runs: dict[str, Callable[[], F0Curve]] = {}
    models: tuple[Model, ...] = ("full", "tiny")
    for model in models:
        runs[f"torchcrepe {model}"] = partial(stock(model), samples)
    for model in models:
        runs[f"svc {model}: its network, torchcrepe's decoder"] = partial(same_decoder, NETWORKS[model](), samples)
    kinds: tuple[Literal["tiny", "full", "both"], ...] = ("full", "tiny", "both")
    for kind in kinds:
        for refine in (False, True):
            config = F0Config(model=kind, refine=refine)
            name = f"svc {kind}: tracked{' and refined' if refine else ''}"
            runs[name] = partial(f0.track, audio, frames, config)
    weights: dict[str, int] = {model: sum(p.numel() for p in torchcrepe.Crepe(model).parameters()) for model in models}
    weights["both"] = sum(weights.values())
    contestants = [
        Contestant(name, run, audio.seconds, weights[name.split()[1].rstrip(":")]) for name, run in runs.items()
    ]
    what = "recorded" if singing.f0 is None else "synthetic"
    text = (
        f"{audio.seconds:.0f} s of {what} singing at 16 kHz. torchcrepe: `predict` with `weighted_argmax`, batches of "
        f"{BATCH}, its table of bins without dither. Cents over frames with a torchcrepe periodicity above {VOICED}. "
        "Its decoder is biased to the middle of a bin (20 cents wide); ours is not. "
        "Target: our full network with torchcrepe's decoder within 2 cents and 1 % of torchcrepe full."
    )
    return Group("f0", text, contestants, REFERENCE, columns=partial(accuracy, truth=singing.f0))


def stock(model: Model) -> Callable[[Tensor], F0Curve]:
    """Return torchcrepe's tracker as published; padding aligns its frames with ours."""
    torchcrepe.load.model("cpu", model)
    network = torchcrepe.infer.model
    _exact_bins()

    def track(samples: Tensor) -> F0Curve:
        torchcrepe.infer.model, torchcrepe.infer.capacity = network, model  # it caches one network
        around = (crepe.WINDOW - crepe.HOP) // 2
        padded = torch.nn.functional.pad(samples, (around, around))[None]
        decoder = torchcrepe.decode.weighted_argmax
        shared: dict[str, Any] = {"model": model, "decoder": decoder, "batch_size": BATCH, "pad": False}
        result = torchcrepe.predict(padded, 16_000, crepe.HOP, *RANGE, return_periodicity=True, **shared)
        return result[0][0].numpy(), result[1][0].numpy()

    return track


def same_decoder(network: crepe.Crepe, samples: Tensor) -> F0Curve:
    """Our network's activations with torchcrepe's decoder."""
    with torch.inference_mode():
        windows = frame(samples[None], crepe.WINDOW, crepe.HOP)[0]
        batches = windows.split(f0.BATCH)
        probabilities = torch.cat([network.activations(crepe.normalise(batch))["pitch"] for batch in batches])
        decoder = torchcrepe.decode.weighted_argmax
        result = torchcrepe.postprocess(probabilities.T[None], *RANGE, decoder, return_periodicity=True)
    return result[0][0].numpy(), result[1][0].numpy()


def accuracy(timed: Mapping[str, Timed], truth: NDArray[np.float64] | None) -> Columns:
    """Error of every tracker against the reference, and against the truth if available."""
    curves: dict[str, F0Curve] = {name: entry.outcomes[-1] for name, entry in timed.items()}
    reference, periodicity = curves[REFERENCE]
    voiced = periodicity > VOICED
    columns = {}
    for name, (curve, _) in curves.items():
        columns[name] = _distance(curve, reference, voiced, REFERENCE)
        if truth is not None:
            columns[name] |= _distance(curve, truth, voiced & (truth > 0), "the truth")
    return columns


def _distance(curve: NDArray[Any], reference: NDArray[Any], where: NDArray[np.bool_], name: str) -> dict[str, str]:
    cents = np.abs(1200 * np.log2(curve[where] / reference[where]))
    middle, share = (f"{np.median(cents):.2f}", f"{np.mean(cents > FAR):.2%}") if len(cents) else ("–", "–")
    return {f"cents from {name}, median": middle, f"> {FAR:.0f} cents from {name}": share}


def _exact_bins() -> None:
    """Remove the random dither of torchcrepe's table of bins, which differs between processes."""
    cents = f0.FIRST_BIN_CENTS + f0.CENTS_PER_BIN * torch.arange(crepe.BINS)
    torchcrepe.decode.weighted_argmax.weights = cents[None, :, None]
