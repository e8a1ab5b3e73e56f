"""Machine, versions and allocator; time and peak memory of a program."""

import importlib.metadata
import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from svc import __version__
from svc.errors import DataError
from svc.utils import hardware

ROOT = Path(__file__).resolve().parents[2]
SETS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile", "amx_bf16")
ALLOCATORS = ("jemalloc", "tcmalloc", "mimalloc")  # often preloaded

# In a small process: on Linux the peak of a child starts at that of its parent.
_WATCH = """
import resource, subprocess, sys
done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(done.returncode)
"""


def cores() -> int:
    """CPU cores available to this process."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def describe() -> dict[str, str]:
    """The machine and the versions, by name."""
    half = hardware.bf16_is_fast(torch.device("cpu"))
    versions = [f"svc {__version__} at commit {_commit()}", f"Python {platform.python_version()}"]
    versions += [f"{name} {_version(name)}" for name in ("torch", "torchcrepe", "numpy")]
    return {
        "processor": _processor(),
        "cores": f"{torch.get_num_threads()} used of {cores()}",
        "instruction sets": f"{_instruction_sets()}; products in bf16 are fast: {'yes' if half else 'no'}",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "GPU": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
        "load before the start": f"{os.getloadavg()[0]:.2f} processes",
        "allocator": allocator(),
        "versions": ", ".join(versions),
    }


def allocator() -> str:
    """The memory allocator, after ``svc.utils.hardware.tune_glibc_malloc``."""
    try:
        mapped = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace")
    except OSError:
        mapped = ""
    loaded = [name for name in ALLOCATORS if name in mapped]
    if loaded:
        return f"{loaded[0]}, preloaded"
    if platform.libc_ver()[0] == "glibc":
        return "glibc, tuned to keep freed blocks (svc.utils.hardware.tune_glibc_malloc)"
    return "the system's"


def watch(command: Sequence[str]) -> tuple[float, float]:
    """Seconds and peak memory in MB of a program, from its start to its end.

    Raises:
        DataError: it fails.
    """
    started = time.perf_counter()
    ran = subprocess.run([sys.executable, "-c", _WATCH, *command], capture_output=True, text=True)  # noqa: S603
    seconds = time.perf_counter() - started
    if ran.returncode:
        reason = ran.stderr.strip().splitlines()[-1:] or ["no message"]
        raise DataError(f"{' '.join(command[:4])} … failed ({reason[0]}); run it by hand")
    unit = 1 if sys.platform == "darwin" else 1024
    return seconds, int(ran.stdout) * unit / 1e6


def _processor() -> str:
    for line in _cpuinfo():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _instruction_sets() -> str:
    for line in _cpuinfo():
        if line.startswith("flags"):
            return ", ".join(name for name in SETS if name in line.split())
    return torch.backends.cpu.get_cpu_capability()


def _cpuinfo() -> list[str]:
    try:
        return Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _commit() -> str:
    command = ["git", "--no-optional-locks", "-C", str(ROOT), "describe", "--always", "--dirty", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
