"""Private set intersection by Diffie-Hellman: short, slow, and the reference that tests compare with.

Adversary  one semi-honest owner.
Assumes    decisional Diffie-Hellman on Curve25519, SHA-256 as a random oracle.
Reveals    both sizes and the common items, to both owners.
Error      two items that are one to the protocol, with probability below 2^-150.
Paper      Meadows (IEEE S&P 1986); Huberman, Franklin, Hogg (ACM EC 1999).

Each owner raises the hashes of its items to a secret power and sends them in an order of its own; the other raises them
once more and sends them back in the order in which they came. Items are common if their double powers are.

X25519 also multiplies points of the twist, and everybody sees on which of the two curves a point lies. So hashes are
drawn until they lie on the curve itself: else each power would tell one bit of its item.

Rounds: 3 (sizes, single powers, double powers). Bytes: 32 for each item of both sets, from each owner.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from ..errors import WireError
from ..net.wire import IntersectionOffer
from ..ring.order import permutation
from ..types import Channel
from .coins import Coins
from .intersection import BOTH, Common, exchange_offers
from .items import ItemSet

_FIELD: Final = 2**255 - 19
_A: Final = 486662
_BYTES: Final = 32


def intersect_by_diffie_hellman(
    channel: Channel, peer: str, items: Sequence[bytes], *, coins: Coins | None = None
) -> Common:
    """Which of ``items`` the peer has too, to both owners; errors as in ``intersect``."""
    coins = Coins() if coins is None else coins
    own = ItemSet(items)
    offer = IntersectionOffer(size=len(own), to=BOTH, method="diffie-hellman", nonce=coins.draw(32))
    salt, count = exchange_offers(channel, peer, offer)
    own.digests(salt)  # refuses repetitions
    secret = X25519PrivateKey.from_private_bytes(coins.draw(_BYTES))
    order = permutation(coins.words, len(items))
    channel.send(peer, 0, b"".join(_raised((point(salt, items[i]) for i in order), secret, peer)))
    mine = _raised(_read(channel, peer, 0, count), secret, peer)
    channel.send(peer, 1, b"".join(mine))
    theirs = set(mine)
    common = [row for row, value in zip(order, _read(channel, peer, 1, len(items)), strict=True) if value in theirs]
    return Common(np.sort(np.array(common, np.int64)), len(items), count)


def point(salt: bytes, item: bytes) -> bytes:
    """A point of Curve25519 whose power relative to any other nobody knows: the hash of an item."""
    attempt = 0
    while True:
        hashed = hashlib.sha256(salt + attempt.to_bytes(4, "big") + item).digest()
        u = int.from_bytes(hashed, "little") & (1 << 255) - 1
        if 1 < u < _FIELD and pow((u * u + _A * u + 1) * u, (_FIELD - 1) // 2, _FIELD) == 1:
            return u.to_bytes(_BYTES, "little")
        attempt += 1


def _raised(points: Iterable[bytes], secret: X25519PrivateKey, peer: str) -> list[bytes]:
    try:
        return [secret.exchange(X25519PublicKey.from_public_bytes(each)) for each in points]
    except ValueError:
        raise WireError(f"{peer} sent a point of small order; its program is faulty") from None


def _read(channel: Channel, source: str, step: int, count: int) -> list[bytes]:
    data = np.empty((count, _BYTES), np.uint8)
    channel.receive(source, step, data)
    return [row.tobytes() for row in data]
