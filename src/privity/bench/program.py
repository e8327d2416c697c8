"""The program of a benchmark: what each of the three compute parties runs. The first one owns the inputs.

A repetition shares the inputs anew, waits until all parties stand at the same line, computes, and opens the result to
the owner, which compares it with float64. Only the middle is the workload's own time.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from privity.bench.workloads import WORKLOADS, Floats, Workload
from privity.inputs import Input
from privity.openings import Withheld
from privity.session import Session


def program(s: Session) -> dict[str, list[float]]:
    """Seconds, bytes, rounds and error: a list per measure, with one entry per timed repetition."""
    workload = WORKLOADS[str(s.parameters["workload"])]
    size, repeat = int(s.parameters["size"]), int(s.parameters["repeat"])
    owner = s.compute[0]
    names = list(s.declared[owner])
    expected = workload.plain(plain_values(workload.inputs(size))) if s.me == owner else np.zeros(0)
    entries = [_repetition(s, workload, owner, names, expected) for _ in range(workload.warm_up + repeat)]
    kept = entries[workload.warm_up :]
    return {measure: [entry[measure] for entry in kept] for measure in kept[0]}


def _repetition(s: Session, workload: Workload, owner: str, names: list[str], expected: Floats) -> dict[str, float]:
    together(s)
    begin = time.perf_counter()
    secrets = {name: s.secret(name, owner) for name in names}
    shared = time.perf_counter()
    prepared = secrets if workload.prepare is None else workload.prepare(secrets)
    together(s)
    cpu_start, start = time.process_time(), time.perf_counter()
    with s.stage(workload.name):
        result = workload.secure(prepared)
    end = time.perf_counter()
    together(s)  # what sender threads still had to seal and send counts as CPU time of this repetition
    cpu_end, before = time.process_time(), time.perf_counter()
    opened = s.reveal(result, to=owner, name="result", reason="compared with float64")
    after = time.perf_counter()
    return {
        "share_s": shared - begin,
        "wall_s": end - start,
        "open_s": after - before,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "cpu_start": cpu_start,
        "cpu_end": cpu_end,
        "rounds": s.stages[-1].rounds,
        "bytes_sent": s.stages[-1].bytes_sent,
        "error": 0.0 if isinstance(opened, Withheld) else _largest_difference(opened, expected),
    }


def together(s: Session) -> None:
    """One small message from each party to each other: nobody leaves before everybody is here."""
    party: Any = s._context.protocol.party
    others = [i for i in range(len(party.names)) if i != party.index]
    party.exchange([(i, np.zeros(1, np.uint8)) for i in others], [(i, np.empty(1, np.uint8)) for i in others], "start")


def plain_values(inputs: Mapping[str, Input]) -> dict[str, Floats]:
    """The owner's data as float64."""
    return {name: np.asarray(given.values, np.float64) for name, given in inputs.items()}


def _largest_difference(opened: Any, expected: Floats) -> float:
    return float(np.max(np.abs(np.asarray(opened, np.float64) - np.asarray(expected, np.float64)), initial=0.0))
