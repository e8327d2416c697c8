"""An environment in which libraries behave as on a processor with fewer instructions."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
# What NumPy may choose between, OpenBLAS's kernels, and those of glibc's functions that use fused multiply-adds.
_FEATURES = [f for f in np._core._multiarray_umath.__cpu_dispatch__ if np._core._multiarray_umath.__cpu_features__.get(f)]
OTHER = {
    "NPY_DISABLE_CPU_FEATURES": " ".join(_FEATURES),
    "OPENBLAS_CORETYPE": "Nehalem" if sys.platform == "linux" else "",
    "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-AVX2_Usable,-FMA,-FMA_Usable,-AVX512F",
    "PRIVITY_TESTS_KERNELS": "baseline",
}


def environment(other: bool) -> dict[str, str]:
    """For a process that runs as this one does, or as on the other processor."""
    kept = {k: v for k, v in os.environ.items() if k not in OTHER}
    return {**kept, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p), **(OTHER if other else {})}


def choose_kernels() -> None:
    """In such a process: Privity's native kernels for the same processor."""
    wanted = os.environ.get("PRIVITY_TESTS_KERNELS")
    from privity.ring import kernels

    native = getattr(kernels, "_native", None)
    if wanted and native is not None:
        native.select(wanted)
