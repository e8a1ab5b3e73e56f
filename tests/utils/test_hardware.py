"""What the machine does fast is asked of it, and memory is kept where that was asked for."""

import os
import platform
import subprocess
import sys

import pytest
import torch

from svc.utils import hardware


@pytest.mark.parametrize("half", [True, False])
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_auto_is_what_is_fast(device, half, monkeypatch):
    monkeypatch.setattr(hardware, "bf16_is_fast", lambda calls: half if calls.type == device else not half)
    assert hardware.use_bf16("auto", torch.device(device)) is half
    assert hardware.use_bf16("bf16", torch.device(device)) is True
    assert hardware.use_bf16("no", torch.device(device)) is False


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_glibc_keeps_freed_blocks():
    """The memory of a large block is still this process's once it is freed."""
    freed = "block = bytearray(200_000_000); del block"
    held = "int(open('/proc/self/statm').read().split()[1]) * resource.getpagesize()"
    kept = []
    for first in ("hardware.tune_glibc_malloc()", "pass"):
        code = f"import resource; from svc.utils import hardware; {first}; {freed}; print({held})"
        ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        kept.append(int(ran.stdout))
    assert kept[0] > 200_000_000 > kept[1]


def test_threads_sleep_soon_unless_the_user_says_otherwise(monkeypatch):
    for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT"):
        monkeypatch.setenv(name, "")  # so that it is restored
        monkeypatch.delenv(name)
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    hardware.limit_spinning()
    assert "GOMP_SPINCOUNT" not in os.environ
    monkeypatch.delenv("OMP_WAIT_POLICY")
    hardware.limit_spinning()
    assert os.environ["GOMP_SPINCOUNT"] == hardware.SPIN_COUNT
    monkeypatch.setenv("GOMP_SPINCOUNT", "7")
    hardware.limit_spinning()
    assert os.environ["GOMP_SPINCOUNT"] == "7"


def test_a_command_sets_it_before_torch_is_imported():
    """OpenMP reads it once, when its library is loaded."""
    code = "import sys, svc.cli; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
