"""The handshake on one connection: mutual TLS 1.3, pinned identities, one session, fresh keys.

Inside TLS both ends send a ``Greeting`` (who they are, what they are about to run, fresh keys of X25519 and ML-KEM-768,
a nonce), answer the other's with an ``Encapsulation`` or a ``Refusal``, and show by a ``Confirmation`` that they have
come to the same keys (``net.key_exchange``). Then TLS is closed in the orderly way (both send close_notify) and the
same socket carries sealed frames.

TLS is driven through memory BIOs, and the socket is read exactly one TLS record at a time, by the record's own length
field. So the TLS library cannot swallow bytes of the sealed frames that follow, and the wire carries standard TLS.
"""

from __future__ import annotations

import hashlib
import secrets
import socket
import ssl
import struct
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeVar

from cryptography.hazmat.primitives.constant_time import bytes_eq

from ..errors import HandshakeError, PeerLost, WireError
from .certificates import Certificate, Identity
from .key_exchange import End, KeyShare, Secrets, derive, encapsulate
from .wire import Confirmation, Encapsulation, Greeting, Hello, Message, Refusal, decode, encode, printable

RECORD: Final = struct.Struct("!BBBH")
"""Header of a TLS record: kind, version (two bytes), length."""
MAX_RECORD: Final = 16384 + 256
_MAX_MESSAGE: Final = 256 * 1024
_LENGTH: Final = struct.Struct("!I")
_M = TypeVar("_M", bound=Message)

_REFUSALS: Final = {
    "CERTIFICATE_EXPIRED": "it has expired there",
    "UNKNOWN_CA": "it is not in the consortium file there",
    "CERTIFICATE_UNKNOWN": "it is not in the consortium file there",
    "BAD_CERTIFICATE": "it is not in the consortium file there",
    "CERTIFICATE_REQUIRED": "none was shown",
}
_NO_CERTIFICATE: Final = "showed no certificate; every party needs one"
_EXPIRED: Final = 10  # X509_V_ERR_CERT_HAS_EXPIRED
_NOT_YET_VALID: Final = 9  # X509_V_ERR_CERT_NOT_YET_VALID


class NotTls(WireError):
    """What came on a new connection is not TLS: a stranger, or bytes changed on the way."""


class NotAuthenticated(HandshakeError):
    """TLS failed: nobody we know is at the other end, and it may be anybody."""


class WrongCertificate(NotAuthenticated):
    """A certificate was shown, and it is unknown, expired or another party's."""


@dataclass(frozen=True, slots=True)
class Agreed:
    """Outcome of a handshake: who is there, what it said, and the session's keys with it."""

    peer: str
    hello: Hello
    send_key: bytes
    receive_key: bytes
    pair_secret: bytes


class TlsStream:
    """TLS 1.3 over a connected socket until ``deadline`` (``time.monotonic``). ``where`` names the peer in errors."""

    def __init__(
        self,
        sock: socket.socket,
        context: ssl.SSLContext,
        *,
        server_side: bool,
        where: str,
        deadline: float,
        received: bytes = b"",
        knock: str | None = None,
    ) -> None:
        """``received``: whole TLS records that were already read from ``sock``. ``knock``: what a dialler names."""
        self._sock = sock
        self._where = where
        self.deadline = deadline
        self._incoming = ssl.MemoryBIO()
        self._incoming.write(received)
        self._outgoing = ssl.MemoryBIO()
        self._tls = context.wrap_bio(
            self._incoming, self._outgoing, server_side=server_side, server_hostname=knock
        )

    def handshake(self) -> bytes:
        """Run the TLS handshake; the peer's certificate as DER bytes."""
        self._run(self._tls.do_handshake)
        der = self._tls.getpeercert(binary_form=True)
        if der is None:
            raise NotAuthenticated(f"{self._where} {_NO_CERTIFICATE}")
        return der

    def write(self, message: bytes) -> None:
        """Send one length-prefixed message."""
        self._run(partial(self._tls.write, _LENGTH.pack(len(message)) + message))

    def read(self) -> bytes:
        """Receive one length-prefixed message of at most 256 KiB."""
        (length,) = _LENGTH.unpack(self._read_exactly(_LENGTH.size))
        if length > _MAX_MESSAGE:
            raise WireError(
                f"{self._where} sent a handshake message of {length} bytes, at most {_MAX_MESSAGE} are accepted"
            )
        return self._read_exactly(length)

    def finish(self) -> None:
        """Exchange close_notify; afterwards the socket is free for other bytes."""
        self._run(self._tls.unwrap)
        if self._incoming.pending:
            raise WireError(f"{self._where} sent TLS data after its end of TLS; start a new session")

    def _read_exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            piece: bytes = self._run(partial(self._tls.read, count - len(data)))
            if not piece:
                raise PeerLost(f"{self._where} ended TLS during the handshake; see its log")
            data += piece
        return data

    def _run(self, operation: Callable[[], Any]) -> Any:
        """Repeat ``operation`` until it needs no more input; what TLS wants to say goes out in any case."""
        while True:
            try:
                result = operation()
            except ssl.SSLWantReadError:
                self._flush()
                self._incoming.write(self._read_record())
            except ssl.SSLCertVerificationError as error:
                self._flush(best_effort=True)
                raise WrongCertificate(self._why_refused(error)) from None
            except ssl.SSLError as error:
                self._flush(best_effort=True)
                raise self._translated(error) from None
            else:
                self._flush()
                return result

    def _flush(self, best_effort: bool = False) -> None:
        data = self._outgoing.read()
        if not data:
            return
        try:
            self._sock.settimeout(self._left())
            self._sock.sendall(data)
        except OSError as error:
            if not best_effort:
                raise PeerLost(f"{self._where} dropped the connection during the handshake ({error})") from None

    def _read_record(self) -> bytes:
        header = self._receive(RECORD.size)
        kind, major, _, length = RECORD.unpack(header)
        if not 20 <= kind <= 23 or major != 3 or length > MAX_RECORD:
            raise NotTls(f"{self._where} does not speak TLS; another program on this port, or a stranger?")
        return header + self._receive(length)

    def _receive(self, count: int) -> bytes:
        data = bytearray()
        while len(data) < count:
            try:
                self._sock.settimeout(self._left())
                piece = self._sock.recv(count - len(data))
            except TimeoutError:
                raise PeerLost(f"{self._where} went silent during the handshake") from None
            except OSError as error:
                raise PeerLost(f"{self._where} dropped the connection during the handshake ({error})") from None
            if not piece:
                raise PeerLost(f"{self._where} closed the connection during the handshake; see its log")
            data += piece
        return bytes(data)

    def _left(self) -> float:
        return max(0.001, self.deadline - time.monotonic())

    def _why_refused(self, error: ssl.SSLCertVerificationError) -> str:
        if error.verify_code == _EXPIRED:
            return f"{self._where} showed a certificate that has expired; that party needs a new one"
        if error.verify_code == _NOT_YET_VALID:
            return f"{self._where} showed a certificate that is not valid yet; compare the clocks of both hosts"
        return f"{self._where} showed a certificate that is not in the consortium file; compare the fingerprints"

    def _translated(self, error: ssl.SSLError) -> NotAuthenticated:
        reason = error.reason or str(error)
        if "PEER_DID_NOT_RETURN_A_CERTIFICATE" in reason:
            return NotAuthenticated(f"{self._where} {_NO_CERTIFICATE}")
        for alert, meaning in _REFUSALS.items():
            if alert in reason:
                return NotAuthenticated(
                    f"{self._where} refused this party's certificate: {meaning}; compare fingerprint and validity"
                )
        return NotAuthenticated(f"TLS with {self._where} failed: {printable(reason)}; expected mutual TLS 1.3")


def tls_context(identity: Identity, trusted: Iterable[Certificate], *, server_side: bool) -> ssl.SSLContext:
    """TLS 1.3 only, certificates on both sides, and no trust but in the certificates of ``trusted``.

    The pin itself is checked after the handshake, on the certificate's fingerprint.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server_side else ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False  # a party is known by its fingerprint, not by a host name
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(identity.certificate_path, identity.key_path)
    for certificate in trusted:
        context.load_verify_locations(cadata=certificate.der)
    if server_side:
        context.num_tickets = 0  # no resumption: every session authenticates anew
    return context


def knock(dialler: Certificate, accepting: Certificate, hello: Hello) -> str:
    """What a dialler puts into its ClientHello in place of a host name, in the clear: 32 digits that name the meeting.

    Whoever knows the consortium and the job can compute it, so it proves nothing. ``net.door`` says what it is for.
    """
    named = hashlib.sha256(b"privity knock 2")
    for part in (dialler.fingerprint.encode(), accepting.fingerprint.encode(), hello.consortium_hash, hello.job_hash):
        named.update(_LENGTH.pack(len(part)) + part)
    return named.hexdigest()[:32]


def identify(
    stream: TlsStream, candidates: Sequence[tuple[str, Certificate]], where: str
) -> tuple[str, Certificate]:
    """Run TLS and say who of ``candidates`` (names with their pinned certificates) is at the other end.

    ``where`` is the peer's address for errors. Raises WrongCertificate if it shows another certificate than theirs,
    NotAuthenticated if TLS fails before that, HandshakeError if the pinned certificate is out of date.
    """
    der = stream.handshake()
    digest = "sha256:" + hashlib.sha256(der).hexdigest()
    found = [(name, certificate) for name, certificate in candidates if certificate.fingerprint == digest]
    if not found:
        shown = Certificate.from_der(der).name
        expected = " or ".join(name for name, _ in candidates)
        refusal = f"the certificate of {printable(shown)!r} was shown where {expected or 'nobody'} was expected"
        _decline(stream, refusal)
        raise WrongCertificate(f"{where}: {refusal}; check endpoints and fingerprints in the consortium file")
    peer, certificate = found[0]
    try:
        certificate.check_validity(peer)
    except HandshakeError as error:
        _decline(stream, str(error))
        raise
    return peer, certificate


def agree(stream: TlsStream, identity: Identity, peer: str, certificate: Certificate, hello: Hello) -> Agreed:
    """Compare sessions with ``peer``, which ``identify`` has found, agree on keys, and end TLS.

    Raises HandshakeError naming what differs if it runs another session, and for keys that are none.
    """
    share = KeyShare()
    mine = Greeting(hello=hello, x25519=share.x25519, ml_kem=share.ml_kem, nonce=secrets.token_bytes(32))
    stream.write(encode(mine))
    theirs = _hear(stream, peer, Greeting)
    differs = differences(hello, theirs.hello, peer)
    if differs:
        _decline(stream, differs)
        raise HandshakeError(f"{peer} does not run the same session as {identity.name}: {differs}")
    try:
        chosen, ciphertext = encapsulate(theirs.ml_kem, peer)
        exchanged = share.exchange(theirs.x25519, peer)
    except HandshakeError as error:
        _decline(stream, str(error))
        raise
    stream.write(encode(Encapsulation(ciphertext=ciphertext)))
    answer = _hear(stream, peer, Encapsulation)
    keys = derive(
        Secrets(exchanged, chosen, share.decapsulate(answer.ciphertext, peer)),
        End(identity.name, identity.certificate.fingerprint, mine, ciphertext),
        End(peer, certificate.fingerprint, theirs, answer.ciphertext),
    )
    stream.write(encode(Confirmation(value=keys.confirmation)))
    if not bytes_eq(_hear(stream, peer, Confirmation).value, keys.expected_confirmation):
        raise HandshakeError(
            f"{peer} and {identity.name} did not come to the same keys: a key or ciphertext was changed on the way, "
            "or a program is faulty; start a new session, with the same version everywhere"
        )
    stream.finish()
    return Agreed(peer, theirs.hello, keys.send_key, keys.receive_key, keys.pair_secret)


def _hear(stream: TlsStream, peer: str, kind: type[_M]) -> _M:
    """The next message of ``peer``. Raises HandshakeError for a refusal and for anything but a ``kind``."""
    data = stream.read()
    try:
        message = decode(data, peer)
    except WireError as error:
        _decline(stream, "what it sent is no handshake message of this version of Privity; install the same")
        raise HandshakeError(
            f"{peer} sent no {kind.__name__} of this version of Privity ({error}); install the same version everywhere"
        ) from None
    if isinstance(message, Refusal):
        raise HandshakeError(f"{peer} refused the session: {printable(message.why)}")
    if not isinstance(message, kind):
        _decline(stream, f"expected {kind.__name__}, came {type(message).__name__}")
        came = type(message).__name__
        raise HandshakeError(f"{peer} sent a {came} instead of its {kind.__name__}; run the same version")
    return message


def differences(mine: Hello, theirs: Hello, peer: str) -> str:
    """What keeps two parties from sharing a session, in words; empty if nothing does. Names no secrets."""
    found: list[str] = []
    if theirs.party != peer:
        found.append(f"it calls itself {printable(theirs.party)!r} but holds the certificate of {peer!r}")
    if mine.version != theirs.version:
        found.append(f"Privity version {mine.version} here and {printable(theirs.version)} there; install the same")
    for field, what, remedy in (
        ("program_hash", "program", "start the same program file everywhere"),
        ("job_hash", "job", "use the same job file and openings list everywhere"),
        ("consortium_hash", "consortium file", "use the same consortium file everywhere"),
    ):
        here, there = getattr(mine, field), getattr(theirs, field)
        if here != there:
            found.append(f"the {what} differs (hash {here.hex()[:12]} here, {there.hex()[:12]} there); {remedy}")
    for name in sorted(mine.parameters.keys() | theirs.parameters.keys()):
        a, b = mine.parameters.get(name, "unset"), theirs.parameters.get(name, "unset")
        if a != b:
            found.append(f"parameter {printable(name)} is {printable(a)} here and {printable(b)} there; set the same")
    return "; ".join(found)[:4000]


def _decline(stream: TlsStream, refusal: str) -> None:
    """Tell a peer that is refused after TLS why, if it still listens."""
    with suppress(PeerLost, HandshakeError):
        stream.write(encode(Refusal(why=refusal)))
