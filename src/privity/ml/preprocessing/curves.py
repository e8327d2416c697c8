"""Public functions applied to secret columns: cutting, logarithms, powers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Literal

from ...array import SecureArray
from ...errors import UsageError
from ...functions import log, power, where
from ...table import SecureColumn, Table
from .transform import Transform, chosen, is_number, numbers_out, swapped

_NUMBERS = "numbers; encode categories first"


class Clip(Transform):
    """Numbers cut to [low, high], public, in the column's own unit. Two comparisons a value; empty cells stay empty."""

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
        made: dict[str, list[SecureColumn]] = {}
        for name in self.columns_:
            column = table.column(name)
            unit = column.field.unit
            cut = column.values.numeric().clip(self.low / unit, self.high / unit)
            if column.missing is not None and not self.low <= 0 <= self.high:
                cut = cut * (1 - column.missing).stated(1.0)
            bound = min(column.field.bound, max(abs(self.low), abs(self.high)))
            made[name] = [SecureColumn(replace(column.field, bound=bound), cut, column.missing)]
        return swapped(table, made, clean=self.low <= 0 <= self.high)


class LogTransformer(Transform):
    """ln(x + offset), for columns whose values are above -offset: smaller ones are taken as the smallest number.

    ``offset``: public, in the column's own unit (1: log1p). Where an owner can do this to its own cells, the schema's
    transform "signed_log" costs nothing. Error and cost as ``privity.log``. Empty cells stay empty.
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
        return _applied(table, self.columns_, lambda name, x: log(x + self.offset))


class PowerTransformer(Transform):
    """Box-Cox or Yeo-Johnson with public exponents; standardise afterwards with ``StandardScaler``.

    ``lambdas``: one for all columns, or by name. scikit-learn estimates them by maximum likelihood from the rows; here
    they are public choices, as for 0 (logarithm), 0.5 (square root) or 1 (unchanged). "box-cox" wants values above 0:
    (x^l - 1) / l, ln x for l = 0. "yeo-johnson" wants any: with x + 1 for x >= 0, and -((1 - x)^(2 - l) - 1) / (2 - l)
    below. Error and cost as ``privity.power`` and ``privity.log``. Empty cells stay empty.
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
        self.feature_names_out_ = table.feature_names
        return self

    def transform(self, table: Table) -> Table:
        self.fitted("columns_")
        return _applied(table, self.columns_, self._curve)

    def _curve(self, name: str, x: SecureArray) -> SecureArray:
        exponent = self.lambdas[name] if isinstance(self.lambdas, Mapping) else self.lambdas
        if self.method == "box-cox":
            return _box_cox(x, exponent)
        if exponent == 1:
            return x
        # both branches are computed, each for values from 1 upward, and one is chosen in secret
        negative = x < 0
        size = where(negative, -x, x) + 1.0
        return where(negative, -_box_cox(size, 2 - exponent), _box_cox(size, exponent))


def _box_cox(x: SecureArray, exponent: float) -> SecureArray:
    if exponent == 0:
        return log(x)
    if exponent == 1:
        return x - 1.0
    return (power(x, exponent) - 1.0) * (1.0 / exponent)


def _applied(table: Table, names: Sequence[str], curve: Callable[[str, SecureArray], SecureArray]) -> Table:
    """A curve of each column in its own unit. Precision: the session's fractional bits."""
    out = table
    for name in names:
        x = table.column(name).natural
        bits = table.session.fraction_bits
        y = curve(name, x if 0 < x.scale <= bits and math.isfinite(x.bound) else x.rescaled(bits))
        out = numbers_out(out, [name], y.reshape((-1, 1)))
    return out
