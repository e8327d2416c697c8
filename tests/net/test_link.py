"""The emulated network delays, caps and pipelines, over threads and over sockets."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

from privity.errors import PeerAborted, UsageError
from privity.net.link import EmulatedLink, Line
from privity.net.memory import memory_network
from privity.net.wire import Digest, wire_bytes


def test_latency_is_not_added_up() -> None:
    line = Line(0.05, None)
    assert [line.due("b", 1000, now) for now in (0.0, 0.0, 0.01)] == pytest.approx([0.05, 0.05, 0.06])


def test_bandwidth_is_per_receiver_and_adds_up() -> None:
    line = Line(0.05, 1000.0)
    assert line.due("b", 500, 0.0) == pytest.approx(0.55)
    assert line.due("b", 500, 0.0) == pytest.approx(1.05)
    assert line.due("c", 500, 0.0) == pytest.approx(0.55)
    assert line.due("b", 100, 9.0) == pytest.approx(9.15)


@pytest.mark.parametrize(("latency", "bandwidth"), [(-1.0, None), (float("nan"), None), (0.0, 0.0)])
def test_nonsense_is_refused(latency: float, bandwidth: float | None) -> None:
    with pytest.raises(UsageError):
        Line(latency, bandwidth)


def test_over_threads() -> None:
    net = memory_network(["a", "b"])
    a, b = EmulatedLink(net["a"], 0.02), EmulatedLink(net["b"], 0.0)
    into = np.empty(4, dtype=np.uint64)
    begin = time.monotonic()
    for step in range(3):
        a.send("b", step, np.full(4, step, dtype=np.uint64))
    a.tell("b", Digest(value=b"x"))
    assert a.bytes_sent > 3 * wire_bytes(32)
    for step in range(3):
        b.receive("a", step, into)
        assert (into == step).all()
    assert b.hear("a", Digest) == Digest(value=b"x")
    assert time.monotonic() - begin >= 0.02
    assert a.pair_secret("b") == b.pair_secret("a") and a.peers == ("b",) and a.me == "a"
    with pytest.raises(UsageError, match="no channel to 'z'"):
        a.send("z", 1, b"")
    a.send("b", 9, b"last")
    a.close()
    b.receive("a", 9, np.empty(4, dtype=np.uint8))
    b.close()
    assert a.bytes_sent == net["a"].bytes_sent - wire_bytes(0)


def test_abort_overtakes_what_is_on_the_line() -> None:
    net = memory_network(["a", "b"])
    a = EmulatedLink(net["a"], 10.0)
    a.send("b", 1, b"late")
    a.abort("Ctrl-C")
    with pytest.raises(PeerAborted, match="Ctrl-C"):
        net["b"].receive("a", 1, np.empty(1))


def test_over_sockets(mesh: Any) -> None:
    mesh.meet(("compute_0", "compute_1"))
    links = {name: EmulatedLink(channel, 0.01, 1e9) for name, channel in mesh.channels.items()}

    begin = time.monotonic()  # before either sends: one may start long after the other

    def program(me: str) -> None:
        other = next(name for name in links if name != me)
        links[me].send(other, 1, np.ones(1 << 16))
        into = np.empty(1 << 16)
        links[me].receive(other, 1, into)
        assert time.monotonic() - begin >= 0.01
        assert into.all()
        links[me].close()

    mesh.together({name: program for name in links})
    assert not mesh.errors
