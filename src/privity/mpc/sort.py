"""Sorting and secret orders on shares, written once over Protocol. Stable, ascending; ring integers in, shares out.

A sort shuffles the rows and then opens how they compare. Every key is made distinct by its row number in the low bits,
so the answers are those of a uniformly random order whatever the keys are: they say nothing about the data, not even
how many keys are equal. A radix sort (Asharov et al., ePrint 2022/1595) moves all rows once for every digit; here they
move once, and about 1.3 log2(n!) comparisons remain, at about a third of the bytes.

Source: Hamada et al., ICISC 2012 (shuffle, then open comparisons); the batched plan is in ring/order.py.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import UsageError
from ..ring import layout, order
from ..ring.order import Rows
from ..types import RANGE_BITS
from .protocol import Protocol
from .shares import Share

Key = tuple[Share, int]
"""(values, bits): one number per row with |value| < 2^bits."""


def sort(proto: Protocol, keys: Sequence[Key], columns: Sequence[Share]) -> list[Share]:
    """``columns`` (arrays of n rows) ordered by the first key, among equals by the second and so on; else as they were.

    Rounds: a shuffle, and a sign and an opening for each of the batches of ``order.comparisons``; keys that do not fit
    one number of 62 bits together with a row number are sorted one after the other, the last first.
    """
    n = keys[0][0].shape[0]
    if n < 2:
        return list(columns)
    room = RANGE_BITS - 1 - _row_bits(n)
    moving, later = list(columns), _fitting(proto, keys, room)
    while later:
        (key, bits), *later = later
        moving = _sort_once(proto, key, bits, [*moving, *(k for k, _ in later)])
        later = [(k, b) for k, (_, b) in zip(moving[len(columns) :], later, strict=True)]
        moving = moving[: len(columns)]
    return moving


def _row_bits(n: int) -> int:
    return max(1, (n - 1).bit_length())


def _fitting(proto: Protocol, keys: Sequence[Key], room: int) -> list[Key]:
    """The keys from last to first, joined where they fit ``room`` bits together, cut in two where one does not."""
    out: list[Key] = []
    for key, bits in reversed(keys):
        if bits > room:
            out.extend(_halves(proto, key, bits, room))
            continue
        if out and out[-1][1] + 1 + bits <= room:
            low, low_bits = out.pop()
            key = proto.add(proto.mul_public(key, layout.constant(1 << (low_bits + 1))), low)
            bits += low_bits + 1
        out.append((key, bits))
    return out


def _halves(proto: Protocol, key: Share, bits: int, room: int) -> list[Key]:
    """key = high * 2^cut + low with 0 <= low < 2^cut, the low part first; high has ``room`` bits at most."""
    cut = bits - room
    planes = proto.b2a(proto.bits(key, cut))
    low = planes if cut == 1 else proto.mul_public(planes, layout.column([1 << j for j in range(cut)], 1)).map(
        layout.total(0, False)
    )  # fmt: skip
    return [(low, cut), (proto.truncate(proto.sub(key, low), cut), room)]


def _sort_once(proto: Protocol, key: Share, bits: int, columns: Sequence[Share]) -> list[Share]:
    """By one key, which the row number makes distinct."""
    tag = _row_bits(key.shape[0])
    distinct = proto.add_public(proto.mul_public(key, layout.constant(1 << tag)), layout.arange(key.shape[0]))
    return sort_distinct(proto, distinct, bits + 1 + tag, columns)[1:]


def sort_distinct(proto: Protocol, key: Share, bits: int, columns: Sequence[Share]) -> list[Share]:
    """The key and ``columns`` by a key that differs in every row, |difference| < 2^bits, bits <= 63.

    Shuffles, asks for comparisons and opens them, puts the rows in order. That the keys differ is the caller's to know:
    the answers for equal ones would follow the shuffled order and not be those of a random one.
    """
    n = key.shape[0]
    if n < 2:
        return [key, *columns]
    mixed = proto.shuffle([key, *columns], proto.mix(n))
    plan = order.comparisons(n)
    first, second = next(plan)
    while True:
        left, right = mixed[0].map(layout.take(first)), mixed[0].map(layout.take(second))
        answer = proto.open_bits(proto.msb(proto.sub(left, right), bits))
        try:
            first, second = plan.send(answer)
        except StopIteration as done:
            return [c.map(layout.take(done.value)) for c in mixed]


def sort_lanes(proto: Protocol, key: Share, bits: int, columns: Sequence[Share]) -> list[Share]:
    """``columns`` of shape (lanes, n), each lane in ascending order of the key's lane; stable. |key| < 2^bits.

    Few long lanes are sorted together, with the lane as the first key. Many short ones pass a sorting network: every
    layer costs a sign, its conversion (2 rounds) and a product.
    """
    lanes, n = key.shape
    if n < 2 or lanes == 0:
        return list(columns)
    tag = _row_bits(n)
    narrow = bits + 1 + tag < RANGE_BITS
    if lanes > 1 and narrow and order.cost_of_comparators(n, lanes) < order.cost_of_comparisons(lanes * n):
        return _network(proto, key, bits + tag, tag, columns)
    flat = layout.reshape((lanes * n,))
    keys = [(key.map(flat), bits)]
    if lanes > 1:
        number = row_numbers(proto, lanes).map(layout.then(layout.reshape((lanes, 1)), layout.broadcast(key.shape)))
        keys.insert(0, (number.map(flat), (lanes - 1).bit_length()))
    return [c.map(layout.reshape(key.shape)) for c in sort(proto, keys, [c.map(flat) for c in columns])]


def _network(proto: Protocol, key: Share, bits: int, tag: int, columns: Sequence[Share]) -> list[Share]:
    """Exchange neighbours layer by layer; keys are made distinct by their places, so that the sort is stable."""
    n = key.shape[1]
    distinct = proto.add_public(proto.mul_public(key, layout.constant(1 << tag)), layout.arange(n))
    items = proto.stack([x.map(layout.transpose(None)) for x in (distinct, *columns)], 1)  # (n, items, lanes)
    for low, high in order.comparators(n):
        first, second = items.map(layout.take(low)), items.map(layout.take(high))
        step = proto.sub(second, first)
        wrong = proto.b2a(proto.msb(step.map(layout.take((slice(None), slice(0, 1)))), bits + 1))
        step = proto.mul(wrong.map(layout.broadcast(step.shape)), step)
        moved = proto.concatenate([proto.add(first, step), proto.sub(second, step), items], 0)
        items = moved.map(layout.take(order.replaced(n, low, high)))
    columns_from = range(1, 1 + len(columns))
    return [items.map(layout.then(layout.take((slice(None), j)), layout.transpose(None))) for j in columns_from]


def argsort(proto: Protocol, keys: Sequence[Key]) -> Share:
    """The rows in ascending order: secret row numbers, one per row."""
    return sort(proto, keys, [row_numbers(proto, keys[0][0].shape[0])])[0]


def row_numbers(proto: Protocol, n: int) -> Share:
    """0 to n-1 as a share."""
    return proto.public(layout.arange(n))


def scatter(proto: Protocol, places: Share, columns: Sequence[Share]) -> list[Share]:
    """Row j goes to row places[j]: shuffle all, open the shuffled places (a random permutation), move. Four rounds."""
    return Scattered(proto, places, columns).columns


class Scattered:
    """``columns`` with row j moved to row places[j], and the way back for what is computed there."""

    def __init__(self, proto: Protocol, places: Share, columns: Sequence[Share]) -> None:
        """Four rounds."""
        self._proto = proto
        self._mix = proto.mix(places.shape[0])
        mixed = proto.shuffle([places, *columns], self._mix)
        self._rows = _opened(proto, mixed[0])
        rows = order.inverse(self._rows)
        self.columns = [c.map(layout.take(rows)) for c in mixed[1:]]

    def back(self, columns: Sequence[Share]) -> list[Share]:
        """Row places[j] of the columns moved to row j. Three rounds."""
        return self._proto.shuffle([c.map(layout.take(self._rows)) for c in columns], self._mix, undo=True)


def gather(proto: Protocol, places: Share, columns: Sequence[Share]) -> list[Share]:
    """Row j of the result is row places[j]: open the shuffled places, move, undo the shuffle. Seven rounds."""
    mix = proto.mix(places.shape[0])
    rows = _opened(proto, proto.shuffle([places], mix)[0])
    return proto.shuffle([c.map(layout.take(rows)) for c in columns], mix, undo=True)


def inverse(proto: Protocol, places: Share) -> Share:
    """The secret permutation that undoes ``places``. Four rounds."""
    return scatter(proto, places, [row_numbers(proto, places.shape[0])])[0]


def _opened(proto: Protocol, mixed: Share) -> Rows:
    """Shuffled row numbers, opened. Raises UsageError if they are no permutation."""
    n = mixed.shape[0]
    if n == 0:
        return order.identity(0)
    # One bit more than row numbers have: numbers beyond n are then found, or taken modulo a power of two above n.
    opened = proto.open_mixed(mixed, _row_bits(n) + 1)
    if opened is None:
        return order.identity(n)
    rows = order.places(opened)
    if rows is None:
        raise UsageError(f"expected a secret permutation: each of the row numbers 0 to {n - 1} once; got others")
    return rows
