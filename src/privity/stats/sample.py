"""What the statistics share: columns with a secret mask of the cells that count, masked sums, two groups."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from ..array import SecureArray
from ..disclosure import release
from ..errors import ShapeError, UsageError
from ..functions import stack
from ..functions.flags import as_flags, secret
from ..functions.nullable import NullableArray, counted
from ..functions.ratio import fitting_scale, mean, sums
from ..functions.spread import Centred, centred
from ..lines import named_as
from ..table import Table

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class Estimate:
    """A secret array of numbers and the rows behind each (``counts``: secret, or a public number)."""

    value: SecureArray
    counts: SecureArray | int

    def open(self, *, to: Any, name: str, reason: str) -> Any:
        """The numbers, float64, NaN where fewer rows than the minimum group stand behind one. One opening."""
        return release(self.value._context, self.value, self.counts, to=to, name=name, reason=reason)


@dataclass(frozen=True)
class Cells:
    """Columns as fixed-point numbers (n, d), flags ``mask`` (n, d), (n, 1) or None; ``vector``: given as (n,)."""

    x: SecureArray
    mask: SecureArray | None
    vector: bool

    @property
    def counts(self) -> SecureArray | int:
        """Cells that count: a public number, or secret (d,) or (1,)."""
        return self.x.shape[0] if self.mask is None else self.mask.sum(axis=0)

    def mean(self) -> SecureArray:
        """(d,); 0 where nothing counts. Error: a relative 2^-24 and one unit in the last place of x."""
        counts = self.counts
        if isinstance(counts, int):
            return self.x.mean(axis=0)._stated(self.x.bound * 1.01)
        assert self.mask is not None
        rows = (self.x * self.mask)._stated(self.x.bound)
        return mean(sums(rows), counts, self.x.bound, self.x.scale)

    def centred(self) -> Centred:
        """Deviations from the mean, 0 in cells that do not count, exact to a 64th of a unit of x where there is
        room."""
        counts = self.counts
        return centred(self.x, self.mask, None if isinstance(counts, int) else counts)

    def shaped(self, value: SecureArray) -> SecureArray:
        """(d,) as it was given: () for a vector."""
        return value.reshape(()) if self.vector else value

    def estimate(self, value: SecureArray) -> Estimate:
        counts = self.counts
        if isinstance(counts, SecureArray):
            counts = counts.reshape(()) if self.vector or counts.shape == (1,) else counts
        return Estimate(self.shaped(value), counts)


def cells(what: str, x: SecureArray, valid: SecureArray | None, by_cell: bool = True) -> Cells:
    """Columns and mask, checked. ``valid``: booleans, or integers that are checked to be 0 or 1, (n,), or like x where
    ``by_cell``. Raises ShapeError, UsageError.
    """
    if x.ndim not in (1, 2) or 0 in x.shape:
        raise ShapeError(f"{what}: expected x of shape (n,) or (n, d) with at least one of each, got {x.shape}")
    if valid is not None:
        secret(f"{what}: valid", valid)
    allowed = {x.shape[:1], x.shape} if by_cell else {x.shape[:1]}
    if valid is not None and valid.shape not in allowed:
        cell = " or cell" if by_cell else ""
        raise ShapeError(f"{what}: expected valid with one flag a row{cell}, got {valid.shape}")
    n = x.shape[0]
    numbers = x.numeric()
    if not numbers.scale:  # as many fractional bits as leave room for deviations
        numbers = numbers.rescaled(fitting_scale(numbers.bound, numbers._context.fraction_bits, 59))
    mask = None
    if valid is not None:
        mask = as_flags(valid, f"{what}: valid").reshape((n, -1))
    return Cells(numbers.reshape((n, -1)), mask, x.ndim == 1)


def of_columns(by_cell: bool) -> Callable[[Function], Function]:
    """For a function of x (n,) or (n, d) with ``valid=``: x may be a column with empty cells, several columns side by
    side, or a table (its numbers in their own units), and their masks go with them.

    ``by_cell``: each column counts where it has a value; else a row counts where all have (listwise deletion).
    """

    def of(function: Function) -> Function:
        @functools.wraps(function)
        def honouring(x: Any, *args: Any, **options: Any) -> Any:
            what = function.__name__
            if isinstance(options.get("valid"), NullableArray):
                options["valid"] = as_flags(options["valid"], f"{what}: valid")
            if isinstance(x, Table):
                x = _numbers(what, x)
            if isinstance(x, list | tuple):
                x, options["valid"] = _side_by_side(what, x, options.get("valid"), by_cell)
            elif isinstance(x, NullableArray):
                options["valid"], (x,) = counted(what, options.get("valid"), x)
            return function(x, *args, **options)

        made: Function = named_as(honouring, function)
        made.side_by_side = True  # type: ignore[attr-defined]
        return made

    return of


def _numbers(what: str, table: Table) -> list[SecureArray | NullableArray]:
    coded = [f.name for f in table.fields if f.coded]
    if coded or not table.fields:
        raise UsageError(f"{what}: {', '.join(coded) or 'no column'}: expected columns of numbers; select some")
    return [table[n] for n in table.feature_names]


def _side_by_side(
    what: str, columns: Sequence[Any], valid: SecureArray | None, by_cell: bool
) -> tuple[SecureArray, SecureArray | None]:
    """Columns as (n, d), and the mask of their cells (n, d), or of the rows (n,), or None."""
    for c in columns:
        if not isinstance(c, SecureArray | NullableArray) or c.ndim != 1 or c.shape != columns[0].shape:
            raise ShapeError(f"{what}: expected secret columns of the same shape (n,), got {c!r}")
    if not columns:
        raise ShapeError(f"{what}: expected at least one column")
    if not by_cell:
        mask, plain = counted(what, valid, *columns)
        return stack(plain, axis=1), mask
    masks, plain = [], []
    for c in columns:
        mask, (x,) = counted(what, valid, c)
        masks.append(mask)
        plain.append(x)
    x = stack(plain, axis=1)
    if all(m is masks[0] for m in masks):
        return x, masks[0]
    ones = x._context.constant(np.ones(x.shape[0], np.int64))
    return x, stack([ones if m is None else m for m in masks], axis=1)


@dataclass(frozen=True)
class TestResult:
    """An opened test: ``statistic``, ``p_value``, ``df`` (None: normal), ``effect`` (None: none).

    All NaN if a group was below the minimum group.
    """

    __test__ = False  # not one of pytest's

    statistic: float
    p_value: float
    df: float | None = None
    effect: float | None = None


def opened_result(values: Any, read: Callable[[np.ndarray], TestResult]) -> Any:
    """What ``read`` makes of opened numbers; Withheld stays as it is."""
    return read(values) if isinstance(values, np.ndarray) else values


def both_enough(counts: SecureArray) -> SecureArray:
    """Whether both groups of (2,) counts reach the minimum group: secret boolean of shape (1,)."""
    enough = counts >= counts._context.minimum_group
    return enough[0:1] & enough[1:2]
