"""An attacker on the wire: changed, repeated, reordered, cut, oversized and invented frames."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from privity.errors import NetworkError, PeerLost, PeerTimeout, WireError
from privity.net import outbox, sealed
from privity.net.heart import Heart
from privity.net.outbox import BufferPool, Outbox
from privity.net.sealed import SealedConnection
from privity.net.wire import (
    ABORT,
    ALIVE,
    BYE,
    CHUNK,
    CONTROL,
    DATA,
    FRAME_OVERHEAD,
    HEADER,
    MAGIC,
    NONCE_END,
    NONCE_START,
    PROGRESS,
    encode,
)
from privity.net.wire import Abort as AbortMessage

KEY = bytes(range(16))


class Wire:
    """A receiver whose peer is the test: frames are sealed aside, changed at will, and put on the wire."""

    def __init__(self) -> None:
        self.attacker, end = socket.socketpair()
        self.victim = SealedConnection(end, "me", "bank_a", bytes(16), KEY, idle_s=1.0, pool=BufferPool())
        aside, self._tap = socket.socketpair()
        self._tap.settimeout(5.0)
        self._outbox = Outbox(aside, "bank_a", "me", KEY, BufferPool())
        self._aside = aside

    def frame(self, kind: int, step: int, data: bytes) -> bytearray:
        """The bytes of one small message, sealed with the next counter."""
        self._outbox.send(kind, step, data)
        size = len(data) + FRAME_OVERHEAD
        return bytearray(self._tap.recv(size, socket.MSG_WAITALL))

    def receive(self, step: int = 1, size: int = 8) -> bytes:
        into = np.full(size, 0xAA, dtype=np.uint8)
        try:
            self.victim.receive(step, memoryview(into))
        except NetworkError:
            assert not into.any(), "unverified plaintext was left behind"
            raise
        return into.tobytes()

    def sign(self, silent_s: float) -> bytes:
        """A sign of life, sealed with the next counter."""
        self._outbox._signed_at = self._outbox._sent_frames  # as a period after the last message
        self._outbox.sign(silent_s)
        return self._tap.recv(FRAME_OVERHEAD, socket.MSG_WAITALL)

    def close(self) -> None:
        self.victim.close()
        for sock in (self.attacker, self._aside, self._tap):
            sock.close()


@pytest.fixture
def wire() -> Iterator[Wire]:
    made = Wire()
    yield made
    made.close()


def test_an_honest_frame_passes(wire: Wire) -> None:
    wire.attacker.sendall(wire.frame(DATA, 1, b"12345678"))
    assert wire.receive() == b"12345678"


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def changed_byte_is_noticed(frame_of: Callable[[Wire], Any], at: int, change: int) -> None:
    wire = Wire()
    try:
        frame = frame_of(wire)
        frame[at] ^= change
        wire.attacker.sendall(frame)
        wire.attacker.shutdown(socket.SHUT_WR)
        with pytest.raises((WireError, PeerLost), match="bank_a"):
            wire.receive()
    finally:
        wire.close()


@given(st.integers(0, 55), st.integers(1, 255))
def test_every_changed_byte_is_noticed(at: int, change: int) -> None:
    changed_byte_is_noticed(lambda wire: wire.frame(DATA, 1, b"12345678"), at, change)


def test_a_changed_byte_in_a_later_chunk(wire: Wire) -> None:
    size = CHUNK + 100
    outbox_end, tap = socket.socketpair()
    outbox = Outbox(outbox_end, "bank_a", "me", KEY, BufferPool())
    outbox.send(DATA, 1, bytes([7]) * size)
    stream = bytearray(tap.recv(size + 2 * FRAME_OVERHEAD, socket.MSG_WAITALL))
    stream[-1] ^= 1
    thread = threading.Thread(target=wire.attacker.sendall, args=(stream,))
    thread.start()
    with pytest.raises(WireError, match="frame 1 from bank_a is not authentic"):
        wire.receive(1, size)
    thread.join()
    outbox_end.close()
    tap.close()


def test_repeated_and_reordered_frames(wire: Wire) -> None:
    first, second = wire.frame(DATA, 1, b"11111111"), wire.frame(DATA, 1, b"22222222")
    wire.attacker.sendall(first + first)
    assert wire.receive() == b"11111111"
    with pytest.raises(WireError, match="expected frame number 1, came 0"):
        wire.receive()
    other = Wire()
    other.attacker.sendall(second + first)
    with pytest.raises(WireError, match="expected frame number 0, came 1"):
        other.receive()
    other.close()


def test_a_frame_cannot_pass_for_a_later_one(wire: Wire) -> None:
    frame = wire.frame(DATA, 1, b"11111111")
    wire.attacker.sendall(frame)
    wire.receive()
    frame[12:20] = (1).to_bytes(8, "big")
    wire.attacker.sendall(frame)
    with pytest.raises(WireError, match="not authentic"):
        wire.receive()


def test_frames_of_the_other_direction_are_refused(wire: Wire) -> None:
    wire.victim.send(DATA, 1, b"11111111")
    wire.attacker.sendall(wire.attacker.recv(8 + FRAME_OVERHEAD, socket.MSG_WAITALL))
    with pytest.raises(WireError, match="not authentic"):
        wire.receive()


@pytest.mark.parametrize("cut", [0, 1, 31, 32, 40, 55])
def test_end_of_stream_without_goodbye(wire: Wire, cut: int) -> None:
    wire.attacker.sendall(wire.frame(DATA, 1, b"12345678")[:cut])
    wire.attacker.close()
    with pytest.raises(PeerLost, match="me lost bank_a while waiting for step 1"):
        wire.receive()


def test_oversized_frames_are_refused_before_they_are_read(wire: Wire) -> None:
    wire.attacker.sendall(HEADER.pack(MAGIC, 1, DATA, 1, 0, 0, 0, (1 << 32) - 1, (1 << 64) - 1))
    with pytest.raises(WireError, match="at most"):
        wire.receive()


def test_garbage(wire: Wire) -> None:
    wire.attacker.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    with pytest.raises(WireError, match="no Privity"):
        wire.receive()


@settings(max_examples=60, deadline=None)
@given(st.binary(min_size=1, max_size=200))
def test_any_bytes(data: bytes) -> None:
    wire = Wire()
    try:
        wire.attacker.sendall(data)
        wire.attacker.shutdown(socket.SHUT_WR)
        with pytest.raises((WireError, PeerLost)):
            wire.receive()
    finally:
        wire.close()


def test_wrong_kinds_where_data_is_due(wire: Wire) -> None:
    wire.attacker.sendall(wire.frame(CONTROL, 0, b"x"))
    with pytest.raises(WireError, match="expected step 1, came a CONTROL frame"):
        wire.receive()


def test_authentic_nonsense_in_an_abort(wire: Wire) -> None:
    wire.attacker.sendall(wire.frame(ABORT, 0, b"\xc1"))
    with pytest.raises(WireError, match="malformed"):
        wire.receive()


def test_a_forged_abort_is_not_believed(wire: Wire) -> None:
    frame = wire.frame(ABORT, 0, encode(AbortMessage(reason="go home")))
    frame[-1] ^= 1
    wire.attacker.sendall(frame)
    with pytest.raises(WireError, match="not authentic"):
        wire.receive()


@pytest.mark.parametrize(("kind", "data"), [(BYE, b""), (PROGRESS, b"note"), (ALIVE, b"")])
def test_a_forged_frame_of_any_kind_is_not_believed(wire: Wire, kind: int, data: bytes) -> None:
    frame = wire.frame(kind, 0, data)
    frame[-1] ^= 1
    wire.attacker.sendall(frame)
    with pytest.raises(WireError, match="not authentic"):
        wire.receive()


def test_no_nonce_is_used_twice_even_where_a_send_is_interrupted(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C between the choice of a counter and the sending leaves a gap, which the peer refuses."""

    def interrupted(frame: bytes) -> None:
        raise KeyboardInterrupt

    first = wire.frame(DATA, 1, b"12345678")
    with monkeypatch.context() as patch:
        patch.setattr(wire._outbox, "_put_small", interrupted)
        with pytest.raises(KeyboardInterrupt):
            wire._outbox.send(DATA, 2, b"abcdefgh")
    third = wire.frame(DATA, 2, b"ABCDEFGH")
    assert [frame[NONCE_START:NONCE_END][-1] for frame in (first, third)] == [0, 2]
    wire.attacker.sendall(first + third)
    wire.receive(1)
    with pytest.raises(WireError, match="expected frame number 1, came 2"):
        wire.receive(2)


def test_no_key_seals_more_than_its_limit(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    assert outbox.KEY_LIMIT == 16 << 40
    monkeypatch.setattr(outbox, "KEY_LIMIT", 2 * (8 + FRAME_OVERHEAD))
    for step in (1, 2):
        wire.frame(DATA, step, b"12345678")
    with pytest.raises(WireError, match="more than 112 bytes to me in one session; split the job"):
        wire.frame(DATA, 3, b"12345678")


def test_goodbye_ends_the_stream_for_good(wire: Wire) -> None:
    wire.attacker.sendall(wire.frame(BYE, 0, b""))
    for _ in range(2):
        with pytest.raises(WireError, match="ended its session"):
            wire.receive()


def test_reading_ahead_meets_the_same_attacks(wire: Wire) -> None:
    wire.victim.pump()
    frame = wire.frame(DATA, 1, b"12345678")
    wire.attacker.sendall(frame[:20])
    assert wire.victim.pump()
    wire.attacker.sendall(frame[20:])
    assert wire.victim.pump()
    assert wire.receive() == b"12345678"
    frame = wire.frame(DATA, 2, b"12345678")
    frame[40] ^= 1
    wire.attacker.sendall(frame)
    with pytest.raises(WireError, match="not authentic"):
        wire.victim.pump()


# -------------------------------------------------------------------------------------------------------- signs of life


class Clock:
    """Stands for ``time`` in the receiving half: 0.6 seconds pass from one look to the next."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        self.now += 0.6
        return self.now


def test_a_peer_that_computes_is_waited_for_beyond_the_deadline(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> None:
    """The deadline is one second; between message and message lie twenty signs of life."""
    clock = Clock()
    monkeypatch.setattr(sealed, "time", clock)
    signs = b"".join(wire.sign(0.0) for _ in range(20))
    wire.attacker.sendall(signs + wire.frame(DATA, 1, b"12345678"))
    before = clock.now
    assert wire.receive() == b"12345678"
    assert clock.now - before > 10.0


def test_a_peer_that_waits_for_somebody_silent_is_not(wire: Wire) -> None:
    """It lives, but whom it waits for has said nothing for as long as this party would wait."""
    wire.attacker.sendall(wire.frame(DATA, 0, b""))
    wire.receive(0, 0)
    wire.victim._silent_since = sealed.time.monotonic() - 5.0  # it has waited for long already
    wire.attacker.sendall(wire.sign(2.0))
    with pytest.raises(PeerTimeout, match="me waited 1 s for step 1 from bank_a without a sign of life of it"):
        wire.receive()


def test_signs_of_life_are_no_messages(wire: Wire) -> None:
    """They are sealed with the same counter, count no bytes, and are sent where nothing else is; none after goodbye."""
    victim = wire.victim
    assert victim.sign(0.0) and victim._outbox._sent_frames == 1
    for _ in range(3):
        victim.send(DATA, 1, b"12345678")
        assert victim.sign(0.0)  # the message was sign enough
    assert victim._outbox._sent_frames == 4
    assert victim.sign(1e9) and victim._outbox._sent_frames == 5
    assert victim.bytes_sent == 3 * (8 + FRAME_OVERHEAD)
    victim.send(BYE, 0, b"")
    assert not victim.sign(0.0) and not victim.sign(0.0)
    assert victim._outbox._sent_frames == 6
    received = wire.attacker.recv(6 * FRAME_OVERHEAD + 24, socket.MSG_WAITALL)
    headers = [HEADER.unpack_from(received, at) for at in (0, 48, 104, 160, 216, 264)]
    assert [h[2] for h in headers] == [ALIVE, DATA, DATA, DATA, ALIVE, BYE]
    assert [h[6] for h in headers] == list(range(6))
    assert headers[4][3] == (1 << 32) - 1  # an age beyond what the header holds


def test_a_sign_of_life_with_content_is_refused(wire: Wire) -> None:
    wire.attacker.sendall(wire.frame(ALIVE, 0, b"x"))
    with pytest.raises(WireError, match="ALIVE frame from bank_a: chunk of 1 bytes"):
        wire.receive()


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.integers(0, 47), st.integers(1, 255))
def test_every_changed_byte_of_a_sign_of_life_is_noticed(at: int, change: int) -> None:
    changed_byte_is_noticed(lambda wire: bytearray(wire.sign(0.5)), at, change)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.one_of(st.floats(0, 0.5), st.sampled_from([b"", b"12345678", b"x" * 300])), max_size=12))
def test_signs_between_messages_change_nothing(script: list[float | bytes]) -> None:
    """Any mixture of messages and signs of life: the messages arrive, in order, whether read ahead or not."""
    wire = Wire()
    try:
        sent = [item for item in script if isinstance(item, bytes)]
        stream = b"".join(
            bytes(wire.frame(DATA, 1, item)) if isinstance(item, bytes) else wire.sign(item) for item in script
        )
        wire.attacker.sendall(stream)
        if len(script) % 2:
            wire.victim.pump()
        assert [wire.receive(1, len(item)) for item in sent] == sent
    finally:
        wire.close()


def test_a_heart_tells_how_long_ago_somebody_computed(wire: Wire) -> None:
    heart = Heart([wire.victim], 1e6)
    assert heart.beat()
    wire.victim._silent_since = sealed.time.monotonic() - 100.0  # waits for bank_a since then
    assert heart.beat()
    first, second = (HEADER.unpack(wire.attacker.recv(FRAME_OVERHEAD, socket.MSG_WAITALL)[:32]) for _ in range(2))
    assert first[3] == 0 and second[3] >= 100_000
    wire.victim.close()
    assert not heart.beat()
