"""Set intersection of two owners, measured: two processes over mutual TLS, or two threads of this process."""

from __future__ import annotations

import multiprocessing
import resource
import statistics
import tempfile
import threading
import time
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from ..errors import PrivityError, UsageError
from ..jobs.consortium import Consortium
from ..jobs.founding import init_consortium
from ..net.memory import memory_network
from ..net.tls import connect, listen
from ..net.wire import Hello
from ..psi.intersection import ROUNDS, intersect, traffic
from ..ring import kernels
from ..types import Channel
from .ideal import Ideal
from .machine import describe_machine
from .measure import LINKS, WrongResult, time_plain
from .result import BenchResult

NAME: Final = "psi"
SIZES: Final = (1_000_000,)
OWNERS: Final = ("bank", "clinic")
_REPEAT: Final = 3
_WAIT_S: Final = 600.0

Measured = dict[str, list[float]]


def measure_psi(size: int, link: str = "tls", repeat: int | None = None) -> BenchResult:
    """Both owners have ``size`` keys of 20 bytes, half of them common, and both learn which. Median of ``repeat``.

    wall_s and cpu_s are from lists of bytes to row numbers; connecting is not part of them. Beside it, as the plain
    computation, the intersection of two Python sets. Raises UsageError, WrongResult, PrivityError.
    """
    count = _REPEAT if repeat is None else repeat
    if count < 1 or size < 2:
        raise UsageError(f"bench {NAME}: expected --repeat of at least 1 and --size of at least 2, got {count}, {size}")
    if link not in LINKS:
        raise UsageError(f"--link: expected one of {', '.join(LINKS)}, got {link!r}")
    plain_wall_s, plain_cpu_s = time_plain(partial(_plain, *(set(keys_of(at, size)) for at in range(2))))
    parties = (_over_tls if link == "tls" else _in_memory)(size, count)
    walls = [max(pair) for pair in zip(*(party["wall_s"] for party in parties), strict=True)]
    cpus = [sum(pair) for pair in zip(*(party["cpu_s"] for party in parties), strict=True)]
    return BenchResult(
        workload=NAME,
        size=size,
        protocol="KKRT16",
        link=link,
        wall_s=statistics.median(walls),
        cpu_s=statistics.median(cpus) / (2 if link == "memory" else 1),  # threads share one clock
        bytes_sent=[round(statistics.median(party["bytes_sent"])) for party in parties],
        rounds=ROUNDS,
        max_abs_error=0.0,
        plain_wall_s=plain_wall_s,
        plain_cpu_s=plain_cpu_s,
        ideal_s=ideal(size).seconds,
        share_s=0.0,
        open_s=0.0,
        repeat=count,
        kernels=kernels.BUILD,
        machine=describe_machine(),
        elements=size,
    )


def ideal(size: int) -> Ideal:
    """At the receiver: two streams for each column, its columns once to memory and once sent."""
    sent, _ = traffic(size, size, size // 2)
    return Ideal(prg_bytes=2 * sent, moved_bytes=2 * sent, sent_bytes=sent, rounds=ROUNDS)


def keys_of(owner: int, size: int) -> list[bytes]:
    """Owner 1 lacks the first half of owner 0's keys and has as many others."""
    start = owner * (size - size // 2)
    return [b"patient-%012d" % i for i in range(start, start + size)]


def _plain(one: set[bytes], two: set[bytes]) -> npt.NDArray[np.float64]:
    return np.array(float(len(one & two)))


def run_owner(owner: int, channel: Channel, size: int, repeat: int) -> Measured:
    """The timed part at one owner, after one untimed run on a small part of the keys."""
    kernels.keep_freed_memory()
    keys, peer = keys_of(owner, size), OWNERS[1 - owner]
    low = size - size // 2
    expected = np.arange(low, size) if owner == 0 else np.arange(size // 2)
    intersect(channel, peer, keys[:2])
    found: Measured = {"wall_s": [], "cpu_s": [], "bytes_sent": []}
    for _ in range(repeat):
        sent, cpu, wall = channel.bytes_sent, _cpu_seconds(), time.perf_counter()
        rows = intersect(channel, peer, keys).rows
        found["wall_s"].append(time.perf_counter() - wall)
        found["cpu_s"].append(_cpu_seconds() - cpu)
        found["bytes_sent"].append(float(channel.bytes_sent - sent))
        if rows is None or not np.array_equal(rows, expected):
            raise WrongResult(f"bench {NAME}: the common keys are not those of Python's sets; please report this")
    return found


def _in_memory(size: int, repeat: int) -> list[Measured]:
    channels = memory_network(OWNERS, idle_s=_WAIT_S)
    outcome: list[Measured | BaseException | None] = [None, None]

    def one(owner: int) -> None:
        try:
            outcome[owner] = run_owner(owner, channels[OWNERS[owner]], size, repeat)
        except BaseException as error:
            outcome[owner] = error
            channels[OWNERS[owner]].abort(type(error).__name__)

    threads = [threading.Thread(target=one, args=(owner,)) for owner in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [_result(each) for each in outcome]


def _over_tls(size: int, repeat: int) -> list[Measured]:
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory(prefix="privity-bench-") as name:
        consortium = init_consortium(Path(name), ["compute_0"], OWNERS, listening=OWNERS[:1], days=2)
        ends = [context.Pipe(duplex=False) for _ in OWNERS]
        children = [
            context.Process(target=_child, args=(owner, consortium, size, repeat, send), daemon=True)
            for owner, (_, send) in enumerate(ends)
        ]
        for child, (_, send) in zip(children, ends, strict=True):
            child.start()
            send.close()  # so that a child that dies is noticed
        outcome = [_received(receive) for receive, _ in ends]
        for child in children:
            child.join()
    return [_result(each) for each in outcome]


def _child(owner: int, consortium: Consortium, size: int, repeat: int, results: Connection) -> None:
    me, peer = OWNERS[owner], OWNERS[1 - owner]
    dial, accept = consortium.pair(me, peer)
    endpoint = consortium.party(me).endpoint
    listener = listen(endpoint) if endpoint is not None else None
    same = bytes(32)
    hello = Hello(party=me, version="bench", program_hash=same, job_hash=same, consortium_hash=consortium.hash())
    channel = connect(
        consortium.identity(me), dial, accept, listener, hello, deadline_s=_WAIT_S, idle_s=_WAIT_S
    )
    try:
        found = run_owner(owner, channel, size, repeat)
        channel.close()
        results.send_bytes(msgspec.json.encode(found))
    except PrivityError as error:
        channel.abort(error.public_reason)
        results.send_bytes(msgspec.json.encode(str(error)))


def _received(results: Connection) -> Measured | PrivityError:
    try:
        found = msgspec.json.decode(results.recv_bytes(), type=Measured | str)
    except EOFError:
        return PrivityError(f"bench {NAME}: a process ended without a result; see its message above")
    return PrivityError(found) if isinstance(found, str) else found


def _result(outcome: Measured | BaseException | None) -> Measured:
    if isinstance(outcome, BaseException):
        raise outcome
    assert outcome is not None
    return outcome


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
