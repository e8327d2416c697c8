"""The sending half of a sealed connection.

Sending never waits for the peer to read: a frame goes into the socket at once if it fits; what does not fit goes to a
sender thread, which is started only then. So a ring of parties that all send before they receive cannot deadlock.
"""

from __future__ import annotations

import socket
import threading
import time
from collections import deque
from contextlib import suppress
from itertools import islice
from typing import Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ..errors import NetworkError, UsageError, WireError
from .wire import ABORT, ALIVE, BYE, CHUNK, FRAME_OVERHEAD, HEADER_BYTES, NONCE_END, NONCE_START, pack_header

SMALL: Final = 16 * 1024
"""Below this, one fresh bytes object for the whole frame is cheaper than a recycled buffer."""
KEY_LIMIT: Final = 1 << 44
"""Bytes under one key (16 TiB, 2^40 cipher blocks): keeps the distinguishing advantage against GCM below 2^-48."""
_IOVECS: Final = 64
_LARGEST_AGE: Final = (1 << 32) - 1


class BufferPool:
    """Recycled frame buffers: pages that were touched once are not faulted in again. Safe between threads."""

    def __init__(self, keep: int = 128) -> None:
        self._free: deque[memoryview] = deque(maxlen=keep)

    def take(self) -> memoryview:
        """A buffer that holds the largest frame."""
        try:
            return self._free.pop()
        except IndexError:
            return memoryview(bytearray(CHUNK + FRAME_OVERHEAD))

    def give(self, buffer: memoryview) -> None:
        """Hand a buffer back; at most ``keep`` are kept."""
        self._free.append(buffer)


class Outbox:
    """Seals messages to one peer and puts them on the socket in order. Safe between threads."""

    def __init__(self, sock: socket.socket, me: str, peer: str, key: bytes, pool: BufferPool) -> None:
        """``sock`` is blocking; ``key`` are the 16 bytes of this direction."""
        self.bytes_sent = 0
        """Headers and tags included; signs of life are not messages and do not count."""
        self._sock = sock
        self._me = me
        self._peer = peer
        self._pool = pool
        self._seal = AESGCM(key)
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._sent_frames = 0
        self._sealed = 0
        self._signed_at = 0  # frames sent when it was last looked whether a sign of life is due
        self._said_goodbye = False
        self._backlog: deque[tuple[memoryview, memoryview | None]] = deque()
        self._sender: threading.Thread | None = None
        self._error: OSError | None = None
        self._closed = False

    def send(self, kind: int, step: int, data: memoryview | bytes) -> None:
        """Seal and send one message; ``data`` may be reused on return. Raises OSError or UsageError."""
        total = len(data)
        with self._lock:
            if self._closed:
                raise UsageError(f"the connection of {self._me} to {self._peer} is closed; nothing more can be sent")
            try:
                if self._error is not None:
                    raise self._error
                self._said_goodbye = self._said_goodbye or kind == BYE
                if total <= SMALL:
                    header = self._next_header(kind, step, total, total)
                    self._put_small(header + self._seal.encrypt(header[NONCE_START:NONCE_END], data, header))
                    return
                view = memoryview(data)
                for offset in range(0, total, CHUNK):
                    chunk = view[offset : offset + CHUNK]
                    header = self._next_header(kind, step, len(chunk), total)
                    buffer = self._pool.take()
                    frame = buffer[: len(chunk) + FRAME_OVERHEAD]
                    frame[:HEADER_BYTES] = header
                    self._seal.encrypt_into(header[NONCE_START:NONCE_END], chunk, header, frame[HEADER_BYTES:])
                    self._put(frame, buffer)
                return
            except OSError as error:
                self._error = error
                raise

    def sign(self, silent_s: float) -> bool:
        """A sign of life, unless other frames were sent since the last call. Never raises, never waits for the peer.

        Nothing follows a goodbye, and a peer that does not read what was sent before needs no sign on top of it. False
        if nothing can be sent any more.
        """
        with self._lock:
            due = self._sent_frames == self._signed_at
            self._signed_at = self._sent_frames
            if self._closed or self._said_goodbye or self._error is not None:
                return False
            if not due or self._backlog:
                return True
            try:
                header = self._next_header(ALIVE, min(int(silent_s * 1000), _LARGEST_AGE), 0, 0)
                self._put_small(header + self._seal.encrypt(header[NONCE_START:NONCE_END], b"", header))
            except OSError as error:
                self._error = error  # whoever sends next says what it means
            except NetworkError:
                pass  # the key's limit; the next message says so
            self._signed_at = self._sent_frames
            return True

    def _next_header(self, kind: int, step: int, length: int, total: int) -> bytes:
        # The counter moves before it is used: an interrupt in between leaves a gap, which the peer refuses, and never
        # a nonce that is used twice.
        counter = self._sent_frames
        self._sent_frames = counter + 1
        self._sealed += length + FRAME_OVERHEAD
        if kind != ALIVE:
            self.bytes_sent += length + FRAME_OVERHEAD
        if self._sealed > KEY_LIMIT:
            raise WireError(
                f"more than {KEY_LIMIT} bytes to {self._peer} in one session; split the job in two sessions"
            )
        return pack_header(kind, step, counter, length, total)

    def _put_small(self, frame: bytes) -> None:
        """A whole frame in one write, as it nearly always goes. The lock is held."""
        try:
            sent = 0 if self._backlog else self._sock.send(frame, socket.MSG_DONTWAIT)
        except BlockingIOError:
            sent = 0
        if sent < len(frame):
            self._put_off(memoryview(frame)[sent:], None)

    def _put(self, frame: memoryview, buffer: memoryview | None) -> None:
        """Into the socket at once if all fits, else the rest to the sender thread. The lock is held."""
        if not self._backlog:
            try:
                sent = self._sock.send(frame, socket.MSG_DONTWAIT)
            except BlockingIOError:
                sent = 0
            if sent == len(frame):
                if buffer is not None:
                    self._pool.give(buffer)
                return
            frame = frame[sent:]
        self._put_off(frame, buffer)

    def _put_off(self, frame: memoryview, buffer: memoryview | None) -> None:
        """To the sender thread, behind what it has. The lock is held."""
        self._backlog.append((frame, buffer))
        if self._sender is None:
            self._sender = threading.Thread(target=self._drain_backlog, name=f"send-{self._peer}", daemon=True)
            self._sender.start()
        self._changed.notify_all()

    def _drain_backlog(self) -> None:
        """The sender thread: blocking gathered writes, one system call for many frames."""
        while True:
            with self._lock:
                while not self._backlog:
                    if self._closed:
                        return
                    self._changed.wait()
                frames = [frame for frame, _ in islice(self._backlog, _IOVECS)]
            try:
                sent = self._sock.sendmsg(frames)
            except OSError as error:
                with self._lock:
                    self._error = self._error or error
                    self._backlog.clear()
                    self._changed.notify_all()
                return
            with self._lock:
                while self._backlog and sent >= len(self._backlog[0][0]):
                    frame, buffer = self._backlog.popleft()
                    sent -= len(frame)
                    if buffer is not None:
                        self._pool.give(buffer)
                if sent and self._backlog:
                    frame, buffer = self._backlog[0]
                    self._backlog[0] = (frame[sent:], buffer)
                if not self._backlog:
                    self._changed.notify_all()

    def flush(self, deadline: float) -> bool:
        """Wait until all is in the socket or ``deadline`` (``time.monotonic``) has passed; False if it has."""
        with self._lock:
            return self._changed.wait_for(
                lambda: not self._backlog or self._error is not None, max(0.0, deadline - time.monotonic())
            )

    def send_abort(self, data: bytes) -> None:
        """Send ABORT as the last frame. Never raises, and waits for no one for long."""
        if not self._lock.acquire(timeout=0.2):
            return
        try:
            if not self._closed and self._error is None:
                header = self._next_header(ABORT, 0, len(data), len(data))
                sealed = self._seal.encrypt(header[NONCE_START:NONCE_END], data, header)
                with suppress(OSError):
                    self._put_small(header + sealed)
        except NetworkError:
            pass
        finally:
            self._lock.release()

    def stop(self) -> None:
        """Refuse further messages and let the sender thread end."""
        with self._lock:
            self._closed = True
            self._changed.notify_all()

    def join(self) -> None:
        """Wait for the sender thread, once the socket is shut down."""
        sender = self._sender
        if sender is not None and sender is not threading.current_thread():
            sender.join(timeout=1.0)
