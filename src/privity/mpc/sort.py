"""Sorting on shares, written once over Protocol. Stable, ascending; ring integers in, shares out.

Three sorts, of which the cheapest on the session's link is taken; the choice follows from public numbers alone.

- By comparisons: shuffle the rows, then open how they compare. Every key is made distinct by its row number in the low
  bits, so the answers are those of a uniformly random order whatever the keys are: they say nothing about the data, not
  even how many keys are equal. Few bytes; about nine rounds for each of some ten batches.

  An owner may deal any ring value, whatever bound it declared. Differences of such keys would wrap around, and the
  answers contradict each other where other rows lie on different sides. So keys are first brought within two bits of
  their bound (``_within``): then there is one order of any values at all.
- By digits (radix.py): three rounds a digit of some bits, more bytes and computing. For links with long round trips.
- By a network, for many short lanes.

Source: Hamada et al., ICISC 2012 (shuffle, then open comparisons); the batched plan is in ring/order.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from ..ring import layout, order
from ..ring.order import Rows
from ..types import RANGE_BITS, RING_BITS
from . import compare, orders, radix, tables
from .orders import Key
from .permits import independent
from .protocol import Protocol, Scheme
from .shapes import Shapes
from .shares import Bits, Places, Share

_SPREAD = 3
"""Bits beyond those of a key that differences have, once the key was brought back within its bound."""
_CERTAIN = 24  # bits of a hash beyond those that count the pairs of rows: one of them agrees with a chance of 2^-24
_MOST = RANGE_BITS + 1 - _SPREAD  # bits of a key and a row number that are compared at once

# Seconds of computing, measured with the native kernels on a server's core. They only tip the choice.
_COMPARISON_S = 60e-9  # of 58 bits, and the bookkeeping of the plan
# All three parties': in a shuffle they wait for each other's work. One party's are a third.
_ROW_S, _FLAG_S = 330e-9, 100e-9  # of a pass of the radix sort, for each row and for each flag
_EXCHANGE_S = 250e-9  # of two elements of a network


@dataclass(frozen=True, slots=True)
class Choice:
    """Which sort is cheapest. width: bits of a digit, 0 for no radix sort. batch: see ``order.comparisons``. network:
    whether lanes pass a network. seconds: estimated.
    """

    width: int
    batch: int
    network: bool
    seconds: float


@dataclass(frozen=True, slots=True)
class Hashed:
    """Rows sorted by a hash of their key. ``same``: bits (n-1,), whether the next row has the same key. ``alike``: bits
    (n-1,), whether the next row has another key with the same hash: 0 but for a chance of 2^-24 in all (up to a million
    rows); where it is 1, rows with equal keys may lie apart.
    """

    columns: list[Share]
    same: Bits
    alike: Bits


def sort(proto: Protocol, keys: Sequence[Key], columns: Sequence[Share]) -> list[Share]:
    """``columns`` (arrays of n rows) ordered by the first key, among equals by the second and so on; else as they were.

    Rounds by comparisons: a truncation, a shuffle, and a sign and an opening for each of the batches of
    ``order.batches``; keys that do not fit one number of 61 bits together with a row number are sorted one after the
    other, the last first. By digits: see ``radix.sort``.
    """
    n = keys[0][0].shape[0]
    if n < 2:
        return list(columns)
    best = _choice(proto, n, 1, [bits for _, bits in keys], sum(c.size for c in columns))
    if best.width:
        return radix.sort(proto, keys, columns, best.width)
    return by_comparisons(proto, keys, columns, best.batch)


def argsort(proto: Protocol, keys: Sequence[Key]) -> Places:
    """The rows in ascending order: secret row numbers, one per row."""
    return Places(sort(proto, keys, [orders.row_numbers(proto, keys[0][0].shape[0])])[0])


def sort_lanes(proto: Protocol, key: Share, bits: int, columns: Sequence[Share]) -> list[Share]:
    """``columns`` of shape (lanes, n), each lane in ascending order of the key's lane; stable. |key| < 2^bits.

    Few long lanes are sorted together: by digits within each lane, by comparisons with the lane as the first key. Many
    short ones pass a sorting network: every layer costs a sign, its conversion (2 rounds) and a product.
    """
    lanes, n = key.shape
    if n < 2 or lanes == 0:
        return list(columns)
    flat = layout.reshape((lanes * n,))
    keys, moving = [(key.map(flat), bits)], [c.map(flat) for c in columns]
    best = _choice(proto, n, lanes, [bits], sum(c.size for c in columns))
    if best.network:
        return _network(proto, key, bits + orders.row_bits(n), orders.row_bits(n), columns)
    if best.width:
        moved = radix.sort(proto, keys, moving, best.width, lanes)
    else:
        if lanes > 1:
            keys.insert(0, (_lane_numbers(proto, lanes, n), (lanes - 1).bit_length()))
        moved = by_comparisons(proto, keys, moving, best.batch)
    return [c.map(layout.reshape(key.shape)) for c in moved]


def _lane_numbers(proto: Protocol, lanes: int, n: int) -> Share:
    number = orders.row_numbers(proto, lanes).map(layout.reshape((lanes, 1)))
    return number.map(layout.then(layout.broadcast((lanes, n)), layout.reshape((lanes * n,))))


# -- the choice --------------------------------------------------------------------------------------------------


def _choice(proto: Protocol, n: int, lanes: int, bits: Sequence[int], values: int) -> Choice:
    return choice(proto.of, n, lanes, tuple(bits), values)


@lru_cache(maxsize=512)
def choice(of: Scheme, n: int, lanes: int, bits: tuple[int, ...], values: int) -> Choice:
    """The cheapest sort of ``lanes`` times n rows by keys of these bits, with ``values`` values in all columns.

    Adds up what the protocol declares for each sort, on the link of its scheme, and what it computes. The same
    at all parties, and in a plan, since nothing but public numbers goes in.
    """
    rows = lanes * n
    batch = _batch(of, min(_MOST, sum(bits) + orders.row_bits(rows)) + _SPREAD)
    lane_bits = ((lanes - 1).bit_length(),) if lanes > 1 else ()
    found = [Choice(0, batch, False, _by_comparisons_s(of, rows, (*lane_bits, *bits), values, batch))]
    tag = orders.row_bits(n)
    if lanes > 1 and bits[0] + 1 + tag < RANGE_BITS:
        found.append(Choice(0, batch, True, _network_s(of, n, lanes, bits[0] + tag, values)))
    planes = _planes(of, bits)
    for width in range(1, min(radix.WIDEST, sum(planes)) + 1):
        shapes = Shapes(of)
        radix.spend(shapes, rows, planes, values, width)
        flags = sum(1 << w for w in radix.digit_widths(sum(planes), width))
        passes = len(radix.digit_widths(sum(planes), width))
        computing = rows * (passes * _ROW_S + flags * _FLAG_S)
        found.append(Choice(width, batch, False, of.seconds(shapes.planned) + computing))
    return min(found, key=lambda each: each.seconds)


def _planes(of: Scheme, bits: Sequence[int]) -> list[int]:
    """Bits of the joined keys of a radix sort."""
    nobody = Share((), (1,))
    return [b + 1 for _, b in radix.joined_keys(Shapes(of), [(nobody, b) for b in bits], radix.ROOM)]


def _compared_s(of: Scheme, count: int, bits: int) -> float:
    """One batch of comparisons, opened."""
    shapes = Shapes(of)
    signs = shapes.msb(Share((), (count,)), bits)
    shapes.open_bits(signs, permit=independent(signs))
    return of.seconds(shapes.planned) + count * _COMPARISON_S


def _batch(of: Scheme, bits: int) -> int:
    """How many comparisons cost as much as the rounds of one batch."""
    many = 1 << 20
    rounds = _compared_s(of, 1, bits)
    each = (_compared_s(of, many, bits) - rounds) / many
    return max(order.BATCH, round(rounds / each))


def _by_comparisons_s(of: Scheme, rows: int, bits: Sequence[int], values: int, batch: int) -> float:
    """A sort for each key that does not fit together with the others."""
    tag = orders.row_bits(rows)
    total = 0.0
    joined: list[int] = []
    for each in reversed(bits):
        if joined and joined[-1] + 1 + each <= _MOST - tag:
            joined[-1] += 1 + each
        else:
            joined.append(each)
    for each in joined:
        shapes = Shapes(of)
        compared = min(_MOST, each + tag)
        _within(shapes, Share((), (rows,)), compared)
        shapes.shuffle([Share((), (rows,)), Share((), (values,))], shapes.mix(rows))
        total += of.seconds(shapes.planned)
        total += sum(_compared_s(of, size, compared + _SPREAD) for size in order.batches(rows, batch))
    return total


def _network_s(of: Scheme, n: int, lanes: int, bits: int, values: int) -> float:
    shapes, items = Shapes(of), 1 + values // (lanes * n)
    pairs = 0
    for low, _ in order.comparators(n):
        count = lanes * low.size
        shapes.b2a(shapes.msb(Share((), (count,)), bits + 1))
        shapes.mul(Share((), (count * items,)), Share((), (count * items,)))
        pairs += count
    return of.seconds(shapes.planned) + pairs * items * _EXCHANGE_S


# -- by comparisons ----------------------------------------------------------------------------------------------


def by_comparisons(proto: Protocol, keys: Sequence[Key], columns: Sequence[Share], batch: int) -> list[Share]:
    """As ``sort``. ``batch``: how many comparisons cost as much as the rounds of a batch."""
    room = _MOST - orders.row_bits(keys[0][0].shape[0])
    moving, later = list(columns), _fitting(proto, keys, room)
    while later:
        (key, bits), *later = later
        moving = _sort_once(proto, key, bits, [*moving, *(k for k, _ in later)], batch)
        later = [(k, b) for k, (_, b) in zip(moving[len(columns) :], later, strict=True)]
        moving = moving[: len(columns)]
    return moving


def _fitting(proto: Protocol, keys: Sequence[Key], room: int) -> list[Key]:
    """The keys from last to first, joined where they fit ``room`` bits together, cut in two where one does not."""
    out: list[Key] = []
    for key, bits in radix.joined_keys(proto, keys, room):
        out.extend(_halves(proto, key, bits, room) if bits > room else [(key, bits)])
    return out


def _halves(proto: Protocol, key: Share, bits: int, room: int) -> list[Key]:
    """key = high * 2^cut + low with 0 <= low < 2^cut, the low part first; high has ``room`` bits at most."""
    cut = bits - room
    planes = proto.b2a(proto.bits(key, cut))
    low = planes if cut == 1 else proto.mul_public(planes, layout.column([1 << j for j in range(cut)], 1)).map(
        layout.total(0, False)
    )  # fmt: skip
    return [(low, cut), (proto.truncate(proto.sub(key, low), cut), room)]


def _sort_once(proto: Protocol, key: Share, bits: int, columns: Sequence[Share], batch: int) -> list[Share]:
    """By one key, which the row number makes distinct: shuffle, ask for comparisons, put the rows in order."""
    n = key.shape[0]
    if n < 2:
        return list(columns)
    tag = orders.row_bits(n)
    distinct = proto.add_public(proto.mul_public(key, layout.constant(1 << tag)), layout.arange(n))
    distinct = _within(proto, distinct, bits + tag)
    number, *mixed = proto.shuffle([distinct, *columns], proto.mix(n))

    def first_is_less(first: Rows, second: Rows) -> Bits:
        left, right = number.map(layout.take(first)), number.map(layout.take(second))
        return proto.msb(proto.sub(left, right), bits + tag + _SPREAD)

    rows = layout.take(_ordered(proto, n, batch, first_is_less))
    return [c.map(rows) for c in mixed]


def _within(proto: Protocol, x: Share, bits: int) -> Share:
    """x where |x| < 2^bits, as it should be; of any other ring value another one below 2^(bits + 2), equal to it modulo
    2^(bits + 2). Differences of two are below 2^(bits + 3), so their signs are those of one order.

    The truncation of a multiple is exact within range, and for any ring value its result is small.
    """
    shift = RANGE_BITS - bits
    return proto.truncate(proto.mul_public(x, layout.constant(1 << shift)), shift)


def _ordered(proto: Protocol, n: int, batch: int, first_is_less: Callable[[Rows, Rows], Bits]) -> Rows:
    """The order of n shuffled rows: opens the comparisons that the plan of a sort asks for."""
    plan = order.comparisons(n, batch)
    first, second = next(plan)
    while True:
        answers = first_is_less(first, second)
        answer = proto.open_bits(answers, permit=independent(answers))
        try:
            first, second = plan.send(answer)
        except StopIteration as done:
            rows: Rows = done.value
            return rows


def sort_hashed(proto: Protocol, key: Share, bits: int, columns: Sequence[Share]) -> Hashed:
    """``columns`` ordered by ``key`` (n, words): rows with equal keys together and in the order they had, else in any
    order. Keys are equal if the low ``bits`` bits of all words are.

    Sorts by a hash and row numbers. The hash is drawn here, when keys are dealt, so that nobody can choose keys for
    which it fails. Rounds: a shuffle, an opening, the bits of words and of row numbers, for each batch of
    ``order.batches`` those of ``compare.less`` and an opening, and ANDs over all bits of the key and of the hash.
    """
    n, words = key.shape
    tag = orders.row_bits(n)
    serial = _serial_is_cheaper(proto.of, words * n, bits)
    key, row, *mixed = proto.shuffle([key, orders.row_numbers(proto, n), *columns], proto.mix(n))
    every = proto.bits(key.map(layout.then(layout.transpose(None), layout.reshape((words * n,)))), bits, serial)
    parts = [proto.map_bits(every, layout.take(slice(j * n, j * n + n))) for j in range(words)]
    whole = tables.joined(parts)
    hashed = _hashed(proto, whole, min((n * (n - 1) // 2).bit_length() + _CERTAIN, RING_BITS))
    planes = compare.Planes(proto, tables.joined([proto.bits(row, tag), hashed]))

    def first_is_less(first: Rows, second: Rows) -> Bits:
        return compare.less(proto, *planes.pairs(first, second))

    batch = _words_batch(proto.of, n, tag + hashed.planes)
    rows = _ordered(proto, n, batch, first_is_less)
    same, alike = (_as_the_next(proto, b, rows) for b in (whole, hashed))
    return Hashed([c.map(layout.take(rows)) for c in mixed], same, proto.xor(alike, same))


def _serial_is_cheaper(of: Scheme, n: int, bits: int) -> bool:
    """Whether the bits of n numbers are better made one after the other, on the session's link."""
    serial, parallel = (of.seconds(of.cost("bits", n, count=bits, serial=s)) for s in (True, False))
    return serial < parallel


def _as_the_next(proto: Protocol, b: Bits, rows: Rows) -> Bits:
    """Whether each of these rows but the last has the same bits as the next: (n-1,)."""
    differing = proto.map_bits(b, layout.then(layout.take(rows), layout.differences()))
    return tables.all_planes(proto, proto.invert(differing))


def _hashed(proto: Protocol, b: Bits, count: int) -> Bits:
    """``count`` XORs, each of planes drawn at random by all parties together: two different inputs agree in all with a
    chance of 2^-count. The draw is public.
    """
    drawn = proto.random_bits((b.planes,), count)
    coins = proto.open_bits(drawn, permit=independent(drawn))
    if coins is None:
        return Bits((), b.shape, count)
    each = [[p for p, coin in enumerate(coins.tolist()) if coin >> i & 1] for i in range(count)]
    return tables.joined([tables.xor_of(b, planes) for planes in each])


@lru_cache(maxsize=512)
def _words_batch(of: Scheme, n: int, planes: int) -> int:
    """As ``batch`` in ``by_comparisons``, for comparisons of bits: the best of a few."""

    def seconds(count: int) -> float:
        shapes, answers = Shapes(of), Bits((), (count,))
        shapes.open_bits(answers, permit=independent(answers))
        comparing = compare.cost(of, count, planes, compare.by_halves(of, count, planes))
        return of.seconds(comparing + shapes.planned) + count * _COMPARISON_S

    found = [order.BATCH << j for j in range(8)]
    return min(found, key=lambda batch: sum(seconds(size) for size in order.batches(n, batch)))


# -- by a network ------------------------------------------------------------------------------------------------


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
