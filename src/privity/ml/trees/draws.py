"""Which rows and columns the trees of a forest see: public draws, the same at all parties."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from ...errors import UsageError
from ...ring import exact

Integers = npt.NDArray[np.int64]


def times_drawn(seed: int, trees: slice, rows: int, wanted: int | float | None) -> Integers:
    """How often each of these trees takes each row, (trees, rows), drawn with replacement.

    ``wanted``: how many rows a tree draws, a number or a share; None: as many as there are.
    """
    take = rows if wanted is None else wanted if isinstance(wanted, int) else max(1, round(wanted * rows))
    drawn = [np.random.default_rng([seed, tree, 0]).integers(0, rows, take) for tree in range(trees.start, trees.stop)]
    return np.stack([np.bincount(d, minlength=rows) for d in drawn])


def columns_of_nodes(seed: int, trees: slice, level: int, columns: int, tried: int) -> Integers:
    """The columns that each node of a level may use, (nodes of all trees, tried), in a drawn order."""
    nodes = [
        np.random.default_rng([seed, tree, 1 + level]).random((1 << level, columns))
        for tree in range(trees.start, trees.stop)
    ]
    return np.concatenate(nodes).argsort(axis=1, kind="stable")[:, :tried]


def columns_to_try(what: str, wanted: int | float | str | None, columns: int) -> int:
    """scikit-learn's ``max_features`` as a number of columns. Raises UsageError."""
    if wanted is None:
        return columns
    if wanted == "sqrt":
        return max(1, math.isqrt(columns))
    if wanted == "log2":
        return max(1, exact.log2_floor(columns))
    if isinstance(wanted, bool | str) or not (wanted >= 1 if isinstance(wanted, int) else 0 < wanted <= 1):
        raise UsageError(
            f"{what}: expected max_features 'sqrt', 'log2', None, a number of columns or a share of them in (0, 1], "
            f"got {wanted!r}"
        )
    return min(columns, wanted) if isinstance(wanted, int) else max(1, int(wanted * columns))
