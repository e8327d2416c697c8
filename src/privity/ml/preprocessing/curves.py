"""Public functions applied to secret columns: cutting, logarithms, powers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from ...array import SecureArray
from ...errors import UsageError
from ...functions import log, power, stack, where
from ...ring import exact
from ...table import FEATURE_BITS, SecureColumn, Table
from ..estimator import real_numbers
from .transform import Transform, chosen, columns_out, is_number, present_cells, swapped, together

_NUMBERS = "numbers; encode categories first"


class Clip(Transform):
    """Numbers cut to [low, high], public, in the column's own unit. Empty cells stay empty.

    Two comparisons a value, exactly; rounds as ``privity.clip``, all columns together.
    """

    def __init__(self, columns: Sequence[str] | None = None, *, low: float, high: float) -> None:
        self.columns = columns
        self.low = low
        self.high = high

    def fit(self, table: Table) -> Clip:
        if not self.low <= self.high:
            raise UsageError(f"Clip: expected low <= high, got {self.low} and {self.high}")
        self.columns_ = chosen(self, table, is_number, _NUMBERS)
        self.feature_names_out_ = table.feature_names
        return self

    def transform(self, table: Table) -> Table:
        self.fitted("columns_")
        columns = {n: table.column(n) for n in self.columns_}
        flat = {n: _flat(c, self.low if self.low > c.field.bound else self.high) for n, c in columns.items()
                if self.low > c.field.bound or self.high < -c.field.bound}  # fmt: skip
        columns = {n: c for n, c in columns.items() if n not in flat}
        largest = max(abs(self.low), abs(self.high))
        between = any(limit != round(limit) for limit in (self.low, self.high))
        given = {n: c.fine if between else c.values.numeric() for n, c in columns.items()}

        def cut(names: Sequence[str], x: SecureArray) -> SecureArray:
            limits = [[_last_places(given[n], limit / columns[n].field.unit) for n in names]
                      for limit in (self.low, self.high)]  # fmt: skip
            return x.clip(*limits)

        # in units in the last place, which are whole numbers: one batch for columns of all scales
        places = together({n: _places(x) for n, x in given.items()}, cut)
        values = {n: SecureArray(x._context, places[n]._ring_share(), x.scale, x.bound) for n, x in given.items()}
        inside = self.low <= 0 <= self.high
        if not inside:  # an empty cell holds 0 and was moved to a limit
            gappy = {n: x for n, x in values.items() if columns[n].missing is not None}
            values |= together(gappy, lambda names, x: x * present_cells(table, names))
        made: dict[str, list[SecureColumn]] = {}
        for name, column in columns.items():
            kind = "number" if between else column.field.kind
            cells, field = values[name], replace(column.field, kind=kind, bound=min(column.field.bound, largest))
            bound = min(column.values.bound, largest / field.unit) + 2.0**-cells.scale
            made[name] = [SecureColumn(field, cells._stated(bound), column.missing)]
        for name, column in flat.items():
            if column.missing is not None:
                present = present_cells(table, [name])[:, 0]
                column = replace(column, values=(column.values * present)._stated(column.values.bound))
            made[name] = [column]
        return swapped(table, made, clean=inside)


def _flat(column: SecureColumn, limit: float) -> SecureColumn:
    """All cells at a limit, public, that every value of the column lies beyond."""
    unit = exact.exp2(exact.log2_ceil(abs(limit)))
    values = column.values._context.constant(np.full(column.values.shape, limit / unit), scale=FEATURE_BITS)
    return SecureColumn(replace(column.field, kind="number", unit=unit, bound=abs(limit)), values, column.missing)


def _places(x: SecureArray) -> SecureArray:
    """x in units in the last place. Local."""
    return SecureArray(x._context, x._ring_share(), 0, max(1.0, x.bound * 2.0**x.scale))


def _last_places(x: SecureArray, limit: float) -> int:
    """A public limit in units in the last place of x; one beyond its bound cuts nothing."""
    most = math.ceil(x.bound * 2.0**x.scale) + 1
    return max(-most, min(most, round(min(max(limit, -2.0 * x.bound - 2), 2.0 * x.bound + 2) * 2.0**x.scale)))


class LogTransformer(Transform):
    """ln(x + offset), for columns whose values are above -offset: smaller ones are taken as the smallest number.

    ``offset``: public, in the column's own unit (1: log1p). Where an owner can do this to its own cells, the schema's
    transform "signed_log" costs nothing. Error and cost as ``privity.log``; rounds do not grow with the columns, as all
    whose unit leaves them as many fractional bits are one batch. Empty cells stay empty.
    """

    def __init__(self, columns: Sequence[str] | None = None, *, offset: float = 1.0) -> None:
        self.columns = columns
        self.offset = offset

    def fit(self, table: Table) -> LogTransformer:
        if not self.offset >= 0:
            raise UsageError(f"LogTransformer: expected an offset of at least 0, got {self.offset}")
        self.columns_ = chosen(self, table, is_number, _NUMBERS)
        self.feature_names_out_ = table.feature_names
        return self

    def transform(self, table: Table) -> Table:
        self.fitted("columns_")
        return columns_out(table, together(_natural(table, self.columns_), lambda names, x: log(x + self.offset)))


class PowerTransformer(Transform):
    """Box-Cox or Yeo-Johnson with public exponents; standardise afterwards with ``StandardScaler``.

    ``lambdas``: one for all columns, or by name. scikit-learn estimates them by maximum likelihood from the rows; here
    they are public choices, as for 0 (logarithm), 0.5 (square root) or 1 (unchanged). "box-cox" wants values above 0:
    (x^l - 1) / l, ln x for l = 0. "yeo-johnson" wants any: with x + 1 for x >= 0, and -((1 - x)^(2 - l) - 1) / (2 - l)
    below. Error and cost as ``privity.power`` and ``privity.log``; columns with one exponent and equal fractional bits
    are one batch. Empty cells stay empty.
    """

    def __init__(
        self,
        columns: Sequence[str] | None = None,
        *,
        lambdas: float | Mapping[str, float] = 0.0,
        method: Literal["yeo-johnson", "box-cox"] = "yeo-johnson",
    ) -> None:
        self.columns = columns
        self.lambdas = lambdas
        self.method = method

    def fit(self, table: Table) -> PowerTransformer:
        if self.method not in ("yeo-johnson", "box-cox"):
            raise UsageError(f"PowerTransformer: expected 'yeo-johnson' or 'box-cox', got {self.method!r}")
        self.columns_ = chosen(self, table, is_number, _NUMBERS)
        if isinstance(self.lambdas, Mapping):
            without = [n for n in self.columns_ if n not in self.lambdas]
            if without:
                raise UsageError(f"PowerTransformer: no lambda for {', '.join(without)}")
        real_numbers("PowerTransformer", **{f"lambdas of {n}": self._exponent(n) for n in self.columns_})
        self.feature_names_out_ = table.feature_names
        return self

    def transform(self, table: Table) -> Table:
        self.fitted("columns_")
        columns = _natural(table, self.columns_)
        made = together(columns, lambda names, x: self._curve(self._exponent(names[0]), x), self._exponent)
        reach = {n: self._reach(self._exponent(n), columns[n].bound) for n in made}
        return columns_out(table, {n: y._stated(min(y.bound, reach[n])) for n, y in made.items()})

    def _exponent(self, name: str) -> float:
        return self.lambdas[name] if isinstance(self.lambdas, Mapping) else self.lambdas

    def _curve(self, exponent: float, x: SecureArray) -> SecureArray:
        if self.method == "box-cox":
            return _box_cox(x, exponent)
        if exponent == 1:
            return x
        # both branches are computed, each for values from 1 upward, and one is chosen in secret
        negative = x < 0
        size = where(negative, -x, x) + 1.0
        return where(negative, -_box_cox(size, 2 - exponent), _box_cox(size, exponent))

    def _reach(self, exponent: float, bound: float) -> float:
        """Largest magnitude of a result for |x| <= bound, with room for the error of the curve."""
        if self.method == "yeo-johnson":
            ends = [_plain_box_cox(1 + bound, e) for e in (exponent, 2 - exponent)]
        elif exponent > 0:
            ends = [_plain_box_cox(bound, exponent), 1 / exponent]  # the latter at 0
        else:
            return math.inf
        return max(map(abs, ends)) * (1 + 2.0**-10) + 2.0**-8 * max(1.0, 1 / abs(exponent or 1.0))


def _box_cox(x: SecureArray, exponent: float) -> SecureArray:
    if exponent == 0:
        return log(x)
    if exponent == 1:
        return x - 1.0
    return (power(x, exponent) - 1.0) * (1.0 / exponent)


def _plain_box_cox(x: float, exponent: float) -> float:
    return exact.ln(x) if exponent == 0 else (exact.power(x, exponent) - 1) / exponent


def _natural(table: Table, names: Sequence[str]) -> dict[str, SecureArray]:
    """Columns in their own units, with at most the session's fractional bits; whole numbers with all of them."""
    bits = table._context.fraction_bits
    columns = {n: table.column(n).natural.numeric() for n in names}
    fine = [n for n, x in columns.items() if x.scale > bits]
    if fine:
        cut = stack([columns[n] for n in fine], axis=1).rescaled(bits)
        columns |= {n: cut[:, i]._stated(columns[n].bound + 2.0**-bits) for i, n in enumerate(fine)}
    return {n: x if x.scale else x.rescaled(bits) for n, x in columns.items()}
