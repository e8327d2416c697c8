"""Thresholds at which an owner cuts its own columns into bins before anything is shared.

Of a cell only the number of its bin leaves the owner, as shares. Thresholds that the schema states are public; those
that the owner learns from its rows stay in a file of its own, because later rows must fall into the same bins.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from ..errors import DataError
from ..functions.cuts import shares_of_rows
from ..jobs.files import locked, write_together
from .schema import MOST_BINS, Column, TableSchema

Floats = npt.NDArray[np.float64]

_MAX_FILE: Final = 16 << 20
_DOMAIN: Final = b"privity bins 1\n"
_AFRESH: Final = (
    "To start afresh, move that file away: all columns are then cut anew from the rows of the next run, and models "
    "trained on the old bins fit no more"
)


class Cut(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One column's thresholds, ascending, and from what they were learnt: when (UTC), which file, how many cells."""

    table: str
    column: str
    kind: str
    bound: float
    bins: Annotated[int, msgspec.Meta(ge=2, le=MOST_BINS)]
    edges: Annotated[tuple[float, ...], msgspec.Meta(max_length=MOST_BINS - 1)]
    date: str
    sha256: str
    cells: int


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="privity bins 1"):
    """``check``: SHA-256 over the rest, for damage and not against forgery."""

    owner: str
    cuts: tuple[Cut, ...]
    check: str = ""

    def sealed(self) -> _File:
        content = msgspec.json.encode([self.owner, self.cuts])
        return msgspec.structs.replace(self, check=hashlib.sha256(_DOMAIN + content).hexdigest())


class Thresholds:
    """An owner's file of learnt thresholds; two processes never write it at the same time. ``path`` None: nothing is
    kept beyond this object, for data that is no secret.

    Methods raise DataError for a file that is damaged, another owner's, or does not fit the schema any more.
    """

    def __init__(self, path: Path | None, owner: str) -> None:
        self.path = path
        self.owner = owner
        self._kept: tuple[Cut, ...] = ()

    def of(self, table: str) -> dict[str, tuple[float, ...]]:
        """Column -> thresholds that were learnt from this table, in the column's own unit: for the owner's eyes.

        ``OpenedTrees.in_values`` takes them. Empty if there are none.
        """
        return {c.column: c.edges for c in self._read() if c.table == table}

    def codes(self, schema: TableSchema, columns: Mapping[str, Floats], digest: str) -> tuple[dict[str, Floats], bool]:
        """The bins of a table's columns, NaN in empty cells; and whether thresholds were learnt for this.

        ``columns``: name -> (rows,) values for every column of the schema that has ``bins``. Thresholds are the
        schema's, or those that were learnt before, or quantiles of these values, which are then kept. ``digest``: of
        the file that they come from. Raises OutputError if the file of thresholds cannot be written.
        """
        wanted = [c for c in schema.features if c.bins]
        own = [c for c in wanted if isinstance(c.bins, int)]
        known: dict[str, Sequence[float]] = {c.name: c.bins for c in wanted if not isinstance(c.bins, int)}
        new: list[Cut] = []
        if own:
            with self._locked():
                kept = {(c.table, c.column): c for c in self._read()}
                for column in own:
                    found = kept.get((schema.cut_as, column.name))
                    if found is not None:
                        self._check(found, column)
                    else:
                        found = self._learnt(schema, column, columns[column.name], digest)
                        new += [found] if found.cells else []
                    known[column.name] = found.edges
                if new:
                    self._write((*kept.values(), *new))
        return {name: bins_of(columns[name], edges) for name, edges in known.items()}, bool(new)

    def _learnt(self, schema: TableSchema, column: Column, values: Floats, digest: str) -> Cut:
        if schema.bins_of is not None:
            raise DataError(
                f"{self.owner}: table {schema.name!r} is to be cut like {schema.bins_of!r} (bins_of), but there are no "
                f"thresholds for {column.name!r} yet{self._where()}. Bring {schema.bins_of!r} to this run or an "
                "earlier one"
            )
        assert isinstance(column.bins, int)
        edges = quantile_edges(values, column.bins)
        now, cells = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S"), int((~np.isnan(values)).sum())
        return Cut(schema.name, column.name, column.kind, column.bound, column.bins, edges, now, digest, cells)

    def _check(self, cut: Cut, column: Column) -> None:
        learnt = (cut.kind, cut.bound, cut.bins)
        if learnt == (column.kind, column.bound, column.bins):
            return
        raise DataError(
            f"{self.owner}: column {column.name!r} of table {cut.table!r} was cut on {cut.date} as {_words(*learnt)}, "
            f"and its thresholds are kept{self._where()}; the schema now says "
            f"{_words(column.kind, column.bound, column.bins)}. Change the schema back, or give the column or the "
            f"table another name. {_AFRESH}"
        )

    def _where(self) -> str:
        return "" if self.path is None else f" in {self.path}"

    # -- the file ------------------------------------------------------------------------------------------------------

    def _read(self) -> tuple[Cut, ...]:
        if self.path is None:
            return self._kept
        try:
            with self.path.open("rb") as stream:
                data = stream.read(_MAX_FILE + 1)
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise DataError(f"{self.path}, which keeps thresholds of bins, cannot be read: {error.strerror}") from None
        try:
            if len(data) > _MAX_FILE:
                raise ValueError(f"it is larger than {_MAX_FILE} bytes")
            file = msgspec.json.decode(data, type=_File)
            if file.sealed().check != file.check:
                raise ValueError("its checksum differs")
            _refuse_nonsense(file.cuts)
        except (ValueError, RecursionError) as error:  # msgspec's errors and those of UTF-8 are ValueErrors
            raise DataError(
                f"{self.path}, which keeps thresholds of bins, is damaged ({error}); restore it. {_AFRESH}"
            ) from None
        if file.owner != self.owner:
            raise DataError(
                f"{self.path} keeps thresholds of {file.owner!r}, but this is {self.owner!r}: put each party's file "
                f"beside its own private key. {_AFRESH}"
            )
        return file.cuts

    def _write(self, cuts: tuple[Cut, ...]) -> None:
        if self.path is None:
            self._kept = cuts
            return
        text = msgspec.json.format(msgspec.json.encode(_File(self.owner, cuts).sealed()), indent=1)
        write_together({self.path: text + b"\n"})  # in a temporary file, which its owner alone may read, then renamed

    def _locked(self) -> AbstractContextManager[None]:
        return nullcontext() if self.path is None else locked(self.path, "thresholds are kept there")


def quantile_edges(values: Floats, bins: int) -> tuple[float, ...]:
    """At most ``bins`` - 1 thresholds, ascending, each above the smallest value and at most the largest.

    Where at most ``bins`` different values occur, the middle between neighbours, so that each has a bin. None if there
    is but one value. Else quantiles of the values that are not NaN, at ``cuts.shares_of_rows``; a value that fills more
    than two bins has one of its own, and the others share the rest, as where columns are cut on shares
    (``functions.cuts``).
    """
    there = np.sort(values[~np.isnan(values)])
    different, counts = np.unique(there, return_counts=True)
    middle = _between(different)
    if len(different) <= bins:
        return tuple(middle.tolist())
    at = shares_of_rows(bins, len(there))
    cap = _cap(counts, float(np.diff(at, prepend=0.0, append=1.0).max()))
    # each value counts with its first ``cap`` rows: half of them for the threshold at it, the others for that above it
    above = np.append(middle, different[-1])
    nth = np.arange(len(there)) - np.repeat(np.cumsum(counts) - counts, counts)
    points = np.where(nth < (cap + 1) // 2, there, np.repeat(above, counts))[nth < cap]
    edges = np.unique(np.quantile(points, at))
    return tuple(edges[(edges > different[0]) & (edges <= different[-1])].tolist())


def _between(different: Floats) -> Floats:
    """Thresholds between ascending values."""
    below, above = different[:-1], different[1:]
    middle = below + (above - below) / 2
    return np.where(middle > below, middle, above)


def _cap(counts: npt.NDArray[np.int64], step: float) -> int:
    """The least number of rows that is at least two steps of the rows that count, no value with more rows than that."""
    low, high = 1, int(counts.max())
    while low < high:
        cap = (low + high) // 2
        if cap >= 2 * step * np.minimum(counts, cap).sum():
            high = cap
        else:
            low = cap + 1
    return low


def bins_of(values: Floats, edges: Sequence[float]) -> Floats:
    """How many of the ascending thresholds each value reaches: its bin, from 0. NaN stays NaN."""
    codes = np.searchsorted(np.asarray(edges, np.float64), values, side="right").astype(np.float64)
    return np.where(np.isnan(values), math.nan, codes)


def _refuse_nonsense(cuts: Sequence[Cut]) -> None:
    names = [(c.table, c.column) for c in cuts]
    if len(set(names)) != len(names):
        raise ValueError("a column comes twice")
    for cut in cuts:
        ordered = all(a < b for a, b in pairwise(cut.edges))
        if not (ordered and len(cut.edges) < cut.bins and all(abs(e) <= cut.bound for e in cut.edges)):
            raise ValueError(f"thresholds of {cut.column!r} are not in order, too many or out of range")


def _words(kind: str, bound: float, bins: Any) -> str:
    return f"kind {kind!r}, bound {bound:.17g}, bins = {bins}"
