"""Predicted mean opinion scores, by name: networks that were taught what listeners say of recordings.

``dnsmos`` and ``squim`` were taught on speech: read their scores beside those of the source and of real recordings,
never alone. Nothing is ever downloaded.
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
from svc.utils.optional import extra

RATE = 16_000  # Hz, of all of them
PIECE = 5.0  # s, at most: attention takes time and memory with the square of it
Predict = Callable[[Samples], dict[str, float]]


@dataclass(frozen=True, slots=True)
class Opinion:
    """A network that scores samples (T,) at 16 kHz within ±1."""

    name: str
    predict: Predict

    def scores(self, audio: Audio) -> dict[str, float]:
        """Scores by name, such as ``dnsmos_ovrl``; NaN where a network has none for silence.

        Raises:
            DataError: the recording is shorter than 0.3 s.
        """
        if audio.seconds < MIN_SECONDS:
            raise DataError(f"{audio.seconds:.3f} s are too short for {self.name}; give it at least {MIN_SECONDS} s")
        return self.predict(np.clip(resample(audio, RATE).samples, -1.0, 1.0))


def opinion_by_name(name: str) -> Opinion:
    """Load ``dnsmos``, ``singmos`` or ``squim``.

    Raises:
        DataError: there is no such name, or its library is missing.
        WeightsError: its weights are not in their folder, or damaged.
    """
    loaders = {"dnsmos": _dnsmos, "singmos": _singmos, "squim": _squim}
    if name not in loaders:
        raise DataError(f"nothing predicts opinions under the name {name!r}; choose one of {', '.join(loaders)}")
    return Opinion(name, loaders[name]())


def _dnsmos() -> Predict:
    """DNSMOS P.835 (2110.01763) and P.808 (2010.15258): means over windows of 9.01 s, short ones repeated; 1–5."""
    run = extra("speechmos.dnsmos", "mos").run

    def predict(samples: Samples) -> dict[str, float]:
        scores = run(samples, sr=RATE)
        return {f"dnsmos_{name}": float(scores[f"{name}_mos"]) for name in ("ovrl", "sig", "bak", "p808")}

    return predict


def _squim() -> Predict:
    """SQUIM (2304.01448): what STOI (0–1), wide-band PESQ (1–4.6) and SI-SDR (dB) would be, without a reference."""
    bundle = importlib.import_module("torchaudio.pipelines").SQUIM_OBJECTIVE
    path = Path(torch.hub.get_dir()) / "torchaudio/models" / bundle._path
    _check_there(path, 'fetch it with `python -c "import torchaudio.pipelines as p; p.SQUIM_OBJECTIVE.get_model()"`')
    network = _load("squim", path, bundle.get_model)
    return _piecewise(("squim_stoi", "squim_pesq", "squim_si_sdr"), network)


def _singmos() -> Predict:
    """SingMOS-Pro (2510.01812) exists only as a repository whose code torch.hub runs, through s3prl."""
    raise WeightsError(
        "singmos: its weights come as pickles with code of their own, which needs an s3prl that does not load beside "
        "torchaudio 2.11; score the files in OUT/converted with its own repository, or ask for dnsmos or squim"
    )


def _check_there(path: Path, way_out: str) -> None:
    if not path.is_file():
        raise WeightsError(f"{path.name} is not in {path.parent}; {way_out}, or ask for dnsmos")


def _load(name: str, path: Path, load: Callable[[], Any]) -> Any:
    try:
        return load()
    except Exception as error:  # a stranger's, whose text may advise to unpickle without a check
        raise WeightsError(f"{path}: {name} does not load it; delete it and fetch it again") from error


def _piecewise(names: Sequence[str], network: Callable[[torch.Tensor], Sequence[torch.Tensor]]) -> Predict:
    """Mean over equal pieces of at most 5 s; those of digital silence do not count."""

    def predict(samples: Samples) -> dict[str, float]:
        pieces = np.array_split(samples, int(np.ceil(len(samples) / (PIECE * RATE))))
        with torch.inference_mode():
            scores = [[float(x) for x in network(torch.from_numpy(p)[None])] for p in pieces if p.any()]
        means = np.mean(scores, axis=0).tolist() if scores else [float("nan")] * len(names)
        return dict(zip(names, means, strict=True))

    return predict
