"""ECAPA-TDNN: what SpeechBrain's own classes give, from weights that are checked, and never a download."""

import importlib.util
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from svc.data.synthetic.phrases import phrase
from svc.data.synthetic.singers import SINGERS, render
from svc.encoders.ecapa import CONVERT, PUBLISHED, EcapaEncoder
from svc.errors import WeightsError
from svc.utils.optional import import_optional

NETWORK, BANDS, CENTRE = (
    f"speechbrain.{module}" for module in ("lobes.models.ECAPA_TDNN", "lobes.features", "processing.features")
)
pytestmark = pytest.mark.skipif(importlib.util.find_spec("speechbrain") is None, reason="needs speechbrain")


@pytest.fixture
def path(monkeypatch, tmp_path) -> Path:
    """Where the weights belong, in an empty cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "svc" / "ecapa.safetensors"


def test_missing_weights_name_the_commands_that_make_them(path):
    with pytest.raises(
        WeightsError, match=r"^ecapa\.safetensors is not in .*; make it with `hf download .*weights_only"
    ):
        EcapaEncoder()


def test_it_is_speechbrains_own_pipeline(path, tmp_path):
    """With random weights and random statistics of the batches, converted by the command of the error message."""
    torch.manual_seed(0)
    network = import_optional(NETWORK).ECAPA_TDNN(input_size=80, **PUBLISHED)
    weights = network.state_dict()
    for name, value in weights.items():
        if name.endswith(("running_mean", "running_var")):
            value.uniform_(0.5, 1.5)
    torch.save(weights, tmp_path / "embedding_model.ckpt")
    subprocess.run([sys.executable, *shlex.split(CONVERT)[1:]], cwd=tmp_path, check=True)
    assert load_file(path).keys() == weights.keys()
    audio = torch.from_numpy(render(SINGERS[0], phrase(0)).samples[None, 24_000:40_000])
    lengths = torch.ones(1)
    with torch.inference_mode():
        bands = import_optional(BANDS).Fbank(n_mels=80)(audio)
        bands = import_optional(CENTRE).InputNormalization(norm_type="sentence", std_norm=False)(bands, lengths)
        expected = network.eval()(bands, lengths)
    assert torch.equal(EcapaEncoder()(audio)["embedding"], expected.transpose(1, 2))
