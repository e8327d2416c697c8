"""Fresh keys of one connection, agreed by X25519 and ML-KEM-768 together: who opens them must break both.

Each end makes one key of either kind for this connection. The X25519 keys give one secret. For ML-KEM-768 (FIPS 203)
each end encapsulates to the other's key, so there are no roles, and that gives two more. The three secrets, 32 bytes
each, go one after the other into HKDF-SHA256, with a hash of all that was said as the info: both names, fingerprints,
hellos, keys and nonces, and both ciphertexts. That is how TLS combines secrets of both kinds
(draft-ietf-tls-hybrid-design, section 3.3) and how X-Wing does (draft-connolly-cfrg-xwing-kem); why the ciphertexts
belong in: Giacon, Heuer, Poettering, KEM Combiners (PKC 2018).

ML-KEM decapsulates a changed ciphertext to another secret without a word (implicit rejection). So both ends show a
value that only the right keys give, before either uses one of them.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey, MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from ..errors import ConfigError, HandshakeError
from .wire import Greeting

_LENGTH: Final = struct.Struct("!I")


def require_ml_kem() -> None:
    """Raises ConfigError where the installed ``cryptography`` cannot do ML-KEM-768: there is no session without it."""
    try:
        MLKEM768PrivateKey.generate()
    except UnsupportedAlgorithm:
        raise ConfigError(
            "the installed package cryptography was built without ML-KEM-768; install its wheel, version 48 or newer, "
            "or build it against OpenSSL 3.5 or newer"
        ) from None


class KeyShare:
    """One end's private keys for one connection."""

    def __init__(self) -> None:
        self._x25519 = X25519PrivateKey.generate()
        self._ml_kem = MLKEM768PrivateKey.generate()
        self.x25519: Final = self._x25519.public_key().public_bytes_raw()
        self.ml_kem: Final = self._ml_kem.public_key().public_bytes_raw()

    def exchange(self, theirs: bytes, peer: str) -> bytes:
        """The X25519 secret. Raises HandshakeError for a key of small order."""
        try:
            return self._x25519.exchange(X25519PublicKey.from_public_bytes(theirs))
        except ValueError:
            raise HandshakeError(f"{peer} sent an X25519 key of small order; its program is faulty") from None

    def decapsulate(self, ciphertext: bytes, peer: str) -> bytes:
        """The ML-KEM secret that ``peer`` chose. Another one, and no error, if the ciphertext was changed."""
        try:
            return self._ml_kem.decapsulate(ciphertext)
        except ValueError:
            raise HandshakeError(
                f"{peer} sent an ML-KEM-768 ciphertext of {len(ciphertext)} bytes, expected 1088; its program is faulty"
            ) from None


def encapsulate(ml_kem: bytes, peer: str) -> tuple[bytes, bytes]:
    """A fresh secret and its ciphertext for ``peer``'s key. Raises HandshakeError for what is no ML-KEM-768 key."""
    try:
        return MLKEM768PublicKey.from_public_bytes(ml_kem).encapsulate()
    except ValueError:
        raise HandshakeError(
            f"{peer} sent {len(ml_kem)} bytes that are no ML-KEM-768 key; its program is faulty"
        ) from None


@dataclass(frozen=True, slots=True)
class End:
    """One end as the other knows it after the handshake's messages; ``ciphertext`` is what this end sent."""

    name: str
    fingerprint: str
    greeting: Greeting
    ciphertext: bytes


@dataclass(frozen=True, slots=True)
class Secrets:
    """What only the two ends know. ``chosen_by_me`` and ``chosen_by_peer`` are the ML-KEM secrets."""

    x25519: bytes
    chosen_by_me: bytes
    chosen_by_peer: bytes


@dataclass(frozen=True, slots=True)
class Keys:
    """All keys of a connection, and the values by which each end shows that it has them."""

    send_key: bytes
    receive_key: bytes
    pair_secret: bytes
    confirmation: bytes
    expected_confirmation: bytes


def derive(secrets: Secrets, me: End, peer: End) -> Keys:
    """The keys at ``me``. Every one of them depends on each of the three secrets and on all that was said."""
    mine_first = me.name < peer.name
    chosen = [secrets.chosen_by_me, secrets.chosen_by_peer]
    ends = [me, peer]
    secret = b"".join(chosen if mine_first else chosen[::-1]) + secrets.x25519
    said = _transcript(ends if mine_first else ends[::-1])

    def key(label: str, length: int) -> bytes:
        info = b"privity/2 " + label.encode() + b"\x00" + said
        return HKDF(algorithm=SHA256(), length=length, salt=None, info=info).derive(secret)

    return Keys(
        send_key=key(f"seal from {me.name}", 16),
        receive_key=key(f"seal from {peer.name}", 16),
        pair_secret=key("pair secret", 32),
        confirmation=key(f"confirmation of {me.name}", 32),
        expected_confirmation=key(f"confirmation of {peer.name}", 32),
    )


def _transcript(ends: Sequence[End]) -> bytes:
    """SHA-256 over everything both ends said, in the order of their names, each part with its length before it."""
    digest = hashlib.sha256(b"privity handshake 2")
    for end in ends:
        greeting, hello = end.greeting, end.greeting.hello
        parts = [end.name.encode(), end.fingerprint.encode()]
        parts += [greeting.x25519, greeting.ml_kem, greeting.nonce, end.ciphertext]
        parts += [hello.version.encode(), hello.program_hash, hello.job_hash, hello.consortium_hash]
        for name, value in sorted(hello.parameters.items()):
            parts += [name.encode(), value.encode()]
        digest.update(_LENGTH.pack(len(parts)))
        for part in parts:
            digest.update(_LENGTH.pack(len(part)) + part)
    return digest.digest()
