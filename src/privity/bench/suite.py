"""What ``privity bench`` does: measure the named workloads one after the other and print a line for each."""

from __future__ import annotations

import sys
from typing import IO

from ..ring import kernels
from . import psi
from .machine import describe_machine
from .measure import measure
from .result import heading, line, to_json
from .workloads import find


def run_suite(
    name: str, *, json: bool, link: str, repeat: int | None, size: int | None, out: IO[str] | None = None
) -> None:
    """Print to ``out`` (standard output) as lines come. Raises UsageError for an unknown name before anything runs.

    Besides the workloads on shares there is "psi", of two owners without compute parties; "linkage" and "all" have it.
    """
    workloads = () if name == psi.NAME else find(name)
    stream = sys.stdout if out is None else out
    if not json:
        print(heading(kernels.BUILD, describe_machine()), file=stream, flush=True)
    for workload in workloads:
        for each in workload.sizes if size is None else (size,):
            result = measure(workload, each, link, repeat)
            print(to_json(result) if json else line(result), file=stream, flush=True)
    if name in (psi.NAME, "linkage", "all"):
        for each in psi.SIZES if size is None else (size,):
            result = psi.measure_psi(each, link, repeat)
            print(to_json(result) if json else line(result), file=stream, flush=True)
