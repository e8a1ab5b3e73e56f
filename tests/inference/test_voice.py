"""A voice file survives the way out and back; a hostile one is refused at once and nothing in it runs."""

import json
import pickle
import struct
import time
import unicodedata
from dataclasses import asdict, replace

import pytest
import torch
from publisher import Attack
from safetensors.torch import save_file

from svc.config import to_tree
from svc.errors import WeightsError
from svc.inference.voice import VoiceFile
from svc.models.weight_names import VERSION


def stored(voice, path, change=lambda header, tensors: None):
    """The voice written by hand, its header and tensors changed first."""
    tensors = {k: v.clone() for k, v in voice.generator.state_dict().items()}
    header = {
        "format": VERSION,
        "config": to_tree(voice.config),
        "content_channels": 20,
        "encoder": voice.encoder,
        "next_speaker_id": voice.next_speaker_id,
        "speakers": [asdict(s) for s in voice.speakers],
        "card": {},
    }
    change(header, tensors)
    save_file(tensors, path, metadata={"svc": json.dumps(header)})
    return path


def test_round_trip(voice, tmp_path):
    path = tmp_path / "v.safetensors"
    voice.save(path)
    again = VoiceFile.load(path)
    assert again.config == voice.config
    assert again.speakers == voice.speakers
    assert again.card == voice.card
    assert again.encoder == voice.encoder != ""
    for name, value in voice.generator.state_dict().items():
        assert torch.equal(again.generator.state_dict()[name], value)
    assert list(tmp_path.iterdir()) == [path]


def test_speakers_by_name_and_number(voice):
    assert (voice.speaker_index("Bob Ö."), voice.speaker_index("0"), voice.speaker_index("1")) == (1, 0, 1)
    assert voice.speaker_index("ann") == 0
    assert voice.speaker_index(unicodedata.normalize("NFD", "Bob Ö.")) == 1  # as a Mac writes it
    with pytest.raises(WeightsError, match=r"did you mean Ann\? All names: svc speakers"):
        voice.speaker_index("anne")
    many = replace(voice, speakers=tuple(replace(voice.speakers[0], name=f"s{n}", number=n) for n in range(15)))
    with pytest.raises(WeightsError, match="11 s11 and 3 more, see svc speakers --all"):
        many.speaker_index("Zoe")
    for wrong in ("2", "-1", "x", "", "1.0", "¹"):
        with pytest.raises(WeightsError, match="voice; it has 0 Ann, 1 Bob"):
            voice.speaker_index(wrong)


def pickle_in_disguise(voice, path):
    path.write_bytes(pickle.dumps(Attack(path.with_name("exploded"))))


def torch_archive(voice, path):
    torch.save({"a": Attack(path.with_name("exploded"))}, path)


def huge_header(voice, path):
    path.write_bytes(struct.pack("<Q", 2**40) + b"{}")


def deep_json(voice, path):
    text = b"[" * 100_000
    path.write_bytes(struct.pack("<Q", len(text)) + text)


def plain_safetensors(voice, path):
    save_file({"a": torch.zeros(3)}, path)


def cut_short(voice, path):
    voice.save(path)
    path.write_bytes(path.read_bytes()[:-1000])


EMBEDDING = "conditioner.embedding"
LARGEST_MODEL = {"hidden_channels": 4096, "hidden_layers": 64, "channels": 4096, "layers": 200}
TENSORS = {
    "wrong shape": lambda tensors: tensors.update({EMBEDDING: torch.zeros(2, 5)}),
    "missing tensor": lambda tensors: tensors.pop(EMBEDDING),
    "extra scalar": lambda tensors: tensors.update(intruder=torch.tensor(0.0)),
    "not a number": lambda tensors: tensors[EMBEDDING].fill_(float("nan")),
    "integer weights": lambda tensors: tensors.update({EMBEDDING: torch.zeros(2, 4, dtype=torch.int64)}),
}
HEADERS = {
    "path in a name": lambda header: header["speakers"][0].update(name="../../etc/passwd"),
    "control characters in a name": lambda header: header["speakers"][0].update(name="a\x1b[31m"),
    "name is no text": lambda header: header["speakers"][0].update(name=["a"]),
    "speakers are no list": lambda header: header.update(speakers=7),
    "huge model": lambda header: header["config"]["model"].update(hidden_channels=10**12),
    "largest model allowed": lambda header: header["config"]["model"].update(LARGEST_MODEL),
    "unknown option": lambda header: header["config"].update(__class__="os.system"),
    "infinite statistics": lambda header: header["speakers"][0].update(seconds=float("inf")),
    "range upside down": lambda header: header["speakers"][0].update(median_f0=220.0, low_f0=0.0, high_f0=400.0),
    "two of one number": lambda header: header["speakers"][0].update(number=1),
    "number never used": lambda header: header["speakers"][0].update(number=7),
    "unknown kind": lambda header: header["speakers"][0].update(kind="stolen"),
    "future format": lambda header: header.update(format=VERSION + 1),
    "wild content channels": lambda header: header.update(content_channels=2**62),
}
FILES = (pickle_in_disguise, torch_archive, huge_header, deep_json, plain_safetensors, cut_short)


@pytest.mark.parametrize("fault", [*FILES, *TENSORS, *HEADERS], ids=lambda fault: getattr(fault, "__name__", fault))
def test_hostile_file_is_refused_in_under_a_second(fault, voice, tmp_path):
    path = tmp_path / "v.safetensors"
    if fault in FILES:
        fault(voice, path)
    elif fault in TENSORS:
        stored(voice, path, lambda header, tensors: TENSORS[fault](tensors))
    else:
        stored(voice, path, lambda header, tensors: HEADERS[fault](header))
    started = time.perf_counter()
    with pytest.raises(WeightsError) as caught:
        VoiceFile.load(path)
    assert time.perf_counter() - started < 1
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "exploded").exists()


def test_unchanged_copy_is_accepted(voice, tmp_path):
    VoiceFile.load(stored(voice, tmp_path / "v.safetensors"))


@pytest.mark.parametrize(("name", "message"), [("missing.safetensors", "no such file"), (".", "cannot be read")])
def test_missing_file_is_one_sentence(name, message, tmp_path):
    with pytest.raises(WeightsError, match=message):
        VoiceFile.load(tmp_path / name)
