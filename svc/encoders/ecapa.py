"""ECAPA-TDNN from SpeechBrain's classes and a safetensors file: nothing is downloaded or unpickled."""

import os
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from svc.audio.files import Samples
from svc.encoders import safetensors_io
from svc.errors import DataError, WeightsError
from svc.utils.optional import extra

RATE = 16_000  # Hz
BANDS = 80
SHORTEST = 640  # samples: the network mirrors 4 frames of 10 ms at either end
FILE = ".cache/svc/ecapa.safetensors"  # in the home folder
SOURCE = "speechbrain/spkrec-ecapa-voxceleb"
PUBLISHED = {
    "channels": [1024, 1024, 1024, 1024, 3072],
    "kernel_sizes": [5, 3, 3, 3, 1],
    "dilations": [1, 2, 3, 4, 1],
    "attention_channels": 128,
    "lin_neurons": 192,
}
CONVERT = (
    'python -c "import pathlib, safetensors.torch as s, torch; '
    f"f = pathlib.Path.home() / '{FILE}'; f.parent.mkdir(parents=True, exist_ok=True); "
    "s.save_file(torch.load('embedding_model.ckpt', map_location='cpu', weights_only=True), f)\""
)
WAY_OUT = (
    f"make it with `hf download {SOURCE} embedding_model.ckpt --local-dir .` and `{CONVERT}`, "
    "or take another --identity"
)


class EcapaEncoder:
    """ECAPA-TDNN (Desplanques et al. 2005.07143) as published in speechbrain/spkrec-ecapa-voxceleb.

    It hears mel bands in decibels less their mean over the recording, so that a gain makes no difference as long
    as they stay above their floor of -100 dB.

    Raises:
        DataError: SpeechBrain is not installed.
        WeightsError: the weights are not in ~/.cache/svc, damaged, or not those of this network.
    """

    def __init__(self) -> None:
        # importing SpeechBrain would let all of torch round to TF32 and change how it compiles
        os.environ.setdefault("SB_DISABLE_QUIRKS", "allow_tf32,disable_jit_profiling")
        network = extra("speechbrain.lobes.models.ECAPA_TDNN", "ecapa").ECAPA_TDNN(BANDS, **PUBLISHED)
        bands = extra("speechbrain.lobes.features", "ecapa").Fbank(n_mels=BANDS)
        centre = extra("speechbrain.processing.features", "ecapa").InputNormalization
        network.load_state_dict(safetensors_io.read(_file(), network.state_dict(), WAY_OUT))
        self.layers = nn.Sequential(bands, centre(norm_type="sentence", std_norm=False), network)
        self.layers.eval().requires_grad_(False)

    def embed(self, samples: Samples) -> NDArray[np.float64]:
        """Embedding (192,), not of unit norm, of samples (T,) at 16 kHz.

        Raises:
            DataError: they last less than 40 ms.
        """
        if len(samples) < SHORTEST:
            raise DataError(
                f"{len(samples) / RATE:.3f} s are too short for ecapa; give it at least {SHORTEST / RATE} s"
            )
        with torch.inference_mode():
            embedding = self.layers(torch.tensor(samples)[None])[0, 0]
        return np.asarray(embedding, dtype=np.float64)


def _file() -> Path:
    path = Path.home() / FILE
    if not path.is_file():
        raise WeightsError(f"{path.name} is not in {path.parent}; {WAY_OUT}")
    return path
