"""The door of a listening party: callers of whom nothing is known yet are few, short, and give way to each other.

Anybody can connect to a listening port, and all parties may share one address. So no caller is counted by its address:
what is limited is how many wait here and for how long, until TLS has shown who they are.

1. A caller first has to send a whole TLS record with a ClientHello, within ``CALLER_S``. One thread waits for all of
   them at once. A dialler sends it right after it connects, whatever the distance; silence, drips and other protocols
   end here and cost no more than a file descriptor.
2. Then it stands in one of two lines for a handshake, which has a thread of its own and, for strangers, ``CALLER_S`` to
   show the right certificate. A party names the meeting in its ClientHello (``net.handshake.knock``), and who does so
   does not wait behind strangers. The others are let in too, but fewer at a time: among them may be one with a wrong
   certificate or another job, and both sides are to hear of it. If all places of a line are taken its oldest caller has
   to go, but not before ``PROTECTED_S``: else a fast flood would let nobody finish. Nor is a place given again before
   that, if its caller went by itself: handshakes cost processor time, which this thread needs to answer the door.
3. A caller whose certificate is the right one is no stranger any more and counts no longer.

The knock proves nothing. It keeps out the noise of those who do not know the consortium; who can read the network can
repeat it, and can cut the cable too.

Who is sent away finds its connection closed without a word. A party dials again at once (``net.tls``).
"""

from __future__ import annotations

import errno
import selectors
import socket
import threading
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import Final

from .handshake import MAX_RECORD, RECORD

BACKLOG: Final = 1024
"""Connections that the kernel keeps until this party takes them (it may allow fewer)."""
WAITING: Final = 256
HANDSHAKES: Final = 48
STRANGE_HANDSHAKES: Final = 16
CALLER_S: Final = 2.0
PROTECTED_S: Final = 0.5
_BATCH: Final = 32
_HANDSHAKE_RECORD: Final = 22
_CLIENT_HELLO: Final = 1
_NO_ROOM: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class Caller:
    """One accepted connection. ``received`` is what was read of it: the record of its ClientHello."""

    __slots__ = ("knocked", "leaving", "received", "since", "sock", "stranger", "thread", "watched")

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.received = bytearray()
        self.since = time.monotonic()
        self.watched = False
        self.knocked = False
        self.stranger = True
        self.leaving = False
        self.thread: threading.Thread | None = None

    def finished(self, now: float) -> bool:
        """Whether it no longer counts: it is known, or it has failed and the time that it may take is over."""
        if not self.stranger:
            return True
        return self.since <= now - PROTECTED_S and self.thread is not None and not self.thread.is_alive()

    def read(self) -> bool:
        """Read what is there of the first record; whether it is whole. Raises OSError if there is no such record."""
        while len(self.received) < (wanted := self._wanted()):
            try:
                piece = self.sock.recv(wanted - len(self.received))
            except (BlockingIOError, InterruptedError):
                return False
            if not piece:
                raise ConnectionAbortedError
            self.received += piece
        return True

    def _wanted(self) -> int:
        if len(self.received) < RECORD.size:
            return RECORD.size
        kind, major, _, length = RECORD.unpack_from(self.received)
        message = self.received[RECORD.size : RECORD.size + 1]
        if kind != _HANDSHAKE_RECORD or major != 3 or not 0 < length <= MAX_RECORD:
            raise ConnectionAbortedError
        if message and message[0] != _CLIENT_HELLO:
            raise ConnectionAbortedError
        return RECORD.size + int(length)


class _Line:
    """Callers that have sent their ClientHello and wait for one of ``places`` handshakes."""

    def __init__(self, places: int, handshake: Callable[[Caller], None], lock: threading.Lock) -> None:
        self._places = places
        self._handshake = handshake
        self._lock = lock
        self.waiting: dict[Caller, None] = {}  # both in the order in which they came
        self._trying: dict[Caller, None] = {}

    def seat(self, now: float) -> None:
        """Start handshakes where there is room; where there is none, send those away who have had their time."""
        if not self.waiting:
            return
        for caller in [each for each in self._trying if each.finished(now)]:
            del self._trying[caller]
        while self.waiting and len(self._trying) < self._places:
            caller = next(iter(self.waiting))
            del self.waiting[caller]
            caller.since = now
            caller.thread = threading.Thread(target=self._handshake, args=(caller,), daemon=True)
            try:
                caller.thread.start()
            except RuntimeError:  # the system gives no more threads
                caller.sock.close()
                return
            self._trying[caller] = None
        with self._lock:
            wanted = len(self.waiting) - sum(each.leaving for each in self._trying)
            for caller in self._trying:
                if wanted <= 0 or caller.since > now - PROTECTED_S:
                    break
                if caller.stranger and not caller.leaving:
                    caller.leaving = True
                    wanted -= 1
                    with suppress(OSError):
                        caller.sock.shutdown(socket.SHUT_RDWR)


class Door:
    """Lets callers of ``listener`` in until ``stop``. ``handshake`` runs in a thread of its own for each that may try.

    ``knocks`` are those of the parties that are awaited. ``handshake`` has to call ``known`` once it knows the caller,
    and ``leave`` before it closes the caller's socket.
    """

    def __init__(
        self,
        listener: socket.socket,
        handshake: Callable[[Caller], None],
        stop: threading.Event,
        knocks: Collection[bytes] = (),
    ) -> None:
        self._listener = listener
        self._stop = stop
        self._knocks = knocks
        self._lock = threading.Lock()
        self._selector = selectors.DefaultSelector()
        self._silent: dict[Caller, None] = {}  # in the order in which they came
        self._awaited = _Line(HANDSHAKES, handshake, self._lock)
        self._strange = _Line(STRANGE_HANDSHAKES, handshake, self._lock)

    def run(self) -> None:
        """Until ``stop`` is set. The listener stays open."""
        self._listener.setblocking(False)
        self._selector.register(self._listener, selectors.EVENT_READ)
        try:
            while not self._stop.is_set():
                in_line = self._awaited.waiting or self._strange.waiting
                for key, _ in self._selector.select(0.005 if in_line else 0.05):
                    if key.data is None:
                        self._answer()
                    elif key.data in self._silent:
                        self._listen_to(key.data)
                now = time.monotonic()
                self._drop_late(now)
                self._awaited.seat(now)
                self._strange.seat(now)
        finally:
            for caller in (*self._silent, *self._awaited.waiting, *self._strange.waiting):
                caller.sock.close()
            self._selector.close()

    def known(self, caller: Caller) -> None:
        """The caller's certificate is the right one."""
        with self._lock:
            caller.stranger = False

    def leave(self, caller: Caller) -> None:
        """The caller's socket is about to be closed, or is no business of the door any more."""
        with self._lock:
            caller.leaving = True

    def _answer(self) -> None:
        """Take up to a batch of new connections; what has come with them is read at once."""
        for _ in range(_BATCH):
            try:
                sock, _ = self._listener.accept()
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                if error.errno in _NO_ROOM and not self._make_room():
                    self._stop.wait(0.01)
                return
            sock.setblocking(False)
            if len(self._silent) + len(self._awaited.waiting) + len(self._strange.waiting) >= WAITING:
                self._make_room()
            caller = Caller(sock)
            self._silent[caller] = None
            self._listen_to(caller)
            if caller in self._silent:
                self._selector.register(sock, selectors.EVENT_READ, caller)
                caller.watched = True

    def _listen_to(self, caller: Caller) -> None:
        try:
            whole = caller.read()
        except OSError:
            self._forget(caller)
            caller.sock.close()
            return
        if whole:
            self._forget(caller)
            caller.knocked = any(knock in caller.received for knock in self._knocks)
            (self._awaited if caller.knocked else self._strange).waiting[caller] = None

    def _forget(self, caller: Caller) -> None:
        del self._silent[caller]
        if caller.watched:
            self._selector.unregister(caller.sock)

    def _make_room(self) -> bool:
        """Send the oldest away: of those who have said nothing, else of the strangers in line, else of the others."""
        if self._silent:
            caller = next(iter(self._silent))
            self._forget(caller)
        elif line := self._strange.waiting or self._awaited.waiting:
            caller = next(iter(line))
            del line[caller]
        else:
            return False
        caller.sock.close()
        return True

    def _drop_late(self, now: float) -> None:
        while self._silent and (caller := next(iter(self._silent))).since < now - CALLER_S:
            self._forget(caller)
            caller.sock.close()
