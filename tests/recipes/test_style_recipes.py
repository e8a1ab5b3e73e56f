"""Recipes of style transfer, small: the autoencoder trains and loads, speakers are identified, pairs are judged."""

import json

import pytest
from test_recipes import recipe

from svc.encoders.autoencoder import AutoencoderEncoder
from svc.style.layers import make_layers
from svc.style.presets import make_config


def test_autoencoder_trains_and_loads(singers_folder, tmp_path, capsys):
    module = recipe("train_autoencoder")
    small = ["steps=3", "batch_size=2", "seconds=1.2", "warmup_steps=1"]
    module.main([singers_folder], tmp_path / "run", [*small, "size.batch_norm=true", "log_loss=false"])
    file = tmp_path / "run" / module.WEIGHTS
    assert f"{file}: 0.17 MB" in capsys.readouterr().out
    assert AutoencoderEncoder(file).model.size.batch_norm
    layers = make_layers(make_config("autoencoder", {"weights": str(file)}))
    assert layers.__self__.fingerprint() == AutoencoderEncoder(file).fingerprint()


def test_speakers_are_identified_by_their_grams(singers_folder, capsys):
    module = recipe("identify_speakers")
    sounds = [(path.parent.name, path.stem != "2", module.files.read(path).first(1.0))
              for path in sorted(singers_folder.rglob("*.wav"))]  # fmt: skip
    assert module.accuracy(sounds, module._with_deltas, divide=True) == 1.0
    assert module.accuracy(sounds, module._random_cnn(0), divide=True) == 1.0
    assert module._with_deltas(sounds[0][2]).shape == (240, 13)


def test_pairs_are_judged(singers_folder, tmp_path, capsys):
    module = recipe("style_pairs")
    nothing = ["evaluations=1", "style_weight=0", "filters=[2]", "window=1024", "fft=1024", "hop=256"]
    options = {"keep_pitch": True, "seconds": 1.2, "pairs": 2, "judges": "cepstral", "out": tmp_path / "out"}
    module.main(singers_folder, "ulyanov", overrides=nothing, **options)
    table = json.loads(capsys.readouterr().out)
    assert table["pairs"] == 2
    assert table["loudness"] == pytest.approx(1.0, abs=1e-3)
    assert table["cepstral"].keys() == {"nearer_to_style", "identified_as_style", "margin"}
    assert len((tmp_path / "out" / "rows.jsonl").read_text().splitlines()) == 2
