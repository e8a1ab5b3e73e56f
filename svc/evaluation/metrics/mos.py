"""Predicted mean opinion scores (MOS) by name: ``distillmos``, ``dnsmos``, ``squim``.

These networks were trained on speech. Read their scores beside those of the source and of real recordings, never
alone. Nothing is downloaded.
"""

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from svc.audio.files import MIN_SECONDS, Audio, Samples
from svc.audio.resample import resample
from svc.errors import DataError, WeightsError
from svc.utils.optional import import_optional

RATE = 16_000  # Hz
MAX_SECONDS = {"squim": 5.0, "distillmos": 30.0}  # of a piece: memory grows with the square of it
Predict = Callable[[Samples], dict[str, float]]


@dataclass(frozen=True, slots=True)
class MOSPredictor:
    """A network that predicts scores of samples (T,) at 16 kHz within ±1."""

    name: str
    predict: Predict

    def scores(self, audio: Audio) -> dict[str, float]:
        """Scores by name, such as ``dnsmos_ovrl``; NaN for digital silence where a network has no score for it.

        Raises:
            DataError: the recording is shorter than 0.3 s.
        """
        if audio.seconds < MIN_SECONDS:
            raise DataError(f"{audio.seconds:.3f} s are too short for {self.name}; it needs at least {MIN_SECONDS} s")
        return self.predict(np.clip(resample(audio, RATE).samples, -1.0, 1.0))


def load_mos_predictor(name: str) -> MOSPredictor:
    """MOS predictor by name.

    Raises:
        DataError: no such predictor, or its library is not installed.
        WeightsError: its weights are missing or damaged.
    """
    loaders = {"distillmos": _distillmos, "dnsmos": _dnsmos, "squim": _squim}
    if name not in loaders:
        raise DataError(f"--mos {name}: no such predictor; choose one of {', '.join(loaders)}")
    return MOSPredictor(name, loaders[name]())


def _distillmos() -> Predict:
    """Distill-MOS (Stahl and Gamper 2025): overall speech quality, 1–5; the weights come with the package."""
    network = import_optional("distillmos", "distillmos").ConvTransformerSQAModel().eval()
    return _piecewise("distillmos", ("distillmos",), lambda samples: [network(samples)])


def _dnsmos() -> Predict:
    """DNSMOS P.835 (2110.01763) and P.808 (2010.15258): means over windows of 9.01 s, short input repeated; 1–5."""
    run = import_optional("speechmos.dnsmos", "mos").run

    def predict(samples: Samples) -> dict[str, float]:
        scores = run(samples, sr=RATE)
        return {f"dnsmos_{name}": float(scores[f"{name}_mos"]) for name in ("ovrl", "sig", "bak", "p808")}

    return predict


def _squim() -> Predict:
    """SQUIM (2304.01448): STOI (0–1), wide-band PESQ (1–4.6) and SI-SDR (dB) estimated without a reference."""
    bundle = importlib.import_module("torchaudio.pipelines").SQUIM_OBJECTIVE
    path = Path(torch.hub.get_dir()) / "torchaudio/models" / bundle._path
    _check_exists(path, 'fetch it with `python -c "import torchaudio.pipelines as p; p.SQUIM_OBJECTIVE.get_model()"`')
    network = _load("squim", path, bundle.get_model)
    return _piecewise("squim", ("squim_stoi", "squim_pesq", "squim_si_sdr"), network)


def _check_exists(path: Path, hint: str) -> None:
    if not path.is_file():
        raise WeightsError(f"{path.name} is not in {path.parent}; {hint}, or choose --mos dnsmos")


def _load(name: str, path: Path, load: Callable[[], Any]) -> Any:
    try:
        return load()
    except Exception as error:  # torch's own message may advise loading without a check
        raise WeightsError(f"{path}: cannot be loaded as {name}; delete it and fetch it again") from error


def _piecewise(name: str, keys: Sequence[str], network: Callable[[torch.Tensor], Sequence[torch.Tensor]]) -> Predict:
    """Mean over equal pieces of limited length, without pieces of digital silence."""

    def predict(samples: Samples) -> dict[str, float]:
        pieces = np.array_split(samples, int(np.ceil(len(samples) / (MAX_SECONDS[name] * RATE))))
        with torch.inference_mode():
            scores = [[float(x) for x in network(torch.from_numpy(p)[None])] for p in pieces if p.any()]
        means = np.mean(scores, axis=0).tolist() if scores else [float("nan")] * len(keys)
        return dict(zip(keys, means, strict=True))

    return predict
