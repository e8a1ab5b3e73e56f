"""Two processes fit the singer that one would; what goes wrong ends both, with one sentence."""

import contextlib
import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate import debug_launcher
from accelerate.state import AcceleratorState
from test_pipeline import SETS

from svc.cli import main
from svc.data.synthetic.phrases import phrase
from svc.data.synthetic.singers import SINGERS, render, save_rendition
from svc.inference import speakers
from svc.inference.voice import VoiceFile
from svc.utils import distributed
from svc.utils.distributed import process_group


@pytest.fixture
def fitted(world, monkeypatch):
    """`svc fit` as so many processes run it: the exit status and the words of each."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # unset, Accelerate warns
    (world / "clips").mkdir()
    for number in range(4):
        save_rendition(world / "clips" / f"{number}.wav", render(SINGERS[2], phrase(number)))

    def run(count: int, *arguments: str) -> list[dict]:
        sys.stdout.flush()
        AcceleratorState._reset_state(reset_partial_state=True)
        debug_launcher(one_rank, args=(list(arguments),), num_processes=count)
        return [json.loads(Path(f"rank{rank}.json").read_text()) for rank in range(count)]

    return run


def one_rank(arguments: list[str]) -> None:
    torch.set_num_threads(1)
    distributed._GROUP.clear()  # of the process that was forked
    out, err, code = io.StringIO(), io.StringIO(), 0
    rank = process_group(cpu=True).rank
    sys.argv = ["svc", "fit", "clips", "--cpu", "-j", "1", "--type", "singing", *SETS, *arguments]
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main()
        except SystemExit as stopped:
            code = stopped.code
    output = {"code": code or 0, "out": out.getvalue(), "err": err.getvalue()}
    Path(f"rank{rank}.json").write_text(json.dumps(output))


@pytest.mark.slow
def test_two_processes_fit_what_one_would(fitted, world):
    whole = ["--set", "train.batch_size=4"]
    (outputs,) = fitted(1, "-n", "Cat", "-o", "one.safetensors", *whole)
    assert outputs["code"] == 0, outputs["err"]
    first, second = fitted(2, "-n", "Cat", "-o", "two.safetensors", *whole)
    assert first["code"] == second["code"] == 0, first["err"] + second["err"]
    assert second["out"] == ""
    assert first["out"].replace("two.", "one.") == outputs["out"]
    one, two = (VoiceFile.load(world / f"{name}.safetensors") for name in ("one", "two"))
    assert two.speakers == one.speakers
    for name, value in speakers.speaker_params(one, 2).items():
        start = speakers.speaker_params(one, 0)[name]
        assert np.linalg.norm(speakers.speaker_params(two, 2)[name] - value) < 0.01 * np.linalg.norm(value - start)
    for place in (0, 1):
        assert speakers._params_key(speakers.speaker_params(one, place)) == speakers._params_key(
            speakers.speaker_params(two, place)
        )


def test_what_is_refused_ends_both(fitted, world):
    outputs = fitted(2, "-n", "Ann", "-o", "two.safetensors")
    assert [one["code"] for one in outputs] == [2, 2]
    assert "in this voice already" in outputs[0]["err"] + outputs[1]["err"]
    assert not (world / "two.safetensors").exists()
    assert not (world / "two.fit").exists()
