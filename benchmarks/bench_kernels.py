"""Speed of the ring kernels, one line each: `python benchmarks/bench_kernels.py [level ...] [--threads N]`.

Levels: avx512, avx2, baseline and reference (NumPy); by default all that run here. Each figure is the best of several
runs on one core (but for --threads), outputs allocated beforehand. Other work on the machine lowers the figures of the
memory-bound kernels most.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from privity.ring import kernels, reference, trig

Ring = npt.NDArray[np.uint64]
ITEMS = 1 << 20


def best(run: Callable[[], object], at_least: float = 0.3) -> float:
    """Shortest of at least 3 runs, in seconds; runs until ``at_least`` seconds have passed."""
    run()
    shortest, runs, begin = float("inf"), 0, time.perf_counter()
    while runs < 3 or time.perf_counter() - begin < at_least:
        start = time.perf_counter()
        run()
        shortest = min(shortest, time.perf_counter() - start)
        runs += 1
    return shortest


def cases(door: Any, threads: dict[str, int], fast: bool) -> Iterator[tuple[str, Callable[[], object], float, str]]:
    """Name, call, units of work in one call, and the unit (per nanosecond)."""
    rng = np.random.default_rng(1)

    def draw(*shape: int) -> Ring:
        return rng.integers(0, 2**64, size=shape, dtype=np.uint64)

    for size in (64, 512, 1024) if fast else (64, 512):
        x, y = draw(size, size), draw(size, size)
        to = np.empty_like(x)
        products = float(size) ** 3
        yield f"matmul {size}^3", partial(door.matmul, x, y, to, **threads), products, "G products/s"
    both = partial(door.rep3_matmul, x, y, y, x, to, **threads)
    yield f"rep3_matmul {size}^3", both, 2 * products, "G products/s"
    rows, weights, errors = draw(1024, 64), draw(64, 1), draw(1024, 1)
    yield "matmul (1024, 64) @ (64, 1)", partial(door.matmul, rows, weights), 65536, "G products/s"
    yield "matmul (1024, 64).T @ (1024, 1)", partial(door.matmul, rows.T, errors), 65536, "G products/s"

    a, b, c, d, e, f = (draw(ITEMS) for _ in range(6))
    out, more = np.empty_like(a), np.empty_like(a)
    yield "rep3_mul 1M", partial(door.rep3_mul, a, b, c, d, e, f, out), ITEMS, "G words/s"
    yield "rep3_and 1M", partial(door.rep3_and, a, b, c, d, e, f, out), ITEMS, "G words/s"
    squares = [v.reshape(1024, 1024) for v in (a, b, c, d)]
    yield "rep3_dot (1024, 1024)", partial(door.rep3_dot, *squares), ITEMS, "G words/s"
    yield "trunc_known_u 1M", partial(door.trunc_known_u, a, 20, b, c, (out, more)), ITEMS, "G words/s"
    yield "trunc_known_v 1M", partial(door.trunc_known_v, a, 20, b, c, out), ITEMS, "G words/s"
    yield "bit_times 1M", partial(door.bit_times, a, b, c, 20, out), ITEMS, "G words/s"
    for k in (64, 41, 16):
        planes = door.to_planes(a, k)
        yield f"to_planes 1M, k={k}", partial(door.to_planes, a, k, planes), 8 * ITEMS, "GB/s of values"
        yield f"from_planes 1M, k={k}", partial(door.from_planes, planes, ITEMS, out), 8 * ITEMS, "GB/s of values"
    for k in (16, 20, 24, 41):
        stream = door.pack_low(a, k)
        yield f"pack_low 1M, k={k}", partial(door.pack_low, a, k, stream), ITEMS, "G words/s"
        yield f"unpack_low 1M, k={k}", partial(door.unpack_low, stream, k, ITEMS, out), ITEMS, "G words/s"
    waves, angle = (kernels if door is not reference else trig), a[:1024]
    dealt, factors = draw(24, 1024), np.array([range(1, 13), [0] * 12], np.uint64)
    yield "waves 1024, 12 harmonics", partial(waves.waves, angle, 23, 12, 24), 12 * 1024, "G waves/s"
    yield "wave_sum 1024, 12 harmonics", partial(waves.wave_sum, angle, dealt, 23, factors, 28), 12 * 1024, "G waves/s"
    tiny = [draw(4) for _ in range(6)]

    def calls() -> None:
        for _ in range(1000):
            door.rep3_mul(*tiny)

    yield "rep3_mul of 4 words, calls", calls, 1e6, "M calls/s"


def main() -> None:
    native = getattr(kernels, "_native", None)
    levels = [*(native.levels() if native is not None else []), "reference"]
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("levels", nargs="*", default=levels, metavar="level", help="of: " + ", ".join(levels))
    parser.add_argument("--threads", type=int, default=1, help="most threads of a matrix product")
    given = parser.parse_args()
    unknown = set(given.levels) - set(levels)
    if unknown:
        parser.error(f"not available here: {', '.join(sorted(unknown))}; there are: {', '.join(levels)}")
    kernels.keep_freed_memory()
    print(f"build: {kernels.BUILD}")
    for level in given.levels:
        fast = level != "reference"
        if fast and native is not None:
            native.select(level)
        door = kernels if fast else reference
        threads = {"threads": given.threads} if fast else {}
        for name, run, units, unit in cases(door, threads, fast):
            print(f"{level:10} {name:32} {units / best(run) / 1e9:9.3f} {unit}", flush=True)


if __name__ == "__main__":
    main()
