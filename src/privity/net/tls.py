"""Connects one party to its peers: dials some, accepts others, all within one deadline.

Compute parties form a full mesh in which the later one dials the earlier one; owners and receivers dial every compute
party. Each connection runs the handshake of ``net.handshake`` and then carries sealed frames (``net.sealed``).
"""

from __future__ import annotations

import queue
import socket
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from ..errors import ConfigError, HandshakeError, NetworkError, PeerLost, PeerTimeout
from .certificates import Certificate, Identity
from .channel import ABORT_S, SealedChannel
from .door import BACKLOG, CALLER_S, Caller, Door
from .handshake import (
    Agreed,
    NotAuthenticated,
    NotTls,
    TlsStream,
    WrongCertificate,
    agree,
    identify,
    knock,
    tls_context,
)
from .heart import PERIOD_S
from .key_exchange import require_ml_kem
from .outbox import BufferPool
from .sealed import SealedConnection
from .sockets import address_of, grow_buffers, keep_idle_deadline, part
from .wire import DEFAULT_IDLE_S, Hello, ProgressCallback

_HANDSHAKE_S: Final = 10.0
_RETRY_S: Final = 0.05
_CONNECT_S: Final = 2.0
REFUSAL_GRACE_S: Final = 5.0
"""Seconds an accepting party still waits for the right one after somebody showed a wrong certificate."""


@dataclass(frozen=True, slots=True)
class Peer:
    """Another party: its name, its pinned certificate, and the ``host:port`` to dial (None if it dials us)."""

    name: str
    certificate: Certificate
    endpoint: str | None = None


def parse_endpoint(endpoint: str) -> tuple[str, int]:
    """``host:port`` (or ``[v6]:port``) as a pair. Raises ConfigError."""
    host, colon, port = endpoint.rpartition(":")
    digits = port.isascii() and port.isdigit() and len(port) < 32  # Python refuses to read thousands of them
    if not colon or not host or not digits or not 0 <= int(port) <= 65535:
        raise ConfigError(f"endpoint {endpoint!r}: expected host:port with a port from 0 to 65535")
    return host.removeprefix("[").removesuffix("]"), int(port)


def listen(endpoint: str) -> socket.socket:
    """A socket that listens at ``host:port`` (port 0: any free one). Raises ConfigError if it cannot be bound."""
    host, port = parse_endpoint(endpoint)
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise ConfigError(f"cannot listen at {endpoint}: {error.strerror}; check the endpoint") from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        grow_buffers(listener)  # accepted sockets inherit them, and the window scale is fixed at accept
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise ConfigError(
            f"cannot listen at {endpoint}: {error.strerror}; stop the program that holds the port "
            "or give this party another endpoint in the consortium file"
        ) from None
    return listener


def adopt_listener(descriptor: int) -> socket.socket:
    """The listening socket that a parent process bound and handed on. Raises ConfigError if it is none."""
    try:
        listener = socket.socket(fileno=descriptor)
        listening = listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError as error:
        raise ConfigError(
            f"file descriptor {descriptor} is not a socket: {error.strerror}; let the node listen"
        ) from None
    if not listening:
        listener.detach()
        raise ConfigError(f"file descriptor {descriptor} is a socket that does not listen; bind and listen first")
    return listener


def connect(
    identity: Identity,
    dial: Sequence[Peer],
    accept: Sequence[Peer],
    listener: socket.socket | None,
    hello: Hello,
    *,
    deadline_s: float = 20.0,
    idle_s: float = DEFAULT_IDLE_S,
    watch_all: bool = False,
    on_progress: ProgressCallback | None = None,
) -> SealedChannel:
    """Connect to all of ``dial`` and be connected to by all of ``accept`` (at ``listener``) within ``deadline_s``.

    ``idle_s`` is the deadline of later receives; ``watch_all`` is for parties that do not compute (see ``Watch``). The
    listener stays open and the caller's. Raises HandshakeError, PeerTimeout naming who did not come, PeerLost or
    PeerAborted; then all connections made so far are ended with the reason.
    """
    require_ml_kem()
    identity.certificate.check_validity(identity.name)
    for peer in (*dial, *accept):
        peer.certificate.check_validity(peer.name)
    meeting = _Meeting(identity, dial, accept, listener, hello, deadline_s, idle_s, on_progress)
    connections, pair_secrets = meeting.gather()
    return SealedChannel(identity.name, connections, pair_secrets, idle_s=idle_s, watch_all=watch_all)


@dataclass(frozen=True, slots=True)
class _Joined:
    sock: socket.socket
    agreed: Agreed


class _Meeting:
    """One call of ``connect``: a thread for each dial and each accepted socket; the caller's thread collects."""

    def __init__(
        self,
        identity: Identity,
        dial: Sequence[Peer],
        accept: Sequence[Peer],
        listener: socket.socket | None,
        hello: Hello,
        deadline_s: float,
        idle_s: float,
        on_progress: ProgressCallback | None,
    ) -> None:
        self._identity = identity
        self._dial = dial
        self._accept = {peer.name: peer for peer in accept}
        self._listener = listener
        self._hello = hello
        self._deadline_s = deadline_s
        self._deadline = time.monotonic() + deadline_s
        self._idle_s = idle_s
        self._on_progress = on_progress
        self._beaten = time.monotonic()
        self._events: queue.SimpleQueue[_Joined | NetworkError] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._claimed: set[str] = set()
        self._lock = threading.Lock()
        self._last_failure: dict[str, str] = {}
        self._in_progress: set[socket.socket] = set()
        self._door: Door | None = None
        self._refused = ""
        self._stranger = ""
        trusted = [peer.certificate for peer in (*dial, *accept)]
        self._client_context = tls_context(identity, trusted, server_side=False)
        self._server_context = tls_context(identity, trusted, server_side=True)

    def gather(self) -> tuple[Mapping[str, SealedConnection], Mapping[str, bytes]]:
        """All connections and pair secrets, in the order of ``dial`` and then ``accept``."""
        connections: dict[str, SealedConnection] = {}
        pair_secrets: dict[str, bytes] = {}
        order = [peer.name for peer in self._dial] + list(self._accept)
        threads = [threading.Thread(target=self._dial_one, args=(peer,), daemon=True) for peer in self._dial]
        if self._accept and self._listener is not None:
            me = self._identity.certificate
            knocks = [knock(peer.certificate, me, self._hello).encode() for peer in self._accept.values()]
            self._door = Door(self._listener, self._accept_one, self._stop, knocks)
            threads.append(threading.Thread(target=self._door.run, daemon=True))
        pool = BufferPool()
        try:
            for thread in threads:
                thread.start()
            while len(connections) < len(order):
                joined = self._next_event(connections, order)
                if joined is not None:
                    peer = joined.agreed.peer
                    keep_idle_deadline(joined.sock, self._idle_s)
                    connections[peer] = SealedConnection(
                        joined.sock,
                        self._identity.name,
                        peer,
                        joined.agreed.send_key,
                        joined.agreed.receive_key,
                        idle_s=self._idle_s,
                        pool=pool,
                        on_progress=self._on_progress,
                    )
                    pair_secrets[peer] = joined.agreed.pair_secret
        except BaseException as error:
            self._stop.set()
            reason = error.public_reason if isinstance(error, NetworkError) else type(error).__name__
            deadline = time.monotonic() + ABORT_S
            for connection in connections.values():
                connection.start_abort(reason)
            for connection in connections.values():
                connection.end_abort(deadline)
            raise
        finally:
            self._stop.set()
            self._interrupt()
            for thread in threads:
                with suppress(RuntimeError):  # an interrupt may come before all of them were started
                    thread.join(timeout=1.0)
            self._drop_latecomers()
        return {name: connections[name] for name in order}, {name: pair_secrets[name] for name in order}

    def _next_event(self, connections: Mapping[str, SealedConnection], order: Sequence[str]) -> _Joined | None:
        """The next connection, or None after a short while in which those already made are looked after."""
        if time.monotonic() >= self._deadline:
            raise self._nobody_came([name for name in order if name not in connections])
        try:
            event = self._events.get(timeout=max(0.001, min(0.1, self._deadline - time.monotonic())))
        except queue.Empty:
            beat = time.monotonic() - self._beaten >= min(PERIOD_S, self._idle_s / 4)
            for connection in connections.values():
                connection.pump()  # raises if a peer has aborted or gone meanwhile
                if beat:  # it may already wait for our first word, and we for somebody else
                    connection.sign(0.0)
            self._beaten = time.monotonic() if beat else self._beaten
            return None
        if isinstance(event, NotAuthenticated):
            # A stranger must not end our session, but the party we wait for may just hold a wrong certificate.
            if not isinstance(event, WrongCertificate):
                self._stranger = str(event)
            elif any(name not in connections for name in self._accept):
                self._deadline = self._within(REFUSAL_GRACE_S)
                self._refused = str(event)
            return None
        if isinstance(event, NetworkError):
            raise event
        return event

    def _nobody_came(self, missing: Sequence[str]) -> NetworkError:
        if self._refused:
            return HandshakeError(f"{', '.join(missing)} did not connect; meanwhile {self._refused}")
        parts = []
        endpoints = {peer.name: peer.endpoint for peer in self._dial}
        for name in missing:
            if name in endpoints:
                why = self._last_failure.get(name, "no answer")
                parts.append(f"{name} could not be reached at {endpoints[name]} within {self._deadline_s:g} s ({why})")
            else:
                where = address_of(self._listener) if self._listener is not None else "no listening socket"
                parts.append(f"{name} did not connect to {where} within {self._deadline_s:g} s")
        stranger = f"; meanwhile {self._stranger}" if self._stranger else ""
        return PeerTimeout(f"{'; '.join(parts)}; is its node running?{stranger}")

    # --------------------------------------------------------------- dialling

    def _dial_one(self, peer: Peer) -> None:
        try:
            endpoint = peer.endpoint
            if endpoint is None:
                raise _Final(f"{peer.name} has no endpoint to dial; add it to the consortium file")
            host, port = parse_endpoint(endpoint)
            where = f"{peer.name} at {endpoint}"
            while not self._stop.is_set() and time.monotonic() < self._deadline:
                try:
                    sock = self._open(host, port)
                except OSError as error:
                    self._last_failure[peer.name] = error.strerror or "no answer"
                    self._stop.wait(_RETRY_S)
                    continue
                try:
                    self._events.put(self._shake(sock, [peer], where))
                    return
                except PeerLost as error:
                    # its node may just be restarting, or still be busy with an earlier session
                    self._last_failure[peer.name] = str(error)
                    self._stop.wait(_RETRY_S)
        except NotAuthenticated as error:
            self._events.put(_Final(str(error)))
        except NetworkError as error:
            self._events.put(error)
        except ConfigError as error:
            self._events.put(_Final(str(error)))

    def _open(self, host: str, port: int) -> socket.socket:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        sock = socket.socket(family, kind, protocol)
        try:
            grow_buffers(sock)
            sock.settimeout(max(0.001, min(_CONNECT_S, self._deadline - time.monotonic())))
            sock.connect(address)
            if sock.getsockname() == sock.getpeername():
                # On loopback a dial to a free ephemeral port can meet itself.
                raise ConnectionRefusedError(0, "nobody listens there")
        except BaseException:
            sock.close()
            raise
        return sock

    # -------------------------------------------------------------- accepting

    def _accept_one(self, caller: Caller) -> None:
        where = f"the caller from {address_of(caller.sock, remote=True)}"
        try:
            with self._lock:
                expected = [peer for name, peer in self._accept.items() if name not in self._claimed]
            joined = self._shake(caller.sock, expected, where, caller)
            with self._lock:
                twice = joined.agreed.peer in self._claimed
                self._claimed.add(joined.agreed.peer)
            if twice or self._stop.is_set():  # nobody would take it any more
                joined.sock.close()
            else:
                self._events.put(joined)
        except (NotTls, PeerLost, ConfigError):
            return  # a port scanner, or a dialler that will come again
        except NetworkError as error:
            self._events.put(error)

    def _shake(
        self, sock: socket.socket, expected: Sequence[Peer], where: str, caller: Caller | None = None
    ) -> _Joined:
        """The handshake with one of ``expected``: with ``caller``, or with the party that was dialled."""
        with self._lock:
            self._in_progress.add(sock)
        try:
            with suppress(OSError):  # a connection that is already reset; the handshake will say so
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            candidates = [(peer.name, peer.certificate) for peer in expected]
            if caller is None:
                deadline = self._within(_HANDSHAKE_S)
                named = knock(self._identity.certificate, expected[0].certificate, self._hello)
                stream = TlsStream(
                    sock, self._client_context, server_side=False, where=where, deadline=deadline, knock=named
                )
            else:
                deadline = self._within(_HANDSHAKE_S if caller.knocked else CALLER_S)
                received = bytes(caller.received)
                stream = TlsStream(
                    sock, self._server_context, server_side=True, where=where, deadline=deadline, received=received
                )
            peer, certificate = identify(stream, candidates, where)
            if caller is not None and self._door is not None:
                self._door.known(caller)
            stream.deadline = self._deadline  # who gave up later might be counted as present by the other end
            agreed = agree(stream, self._identity, peer, certificate, self._hello)
        except BaseException as error:
            self._let_go(sock, caller)
            part(sock, spoken=not isinstance(error, NotTls | PeerLost))
            raise
        self._let_go(sock, caller)
        return _Joined(sock, agreed)

    def _within(self, seconds: float) -> float:
        return min(self._deadline, time.monotonic() + seconds)

    def _let_go(self, sock: socket.socket, caller: Caller | None) -> None:
        """From here on nobody else shuts the socket down, since its descriptor may soon be another's."""
        with self._lock:
            self._in_progress.discard(sock)
        if caller is not None and self._door is not None:
            self._door.leave(caller)

    def _interrupt(self) -> None:
        """End the handshakes that nobody waits for any more."""
        with self._lock:
            for sock in self._in_progress:
                with suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)

    def _drop_latecomers(self) -> None:
        with suppress(queue.Empty):
            while True:
                event = self._events.get_nowait()
                if isinstance(event, _Joined):
                    event.sock.close()


class _Final(HandshakeError):
    """A failure that no retry and no other caller can heal."""
