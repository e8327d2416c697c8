"""Record linkage on secret tables: rows of several tables with the same key, side by side, and nobody learns which.

Keys are fingerprints, two whole numbers of 48 bits a row (data/keys.py). What is opened, and what an owner should know
before it lets its keys take part: docs/linkage.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from ..array import SecureArray
from ..context import Context
from ..errors import DataError, ShapeError, UsageError
from ..mpc import linkage, randomness
from ..mpc.protocol import Protocol
from ..mpc.shares import Flags, Places, Share
from ..ring import layout
from .flags import as_flags, moving, secret
from .order import settled
from .select import where

How = Literal["inner", "left"]

_ALIKE = "with a chance of 2^-24, two of the keys have the same hash: run it again"
_TWICE = (
    "link: none of the tables holds a key twice: leave repeated rows out (drop_repeats, duplicates = 'first' in the "
    "schema), or group_by the key first; or, " + _ALIKE
)


@dataclass(frozen=True)
class Linked:
    """Rows that belong together, in a uniform order that no party knows.

    ``rows``: their public number n. ``columns``: per table its columns (n, ...), of the scale, bound and kind given.
    ``matched``: of a left join, per other table secret booleans (n,), false where it lacks the key and its columns are
    0. ``valid``: 0/1 integers (n,), None where all rows are real; in the padding of an inner join every column is 0, in
    a left join rows of the first table stay what they were.
    """

    rows: int
    columns: list[list[SecureArray]]
    matched: list[SecureArray]
    valid: SecureArray | None


def link(
    keys: Sequence[SecureArray],
    columns: Sequence[Sequence[SecureArray]],
    *,
    open_size: Callable[[SecureArray], int],
    how: How = "inner",
    capacity: int | None = None,
    valid: Sequence[SecureArray | None] | None = None,
    minimum: int = 10,
) -> Linked:
    """Join tables by their keys. ``keys``: (rows_i, 2) per table, each key once in it; ``columns``: (rows_i, ...) each;
    ``valid``: secret booleans, or integers that are checked to be 0 or 1, (rows_i,) or None per table; other rows match
    nothing.

    * inner: the rows that all tables have. Their number is opened by ``open_size(secret number)``, which reveals it to
      all and returns it; below ``minimum`` a 0 is opened instead and DataError raised.
    * inner with ``capacity``: nothing is opened; the result has so many rows, ``valid`` says which are real, and more
      common rows than these are found by a guard (RangeViolated at the next opening).
    * left: all rows of the first table, with the others' columns where they have the key. Nothing is opened.

    Exact. A key twice in a table, or two keys alike in the hash that is sorted (a chance of 2^-24), is found by a
    guard. Rounds: those of a sort and about 35. Bytes for three tables of 100,000 rows and 20 columns: 290 MB sent by
    the busiest party, 355 MB for a left join. Raises ShapeError and UsageError for what does
    not fit together.
    """
    tables = _Inputs(keys, columns, valid, several=True)
    if how not in ("inner", "left"):
        raise UsageError(f"link: expected how= inner or left, got {how!r}")
    if capacity is not None and (how == "left" or capacity < 1):
        raise UsageError(
            f"link: capacity= is the public number of rows of an inner join, at least 1; got {capacity} for "
            f"how={how!r}. A left join has as many rows as its first table"
        )
    if how == "left":
        return tables.left()
    return tables.inner_open(open_size, minimum) if capacity is None else tables.inner_padded(capacity)


def members(keys: Sequence[SecureArray], valid: Sequence[SecureArray | None] | None = None) -> list[SecureArray]:
    """Per table 0/1 integers (rows_i,) in its own order: 1 where all tables have the row's key. Nothing is opened.

    For owners who want to learn their own common rows: reveal each mask to its owner alone. Cost as ``link`` without
    columns.
    """
    tables = _Inputs(keys, [[] for _ in keys], valid, several=True)
    proto, context = tables.proto, tables._context
    total = sum(tables.sizes)
    at, numbers = 0, []
    for n in tables.sizes:
        numbers.append([proto.public(layout.arange(n) + layout.constant(at))])
        at += n
    aligned = tables.aligned(numbers)
    flags = linkage.in_all(proto, aligned, len(tables.sizes))
    mask = linkage.each_row(proto, flags, Places(aligned.columns[0]), len(tables.sizes))
    assert mask.shape == (total,)
    out, at = [], 0
    for n in tables.sizes:
        out.append(SecureArray(context, mask.map(layout.take(slice(at, at + n))), 0, 1.0))
        at += n
    return out


def first_rows(keys: SecureArray, valid: SecureArray | None = None) -> SecureArray:
    """0/1 integers (rows,): 1 in the first valid row of each key. For a table that several owners brought.

    ``link(..., valid=[first_rows(keys), ...])`` leaves the repeated rows out. Nothing is opened. Cost: a ``sort``.
    """
    given = _Inputs([keys], [[]], [valid])
    proto = given.proto
    flags, violations = linkage.first_of_each(proto, given.keys[0], given.valid[0])
    given._context.guard(violations, _ALIKE)
    return SecureArray(given._context, flags.share, 0, 1.0, flags=True)


def drop_repeats(keys: SecureArray, valid: SecureArray | None = None) -> SecureArray:
    """The keys, but rows that are not valid or repeat the key of an earlier valid row have fresh random ones.

    So the first row of each key wins. Such rows then match nothing, and stay rows of a left join: to leave them out,
    pass ``first_rows`` as ``valid``, which also saves 384 bytes a row and party. Nothing is opened.
    """
    context, proto = keys._context, keys._context.protocol
    first = first_rows(keys, valid)._ring_share()
    n = keys.shape[0]
    # A random word beside the row's number: alike in two tables with a chance of 2^-48 a row.
    high = randomness.integers(proto, (n,), linkage.WORD_BITS)
    fresh = proto.stack([high, proto.public(layout.arange(n))], 1)
    flags = first.map(layout.then(layout.reshape((n, 1)), layout.broadcast((n, 2))))
    kept = proto.mul(flags, proto.sub(keys._ring_share(), fresh))
    return SecureArray(context, proto.add(fresh, kept), 0, keys.bound)


class _Inputs:
    """Tables to be linked, checked, as shares."""

    def __init__(
        self,
        keys: Sequence[SecureArray],
        columns: Sequence[Sequence[SecureArray]],
        valid: Sequence[SecureArray | None] | None,
        several: bool = False,
    ) -> None:
        flags = list(valid) if valid is not None else [None] * len(keys)
        if several and len(keys) < 2:
            raise UsageError(f"link: expected at least two tables, came {len(keys)}")
        _check(keys, columns, flags)
        self._context: Context = keys[0]._context
        real = [None if v is None else as_flags(v, f"link: the row mask of table {i}") for i, v in enumerate(flags)]
        self.proto: Protocol = settled(self._context)
        self.sizes = [len(k) for k in keys]
        self.keys = [k._ring_share() for k in keys]
        self.valid: list[Flags | None] = [None if v is None else moving(v) for v in real]
        self.kinds = [list(c) for c in columns]
        self.given = [[c.numeric() for c in each] for each in columns]

    def aligned(self, columns: Sequence[Sequence[Share]]) -> linkage.Aligned:
        """All rows sorted by key, with the guard set."""
        aligned = linkage.align(self.proto, self.keys, self.valid, columns)
        self._context.guard(aligned.violations, _TWICE)
        return aligned

    def _payload(self, flagged: bool) -> tuple[list[Share], list[int]]:
        """Per table one array (rows_i, width) of all columns, and how many of its columns are its own.

        ``flagged``: the first table's row mask is its last column.
        """
        proto, shares, widths = self.proto, [], []
        for i, (n, each) in enumerate(zip(self.sizes, self.given, strict=True)):
            parts = [c._ring_share().map(layout.reshape((n, layout.count(c.shape[1:])))) for c in each]
            mask = self.valid[i]
            if flagged and i == 0 and mask is not None:
                parts.append(mask.share.map(layout.reshape((n, 1))))
            shares.append(proto.concatenate(parts, 1) if parts else proto.public(layout.zeros((n, 0))))
            widths.append(shares[-1].shape[1])
        widest = max(widths)
        for i, x in enumerate(shares):
            if x.shape[1] < widest:
                filler = proto.public(layout.zeros((x.shape[0], widest - x.shape[1])))
                shares[i] = proto.concatenate([x, filler], 1)
        return shares, widths

    def _columns(self, rows: Share, widths: Sequence[int]) -> list[list[SecureArray]]:
        """The columns of all tables from one array (n, sum of widths)."""
        out: list[list[SecureArray]] = []
        start = 0
        for kinds, given, width in zip(self.kinds, self.given, widths, strict=True):
            made, at = [], start
            for kind, x in zip(kinds, given, strict=True):
                w = layout.count(x.shape[1:])
                shape = (rows.shape[0], *x.shape[1:])
                part = rows.map(layout.then(layout.take((slice(None), slice(at, at + w))), layout.reshape(shape)))
                # flags stay flags where each key stands once, which the guard set by ``aligned`` finds
                array = SecureArray(x._context, part, x.scale, x.bound, x._flags)
                made.append(self._flag(part) if kind.kind == "bool" else array)
                at += w
            out.append(made)
            start += width
        return out

    def _flag(self, share: Share) -> SecureArray:
        return SecureArray(self._context, self.proto.a2bits(share))

    def _inner(self) -> tuple[Flags, Share, list[int]]:
        """Flags of the rows of the result among all sorted rows, their columns, and widths per table."""
        payload, widths = self._payload(flagged=False)
        aligned = self.aligned([[p] for p in payload])
        flags = linkage.in_all(self.proto, aligned, len(self.sizes))
        return flags, linkage.side_by_side(self.proto, aligned.columns[0], widths), widths

    def inner_open(self, open_size: Callable[[SecureArray], int], minimum: int) -> Linked:
        flags, rows, widths = self._inner()
        most = float(min(self.sizes))
        count = SecureArray(self._context, flags.share.map(layout.total(None, False)), 0, most)
        shown = where(count >= minimum, count, 0) if minimum > 1 else count
        size = int(open_size(shown._stated(most)))
        if size == 0:
            raise DataError(
                f"link: fewer than {max(minimum, 1)} common rows, so the tables were not joined and their number stays "
                "secret. Check that all owners bring the same people and write their keys alike (role = 'key', "
                "normalize); the least number of rows is the job's choice"
            )
        picked = linkage.drawn(self.proto, flags, rows, size)
        return Linked(size, self._columns(picked, widths), [], None)

    def inner_padded(self, capacity: int) -> Linked:
        flags, rows, widths = self._inner()
        real, picked, beyond = linkage.drawn_padded(self.proto, flags, rows, capacity)
        self._context.guard(beyond, f"link: capacity={capacity} holds all common rows: raise capacity")
        valid = SecureArray(self._context, real.share, 0, 1.0, flags=True)
        return Linked(capacity, self._columns(picked, widths), [], valid)

    def left(self) -> Linked:
        payload, widths = self._payload(flagged=True)
        aligned = self.aligned([[p] for p in payload])
        flags, matched, rows = linkage.beside_first(self.proto, aligned, aligned.columns[0], widths)
        n, total = self.sizes[0], sum(self.sizes)
        others = [m.map(layout.reshape((total, 1))) for m in matched]
        picked = linkage.drawn(self.proto, flags, self.proto.concatenate([rows, *others], 1), n)
        width = sum(widths)
        found = [self._flag(picked.map(layout.take((slice(None), width + i)))) for i in range(len(matched))]
        mask = None
        if self.valid[0] is not None:
            # of the first table's rows: moved, not added
            real = picked.map(layout.take((slice(None), widths[0] - 1)))
            mask = SecureArray(self._context, real, 0, 1.0, flags=True)
        return Linked(n, self._columns(picked, widths), found, mask)


def _check(
    keys: Sequence[SecureArray], columns: Sequence[Sequence[SecureArray]], valid: Sequence[SecureArray | None]
) -> None:
    if len(columns) != len(keys) or len(valid) != len(keys) or not keys:
        raise UsageError(
            f"link: expected keys, columns and row masks of the same tables, came {len(keys)}, {len(columns)} and "
            f"{len(valid)}"
        )
    for i, (key, each, flags) in enumerate(zip(keys, columns, valid, strict=True)):
        n = key.shape[0] if key.shape else 0
        if key.shape != (n, 2) or n == 0:
            raise ShapeError(f"link: expected two words for each row of table {i}, and a row, came keys {key.shape}")
        if key.kind != "int" or key.bound > 2.0**linkage.WORD_BITS:
            raise UsageError(
                f"link: expected keys of table {i} as whole numbers up to 2^{linkage.WORD_BITS}, came {key!r} with "
                f"bound {key.bound:.3g}; make them with privity.data.keys.fingerprints"
            )
        if flags is not None:
            secret(f"link: the row mask of table {i}", flags)
        wrong = [c.shape for c in each if c.shape[:1] != (n,)]
        wrong += [flags.shape] if flags is not None and flags.shape != (n,) else []
        if wrong:
            raise ShapeError(f"link: table {i} has {n} keys, but a column or row mask of shape {wrong[0]}")
        if flags is not None and flags.kind == "fixed":
            raise UsageError(f"link: expected the row mask of table {i} as 0/1 integers or booleans, came {flags!r}")
