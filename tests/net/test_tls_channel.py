"""Real sockets: messages of all sizes, simultaneous giants, control messages, goodbyes."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

from privity.errors import PeerAborted, PeerLost, PeerTimeout, UsageError, WireError
from privity.net import heart
from privity.net.wire import CHUNK, Declare, Digest, InputDeclaration, ProgressNote, wire_bytes

TRIO = ("compute_0", "compute_1", "compute_2")


def test_sizes_and_counts(mesh: Any) -> None:
    mesh.meet(TRIO)
    assert not mesh.errors
    a, b = mesh.channels["compute_0"], mesh.channels["compute_1"]
    sizes = [0, 1, 7, 8, 16384, 16385, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 5]
    for step, size in enumerate(sizes):
        data = np.random.default_rng(size).integers(0, 256, size, dtype=np.uint8)
        a.send("compute_1", step, data)
        into = np.empty(size, dtype=np.uint8)
        b.receive("compute_0", step, into)
        assert np.array_equal(into, data)
    assert a.bytes_sent == sum(wire_bytes(size) for size in sizes)


def test_arrays_of_any_layout(mesh: Any) -> None:
    mesh.meet(TRIO[:2])
    a, b = mesh.channels["compute_0"], mesh.channels["compute_1"]
    matrix = np.arange(24, dtype=np.uint64).reshape(4, 6)
    for step, data in enumerate([matrix, matrix.T, matrix[::2, 1::2], matrix[:0], np.uint64(7) * np.ones(())]):
        a.send("compute_1", step, data)
        into = np.empty(data.shape, dtype=data.dtype)
        b.receive("compute_0", step, into)
        assert np.array_equal(into, data)


def test_ring_of_giants_does_not_deadlock(mesh: Any) -> None:
    mesh.meet(TRIO)
    giants = {name: np.full(4 << 20, i, dtype=np.uint64) for i, name in enumerate(TRIO)}

    def ring(me: str) -> None:
        channel, at = mesh.channels[me], TRIO.index(me)
        for step in range(2):
            channel.send(TRIO[at - 1], step, giants[me])
            into = np.empty(4 << 20, dtype=np.uint64)
            channel.receive(TRIO[(at + 1) % 3], step, into)
            assert np.array_equal(into, giants[TRIO[(at + 1) % 3]])
        channel.close()

    mesh.together({name: ring for name in TRIO})
    assert not mesh.errors


def test_sender_may_reuse_its_buffer(mesh: Any) -> None:
    mesh.meet(TRIO[:2])
    a, b = mesh.channels["compute_0"], mesh.channels["compute_1"]
    data = np.empty(2 << 20, dtype=np.uint64)
    for step in range(6):
        data[:] = step
        a.send("compute_1", step, data)
    data[:] = 99
    into = np.empty_like(data)
    for step in range(6):
        b.receive("compute_0", step, into)
        assert (into == step).all()


def test_control_messages_and_progress(mesh: Any) -> None:
    notes: list[tuple[str, ProgressNote]] = []
    mesh.meet(TRIO[:2], ["bank_a"], on_progress=lambda source, note: notes.append((source, note)))
    bank, node = mesh.channels["bank_a"], mesh.channels["compute_0"]
    declared = Declare(inputs=(InputDeclaration(name="x", shape=(3, 4), bound=2.0, scale=16),))
    bank.tell("compute_0", declared)
    assert node.hear("bank_a", Declare) == declared
    note = ProgressNote(stage=5, step=1, total=2, rounds=3, bytes_sent=4)
    node.tell("bank_a", note)
    mesh.channels["compute_1"].tell("bank_a", note)
    node.send("bank_a", 1, b"12345678")
    into = np.empty(1, dtype=np.uint64)
    bank.receive("compute_0", 1, into)
    assert ("compute_0", note) in notes
    node.tell("bank_a", Digest(value=b"x"))
    with pytest.raises(WireError, match="expected Declare, came Digest"):
        bank.hear("compute_0", Declare)


def test_pair_secrets_agree_and_differ(mesh: Any) -> None:
    mesh.meet(TRIO)
    c = mesh.channels
    assert c["compute_0"].pair_secret("compute_1") == c["compute_1"].pair_secret("compute_0")
    assert len({c["compute_0"].pair_secret("compute_1"), c["compute_0"].pair_secret("compute_2"), b""}) == 3
    assert len(c["compute_0"].pair_secret("compute_1")) == 32


def test_close_loses_nothing(mesh: Any) -> None:
    mesh.meet(TRIO[:2])
    data = np.arange(1 << 20, dtype=np.uint64)

    def sender(me: str) -> None:
        mesh.channels[me].send("compute_1", 0, data)
        mesh.channels[me].close()

    def reader(me: str) -> None:
        into = np.empty_like(data)
        mesh.channels[me].receive("compute_0", 0, into)
        assert np.array_equal(into, data)
        mesh.channels[me].close()

    mesh.together({"compute_0": sender, "compute_1": reader})
    assert not mesh.errors
    with pytest.raises(UsageError, match="closed"):
        mesh.channels["compute_0"].send("compute_1", 1, data)


def test_goodbye_where_data_was_expected(mesh: Any) -> None:
    mesh.meet(TRIO[:2])

    def leaver(me: str) -> None:
        mesh.channels[me].close()

    def reader(me: str) -> None:
        with pytest.raises(WireError, match=r"compute_0 ended its session while step 5 was expected"):
            mesh.channels[me].receive("compute_0", 5, np.empty(1))
        mesh.channels[me].abort("out of step")

    mesh.together({"compute_0": leaver, "compute_1": reader})
    assert isinstance(mesh.errors.pop("compute_0"), PeerAborted)
    assert not mesh.errors


def test_who_computes_gives_signs_of_life_that_count_as_nothing(mesh: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those who wait, directly or not, read them on the way to their message (what they do to a deadline:
    test_frames.py)."""
    monkeypatch.setattr(heart, "PERIOD_S", 0.05)
    mesh.meet(TRIO, ["bank_a"])
    sent = {name: channel.bytes_sent for name, channel in mesh.channels.items()}
    signs = threading.Event()

    def compute(me: str) -> None:
        outboxes = [connection._outbox for connection in mesh.channels[me]._connections.values()]
        while not all(outbox._sent_frames >= 6 for outbox in outboxes):
            signs.wait(0.02)
        mesh.channels[me].send("compute_1", 7, b"12345678")
        mesh.channels[me].close()

    def wait(source: str, to: str | None) -> Any:
        def relay(me: str) -> None:
            into = np.empty(1, dtype=np.uint64)
            mesh.channels[me].receive(source, 7, into)
            if to is not None:
                mesh.channels[me].send(to, 7, into)
            mesh.channels[me].close()

        return relay

    mesh.together(
        {
            "compute_0": compute,
            "compute_1": wait("compute_0", "compute_2"),
            "compute_2": wait("compute_1", "bank_a"),
            "bank_a": wait("compute_2", None),
        }
    )
    assert not mesh.errors
    for name, channel in mesh.channels.items():
        assert channel.bytes_sent - sent[name] == 3 * wire_bytes(0) + (wire_bytes(8) if name in TRIO else 0)


def test_parties_that_wait_for_each_other_end(mesh: Any) -> None:
    """All of them live, and none will ever send."""
    mesh.meet(TRIO, idle_s=1.0)

    def wait(me: str) -> None:
        try:
            mesh.channels[me].receive(TRIO[(TRIO.index(me) + 1) % 3], 7, np.empty(1))
        except BaseException as error:
            mesh.channels[me].abort(error.public_reason)
            raise

    mesh.together({name: wait for name in TRIO})
    assert set(mesh.errors) == set(TRIO)
    assert all(isinstance(e, PeerTimeout | PeerAborted) for e in mesh.errors.values())
    assert any(isinstance(e, PeerTimeout) and "waited 1 s for step 7" in str(e) for e in mesh.errors.values())


def test_those_who_wait_for_a_dead_party_do_not_keep_each_other_waiting(mesh: Any) -> None:
    """Neither by their own signs of life, nor by those of a party that lies about whom it waits for."""
    mesh.meet(["compute_0", "compute_1"], ["bank_a"], idle_s=1.0)
    mesh.channels["compute_0"]._heart.stop()  # hangs
    liar = mesh.channels["compute_1"]
    liar._heart.stop()
    ended = threading.Event()

    def beat(me: str) -> None:
        while not ended.wait(0.2):
            liar._connections["bank_a"].sign(0.0)

    def wait(me: str) -> None:
        try:
            mesh.channels[me].receive("compute_0", 1, np.zeros(8, np.uint8))
        finally:
            ended.set()

    mesh.together({"compute_1": beat, "bank_a": wait})
    assert isinstance(mesh.errors["bank_a"], PeerTimeout), mesh.errors


@pytest.mark.parametrize(("step", "size"), [(2, 8), (1, 16), (1, 4)])
def test_other_step_or_length(mesh: Any, step: int, size: int) -> None:
    mesh.meet(TRIO[:2])
    mesh.channels["compute_0"].send("compute_1", 1, bytes(8))
    with pytest.raises(WireError, match="fallen out of step"):
        mesh.channels["compute_1"].receive("compute_0", step, np.empty(size, dtype=np.uint8))


def test_abort_tells_all_and_says_why(mesh: Any) -> None:
    mesh.meet(TRIO, ["bank_a"])
    bank_knows = threading.Event()

    def waiter(source: str) -> Any:
        def wait(me: str) -> None:
            if me != "bank_a":
                bank_knows.wait(10)
            with pytest.raises(PeerAborted, match=r"compute_2 stopped the session: DataError\\x1b"):
                mesh.channels[me].receive(source, 1, np.empty(1))
            bank_knows.set()
            mesh.channels[me].abort("relay")

        return wait

    mesh.together(
        {
            "compute_0": waiter("compute_2"),
            "compute_1": waiter("compute_2"),
            "bank_a": waiter("compute_0"),  # waits for one party and is woken by another
            "compute_2": lambda me: mesh.channels[me].abort("DataError\x1b"),
        }
    )
    assert not mesh.errors


def test_lost_peer_wakes_those_who_do_not_compute(mesh: Any) -> None:
    mesh.meet(TRIO, ["bank_a"])

    def die(me: str) -> None:
        for connection in mesh.channels[me]._connections.values():
            connection.close()

    def wait(me: str) -> None:
        with pytest.raises(PeerLost, match=r"bank_a lost compute_2 .* without a goodbye"):
            mesh.channels[me].receive("compute_0", 1, np.empty(1))

    mesh.together({"compute_2": die, "bank_a": wait})
    assert not mesh.errors


def test_silent_peer(mesh: Any) -> None:
    mesh.meet(TRIO[:2], ["bank_a"], idle_s=0.02)
    for channel in mesh.channels.values():
        channel._heart.stop()  # as in processes that were stopped
    for me, source in (("compute_0", "compute_1"), ("bank_a", "compute_0")):
        with pytest.raises(PeerTimeout, match=rf"{me} waited 0.02 s for step 3 from {source}"):
            mesh.channels[me].receive(source, 3, np.empty(1))


def test_unread_ahead_messages_keep_their_order(mesh: Any) -> None:
    """A watcher that waits for one peer opens what others send meanwhile, and finds it later."""
    mesh.meet(TRIO[:2], ["bank_a"])
    bank = mesh.channels["bank_a"]
    big = np.arange(CHUNK, dtype=np.uint64)
    into = np.empty_like(big)

    def early(me: str) -> None:
        mesh.channels[me].send("bank_a", 1, big)
        mesh.channels[me].tell("bank_a", Digest(value=b"after"))

    def late(me: str) -> None:
        mesh.channels["compute_1"].hear("bank_a", Digest)
        mesh.channels["compute_1"].send("bank_a", 1, big[::-1])

    def read(me: str) -> None:
        bank.tell("compute_1", Digest(value=b"go"))
        bank.receive("compute_1", 1, into)
        assert np.array_equal(into, big[::-1])
        bank.receive("compute_0", 1, into)
        assert np.array_equal(into, big)
        assert bank.hear("compute_0", Digest) == Digest(value=b"after")

    mesh.together({"compute_0": early, "compute_1": late, "bank_a": read})
    assert not mesh.errors
