"""Self-supervised encoders: torchaudio's networks, frames to the sample, and weights that are downloaded once."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
import torchaudio
from networks import build, built, shrink
from publisher import Answer, Attack, Publisher, cached
from torch import nn

from svc import encoders
from svc.encoders.ssl import HuBERTBase, SSLEncoder, WavLMBasePlus, pad_to_hop, published_param_name
from svc.encoders.weights import weights_file
from svc.errors import WeightsError

HOP = 160
CLASSES = {name: cls for name, cls in encoders.classes().items() if issubclass(cls, SSLEncoder)}
URL = HuBERTBase.download().url


@pytest.fixture(params=CLASSES)
def name(request) -> str:
    return request.param


def sound(samples: int, batch: int = 1) -> torch.Tensor:
    return 0.1 * torch.randn(batch, samples, generator=torch.Generator().manual_seed(0))


def test_the_published_shapes(name):
    with torch.device("meta"):
        encoder = CLASSES[name](None)
        layers = encoder(torch.zeros(2, 16_079))
    assert {key: layer.shape for key, layer in layers.items()} == {f"layer{n}": (2, 768, 100) for n in range(1, 13)}
    assert {key: layer.shape[1] for key, layer in layers.items()} == dict(encoder.channels)
    parameters = sum(value.numel() for value in encoder.parameters())
    assert parameters == {"wavlm-base-plus": 94_381_168}.get(name, 94_370_944)
    assert not any("aux" in key for key in encoder.state_dict())
    bundle = getattr(torchaudio.pipelines, CLASSES[name].bundle)
    assert (bundle.sample_rate, bundle._normalize_waveform) == (encoder.sample_rate, False)


class NoTransformer(nn.Module):
    """In place of a transformer: the front end as it is."""

    def extract_features(self, features, lengths, number):
        return [features]


@pytest.mark.parametrize("samples", [2_400, 2_559, 2_560])
@torch.no_grad()
def test_a_click_lands_in_its_frames(samples):
    """A frame hears the 400 samples about its centre, the halfway frames those of both neighbours, and no others."""
    encoder = build("hubert-base")
    encoder.model.encoder = NoTransformer()
    encoder.model.feature_extractor.conv_layers[0].layer_norm = None  # which hears everything
    for at in (0, 279, 280, 1_000, 1_159, 1_160, 1_161, 1_240, 1_399, 1_400, 1_559, 1_560, 2_399):
        audio = torch.zeros(1, samples)
        audio[0, at] = 100
        touched = encoder(audio)["layer1"][0].abs().amax(dim=0).nonzero()[:, 0].tolist()
        whole = {n for n in range(0, 18, 2) if -200 <= at - (HOP * n + 80) < 200}
        expected = whole | {n + side for n in whole for side in (-1, 1)}
        assert touched == [n for n in sorted(expected) if 0 <= n < samples // HOP]


@torch.no_grad()
def test_it_is_torchaudios_network(name):
    encoder = built(name)
    stock, _ = encoder.model.extract_features(pad_to_hop(sound(3_200)))
    ours = encoder(sound(3_200))
    for number, layer in enumerate(stock, 1):
        torch.testing.assert_close(ours[f"layer{number}"][..., ::2], layer.transpose(1, 2)[..., :10])
        assert torch.equal(encoder.layer(sound(3_200), f"layer{number}"), ours[f"layer{number}"])


@pytest.fixture
def publisher(tmp_path, monkeypatch) -> Publisher:
    for cls in CLASSES.values():
        shrink(monkeypatch, cls)
        monkeypatch.setattr(cls, "sha256", None)  # of the published file, which is not this one
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return Publisher(monkeypatch)


def publish(publisher: Publisher, name: str) -> bytes:
    """The random network of a name, in the published names."""
    weights = {published_param_name(key): value for key, value in built(name).model.state_dict().items()}
    return publisher.publish(weights | {"aux.bias": torch.zeros(32)})


def test_weights_are_downloaded_once(name, publisher, tmp_path):
    theirs = built(name)
    publish(publisher, name)
    state = torch.random.get_rng_state()
    ours = CLASSES[name]()
    assert torch.equal(torch.random.get_rng_state(), state)
    assert ours.weight_hash() == theirs.weight_hash() == CLASSES[name]().weight_hash()
    assert not any(value.requires_grad for value in ours.parameters())
    assert torch.equal(ours(sound(800))["layer12"], theirs(sound(800))["layer12"])
    path = getattr(torchaudio.pipelines, CLASSES[name].bundle)._path
    assert publisher.requests == [f"https://download.pytorch.org/torchaudio/models/{path}"]
    assert cached(tmp_path) == [f"{name}.safetensors", f"{name}.sha256"]
    stored = tmp_path / "svc" / f"{name}.safetensors"
    checksum = f"{hashlib.sha256(stored.read_bytes()).hexdigest()}  {name}.safetensors\n"
    assert (tmp_path / "svc" / f"{name}.sha256").read_text() == checksum
    assert CLASSES[name](stored).weight_hash() == theirs.weight_hash()
    stored.write_bytes(stored.read_bytes()[:-1] + b"\x7f")
    with pytest.raises(WeightsError, match=rf"{name}\.safetensors: has changed since"):
        CLASSES[name]()


def test_an_archive_put_there_by_hand_is_used_or_named_and_kept(publisher, tmp_path):
    archive = tmp_path / "svc" / "hubert_fairseq_base_ls960.pth"
    archive.parent.mkdir()
    archive.write_bytes(b"<html>")
    with pytest.raises(WeightsError, match=rf"^{archive}: refused, .*; download {URL} by other means"):
        HuBERTBase()
    archive.write_bytes(publish(publisher, "hubert-base"))
    assert HuBERTBase().weight_hash() == built("hubert-base").weight_hash()
    assert publisher.requests == []
    assert archive.exists()


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (None, "Name or service not known"),
        (lambda: Answer(b"half", 8), "4 of 8 bytes"),
        (lambda: Answer(b"", 0), "0 bytes"),
        (lambda: Answer(b"", 2**40), "bytes"),
        (lambda: Answer(b"", "many"), "many"),
    ],
)
def test_without_the_publisher_there_is_one_sentence(publisher, tmp_path, answer, reason):
    publisher.answer = answer or publisher.down
    with pytest.raises(WeightsError) as caught:
        HuBERTBase()
    for part in ("hubert-base", str(tmp_path / "svc"), reason, URL, "put it into", "cepstral", "no weights"):
        assert part in str(caught.value)
    assert cached(tmp_path) == []


def test_what_is_downloaded_and_is_no_archive_of_tensors_is_not_kept(publisher, tmp_path):
    for data, reason in (
        (b"<html>", "refused"),
        (publisher.publish({"other": torch.zeros(3)}), "feature_extractor.* is missing or of the wrong shape"),
        (publisher.publish({"a": Attack(tmp_path / "marker")}), "refused"),
    ):
        publisher.answer = lambda data=data: Answer(data)
        with pytest.raises(WeightsError, match=rf"^{URL}: {reason}[^\n]*or use the encoder cepstral[^\n]*$"):
            HuBERTBase()
        assert cached(tmp_path) == []
    assert not (tmp_path / "marker").exists()


def test_another_file_than_the_pinned_one_is_refused(publisher, monkeypatch):
    data = publish(publisher, "wavlm-base-plus")
    monkeypatch.setattr(WavLMBasePlus, "sha256", "0" * 64)
    with pytest.raises(WeightsError, match=r"is another file, SHA-256 [0-9a-f]{12}…; download https"):
        WavLMBasePlus()
    monkeypatch.setattr(WavLMBasePlus, "sha256", hashlib.sha256(data).hexdigest())
    WavLMBasePlus()


def test_three_at_once_download_once(publisher):
    publish(publisher, "hubert-base")
    wanted = {key: value.to("meta") for key, value in built("hubert-base").model.state_dict().items()}

    def fetch(_number: int) -> Path:
        return weights_file(HuBERTBase.download(), wanted, published_param_name)

    with ThreadPoolExecutor(3) as pool:
        assert len(set(pool.map(fetch, range(3)))) == 1
    assert len(publisher.requests) == 1
