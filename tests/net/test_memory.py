"""Channels between threads obey the same rules as sockets."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

import privity as pv
from privity.errors import PeerAborted, PeerTimeout, PrivityError, UsageError, WireError
from privity.net.link import EmulatedLink
from privity.net.memory import MemoryChannel, memory_network
from privity.net.wire import Declare, Digest, ProgressNote, wire_bytes


def test_messages_are_copied_ordered_and_counted() -> None:
    net = memory_network(["a", "b", "c"])
    data = np.arange(12, dtype=np.uint64).reshape(3, 4)
    net["a"].send("b", 1, data)
    net["a"].send("b", 2, data.T)
    data[:] = 0
    first, second = np.empty((3, 4), dtype=np.uint64), np.empty((4, 3), dtype=np.uint64)
    net["b"].receive("a", 1, first)
    net["b"].receive("a", 2, second)
    assert np.array_equal(first, np.arange(12).reshape(3, 4)) and np.array_equal(first.T, second)
    assert net["a"].bytes_sent == 2 * wire_bytes(96)


def test_secrets_are_shared_by_pairs_only() -> None:
    net = memory_network(["a", "b", "c"])
    assert net["a"].pair_secret("b") == net["b"].pair_secret("a") != net["a"].pair_secret("c")
    assert net["a"].pair_secret("b") != memory_network(["a", "b"])["a"].pair_secret("b")
    with pytest.raises(UsageError, match="no channel to 'z'"):
        net["a"].pair_secret("z")


@pytest.mark.parametrize(("step", "size"), [(2, 8), (1, 9), (1, 0)])
def test_other_step_or_length(step: int, size: int) -> None:
    net = memory_network(["a", "b"])
    net["a"].send("b", 1, bytes(8))
    with pytest.raises(WireError, match="from a"):
        net["b"].receive("a", step, np.empty(size, dtype=np.uint8))


def test_control_and_progress() -> None:
    notes: list[tuple[str, ProgressNote]] = []
    net = memory_network(["a", "b"], on_progress=lambda source, note: notes.append((source, note)))
    note = ProgressNote(stage=3, step=1, total=9, rounds=1, bytes_sent=1)
    net["a"].tell("b", note)
    net["a"].tell("b", Digest(value=b"1"))
    assert net["b"].hear("a", Digest) == Digest(value=b"1")
    assert notes == [("a", note)]
    net["a"].tell("b", Digest(value=b"1"))
    with pytest.raises(WireError, match="expected Declare, came Digest"):
        net["b"].hear("a", Declare)
    net["a"].tell("b", Digest(value=b"1"))
    with pytest.raises(WireError, match="expected step 3, came a CONTROL"):
        net["b"].receive("a", 3, np.empty(1))


def test_abort_wakes_who_waits_for_somebody_else() -> None:
    net = memory_network(["a", "b", "c"])
    net["c"].abort("OutputError")
    net["c"].abort("twice is harmless")
    with pytest.raises(PeerAborted, match="c stopped the session: OutputError"):
        net["a"].receive("b", 1, np.empty(1))
    with pytest.raises(UsageError, match="closed"):
        net["c"].send("a", 1, b"")


def test_goodbye_and_silence() -> None:
    net = memory_network(["a", "b"], idle_s=0.01)
    with pytest.raises(PeerTimeout, match=r"b waited 0.01 s for step 4 from a"):
        net["b"].receive("a", 4, np.empty(1))
    net["a"].send("b", 1, b"x")
    net["a"].close()
    net["a"].close()
    net["b"].receive("a", 1, np.empty(1, dtype=np.uint8))
    for _ in range(2):
        with pytest.raises(WireError, match="ended its session"):
            net["b"].receive("a", 2, np.empty(1))


def test_names_must_differ() -> None:
    with pytest.raises(UsageError, match="must differ"):
        memory_network(["a", "a"])


def together(*programs: Callable[[], Any], channels: Sequence[MemoryChannel] = ()) -> list[BaseException | None]:
    """Each in a thread of its own, which is the party of its channel; what each raised."""
    raised: list[BaseException | None] = [None] * len(programs)

    def guarded(i: int, program: Callable[[], Any]) -> None:
        try:
            program()
        except BaseException as error:
            raised[i] = error

    threads = [threading.Thread(target=guarded, args=item, daemon=True) for item in enumerate(programs)]
    for channel, thread in zip(channels, threads, strict=False):
        channel.party_runs_in(thread)
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive(), "a party hangs"
    return raised


def test_who_computes_is_waited_for_however_long() -> None:
    """Also by a party that waits for one that waits; the deadline passes fifty times meanwhile."""
    net = memory_network(["a", "b", "c"], idle_s=0.005)

    def computes() -> None:
        threading.Event().wait(0.25)
        net["a"].send("b", 1, b"x")

    def relays() -> None:
        net["b"].receive("a", 1, np.empty(1, np.uint8))
        threading.Event().wait(0.25)
        net["b"].send("c", 1, b"x")

    def waits() -> None:
        net["c"].receive("b", 1, np.empty(1, np.uint8))

    channels = [net[name] for name in "cba"]
    assert together(waits, relays, computes, channels=channels) == [None, None, None]


def test_who_has_ended_without_a_word_is_not() -> None:
    net = memory_network(["a", "b"], idle_s=0.02)
    assert together(lambda: None, channels=[net["a"]]) == [None]
    with pytest.raises(PeerTimeout, match=r"b waited 0.02 s for step 4 from a without a sign of life; .*timeout_s"):
        net["b"].receive("a", 4, np.empty(1))


@pytest.mark.parametrize("ring", [["a", "b"], ["a", "b", "c"]])
@pytest.mark.parametrize("latency", [None, 0.05])
def test_parties_that_wait_for_each_other_end_at_once(ring: list[str], latency: float | None) -> None:
    """However long the deadline is; what an emulated network still carries arrives before."""
    net: dict[str, Any] = dict(memory_network([*ring, "owner"], idle_s=1e6))
    if latency is not None:
        net = {name: EmulatedLink(channel, latency) for name, channel in net.items()}
    got = []

    def party(me: str, source: str, to: str) -> Callable[[], None]:
        def run() -> None:
            try:
                net[me].send(to, 1, b"x")
                net[me].receive(source, 1, np.empty(1, np.uint8))
                got.append(me)
                net[me].receive(source, 2, np.empty(1))
            except PrivityError as error:
                net[me].abort(error.public_reason)
                raise

        return run

    def owner() -> None:
        net["owner"].receive(ring[0], 3, np.empty(1))  # depends on the ring

    parties = [party(me, ring[i - 1], ring[(i + 1) % len(ring)]) for i, me in enumerate(ring)]
    raised = together(*parties, owner)
    assert sorted(got) == ring
    assert all(isinstance(error, PeerTimeout | PeerAborted) for error in raised)
    text = next(str(error) for error in raised if isinstance(error, PeerTimeout))
    assert "nothing is on its way, so nobody can go on" in text
    assert all(f"{me} waits for step 2 from {ring[i - 1]}" in text for i, me in enumerate(ring))


def test_a_simulation_may_compute_for_longer_than_its_timeout() -> None:
    """An owner that is no compute party waits for all of it."""

    def program(s: pv.Session) -> Any:
        x = s.secret("x", "bank")
        if s.me.startswith("compute"):
            threading.Event().wait(0.3)
        return s.reveal(x.sum(), to="all", name="x", reason="the sum")

    done = pv.simulate(program, inputs={"bank": {"x": np.array([1.0, 2.0])}}, timeout_s=0.01)
    assert done.outputs["bank"] == pytest.approx(3.0, abs=1e-4)


def test_who_goes_on_after_an_abort_ends_too() -> None:
    """A program that catches the end of its session: no wait for what nobody will send, from whomever."""
    net = memory_network(["a", "b", "c"], idle_s=60.0)
    net["a"].abort("a guard failed")
    for source in ("b", "a", "b"):
        with pytest.raises(PeerAborted, match="a stopped the session: a guard failed"):
            net["c"].receive(source, 1, np.empty(1))
    # ... and an abort that was read is no message on its way, for which somebody would be waited for
    board = net["b"]._board
    with pytest.raises(PeerAborted):
        net["b"].receive("a", 1, np.empty(1))
    assert all(line.sent == line.taken for line in board.lines.values())


def test_a_simulation_whose_program_catches_a_failed_guard_ends() -> None:
    def program(s: pv.Session) -> Any:
        x = s.secret("x", "bank")
        try:
            x.assume_bound(1.0)
            s.check_guards()
        except PrivityError:
            pass
        return s.reveal((x * x).sum(), to="all", name="x", reason="the sum")

    with pytest.raises(PrivityError):
        pv.simulate(program, inputs={"bank": {"x": np.array([1.0, 2.0])}, "other": {"y": np.array([1.0])}})
