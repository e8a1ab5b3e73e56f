"""Recipes of perceptual losses, small: they train, resume where they ended, and write what the encoder loads."""

import json
from pathlib import Path

import numpy as np
import torch
from test_recipes import recipe

from svc.config import load
from svc.encoders.dfl import DFLEncoder
from svc.encoders.pesq_net import HIGHEST, PESQEncoder


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
    losses = ["l2", "dfl", "stft_all_random", "stft_all_uncertainty", "stft_pesq_relabelled"]
    recipe("compare_denoising_losses").main([singers_folder], tmp_path / "denoisers", losses, 2, 1, None, small)
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["loss"] for row in rows] == ["noisy", "clean", *losses]
    assert rows[1]["log_mel_db"] == 0
    assert rows[0]["log_mel_db"] > 1
    assert rows[2]["si_sdr_db"].endswith("(+0.000 … +0.000)")  # the differences are to the first loss


def test_pesq_surrogate_trains_and_loads(singers_folder, tmp_path, capsys):
    module = recipe("train_pesq_net")
    module.main([singers_folder], tmp_path, ["steps=2", "batch_size=2", "pairs=6"])
    row = json.loads(capsys.readouterr().out)
    assert -1 <= row["r"] <= 1
    file = tmp_path / module.FILE
    assert PESQEncoder(file).fingerprint() != PESQEncoder(None).fingerprint()
    assert len(list(tmp_path.glob("labels_*"))) == 2  # labels cost minutes; a resumed run reads them


def test_a_surrogate_learns_the_labels_of_new_audio(monkeypatch):
    import speech

    monkeypatch.setattr(speech, "load_quality", lambda: ("test", lambda real, fake: 1.0 + 3 * (fake[0] == real[0])))
    real = 0.1 * torch.randn(2, 8000, generator=torch.Generator().manual_seed(0))
    fake = torch.stack([real[0], 0.3 * real[1].roll(4000)])
    fake[0, 1000:] *= 0.5
    encoder = PESQEncoder()
    before = encoder.model.score(real, fake)
    speech.update_surrogate(encoder.model, real, fake)
    after = encoder.model.score(real, fake)
    assert (after - torch.tensor([4.0, 1.0])).square().sum() < (before - torch.tensor([4.0, 1.0])).square().sum() - 0.1
    assert not after.requires_grad  # frozen again


def test_own_quality_is_highest_for_the_same_and_falls_with_degradation():
    module, draw = recipe("train_pesq_net"), np.random.default_rng(0)
    from speech import log_mel_quality

    clip = (0.1 * draw.standard_normal(32_000)).astype(np.float32)
    assert np.isclose(log_mel_quality(clip, clip), HIGHEST)
    for kind in module.DEGRADATIONS:
        degraded = module.degrade(clip, kind, draw, [clip]).astype(np.float32)
        assert degraded.shape == clip.shape
        assert log_mel_quality(clip, degraded) < HIGHEST - 0.001


def test_enhancers_are_compared_by_verification(singers_folder, tmp_path, capsys, monkeypatch):
    module = recipe("compare_feature_enhancement")
    monkeypatch.setattr(module, "RESAMPLES", 2)
    monkeypatch.setattr(module, "OTHER", "speaker")
    monkeypatch.setattr(module, "SNRS", {"0 dB": 0.0, "clean": None})
    for actor in singers_folder.iterdir():
        (tmp_path / f"{actor.name}-once").mkdir()
        (tmp_path / f"{actor.name}-once" / "0.wav").symlink_to(actor / "0.wav")
    small = ["steps=2", "batch_size=2", "segment=8000", "channels=8"]
    module.main([tmp_path, singers_folder], tmp_path / "out", ["dfl_fl", "joint"], small)
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["loss"] for row in rows] == ["none", "dfl_fl", "joint"]
    assert rows[0]["clean"] == rows[0]["clean speaker"] == "0.0 (+0.0 … +0.0)"
    assert [list(row) for row in rows[1:]] == [[*rows[0]]] * 2


def test_a_regression_explains_what_it_is_a_sum_of():
    module, draw = recipe("analyse_speaker_encoder"), np.random.default_rng(0)
    one, two, three = draw.standard_normal((3, 5000))
    rows = module.explain(3 * one + 4 * two, {"mfcc": one, "f0": two, "formants": three})
    assert rows["r2"] == 1
    assert abs(rows["r_mfcc"] - 0.6) < 0.03
    assert abs(rows["r2_loss_without_f0"] - 0.64) < 0.03
    assert rows["r2_loss_without_formants"] == 0


def test_the_table_marks_differences_that_all_songs_have(tmp_path, capsys):
    module = recipe("ablation")
    for name, cosines in {"none": [0.5] * 6, "dfl": [0.6] * 6, "speaker": [0.8, *5 * [0.5]]}.items():
        (tmp_path / name).mkdir()
        rows = [{"song": str(number), "cosine": cosine} for number, cosine in enumerate(cosines)]
        (tmp_path / name / "rows.json").write_text(json.dumps(rows))
    for name, cost in {"none": 0.5, "dfl": 0.75, "speaker": 1.0}.items():
        module.print_row(name, cost, tmp_path / name, tmp_path / "none")
    rows = [[cell.strip() for cell in line.split("|")] for line in capsys.readouterr().out.splitlines()]
    column = 3 + [measure.title for measure in module.shown()].index("cosine to target")
    assert [(row[1], row[2]) for row in rows] == [("none", "0.50"), ("dfl", "0.75"), ("speaker", "1.00")]
    assert [row[column].split(" ")[0] for row in rows] == ["0.500", "0.600", "0.550"]
    assert [row[column].endswith("*") for row in rows] == [False, True, False]


def test_every_variant_of_the_perceptual_study_is_a_config_with_its_losses():
    module = recipe("ablation")
    for name, overrides in module.PERCEPTUAL.items():
        config = load(Path("base"), overrides)
        used = [loss for loss, options in config.perceptual.items() if options.weight]
        others = [config.loss.speaker.weight > 0, config.loss.weighting != "none"]
        assert len(used) + sum(others) == {"none": 0, "all": 6}.get(name, 1)


def test_ensembles_without_one_member_have_all_the_others():
    module = recipe("compare_denoising_losses")
    assert set(module.FEATURES["stft_without_dfl"]) == set(module.MEMBERS) - {"dfl"}
    assert {f"stft_without_{name}" for name in module.MEMBERS} <= set(module.LOSSES)
