"""The benchmark: figures from a fake clock, and one short run."""

import importlib
import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
BENCH = ROOT / "tools" / "bench"


@pytest.fixture
def module(monkeypatch):
    """Modules of the tool, by name."""
    monkeypatch.syspath_prepend(BENCH)
    return importlib.import_module


class Clock:
    """Time passes only where somebody works."""

    def __init__(self):
        self.now, self.order = 0.0, []

    def __call__(self) -> float:
        return self.now

    def work(self, name: str, *seconds: float):
        left = iter(seconds)

        def run() -> str:
            self.order.append(name)
            self.now += next(left)
            return f"{name}{len(self.order)}"

        return run


@pytest.fixture
def raced(module):
    """Two contestants over three rounds, the slow one of a second and the quick one of two seconds of audio."""
    timing, clock = module("timing"), Clock()
    slow = timing.Contestant("slow", clock.work("slow", 99.0, 4.0, 6.0, 5.0), 1.0, 1_340_000)
    quick = timing.Contestant("quick", clock.work("quick", 99.0, 1.0, 2.0, 3.0), 2.0)
    timed = timing.interleave([slow, quick], 3, warm=1, clock=clock)
    return timing, clock, timed


def test_rounds_are_interleaved_and_the_first_only_warms_up(raced):
    _, clock, (slow, quick) = raced
    assert clock.order == ["slow", "quick"] * 4
    assert (slow.spent, quick.spent) == ([4.0, 6.0, 5.0], [1.0, 2.0, 3.0])
    assert slow.outcomes == ["slow3", "slow5", "slow7"]


def test_medians_and_ratios_are_by_second_of_audio_and_by_round(raced):
    _, _, (slow, quick) = raced
    assert (slow.rtf, quick.rtf) == (5.0, 1.0)
    assert quick.times_as_fast(slow) == 6.0  # of 4/1, 6/2 and 5/3 the middle one, for twice the audio
    assert slow.times_as_fast(slow) == 1.0


def test_the_table_has_ratios_and_own_columns(raced):
    timing, _, timed = raced
    contestants = [entry.contestant for entry in timed]

    def columns(entries):
        return {"quick": {"cents": entries["quick"].outcomes[0]}}

    group = timing.Group("race", "", contestants, "slow", columns)
    assert timing.tabulate(group, timed).markdown().splitlines() == [
        "|  | RTF | fastest to slowest | audio s in a s | × as fast as slow | weights, M | cents |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        "| slow | 5.00 | 4.00–6.00 | 0.200 | 1.00 | 1.34 | – |",
        "| quick | 1.00 | 0.500–1.50 | 1.00 | 6.00 | – | quick4 |",
    ]


def test_distances_in_cents(module):
    melody, timing = module("melody"), module("timing")
    reference, sure = np.full(4, 100.0), np.array([0.9, 0.9, 0.9, 0.1])
    off = reference * 2 ** (np.array([5.0, -10.0, 30.0, 600.0]) / 1200)
    timed = {name: timing.Timed(timing.Contestant(name, lambda: None, 1.0)) for name in (melody.REFERENCE, "other")}
    timed[melody.REFERENCE].outcomes.append((reference, sure))
    timed["other"].outcomes.append((off, sure))
    columns = melody.accuracy(timed, np.array([100.0, 100.0, 0.0, 0.0]))
    assert list(columns["other"].values()) == ["10.00", "33.33%", "7.50", "0.00%"]


def test_a_short_run_writes_its_table(module, tmp_path):
    out = tmp_path / "table.md"
    command = [sys.executable, "tools/bench", "--quick", "--only", "content", "-o", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == f"next: read {out}"
    text = out.read_text()
    assert text in done.stdout
    rows = [line.split(" | ") for line in text.splitlines() if line.startswith(("| svc", "| … "))]
    names = [row[0].removeprefix("| ") for row in rows]
    assert names[:2] == ["svc: content", "svc: loudness"]
    assert all(0 < float(row[1]) < 60 for row in rows)
    assert f"| allocator | {module('host').allocator()} |" in text
    assert [path.name for path in tmp_path.iterdir()] == ["table.md"]
