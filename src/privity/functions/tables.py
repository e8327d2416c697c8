"""Tables of secret rows: secret orders, running sums, histograms, look-up by secret row number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..array import SecureArray, secure
from ..context import Context
from ..errors import ShapeError, UsageError
from ..mpc import approx, orders, tables
from ..mpc import sort as sorting
from ..mpc.shares import Bits, Places, Share
from ..ring import fixed, layout
from ..session import Session, context_of
from .flags import moving
from .order import at_least, merged, prefer_sort, settled, sort_key, thresholds

# -- secret orders ---------------------------------------------------------------------------------------------------


def shuffle(*arrays: SecureArray) -> list[SecureArray]:
    """The rows of all arrays in one uniform order that no party knows. Exact; 2 rounds, 32 bytes in all per element."""
    given = _same_rows("shuffle", arrays)
    proto = given[0]._context.protocol
    return _like(arrays, given, proto.shuffle([x._ring_share() for x in given], proto.mix(len(given[0]))))


class Permutation:
    """A secret permutation of n rows. ``rows`` says which row comes first, second, and so on, as ``argsort`` does.

    Made by ``Permutation.sorting`` (a key), ``Permutation.random`` and ``Permutation.stated`` (row numbers that
    somebody brought, which are checked first: applying what is no permutation would show which numbers it repeats).
    """

    __slots__ = ("_places", "_rows")

    def __init__(self, context: Context, places: Places) -> None:
        self._places = places
        self._rows = SecureArray(context, places.share, 0, float(max(places.share.shape[0] - 1, 1)))

    @property
    def rows(self) -> SecureArray:
        """Secret row numbers: which row comes first, second, and so on."""
        return self._rows

    @classmethod
    def sorting(cls, *keys: SecureArray) -> Permutation:
        """The stable order by the first key, then by the others. Cost as ``sort``."""
        given = _same_rows("Permutation.sorting", keys)
        context = given[0]._context
        return cls(context, sorting.argsort(settled(context), [sort_key(k) for k in given]))

    @classmethod
    def random(cls, session: Session, n: int) -> Permutation:
        """Uniform, and no party knows it. 2 rounds."""
        context = context_of(session)
        proto = context.protocol
        return cls(context, Places(proto.shuffle([orders.row_numbers(proto, n)], proto.mix(n))[0]))

    @classmethod
    def stated(cls, rows: SecureArray) -> Permutation:
        """Secret row numbers, each of 0 to n-1 once; RangeViolated at once if not. Cost: a ``sort`` and a guard."""
        (given,) = _same_rows("Permutation.stated", [rows])
        if given.ndim != 1 or given.scale:
            raise UsageError(f"Permutation.stated: expected secret integers in one dimension, got {rows!r}")
        context, proto, n = given._context, settled(given._context), len(given)
        ordered = sorting.sort(proto, [sort_key(given)], [given._ring_share()])[0]
        off = proto.add_public(ordered, layout.negative(layout.arange(n)))
        # all bits: whatever bound the owner declared, it may have dealt larger numbers
        wrong = proto.b2a(proto.invert(proto.is_zero(off))).map(layout.total(None, False))
        context.guard(wrong, f"Permutation.stated: rows holds each of the row numbers 0 to {n - 1} once")
        context.check_guards()
        return cls(context, Places(given._ring_share()))

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        return f"Permutation({len(self)} secret rows)"

    def apply(self, *arrays: SecureArray) -> list[SecureArray]:
        """``x[rows]`` for each array: row j of the result is row rows[j]. 4 rounds, 32 bytes in all per element."""
        return self._moved(arrays, orders.gather)

    def undo(self, *arrays: SecureArray) -> list[SecureArray]:
        """What ``apply`` did, undone: row j goes to row rows[j]. 2 rounds, 32 bytes in all per element."""
        return self._moved(arrays, orders.scatter)

    def inverse(self) -> Permutation:
        """The permutation whose ``apply`` undoes this one. 2 rounds."""
        context = self.rows._context
        return Permutation(context, orders.inverse(context.protocol, self._places))

    def _moved(self, arrays: Sequence[SecureArray], move: Any) -> list[SecureArray]:
        given = _same_rows("Permutation", arrays)
        if len(given[0]) != len(self):
            raise ShapeError(f"a permutation of {len(self)} rows was applied to arrays of {len(given[0])}")
        proto = self.rows._context.protocol
        return _like(arrays, given, move(proto, self._places, [x._ring_share() for x in given]))


def _same_rows(what: str, arrays: Sequence[SecureArray]) -> list[SecureArray]:
    """The arrays as numbers. Raises if there are none or their numbers of rows differ."""
    if not arrays or any(not isinstance(x, SecureArray) for x in arrays):
        raise UsageError(f"{what}: expected secret arrays")
    if any(not x.shape for x in arrays) or len({x.shape[0] for x in arrays}) > 1:
        raise ShapeError(f"{what}: expected arrays with the same number of rows, came {[x.shape for x in arrays]}")
    return [x.numeric() for x in arrays]


def _like(kinds: Sequence[SecureArray], given: Sequence[SecureArray], shares: Sequence[Share]) -> list[SecureArray]:
    """Shares with the scale, bound and kind that the arrays had."""
    made = [SecureArray(x._context, s, x.scale, x.bound, x._flags) for x, s in zip(given, shares, strict=True)]
    return [
        SecureArray(x._context, x._context.protocol.a2bits(x._ring_share())) if k.kind == "bool" else x
        for k, x in zip(kinds, made, strict=True)
    ]


# -- running sums ----------------------------------------------------------------------------------------------------


def cumsum(a: SecureArray, axis: int | None = None) -> SecureArray:
    """Running sums along an axis (None: of the flattened array). Local and exact."""
    a = a.numeric()
    if axis is None:
        a, axis = a.ravel(), 0
    if not -a.ndim <= axis < a.ndim:
        raise ShapeError(f"cumsum: axis {axis} is out of range for an array of shape {a.shape}")
    if a.ndim > 1:
        a._context.met(("cumsum", axis))
    bound = a.bound * max(1, a.shape[axis])
    a._context.fits(bound, a.scale, "this running sum")
    return SecureArray(a._context, a._ring_share().map(layout.cumulative(axis)), a.scale, bound)


def segmented_sum(x: SecureArray, starts: SecureArray) -> SecureArray:
    """Running sums over the rows that start anew wherever the secret boolean ``starts`` is true.

    Exact; 8 rounds and 40 bytes per party and row of one column.
    """
    rows, flags = _same_rows("segmented_sum", [x, starts])
    starts._bit_share()  # raises unless these are booleans
    if flags.ndim != 1:
        raise ShapeError(f"segmented_sum: expected one flag per row, came shape {starts.shape}")
    bound = rows.bound * max(1, len(rows))
    rows._context.fits(bound, rows.scale, "this running sum")
    (share,) = tables.running_sums(rows._context.protocol, moving(flags), [rows._ring_share()])
    return SecureArray(rows._context, share, rows.scale, bound)


# -- histograms ------------------------------------------------------------------------------------------------------


def histogram(a: SecureArray, bins: npt.ArrayLike) -> SecureArray:
    """Secret counts of elements in [e_0, e_1), [e_1, e_2), ..., the last bin closed; ``bins``: public, ascending edges.

    Exact for edges rounded to a's fractional bits, as in ``a < edge``. Few edges are compared one by one: rounds of a
    sign and 2. For many the elements are sorted together with them: cost as ``sort``, and 2 rounds.
    """
    a = a.numeric().ravel()
    count = np.size(bins)
    if count < 2:
        raise UsageError(f"histogram: expected at least two public edges, got bins={bins!r}")
    limits = thresholds(a, bins, [False] * (count - 1) + [True])
    context, proto = a._context, a._context.protocol
    if not prefer_sort(a.size, count):
        above = at_least(a, limits).map(layout.total(1, False))
        counts = proto.sub(above.map(layout.take(slice(None, -1))), above.map(layout.take(slice(1, None))))
    else:
        rows, _ = merged(a, limits, [])
        places = orders.inverse(proto, rows).share.map(layout.take(slice(count)))
        below = proto.add_public(places, layout.negative(layout.arange(count)))
        counts = proto.sub(below.map(layout.take(slice(1, None))), below.map(layout.take(slice(None, -1))))
    return SecureArray(context, counts, 0, float(max(a.size, 1)))


# -- secret row numbers ----------------------------------------------------------------------------------------------


def _hot(index: SecureArray, count: int, what: str) -> Bits:
    if index.kind == "fixed":
        raise UsageError(f"{what}: expected secret integers as row numbers, got {index!r}")
    if count < 1:
        raise UsageError(f"{what}: expected at least one row, got {count}")
    index = index.numeric()
    share = index._ring_share().map(layout.reshape((-1,)))
    return tables.one_hot(index._context.protocol, share, count, approx.bits_for(index.bound, 0))


def one_hot(index: SecureArray, count: int) -> SecureArray:
    """1 where the secret integer is j, for j = 0 to count - 1 along a new last axis; all 0 for any other integer.

    Exact. Rounds: decomposition, about log2 of the bits, and 2; 24 bytes in all per element of the result.
    """
    hot = _hot(index, count, "one_hot")
    flags = index._context.protocol.b2a(hot).map(layout.reshape((count, -1)))
    share = flags.map(layout.then(layout.transpose(None), layout.reshape((*index.shape, count))))
    return SecureArray(index._context, share, 0, 1.0, flags=True)


def lookup(table: Any, index: SecureArray) -> SecureArray:
    """``table[index]`` for a secret index and a public or secret table; 0 for an index outside of the table.

    Exact. Shape: that of the index, then that of a row. Rounds: as ``one_hot``, and 1 for a secret table. A public
    table costs 24 bytes in all per index and bit of its numbers, or per row if there are fewer rows.
    """
    context = index._context
    secret = isinstance(table, SecureArray)
    values = table.numeric() if secret else np.asarray(table)
    if values.ndim < 1:
        raise ShapeError("lookup: expected a table with rows")
    rows, width = values.shape[0], layout.count(values.shape[1:])
    shape = (*index.shape, *values.shape[1:])
    proto = context.protocol
    hot = _hot(index, rows, "lookup")
    if secret:
        flags = proto.b2a(hot).map(layout.then(layout.reshape((rows, -1)), layout.transpose(None)))
        source = secure(context, values)
        found = proto.matmul(flags, source._ring_share().map(layout.reshape((rows, width))))
        return SecureArray(context, found.map(layout.reshape(shape)), source.scale, source.bound)
    scale = 0 if values.dtype.kind in "biu" else context.fraction_bits
    ring, magnitude = fixed.public_constant(values, scale)
    bits = approx.bits_for(magnitude, scale)
    entries = ring.view(np.int64).reshape(rows, width)
    columns = [tables.lookup_public(proto, hot, entries[:, j].tolist(), bits) for j in range(width)]
    found = proto.stack(columns, 1) if columns else proto.public(layout.zeros((index.size, 0)))
    return SecureArray(context, found.map(layout.reshape(shape)), scale, max(magnitude, 2.0**-scale))
