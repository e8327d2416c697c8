"""Record linkage, written once over Protocol: rows of several inputs that have the same key, side by side.

    key   input  columns            next row has the same key    all three have it: rows j, j+1, j+2 are one person
    17    0      a a a -            1                            1
    17    1      b b - -            1                            0
    17    2      c c c c            0                            0
    23    1      b b - -            0                            0

The rows of all inputs are sorted by key, among equal keys by input. A key stands at most once in each input, so the
rows that belong together are neighbours in the order of the inputs: one comparison with the next row finds them, and
putting them side by side is a local shift. Inputs share the columns that travel: as many as the widest has.

A key is two words of 48 bits of a hash, which is hashed once more with numbers drawn by all compute parties when the
keys are dealt; the sort compares this second hash, and then row numbers. Equality is decided on all 96 bits. Two
different keys with the same second hash (chance 2^-24) may lie between rows that belong together; they are counted in
``Aligned.violations`` instead of being lost.

Opens comparisons and row numbers in shuffled order. They say nothing whatever an owner deals as keys, repeated ones and
numbers of any size among them: row numbers make all rows differ (mpc/sort.py). Nor can an owner choose keys that agree
with somebody's in what is sorted. Rows that are not valid get keys of their own, marked in the lowest bit, so they
match nothing.

Source: sort, then compare neighbours: Huang, Evans, Katz, NDSS 2012; with payloads on shares: Asharov et al., CCS 2023.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..ring import layout
from . import orders, sort, tables
from .protocol import Protocol
from .shares import Bits, Flags, Places, Share

WORD_BITS = 48
"""Bits in each of the two words of a key."""
_COUNTED = WORD_BITS + 1
"""Bits of the words that are compared: below those of the key, whether the row is left out."""


@dataclass(frozen=True, slots=True)
class Aligned:
    """The rows of all inputs, equal keys together, among these in the order of the inputs.

    ``source`` (n,): number of the input that a row is from. ``same``: bits (n-1,), whether the next row has the same
    key. ``columns``: as given, in this order. ``violations``: one number, 0 unless two different keys agree in what is
    sorted or an input holds a key twice; guard it.
    """

    source: Share
    same: Bits
    columns: tuple[Share, ...]
    violations: Share

    @property
    def rows(self) -> int:
        return self.source.shape[0]


def align(
    proto: Protocol, keys: Sequence[Share], valid: Sequence[Flags | None], columns: Sequence[Sequence[Share]]
) -> Aligned:
    """Sort the rows of all inputs by key and compare neighbours.

    ``keys``: (rows_i, 2) for each input i, of which each has a row at least; ``valid``: flags (rows_i,) or None;
    ``columns``: for each input equally many arrays, item c of all inputs of the same width.

    Rounds: 1 if there are flags, ``sort_hashed``, and at most 14. Bytes for three inputs of 100,000 rows: 112 MB
    at the busiest party, nearly all for the sort, and up to 16 more for each value of a column.
    """
    count = len(keys)
    tag = (count - 1).bit_length()
    key = _marked(proto, keys, valid)
    sources = [proto.public(layout.filled((k.shape[0],), i)) for i, k in enumerate(keys)]
    source = proto.concatenate(sources, 0)
    joined = [proto.concatenate(list(each), 0) for each in zip(*columns, strict=True)]
    done = sort.sort_hashed(proto, key, _COUNTED, [source, *joined])
    source, *moved = done.columns
    twice = proto.and_(done.same, proto.is_zero(_step(proto, source), tag))
    wrong = proto.b2a(proto.xor(done.alike, twice)).map(layout.total(None, False))
    return Aligned(source, done.same, tuple(moved), wrong)


def _marked(proto: Protocol, keys: Sequence[Share], valid: Sequence[Flags | None]) -> Share:
    """The keys of all inputs, words doubled; in rows that are not valid an odd first word instead, each row its own.

    Flags are 0 or 1, so no key that somebody deals can be that of such a row.
    """
    double = layout.constant(2)
    first = [proto.mul_public(k.map(layout.take((slice(None), 0))), double) for k in keys]
    second = [proto.mul_public(k.map(layout.take((slice(None), 1))), double) for k in keys]
    flagged = [i for i, flags in enumerate(valid) if flags is not None]
    if flagged:
        outside, above = [], 1
        for word in first:
            outside.append(double * layout.arange(word.shape[0]) + layout.constant(above))
            above += 2 * word.shape[0]
        given = [proto.add_public(first[i], layout.negative(outside[i])) for i in flagged]
        flags = [v.share for v in valid if v is not None]
        kept = proto.mul(proto.concatenate(flags, 0), proto.concatenate(given, 0))
        at = 0
        for i in flagged:
            rows = first[i].shape[0]
            first[i] = proto.add_public(kept.map(layout.take(slice(at, at + rows))), outside[i])
            at += rows
    return proto.stack([proto.concatenate(first, 0), proto.concatenate(second, 0)], 1)


def _step(proto: Protocol, x: Share) -> Share:
    """Next row minus this row, (n-1,)."""
    return proto.sub(x.map(layout.take(slice(1, None))), x.map(layout.take(slice(None, -1))))


def _runs(proto: Protocol, same: Bits, longest: int) -> list[Bits]:
    """Item d-1: whether row j and the d rows behind it have one key, for the n-d rows that have so many behind them."""
    out = [same]
    for d in range(1, longest):
        rows = same.size - d
        first = proto.map_bits(out[-1], layout.take(slice(0, rows)))
        out.append(proto.and_(first, proto.map_bits(same, layout.take(slice(d, d + rows)))))
    return out


def _padded(proto: Protocol, x: Share, rows: int) -> Share:
    """Zeros behind the last row, up to ``rows``."""
    missing = rows - x.shape[0]
    return proto.concatenate([x, proto.public(layout.zeros((missing, *x.shape[1:])))], 0) if missing > 0 else x


def _behind(x: Share, shift: int) -> Share:
    """Row j holds row j + shift; zeros behind the last."""
    return tables.previous(x, -shift) if shift else x


def _columns(x: Share, count: int) -> Share:
    """The first ``count`` columns."""
    return x.map(layout.take((slice(None), slice(0, count))))


# -- rows that all inputs have ---------------------------------------------------------------------------------------


def in_all(proto: Protocol, aligned: Aligned, inputs: int) -> Flags:
    """1 in the first of ``inputs`` neighbours with one key, (n,): one row for each key that all inputs have.

    One round for each input but two, and at most 2.
    """
    runs = _runs(proto, aligned.same, inputs - 1)
    return Flags(_padded(proto, proto.b2a(runs[-1]), aligned.rows))


def side_by_side(proto: Protocol, payload: Share, widths: Sequence[int]) -> Share:
    """Row j: the first widths[0] columns of row j, the first widths[1] of row j + 1, and so on. Local."""
    parts = [_behind(_columns(payload, w), i) for i, w in enumerate(widths)]
    return proto.concatenate(parts, 1)


def each_row(proto: Protocol, flags: Flags, numbers: Places, inputs: int) -> Share:
    """Whether each row's key is in all inputs, rows where ``numbers`` puts them: 0/1 (n,) where each input holds a key
    once. Two rounds.
    """
    total = flags.share
    for d in range(1, inputs):
        total = proto.add(total, tables.previous(flags.share, d))
    return orders.scatter(proto, numbers, [total])[0]


# -- rows of the first input, and what belongs to them ---------------------------------------------------------------


def beside_first(
    proto: Protocol, aligned: Aligned, payload: Share, widths: Sequence[int]
) -> tuple[Flags, list[Share], Share]:
    """For rows of the first input: flags of these (n,); per other input whether it has the key (n,); all columns.

    Columns of inputs that lack the key are 0. Rows of other inputs hold nothing of use. At most 6 rounds for each input
    but the first, and 6. Bytes per row and party: 8 for each column of the others, 4 (inputs - 1) inputs and 10 for
    flags.
    """
    count, n = len(widths), aligned.rows
    source = _each(proto, aligned.source, count)
    runs = _runs(proto, aligned.same, count - 1)
    found: list[list[tuple[int, Share]]] = [[] for _ in range(count)]  # (rows behind, flags) of each input
    for d, run in enumerate(runs, 1):
        rows = n - d
        mine = proto.and_(run, proto.map_bits(source[0], layout.take(slice(0, rows))))
        theirs = tables.joined([proto.map_bits(s, layout.take(slice(d, n))) for s in source[d:]])
        flags = proto.b2a(proto.and_(tables.chosen(mine, [0] * (count - d)), theirs))
        flags = flags.map(layout.reshape((count - d, rows)))
        for i in range(d, count):
            found[i].append((d, _padded(proto, flags.map(layout.take(i - d)), n)))
    columns, matched = [_columns(payload, widths[0])], []
    for i in range(1, count):
        total = found[i][0][1]
        for _, more in found[i][1:]:
            total = proto.add(total, more)
        matched.append(total)
        columns.append(_selected(proto, found[i], _columns(payload, widths[i])))
    return Flags(proto.b2a(source[0])), matched, proto.concatenate(columns, 1)


def _each(proto: Protocol, source: Share, count: int) -> list[Bits]:
    """For each input, whether a row is from it."""
    spread = source.map(layout.broadcast((count, *source.shape)))
    numbers = layout.negative(layout.column(range(count), 1))
    hot = proto.is_zero(proto.add_public(spread, numbers), (count - 1).bit_length())
    return [proto.map_bits(hot, layout.take(i)) for i in range(count)]


def _selected(proto: Protocol, found: Sequence[tuple[int, Share]], payload: Share) -> Share:
    """Row j: row j + d of the payload for the d whose flag is set, else zeros. One round."""
    flat = layout.reshape((payload.size,))
    n = payload.shape[0]
    spread = layout.then(layout.reshape((n, 1)), layout.broadcast(payload.shape), flat)
    flags = proto.stack([f.map(spread) for _, f in found], 1)
    values = proto.stack([_behind(payload, d).map(flat) for d, _ in found], 1)
    return proto.dot(flags, values).map(layout.reshape(payload.shape))


# -- results ---------------------------------------------------------------------------------------------------------


def drawn(proto: Protocol, flags: Flags, columns: Share, rows: int) -> Share:
    """The ``rows`` rows with a flag, of which there are so many, in a uniform secret order.

    Rounds: 3 to bring them in front, 2 for their order. Bytes in all: 32 a value, for all rows and then for ``rows``.
    """
    (moved,) = tables.in_front(proto, flags, [columns])
    return proto.shuffle([_first(proto, moved, rows)], proto.mix(rows))[0]


def drawn_padded(proto: Protocol, flags: Flags, columns: Share, rows: int) -> tuple[Flags, Share, Share]:
    """``rows`` rows in a uniform secret order, those with a flag among them and zeros: flags, columns, flags left out.

    A round more than ``drawn``.
    """
    first, moved = tables.in_front(proto, flags, [flags.share, columns])
    beyond = first.map(layout.then(layout.take(slice(rows, None)), layout.total(None, False)))
    first = _first(proto, first, rows)
    (moved,) = tables.masked(proto, first, [_first(proto, moved, rows)])
    first, moved = proto.shuffle([first, moved], proto.mix(rows))
    return Flags(first), moved, beyond


def _first(proto: Protocol, x: Share, rows: int) -> Share:
    """The first rows, zeros if there are fewer."""
    return _padded(proto, x.map(layout.take(slice(0, rows))), rows)


# -- one table -------------------------------------------------------------------------------------------------------


def first_of_each(proto: Protocol, keys: Share, valid: Flags | None) -> tuple[Flags, Share]:
    """1 in the first valid row of each key (n,), rows as given; and violations as in ``Aligned``.

    ``sort_hashed``, and at most 15 rounds.
    """
    n = keys.shape[0]
    if n < 2:
        return valid or Flags(proto.public(layout.ones((n,)))), proto.public(layout.zeros(()))
    done = sort.sort_hashed(proto, _marked(proto, [keys], [valid]), _COUNTED, [orders.row_numbers(proto, n)])
    rows, same, differing = done.columns[0], done.same, done.alike
    found = proto.b2a(tables.joined([same, differing]))
    again = proto.concatenate([proto.public(layout.zeros((1,))), found.map(layout.take(0))], 0)
    wrong = found.map(layout.then(layout.take(1), layout.total(None, False)))
    first = tables.neither(proto, Flags(orders.scatter(proto, Places(rows), [again])[0]))
    return first if valid is None else tables.both(proto, valid, first), wrong
