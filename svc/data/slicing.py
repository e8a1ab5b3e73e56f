"""Slice long recordings at silence, so that every clip fits into memory and a training segment finds it quickly."""

import numpy as np
from numpy.typing import NDArray

from svc.features.content import ACTIVE

MAX_FRAMES, MIN_FRAMES = 1500, 300  # of a slice: 15 s and 3 s
GUARD = 15  # frames of silence wanted on either side of a cut


def slice_at_silence(loudness: NDArray[np.float32]) -> list[tuple[int, int]]:
    """Frames [first, last) of the slices of a recording: one if it is at most 15 s long, else 3 to 15 s each.

    A slice ends at the last silent frame that it can reach: one with 0.15 s on either side that are 40 dB below the
    loudest frame of the recording. Without silence it ends where the loudest frame around is quietest. Nothing is lost:
    every slice begins where the one before it ends.

    Args:
        loudness: (N,) dB.
    """
    frames = len(loudness)
    if frames <= MAX_FRAMES:
        return [(0, frames)]
    padded = np.pad(loudness, GUARD, mode="edge")
    around = np.lib.stride_tricks.sliding_window_view(padded, 2 * GUARD + 1).max(axis=1)
    around = np.maximum(around, loudness.max() - ACTIVE)
    cuts = [0]
    while frames - cuts[-1] > MAX_FRAMES:
        first, last = cuts[-1] + MIN_FRAMES, min(cuts[-1] + MAX_FRAMES, frames - MIN_FRAMES)
        candidates = around[first : last + 1]
        cuts.append(last - int(candidates[::-1].argmin()))
    return list(zip(cuts, [*cuts[1:], frames], strict=True))
