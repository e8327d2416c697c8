"""Channels between threads of one process: for ``simulate``, for tests and for benchmarks without sockets.

Same rules as the sealed sockets: ordered messages, a deadline on every wait for who gives no sign of life, abort wakes
everybody, and the bytes are counted as a socket would count them, headers and tags included. Nothing is encrypted: all
parties share one memory.

Signs of life need no messages here. Each party says for whom it waits; one that waits for nobody, in a thread of its
own that still runs, computes. Whoever waits goes on as long as somebody at the end of the chain computes, and ends at
once where the chain is a ring: then all wait for each other, nothing is on its way, and nobody will ever send.
"""

from __future__ import annotations

import queue
import secrets
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

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


_LOOK_S: Final = 0.25
"""Seconds after which a party that waits looks whether anybody could still send."""


@dataclass(slots=True, eq=False)
class _Line:
    """Messages from one party to another. ``sent`` is counted by the sender before, ``taken`` by the receiver after."""

    waiting: queue.SimpleQueue[_Item] = field(default_factory=queue.SimpleQueue)
    sent: int = 0
    taken: int = 0


class _Wait(NamedTuple):
    """One wait of one party: a new object each time, so that whoever sees the same one twice knows that it went on."""

    source: str
    what: str


class _Board:
    """What the parties of one network know of each other: their lines, their waits, their threads."""

    def __init__(self, names: Sequence[str]) -> None:
        self.lines = {(a, b): _Line() for a in names for b in names if a != b}
        self.waits: dict[str, _Wait | None] = dict.fromkeys(names)
        self.threads: dict[str, threading.Thread | None] = dict.fromkeys(names)
        self.held = dict.fromkeys(names, 0)
        """Messages of each party that an emulated network has taken over and not yet delivered."""

    def chain(self, me: str) -> tuple[list[tuple[str, _Wait]], str | None]:
        """Who waits for whom, from ``me`` on, and who at its end does not wait (None: it comes back to itself)."""
        found: dict[str, _Wait] = {}
        party = me
        while party not in found:
            wait = self.waits[party]
            if wait is None:
                return list(found.items()), party
            found[party] = wait
            party = wait.source
        return list(found.items()), None

    def stuck(self, me: str) -> list[tuple[str, _Wait]]:
        """The ring of parties that all wait and will never be sent anything, or nothing.

        All of them waited from the first look to the last, so none of them sent meanwhile; and in between nothing that
        they had sent before was on its way. What an emulated network holds is read before what was delivered.
        """
        chain, end = self.chain(me)
        return chain if end is None and not self._moves(chain) else []

    def computes(self, me: str) -> bool:
        """Whether the one that ``me`` waits for in the end runs, in another thread, or has a message on its way."""
        chain, end = self.chain(me)
        if end is None:
            return True  # a ring: ``stuck`` decides
        thread = self.threads[end]
        alive = thread is not None and thread is not threading.current_thread() and not _has_ended(thread)
        return alive or self._moves(chain)  # in this order: what a thread that has ended sent was sent before

    def _moves(self, chain: list[tuple[str, _Wait]]) -> bool:
        """Whether something is on its way to one of those that wait, or one of them waits no more as it did."""
        for party, wait in chain:
            held = self.held[wait.source]
            line = self.lines[wait.source, party]
            if held or line.sent != line.taken:
                return True
        return any(self.waits[party] is not wait for party, wait in chain)


def _has_ended(thread: threading.Thread) -> bool:
    return thread.ident is not None and not thread.is_alive()  # without a number it has not started yet


class MemoryChannel:
    """One party's end of a memory network; implements ``types.Channel``. Used by one thread, aborted from any."""

    def __init__(
        self,
        me: str,
        board: _Board,
        secrets_by_peer: dict[str, bytes],
        idle_s: float,
        on_progress: ProgressCallback | None,
    ) -> None:
        self._me = me
        self._board = board
        self._secrets = secrets_by_peer
        self._peers = tuple(secrets_by_peer)
        self._idle_s = idle_s
        self._on_progress = on_progress
        self._bytes_sent = 0
        self._closed = False
        self._departed: set[str] = set()
        self._stopped: PeerAborted | None = None

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

    def party_runs_in(self, thread: threading.Thread) -> None:
        """``thread`` is this party: until it ends, while it waits for nobody, it computes. Said before it starts.

        Without it, the thread that first receives counts as the party.
        """
        self._board.threads[self._me] = thread

    def holds(self, messages: int) -> None:
        """An emulated network took over this many messages of this party (negative: delivered them)."""
        self._board.held[self._me] += messages

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
        for (_, receiver), line in self._board.lines.items():
            if receiver != self._me:
                line.waiting.put(item)

    def _put(self, to: str, kind: int, step: int, data: bytes) -> None:
        if self._closed:
            raise UsageError(f"the channel of {self._me} is closed; nothing can be sent to {to}")
        line = self._board.lines.get((self._me, to))
        if line is None:
            raise UsageError(f"{self._me} has no channel to {to!r}; its peers are {', '.join(self._peers)}")
        self._bytes_sent += wire_bytes(len(data))
        line.sent += 1
        line.waiting.put(_Item(kind, step, self._me, data))

    def _next(self, source: str, kind: int, what: str) -> _Item:
        """Next item of ``source`` that is of ``kind``; progress notes on the way go to the callback."""
        line = self._board.lines.get((source, self._me))
        if line is None:
            raise UsageError(f"{self._me} has no channel to {source!r}; its peers are {', '.join(self._peers)}")
        if self._stopped is not None:  # a program caught it and goes on: nobody will send it anything
            raise PeerAborted(*self._stopped.args)
        if source in self._departed:
            raise WireError(f"{source} has ended its session, {what} can no longer come; do both run the same program?")
        waits = self._board.waits
        while True:
            try:
                item = line.waiting.get_nowait()
            except queue.Empty:
                waits[self._me] = _Wait(source, what)
                try:
                    item = self._wait(line, source, what)
                finally:
                    waits[self._me] = None
            if item.kind != ABORT:  # which is no message of the line, and not counted by its sender
                line.taken += 1
            if item.kind == kind:
                return item
            self._handle(source, item, what)

    def _wait(self, line: _Line, source: str, what: str) -> _Item:
        """The next item of a line that was empty. Only time in which nobody computes counts."""
        board = self._board
        if board.threads[self._me] is None:
            self.party_runs_in(threading.current_thread())
        deadline = time.monotonic() + self._idle_s
        while True:
            now = time.monotonic()
            try:
                return line.waiting.get(timeout=max(0.0, min(_LOOK_S, deadline - now)))
            except queue.Empty:
                pass
            ring = board.stuck(self._me)
            if ring:
                each = "; ".join(f"{party} waits for {wait.what} from {wait.source}" for party, wait in ring)
                raise PeerTimeout(
                    f"{each}: nothing is on its way, so nobody can go on; do all parties run the same program?"
                )
            now = time.monotonic()
            if board.computes(self._me):
                deadline = now + self._idle_s
            elif now >= deadline:
                raise PeerTimeout(
                    f"{self._me} waited {self._idle_s:g} s for {what} from {source} without a sign of life; "
                    "is its program still running? (timeout_s of privity.simulate states the time)"
                )

    def _handle(self, source: str, item: _Item, what: str) -> None:
        if item.kind == ABORT:
            message: Message = decode(item.data, item.sender)
            reason = message.reason if isinstance(message, Abort) else ""
            self._stopped = PeerAborted(f"{item.sender} stopped the session: {printable(reason)}")
            raise self._stopped
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

    ``idle_s``: seconds that a party waits for another one without a sign of life. Raises UsageError if a name occurs
    twice.
    """
    if len(set(names)) != len(names):
        raise UsageError(f"party names must differ, came {', '.join(names)}")
    board = _Board(names)
    pair = {frozenset((a, b)): secrets.token_bytes(32) for a in names for b in names if a < b}
    return {
        me: MemoryChannel(me, board, {p: pair[frozenset((me, p))] for p in names if p != me}, idle_s, on_progress)
        for me in names
    }
