"""ECAPA-TDNN speaker encoder (Desplanques et al. 2005.07143), SpeechBrain's classes and a safetensors file."""

import os
from pathlib import Path
from typing import ClassVar

from torch import Tensor, nn

from svc.encoders import register
from svc.encoders.base import Encoder
from svc.encoders.weights import cache_folder, load_checked
from svc.errors import WeightsError
from svc.utils.optional import import_optional

BANDS = 80
FILE = "ecapa.safetensors"  # in the cache folder
SOURCE = "speechbrain/spkrec-ecapa-voxceleb"
PUBLISHED = {
    "channels": [1024, 1024, 1024, 1024, 3072],
    "kernel_sizes": [5, 3, 3, 3, 1],
    "dilations": [1, 2, 3, 4, 1],
    "attention_channels": 128,
    "lin_neurons": 192,
}
CONVERT = (
    'python -c "import safetensors.torch as s, torch; from svc.encoders.weights import cache_folder, load_checked; '
    "f = cache_folder(); f.mkdir(parents=True, exist_ok=True); "
    f"s.save_file(torch.load('embedding_model.ckpt', map_location='cpu', weights_only=True), f / '{FILE}')\""
)
HINT = (
    f"make it with `hf download {SOURCE} embedding_model.ckpt --local-dir .` and `{CONVERT}`, "
    "or use another speaker encoder"
)


@register("ecapa")
class EcapaEncoder(Encoder):
    """Layer ``embedding`` (B, 192, 1), not of unit norm, as published in speechbrain/spkrec-ecapa-voxceleb.

    Its input is mel bands in decibels less their mean over the recording, so a gain makes no difference as long as
    they stay above their floor of -100 dB.
    """

    hop = None
    min_samples = 640  # the network mirrors 4 frames of 10 ms at either end
    channels: ClassVar = {"embedding": 192}

    def __init__(self, file: Path | None = None) -> None:
        """Weights from a safetensors file, by default ``ecapa.safetensors`` in the cache folder.

        Raises:
            MissingExtra: SpeechBrain is not installed.
            WeightsError: the weights are not there, damaged, or not those of this network.
        """
        super().__init__()
        # importing SpeechBrain would let all of torch round to TF32 and change how it compiles
        os.environ.setdefault("SB_DISABLE_QUIRKS", "allow_tf32,disable_jit_profiling")
        network = import_optional("speechbrain.lobes.models.ECAPA_TDNN", "ecapa").ECAPA_TDNN(BANDS, **PUBLISHED)
        bands = import_optional("speechbrain.lobes.features", "ecapa").Fbank(n_mels=BANDS)
        centre = import_optional("speechbrain.processing.features", "ecapa").InputNormalization
        network.load_state_dict(load_checked(file or _file(), network.state_dict(), HINT))
        self.network = nn.Sequential(bands, centre(norm_type="sentence", std_norm=False), network)
        self.freeze()

    def forward(self, audio: Tensor) -> dict[str, Tensor]:
        """The one layer of audio (B, T) at 16 kHz, at least 40 ms."""
        return {"embedding": self.network(audio).transpose(1, 2)}


def _file() -> Path:
    path = cache_folder() / FILE
    if not path.is_file():
        raise WeightsError(f"{path.name} is not in {path.parent}; {HINT}")
    return path
