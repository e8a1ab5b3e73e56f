"""The speech encoders that others publish: HuBERT, WavLM and wav2vec 2.0, in torchaudio's architectures.

They answer every 20 ms. Their front, a stack of convolutions with a stride of 320 samples and a window of 400 at
16 kHz, is led in by 120 samples of silence, so that its frame k is centred on sample 320k + 80: on our frame 2k
exactly. Our odd frames lie halfway between two of theirs and are the mean of both.
"""

from pathlib import Path
from types import EllipsisType
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional

from svc.encoders import safetensors_io
from svc.encoders.base import Encoder
from svc.encoders.download import weights_file
from svc.utils.units import hop_samples

BundleName = Literal["hubert-base", "wavlm-base-plus", "wav2vec2-asr-base"]
BUNDLES: dict[BundleName, str] = {
    "hubert-base": "HUBERT_BASE",
    "wavlm-base-plus": "WAVLM_BASE_PLUS",
    "wav2vec2-asr-base": "WAV2VEC2_ASR_BASE_960H",
}  # as torchaudio.pipelines calls them
PUBLISHER = "https://download.pytorch.org/torchaudio/models"
SAMPLE_RATE, WINDOW, STRIDE = 16_000, 400, 320
LEAD = (WINDOW - hop_samples(SAMPLE_RATE)) // 2  # samples of silence: their first centre comes to our first


class Bundle(Encoder):
    """Layers ``layer1`` … ``layer12`` (768): what comes out of each block of the transformer.

    - ``hubert-base``: HuBERT (Hsu et al. 2106.07447), Base, 960 h of LibriSpeech;
    - ``wavlm-base-plus``: WavLM (Chen et al. 2110.13900), Base+, 94 000 h;
    - ``wav2vec2-asr-base``: wav2vec 2.0 (Baevski et al. 2006.11477), Base, taught to spell on LibriSpeech.

    A transformer hears everything at once, and the front normalises each channel over all the audio, so the margin is
    no bound but a choice: with 3 s around it a chunk comes out nearly, not exactly, as in the whole. It is even, so
    that the frames of chunks are those of the whole.
    """

    sample_rate = SAMPLE_RATE
    margin = 300
    normalised = "each"

    def __init__(self, name: BundleName, file: Path | EllipsisType | None = ...) -> None:
        """Weights from a safetensors file, by default the one in the cache, which is made from the publisher's.

        Args:
            name: which.
            file: ``None`` for random weights.

        Raises:
            WeightsError: the file is not there and cannot be fetched, is damaged, changed or of another network.
        """
        super().__init__()
        self.name = name
        if file is None:
            self.model = _network(name)
        else:
            with torch.device("meta"):
                self.model = _network(name)
            wanted = self.model.state_dict()
            path = weights_file(name, address(name), wanted, published) if file is ... else file
            tensors = safetensors_io.read(path, wanted, "delete it to have it made anew")
            self.model.load_state_dict(tensors, assign=True)
        self.freeze()

    @property
    def identity(self) -> str:
        """Name and version; the weights have a hash of their own."""
        return f"{self.name}/1"

    def forward(self, audio: Tensor) -> dict[str, Tensor]:
        """All layers of audio (B, T) at 16 kHz."""
        return self._up_to(None, audio)

    def hear(self, audio: Tensor, layer: str) -> Tensor:
        """One layer; the blocks behind it are spared."""
        return self._up_to(int(layer.removeprefix("layer")), audio)[layer]

    def _up_to(self, block: int | None, audio: Tensor) -> dict[str, Tensor]:
        layers, _ = self.model.extract_features(fit(audio), num_layers=block)
        frames = audio.shape[-1] // hop_samples(SAMPLE_RATE)
        return {f"layer{number}": on_clock(layer, frames) for number, layer in enumerate(layers, 1)}


def fit(audio: Tensor) -> Tensor:
    """Audio (B, T) with silence around it, or its tail cut, for N // 2 + 1 frames of the front, N = T // hop."""
    samples = audio.shape[-1]
    last = samples // hop_samples(SAMPLE_RATE) // 2
    return functional.pad(audio, (LEAD, last * STRIDE + WINDOW - LEAD - samples))


def on_clock(layer: Tensor, frames: int) -> Tensor:
    """Frames every 20 ms (B, K, C), centred on our even ones, as (B, C, N) with N ≤ 2K - 1."""
    between = functional.interpolate(
        layer.transpose(1, 2), size=2 * layer.shape[1] - 1, mode="linear", align_corners=True
    )
    return between[..., :frames]


def address(name: BundleName) -> str:
    """Where the publisher has the weights."""
    return f"{PUBLISHER}/{_bundle(name)._path}"


def published(name: str) -> str:
    """A tensor's name in the publisher's files, which are older than torch's present normalisation of weights."""
    for present, former in (("original0", "weight_g"), ("original1", "weight_v")):
        name = name.replace(f"parametrizations.weight.{present}", former)
    return name


def _bundle(name: BundleName) -> Any:
    from torchaudio import pipelines

    return getattr(pipelines, BUNDLES[name])


def _network(name: BundleName) -> Any:
    """The architecture without the head that spells, which no layer needs."""
    from torchaudio import models

    bundle = _bundle(name)
    make = {"Wav2Vec2": models.wav2vec2_model, "WavLM": models.wavlm_model}[bundle._model_type]
    return make(**bundle._params | {"aux_num_out": None})
