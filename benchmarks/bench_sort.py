"""Both sorts of 100,000 keys of 40 bits with one payload, over links with and without a round trip.

Three threads over queues; ``net.link`` adds latency and caps bandwidth at 1 Gbit/s. Every result is checked. Run it
with ``python benchmarks/bench_sort.py [rows]``. Columns: rounds, sent by the busiest party, wall, CPU of all parties,
ideal (rounds and bytes on that link, without computing), whether ``sort`` takes it there.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from privity.array import SecureArray
from privity.inputs import Input
from privity.jobs.job import LinkSpec
from privity.mpc import radix, sort
from privity.mpc.rep3 import Rep3
from privity.net.link import EmulatedLink
from privity.ring import kernels, order
from privity.session import Session
from privity.simulation import simulate

BITS, BANDWIDTH_MBIT = 40, 1000.0


def measure(rows: int, rtt_ms: float, repeat: int = 3) -> None:
    """A line for each sort."""
    spec = LinkSpec(rtt_ms, BANDWIDTH_MBIT) if rtt_ms else None
    scheme = Rep3() if spec is None else Rep3(link=spec.link)
    generator = np.random.default_rng(8)
    half = 1 << (BITS - 1)
    keys, payload = generator.integers(1 - half, half, rows), generator.integers(1 - 2**61, 2**61, rows)
    best = sort.choice(scheme, rows, 1, (BITS,), 2 * rows)
    width = best.width or 3
    kinds: dict[str, Callable[..., Any]] = {
        "comparisons, batches for a fast link": partial(sort.by_comparisons, batch=order.BATCH),
        "comparisons, batches for this link": partial(sort.by_comparisons, batch=best.batch),
        f"digits of {width} bits": partial(radix.sort, width=width),
    }

    def program(s: Session) -> dict[str, tuple[float, float, int, int]]:
        x, y = s.secret("keys", s.compute[0]), s.secret("payload", s.compute[0])
        party, out = s._context.protocol.party, {}
        for name, kind in kinds.items():
            times = []
            for _ in range(repeat):
                rounds, sent = party.rounds, party.sent
                cpu, wall = time.thread_time(), time.perf_counter()
                moved = kind(s._context.protocol, [(x._ring_share(), BITS)], [x._ring_share(), y._ring_share()])
                times.append((time.perf_counter() - wall, time.thread_time() - cpu))
                rounds, sent = party.rounds - rounds, party.sent - sent
            ordered = SecureArray(s, moved[0], 0, float(half))
            opened = s.reveal(ordered, to="all", name=name, reason="compared with NumPy")
            np.testing.assert_array_equal(opened, np.sort(keys))
            out[name] = (min(t[0] for t in times), min(t[1] for t in times), rounds, sent)
        return out

    wrap = partial(EmulatedLink, latency_s=rtt_ms / 2000, bandwidth_bytes_per_s=BANDWIDTH_MBIT * 125e3)
    done = simulate(
        program, inputs={"compute_0": {"keys": Input(keys, float(half)), "payload": Input(payload, 2.0**61)}},
        protocol=scheme, wrap=wrap if rtt_ms else None, timeout_s=600.0,
    )  # fmt: skip
    for name in kinds:
        parties = [done.outputs[p][name] for p in done.compute]
        wall, cpu = max(p[0] for p in parties), sum(p[1] for p in parties)
        rounds, sent = parties[0][2], max(p[3] for p in parties)
        taken = name.startswith("digits") if best.width else "this" in name
        ideal = rounds * rtt_ms / 2000 + sent / (BANDWIDTH_MBIT * 125e3)
        least = f"{ideal:.2f} s" if rtt_ms else ""
        print(
            f"| {rtt_ms:g} ms | {name} | {rounds} | {sent / 1e6:.1f} MB | {wall:.2f} s | {cpu:.2f} s | {least} "
            f"| {'taken' if taken else ''} |", flush=True,
        )  # fmt: skip


if __name__ == "__main__":
    kernels.keep_freed_memory()
    for each in (0.0, 20.0, 40.0):
        measure(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000, each)
