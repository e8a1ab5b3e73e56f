"""Predicted mean opinion scores (MOS) by name: ``distillmos``, ``dnsmos``.

These networks were trained on speech. Read their scores beside those of the source and of real recordings, never
alone. Nothing is downloaded.
"""

from collections.abc import Callable
from contextlib import redirect_stdout
from io import StringIO

import numpy as np
import torch

from svc.audio.files import Audio, Samples
from svc.audio.resample import resample
from svc.errors import DataError
from svc.utils.optional import import_optional

RATE = 16_000  # Hz
MAX_SECONDS = 30.0  # of a piece for Distill-MOS: memory grows with the square of it
Predictor = Callable[[Audio], dict[str, float]]


def load_mos_predictor(name: str) -> Predictor:
    """MOS predictor by name: from a recording to scores by name, such as ``dnsmos_ovrl``.

    Raises:
        DataError: no such predictor, or its library is not installed.
    """
    loaders = {"distillmos": _distillmos, "dnsmos": _dnsmos}
    if name not in loaders:
        raise DataError(f"--mos {name}: no such predictor; choose one of {', '.join(loaders)}")
    return loaders[name]()


def _distillmos() -> Predictor:
    """Distill-MOS (Stahl and Gamper 2025): overall speech quality, 1–5; the weights come with the package.

    Mean over equal pieces of at most 30 s, without pieces of digital silence; NaN if there is nothing else.
    """
    library = import_optional("distillmos", "distillmos")
    with redirect_stdout(StringIO()):  # it prints the path of its weights
        network = library.ConvTransformerSQAModel().eval()

    def predict(audio: Audio) -> dict[str, float]:
        samples = _prepare(audio)
        pieces = np.array_split(samples, int(np.ceil(len(samples) / (MAX_SECONDS * RATE))))
        with torch.inference_mode():
            scores = [float(network(torch.from_numpy(piece)[None])) for piece in pieces if piece.any()]
        return {"distillmos": float(np.mean(scores)) if scores else float("nan")}

    return predict


def _dnsmos() -> Predictor:
    """DNSMOS P.835 (2110.01763) and P.808 (2010.15258): means over windows of 9.01 s, short input repeated; 1–5."""
    run = import_optional("speechmos.dnsmos", "mos").run

    def predict(audio: Audio) -> dict[str, float]:
        scores = run(_prepare(audio), sr=RATE)
        return {f"dnsmos_{name}": float(scores[f"{name}_mos"]) for name in ("ovrl", "sig", "bak", "p808")}

    return predict


def _prepare(audio: Audio) -> Samples:
    """Samples (T,) at 16 kHz within ±1."""
    return np.clip(resample(audio, RATE).samples, -1.0, 1.0)
