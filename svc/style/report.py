"""Report of a style transfer beside its output: measures as JSON, and a picture of spectrograms and losses."""

import importlib.util
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from svc.audio.files import Audio
from svc.audio.plot import plot_spectrogram
from svc.audio.resample import resample
from svc.encoders import campplus
from svc.encoders.weights import cache_folder
from svc.evaluation.metrics.f0 import f0_scores, load_tracker, loudness_scores
from svc.evaluation.metrics.speaker import load_speaker_similarity
from svc.evaluation.page import png
from svc.style.presets import StyleConfig
from svc.style.transfer import StyleResult
from svc.utils.atomic import write_bytes, write_json

RATE = 16_000  # Hz, of all measures
CURVE = 200  # points of a loss curve
JUDGES = {"campplus": "CAM++", "resemblyzer": "Resemblyzer", "cepstral": "mel cepstra"}


def measure(result: StyleResult, style: Audio, config: StyleConfig) -> dict[str, Any]:
    """Losses, f0 and loudness against the content, and the nearest speaker by a judge that no loss used.

    The judge is CAM++ if its weights are in the cache, else Resemblyzer, else cepstral statistics.
    """
    output, content, other = (resample(audio, RATE) for audio in (result.audio, result.content, style))
    tracker = "praat" if importlib.util.find_spec("parselmouth") else "pyin"
    track = load_tracker(tracker)
    f0 = f0_scores(output_f0=track(output), reference_f0=track(content))
    judge = _judge()
    similarity = load_speaker_similarity(judge, {"content": [content], "style": [other]})
    cosines = similarity.cosines(similarity.embed(output))
    step = max(1, len(result.trace) // CURVE)
    measures: dict[str, Any] = {"evaluations": len(result.trace), "curve_step": step}
    for name in ("style", "content"):
        curve = [losses[name] for losses in result.trace]
        measures |= {f"{name}_start": curve[0], f"{name}_end": curve[-1], f"{name}_curve": curve[::step]}
    return measures | {
        "f0_tracker": tracker,
        "f0_shift_cents": f0["shift"],
        "f0_median_error_cents": f0["f0_median"],
        "loudness_correlation": loudness_scores(output=output, source=content)["loudness"],
        "judge": judge,
        "cosine_to_content": cosines["content"],
        "cosine_to_style": cosines["style"],
        "nearest_speaker": max(cosines, key=lambda name: cosines[name]),
        "transposed_semitones": result.semitones,
        "seconds": result.seconds,
        "options": asdict(config),
    }


def describe(measures: dict[str, Any]) -> str:
    """Three lines: style loss, agreement with the content, and the speaker that the judge takes it for."""
    drop = measures["style_start"] / max(measures["style_end"], 1e-30)
    change = f"style loss {{style_start:.3g}} → {{style_end:.3g}} (÷ {drop:.3g}), content loss {{content_end:.3g}}"
    pitch = "pitch within {f0_median_error_cents:.0f} cents"
    if math.isnan(measures["f0_median_error_cents"]):
        pitch = "pitch lost"
    agreement = f"against the content: {pitch}, loudness correlation {{loudness_correlation:.2f}}"
    verdict = ("taken for the speaker of the {nearest_speaker}: similarity {cosine_to_style:.2f} to the style, "
               f"{{cosine_to_content:.2f}} to the content, by {JUDGES[measures['judge']]}")  # fmt: skip
    if measures["nearest_speaker"] == "content":
        verdict += "; the texture moved, the speaker did not: for that, svc convert CONTENT -s STYLE"
    return "\n".join(f"  {line.format(**measures)}" for line in (change, agreement, verdict))


def _judge() -> str:
    if (cache_folder() / campplus.FILE).is_file():
        return "campplus"
    return "resemblyzer" if importlib.util.find_spec("resemblyzer") else "cepstral"


def write_report(path: Path, result: StyleResult, style: Audio, measures: dict[str, Any]) -> None:
    """Write ``<path>.json`` and ``<path>.png`` in the place of the output's ending."""
    write_json(path.with_suffix(".json"), measures)
    figure = Figure(figsize=(10, 9), layout="constrained")
    *rows, axes = figure.subplots(4, 1)
    clips = {"content": result.content, "style": style, "output": result.audio}
    for row, (name, audio) in zip(rows, clips.items(), strict=True):
        plot_spectrogram(row, resample(audio.first(30), RATE).samples, RATE, None, name)
    for name in ("style", "content"):
        axes.semilogy([losses[name] or math.nan for losses in result.trace], label=f"{name} loss")
    axes.set_xlabel("evaluation")
    axes.legend()
    write_bytes(path.with_suffix(".png"), png(figure))
