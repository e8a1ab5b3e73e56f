"""Self-supervised encoders: torchaudio's networks, frames to the sample, and weights that are downloaded once."""

import hashlib
import io
import threading
import urllib.error
import urllib.request
from email.message import Message
from pathlib import Path

import numpy as np
import pytest
import torch
import torchaudio
from networks import build, built, shrink
from safetensors.torch import load_file, save_file
from torch import nn

from svc import encoders
from svc.encoders import download
from svc.encoders.ssl import HuBERTBase, SSLEncoder, WavLMBasePlus, pad_to_hop, published_param_name, upsample_to_10ms
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


@torch.no_grad()
def test_between_two_frames_lies_their_mean():
    """Of the times on which the front's frames are centred we read those of our frames."""
    for frames in range(1, 9):
        count = pad_to_hop(torch.zeros(1, HOP * frames)).shape[1]
        centres = torch.arange(0, count - 399, 320) + 200.0 - 120.0
        expected = HOP * torch.arange(frames) + 80.0
        assert upsample_to_10ms(centres[None, :, None], frames)[0, 0].tolist() == expected.tolist()


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
        heard = encoder(audio)["layer1"][0].abs().amax(dim=0).nonzero()[:, 0].tolist()
        whole = {n for n in range(0, 18, 2) if -200 <= at - (HOP * n + 80) < 200}
        expected = whole | {n + side for n in whole for side in (-1, 1)}
        assert heard == [n for n in sorted(expected) if 0 <= n < samples // HOP]


@torch.no_grad()
def test_a_click_is_loudest_in_its_frame():
    encoder = build("hubert-base")
    encoder.model.encoder = NoTransformer()
    for frame in range(4, 20, 2):
        audio = sound(3_600)
        before = encoder(audio)["layer1"]
        audio[0, HOP * frame + 80] += 3
        assert int((encoder(audio)["layer1"] - before).norm(dim=1).argmax()) == frame


@torch.no_grad()
def test_it_is_torchaudios_network(name):
    encoder = built(name)
    stock, _ = encoder.model.extract_features(pad_to_hop(sound(3_200)))
    ours = encoder(sound(3_200))
    for number, layer in enumerate(stock, 1):
        torch.testing.assert_close(ours[f"layer{number}"][..., ::2], layer.transpose(1, 2)[..., :10])
        assert torch.equal(encoder.layer(sound(3_200), f"layer{number}"), ours[f"layer{number}"])


@torch.no_grad()
def test_blocks_behind_the_layer_are_spared():
    encoder, called = build("hubert-base"), []
    for block in encoder.model.encoder.transformer.layers:
        block.register_forward_hook(lambda *_: called.append(1))
    encoder.layer(sound(3_200), "layer3")
    assert len(called) == 3


class Answer(io.BytesIO):
    """What an opener gives."""

    def __init__(self, data: bytes, length: int | str | None = None):
        super().__init__(data)
        self.headers = Message()
        self.headers["Content-Length"] = str(len(data) if length is None else length)


class Publisher:
    """A network that does not touch the network."""

    def __init__(self, patch: pytest.MonkeyPatch):
        self.asked: list[str] = []
        self.answer = lambda: Answer(b"")
        patch.setattr(urllib.request, "urlopen", self.open)

    def open(self, where: str, timeout: float) -> Answer:
        self.asked.append(where)
        assert timeout > 0
        return self.answer()

    def publishes(self, state: dict[str, torch.Tensor]) -> bytes:
        stream = io.BytesIO()
        torch.save(
            {published_param_name(key): value for key, value in state.items()} | {"aux.bias": torch.zeros(32)}, stream
        )
        self.answer = lambda: Answer(stream.getvalue())
        return stream.getvalue()


@pytest.fixture
def publisher(tmp_path, monkeypatch) -> Publisher:
    for cls in CLASSES.values():
        shrink(monkeypatch, cls)
        monkeypatch.setattr(cls, "sha256", None)  # of the published file, which is not this one
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return Publisher(monkeypatch)


def test_weights_are_fetched_once(name, publisher, tmp_path):
    theirs = built(name)
    publisher.publishes(theirs.model.state_dict())
    state = torch.random.get_rng_state()
    ours = CLASSES[name]()
    assert torch.equal(torch.random.get_rng_state(), state)
    assert ours.weight_hash() == theirs.weight_hash() == CLASSES[name]().weight_hash()
    assert not any(value.requires_grad for value in ours.parameters())
    assert torch.equal(ours(sound(800))["layer12"], theirs(sound(800))["layer12"])
    constant = CLASSES[name].bundle
    assert publisher.asked == [
        f"https://download.pytorch.org/torchaudio/models/{getattr(torchaudio.pipelines, constant)._path}"
    ]
    kept = sorted(path.name for path in (tmp_path / "svc").iterdir() if path.suffix != ".lock")
    assert kept == [f"{name}.safetensors", f"{name}.sha256"]
    stored = tmp_path / "svc" / f"{name}.safetensors"
    assert (tmp_path / "svc" / f"{name}.sha256").read_text() == (
        f"{hashlib.sha256(stored.read_bytes()).hexdigest()}  {name}.safetensors\n"
    )
    assert CLASSES[name](stored).weight_hash() == theirs.weight_hash()


def test_names_are_as_torch_translates_them(name):
    """torchaudio leaves the translation to a hook of torch's; ours gives the same network."""
    state = built(name).model.state_dict()
    other = build(name)
    for value in other.parameters():
        value.zero_()
    renamed = {published_param_name(key): value for key, value in state.items()}
    assert sorted(renamed.keys() - state.keys()) == [
        "encoder.transformer.pos_conv_embed.conv.weight_g",
        "encoder.transformer.pos_conv_embed.conv.weight_v",
    ]
    other.model.load_state_dict(renamed)
    assert other.weight_hash() == built(name).weight_hash()


def test_an_archive_laid_there_by_hand_is_taken(publisher, tmp_path):
    theirs = built("hubert-base")
    archive = tmp_path / "svc" / "hubert_fairseq_base_ls960.pth"
    archive.parent.mkdir()
    archive.write_bytes(publisher.publishes(theirs.model.state_dict()))
    assert HuBERTBase().weight_hash() == theirs.weight_hash()
    assert publisher.asked == []
    assert archive.exists()


def test_a_broken_archive_laid_there_by_hand_is_named_and_kept(publisher, tmp_path):
    archive = tmp_path / "svc" / "hubert_fairseq_base_ls960.pth"
    archive.parent.mkdir()
    archive.write_bytes(b"<html>")
    with pytest.raises(WeightsError, match=rf"^{archive}: refused, .*; download {URL} by other means"):
        HuBERTBase()
    assert archive.exists()


def refuse(error: Exception):
    def answer():
        raise error

    return answer


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (refuse(urllib.error.URLError("Name or service not known")), "Name or service not known"),
        (refuse(urllib.error.HTTPError("https://", 404, "Not Found", Message(), io.BytesIO())), "404: Not Found"),
        (refuse(TimeoutError("timed out")), "timed out"),
        (lambda: Answer(b"half", 8), "4 of 8 bytes"),
        (lambda: Answer(b"", 0), "0 bytes"),
        (lambda: Answer(b"", 2**40), "bytes"),
        (lambda: Answer(b"", "many"), "many"),
    ],
)
def test_without_the_publisher_there_is_one_sentence(publisher, tmp_path, answer, reason):
    publisher.answer = answer
    with pytest.raises(WeightsError) as caught:
        HuBERTBase()
    text = str(caught.value)
    for part in (
        "hubert-base",
        str(tmp_path / "svc"),
        reason,
        URL,
        "put it into",
        "cepstral",
        "no weights",
    ):
        assert part in text
    assert [path.name for path in (tmp_path / "svc").iterdir() if path.suffix != ".lock"] == []


def test_what_is_fetched_and_is_no_archive_is_not_kept(publisher, tmp_path):
    for data, reason in (
        (b"<html>", "refused"),
        (publisher.publishes({"other": torch.zeros(3)}), "feature_extractor.* is missing or of the wrong shape"),
    ):
        publisher.answer = lambda data=data: Answer(data)
        with pytest.raises(WeightsError, match=rf"^{URL}: {reason}.*or use the encoder cepstral") as caught:
            HuBERTBase()
        assert ".fetched" not in str(caught.value)
        assert [path.name for path in (tmp_path / "svc").iterdir() if path.suffix != ".lock"] == []


class Attack:
    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_nothing_in_a_published_file_is_run(publisher, tmp_path):
    stream = io.BytesIO()
    torch.save({"a": Attack(tmp_path / "marker")}, stream)
    publisher.answer = lambda: Answer(stream.getvalue())
    with pytest.raises(WeightsError, match=rf"^{URL}: refused, .*") as caught:
        HuBERTBase()
    assert len(str(caught.value).splitlines()) == 1
    assert not (tmp_path / "marker").exists()


def test_another_file_than_the_pinned_one_is_refused(publisher, monkeypatch):
    data = publisher.publishes(built("wavlm-base-plus").model.state_dict())
    monkeypatch.setattr(WavLMBasePlus, "sha256", "0" * 64)
    with pytest.raises(WeightsError, match=r"is another file, SHA-256 [0-9a-f]{12}…; download https"):
        WavLMBasePlus()
    monkeypatch.setattr(WavLMBasePlus, "sha256", hashlib.sha256(data).hexdigest())
    WavLMBasePlus()


def test_a_file_that_changed_is_refused(publisher, tmp_path):
    theirs = built("hubert-base")
    publisher.publishes(theirs.model.state_dict())
    HuBERTBase()
    stored = tmp_path / "svc" / "hubert-base.safetensors"
    changed = load_file(stored)
    next(iter(changed.values())).view(-1)[0] += 1
    save_file(changed, stored)
    with pytest.raises(WeightsError, match=r"hubert-base\.safetensors: has changed since"):
        HuBERTBase()
    stored.unlink()
    assert HuBERTBase().weight_hash() == theirs.weight_hash()
    assert len(publisher.asked) == 2


def test_half_done_is_not_done(publisher, tmp_path):
    """Ended between the file and its checksum: made anew."""
    publisher.publishes(built("hubert-base").model.state_dict())
    HuBERTBase()
    (tmp_path / "svc" / "hubert-base.sha256").unlink()
    HuBERTBase()
    assert len(publisher.asked) == 2
    (tmp_path / "svc" / "hubert-base.sha256").write_bytes(b"")
    with pytest.raises(WeightsError, match="has changed"):
        HuBERTBase()


def test_two_at_once_fetch_once(publisher):
    publisher.publishes(built("hubert-base").model.state_dict())
    wanted = {key: value.to("meta") for key, value in built("hubert-base").model.state_dict().items()}
    found: list[Path] = []
    threads = [
        threading.Thread(
            target=lambda: found.append(download.weights_file(HuBERTBase.download(), wanted, published_param_name))
        )
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(found), len(publisher.asked)) == (3, 1)


def test_a_cache_that_cannot_be_is_named(publisher, tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(WeightsError, match=r"file/svc: cannot be used .*XDG_CACHE_HOME"):
        HuBERTBase()
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert download.cache_folder() == tmp_path / ".cache" / "svc"


def test_a_file_of_another_network_is_refused(tmp_path):
    save_file({"a": torch.from_numpy(np.zeros(3, dtype=np.float32))}, tmp_path / "a.safetensors")
    with pytest.raises(WeightsError, match=r"a\.safetensors: .* is missing, unknown or of the wrong shape"):
        HuBERTBase(tmp_path / "a.safetensors")
