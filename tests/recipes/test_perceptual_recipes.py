"""Recipes of perceptual losses, small: they train, resume where they ended, and write what the encoder loads."""

import json

import numpy as np
from test_recipes import recipe

from svc.encoders.dfl import DFLEncoder


def test_amplifier_is_fitted_with_each_weighting(tmp_path, capsys):
    module = recipe("fit_amplifier")
    small = ["steps=2", "batch_size=2", "segment=300", "units=4", "seconds=1"]
    for weightings in (["none", "a_weighting_low_pass"], ["none"]):
        module.main(tmp_path, weightings, 1, small)
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert rows[0] == rows[2]
    assert [row["weighting"] for row in rows] == ["none", "a_weighting_low_pass", "none"]
    assert all(np.isfinite(row["a_weighted_lsd_db"]) for row in rows)


def test_dfl_trains_and_denoisers_are_compared_by_it(singers_folder, tmp_path, capsys, monkeypatch):
    module = recipe("train_dfl")
    module.main([singers_folder], tmp_path / "dfl", ["steps=2", "batch_size=2", "held_out_batches=1"])
    file = tmp_path / "dfl" / module.FILE
    assert f"{file}: 0.0" in capsys.readouterr().out
    monkeypatch.setattr("svc.encoders.dfl.DFLEncoder.__init__.__defaults__", (file,))
    assert DFLEncoder().fingerprint() != DFLEncoder(None).fingerprint()
    small = ["steps=2", "batch_size=2", "segment=3200", "channels=8"]
    losses = ["l2", "cochleagram", "dfl"]
    recipe("compare_denoising_losses").main([singers_folder], tmp_path / "denoisers", losses, 2, None, small)
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["loss"] for row in rows] == ["noisy", "clean", *losses]
    assert rows[1]["log_mel_db"] == 0
    assert rows[0]["log_mel_db"] > 1


def test_a_regression_explains_what_it_is_a_sum_of():
    module, draw = recipe("analyse_speaker_encoder"), np.random.default_rng(0)
    one, two, three = draw.standard_normal((3, 5000))
    rows = module.explain(3 * one + 4 * two, {"mfcc": one, "f0": two, "formants": three})
    assert rows["r2"] == 1
    assert abs(rows["r_mfcc"] - 0.6) < 0.03
    assert abs(rows["r2_loss_without_f0"] - 0.64) < 0.03
    assert rows["r2_loss_without_formants"] == 0
