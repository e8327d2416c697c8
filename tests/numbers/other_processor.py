"""An environment in which libraries behave as on a processor with fewer instructions."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
# What NumPy may choose between, OpenBLAS's kernels, and those of glibc's functions that use fused multiply-adds.
_CPU = np._core._multiarray_umath
_FEATURES = [f for f in _CPU.__cpu_dispatch__ if _CPU.__cpu_features__.get(f)]
OTHER = {
    "NPY_DISABLE_CPU_FEATURES": " ".join(_FEATURES),
    "OPENBLAS_CORETYPE": "Nehalem" if sys.platform == "linux" else "",
    "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-AVX2_Usable,-FMA,-FMA_Usable,-AVX512F",
    "PRIVITY_TESTS_KERNELS": "baseline",
}


def environment(other: bool) -> dict[str, str]:
    """For a process that runs as this one does, or as on the other processor."""
    kept = {k: v for k, v in os.environ.items() if k not in OTHER}
    return {**kept, "PYTHONPATH": os.pathsep.join([str(HERE), *(p for p in sys.path if p)]), **(OTHER if other else {})}


def choose_kernels() -> None:
    """In such a process, before anything else: Privity's native kernels for the same processor, if there are any."""
    wanted = os.environ.get("PRIVITY_TESTS_KERNELS")
    if wanted and importlib.util.find_spec("privity.ring._native") is not None:
        importlib.import_module("privity.ring._native").select(wanted)
