"""How much a model's score depends on each column: the column is shuffled, and the score taken again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ...array import SecureArray
from ...errors import ShapeError, UsageError
from ...functions import concatenate, shuffle, stack
from ...functions.flags import as_flags, moving
from ...functions.nullable import listwise
from ...mpc import tables
from ..parameters import arguments
from .scorers import Scorer, scorer_of


@dataclass(frozen=True)
class Importances:
    """``importances`` (columns, repeats): what the score loses; ``importances_mean``, ``importances_std`` (columns,).

    All secret; ``score`` (): the score on the rows as they are.
    """

    importances: SecureArray
    importances_mean: SecureArray
    importances_std: SecureArray
    score: SecureArray


@arguments
@listwise
def permutation_importance(
    estimator: Any,
    x: SecureArray,
    y: SecureArray,
    *,
    scoring: str | Scorer,
    n_repeats: int = 5,
    valid: SecureArray | None = None,
) -> Importances:
    """As ``sklearn.inspection.permutation_importance``; the order of each shuffle is known to nobody.

    x (n, d), y (n,). With ``valid`` (n,), secret booleans or integers that are checked to be 0 or 1, a column is
    shuffled among the rows that are real; RangeViolated before a row is moved if it holds other numbers. ``scoring``: a
    name (see ``metrics.scorers``) or a function. Nothing is opened. Cost: d * n_repeats predictions and scores, each
    with a shuffle of one column (3 rounds; with ``valid`` 8). Raises ShapeError, UsageError.
    """
    if x.ndim != 2 or 0 in x.shape or y.shape != x.shape[:1]:
        raise ShapeError(f"permutation_importance: expected x (n, d) and y (n,), got {x.shape} and {y.shape}")
    if valid is not None and valid.shape != y.shape:
        raise ShapeError(f"permutation_importance: expected valid of shape {y.shape}, got {valid.shape}")
    if n_repeats < 1:
        raise UsageError(f"permutation_importance: expected n_repeats >= 1, got {n_repeats}")
    score = scorer_of(scoring)
    if valid is not None:
        x, y, valid = _real_rows_first(as_flags(valid, "permutation_importance: valid"), x, y)
    full = score(estimator, x, y, valid=valid)
    rows = []
    for j in range(x.shape[1]):
        losses = []
        for _ in range(n_repeats):
            column = _shuffled(x[:, j], valid).reshape((-1, 1))
            changed = concatenate([x[:, :j], column, x[:, j + 1 :]], axis=1)
            losses.append(full - score(estimator, changed, y, valid=valid))
        rows.append(stack(losses))
    lost = stack(rows)
    return Importances(lost, lost.mean(axis=1), lost.std(axis=1), full)


def _real_rows_first(
    valid: SecureArray, x: SecureArray, y: SecureArray
) -> tuple[SecureArray, SecureArray, SecureArray]:
    given = [x.numeric(), y.numeric(), valid]
    moved = tables.in_front(valid._context.protocol, moving(valid), [a._ring_share() for a in given])
    made = [SecureArray(a._context, s, a.scale, a.bound, a._flags) for a, s in zip(given, moved, strict=True)]
    return made[0], made[1], made[2]


def _shuffled(column: SecureArray, valid: SecureArray | None) -> SecureArray:
    """A column in another order; real rows stand in front and stay there."""
    if valid is None:
        return shuffle(column)[0]
    mixed, real = shuffle(column, valid)
    share = tables.in_front(column._context.protocol, moving(real), [mixed._ring_share()])[0]
    return SecureArray(column._context, share, column.scale, column.bound)
