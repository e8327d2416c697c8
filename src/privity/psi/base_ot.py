"""The first oblivious transfers, of which all others are made: Chou and Orlandi's construction over the curve P-256.

Adversary  semi-honest sender or receiver.
Assumes    computational Diffie-Hellman on P-256 and SHA-256 as a random oracle; keys have 128 bits.
Reveals    nothing: the sender sees uniform points whatever is chosen, the receiver the chosen keys only.
Error      none.
Paper      Chou, Orlandi, The Simplest Protocol for Oblivious Transfer (Latincrypt 2015), figure 1.

The sender has A = aG and sends it. For choice c the receiver sends B = bG + cA and takes the key H(i, A, B, bA); the
sender's two keys are H(i, A, B, aB) and H(i, A, B, a(B - A)). The receiver's other key would need a^2 G. B is uniform
for both values of c, so the sender learns nothing, whatever its power. The paper's proof against malicious parties has
gaps that were found later; nothing is claimed here beyond semi-honest parties.

All multiplications by secret numbers are those of ``cryptography``, which offers no sum of two points. That is written
here, on Python's integers. It takes time that depends on the points, so the receiver forms bG + A for both choices.

Two messages, one in each direction: 64 bytes, then 64 bytes for each transfer.
"""

from __future__ import annotations

import hashlib
from typing import Final

import numpy as np
import numpy.typing as npt
from cryptography.hazmat.primitives.asymmetric import ec

from ..errors import WireError
from ..ring.prg import SEED_BYTES
from ..types import Channel
from .coins import Coins

POINT_BYTES: Final = 64
_CURVE: Final = ec.SECP256R1()
_FIELD: Final = 2**256 - 2**224 + 2**192 + 2**96 - 1

Point = tuple[int, int]


def send(channel: Channel, to: str, step: int, count: int, context: bytes, coins: Coins) -> list[tuple[bytes, bytes]]:
    """``count`` pairs of 16-byte keys, of each of which ``to`` gets one, unknown which. Uses ``step`` and the next.

    Raises WireError for points that are not on the curve.
    """
    mine = ec.derive_private_key(coins.scalar(), _CURVE)
    public = _point(mine.public_key())
    channel.send(to, step, _packed(public))
    answers = np.empty((count, POINT_BYTES), np.uint8)
    channel.receive(to, step + 1, answers)
    minus = (public[0], _FIELD - public[1])
    pairs = []
    for index, row in enumerate(answers):
        point = _unpacked(row.tobytes(), to)
        start = _start(context, index, public, point)
        other = _plus(point, minus)
        if other is None:
            raise WireError(f"{to} sent a point of no use in transfer {index}; its program is faulty")
        pairs.append((_key(start, mine, point, to), _key(start, mine, other, to)))
    return pairs


def receive(
    channel: Channel, source: str, step: int, choices: npt.NDArray[np.bool_], context: bytes, coins: Coins
) -> list[bytes]:
    """For each choice one of the two keys that ``source`` gets from ``send``."""
    first = np.empty(POINT_BYTES, np.uint8)
    channel.receive(source, step, first)
    theirs = _unpacked(first.tobytes(), source)
    sent, secrets = [], []
    for _ in range(choices.size):
        mine = ec.derive_private_key(coins.scalar(), _CURVE)
        zero = _point(mine.public_key())
        sent.append((zero, _plus(zero, theirs) or zero))  # no sum: with probability 2^-255, if A is honest
        secrets.append(mine)
    chosen = [pair[choice] for pair, choice in zip(sent, choices.astype(int).tolist(), strict=True)]
    channel.send(source, step + 1, b"".join(map(_packed, chosen)))
    starts = [_start(context, index, theirs, point) for index, point in enumerate(chosen)]
    return [_key(start, mine, theirs, source) for start, mine in zip(starts, secrets, strict=True)]


def _key(start: bytes, mine: ec.EllipticCurvePrivateKey, point: Point, peer: str) -> bytes:
    shared = mine.exchange(ec.ECDH(), _public(point, peer))
    return hashlib.sha256(start + shared).digest()[:SEED_BYTES]


def _start(context: bytes, index: int, first: Point, second: Point) -> bytes:
    return b"privity base transfer 1" + context + index.to_bytes(4, "big") + _packed(first) + _packed(second)


def _plus(p: Point, q: Point) -> Point | None:
    """The sum of two points of the curve; None for the point at infinity."""
    (x, y), (u, v) = p, q
    if x == u and (y + v) % _FIELD == 0:
        return None
    up, down = (3 * x * x - 3, 2 * y) if x == u else (v - y, u - x)
    slope = up * pow(down, -1, _FIELD) % _FIELD
    at = (slope * slope - x - u) % _FIELD
    return at, (slope * (x - at) - y) % _FIELD


def _point(key: ec.EllipticCurvePublicKey) -> Point:
    numbers = key.public_numbers()
    return numbers.x, numbers.y


def _packed(point: Point) -> bytes:
    return point[0].to_bytes(32, "big") + point[1].to_bytes(32, "big")


def _unpacked(data: bytes, peer: str) -> Point:
    point = int.from_bytes(data[:32], "big"), int.from_bytes(data[32:], "big")
    _public(point, peer)
    return point


def _public(point: Point, peer: str) -> ec.EllipticCurvePublicKey:
    try:
        return ec.EllipticCurvePublicNumbers(*point, _CURVE).public_key()
    except ValueError:
        raise WireError(f"{peer} sent a point that is not on the curve P-256; its program is faulty") from None
