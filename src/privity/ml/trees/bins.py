"""Columns cut into bins on shares: for each column and threshold one secret bit per row, as a ring integer.

A row's bits of a column are [bin >= 1], [bin >= 2], ...: a product with them sums over the rows to the right of each
threshold, and choosing one of them says where a row goes. They are made once and serve all trees. Rows lie in blocks,
so that no step needs a second copy of everything.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ...array import SecureArray
from ...context import Context
from ...errors import UsageError
from ...functions import concatenate, stack
from ...functions.cuts import cut_points, shares_of_rows
from ...functions.flags import both, neither
from ...mpc import approx, tables
from ...mpc.shares import Bits
from ...ring import layout
from ...ring.storage import on_disk
from ...table import Field, Table

ROWS = 4096
"""Rows in a block."""
EDGE_ROWS = 8192
"""Rows from which thresholds are learnt; all, if there are fewer."""
IN_MEMORY = 1 << 31
"""Bytes of bins at a party up to which they stay in memory; more lie in nameless temporary files."""


@dataclass(frozen=True, slots=True)
class Bins:
    """``marks``: bits, ``width`` planes of all rows: plane k * columns + c is [bin of column c >= k + 1]; where cells
    may be empty, ``columns`` more planes follow that are 1 in an empty cell, which is in bin 0. ``blocks``: the same as
    0/1 integers, (width, rows of the block) each, if sums over rows are wanted, else none. ``names``: of the columns.
    """

    blocks: list[SecureArray]
    marks: Bits
    gaps: bool
    columns: int
    thresholds: int
    rows: int
    names: tuple[str, ...]

    @property
    def splits(self) -> int:
        """Columns times thresholds."""
        return self.columns * self.thresholds

    def spans(self) -> list[slice]:
        """The rows of each block."""
        return [slice(at, min(at + ROWS, self.rows)) for at in range(0, self.rows, ROWS)]


class Binner:
    """Thresholds at quantiles of all owners' rows, secret; a frequent value has a bin of its own (functions/cuts.py).

    Whole numbers from 0 below ``max_bins`` (categories, bins that an owner made) are their own bins, and so are the
    columns of a table whose schema says that they are categories, binary or whole numbers of a small range. Quantiles
    are those of at most ``EDGE_ROWS`` rows at equal distances, closer together at both ends (``cuts.shares_of_rows``).
    Cost of ``fit``: that of ``cuts.cut_points`` for these rows. Of ``transform``: one comparison a value and threshold
    (25 bytes); of whole numbers one decomposition and 8 bytes a threshold.
    """

    def __init__(self, max_bins: int) -> None:
        if max_bins < 2:
            raise UsageError(f"max_bins: expected at least 2, got {max_bins}")
        self.max_bins = max_bins
        self.edges: SecureArray | None = None
        """(thresholds, columns); None where all columns hold whole numbers."""
        self.counts: tuple[int, ...] = ()
        """For each column how many whole numbers from 0 it holds, which are its bins; 0: it is cut at ``edges``."""
        self.used: npt.NDArray[np.bool_] | None = None
        """(thresholds, columns): public, the thresholds that a column has; None: all."""

    def fit(
        self,
        x: SecureArray,
        valid: SecureArray | None,
        gaps: SecureArray | None = None,
        fields: Sequence[Field] | None = None,
    ) -> Binner:
        """Learn ``edges`` (max_bins - 1, d) from x (n, d). None where x holds whole numbers below ``max_bins``.

        ``valid`` (n,), ``gaps`` (n, d): rows that count, empty cells. ``fields``: what a table knows of its columns.
        """
        self.columns = d = x.shape[1]
        whole = max(2, int(x.bound) + 1) if x.kind != "fixed" and x.bound < self.max_bins else 0
        self.counts = (whole,) * d if fields is None else tuple(max(_coded(f, self.max_bins), whole) for f in fields)
        if all(self.counts):
            self.max_bins = max(self.counts)
            return self
        thresholds = self.max_bins - 1
        known = [None] * d if fields is None else [own_edges(f, thresholds) for f in fields]
        free = [c for c, edges in enumerate(known) if edges is None]
        if not free:  # no histogram over thresholds that no column has
            thresholds = max(len(edges) for edges in known if edges is not None)
            self.max_bins = thresholds + 1
        public = np.zeros((thresholds, d))
        used = np.ones((thresholds, d), np.bool_)
        for c, edges in enumerate(known):
            if edges is not None:
                public[: len(edges), c] = edges
                used[len(edges) :, c] = False
        if free:
            count = min(x.shape[0], EDGE_ROWS)
            rows = np.unique(np.arange(count, dtype=np.int64) * (x.shape[0] - 1) // max(1, count - 1))
            real = None if valid is None else valid[rows]
            if gaps is not None:
                here = neither(gaps[rows][:, free])
                real = here if real is None else both(here, real.reshape((-1, 1)))
            found = cut_points(x.numeric()[rows][:, free], shares_of_rows(self.max_bins, len(rows)), real)
            place = np.full(d, len(free))
            place[free] = np.arange(len(free))
            nothing = x._context.constant(np.zeros((thresholds, 1)), scale=found.scale)
            self.edges = concatenate([found, nothing], axis=1)[:, place] + public
        else:
            self.edges = x._context.constant(public, scale=max(x.scale, 1))
        self.edges = self.edges._stated(max(x.bound + 1, self.edges.bound if free else 0.0))
        self.used = None if used.all() else used
        return self

    def whole_numbers(self) -> tuple[int, ...]:
        """``counts``, also where thresholds were put in without ``fit``."""
        return self.counts or (self.max_bins if self.edges is None else 0,) * self.columns

    def transform(
        self,
        x: SecureArray,
        gaps: SecureArray | None,
        names: Sequence[str],
        codes: Mapping[int, SecureArray] | None = None,
        *,
        sums: bool = True,
    ) -> Bins:
        """x (n, d) as bins; ``gaps`` (n, d): 1 where a cell is empty; ``codes``: column -> its whole numbers (n,), 0 in
        empty cells. A column that is not among them is compared. ``sums``: whether ``blocks`` are wanted.
        """
        if x.ndim != 2 or x.shape[1] != self.columns:
            raise UsageError(f"expected rows of {self.columns} columns, as the trees were trained on, got {x.shape}")
        n, d = x.shape
        thresholds = self.max_bins - 1
        spans = [slice(at, min(at + ROWS, n)) for at in range(0, n, ROWS)]
        blocks = []
        large = 16 * n * d * thresholds > IN_MEMORY
        counts = self.whole_numbers()
        given = {c: v for c, v in (codes or {}).items() if counts[c]}
        if self.edges is None and len(given) < d:
            clean = x if gaps is None else (x.numeric() * (1 - gaps))._stated(x.bound)
            given = {c: clean[:, c] for c in range(d)}
        whole = stack(list(given.values()), axis=1).numeric() if given else None
        context, proto = x._context, x._context.protocol
        marks: list[Bits] = []
        for span in spans:
            empty = None if gaps is None else gaps[span].T
            planes = self._planes(x[span], empty, None if whole is None else whole[span].T, list(given), counts)
            if empty is not None:
                flags = empty._bit_share() if empty.kind == "bool" else proto.a2bits(empty._ring_share())
                planes = tables.joined([planes, tables.lines(proto, flags)])
            marks.append(planes)
            if sums:
                made = SecureArray(context, proto.b2a(planes), 0, 1.0).reshape((planes.planes, planes.size))
                blocks.append(made._rearranged(on_disk) if large else made)
        return Bins(blocks, tables.beside(marks), gaps is not None, d, thresholds, n, tuple(names))

    def _planes(
        self,
        x: SecureArray,
        empty: SecureArray | None,
        whole: SecureArray | None,
        at: Sequence[int],
        counts: Sequence[int],
    ) -> Bits:
        """thresholds * d planes of the rows of x (rows, d), of which ``whole`` (k, rows) are the columns ``at``."""
        proto, d = x._context.protocol, x.shape[1]
        every = (self.max_bins - 1) * d
        has = np.ones((self.max_bins - 1, d), np.bool_) if self.used is None else self.used
        compared = np.flatnonzero((has & ~np.isin(np.arange(d), at)).reshape(-1))
        parts: list[Bits] = []
        places = []
        if len(compared):
            cells = x.numeric().T
            if empty is not None:  # an empty cell holds less than any threshold
                cells = cells - empty.rescaled(cells.scale) * (2 * math.ceil(x.bound) + 2)
            parts.append(self._cut(cells, compared))
            places.append(compared)
        if whole is not None:
            planes, steps, columns = _reached(whole, [counts[c] for c in at])
            parts.append(planes)
            places.append(steps * d + np.asarray(at)[columns])
        found = np.concatenate(places)
        made = parts[0] if len(parts) == 1 else tables.joined(parts)
        if len(found) == every:
            return made if np.array_equal(found, np.arange(every)) else tables.chosen(made, np.argsort(found).tolist())
        place = np.full(every, len(found))  # a threshold that a column does not have: no row reaches it
        place[found] = np.arange(len(found))
        first = made.rows(0, 1)
        return tables.chosen(tables.joined([made, proto.xor(first, first)]), place.tolist())

    def _cut(self, cells: SecureArray, chosen: npt.NDArray[np.int64]) -> Bits:
        """Whether cells (d, rows) reach the chosen thresholds, a plane each."""
        assert self.edges is not None
        proto, (d, rows) = cells._context.protocol, cells.shape
        if len(chosen) == self.edges.shape[0] * d:
            above = cells.reshape((1, d, rows)) >= self.edges.reshape((*self.edges.shape, 1))
        else:
            above = cells[chosen % d] >= self.edges.reshape((-1, 1))[chosen]
        return tables.lines(proto, Bits(above._bit_share().parts, (len(chosen), rows)))


def _reached(codes: SecureArray, counts: Sequence[int]) -> tuple[Bits, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """[code >= k] for k = 1 to count - 1 of each column, a plane of rows each; the k - 1 and the column of each plane.

    ``codes`` (columns, rows), whole numbers below the column's count. [code >= k] = XOR of [code = j] for j >= k: local
    once the codes are one-hot in bits.
    """
    proto, (d, rows) = codes._context.protocol, codes.shape
    share = codes.numeric()._ring_share().map(layout.reshape((-1,)))
    most = max(counts)
    hot = tables.one_hot(proto, share, most, approx.bits_for(codes.bound, 0))
    up = [hot.rows(most - 1, most)]
    for k in range(most - 2, 0, -1):
        up.append(proto.xor(up[-1], hot.rows(k, k + 1)))
    planes = tables.joined(up[::-1])
    steps, columns = np.nonzero(np.arange(1, most)[:, None] < np.asarray(counts))
    lines = tables.lines(proto, Bits(planes.parts, (d, rows), planes.planes))
    return tables.chosen(lines, (steps * d + columns).tolist()), steps, columns


def _coded(field: Field, most: int) -> int:
    """How many categories a column has, if they may be bins; else 0."""
    count = max(2, len(field.categories))
    return count if field.coded and count <= most else 0


def own_edges(field: Field, thresholds: int) -> npt.NDArray[np.float64] | None:
    """Public thresholds between a column's values, in its unit, if the schema says that these are few; else None."""
    if field.coded:
        first, last = 0, max(1, len(field.categories) - 1)
    elif field.kind == "binary":
        first, last = 0, 1
    elif field.kind == "integer":
        first, last = -math.floor(field.bound), math.floor(field.bound)
    else:
        return None
    if last - first > thresholds:  # before they are listed: a bound of 2^53 is one too
        return None
    return np.asarray((np.arange(first, last) + 0.5) / field.unit)


def cells_of(x: Table | SecureArray) -> tuple[SecureArray, SecureArray | None, tuple[str, ...]]:
    """Values (n, d), a mask of empty cells (n, d) or None, names: of a table (codes count as numbers) or an array."""
    if isinstance(x, SecureArray):
        return x, None, tuple(f"x{i}" for i in range(x.shape[1]))
    names = x.feature_names
    if not names:
        raise UsageError(f"table {x.name!r}: no features; its columns: {', '.join(x.columns) or 'none'}")
    missing: list[Any] = [x.column(n).missing for n in names]
    gaps = None
    if any(m is not None for m in missing):
        zero = x._context.constant(np.zeros(x.rows, np.int64))
        gaps = stack([zero if m is None else m for m in missing], axis=1)._stated(1.0)
    return x.block(names), gaps, names


def ones(context: Context, rows: int, valid: SecureArray | None) -> SecureArray:
    """1 in every real row, (rows,)."""
    return context.constant(np.ones(rows, np.int64)) if valid is None else valid
