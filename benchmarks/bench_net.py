"""The data plane alone, between real processes on loopback: latency of a small round and bulk throughput.

    python benchmarks/bench_net.py [--rounds N] [--megabytes N]

Round: three processes, each sends 64 bytes to the one before it and receives 64 from the one after it. Bulk: two
processes send each other messages at the same time; rate is payload per direction. Everything is sealed (AES-128-GCM).
CPU seconds are user and system time of all threads of all processes.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import socket
import statistics
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

from privity.net.certificates import Identity, make_certificate
from privity.net.channel import SealedChannel
from privity.net.tls import Peer, connect, listen
from privity.net.wire import Hello

NAMES = ("party_0", "party_1", "party_2")


def cpu_seconds() -> float:
    """User and system time of this process so far."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def joined(
    me: str, names: tuple[str, ...], identities: dict[str, Identity], sockets: dict[str, socket.socket]
) -> SealedChannel:
    """This party's channel to all others."""
    at = names.index(me)
    ends = {name: "{}:{}".format(*sock.getsockname()) for name, sock in sockets.items()}
    peers = [Peer(name, identities[name].certificate, ends[name]) for name in names]
    digest = bytes(32)
    hello = Hello(party=me, version="bench", program_hash=digest, job_hash=digest, consortium_hash=digest)
    return connect(identities[me], peers[:at], peers[at + 1 :], sockets[me], hello)


def ring(channel: SealedChannel, names: tuple[str, ...], rounds: int) -> list[float]:
    """Wall seconds of each of ``rounds`` small rounds."""
    at = names.index(channel.me)
    to, source = names[at - 1], names[(at + 1) % len(names)]
    out, into = np.arange(8, dtype=np.uint64), np.empty(8, dtype=np.uint64)
    walls = []
    for step in range(rounds):
        begin = time.perf_counter()
        channel.send(to, step, out)
        channel.receive(source, step, into)
        walls.append(time.perf_counter() - begin)
    return walls


def bulk(channel: SealedChannel, names: tuple[str, ...], megabytes: int, repeats: int) -> list[float]:
    """Wall seconds of each of ``repeats`` simultaneous exchanges of ``megabytes`` MB."""
    other = names[1 - names.index(channel.me)]
    out, into = np.ones(megabytes * 125_000, dtype=np.uint64), np.zeros(megabytes * 125_000, dtype=np.uint64)
    walls = []
    for step in range(repeats):
        begin = time.perf_counter()
        channel.send(other, step, out)
        channel.receive(other, step, into)
        walls.append(time.perf_counter() - begin)
    if not np.array_equal(into, out):
        raise AssertionError("what arrived is not what was sent")
    return walls


def party(
    me: str,
    names: tuple[str, ...],
    identities: dict[str, Identity],
    sockets: dict[str, socket.socket],
    rounds: int,
    megabytes: int,
    report: Connection,
) -> None:
    """One process: connect, warm up, measure, report the walls and the CPU time of the measured part."""
    channel = joined(me, names, identities, sockets)
    results: dict[str, tuple[list[float], float]] = {}
    if len(names) == 3:
        ring(channel, names, 200)
        before = cpu_seconds()
        results["ring"] = (ring(channel, names, rounds), cpu_seconds() - before)
    else:
        bulk(channel, names, megabytes, 2)
        before = cpu_seconds()
        results["bulk"] = (bulk(channel, names, megabytes, 8), cpu_seconds() - before)
    channel.close()
    report.send(results)


def measure(names: tuple[str, ...], rounds: int, megabytes: int) -> list[dict[str, tuple[list[float], float]]]:
    """Run one process per name and return what each reports."""
    context = multiprocessing.get_context("fork")
    with tempfile.TemporaryDirectory() as folder:
        identities = {name: make_certificate(name, Path(folder)) for name in names}
        sockets = {name: listen("127.0.0.1:0") for name in names}
        pipes = []
        for name in names:
            receiver, sender = context.Pipe(duplex=False)
            process = context.Process(target=party, args=(name, names, identities, sockets, rounds, megabytes, sender))
            process.start()
            pipes.append((receiver, process))
        reports = []
        for receiver, process in pipes:
            reports.append(receiver.recv())
            process.join()
        for sock in sockets.values():
            sock.close()
    return reports


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="latency and throughput of the sealed data plane on loopback")
    parser.add_argument("--rounds", type=int, default=10_000)
    parser.add_argument("--megabytes", type=int, default=64)
    chosen = parser.parse_args()
    reports = measure(NAMES, chosen.rounds, chosen.megabytes)
    walls = sorted(reports[0]["ring"][0])
    cpu = sum(report["ring"][1] for report in reports) / chosen.rounds
    print(
        f"round of 64 B, 3 processes: mean {statistics.fmean(walls) * 1e6:.1f} us, "
        f"p50 {statistics.median(walls) * 1e6:.1f} us, "
        f"p99 {walls[int(len(walls) * 0.99)] * 1e6:.1f} us, CPU {cpu * 1e6:.1f} us over all three"
    )
    reports = measure(NAMES[:2], chosen.rounds, chosen.megabytes)
    walls, size = reports[0]["bulk"][0], chosen.megabytes * 1e6
    cpu = sum(report["bulk"][1] for report in reports)
    gib = 2 * len(walls) * size / 2**30
    print(
        f"bulk, 2 processes, {chosen.megabytes} MB both ways at once: {size / statistics.median(walls) / 1e9:.2f} GB/s "
        f"each way (best {size / min(walls) / 1e9:.2f}), {cpu / gib:.2f} CPU s per GiB, both ends"
    )


if __name__ == "__main__":
    main()
