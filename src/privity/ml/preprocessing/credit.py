"""Credit scoring: weight of evidence of categories, and information value of columns.

    woe_k = ln(g_k) - ln(b_k),  iv = sum_k (g_k - b_k) woe_k,  g_k = (good_k + s) / (good + K s), b_k likewise

for K categories with good_k rows of label 0 and bad_k of label 1, and a smoothing s. Source: Siddiqi, Credit Risk
Scorecards (2006), chapter 6.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ...array import SecureArray
from ...errors import UsageError
from ...functions import log, matmul, reciprocal, stack
from ...table import Field, SecureColumn, Table
from .encode import one_hot_columns
from .transform import Transform, chosen, swapped

_BITS = 26


class WOEEncoder(Transform):
    """Categories (or bins of ``KBinsDiscretizer``) as their weight of evidence for the 0/1 label; all secret.

    ``smoothing``: rows added to every category and class, so that no logarithm is infinite. Empty cells become 0: no
    evidence. Error: 2^-14 where both classes have a sixteenth of the rows at least (guarded at 2^-10).

    After fit: ``woe_``, column -> (categories,); ``information_value_``, column -> secret scalar. Opened, they are
    aggregates of groups of rows: open them through ``privity.disclosure``.
    """

    def __init__(self, columns: Sequence[str] | None = None, *, smoothing: float = 0.5) -> None:
        self.columns = columns
        self.smoothing = smoothing

    def fit(self, table: Table) -> WOEEncoder:
        if not self.smoothing > 0:
            raise UsageError(f"WOEEncoder: expected a smoothing above 0, got {self.smoothing}")
        label = table.label
        if label is None or table.label_name is None or table.column(table.label_name).field.kind != "binary":
            raise UsageError("WOEEncoder: needs a table with a binary label (0 good, 1 bad)")
        self.columns_ = chosen(self, table, _is_category, "categories; bin numbers first with KBinsDiscretizer")
        hot = one_hot_columns(table, self.columns_)
        self.woe_: dict[str, SecureArray] = {}
        self.information_value_: dict[str, SecureArray] = {}
        for name in self.columns_:
            self.woe_[name], self.information_value_[name] = self._evidence(hot[name], label, table.rows)
        self.feature_names_out_ = table.feature_names
        return self

    def transform(self, table: Table) -> Table:
        self.fitted("woe_")
        hot = one_hot_columns(table, self.columns_)
        made: dict[str, list[SecureColumn]] = {}
        for name in self.columns_:
            column, woe = table.column(name), self.woe_[name]
            values = matmul(hot[name], woe.reshape((-1, 1))).reshape((table.rows,)).stated(woe.bound)
            field = replace(column.field, kind="number", unit=1.0, bound=woe.bound, categories=(), missing=False)
            made[name] = [SecureColumn(field, values)]
        return swapped(table, made, clean=True)

    def _evidence(self, hot: SecureArray, label: SecureArray, rows: int) -> tuple[SecureArray, SecureArray]:
        levels = hot.shape[1]
        bad = matmul(label.reshape((1, -1)), hot).reshape((levels,)).stated(float(rows))
        counts = stack([hot.sum(axis=0).stated(float(rows)) - bad, bad]).stated(float(rows))
        smooth = counts + self.smoothing
        per_row = 1.0 / (rows + levels * self.smoothing)
        share = smooth.multiply(per_row, scale=_BITS).stated(1.0)  # of all rows
        total = share.sum(axis=1).stated(1.0).reshape((2, 1))
        within = share.multiply(reciprocal(total, at_most=1024.0, scale=_BITS - 6), scale=_BITS).stated(1.0 + 2.0**-8)
        logs = log(within)
        woe = logs[0] - logs[1]
        gap = within[0] - within[1]
        return woe, (gap * woe).sum()


def _is_category(field: Field) -> bool:
    return field.coded


def information_value(table: Table, columns: Sequence[str] | None = None, smoothing: float = 0.5) -> SecureArray:
    """Information value of each category column for the 0/1 label, (k,), secret. See ``WOEEncoder``."""
    fitted = WOEEncoder(columns, smoothing=smoothing).fit(table)
    return stack([fitted.information_value_[n] for n in fitted.columns_])
