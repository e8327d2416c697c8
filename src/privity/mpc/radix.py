"""Oblivious radix sort on shares, written once over Protocol. Stable, ascending; no value is compared.

A pass orders the rows by one digit of w bits. Flags say which of the 2^w digits a row has; running sums of the flags,
those of smaller digits first, are the places of the rows; the rows are shuffled with their places, and the shuffled
places opened: a uniformly random permutation. Only the remaining bits of the key and the row's number travel, packed;
the columns are moved once, at the end.

Flags cost no conversion in a pass. Random digits are prepared with their flags; the key's digit, masked by a random
one, is opened together with the places of the pass before, and turns the flags into the right ones. Three rounds a
pass.

Source: Hamada et al., ePrint 2014/121; Chida et al., ePrint 2019/695; Asharov et al., ePrint 2022/1595. The opened,
masked digits are derived here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..ring import layout, order
from ..types import RANGE_BITS
from . import orders, tables
from .orders import Key
from .permits import independent
from .protocol import Protocol
from .shares import Bits, Places, Share, Shown

ROOM = RANGE_BITS + 1
"""Bits that one key may have."""
WIDEST = 6
"""Bits of the widest digit that is worth its flags."""

_PREPARED = 1 << 24  # flags that are prepared at once: 256 MiB


def sort(proto: Protocol, keys: Sequence[Key], columns: Sequence[Share], width: int = 3, lanes: int = 1) -> list[Share]:
    """``columns`` (arrays of lanes * n rows), each lane ordered by the first key, among equals by the second and so on.

    |key| < 2^bits, bits up to 63. ``width``: bits of a digit at most. Opened to the compute parties: key digits under
    uniform masks, and permutations of shuffled rows. Rounds: the decomposition of each key, 2 for random digits, 1, 3
    for each digit, and 2 more if there are two digits or more.
    """
    n = keys[0][0].shape[0]
    if n < 2:
        return list(columns)
    bits = orders.row_bits(n) + 1
    rest = _planes(proto, keys)
    widths = digit_widths(rest.planes, width)
    prepared = _prepared(proto, n, widths, bits)
    mask, table = next(prepared)
    masked = proto.xor(rest.rows(0, widths[0]), mask)
    opened = proto.open_bits(masked, permit=independent(masked))
    digits = layout.zeros((n,)) if opened is None else opened
    rest = rest.rows(widths[0], rest.planes)
    if len(widths) > 1:
        rest = tables.joined([rest, _numbers(proto, n)])
    places = _places(proto, table.map(order.turned(digits, widths[0])), lanes)
    for width in widths[1:]:
        mask, table = next(prepared)
        digit = rest.rows(0, width)
        mixed = proto.shuffle_and_open(
            [Shown(places, bits), Shown(digit, width, mask)], proto.mix(n),
            bits=rest.rows(width, rest.planes), permit=independent(places, digit),
        )  # fmt: skip
        rows = order.inverse(orders.rows_of(mixed.opened, n))
        digits = layout.zeros((n,)) if mixed.opened is None else layout.take(rows)(mixed.opened[1])
        assert mixed.bits is not None
        rest = proto.map_bits(mixed.bits, layout.take(rows))
        places = _places(proto, table.map(layout.then(layout.take(rows), order.turned(digits, width))), lanes)
    if len(widths) > 1:  # from the order before the last pass back to the one at the beginning
        mixed = proto.shuffle_and_open(
            [Shown(rest, rest.planes)], proto.mix(n), [places], permit=independent(rest)
        )
        places = mixed.items[0].map(layout.take(order.inverse(orders.rows_of(mixed.opened, n))))
    return orders.scatter(proto, Places(places), columns)  # ranks by digits that are bits, whatever the keys are


def digit_widths(planes: int, width: int) -> list[int]:
    """Key bits cut in as few digits of ``width`` bits at most as there can be, of nearly equal widths."""
    count = -(-planes // width)
    return [planes // count + (j < planes % count) for j in range(count)]


def _planes(proto: Protocol, keys: Sequence[Key]) -> Bits:
    """All bits of the keys, the lowest of the last key first; 2^bits is added, so that they count as unsigned."""
    joined, blocks = joined_keys(proto, keys, ROOM), []
    for key, bits in joined:
        blocks.append(proto.bits(proto.add_public(key, layout.constant(1 << bits)), bits + 1))
    return blocks[0] if len(blocks) == 1 else tables.joined(blocks)


def joined_keys(proto: Protocol, keys: Sequence[Key], room: int) -> list[Key]:
    """The keys from last to first, joined to one number where they fit ``room`` bits together. Local."""
    out: list[Key] = []
    for key, bits in reversed(keys):
        if out and out[-1][1] + 1 + bits <= room:
            low, low_bits = out.pop()
            key = proto.add(proto.mul_public(key, layout.constant(1 << (low_bits + 1))), low)
            bits += low_bits + 1
        out.append((key, bits))
    return out


def _numbers(proto: Protocol, n: int) -> Bits:
    """Row numbers as bits. Local."""
    number = layout.arange(n)
    planes = [layout.low_bits(number >> layout.constant(j), 1) for j in range(orders.row_bits(n))]
    return tables.joined([proto.a2bits(proto.public(plane)) for plane in planes])


def _prepared(proto: Protocol, n: int, widths: Sequence[int], bits: int) -> Iterator[tuple[Bits, Share]]:
    """Random digits with their flags, for as many passes at once as memory allows."""
    for group in groups(n, widths):
        yield from proto.random_digits(n, group, bits)


def groups(n: int, widths: Sequence[int]) -> list[list[int]]:
    """The widths in groups that are prepared at once."""
    out: list[list[int]] = []
    room = 0
    for width in widths:
        if room < n << width:
            out.append([])
            room = max(_PREPARED, n << width)
        out[-1].append(width)
        room -= n << width
    return out


def _places(proto: Protocol, flags: Share, lanes: int) -> Share:
    """Where each row goes if rows are ordered by digit and keep their order otherwise, within each lane. One round.

    flags: (n, digits), one 1 in each row. The place is the number of flags before a row's own, those of smaller digits
    first.
    """
    n = flags.shape[0]
    places = proto.dot(flags, flags.map(order.ranked(lanes)))
    return proto.add_public(places, order.lane_starts(n, lanes) - layout.constant(1))


def spend(shapes: Protocol, n: int, planes: Sequence[int], values: int, width: int) -> None:
    """On shapes: the operations of a sort of n rows with ``values`` values in all columns; planes: bits of each key."""
    widths = digit_widths(sum(planes), width)
    bits, numbers, rest = orders.row_bits(n) + 1, orders.row_bits(n), sum(planes)
    rows, row = Share((), (n,)), [Share((), (n,))]
    for each in planes:
        shapes.bits(rows, each)
    for group in groups(n, widths):
        shapes.random_digits(n, group, bits)
    first = Bits((), (n,), widths[0])
    shapes.open_bits(first, permit=independent(first))
    shapes.dot(Share((), (n, 1)), Share((), (n, 1)))
    mix = shapes.mix(n)
    for j in range(1, len(widths)):
        digit = Bits((), (n,), widths[j])
        rest -= widths[j - 1]
        left = Bits((), (n,), rest - widths[j] + numbers)
        shown = [Shown(rows, bits), Shown(digit, widths[j], digit)]
        shapes.shuffle_and_open(shown, mix, bits=left, permit=independent(rows, digit))
        shapes.dot(Share((), (n, 1)), Share((), (n, 1)))
    if len(widths) > 1:
        number = Bits((), (n,), numbers)
        shapes.shuffle_and_open([Shown(number, numbers)], mix, row, permit=independent(number))
    shapes.shuffle_and_open([Shown(rows, bits)], mix, [Share((), (n, values // n))], permit=independent(rows))
