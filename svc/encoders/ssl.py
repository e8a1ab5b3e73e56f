"""Self-supervised speech encoders: HuBERT, WavLM and wav2vec 2.0, in torchaudio's architectures.

They answer every 20 ms. Their front end, a stack of convolutions with a stride of 320 samples and a window of 400 at
16 kHz, gets 120 samples of silence first, so that its frame k is centred on sample 320k + 80: on our frame 2k
exactly. Our odd frames lie halfway between two of theirs and are the mean of both.
"""

from contextlib import nullcontext
from pathlib import Path
from types import EllipsisType
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional

from svc.encoders import register
from svc.encoders.base import Encoder
from svc.encoders.weights import Download, load_published
from svc.utils.units import hop_samples

PUBLISHER = "https://download.pytorch.org/torchaudio/models"
SAMPLE_RATE, WINDOW, STRIDE = 16_000, 400, 320
PAD = (WINDOW - hop_samples(SAMPLE_RATE)) // 2  # samples of silence: their first centre comes to our first


class SSLEncoder(Encoder):
    """Layers ``layer1`` … ``layer12`` (768): the output of each transformer block.

    A transformer sees all frames at once, and the front end normalises each channel over all the audio, so the margin
    is no bound but a choice: with 3 s around it a chunk comes out nearly, not exactly, as in the whole. It is even, so
    that the frames of chunks are those of the whole.

    Attributes:
        bundle: in ``torchaudio.pipelines``.
        sha256: of the published file; none where it could not be confirmed, then the first download is trusted.
    """

    bundle: ClassVar[str]
    sha256: ClassVar[str | None] = None
    channels: ClassVar = {f"layer{number}": 768 for number in range(1, 13)}
    margin = 300
    normalization = "per_channel"

    def __init__(self, file: Path | EllipsisType | None = ...) -> None:
        """Weights of the publisher by default, of a safetensors file, or random ones if that is None.

        Raises:
            WeightsError: the file is not there and cannot be fetched, is damaged, changed or of another network.
        """
        super().__init__()
        with torch.device("meta") if file is not None else nullcontext():
            self.model = self._network()
        if file is not None:
            load_published(self.model, self.download(), None if file is ... else file, published_param_name)
        self.freeze()

    @classmethod
    def download(cls) -> Download:
        """Where the publisher has the weights."""
        return Download(cls.name, f"{PUBLISHER}/{cls._published()._path}", cls.sha256)

    @classmethod
    def _published(cls) -> Any:
        from torchaudio import pipelines

        return getattr(pipelines, cls.bundle)

    def _network(self) -> Any:
        """The architecture without the CTC head, which no layer needs."""
        from torchaudio import models

        bundle = self._published()
        make = {"Wav2Vec2": models.wav2vec2_model, "WavLM": models.wavlm_model}[bundle._model_type]
        return make(**bundle._params | {"aux_num_out": None})

    def forward(self, audio: Tensor) -> dict[str, Tensor]:
        """All layers of audio (B, T) at 16 kHz."""
        return self._up_to(None, audio)

    def layer(self, audio: Tensor, layer: str) -> Tensor:
        """One layer; later blocks are not computed."""
        return self._up_to(int(layer.removeprefix("layer")), audio)[layer]

    def _up_to(self, block: int | None, audio: Tensor) -> dict[str, Tensor]:
        layers, _ = self.model.extract_features(pad_to_hop(audio), num_layers=block)
        frames = audio.shape[-1] // hop_samples(SAMPLE_RATE)
        return {f"layer{number}": upsample_to_10ms(layer, frames) for number, layer in enumerate(layers, 1)}


def pad_to_hop(audio: Tensor) -> Tensor:
    """Audio (B, T) with silence around it, or its tail cut, for N // 2 + 1 frames of the front, N = T // hop."""
    samples = audio.shape[-1]
    last = samples // hop_samples(SAMPLE_RATE) // 2
    return functional.pad(audio, (PAD, last * STRIDE + WINDOW - PAD - samples))


def upsample_to_10ms(layer: Tensor, frames: int) -> Tensor:
    """Frames every 20 ms (B, K, C), centred on our even ones, as (B, C, N) with N ≤ 2K - 1."""
    between = functional.interpolate(
        layer.transpose(1, 2), size=2 * layer.shape[1] - 1, mode="linear", align_corners=True
    )
    return between[..., :frames]


def published_param_name(name: str) -> str:
    """A tensor's name in the publisher's files, which are older than torch's present normalisation of weights."""
    for present, former in (("original0", "weight_g"), ("original1", "weight_v")):
        name = name.replace(f"parametrizations.weight.{present}", former)
    return name


@register("hubert-base")
class HuBERTBase(SSLEncoder):
    """HuBERT Base (Hsu et al. 2106.07447), trained on 960 h of LibriSpeech."""

    bundle = "HUBERT_BASE"


@register("wavlm-base-plus")
class WavLMBasePlus(SSLEncoder):
    """WavLM Base+ (Chen et al. 2110.13900), trained on 94 000 h."""

    bundle = "WAVLM_BASE_PLUS"
    sha256 = "136a3e720c04f2c77bf7a4dc6a3868b14d5a2c145a988114b733cb1a8428be98"


@register("wav2vec2-asr-base")
class Wav2Vec2ASRBase(SSLEncoder):
    """wav2vec 2.0 Base (Baevski et al. 2006.11477), fine-tuned with CTC on LibriSpeech."""

    bundle = "WAV2VEC2_ASR_BASE_960H"
