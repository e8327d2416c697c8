"""Three real processes on loopback; one of them may be killed."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from privity.jobs.consortium import load_consortium
from privity.jobs.founding import init_consortium
from privity.net.tls import connect, listen
from privity.net.wire import Hello

NAMES = ("compute_0", "compute_1", "compute_2")


def node(me: str, file: Path, listener: socket.socket, victim: str | None, report: Connection) -> None:
    """One party: rounds of a ring until done, or until ``victim`` dies by its own hand."""
    consortium = load_consortium(file)
    dial, accept = consortium.links(me)
    common = consortium.hash()
    hello = Hello(party=me, version="1", program_hash=b"p", job_hash=b"j", consortium_hash=common)
    try:
        channel = connect(consortium.identity(me), dial, accept, listener, hello, idle_s=20.0)
        at = NAMES.index(me)
        into = np.empty(1 << 17, dtype=np.uint64)
        for step in range(5):
            if step == 3 and me == victim:
                os.kill(os.getpid(), signal.SIGKILL)
            channel.send(NAMES[at - 1], step, np.full(1 << 17, at, dtype=np.uint64))
            channel.receive(NAMES[(at + 1) % 3], step, into)
            if not (into == (at + 1) % 3).all():
                raise AssertionError("wrong data")
        channel.close()
        report.send(("done", channel.bytes_sent))
    except Exception as error:
        report.send((type(error).__name__, str(error)))


@pytest.mark.parametrize("victim", [None, "compute_1"])
def test_processes(folder: Path, victim: str | None) -> None:
    context = multiprocessing.get_context("fork")
    sockets = [listen("127.0.0.1:0") for _ in NAMES]
    init_consortium(folder, NAMES, ports=[int(sock.getsockname()[1]) for sock in sockets])
    reports: dict[str, Any] = {}
    running = []
    for name, sock in zip(NAMES, sockets, strict=True):
        receiver, sender = context.Pipe(duplex=False)
        process = context.Process(target=node, args=(name, folder / "consortium.toml", sock, victim, sender))
        process.start()
        sender.close()
        running.append((name, process, receiver))
    for sock in sockets:
        sock.close()
    for name, process, receiver in running:
        if name != victim:
            assert receiver.poll(30), f"{name} hangs"
            reports[name] = receiver.recv()
        process.join(timeout=30)
        assert not process.is_alive()
    if victim is None:
        assert {kind for kind, _ in reports.values()} == {"done"}
        assert len({sent for _, sent in reports.values()}) == 1
    else:
        assert all(kind in ("PeerLost", "PeerAborted") for kind, _ in reports.values()), reports
        assert any("compute_1" in text for _, text in reports.values())
