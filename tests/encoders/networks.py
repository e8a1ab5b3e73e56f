"""Every registered encoder as tests can build it: with its own weights where they are here, else with random ones."""

import importlib.util
from functools import lru_cache

import pytest
import torch
import torchaudio

from svc import encoders
from svc.encoders.autoencoder import AutoencoderEncoder
from svc.encoders.base import Encoder
from svc.encoders.campplus import CamPlusPlusEncoder
from svc.encoders.ecapa import EcapaEncoder
from svc.encoders.ge2e import GE2ESpeakerEncoder
from svc.encoders.phone_classifier import PhoneEncoder
from svc.encoders.spectrogram import AudioSetEncoder
from svc.encoders.ssl import SSLEncoder

NAMES = list(encoders.classes())
SMALL = {
    "extractor_conv_layer_config": [(16, 10, 5), *4 * [(16, 3, 2)], *2 * [(16, 2, 2)]],
    "encoder_embed_dim": 48,
    "encoder_pos_conv_kernel": 16,
    "encoder_pos_conv_groups": 4,
    "encoder_num_heads": 4,
    "encoder_ff_interm_features": 64,
}
NEEDED = {GE2ESpeakerEncoder: "resemblyzer", EcapaEncoder: "speechbrain"}


def shrink(patch: pytest.MonkeyPatch, cls: type[SSLEncoder]) -> None:
    """The same network with fewer channels."""
    bundle = getattr(torchaudio.pipelines, cls.bundle)
    patch.setattr(bundle, "_params", bundle._params | SMALL)


def build(name: str) -> Encoder:
    """A new one."""
    cls = encoders.classes()[name]
    if cls in NEEDED and not importlib.util.find_spec(NEEDED[cls]):
        pytest.skip(f"needs {NEEDED[cls]}")
    with pytest.MonkeyPatch.context() as patch, torch.random.fork_rng():
        torch.manual_seed(0)
        if issubclass(cls, AudioSetEncoder | AutoencoderEncoder | CamPlusPlusEncoder):
            return cls(file=None)
        if issubclass(cls, SSLEncoder):
            shrink(patch, cls)
            return cls(None)
        if cls is EcapaEncoder:
            patch.setattr("svc.encoders.ecapa.load_checked", lambda _path, network, _hint: network)
            return EcapaEncoder(file="none")
        if cls is PhoneEncoder:  # random weights reach as far as they can
            encoder = PhoneEncoder(file=None)
            for block in encoder.model.blocks:
                torch.nn.init.normal_(block.narrow.weight, std=0.02)
            return encoder
        return encoders.load(name)


built = lru_cache(build)
