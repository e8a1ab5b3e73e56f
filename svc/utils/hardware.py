"""Hardware settings: bf16 support, glibc's malloc, and waiting threads."""

import ctypes
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # importing torch takes a second
    import torch

SPIN_COUNT = "3000"  # rounds; at 30 000 the conversion above takes 13.5 s
_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # of mallopt(3)


def bf16_is_fast(device: "torch.device") -> bool:
    """Whether matrix products in bf16 are faster than in fp32: AVX512-BF16 or AMX, or a GPU that has it."""
    import torch

    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return device.type == "cpu" and (torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def copy_to(tensor: "torch.Tensor", device: "torch.device | str") -> "torch.Tensor":
    """A tensor on a device, without a host sync: a blocking copy to a GPU waits for all that is queued there.

    Only CUDA keeps a copy of what has not been sent yet.
    """
    import torch

    return tensor.to(device, non_blocking=torch.device(device).type == "cuda")


def use_bf16(precision: str, device: "torch.device") -> bool:
    """Whether ``train.precision`` (``auto``, ``no`` or ``bf16``) means bf16 on a device."""
    return precision == "bf16" or (precision == "auto" and bf16_is_fast(device))


def limit_spinning() -> None:
    """Have OpenMP's threads (GNU) sleep after a short wait for each other, unless the user set how they wait.

    By default they spin, so that beside another program each waits for one that the system does not run. On two cores
    a conversion took 42 s beside a busy core and takes 3.4 s with this; on a quiet machine 1.7 s either way. Before
    torch is imported; for programs, not for libraries: it holds for the process.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", SPIN_COUNT)


def tune_glibc_malloc() -> None:
    """Have glibc keep freed blocks for the next tensor, where it would give every large one back to the kernel.

    A training step is a tenth to a fifth faster for it. For programs, not for libraries: it holds for the process.
    """
    if sys.platform == "linux":
        try:
            mallopt = ctypes.CDLL(None).mallopt
        except AttributeError:  # another C library
            return
        mallopt(_MMAP_MAX, 0)
        mallopt(_TRIM_THRESHOLD, 2**31 - 1)
