"""The sealed record layer: AES-128-GCM frames over one connected TCP socket.

Each connection has one key per direction; a frame's nonce is its counter, and the receiver takes only the next one, so
nothing can be dropped, repeated or reordered unnoticed. The header is associated data. Nothing is used
before its tag verifies. The last frame is an authenticated BYE: an end of stream without it is a lost peer.

This is the receiving half; ``net.outbox`` seals and sends.
"""

from __future__ import annotations

import socket
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Final, NoReturn

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ..errors import NetworkError, PeerAborted, PeerLost, PeerTimeout, WireError
from .outbox import BufferPool, Outbox
from .wire import (
    ABORT,
    ALIVE,
    BYE,
    CHUNK,
    CONTROL,
    DATA,
    FRAME_OVERHEAD,
    HEADER_BYTES,
    KIND_NAMES,
    NONCE_END,
    NONCE_START,
    PROGRESS,
    Abort,
    Header,
    ProgressCallback,
    ProgressNote,
    decode,
    encode,
    pack_header,
    printable,
    read_header,
)

READ_AHEAD: Final = 256 * 1024
"""One read takes up to this many bytes, so that a round of small frames costs one system call."""
RECEIVE_BUFFER: Final = READ_AHEAD + CHUNK + FRAME_OVERHEAD
INBOX_LIMIT: Final = 64 << 20
"""Opened but unclaimed bytes of one peer after which nothing more is read ahead from it."""


class SealedConnection:
    """One peer. Frames may be sent from any thread; only one thread receives."""

    def __init__(
        self,
        sock: socket.socket,
        me: str,
        peer: str,
        send_key: bytes,
        receive_key: bytes,
        *,
        idle_s: float,
        pool: BufferPool,
        on_progress: ProgressCallback | None = None,
    ) -> None:
        """``sock`` is blocking and has SO_RCVTIMEO set to ``idle_s`` seconds; the keys are 16 bytes each."""
        self.peer = peer
        self.departed = False
        self.inbox_bytes = 0
        self.wait: Callable[[SealedConnection], None] | None = None
        """Called before every read that may block; set by parties that watch all peers while they wait for one."""
        self._silent_since: float | None = None  # while this party waits for the peer: from when on that counts
        self._sock = sock
        self._me = me
        self._idle_s = idle_s
        self._on_progress = on_progress
        self._outbox = Outbox(sock, me, peer, send_key, pool)
        self._open = AESGCM(receive_key)
        # unread bytes are _view[_head:_tail]
        self._view = memoryview(bytearray(RECEIVE_BUFFER))
        self._head = 0
        self._tail = 0
        self._received_frames = 0
        self._inbox: deque[tuple[Header, bytes]] = deque()
        self._awaiting: str | int = "a message"  # or the number of a step

    def fileno(self) -> int:
        """The socket's file descriptor, for polling."""
        return self._sock.fileno()

    # ---------------------------------------------------------------- sending

    @property
    def bytes_sent(self) -> int:
        """Bytes sealed for this peer so far, headers and tags included."""
        return self._outbox.bytes_sent

    def send(self, kind: int, step: int, data: memoryview | bytes) -> None:
        """Seal and send one message; ``data`` may be reused on return. Raises PeerLost, PeerAborted or UsageError."""
        try:
            self._outbox.send(kind, step, data)
        except OSError as error:
            self._explain(error)

    def sign(self, silent_s: float) -> bool:
        """Send a sign of life if one is due (``Outbox.sign``); False once the connection is closed."""
        return self._outbox.sign(silent_s)

    @property
    def silent_s(self) -> float:
        """Seconds without a sign of life in which this party has waited for the peer; 0 if it does not wait for it.

        While a frame is half there, the rest of it is on its way, however slow the way is.
        """
        since = self._silent_since
        return 0.0 if since is None or self._tail > self._head else max(0.0, time.monotonic() - since)

    def flush(self, deadline: float) -> bool:
        """Wait until all is in the socket or ``deadline`` (``time.monotonic``) has passed; False if it has."""
        return self._outbox.flush(deadline)

    def _explain(self, error: OSError) -> NoReturn:
        """A write failed. If the peer told why before it went, that is the better message."""
        try:
            self.pump()
        except PeerAborted:
            raise
        except NetworkError:
            pass
        raise self._lost(error) from None

    # -------------------------------------------------------------- receiving

    def receive(self, step: int, target: memoryview) -> None:
        """Fill ``target`` with the next DATA message; on any error it is overwritten with zeros."""
        self._awaiting = step
        total = len(target)
        offset = 0
        try:
            if total <= CHUNK and not self._inbox and not self.departed:
                if self._tail - self._head < HEADER_BYTES:
                    self._fill(HEADER_BYTES)
                expected = pack_header(DATA, step, self._received_frames, total, total)
                # The whole message in one frame, as expected: nothing to take apart.
                if self._view[self._head : self._head + HEADER_BYTES] == expected:
                    self._decrypt(total, target, expected)
                    return
            while True:
                header, payload = self._next(DATA)
                length = header.length
                if header.step != step or header.total != total:
                    raise WireError(
                        f"from {self.peer}: expected step {step} with {total} bytes, came step {header.step} with "
                        f"{header.total}; the programs have fallen out of step"
                    )
                if length > total - offset or (length == 0 and total):
                    raise WireError(
                        f"from {self.peer} at step {step}: a chunk of {length} bytes at {offset} of {total}"
                    )
                self._take(header, payload, target[offset : offset + length])
                offset += length
                if offset == total:
                    return
        except BaseException:
            # decryption writes before it verifies: leave nothing behind that was not authenticated
            target[:] = bytes(total)
            raise

    def hear(self, what: str) -> bytes:
        """The next CONTROL message, still encoded; ``what`` names it in errors."""
        self._awaiting = what
        parts = bytearray()
        while True:
            header, payload = self._next(CONTROL)
            if header.length > header.total - len(parts) or (header.length == 0 and header.total):
                raise WireError(f"control message from {self.peer}: its chunks do not add up to {header.total} bytes")
            chunk = bytearray(header.length)
            self._take(header, payload, memoryview(chunk))
            parts += chunk
            if len(parts) == header.total:
                return bytes(parts)

    def await_goodbye(self) -> None:
        """Read and drop everything until the peer's BYE, so that closing does not reset the connection."""
        self._awaiting = "its goodbye"
        while not self.departed:
            header, payload = self._next(BYE)
            self._take(header, payload, memoryview(bytearray(header.length)))
            self.departed = self.departed or header.kind == BYE

    def pump(self) -> bool:
        """Read what has arrived without waiting, and open it into the inbox.

        Returns False if there is no use in polling this peer further for now (it said goodbye, or its inbox is full).
        Raises PeerAborted, PeerLost or WireError.
        """
        while True:
            while self._tail - self._head >= HEADER_BYTES:
                header = self._header()
                if self._tail - self._head < header.length + FRAME_OVERHEAD:
                    break
                if header.kind in (DATA, CONTROL):
                    chunk = bytearray(header.length)
                    self._take(header, None, memoryview(chunk))
                    self._inbox.append((header, bytes(chunk)))
                    self.inbox_bytes += header.length
                else:
                    self._notice(header, None)
            if self.departed or self.inbox_bytes > INBOX_LIMIT:
                return False
            self._make_room(CHUNK + FRAME_OVERHEAD)
            try:
                count = self._sock.recv_into(self._view[self._tail :], 0, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return True
            except OSError as error:
                raise self._lost(error) from None
            if count == 0:
                raise self._lost(None)
            self._tail += count

    def _next(self, kind: int) -> tuple[Header, bytes | None]:
        """Header of the next ``kind`` frame and, if it was read ahead, its payload. Notices what comes before it."""
        while True:
            if self._inbox:
                header, payload = self._inbox.popleft()
                self.inbox_bytes -= header.length
                if header.kind == kind or kind == BYE:
                    return header, payload
                raise self._unexpected(header)
            if self.departed:
                raise WireError(f"{self.peer} has ended its session, {self._what()} cannot come; same program there?")
            self._fill(HEADER_BYTES)
            header = self._header()
            if header.kind == kind or (kind == BYE and header.kind in (DATA, CONTROL)):
                return header, None
            if header.kind in (DATA, CONTROL):
                raise self._unexpected(header)
            self._notice(header, kind)

    def _notice(self, header: Header, awaited: int | None) -> None:
        """Act on an ABORT, BYE, PROGRESS or ALIVE frame at the head of the buffer."""
        if header.length != header.total:
            raise WireError(
                f"{KIND_NAMES[header.kind]} frame from {self.peer} is cut into chunks; such frames never are"
            )
        content = bytearray(header.length)
        since = self._silent_since
        self._take(header, None, memoryview(content))
        if header.kind == ALIVE:
            if since is not None:
                self._still_waiting(max(since, time.monotonic() - header.step / 1000))
            return
        if header.kind == BYE:
            self.departed = True
            if awaited is not None:
                raise WireError(
                    f"{self.peer} ended its session while {self._what()} was expected; do both run the same program?"
                )
            return
        message = decode(content, self.peer)
        if header.kind == ABORT and isinstance(message, Abort):
            raise PeerAborted(f"{self.peer} stopped the session: {printable(message.reason)}")
        if header.kind == PROGRESS and isinstance(message, ProgressNote):
            if self._on_progress is not None:
                self._on_progress(self.peer, message)
            return
        raise WireError(f"{KIND_NAMES[header.kind]} frame from {self.peer} holds a {type(message).__name__}")

    def _header(self) -> Header:
        return read_header(self._view, self._head, self.peer, self._received_frames)

    def _take(self, header: Header, payload: bytes | None, target: memoryview) -> None:
        """Put one chunk into ``target``: from the inbox, or read to its end and decrypted."""
        if payload is not None:
            target[:] = payload
            return
        self._decrypt(header.length, target)

    def _decrypt(self, length: int, target: memoryview, header: bytes | None = None) -> None:
        """The frame at the head of the buffer, read to its end, into ``target`` of ``length`` bytes.

        ``header``: a copy of its header, if the caller has one.
        """
        size = length + FRAME_OVERHEAD
        if self._tail - self._head < size:
            self._fill(size)
        head = self._head
        if header is None:
            header = bytes(self._view[head : head + HEADER_BYTES])
        sealed = self._view[head + HEADER_BYTES : head + size]
        try:
            self._open.decrypt_into(header[NONCE_START:NONCE_END], sealed, header, target)
        except InvalidTag:
            raise WireError(
                f"frame {self._received_frames} from {self.peer} is not authentic: its bytes were changed on the way; "
                "look at the network between the two and start a new session"
            ) from None
        self._head = head + size
        self._received_frames += 1
        self._silent_since = None

    def _still_waiting(self, since: float) -> None:
        """After a sign of life of the peer: PeerTimeout if whom it waits for has been silent too long."""
        self._silent_since = since
        if self.silent_s >= self._idle_s:
            raise self.timeout()

    def _make_room(self, need: int) -> None:
        have = self._tail - self._head
        if have == 0:
            self._head = self._tail = 0
        elif self._head + need > RECEIVE_BUFFER:
            self._view[:have] = bytes(self._view[self._head : self._tail])
            self._head, self._tail = 0, have

    def _fill(self, need: int) -> None:
        """Block until ``need`` unread bytes are in the buffer."""
        if self._tail - self._head >= need:
            return
        if self._silent_since is None:
            self._silent_since = time.monotonic()
        if self._tail == self._head:
            self._head = self._tail = 0
        else:
            self._make_room(need)
        # A bulk frame is read exactly to its end, so that the next one starts at the head of the buffer (hot in the
        # cache, nothing to move); a small one with whatever has arrived behind it.
        bulk = need > READ_AHEAD
        end = self._head + need if bulk else max(self._head + need, min(self._tail + READ_AHEAD, RECEIVE_BUFFER))
        flags = socket.MSG_WAITALL if bulk else 0
        while self._tail - self._head < need:
            if self.wait is not None:
                self.wait(self)
            try:
                count = self._sock.recv_into(self._view[self._tail : end], 0, flags)
            except BlockingIOError:
                raise self.timeout() from None
            except OSError as error:
                raise self._lost(error) from None
            if count == 0:
                raise self._lost(None)
            self._tail += count

    # ------------------------------------------------------------------ ending

    def start_abort(self, reason: str) -> None:
        """Send ABORT as the last frame, without waiting. Never raises."""
        self._outbox.send_abort(encode(Abort(reason=printable(reason))))

    def end_abort(self, deadline: float) -> None:
        """Let the ABORT reach the peer: flush, half-close, drop what comes until its end of stream. Never raises."""
        try:
            self.flush(deadline)
            self._sock.shutdown(socket.SHUT_WR)
            scratch = bytearray(READ_AHEAD)
            while (left := deadline - time.monotonic()) > 0:
                self._sock.settimeout(left)
                if self._sock.recv_into(scratch) == 0:
                    break
        except OSError:
            pass
        self.close()

    def close(self) -> None:
        """Drop the socket and end the sender thread. Says nothing to the peer; idempotent."""
        self._outbox.stop()
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)  # wakes a thread that is blocked in a read or write
        self._outbox.join()
        self._sock.close()

    # ------------------------------------------------------------------ errors

    def timeout(self) -> PeerTimeout:
        """The error for a peer that gave no sign of life."""
        return PeerTimeout(
            f"{self._me} waited {self._idle_s:g} s for {self._what()} from {self.peer} without a sign of life of it or "
            "of whom it waits for; is its program still running, or does each wait for the other? (`privity run "
            "--timeout` states the time)"
        )

    def _what(self) -> str:
        """What is waited for."""
        return f"step {self._awaiting}" if isinstance(self._awaiting, int) else self._awaiting

    def _lost(self, error: OSError | None) -> PeerLost:
        how = "ended without a goodbye" if error is None else f"broke ({error.strerror or type(error).__name__})"
        cut = ", in the middle of a frame" if self._tail > self._head else ""
        return PeerLost(
            f"{self._me} lost {self.peer} while waiting for {self._what()}: the connection {how}{cut}; "
            f"see the log of {self.peer}, its process has probably died"
        )

    def _unexpected(self, header: Header) -> WireError:
        return WireError(
            f"from {self.peer}: expected {self._what()}, came a {KIND_NAMES[header.kind]} frame of step "
            f"{header.step}; the programs have fallen out of step"
        )
