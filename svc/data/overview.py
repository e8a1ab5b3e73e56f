"""Overview of a prepared folder as a picture: durations of the clips, pitch ranges and levels of the speakers."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from svc.data.manifest import Clip, by_speaker
from svc.errors import DataError, os_errors_as
from svc.features.cache import FeatureCache
from svc.features.speaker import Speaker

OVERVIEW = "overview.png"
MAX_SPEAKERS = 60  # shown, those with the most minutes
MAX_CLIPS = 100  # of a speaker whose levels are read
KINDS = ("song", "speech", "")
OCTAVES = (55, 110, 220, 440, 880)  # Hz, ticks


def write(folder: Path, clips: Sequence[Clip], speakers: Sequence[Speaker]) -> Path:
    """Write ``overview.png`` of a prepared folder.

    Raises:
        DataError: the folder cannot be written, or its store is damaged.
    """
    shown = sorted(sorted(speakers, key=lambda speaker: -speaker.seconds)[:MAX_SPEAKERS], key=lambda own: own.name)
    figure = Figure(figsize=(13, max(4.0, 1.5 + 0.22 * len(shown))), layout="constrained")
    durations, ranges, levels = figure.subplots(1, 3)
    _plot_durations(durations, clips)
    _plot_ranges(ranges, shown)
    _plot_levels(levels, shown, clips, FeatureCache(folder / "store"))
    for axes in (ranges, levels):
        axes.set_yticks(range(len(shown)), [speaker.name for speaker in shown], fontsize=8, parse_math=False)
        axes.set_ylim(len(shown) - 0.5, -0.5)
        axes.grid(alpha=0.3)
    with os_errors_as(DataError, folder / OVERVIEW, "cannot be written", "free some space"):
        figure.savefig(folder / OVERVIEW, dpi=80)
    return folder / OVERVIEW


def _plot_durations(axes: Axes, clips: Sequence[Clip]) -> None:
    parts = {kind: [clip.frames / 100 for clip in clips if clip.kind == kind] for kind in KINDS}
    parts = {kind or "not known": seconds for kind, seconds in parts.items() if seconds}
    axes.hist(list(parts.values()), bins=30, stacked=True, label=[f"{kind}: {len(s)}" for kind, s in parts.items()])
    axes.set_title("clips by duration, s", fontsize=10)
    axes.legend()


def _plot_ranges(axes: Axes, speakers: Sequence[Speaker]) -> None:
    for row, speaker in enumerate(speakers):
        if speaker.median_f0:
            axes.plot([speaker.low_f0, speaker.high_f0], [row, row], color="tab:blue", linewidth=3, alpha=0.5)
            axes.plot(speaker.median_f0, row, ".", color="tab:blue")
    axes.set_xscale("log", base=2)
    axes.set_xticks(OCTAVES, [str(octave) for octave in OCTAVES])
    axes.set_title("pitch: 5 to 95 %, and median, Hz", fontsize=10)


def _plot_levels(axes: Axes, speakers: Sequence[Speaker], clips: Sequence[Clip], cache: FeatureCache) -> None:
    clips_of = by_speaker(clips)
    for row, own in enumerate(clips_of[speaker.name] for speaker in speakers):
        levels = [float(cache.get(clip.key, "median_level")[0]) for clip in own[:: max(1, len(own) // MAX_CLIPS)]]
        axes.plot(levels, np.full(len(levels), row), "|", color="tab:orange", alpha=0.6)
    axes.set_title("median level of each clip, dB", fontsize=10)
