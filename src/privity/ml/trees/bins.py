"""Columns cut into bins on shares: for each column and threshold one secret bit per row, as a ring integer.

A row's bits of a column are [bin >= 1], [bin >= 2], ...: a product with them sums over the rows to the right of each
threshold, and choosing one of them says where a row goes. They are made once and serve all trees. Rows lie in blocks,
so that no step needs a second copy of everything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...array import SecureArray
from ...errors import UsageError
from ...functions import concatenate, quantile, stack
from ...mpc import approx, tables
from ...mpc.shares import Bits
from ...ring import layout
from ...session import Session
from ...table import Table

ROWS = 4096
"""Rows in a block."""


@dataclass(frozen=True, slots=True)
class Bins:
    """``blocks``: each (width, rows) of 0/1 integers: row k * columns + c is [bin of column c >= k + 1]; where cells
    may be empty, ``columns`` more rows follow that are 1 in an empty cell, which is in bin 0. ``rows``: in all blocks.
    ``names``: of the columns.
    """

    blocks: list[SecureArray]
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
    """Thresholds at quantiles of all owners' rows, secret; or none, where columns hold bins already.

    Whole numbers from 0 below ``max_bins`` (categories, bins that an owner made) are their own bins. Cost of ``fit``:
    a sort a column; of ``transform``: one comparison a value and threshold, or a decomposition of whole numbers.
    """

    def __init__(self, max_bins: int) -> None:
        if max_bins < 2:
            raise UsageError(f"max_bins: expected at least 2, got {max_bins}")
        self.max_bins = max_bins
        self.edges: SecureArray | None = None
        self.whole = False

    def fit(self, x: SecureArray, valid: SecureArray | None) -> Binner:
        """Learn ``edges`` (max_bins - 1, d) from x (n, d). None where x holds whole numbers below ``max_bins``."""
        self.whole = x.kind != "fixed" and x.bound < self.max_bins
        self.columns = x.shape[1]
        if self.whole:
            self.max_bins = max(2, int(x.bound) + 1)
        else:
            at = np.arange(1, self.max_bins) / self.max_bins
            self.edges = quantile(x.numeric(), at, axis=0, valid=valid).stated(x.bound)
        return self

    def transform(self, x: SecureArray, gaps: SecureArray | None, names: Sequence[str]) -> Bins:
        """x (n, d) as bins; ``gaps`` (n, d): 1 where a cell is empty."""
        if x.ndim != 2 or x.shape[1] != self.columns:
            raise UsageError(f"expected rows of {self.columns} columns, as the trees were trained on, got {x.shape}")
        n, d = x.shape
        thresholds = self.max_bins - 1
        spans = [slice(at, min(at + ROWS, n)) for at in range(0, n, ROWS)]
        blocks = []
        for span in spans:
            cells = x[span].T
            made = self._whole(cells) if self.whole else self._cut(cells)
            if gaps is not None:
                empty = gaps[span].T
                made = made.reshape((thresholds, d, -1)) * (1 - empty).stated(1.0)
                made = concatenate([made.reshape((thresholds * d, -1)), empty])
            blocks.append(made.stated(1.0))
        return Bins(blocks, gaps is not None, d, thresholds, n, tuple(names))

    def _cut(self, cells: SecureArray) -> SecureArray:
        assert self.edges is not None
        d, rows = cells.shape
        above = cells.reshape((1, d, rows)) >= self.edges.reshape((*self.edges.shape, 1))
        return above.numeric().reshape((self.edges.shape[0] * d, rows))

    def _whole(self, cells: SecureArray) -> SecureArray:
        """[code >= k] = XOR of [code = j] for j >= k: local once the codes are one-hot in bits."""
        session, proto, (d, rows) = cells.session, cells.session.protocol, cells.shape
        share = cells.numeric().ring_share().map(layout.reshape((-1,)))
        hot = tables.one_hot(proto, share, self.max_bins, approx.bits_for(cells.bound, 0))
        up: list[Bits] = [tables.xor_of(hot, range(k, self.max_bins)) for k in range(1, self.max_bins)]
        flags = proto.b2a(tables.joined(up) if len(up) > 1 else up[0])
        return SecureArray(session, flags.map(layout.reshape((len(up) * d, rows))), 0, 1.0)


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
        zero = x.session.constant(np.zeros(x.rows, np.int64))
        gaps = stack([zero if m is None else m for m in missing], axis=1).stated(1.0)
    return x.block(names), gaps, names


def ones(session: Session, rows: int, valid: SecureArray | None) -> SecureArray:
    """1 in every real row, (rows,)."""
    return session.constant(np.ones(rows, np.int64)) if valid is None else valid
