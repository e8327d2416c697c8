"""Run one workload over a link and sum up: three processes over mutual TLS, or three threads of this process."""

from __future__ import annotations

import json
import math
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from ..errors import PrivityError, UsageError
from ..jobs.files import write_outputs
from ..jobs.founding import init_consortium
from ..jobs.launch import party_arguments
from ..jobs.local import run_local
from ..mpc.rep3 import Rep3
from ..ring import kernels
from ..simulation import simulate
from . import program
from .machine import describe_machine
from .result import BenchResult
from .workloads import Floats, Inputs, Workload

Link = Literal["tls", "memory"]
LINKS: tuple[Link, ...] = ("tls", "memory")
PARTIES = ("compute_0", "compute_1", "compute_2")

_START_S = 60.0
_IDLE_S = 600.0  # one repetition of a large size, on the pure kernels too
_PLAIN_S = 0.02  # plaintext calls are repeated until one sample takes this long
_PLAIN_SAMPLES = 5

PartyLists = Mapping[str, Mapping[str, Sequence[float]]]


class WrongResult(PrivityError):
    """A benchmark's result differs from float64 by more than the workload's tolerance: its time means nothing."""


def measure(workload: Workload, size: int, link: str = "tls", repeat: int | None = None) -> BenchResult:
    """Median of ``repeat`` timed repetitions after the untimed ones. Raises UsageError, WrongResult, PrivityError."""
    count = workload.repeat if repeat is None else repeat
    if count < 1:
        raise UsageError(f"--repeat: expected at least 1, got {count}")
    if size < workload.smallest:
        raise UsageError(f"--size: {workload.name} needs at least {workload.smallest}, got {size}")
    runners: Mapping[str, Callable[[Workload, int, int, Inputs], PartyLists]] = {"tls": _over_tls, "memory": _in_memory}
    if link not in runners:
        raise UsageError(f"--link: expected one of {', '.join(LINKS)}, got {link!r}")
    kernels.keep_freed_memory()
    inputs = workload.inputs(size)
    plain_wall_s, plain_cpu_s = time_plain(partial(workload.plain, program.plain_values(inputs)))
    lists = runners[link](workload, size, count, inputs)
    return _sum_up(workload, size, link, lists, plain_wall_s, plain_cpu_s)


def time_plain(call: Callable[[], Floats]) -> tuple[float, float]:
    """Median wall and CPU seconds of one call. NumPy uses as many threads as it likes."""
    call()
    begin = time.perf_counter()
    call()
    loops = max(1, math.ceil(_PLAIN_S / max(time.perf_counter() - begin, 1e-9)))
    walls, cpus = [], []
    for _ in range(_PLAIN_SAMPLES):
        cpu, wall = time.process_time(), time.perf_counter()
        for _ in range(loops):
            call()
        walls.append((time.perf_counter() - wall) / loops)
        cpus.append((time.process_time() - cpu) / loops)
    return statistics.median(walls), statistics.median(cpus)


def _parameters(workload: Workload, size: int, repeat: int) -> dict[str, str | int | float | bool]:
    return {"workload": workload.name, "size": size, "repeat": repeat}


def _in_memory(workload: Workload, size: int, repeat: int, inputs: Inputs) -> PartyLists:
    done = simulate(
        program.program, parties=PARTIES, inputs={PARTIES[0]: inputs}, parameters=_parameters(workload, size, repeat),
        timeout_s=_IDLE_S,
    )
    return done.outputs


def _over_tls(workload: Workload, size: int, repeat: int, inputs: Inputs) -> PartyLists:
    with tempfile.TemporaryDirectory(prefix="privity-bench-") as name:
        folder = Path(name)
        consortium = init_consortium(folder / "consortium", PARTIES, [PARTIES[0]], days=2)
        write_outputs(folder, {"job.toml": job_text(workload, size, repeat, inputs)})
        files = {name: folder / f"{name}.npy" for name in inputs}
        for name, path in files.items():
            np.save(path, inputs[name].values, allow_pickle=False)
        arguments = party_arguments(
            Path(program.__file__), consortium.path, folder / "job.toml", None, _START_S, _IDLE_S,
            arrays={PARTIES[0]: files}, plan=False,
        )
        reports = run_local(consortium, PARTIES, arguments)
    return {party: report.output for party, report in reports.items()}


def job_text(workload: Workload, size: int, repeat: int, inputs: Inputs) -> str:
    """The job file of a benchmark, as TOML: its openings, its public parameters and the bounds of its inputs."""
    shape = list(workload.outputs(size))
    lines = [f'name = "bench {workload.name}"', "internals = true  # it waits for the others between its measurements"]
    lines += ["", "[[openings]]", 'name = "result"', f"shape = {shape}"]
    lines += [f'to = "{PARTIES[0]}"', f"count = {workload.warm_up + repeat}", ""]
    for name in workload.opens:
        lines += ["[[openings]]", f"name = {json.dumps(name)}", "shape = []", 'to = "all"']
        lines += [f"count = {workload.warm_up + repeat}", ""]
    lines += ["[parameters]"]
    lines += [f"{key} = {json.dumps(value)}" for key, value in _parameters(workload, size, repeat).items()]
    for name, given in inputs.items():
        lines += ["", f"[arrays.{name}]", f"bound = {given.declared(0).bound!r}"]
    return "\n".join(lines) + "\n"


def _sum_up(
    workload: Workload, size: int, link: str, lists: PartyLists, plain_wall_s: float, plain_cpu_s: float
) -> BenchResult:
    """Per repetition: wall of the slowest party, CPU time of all; then the median over the repetitions."""
    parties = [lists[name] for name in PARTIES]
    error = max(max(party["error"]) for party in parties)
    if not error <= workload.tolerance:
        raise WrongResult(
            f"bench {workload.name}: the result on shares differs from float64 by {error:.3g}, expected at most "
            f"{workload.tolerance:g}; this is a bug, please report it"
        )
    walls = _slowest(parties, "wall_s")
    return BenchResult(
        workload=workload.name,
        size=size,
        protocol=Rep3.name,
        link=link,
        wall_s=statistics.median(walls),
        cpu_s=statistics.median(_cpu(parties, one_process=link == "memory")),
        bytes_sent=[round(statistics.median(party["bytes_sent"])) for party in parties],
        rounds=round(statistics.median(parties[0]["rounds"])),
        max_abs_error=error,
        plain_wall_s=plain_wall_s,
        plain_cpu_s=plain_cpu_s,
        ideal_s=workload.ideal(size).seconds,
        share_s=statistics.median(_slowest(parties, "share_s")),
        open_s=statistics.median(_slowest(parties, "open_s")),
        repeat=len(walls),
        kernels=kernels.BUILD,
        machine=describe_machine(),
        elements=workload.elements(size) or None,
        peak_mib=max(max(party["peak_mib"]) for party in parties),
        p50_ms=float(np.percentile(walls, 50)) * 1e3 if workload.latency else None,
        p99_ms=float(np.percentile(walls, 99)) * 1e3 if workload.latency else None,
    )


def _slowest(parties: Sequence[Mapping[str, Sequence[float]]], measure: str) -> list[float]:
    return [max(values) for values in zip(*(party[measure] for party in parties), strict=True)]


def _cpu(parties: Sequence[Mapping[str, Sequence[float]]], one_process: bool) -> list[float]:
    """Processes are added; threads of one process share its clock, so there the first start and the last end count."""
    starts = list(zip(*(party["cpu_start"] for party in parties), strict=True))
    ends = list(zip(*(party["cpu_end"] for party in parties), strict=True))
    if one_process:
        return [max(end) - min(start) for start, end in zip(starts, ends, strict=True)]
    return [sum(end) - sum(start) for start, end in zip(starts, ends, strict=True)]
