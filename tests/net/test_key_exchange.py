"""Keys from X25519 and ML-KEM-768 together: neither alone opens anything, and nothing said can be changed."""

from __future__ import annotations

import dataclasses
import socket
import ssl
import threading
import time
from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest
from cryptography.exceptions import UnsupportedAlgorithm

from privity.errors import ConfigError, HandshakeError, WireError
from privity.net import key_exchange
from privity.net.certificates import Identity
from privity.net.handshake import NotAuthenticated, TlsStream, agree, identify, tls_context
from privity.net.key_exchange import End, Keys, KeyShare, Secrets, derive, encapsulate, require_ml_kem
from privity.net.outbox import BufferPool, Outbox
from privity.net.sealed import SealedConnection
from privity.net.tls import connect
from privity.net.wire import DATA, Confirmation, Encapsulation, Greeting, Hello, decode, encode

SHARES = (KeyShare(), KeyShare())


def hello(party: str) -> Hello:
    return Hello(
        party=party, version="1", program_hash=b"p", job_hash=b"j", consortium_hash=b"c", parameters={"bits": "20"}
    )


def end(name: str, share: KeyShare) -> End:
    greeting = Greeting(hello=hello(name), x25519=share.x25519, ml_kem=share.ml_kem, nonce=name[-1].encode() * 32)
    return End(name, f"sha256:{name}", greeting, bytes([len(name)]) * 1088)


FIRST, SECOND = end("bank_a", SHARES[0]), end("compute_0", SHARES[1])
SECRETS = Secrets(b"x" * 32, b"a" * 32, b"b" * 32)


def values(keys: Keys) -> set[bytes]:
    return {getattr(keys, field.name) for field in dataclasses.fields(keys)}


def test_both_ends_come_to_the_same_keys_whoever_is_first() -> None:
    here = derive(SECRETS, FIRST, SECOND)
    there = derive(Secrets(SECRETS.x25519, SECRETS.chosen_by_peer, SECRETS.chosen_by_me), SECOND, FIRST)
    assert (here.send_key, here.receive_key) == (there.receive_key, there.send_key)
    assert here.pair_secret == there.pair_secret
    assert (here.confirmation, here.expected_confirmation) == (there.expected_confirmation, there.confirmation)
    assert len(values(here)) == 5
    assert [len(key) for key in (here.send_key, here.receive_key, here.pair_secret)] == [16, 16, 32]


@pytest.mark.parametrize("secret", ["x25519", "chosen_by_me", "chosen_by_peer"])
@pytest.mark.parametrize("at", [0, 31])
def test_every_key_hangs_on_every_secret(secret: str, at: int) -> None:
    changed = bytearray(getattr(SECRETS, secret))
    changed[at] ^= 1
    other = derive(dataclasses.replace(SECRETS, **{secret: bytes(changed)}), FIRST, SECOND)
    assert not values(other) & values(derive(SECRETS, FIRST, SECOND))


def test_secrets_do_not_change_places() -> None:
    """Concatenation alone could take one secret for another; the order is the names', not who asks."""
    x, a, b = SECRETS.x25519, SECRETS.chosen_by_me, SECRETS.chosen_by_peer
    kept = values(derive(SECRETS, FIRST, SECOND))
    for order in ((a, x, b), (b, a, x), (x, b, a)):
        assert not values(derive(Secrets(*order), FIRST, SECOND)) & kept


@pytest.mark.parametrize("what", ["name", "fingerprint", "ciphertext", "x25519", "ml_kem", "nonce", "hello"])
@pytest.mark.parametrize("whose", [0, 1])
def test_every_key_hangs_on_all_that_was_said(what: str, whose: int) -> None:
    ends = [FIRST, SECOND]
    said = ends[whose]
    if what in ("name", "fingerprint"):
        ends[whose] = dataclasses.replace(said, **{what: getattr(said, what) + "x"})
    elif what == "ciphertext":
        ends[whose] = dataclasses.replace(said, ciphertext=bytes(1088))
    else:
        new = {"x25519": bytes(32), "ml_kem": bytes(1184), "nonce": bytes(32), "hello": hello(said.name)}[what]
        if what == "hello":
            new = msgspec.structs.replace(said.greeting.hello, parameters={"bits": "21"})
        ends[whose] = dataclasses.replace(said, greeting=msgspec.structs.replace(said.greeting, **{what: new}))
    assert not values(derive(SECRETS, *ends)) & values(derive(SECRETS, FIRST, SECOND))


@pytest.mark.parametrize("known", [{"x25519"}, {"chosen_by_me", "chosen_by_peer"}, set()])
def test_a_frame_does_not_open_for_who_has_broken_one_of_the_two(known: set[str]) -> None:
    """A later attacker has the recording and all that was said, and the secrets of one kind; it lacks the other."""
    guess = Secrets(*(getattr(SECRETS, name) if name in known else bytes(32) for name in Secrets.__slots__))
    honest = derive(SECRETS, FIRST, SECOND)
    for key, opens in ((honest.send_key, True), (derive(guess, FIRST, SECOND).send_key, False)):
        wire, tap = socket.socketpair()
        outbox = Outbox(wire, "bank_a", "compute_0", honest.send_key, BufferPool())
        receiver = SealedConnection(tap, "compute_0", "bank_a", bytes(16), key, idle_s=5.0, pool=BufferPool())
        outbox.send(DATA, 1, b"12345678")
        into = np.zeros(8, np.uint8)
        if opens:
            receiver.receive(1, memoryview(into))
            assert into.tobytes() == b"12345678"
        else:
            with pytest.raises(WireError, match="bank_a"):
                receiver.receive(1, memoryview(into))
        wire.close()
        receiver.close()


@pytest.mark.parametrize("key", [b"", bytes(1183), bytes(1185), b"\xff" * 1184], ids=["0", "1183", "1185", "beyond q"])
def test_what_is_no_ml_kem_key_is_refused_by_name(key: bytes) -> None:
    with pytest.raises(HandshakeError, match=rf"bank_a sent {len(key)} bytes that are no ML-KEM-768 key"):
        encapsulate(key, "bank_a")


def test_a_ciphertext_of_another_length_is_refused_by_name() -> None:
    with pytest.raises(HandshakeError, match="bank_a sent an ML-KEM-768 ciphertext of 1087 bytes, expected 1088"):
        SHARES[0].decapsulate(bytes(1087), "bank_a")


# The points of order 1, 2, 4 and 8 of Curve25519 and its twist (RFC 7748, section 6.1, has the check that meets them).
@pytest.mark.parametrize(
    "point",
    [
        0,
        1,
        325606250916557431795983626356110631294008115727848805560023387167927233504,
        39382357235489614581723060781553021112529911719440698176882885853963445705823,
        2**255 - 20,
        2**255 - 19,
        2**255 - 18,
    ],
)
def test_an_x25519_key_of_small_order_is_refused_by_name(point: int) -> None:
    with pytest.raises(HandshakeError, match="bank_a sent an X25519 key of small order"):
        SHARES[0].exchange(point.to_bytes(32, "little"), "bank_a")


def test_without_ml_kem_there_is_no_session(identities: dict[str, Identity], monkeypatch: pytest.MonkeyPatch) -> None:
    class Old:
        @staticmethod
        def generate() -> Any:
            raise UnsupportedAlgorithm("ML-KEM-768 is not supported by this backend.")

    monkeypatch.setattr(key_exchange, "MLKEM768PrivateKey", Old)
    with pytest.raises(ConfigError, match="built without ML-KEM-768; install its wheel, version 48 or newer"):
        require_ml_kem()
    with pytest.raises(ConfigError, match="ML-KEM-768"):
        connect(identities["bank_a"], [], [], None, hello("bank_a"))


class Tampering(TlsStream):
    """An end whose messages are changed after it has sealed its fate with them, inside TLS."""

    change: Callable[[bytes], bytes]

    def write(self, message: bytes) -> None:
        super().write(self.change(message))


def nothing_more(me: str, sock: socket.socket) -> None:
    pass


def meeting(
    identities: dict[str, Identity],
    change: Callable[[bytes], bytes] = bytes,
    then: Callable[[str, socket.socket], None] = nothing_more,
) -> dict[str, Any]:
    """What ``compute_0`` and ``bank_a``, which dials, come to when what bank_a says is changed."""
    ends = dict(zip(("compute_0", "bank_a"), socket.socketpair(), strict=True))
    found: dict[str, Any] = {}

    def one(me: str, peer: str) -> None:
        context = tls_context(identities[me], [identities[peer].certificate], server_side=me == "compute_0")
        kind = Tampering if me == "bank_a" else TlsStream
        stream = kind(ends[me], context, server_side=me == "compute_0", where=peer, deadline=time.monotonic() + 10)
        if isinstance(stream, Tampering):
            stream.change = change
        try:
            name, certificate = identify(stream, [(peer, identities[peer].certificate)], peer)
            found[me] = agree(stream, identities[me], name, certificate, hello(me))
            then(me, ends[me])
        except Exception as error:
            found[me] = error
        finally:
            ends[me].shutdown(socket.SHUT_WR)

    threads = [threading.Thread(target=one, args=pair) for pair in (("compute_0", "bank_a"), ("bank_a", "compute_0"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    for sock in ends.values():
        sock.close()
    return found


def test_keys_are_fresh_in_every_handshake(identities: dict[str, Identity]) -> None:
    both = [meeting(identities) for _ in range(2)]
    for found in both:
        assert found["compute_0"].send_key == found["bank_a"].receive_key
        assert found["compute_0"].receive_key == found["bank_a"].send_key
        assert found["compute_0"].pair_secret == found["bank_a"].pair_secret
    first, second = (found["compute_0"] for found in both)
    assert not {first.send_key, first.receive_key, first.pair_secret} & {
        second.send_key, second.receive_key, second.pair_secret
    }  # fmt: skip


def test_what_follows_tls_is_left_in_the_socket_byte_for_byte(identities: dict[str, Identity]) -> None:
    """bank_a sends on at once; compute_0 reads its bytes from the bare socket, where no TLS library held any back."""
    after: list[bytes] = []

    def then(me: str, sock: socket.socket) -> None:
        if me == "bank_a":
            sock.sendall(b"first bytes of a frame")
        else:
            sock.settimeout(10)
            after.append(sock.recv(100, socket.MSG_WAITALL))

    found = meeting(identities, then=then)
    assert not [each for each in found.values() if isinstance(each, Exception)]
    assert after == [b"first bytes of a frame"]


def test_only_tls_1_3_and_nothing_to_resume(identities: dict[str, Identity]) -> None:
    """A pinned party that speaks an older TLS is refused, and no ticket is handed out."""
    me, bank = identities["compute_0"], identities["bank_a"]
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        here, there = socket.socketpair()
        old = tls_context(bank, [me.certificate], server_side=False)
        old.minimum_version = old.maximum_version = version
        found: list[Any] = []

        def dial(context: ssl.SSLContext = old, sock: socket.socket = there, into: list[Any] = found) -> None:
            sock.settimeout(10)
            try:
                with context.wrap_socket(sock) as tls:
                    into.append(tls.recv(4))  # a ticket would come before
                    into.append(tls.session.has_ticket if tls.session is not None else False)
            except OSError as error:
                into.append(error)

        thread = threading.Thread(target=dial)
        thread.start()
        server = tls_context(me, [bank.certificate], server_side=True)
        stream = TlsStream(here, server, server_side=True, where="bank_a", deadline=time.monotonic() + 10)
        if version == ssl.TLSVersion.TLSv1_2:
            with pytest.raises(NotAuthenticated, match=r"expected mutual TLS 1\.3"):
                identify(stream, [("bank_a", bank.certificate)], "bank_a")
            here.close()
            thread.join(30)
            assert isinstance(found[0], ssl.SSLError)
        else:
            assert identify(stream, [("bank_a", bank.certificate)], "bank_a")[0] == "bank_a"
            stream.write(b"")
            here.shutdown(socket.SHUT_WR)
            thread.join(30)
            here.close()
            assert found == [bytes(4), False]


def changed(kind: type[Any], **fields: Any) -> Callable[[bytes], bytes]:
    """Replaces fields of messages of ``kind``; a callable gets the field's value."""

    def change(message: bytes) -> bytes:
        decoded = decode(message, "test")
        if not isinstance(decoded, kind):
            return message
        new = {name: value(getattr(decoded, name)) if callable(value) else value for name, value in fields.items()}
        return encode(msgspec.structs.replace(decoded, **new))

    return change


def without(kind: type[Any], field: str, **others: Any) -> Callable[[bytes], bytes]:
    """Messages of ``kind`` lack ``field``, as those of a program that does not know it."""

    def change(message: bytes) -> bytes:
        plain = msgspec.msgpack.decode(message)
        if plain["type"] != kind.__name__:
            return message
        del plain[field]
        return msgspec.msgpack.encode(plain | others)

    return change


def flipped(value: bytes) -> bytes:
    return bytes([value[0] ^ 1]) + value[1:]


@pytest.mark.parametrize(
    "change",
    [
        changed(Encapsulation, ciphertext=flipped),
        changed(Greeting, ml_kem=KeyShare().ml_kem),
        changed(Greeting, x25519=KeyShare().x25519),
        changed(Greeting, nonce=flipped),
    ],
    ids=["ciphertext", "ML-KEM key", "X25519 key", "nonce"],
)
def test_what_was_changed_on_the_way_ends_the_handshake_at_both_ends(
    identities: dict[str, Identity], change: Callable[[bytes], bytes]
) -> None:
    found = meeting(identities, change)
    for me, peer in (("compute_0", "bank_a"), ("bank_a", "compute_0")):
        assert isinstance(found[me], HandshakeError)
        assert f"{peer} and {me} did not come to the same keys" in str(found[me])


@pytest.mark.parametrize(
    ("change", "here", "there"),
    [
        (without(Greeting, "ml_kem"), "bank_a sent no Greeting of this version", "install the same"),
        (without(Greeting, "ml_kem", ml_kem=b""), "bank_a sent no Greeting of this version", "install the same"),
        (without(Encapsulation, "ciphertext", ciphertext=bytes(9)), "bank_a sent no Encapsulation", "install the same"),
        (changed(Greeting, ml_kem=b"\xff" * 1184), "bank_a sent 1184 bytes that are no ML-KEM-768", "no ML-KEM"),
        (changed(Greeting, x25519=bytes(32)), "bank_a sent an X25519 key of small order", "small order"),
        (lambda _: encode(Confirmation(value=bytes(32))), "bank_a sent a Confirmation instead of its Greeting", ""),
    ],
    ids=["no ML-KEM", "empty ML-KEM", "short ciphertext", "malformed ML-KEM", "small order", "out of order"],
)
def test_who_offers_less_is_refused_and_told(
    identities: dict[str, Identity], change: Callable[[bytes], bytes], here: str, there: str
) -> None:
    found = meeting(identities, change)
    assert isinstance(found["compute_0"], HandshakeError)
    assert here in str(found["compute_0"])
    assert isinstance(found["bank_a"], HandshakeError)
    assert "compute_0 refused the session" in str(found["bank_a"])
    assert there in str(found["bank_a"])


def test_a_false_confirmation_is_refused(identities: dict[str, Identity]) -> None:
    found = meeting(identities, changed(Confirmation, value=flipped))
    assert isinstance(found["compute_0"], HandshakeError)
    assert "bank_a and compute_0 did not come to the same keys" in str(found["compute_0"])
