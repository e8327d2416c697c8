"""Groups of secret rows with equal keys, and what each group has together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..array import SecureArray
from ..errors import ShapeError, UsageError
from ..mpc import sort as sorting
from ..mpc import tables
from ..mpc.shares import Flags, Share
from ..ring import layout
from . import ratio
from .flags import as_flags, neither
from .nullable import NullableArray, counted, same
from .order import settled, sort_key

AGGREGATES = ("sum", "count", "mean", "min", "max")

Column = SecureArray | NullableArray


@dataclass(frozen=True)
class Groups:
    """One row per group, groups in ascending order of their keys, then empty rows up to the public capacity.

    ``keys``: the secret keys. ``valid``: secret booleans, true for groups, false for the empty rows, in which all else
    is 0. ``groups["name"]``: an aggregate; ``counts["name"]``: the cells behind it, as
    ``disclosure.release(s, groups["name"], groups.counts["name"], ...)`` wants them. ``missing``: for each key flags of
    the groups that stand for an empty cell, in which the key is 0, or None; they come after the others.
    """

    keys: tuple[SecureArray, ...]
    valid: SecureArray
    aggregates: Mapping[str, SecureArray]
    counts: Mapping[str, SecureArray] = field(default_factory=dict)
    missing: tuple[SecureArray | None, ...] = ()

    def __getitem__(self, name: str) -> SecureArray:
        try:
            return self.aggregates[name]
        except KeyError:
            have = ", ".join(self.aggregates) or "none"
            raise UsageError(f"the groups have no aggregate {name!r}; their aggregates: {have}") from None


def group_by(
    keys: Column | Sequence[Column],
    aggregates: Mapping[str, tuple[str, Column | None]],
    *,
    capacity: int,
    valid: SecureArray | None = None,
    keep_missing: bool = False,
) -> Groups:
    """Aggregates of rows with equal keys; nobody learns the keys, the sizes or the number of groups.

    ``aggregates``: name -> (one of sum, count, mean, min, max; a secret column, for count None for all rows).
    ``capacity``: public number of rows of the result; more groups are found by a guard (RangeViolated at the next
    opening). ``valid``: secret booleans, or integers that are checked to be 0 or 1; other rows are left out.
    Columns of tables bring their masks: rows with an empty key are left out, or with ``keep_missing`` are groups of
    their own, the last ones; aggregates are those of the cells that are there, and 0 for a group without any.
    Sums, counts, minima and maxima are exact; a mean has the error of a division.

    Cost: one ``sort`` (one more for each further column with min or max, and for both of one with empty cells), about
    10 rounds, and those of a division.
    """
    listed: list[Any] = [keys] if isinstance(keys, SecureArray | NullableArray) else list(keys)
    columns = [c for _, c in aggregates.values() if c is not None]
    wrong = [n for n, (how, c) in aggregates.items() if how not in AGGREGATES or (c is None and how != "count")]
    if wrong:
        raise UsageError(f"group_by: {wrong[0]!r}: expected (one of {', '.join(AGGREGATES)}; a column, None for count)")
    if not listed or any(not isinstance(x, SecureArray | NullableArray) for x in [*listed, *columns]):
        raise UsageError("group_by: expected secret arrays as keys and columns")
    if valid is not None and not isinstance(valid, SecureArray | NullableArray):
        as_flags(valid, "group_by: valid")
    given = [*listed, *columns, *([valid] if valid is not None else [])]
    if any(a.ndim != 1 for a in given) or len({a.shape for a in given}) > 1:
        raise ShapeError(f"group_by: expected keys, columns and mask of shape (n,), came {[a.shape for a in given]}")
    if len(given[0]) == 0 or capacity < 1:
        raise UsageError(f"group_by: expected rows and a capacity of at least 1, got {len(given[0])} and {capacity}")
    gaps: list[SecureArray | None] = [None] * len(listed)
    if keep_missing:
        gaps = [k.missing if isinstance(k, NullableArray) else None for k in listed]
        listed = [k.fillna(0) if isinstance(k, NullableArray) else k for k in listed]
    real, plain = counted("group_by", valid, *listed)
    return _Grouping(plain, gaps, real, capacity).result(_prepared(aggregates, real))


@dataclass(frozen=True)
class _Wanted:
    """One aggregate: ``values`` as they are summed or ordered; ``present``: flags of their cells, None for all rows;
    ``bound`` of what comes out.
    """

    how: str
    values: SecureArray | None = None
    present: SecureArray | None = None
    bound: float = 1.0


def _prepared(
    aggregates: Mapping[str, tuple[str, Column | None]], valid: SecureArray | None
) -> dict[str, _Wanted]:
    made: dict[tuple[int, str], _Wanted] = {}
    out: dict[str, _Wanted] = {}
    for name, (how, column) in aggregates.items():
        key = (id(column), how if how in ("min", "max") else "")
        if key not in made:
            made[key] = _cells(how, column, valid)
        out[name] = _Wanted(how, made[key].values, made[key].present, made[key].bound)
    return out


def _cells(how: str, column: Column | None, valid: SecureArray | None) -> _Wanted:
    if not isinstance(column, NullableArray):
        x = None if column is None else column.numeric()
        return _Wanted(how, x, None, 1.0 if x is None else x.bound)
    everywhere = column.missing is None and column.valid is not None and same(column.valid, valid)
    x = column.filled(0)
    present = None if everywhere else column.present
    bound = x.bound
    if present is not None and how in ("min", "max"):  # empty cells behind all others of the group
        x = x + neither(present) * ((1 if how == "min" else -1) * (int(bound) + 1))
    return _Wanted(how, x, present, bound)


class _Grouping:
    """The steps of one group_by: sorted rows, the last row of each group, and these rows brought to the front."""

    def __init__(
        self,
        keys: Sequence[SecureArray],
        gaps: Sequence[SecureArray | None],
        valid: SecureArray | None,
        capacity: int,
    ) -> None:
        self.gaps = gaps
        # an empty key is a key of its own, after all others
        self.keys = [x.numeric() for gap, k in zip(gaps, keys, strict=True) for x in (gap, k) if x is not None]
        self._context = self.keys[0]._context
        mask = None if valid is None else as_flags(valid, "group_by: valid")
        self.proto = settled(self._context)
        self.n, self.capacity = len(self.keys[0]), capacity
        self.order = [sort_key(k) for k in self.keys]
        self.mask: Share | None = None
        if mask is not None:
            self.mask = mask._ring_share()
            hidden = self.proto.add_public(self.proto.neg(self.mask), layout.constant(1))
            self.order.insert(0, (hidden, 1))  # rows that do not count come last

    def result(self, aggregates: Mapping[str, _Wanted]) -> Groups:
        proto = self.proto
        sums: dict[int, SecureArray] = {}
        ranked: dict[int, SecureArray] = {}
        for name, wanted in aggregates.items():
            if wanted.present is not None:
                sums[id(wanted.present)] = wanted.present
            if wanted.values is not None and wanted.how != "count":
                (sums if wanted.how in ("sum", "mean") else ranked)[id(wanted.values)] = wanted.values
                if wanted.how in ("sum", "mean"):
                    x = wanted.values
                    self._context.fits(x.bound * self.n, x.scale, f"{name!r}, the sum of a group")
        summed, sorted_by = list(sums.values()), list(ranked.values())
        key_rows, values, rest = self._sorted(sorted_by[:1], summed)
        ends = self._ends(key_rows)
        running = [tables.cumulative(x) for x in rest]
        position = proto.public(layout.constants(range(1, self.n + 1)))
        extremes = [(v, tables.previous(v, -1)) for v in values]  # largest of this group, smallest of the next
        for column in sorted_by[1:]:
            _, (more,), _ = self._sorted([column], [])
            extremes.append((more, tables.previous(more, -1)))
        keys = key_rows[len(key_rows) - len(self.keys) :]
        flat = [*keys, position, *running, *(v for pair in extremes for v in pair)]
        front = tables.in_front(proto, ends, [ends.share, *flat])
        self._guard_capacity(front[0])
        front = [self._first_rows(c) for c in front]
        flags, body = front[0], front[1:]
        k = len(keys)
        counts = [proto.sub(c, tables.previous(c)) for c in body[k : k + 1 + len(running)]]
        pairs = body[k + 1 + len(running) :]
        largest = pairs[0::2]
        smallest = [self._next_first(c, v) for c, v in zip(pairs[1::2], [e[0] for e in extremes], strict=True)]
        clean = tables.masked(proto, flags, [*body[:k], *counts, *largest, *smallest])
        made = dict(zip(sums, clean[k + 1 : k + 1 + len(summed)], strict=True))
        at = k + 1 + len(summed)
        top = dict(zip(ranked, clean[at : at + len(sorted_by)], strict=True))
        bottom = dict(zip(ranked, clean[at + len(sorted_by) :], strict=True))
        count = SecureArray(self._context, clean[k], 0, float(self.n))
        kept = SecureArray(self._context, flags, 0, 1.0, flags=True)
        out: dict[str, SecureArray] = {}
        behind: dict[str, SecureArray] = {}
        for name, wanted in aggregates.items():
            behind[name] = cells = count if wanted.present is None else self._number(made[id(wanted.present)])
            taken = wanted.values
            if wanted.how == "count" or taken is None:
                out[name] = cells
            elif wanted.how in ("min", "max"):
                share = (top if wanted.how == "max" else bottom)[id(taken)]
                found = SecureArray(self._context, share, taken.scale, taken.bound)
                if wanted.present is not None:
                    found = (found * (cells > 0).numeric())._stated(wanted.bound)
                out[name] = found
            else:
                total = SecureArray(self._context, made[id(taken)], taken.scale, taken.bound * self.n)
                filled = kept if wanted.present is None else (cells > 0).numeric()
                out[name] = total if wanted.how == "sum" else _mean(total, cells, filled, wanted.bound)
        names = [SecureArray(self._context, s, x.scale, x.bound) for s, x in zip(clean[:k], self.keys, strict=True)]
        keys_of, gaps = self._named(names)
        return Groups(keys_of, SecureArray(self._context, proto.a2bits(flags)), out, behind, gaps)

    def _number(self, share: Share) -> SecureArray:
        return SecureArray(self._context, share, 0, float(self.n))

    def _named(self, rows: Sequence[SecureArray]) -> tuple[tuple[SecureArray, ...], tuple[SecureArray | None, ...]]:
        """Keys, and for each the groups in which it is empty."""
        left = iter(rows)
        pairs = [(None if gap is None else next(left), next(left)) for gap in self.gaps]
        return tuple(key for _, key in pairs), tuple(gap for gap, _ in pairs)

    def _sorted(
        self, by: Sequence[SecureArray], carried: Sequence[SecureArray]
    ) -> tuple[list[Share], list[Share], list[Share]]:
        """Key columns (the mask's among them), ``by`` and ``carried``, ordered by keys and then ``by``."""
        columns = [s for s, _ in self.order] + [x._ring_share() for x in [*by, *carried]]
        out = sorting.sort(self.proto, [*self.order, *(sort_key(x) for x in by)], columns)
        k = len(self.order)
        return out[:k], out[k : k + len(by)], out[k + len(by) :]

    def _ends(self, keys: Sequence[Share]) -> Flags:
        """1 in the last row of each group that counts."""
        bits = [b for _, b in self.order]
        ends = tables.ends_of_runs(self.proto, list(zip(keys, bits, strict=True)))
        if self.mask is None:
            return ends
        # the first key is [does not count], a bit, in the order of the sort
        return tables.both(self.proto, ends, tables.neither(self.proto, Flags(keys[0])))

    def _guard_capacity(self, flags: Share) -> None:
        if self.n > self.capacity:
            beyond = flags.map(layout.then(layout.take(slice(self.capacity, None)), layout.total(None, False)))
            self._context.guard(beyond, f"group_by: capacity={self.capacity} holds all groups: raise capacity")

    def _first_rows(self, column: Share) -> Share:
        """The first ``capacity`` rows, zeros if there are fewer."""
        column = column.map(layout.take(slice(self.capacity)))
        missing = self.capacity - column.shape[0]
        if missing <= 0:
            return column
        return self.proto.concatenate([column, self.proto.public(layout.zeros((missing,)))], 0)

    def _next_first(self, column: Share, values: Share) -> Share:
        """Smallest values: the group's first row stands after the last row of the group before; row 0 for the first."""
        later = tables.previous(column)
        head = values.map(layout.take(slice(1)))
        return self.proto.concatenate([head, later.map(layout.take(slice(1, None)))], 0)


def _mean(total: SecureArray, count: SecureArray, valid: SecureArray, bound: float) -> SecureArray:
    """total / count, and 0 / 1 in empty rows; a mean is not larger than the largest value."""
    return ratio.mean(total, count + 1 - valid, bound, max(total.scale, total._context.fraction_bits))
