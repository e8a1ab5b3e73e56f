"""Start-up: what needs no torch does not import it, and a conversion imports no compiler and no SciPy."""

import json
import subprocess
import sys

from test_cli import ROOT

PROGRAM = """
import json, sys
from svc.cli import main

def run(*arguments):
    sys.argv = ["svc", *arguments]
    try:
        main()
    except SystemExit as end:
        codes.append(end.code)

codes = []
sys.modules["gradio"] = None
for arguments in json.loads(sys.argv[1]):
    run(*arguments)
heavy = {"numpy", "yaml", "torch", "torch._dynamo", "scipy", "sympy", "librosa", "numba"}
heavy |= {"torchaudio", "torchcrepe", "accelerate"}
print(json.dumps([codes, sorted(heavy & sys.modules.keys())]))
"""
V = "runs/a/voice.safetensors"


def modules(world, *commands):
    """Exit codes of commands run in one new interpreter, and which of the slow modules are imported at its end."""
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": str(world), "OMP_NUM_THREADS": "1"}
    environment |= {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    command = [sys.executable, "-c", PROGRAM, json.dumps(commands)]
    ran = subprocess.run(command, cwd=world, capture_output=True, text=True, env=environment, check=True)
    return json.loads(ran.stdout.splitlines()[-1])


def test_help_and_a_list_import_no_numpy(world):
    assert modules(world, ("--help",)) == [[0], []]
    assert modules(world, ("speakers",)) == [[0], ["yaml"]]


def test_no_torch_for_what_needs_none(world):
    (world / "there.wav").touch()
    (world / "text.wav").write_text("no audio")
    codes, imported = modules(
        world,
        ("rename", "Ann", "Anna", "-o", "b.safetensors"),
        ("remove", "0", "-v", V, "-o", "c.safetensors"),
        ("merge", V, "b.safetensors", "-o", "d.safetensors"),
        ("convert", "-s", "Zoe", "song.wav"),
        ("convert", "-s", "Ann", "song.wav", "-o", "there.wav"),
        ("convert", "-s", "Ann", "song.wav", "-o", "song.xyz"),
        ("convert", "-s", "Ann", "nothing.wav"),
        ("convert", "-s", "Ann", "text.wav"),
        ("convert", "-s", "text.wav", "song.wav"),
        ("style", "song.wav", "text.wav", "-o", "out.wav"),
        ("convert", "-s", "Ann", "song.wav", "--loudness", "loud"),
        ("serve",),
    )
    assert codes == [0] * 3 + [2] * 9
    assert imported == ["numpy", "yaml"]
    assert {path.name for path in world.glob("*.safetensors")} == {"b.safetensors", "c.safetensors", "d.safetensors"}


def test_a_conversion_imports_only_torch(world):
    """Of a song whose name is no UTF-8, in a terminal that knows ASCII alone."""
    (world / "song.wav").rename(world / "caf\udce9.wav")
    codes, imported = modules(world, ("convert", "-s", "Ann", "caf\udce9.wav"))
    assert codes == [0]
    assert (world / "caf\udce9_Ann.wav").exists()
    assert imported == ["numpy", "torch", "yaml"]
