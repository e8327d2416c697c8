"""Private set intersection between two owners.

Adversary  one semi-honest owner; everybody else sees sealed frames only.
Assumes    what base_ot.py and oprf.py assume; that items cannot be guessed where the card says nothing of them.
Reveals    both sizes, to each owner; the common items, to both or to the one that was agreed upon.
Error      a common item that is none, with probability below 2^-40 for a whole run.
Paper      Kolesnikov, Kumaresan, Rosulek, Trieu, Efficient Batched Oblivious PRF with Applications to Private Set
           Intersection (CCS 2016, ePrint 2016/799), figure 7, without a stash.

One owner is the *receiver*: the one that is to learn the result, or the one with fewer items if both are. It places
its items in cuckoo bins, and learns in each bin one value of a function that the other, the *sender*, has for the bin.
The sender computes the values of its items in all three bins of each and sends them in sorted order. The receiver
looks up its own. Values of items that it lacks look random to it.

Rounds and bytes: six messages one after the other (``ROUNDS``): sizes and nonces; a point and the seed of the bins;
points; the columns; the values; the common items, if both learn them. ``traffic`` says how many bytes.

The answer to the sender names the common *items*. The places of the matching values would say in which of its three
bins the receiver has an item, which depends on all its items.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from ..errors import HandshakeError, UsageError, WireError
from ..net.wire import IntersectionCount, IntersectionOffer
from ..ring import exact
from ..ring.prg import digest
from ..types import Channel, Ring
from . import base_ot, oprf
from .bins import CHOICES, bins_for, choices, place
from .coins import Coins
from .items import LARGEST, Digests, ItemSet, Rows, find, sorted_rows

BOTH: Final = "both"
ROUNDS: Final = 6
_METHOD: Final = "kkrt16"
_SEED: Final = 0
_BASE: Final = 1  # and 2
_COLUMNS: Final = 3
_STATISTICAL_BITS: Final = 40
_LEAST_BYTES: Final = 10


@dataclass(frozen=True, slots=True)
class Common:
    """What this owner learnt. ``rows``: its items that the peer has too, rising; None where only the peer learns."""

    rows: Rows | None
    own_size: int
    peer_size: int


def intersect(
    channel: Channel, peer: str, items: Sequence[bytes], *, to: str = BOTH, coins: Coins | None = None
) -> Common:
    """Which of ``items`` the peer has too; it must call this with the same ``to`` ("both", or one owner's name).

    Items are compared byte by byte: spelling is the caller's. One run at a time on a channel. Raises DataError if an
    item occurs twice, UsageError, HandshakeError if the owners disagree, WireError and other NetworkErrors.
    """
    if to not in (BOTH, channel.me, peer):
        raise UsageError(f"to={to!r}: expected {BOTH!r}, {channel.me!r} or {peer!r}")
    coins = Coins() if coins is None else coins
    own = ItemSet(items)
    offer = IntersectionOffer(size=len(own), to=to, method=_METHOD, nonce=coins.draw(32))
    salt, theirs = exchange_offers(channel, peer, offer)
    digests = own.digests(salt)
    if not len(own) or not theirs:
        rows = np.empty(0, np.int64) if to != peer else None  # the sizes say it all
    elif _receives(channel.me, peer, to, len(own), theirs):
        rows = _receive(channel, peer, digests, theirs, salt, coins, answer=to == BOTH)
    else:
        rows = _send(channel, peer, digests, theirs, salt, coins, answered=to == BOTH)
    return Common(rows, len(own), theirs)


def exchange_offers(channel: Channel, peer: str, offer: IntersectionOffer) -> tuple[bytes, int]:
    """Tell the peer sizes and terms and hear its own: a public salt from both nonces, and the peer's size.

    Raises HandshakeError if the terms differ, WireError for a set that is too large.
    """
    channel.tell(peer, offer)
    theirs: IntersectionOffer = channel.hear(peer, IntersectionOffer)
    for what, mine, other in (("method", offer.method, theirs.method), ("who learns the result", offer.to, theirs.to)):
        if mine != other:
            raise HandshakeError(f"{what} is {mine!r} here and {other[:64]!r} at {peer}; agree on one of the two")
    if theirs.size > LARGEST:
        raise WireError(f"{peer} announced {theirs.size:,} items, at most {LARGEST:,} are accepted")
    ends = sorted([(channel.me, offer), (peer, theirs)], key=lambda end: end[0])
    parts = [part for name, end in ends for part in (name.encode(), end.size.to_bytes(8, "big"), end.nonce)]
    return digest(b"privity intersection 1", offer.method.encode(), *parts), theirs.size


def traffic(receiver: int, sender: int, common: int | None) -> tuple[int, int]:
    """Payload bytes that receiver and sender send, by the sizes of their sets (``common``: None if not told back).

    Frame headers and tags, and the offers of some 80 bytes, are not counted.
    """
    if not receiver or not sender:
        return 0, 0
    answer = 0 if common is None else 16 * common
    first = 16 + base_ot.POINT_BYTES
    values = CHOICES * sender * value_bytes(receiver, sender)
    return first + oprf.ROW_BYTES * bins_for(receiver) + answer, base_ot.POINT_BYTES * oprf.WIDTH + values


def value_bytes(receiver: int, sender: int) -> int:
    """Bytes of a value, so that no two of all pairs that are compared meet by chance but with probability 2^-40."""
    bits = _STATISTICAL_BITS + exact.log2(CHOICES * receiver * sender)
    return max(_LEAST_BYTES, math.ceil(bits / 8))


def _receives(me: str, peer: str, to: str, mine: int, theirs: int) -> bool:
    return to == me or (to == BOTH and (mine, me) < (theirs, peer))


def _receive(
    channel: Channel, peer: str, items: Digests, theirs: int, salt: bytes, coins: Coins, *, answer: bool
) -> Rows:
    seed, table = place(items.words, coins)
    channel.send(peer, _SEED, seed)
    pairs = base_ot.send(channel, peer, _BASE, oprf.WIDTH, salt, coins)
    taken = np.flatnonzero(table < len(items))
    inputs = coins.words(2 * table.size).copy().reshape(-1, 2)  # empty bins ask for anything
    inputs[taken] = items.words[table[taken].astype(np.int64)]
    values = oprf.receive(channel, peer, _COLUMNS, inputs, salt, pairs)[taken]
    width = value_bytes(len(items), theirs)
    _cut(values, width)
    step = _COLUMNS + oprf.messages(table.size)
    theirs_sorted = _read_values(channel, peer, step, CHOICES * theirs, width)
    hits = find(theirs_sorted, values, np.arange(len(theirs_sorted)))
    rows = np.sort(table[taken[hits >= 0]].astype(np.int64))
    if answer:
        told = items.words[rows]
        channel.tell(peer, IntersectionCount(count=rows.size))
        channel.send(peer, step + 2, told[sorted_rows(told)])  # sorted: not in an order that only this owner knows
    return rows


def _send(
    channel: Channel, peer: str, items: Digests, theirs: int, salt: bytes, coins: Coins, *, answered: bool
) -> Rows | None:
    seed, size = np.empty(16, np.uint8), bins_for(theirs)
    channel.receive(peer, _SEED, seed)
    mask = np.unpackbits(coins.words(oprf.WIDTH // 64).view(np.uint8), bitorder="little").astype(np.bool_)
    seeds = base_ot.receive(channel, peer, _BASE, mask, salt, coins)
    places = choices(items.words, seed.tobytes(), size)
    key = oprf.send(channel, peer, _COLUMNS, size, salt, mask, seeds)
    width, step = value_bytes(theirs, len(items)), _COLUMNS + oprf.messages(size)
    values = key.evaluate(items.words, places).reshape(-1, 2)
    _cut(values, width)
    _write_values(channel, peer, step, values, width)
    return _hear_answer(channel, peer, step + 2, items, theirs) if answered else None


def _cut(values: Ring, width: int) -> None:
    """Keep the first ``width`` bytes of each row of 16."""
    values[:, 1] &= np.uint64((1 << 8 * (width - 8)) - 1)


def _write_values(channel: Channel, to: str, step: int, values: Ring, width: int) -> None:
    """All values in sorted order, so that nothing but their set is seen: the first words, then the other bytes."""
    order = sorted_rows(values)
    channel.send(to, step, values[order, 0])
    rest = values[order, 1].view(np.uint8).reshape(-1, 8)
    channel.send(to, step + 1, np.ascontiguousarray(rest[:, : width - 8]))


def _read_values(channel: Channel, source: str, step: int, count: int, width: int) -> Ring:
    first, rest = np.empty(count, np.uint64), np.empty((count, width - 8), np.uint8)
    channel.receive(source, step, first)
    channel.receive(source, step + 1, rest)
    if (first[1:] < first[:-1]).any():
        raise WireError(f"{source} sent values that are not sorted; its program is faulty")
    values = np.zeros((count, 2), np.uint64)
    values[:, 0] = first
    values.view(np.uint8).reshape(count, 16)[:, 8:width] = rest
    return values


def _hear_answer(channel: Channel, source: str, step: int, items: Digests, theirs: int) -> Rows:
    count = channel.hear(source, IntersectionCount).count
    if count > min(len(items), theirs):
        raise WireError(f"{source} named {count:,} common items of {min(len(items), theirs):,} at most")
    told = np.empty((count, 2), np.uint64)
    channel.receive(source, step, told)
    rows = np.sort(items.find(told))
    if count and (rows[0] < 0 or (rows[1:] == rows[:-1]).any()):
        raise WireError(f"{source} named common items that are not in this set, or one twice; its program is faulty")
    return rows
