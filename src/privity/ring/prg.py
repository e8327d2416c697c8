"""The only source of protocol randomness: AES-128 in counter mode with domain separation.

Two parties that share a secret derive the same :class:`Stream` from it and draw the same numbers in the same order, so
masks cost no communication. A stream never repeats: its counter only moves forward, and a :class:`KeySchedule` gives
out each purpose once, so that no (key, purpose, counter) is used twice. Nothing here can be stored or resumed: a
resumed job is a new session with new keys.

Source: NIST SP 800-38A (counter mode), RFC 5869 (HKDF).
"""

from __future__ import annotations

import hashlib
import hmac
import os

import numpy as np
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from ..errors import UsageError
from ..types import Ring

SEED_BYTES = 16
_BLOCK_WORDS = 8192  # small draws come out of a prepared block of 64 KiB: a cipher call costs more than they do
_SMALL_WORDS = 2048
_ZEROS = np.zeros(1 << 17, np.uint64)  # what counter mode encrypts; read only
_ZEROS.flags.writeable = False


def new_seed() -> bytes:
    """16 bytes from the operating system."""
    return os.urandom(SEED_BYTES)


class Stream:
    """Uniform words, determined by a 16-byte key. Both holders must draw the same sizes in the same order."""

    __slots__ = ("_block", "_cipher", "_left")

    def __init__(self, key: bytes) -> None:
        if len(key) != SEED_BYTES:
            raise UsageError(f"a stream key has {SEED_BYTES} bytes, got {len(key)}")
        self._cipher = Cipher(algorithms.AES(key), modes.CTR(bytes(16))).encryptor()
        self._block = np.empty(_BLOCK_WORDS, np.uint64)
        self._left = 0

    def words(self, count: int) -> Ring:
        """The next ``count`` uniform 64-bit words (a fresh array, or a slice that is never handed out again)."""
        if count > _SMALL_WORDS:
            out = np.empty(count, np.uint64)
            self._fill(out)
            return out
        if count > self._left:
            # A new array, not the old one refilled: slices given out earlier must keep their values.
            self._block = np.empty(_BLOCK_WORDS, np.uint64)
            self._fill(self._block)
            self._left = _BLOCK_WORDS
        start = _BLOCK_WORDS - self._left
        self._left -= count
        return self._block[start : start + count]

    def _fill(self, out: Ring) -> None:
        flat = out.view(np.uint8)
        zeros = _ZEROS.view(np.uint8)
        for low in range(0, flat.size, zeros.size):
            part = flat[low : low + zeros.size]
            self._cipher.update_into(zeros[: part.size].data, part.data)


class KeySchedule:
    """Derives the streams of one pair of parties in one session; each (purpose, shard, lane) can be taken once."""

    def __init__(self, secret: bytes, context: bytes) -> None:
        """``secret``: 32 bytes that only the pair knows; ``context``: session, program and names, the same at both."""
        self._secret = secret
        self._context = hashlib.sha256(context).digest()
        self._taken: set[tuple[str, int, int]] = set()

    def stream(self, purpose: str, shard: int = 0, lane: int = 0) -> Stream:
        """The stream for one purpose. Raises UsageError on a second request: its numbers would repeat."""
        key = (purpose, shard, lane)
        if key in self._taken:
            raise UsageError(
                f"the stream for {purpose!r} (shard {shard}, lane {lane}) was already taken in this session"
            )
        self._taken.add(key)
        info = b"privity prg 1|" + self._context + f"|{purpose}|{shard}|{lane}".encode()
        return Stream(HKDF(hashes.SHA256(), SEED_BYTES, None, info).derive(self._secret))


_GMAC = AESGCM(b"privity numbers!")  # a public key
_NONCE = b"differences!"
_AT_ONCE = 1 << 30  # bytes that the cipher takes in one call


def fingerprint(data: bytes | memoryview) -> bytes:
    """Bytes that differ where ``data`` differs by accident: its length and GMAC under a public key, which is several
    times as fast as SHA-256.

    Whoever wants two arrays with the same fingerprint can make some: it tells honest parties that they computed with
    different numbers, and is no commitment.
    """
    size = len(data)
    tags = [_GMAC.encrypt(_NONCE, b"", data[at : at + _AT_ONCE]) for at in range(0, size, _AT_ONCE)]
    return size.to_bytes(8, "little") + b"".join(tags)


def digest(*parts: bytes | memoryview) -> bytes:
    """SHA-256 over length-prefixed parts: what two parties compare to see that they hold the same bytes."""
    h = hashlib.sha256()
    for part in parts:
        view = memoryview(part).cast("B")
        h.update(len(view).to_bytes(8, "little"))
        h.update(view)
    return h.digest()


def same(one: bytes, other: bytes) -> bool:
    """Compare two digests in constant time."""
    return hmac.compare_digest(one, other)
