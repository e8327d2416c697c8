"""Credit scoring: weight of evidence of categories, and information value of columns.

    woe_k = ln(g_k) - ln(b_k),  iv = sum_k (g_k - b_k) woe_k,  g_k = (good_k + s) / (good + K s), b_k likewise

for K categories with good_k rows of label 0 and bad_k of label 1, and a smoothing s. Source: Siddiqi, Credit Risk
Scorecards (2006), chapter 6.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from ...array import SecureArray
from ...errors import UsageError
from ...functions import concatenate, log, matmul, reciprocal, stack
from ...functions.flags import as_flags
from ...table import Field, SecureColumn, Table
from .encode import batches_of_levels, meanings, one_hot_batch, same_meanings
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
        if table.label_name is None or table.column(table.label_name).field.kind != "binary":
            raise UsageError("WOEEncoder: needs a table with a binary label (0 good, 1 bad)")
        name = table.label_name
        table = table.with_target(name)  # rows without a label say nothing of good and bad
        label = as_flags(table.column(name).natural, "WOEEncoder: the label")
        self.columns_ = chosen(self, table, _is_category, "categories; bin numbers first with KBinsDiscretizer")
        self.meant_ = meanings(table, self.columns_)
        self.levels_ = {n: len(table.column(n).field.categories) for n in self.columns_}
        self.woe_: dict[str, SecureArray] = {}
        self.information_value_: dict[str, SecureArray] = {}
        for batch, hot in self._flags(table):
            woe, value = self._evidence(hot, label, [self.levels_[n] for n in batch])
            self.woe_ |= {n: woe[i, : self.levels_[n]] for i, n in enumerate(batch)}
            self.information_value_ |= {n: value[i] for i, n in enumerate(batch)}
        self.feature_names_out_ = table.feature_names
        return self

    def transform(self, table: Table) -> Table:
        self.fitted("woe_")
        same_meanings("WOEEncoder", table, self.meant_)
        made: dict[str, list[SecureColumn]] = {}
        for batch, hot in self._flags(table):
            most = hot.shape[2]
            woes = stack([concatenate([self.woe_[n], np.zeros(most - self.levels_[n])]) for n in batch])
            values = matmul(hot, woes.reshape((len(batch), most, 1)))._stated(woes.bound)
            for i, name in enumerate(batch):
                field = table.column(name).field
                field = replace(field, kind="number", unit=1.0, bound=woes.bound, categories=(), missing=False)
                made[name] = [SecureColumn(field, values[i, :, 0])]
        return swapped(table, made, clean=True)

    def _flags(self, table: Table) -> Iterator[tuple[list[str], SecureArray]]:
        """Columns that are treated together, and their flags (k, n, most levels)."""
        for batch in batches_of_levels(self.levels_):
            most = max(self.levels_[n] for n in batch)
            yield batch, one_hot_batch(table, {n: table.column(n).values for n in batch}, most)

    def _evidence(
        self, hot: SecureArray, label: SecureArray, levels: Sequence[int]
    ) -> tuple[SecureArray, SecureArray]:
        """Evidence (k, most levels) and information value (k,) of k columns from ``hot`` (k, n, most levels)."""
        columns, rows, most = hot.shape
        has = (np.arange(most) < np.asarray(levels)[:, None]).astype(np.float64)  # which levels a column has
        flat = hot.transpose(1, 0, 2).reshape((rows, columns * most))
        bad = matmul(label.reshape((1, -1)), flat).reshape((columns, most))._stated(float(rows))
        counts = stack([hot.sum(axis=1)._stated(float(rows)) - bad, bad])._stated(float(rows))
        smooth = counts + self.smoothing * has
        per_row = 1.0 / (rows + np.asarray(levels)[:, None] * self.smoothing)
        share = smooth.multiply(per_row, scale=_BITS)._stated(1.0)  # of all rows
        total = share.sum(axis=2)._stated(1.0).reshape((2, columns, 1))
        within = share.multiply(reciprocal(total, at_most=1024.0, scale=_BITS - 6), scale=_BITS)._stated(1.0 + 2.0**-8)
        logs = log(within)
        woe = logs[0] - logs[1]
        gap = within[0] - within[1]
        return woe, ((gap * woe) * has.astype(np.int64)).sum(axis=1)


def _is_category(field: Field) -> bool:
    return field.coded


def information_value(table: Table, columns: Sequence[str] | None = None, smoothing: float = 0.5) -> SecureArray:
    """Information value of each category column for the 0/1 label, (k,), secret. See ``WOEEncoder``."""
    fitted = WOEEncoder(columns, smoothing=smoothing).fit(table)
    return stack([fitted.information_value_[n] for n in fitted.columns_])
