"""Style transfer: losses in their published units, optimisation, phase, windows, refusals, command and API."""

import json
import math
import sys

import numpy as np
import pytest
import torch

from svc.api import transfer_style
from svc.audio import files
from svc.audio.files import Audio
from svc.cli import main
from svc.data.synthetic.phrases import phrase
from svc.data.synthetic.singers import SINGERS, render
from svc.errors import ConfigError, DataError
from svc.evaluation.metrics.f0 import loudness_scores
from svc.style import transfer as module
from svc.style.layers import make_layers
from svc.style.losses import StyleObjective
from svc.style.optimise import optimise
from svc.style.phase import envelope_change, griffin_lim, istft, reconstruct, stft
from svc.style.presets import PUBLISHED, StyleConfig, make_config
from svc.style.transfer import log_spectrogram, transfer

SMALL = {"filters": [16], "evaluations": 8, "window": 1024, "fft": 1024, "hop": 256}
DEFAULT = make_config("ulyanov", SMALL)  # the improved form, small
PRETRAINED = ("vggish", "cnn14")  # their weights are not here
FORMS = {"default": "relative", "shallow": "mean", "vggish": "size", "cnn14": "size"}


@pytest.fixture(scope="module")
def clips() -> tuple[Audio, Audio]:
    """1.2 s of two synthetic singers at 24 kHz."""
    return tuple(Audio(render(singer, phrase(0)).samples[12_000:40_800], 24_000) for singer in SINGERS[:2])


@pytest.fixture(scope="module")
def spectrogram(clips) -> torch.Tensor:
    return log_spectrogram(clips[0].samples, DEFAULT)


def identity(spectrogram: torch.Tensor) -> dict[str, torch.Tensor]:
    return {"conv1": spectrogram.view(1, 2, 3, -1)}


@pytest.mark.parametrize(
    ("form", "axis", "style_units", "content_units"),
    [
        ("sum", "time", 1.0, 1.0),
        ("random-cnn-2d", "time", 1 / (4 * 2**2 * 3 * 4), 1 / (4 * 2 * 3 * 4)),
        ("ulyanov", "time", 1 / 4**2, 1.0),
        ("mean", "time", 1 / 4**2 / 6**2, 1 / 24),
        ("size", "full", 1 / 24**2 / 2**2, 1 / 24),
    ],
)
def test_losses_in_published_units(form, axis, style_units, content_units):
    """2 channels × 3 bins × 4 frames: Gram matrices 6 × 6 over time, 2 × 2 over all."""
    draw = torch.Generator().manual_seed(0)
    x, content, style = (torch.rand(1, 6, 4, generator=draw) for _ in range(3))
    losses = StyleObjective(identity, content, style, StyleConfig(form=form, gram_axis=axis))(x)
    rows = 6 if axis == "time" else 2
    grams = [m @ m.T for m in (x[0].reshape(rows, -1), style[0].reshape(rows, -1))]
    expected = style_units * (grams[0] - grams[1]).square().sum()
    assert losses["style"].item() == pytest.approx(expected.item(), rel=1e-5)
    assert losses["content"].item() == pytest.approx(content_units * (x - content).square().sum().item(), rel=1e-5)


def test_relative_losses_are_shares_of_the_targets():
    draw = torch.Generator().manual_seed(0)
    content, style = torch.rand(1, 6, 4, generator=draw), torch.rand(1, 6, 9, generator=draw)
    objective = StyleObjective(identity, content, style, StyleConfig())
    nothing = objective(torch.zeros(1, 6, 4))
    assert [nothing[name].item() for name in ("content", "style")] == pytest.approx([1.0, 1.0])
    same = StyleObjective(identity, content, content, StyleConfig())(content)
    assert [same[name].item() for name in ("content", "style")] == pytest.approx([0, 0], abs=1e-6)


@pytest.mark.parametrize(("optimizer", "rate"), [("lbfgs", 1.0), ("adam", 0.2), ("sgd", 0.05)])
def test_optimisers_reach_a_minimum(optimizer, rate):
    config = StyleConfig(optimizer=optimizer, learning_rate=rate, evaluations=150, stop_at=0.0)
    curvature = torch.tensor([1.0, 4.0])

    def objective(x):
        return {"total": (curvature * (x - 3).square()).sum(), "style": x.square().sum()}

    values, trace = optimise(torch.zeros(2), objective, config)
    torch.testing.assert_close(values, torch.full((2,), 3.0), atol=0.02, rtol=0)
    assert len(trace) <= 175


def test_optimisation_stops_at_a_share_of_the_style_loss():
    config = StyleConfig(optimizer="sgd", learning_rate=0.1, evaluations=100, stop_at=0.5, lr_decay=False)
    _, trace = optimise(torch.ones(1), lambda x: {"total": x.square().sum(), "style": x.square().sum()}, config)
    assert len(trace) == 3  # 1, .64, .41
    with pytest.raises(DataError, match="not finite"):
        optimise(torch.ones(1), lambda x: {"total": (x * math.nan).sum(), "style": x.sum()}, config)


class TestPhase:
    def test_griffin_lim_makes_magnitudes_consistent(self, clips):
        samples = clips[0].samples[:8_192]
        wanted = stft(samples, DEFAULT).abs()
        noise = torch.randn(wanted.shape, dtype=torch.complex64, generator=torch.Generator().manual_seed(0))
        errors = [
            (stft(istft(phase, len(samples), DEFAULT), DEFAULT).abs() - wanted).norm().item()
            for phase in (wanted * torch.sgn(noise), griffin_lim(wanted, torch.sgn(noise), len(samples), DEFAULT))
        ]
        assert errors[1] < 0.5 * errors[0]

    def test_a_gain_of_the_envelope_is_a_gain_of_the_audio(self, clips):
        samples = clips[0].samples[:8_192]
        spectrum = stft(samples, DEFAULT)
        louder = torch.log1p(2 * spectrum.abs())
        np.testing.assert_allclose(reconstruct(louder, spectrum, len(samples), DEFAULT), 2 * samples, atol=5e-3)
        assert envelope_change(torch.log1p(spectrum.abs()), spectrum, 22_050).abs().max() < 1e-3


def test_transfer_moves_the_style_and_keeps_the_content(clips):
    content, style = clips
    shares = []
    result = transfer(content, style, DEFAULT, match_pitch=False, progress=lambda share, _: shares.append(share))
    assert (result.audio.rate, len(result.audio.samples)) == (content.rate, len(content.samples))
    assert result.trace[-1]["style"] < 0.5 * result.trace[0]["style"]
    assert loudness_scores(output=result.audio, source=content)["loudness"] > 0.9
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_published_systems_take_clips_at_their_level(clips):
    """Half as loud, log(1 + |STFT|) is smaller, and with it the loss at the start, unless the level is normalised."""
    content, style = clips
    quiet = Audio(0.5 * content.samples, content.rate)
    for as_published in (False, True):
        config = make_config("shallow", {"filters": [8, 8], "evaluations": 1}, as_published=as_published)
        losses = [transfer(clip, style, config, match_pitch=False).trace[0]["style"] for clip in (content, quiet)]
        assert (losses[1] == pytest.approx(losses[0], rel=1e-3)) is not as_published


def test_windows_join_without_a_seam(clips, monkeypatch):
    """With nothing to optimise every window gives the content back."""
    content, style = clips
    config = make_config("ulyanov", {**SMALL, "evaluations": 1, "window_seconds": 0.7, "style_weight": 0.0})
    monkeypatch.setattr(module, "OVERLAP_SECONDS", 0.2)
    result = transfer(content, style, config, match_pitch=False)
    error = result.audio.samples[500:-500] - content.samples[500:-500]
    assert np.abs(error).max() < 0.05 * np.abs(content.samples).max()  # soxr to 22 050 Hz and back, and the loudness


def test_refusals(clips, monkeypatch):
    with pytest.raises(DataError, match=r"the content is 0\.50 s long; give at least 1 s"):
        transfer(clips[0].first(0.5), clips[1], DEFAULT)
    with pytest.raises(DataError, match="the style is silent"):
        transfer(clips[0], Audio(1e-5 * clips[1].samples, 24_000), DEFAULT)
    with pytest.raises(DataError, match="are the same recording"):
        transfer(clips[0], clips[0], DEFAULT)
    with pytest.raises(DataError, match="random-cnn-1d: has no layer conv2; give one of conv1"):
        transfer(*clips, make_config("shallow", SMALL), match_pitch=False)
    with pytest.raises(DataError, match="takes no spectrograms; give one of autoencoder"):
        make_layers(StyleConfig(encoder="ge2e"))
    with pytest.raises(ConfigError, match="--preset best: no such preset; choose one of default"):
        make_config("best", {})
    with pytest.raises(ConfigError, match="--set: unknown option evalutions"):
        make_config("ulyanov", {"evalutions": 3})
    with pytest.raises(ConfigError, match="--set hop=600: give at most half the window"):
        make_config("ulyanov", {"hop": 600, "window": 1024, "fft": 1024})
    with pytest.raises(ConfigError, match=r"--set window_seconds=0: give 0\.5 to 3600"):
        make_config("ulyanov", {"window_seconds": 0})
    with pytest.raises(ConfigError, match="--set filters=0: give 1 to 4096"):
        make_config("ulyanov", {"filters": [512, 0]})
    with pytest.raises(ConfigError, match="--set style_layers: is empty"):
        make_config("ulyanov", {"style_layers": []})
    with pytest.raises(DataError, match="12 frames are too few for random-cnn-1d"):
        transfer(*clips, make_config("shallow", {"filters": [4, 4], "hop": 1000, "window_seconds": 0.5}))
    monkeypatch.setattr(module.os, "sysconf", lambda name: 1000)
    with pytest.raises(DataError, match=r"needs about 0\.\d GB of memory, 0\.0 GB are free; add --set window_seconds"):
        transfer(*clips, DEFAULT, match_pitch=False)


@pytest.mark.parametrize(
    ("preset", "option", "takers"),
    [
        ("default", {"filters": [8]}, "encoder phone-classifier, but with random-cnn-1d"),
        ("ulyanov", {"kernel_frames": 3}, "encoder random-cnn-1d, but with random-cnn-2d"),
        ("random-cnn-2d", {"weights": "random"}, "encoder random-cnn-2d, but with autoencoder or phone-classifier or"),
        ("shallow", {"learning_rate": 0.1}, "optimizer lbfgs, but with adam or sgd"),
        ("vggish", {"start": "noise"}, "variable envelope, but with spectrogram"),
        ("cnn14", {"griffin_lim_rounds": 3}, "phase envelope, but with griffin-lim or random"),
    ],
)
def test_options_without_effect_are_refused(preset, option, takers):
    with pytest.raises(ConfigError, match=f"^--set {next(iter(option))}: has no effect with {takers}"):
        make_config(preset, option)


def test_published_weights_cannot_be_replaced():
    with pytest.raises(ConfigError, match="--set weights=mine: vggish takes its published weights, or random"):
        make_config("vggish", {"weights": "mine"})
    assert make_config("autoencoder", {"weights": "mine"}).weights == "mine"


@pytest.mark.parametrize("preset", sorted(set(PUBLISHED) - {"autoencoder"}))
def test_presets_as_published_run(clips, preset):
    small = {"evaluations": 2} | ({"weights": "random"} if preset in PRETRAINED else {})
    if preset != "default":
        small["griffin_lim_rounds"] = 1
    if preset in ("ulyanov", "shallow"):
        small["filters"] = [8, 8] if preset == "shallow" else [8]
    config = make_config(preset, small, as_published=True)
    assert config.form == FORMS.get(preset, preset)
    audio = transfer(*clips, config, match_pitch=False).audio.samples
    assert np.isfinite(audio).all()
    assert audio.any()


def test_api(clips):
    """The same as by ``transfer``; its pitch is matched."""
    content, style = clips
    samples = transfer_style((content.samples, 24_000), (style.samples, 24_000), preset="ulyanov", **SMALL)
    result = transfer(content, style, DEFAULT)
    assert np.array_equal(samples, result.audio.samples)
    assert abs(result.semitones) > 1
    assert abs(module.match_median_pitch(result.content, style)[1]) < 0.7
    noise = Audio(0.1 * np.random.default_rng(0).standard_normal(24_000).astype(np.float32), 24_000)
    assert module.match_median_pitch(content, noise) == (content, 0.0)


class TestCommand:
    @pytest.fixture
    def svc(self, clips, tmp_path, monkeypatch, capsys):
        monkeypatch.chdir(tmp_path)
        for name, audio in zip(("c.wav", "s.wav"), clips, strict=True):
            files.write(tmp_path / name, audio)

        def call(*arguments: str) -> tuple[int, str, str]:
            monkeypatch.setattr(sys, "argv", ["svc", "style", *arguments])
            with pytest.raises(SystemExit) as stopped:
                main()
            shown = capsys.readouterr()
            return int(stopped.value.code or 0), shown.out, shown.err

        return call

    def test_it_writes_audio_and_report(self, svc, tmp_path, monkeypatch):
        monkeypatch.setattr("svc.style.report._judge", lambda: "cepstral")
        code, out, _ = svc("c.wav", "s.wav", "-o", "o.wav", "--set", "evaluations=5")
        assert code == 0
        assert "by mel cepstra" in out
        report = json.loads((tmp_path / "o.json").read_text())
        assert report["style_end"] < report["style_start"]
        assert report["options"]["seed"] == 0
        assert (tmp_path / "o.png").read_bytes().startswith(b"\x89PNG")
        assert files.read(tmp_path / "o.wav").seconds == pytest.approx(1.2)

    def test_a_report_of_noise_is_strict_json(self, svc, clips, tmp_path, monkeypatch):
        """Without a voiced frame there is no f0 error, and the output is named after both clips."""
        monkeypatch.setattr("svc.style.report._judge", lambda: "cepstral")
        noise = np.random.default_rng(0).standard_normal(24_000).astype(np.float32)
        files.write(tmp_path / "n.wav", Audio(0.1 * noise, 24_000))
        code, out, _ = svc("n.wav", "s.wav", "--set", "evaluations=1")
        assert code == 0
        assert "pitch lost" in out
        report = json.loads((tmp_path / "n_s.json").read_text(), parse_constant=lambda name: pytest.fail(name))
        assert report["f0_median_error_cents"] is None
        assert (tmp_path / "n_s.wav").is_file()

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (("c.wav", "s.wav", "-o", "c.wav", "-f"), "c.wav: is an input of this command; give another name"),
            (("c.wav", "s.wav", "-o", "o.txt"), "o.txt: unknown audio format"),
            (("c.wav", "s.wav", "-o", "o.wav", "--pitch", "up"), "--pitch up: give match or keep"),
            (("c.wav", "c.wav", "-o", "o.wav"), "content and style are the same recording"),
        ],
    )
    def test_errors_are_one_line(self, svc, tmp_path, arguments, message):
        code, _, err = svc(*arguments)
        assert code == 2
        assert err.count("\n") == 1
        assert message in err
        assert not (tmp_path / "o.wav").exists()
