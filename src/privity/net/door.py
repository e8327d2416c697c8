"""The door of a listening party: callers of whom nothing is known yet are few, short, and give way to each other.

Anybody can connect to a listening port, and all parties may share one address. So no caller is counted by its address:
what is limited is how many wait here and for how long, until TLS has shown who they are.

1. A caller first has to send a whole TLS record with a ClientHello, within ``CALLER_S``. One thread waits for all of
   them at once. A dialler sends it right after it connects, whatever the distance; silence, drips and other protocols
   end here and cost no more than a file descriptor.
2. Then it gets a thread for its handshake, one of ``HANDSHAKES``, and ``CALLER_S`` to show its certificate. If all are
   taken the oldest has to go, but not before ``PROTECTED_S``: else a fast flood would let nobody finish.
3. A caller whose certificate is the right one is no stranger any more and counts no longer.

Who is sent away finds its connection closed without a word. A party dials again at once (``net.tls``), so a flood costs
it time, and can keep it out only by being much faster than the door turns.
"""

from __future__ import annotations

import errno
import selectors
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from .handshake import MAX_RECORD, RECORD

BACKLOG: Final = 1024
"""Connections that the kernel keeps until this party takes them (it may allow fewer)."""
WAITING: Final = 256
HANDSHAKES: Final = 64
CALLER_S: Final = 2.0
PROTECTED_S: Final = 0.5
_BATCH: Final = 32
_HANDSHAKE_RECORD: Final = 22
_CLIENT_HELLO: Final = 1
_NO_ROOM: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class Caller:
    """One accepted connection. ``received`` is what was read of it: the record of its ClientHello."""

    __slots__ = ("evicted", "received", "since", "sock", "stranger", "thread")

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.received = bytearray()
        self.since = time.monotonic()
        self.stranger = True
        self.evicted = False
        self.thread: threading.Thread | None = None

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


class Door:
    """Lets callers of ``listener`` in until ``stop``. ``handshake`` runs in a thread of its own for each that may try.

    ``handshake`` has to call ``known`` or ``leave`` before it closes the caller's socket.
    """

    def __init__(self, listener: socket.socket, handshake: Callable[[Caller], None], stop: threading.Event) -> None:
        self._listener = listener
        self._handshake = handshake
        self._stop = stop
        self._lock = threading.Lock()
        self._selector = selectors.DefaultSelector()
        self._silent: dict[Caller, None] = {}  # both in the order in which they came
        self._ready: dict[Caller, None] = {}
        self._trying: dict[Caller, None] = {}

    def run(self) -> None:
        """Until ``stop`` is set. The listener stays open."""
        self._listener.setblocking(False)
        self._selector.register(self._listener, selectors.EVENT_READ)
        try:
            while not self._stop.is_set():
                for key, _ in self._selector.select(0.005 if self._ready else 0.05):
                    if key.data is None:
                        self._answer()
                    elif key.data in self._silent:
                        self._listen_to(key.data)
                self._drop_late()
                self._seat()
        finally:
            for caller in (*self._silent, *self._ready):
                caller.sock.close()
            self._selector.close()

    def known(self, caller: Caller) -> None:
        """The caller's certificate is the right one."""
        with self._lock:
            caller.stranger = False

    def leave(self, caller: Caller) -> None:
        """The caller's handshake has failed, and its socket is about to be closed."""
        with self._lock:
            caller.evicted = True

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
            if len(self._silent) + len(self._ready) >= WAITING:
                self._make_room()
            sock.setblocking(False)
            caller = Caller(sock)
            self._silent[caller] = None
            self._selector.register(sock, selectors.EVENT_READ, caller)
            self._listen_to(caller)

    def _listen_to(self, caller: Caller) -> None:
        try:
            whole = caller.read()
        except OSError:
            self._forget(caller)
            caller.sock.close()
            return
        if whole:
            self._forget(caller)
            self._ready[caller] = None

    def _forget(self, caller: Caller) -> None:
        del self._silent[caller]
        self._selector.unregister(caller.sock)

    def _make_room(self) -> bool:
        """Send the oldest away: of those who have said nothing, else of those who wait for a handshake."""
        if self._silent:
            caller = next(iter(self._silent))
            self._forget(caller)
        elif self._ready:
            caller = next(iter(self._ready))
            del self._ready[caller]
        else:
            return False
        caller.sock.close()
        return True

    def _drop_late(self) -> None:
        late = time.monotonic() - CALLER_S
        while self._silent and (caller := next(iter(self._silent))).since < late:
            self._forget(caller)
            caller.sock.close()

    def _seat(self) -> None:
        """Start handshakes where there is room; where there is none, send those away who have had their time."""
        if not self._ready:
            return
        now = time.monotonic()
        for caller in [each for each in self._trying if not each.stranger or not _alive(each)]:
            del self._trying[caller]
        while self._ready and len(self._trying) < HANDSHAKES:
            caller = next(iter(self._ready))
            del self._ready[caller]
            caller.since = now
            caller.thread = threading.Thread(target=self._handshake, args=(caller,), daemon=True)
            try:
                caller.thread.start()
            except RuntimeError:  # the system gives no more threads
                caller.sock.close()
                return
            self._trying[caller] = None
        with self._lock:
            wanted = len(self._ready) - sum(each.evicted for each in self._trying)
            for caller in self._trying:
                if wanted <= 0 or caller.since > now - PROTECTED_S:
                    break
                if caller.stranger and not caller.evicted:
                    caller.evicted = True
                    wanted -= 1
                    with suppress(OSError):
                        caller.sock.shutdown(socket.SHUT_RDWR)


def _alive(caller: Caller) -> bool:
    return caller.thread is not None and caller.thread.is_alive()
