"""A voice file survives the way out and back; a hostile one is refused at once and nothing in it runs."""

import json
import pickle
import struct
import time
from dataclasses import asdict

import pytest
import torch
from safetensors.torch import save_file
from svc.models.weight_names import stored_name

from svc.config import to_tree
from svc.errors import WeightsError
from svc.inference.voice import VoiceFile
from svc.models.generator import VERSION


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


def test_a_voice_of_format_4_is_read(voice, tmp_path):
    """With the earlier names of weights, header, kinds and encoder."""

    def older(header, tensors):
        header |= {"format": 4, "given": header.pop("next_speaker_id"), "singers": header.pop("speakers")}
        header["singers"][1]["kind"] = "fitted"
        header["encoder"] = "wav2letter/1 abc"
        del header["config"]["discriminator"]["kinds"]
        header["config"]["discriminator"] |= {"kind": "multi_scale", "penalty": 0.0}
        for name in list(tensors):
            tensors[stored_name(name, 4)] = tensors.pop(name)

    again = VoiceFile.load(stored(voice, tmp_path / "v.safetensors", older))
    assert [speaker.name for speaker in again.speakers] == [speaker.name for speaker in voice.speakers]
    assert again.speakers[1].kind == "adapted"
    assert again.config.discriminator.kinds == ("multi_scale",)
    assert (again.next_speaker_id, again.encoder) == (2, "phone-classifier/1 abc")
    for name, value in voice.generator.state_dict().items():
        assert torch.equal(again.generator.state_dict()[name], value)


def test_speakers_by_name_and_number(voice):
    assert (voice.speaker_index("Bob Ö."), voice.speaker_index("0"), voice.speaker_index("1")) == (1, 0, 1)
    assert voice.speaker_index("ann") == 0
    with pytest.raises(WeightsError, match=r"did you mean Ann\? It has 0 Ann, 1 Bob"):
        voice.speaker_index("anne")
    for wrong in ("2", "-1", "x", "", "1.0", "¹"):
        with pytest.raises(WeightsError, match="voice; it has 0 Ann, 1 Bob"):
            voice.speaker_index(wrong)


class Bomb:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return (open, (str(self.marker), "w"))


def pickle_in_disguise(voice, path):
    path.write_bytes(pickle.dumps(Bomb(path.with_name("exploded"))))


def torch_archive(voice, path):
    torch.save({"a": Bomb(path.with_name("exploded"))}, path)


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


def changed(change):
    def write(voice, path):
        stored(voice, path, change)

    write.__name__ = change.__name__
    return write


@changed
def wrong_shape(header, tensors):
    tensors["conditioner.embedding"] = torch.zeros(2, 5)


@changed
def missing_tensor(header, tensors):
    del tensors["conditioner.embedding"]


@changed
def extra_tensor(header, tensors):
    tensors["intruder"] = torch.zeros(1)


@changed
def extra_scalar(header, tensors):
    tensors["intruder"] = torch.tensor(0.0)


@changed
def not_a_number(header, tensors):
    tensors["conditioner.embedding"][0, 0] = float("nan")


@changed
def integer_weights(header, tensors):
    tensors["conditioner.embedding"] = torch.zeros(2, 4, dtype=torch.int64)


@changed
def path_in_a_name(header, tensors):
    header["speakers"][0]["name"] = "../../etc/passwd"


@changed
def control_characters_in_a_name(header, tensors):
    header["speakers"][0]["name"] = "a\x1b[31m"


@changed
def name_is_no_text(header, tensors):
    header["speakers"][0]["name"] = ["a"]


@changed
def singers_are_no_list(header, tensors):
    header["speakers"] = 7


@changed
def huge_model(header, tensors):
    header["config"]["model"]["hidden_channels"] = 10**12


@changed
def largest_model_allowed(header, tensors):
    header["config"]["model"] |= {"hidden_channels": 4096, "hidden_layers": 64, "channels": 4096, "layers": 200}


@changed
def unknown_knob(header, tensors):
    header["config"]["__class__"] = "os.system"


@changed
def infinite_statistics(header, tensors):
    header["speakers"][0]["seconds"] = float("inf")


@changed
def range_upside_down(header, tensors):
    header["speakers"][0] |= {"median_f0": 220.0, "low_f0": 0.0, "high_f0": 400.0}


@changed
def two_of_one_number(header, tensors):
    for row in header["speakers"]:
        row["number"] = 1
    header["next_speaker_id"] = 2


@changed
def number_never_given(header, tensors):
    header["speakers"][0]["number"] = 7
    header["next_speaker_id"] = 2


@changed
def unknown_kind(header, tensors):
    header["speakers"][0]["kind"] = "stolen"


@changed
def future_format(header, tensors):
    header["format"] = VERSION + 1


@changed
def content_channels_wild(header, tensors):
    header["content_channels"] = 2**62


HOSTILE = [
    pickle_in_disguise,
    torch_archive,
    huge_header,
    deep_json,
    plain_safetensors,
    cut_short,
    wrong_shape,
    missing_tensor,
    extra_tensor,
    extra_scalar,
    not_a_number,
    integer_weights,
    path_in_a_name,
    control_characters_in_a_name,
    name_is_no_text,
    singers_are_no_list,
    huge_model,
    largest_model_allowed,
    unknown_knob,
    infinite_statistics,
    range_upside_down,
    two_of_one_number,
    number_never_given,
    unknown_kind,
    future_format,
    content_channels_wild,
]


@pytest.mark.parametrize("make", HOSTILE, ids=lambda f: f.__name__)
def test_hostile_file_is_refused_in_under_a_second(make, voice, tmp_path):
    path = tmp_path / "v.safetensors"
    make(voice, path)
    started = time.perf_counter()
    with pytest.raises(WeightsError) as caught:
        VoiceFile.load(path)
    assert time.perf_counter() - started < 1
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "exploded").exists()


def test_unchanged_copy_is_accepted(voice, tmp_path):
    VoiceFile.load(stored(voice, tmp_path / "v.safetensors"))


@pytest.mark.parametrize("name", ["missing.safetensors", "."])
def test_missing_file_is_one_sentence(name, tmp_path):
    with pytest.raises(WeightsError, match="cannot be read"):
        VoiceFile.load(tmp_path / name)
