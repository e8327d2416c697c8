"""Channels between threads of one process: for ``simulate``, for tests and for benchmarks without sockets.

Same rules as the sealed sockets: ordered messages, a deadline on every wait, abort wakes everybody, and the bytes are
counted as a socket would count them, headers and tags included. Nothing is encrypted: all parties share one memory.
"""

from __future__ import annotations

import queue
import secrets
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy.typing as npt

from ..errors import PeerAborted, PeerTimeout, UsageError, WireError
from .wire import (
    ABORT,
    BYE,
    CONTROL,
    DATA,
    DEFAULT_IDLE_S,
    KIND_NAMES,
    PROGRESS,
    Abort,
    Message,
    ProgressCallback,
    ProgressNote,
    bytes_of,
    decode,
    encode,
    kind_of,
    printable,
    target_of,
    wire_bytes,
)


class _Item(NamedTuple):
    """One message in a queue. ``sender`` differs from the queue's source only when another party aborts."""

    kind: int
    step: int
    sender: str
    data: bytes


_Queue = queue.SimpleQueue[_Item]


class MemoryChannel:
    """One party's end of a memory network; implements ``types.Channel``. Used by one thread, aborted from any."""

    def __init__(
        self,
        me: str,
        queues: dict[tuple[str, str], _Queue],
        secrets_by_peer: dict[str, bytes],
        idle_s: float,
        on_progress: ProgressCallback | None,
    ) -> None:
        self._me = me
        self._queues = queues
        self._secrets = secrets_by_peer
        self._peers = tuple(secrets_by_peer)
        self._idle_s = idle_s
        self._on_progress = on_progress
        self._bytes_sent = 0
        self._closed = False
        self._departed: set[str] = set()

    @property
    def me(self) -> str:
        """This party's name."""
        return self._me

    @property
    def peers(self) -> Sequence[str]:
        """Names of all other parties."""
        return self._peers

    @property
    def bytes_sent(self) -> int:
        """Bytes that a socket would have carried so far, headers and tags included."""
        return self._bytes_sent

    def send(self, to: str, step: int, data: npt.NDArray[Any] | bytes | memoryview) -> None:
        """Queue a copy of ``data`` for ``to``. Raises UsageError for an unknown peer or a closed channel."""
        self._put(to, DATA, step, bytes(bytes_of(data)))

    def receive(self, source: str, step: int, into: npt.NDArray[Any]) -> None:
        """Fill ``into`` with the next message of ``source``; see ``types.Channel.receive``."""
        target = target_of(into)
        item = self._next(source, DATA, f"step {step}")
        if item.step != step:
            raise WireError(f"from {source}: expected step {step}, came {item.step}; the programs are out of step")
        if len(item.data) != len(target):
            raise WireError(f"from {source} at step {step}: expected {len(target)} bytes, came {len(item.data)}")
        target[:] = item.data

    def tell(self, to: str, message: Any) -> None:
        """Send one control message of ``net.wire``."""
        self._put(to, kind_of(message), 0, encode(message))

    def hear(self, source: str, kind: type[Any]) -> Any:
        """Next control message of ``source``. Raises WireError unless it is a ``kind``."""
        item = self._next(source, CONTROL, kind.__name__)
        message = decode(item.data, source)
        if not isinstance(message, kind):
            raise WireError(f"from {source}: expected {kind.__name__}, came {type(message).__name__}")
        return message

    def pair_secret(self, peer: str) -> bytes:
        """32 random bytes that only this party and ``peer`` hold, drawn when the network was made."""
        if peer not in self._secrets:
            raise UsageError(f"{self._me} has no channel to {peer!r}; its peers are {', '.join(self._peers)}")
        return self._secrets[peer]

    def close(self) -> None:
        """Say goodbye to all peers. Messages already queued can still be read by them."""
        if self._closed:
            return
        for peer in self._peers:
            self._put(peer, BYE, 0, b"")
        self._closed = True

    def abort(self, reason: str) -> None:
        """Tell all peers why this party stops and wake whoever waits, for whomever. Never raises."""
        if self._closed:
            return
        self._closed = True
        item = _Item(ABORT, 0, self._me, encode(Abort(reason=printable(reason))))
        for (_, receiver), waiting in self._queues.items():
            if receiver != self._me:
                waiting.put(item)

    def _put(self, to: str, kind: int, step: int, data: bytes) -> None:
        if self._closed:
            raise UsageError(f"the channel of {self._me} is closed; nothing can be sent to {to}")
        waiting = self._queues.get((self._me, to))
        if waiting is None:
            raise UsageError(f"{self._me} has no channel to {to!r}; its peers are {', '.join(self._peers)}")
        self._bytes_sent += wire_bytes(len(data))
        waiting.put(_Item(kind, step, self._me, data))

    def _next(self, source: str, kind: int, what: str) -> _Item:
        """Next item of ``source`` that is of ``kind``; progress notes on the way go to the callback."""
        waiting = self._queues.get((source, self._me))
        if waiting is None:
            raise UsageError(f"{self._me} has no channel to {source!r}; its peers are {', '.join(self._peers)}")
        if source in self._departed:
            raise WireError(f"{source} has ended its session, {what} can no longer come; do both run the same program?")
        while True:
            try:
                item = waiting.get(timeout=self._idle_s)
            except queue.Empty:
                raise PeerTimeout(
                    f"{self._me} waited {self._idle_s:g} s for {what} from {source}; is its program still running?"
                ) from None
            if item.kind == kind:
                return item
            self._handle(source, item, what)

    def _handle(self, source: str, item: _Item, what: str) -> None:
        if item.kind == ABORT:
            message: Message = decode(item.data, item.sender)
            reason = message.reason if isinstance(message, Abort) else ""
            raise PeerAborted(f"{item.sender} stopped the session: {printable(reason)}")
        if item.kind == BYE:
            self._departed.add(source)
            raise WireError(f"{source} ended its session while {what} was expected; do both run the same program?")
        if item.kind != PROGRESS:
            raise WireError(f"from {source}: expected {what}, came a {KIND_NAMES[item.kind]} message")
        note = decode(item.data, source)
        if self._on_progress is not None and isinstance(note, ProgressNote):
            self._on_progress(source, note)


def memory_network(
    names: Sequence[str], *, idle_s: float = DEFAULT_IDLE_S, on_progress: ProgressCallback | None = None
) -> dict[str, MemoryChannel]:
    """Channels that connect every party in ``names`` to every other one, each pair with a fresh random secret.

    ``idle_s`` is the deadline in seconds of every receive. Raises UsageError if a name occurs twice.
    """
    if len(set(names)) != len(names):
        raise UsageError(f"party names must differ, came {', '.join(names)}")
    queues: dict[tuple[str, str], _Queue] = {(a, b): queue.SimpleQueue() for a in names for b in names if a != b}
    pair = {frozenset((a, b)): secrets.token_bytes(32) for a in names for b in names if a < b}
    return {
        me: MemoryChannel(me, queues, {p: pair[frozenset((me, p))] for p in names if p != me}, idle_s, on_progress)
        for me in names
    }
