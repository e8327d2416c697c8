"""Disclosure control: opening aggregates only where enough rows stand behind them.

A mean of one patient is that patient. ``release`` opens an array of aggregates of which each cell rests on a number of
rows; cells of fewer than ``session.minimum_group`` rows are replaced on shares, before anything is opened. What this
does not cover (differences between several openings above all) is on the page docs/disclosure.md.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .array import SecureArray, broadcast_shapes, secure
from .context import Context
from .errors import ShapeError, UsageError
from .functions import argmin, one_hot, stack, where
from .functions.flags import as_flags
from .openings import Withheld
from .session import Session, context_of


def release(
    session: Session | Context,
    values: SecureArray,
    counts: SecureArray | npt.ArrayLike,
    *,
    to: Any,
    name: str,
    reason: str,
) -> Any:
    """Open ``values``, float64; NaN ("suppressed") where ``counts`` is below the session's minimum group.

    ``counts``: rows behind each cell, secret or public whole numbers that broadcast to the shape of ``values``.
    Reveals: the cells with enough rows, and which cells have not; one opening of the shape of ``values``, as
    ``Session.reveal`` (whose errors it raises). The value of a suppressed cell never leaves its shares: it is replaced
    there by a number below the array's bound. Rounds beside the opening: a comparison and 3 (public counts: none).
    """
    context = context_of(session)
    values = values.numeric()
    if isinstance(counts, SecureArray) and counts.kind == "fixed":
        raise UsageError(f"release({name!r}): expected counts as whole numbers of rows, got {counts!r}")
    counts = counts.numeric() if isinstance(counts, SecureArray) else counts
    shape = counts.shape if isinstance(counts, SecureArray) else np.shape(counts)
    if broadcast_shapes(values.shape, shape) != values.shape:
        raise ShapeError(f"release({name!r}): counts of shape {shape} do not broadcast to values of {values.shape}")
    if isinstance(counts, SecureArray):
        enough: Any = counts >= context.minimum_group
    else:
        enough = np.asarray(counts) >= context.minimum_group
    return opened_where(context, values, enough, to=to, name=name, reason=reason)


def opened_where(context: Context, values: SecureArray, keep: Any, *, to: Any, name: str, reason: str) -> Any:
    """Open ``values`` where ``keep`` (booleans or 0/1 integers, secret or public, that broadcast) is 1, else NaN.

    Secret integers are checked to be 0 or 1 (functions/flags.py).

    Reveals: these values, and ``keep``. Rounds beside the opening: 3, none for a public ``keep``.
    """
    sentinel = -float(int(2.0 * values.bound) + 2)
    context.fits(-sentinel, values.scale, f"the mark of suppressed cells in {name!r}")
    secret = isinstance(keep, SecureArray)
    what = f"opened_where({name!r}): keep"
    flags = as_flags(keep, what) if secret else np.broadcast_to(np.asarray(keep, np.int64), values.shape)
    marked = ((values - sentinel) * flags)._stated(values.bound - sentinel) + sentinel
    value = context.reveal(marked._stated(-sentinel), to=to, name=name, reason=reason)
    if isinstance(value, Withheld):
        return value
    plain = np.asarray(value, np.float64)
    plain = np.where(plain < 0.75 * sentinel, np.nan, plain)
    return plain if values.shape else float(plain)


def release_table(session: Session | Context, counts: SecureArray, *, to: Any, name: str, reason: str) -> Any:
    """Open a table of counts of rows that do not overlap (a cross table, a histogram), float64; small cells are NaN.

    Cells below the minimum group are suppressed. Whoever knows the number of all rows would find a single suppressed
    cell, or several that are all empty, by subtraction; so where one cell is suppressed alone, or the suppressed cells
    hold fewer rows than the minimum group together, the smallest of the others is suppressed with them. Margins are
    not opened: add up the opened cells, and take a line with a suppressed cell as unknown (see ``margins``).
    Where only one cell is large enough, nothing is opened but that.

    Reveals: the cells that remain, and which ones they are. Rounds beside the opening: two comparisons, those of a
    smallest value of the table, and about 15.
    """
    context = context_of(session)
    counts = counts.numeric()
    if counts.kind != "int" or counts.size == 0:
        raise UsageError(f"release_table({name!r}): expected secret whole numbers, at least one, got {counts!r}")
    flat = counts.reshape(-1)
    is_small = flat < context.minimum_group
    small = is_small.numeric()
    hidden = small.sum()._stated(float(flat.size))
    held = (small * flat).sum()._stated(float(min(context.minimum_group * flat.size, 2**40)))
    # one cell alone, or few rows in all of them: one more cell goes
    alone, few, none = (stack([hidden - 2, held - context.minimum_group, hidden - 1]) < 0)[:3]
    more = ((alone | few) & ~none).numeric()
    keep = (1 - small)._stated(1.0)
    if flat.size > 1:
        above = secure(context, int(counts.bound) + 1)
        smallest = one_hot(argmin(where(is_small, above, flat)), flat.size)
        keep = keep * (1 - smallest * more)._stated(1.0)
    return opened_where(context, counts, keep.reshape(counts.shape), to=to, name=name, reason=reason)


def margins(table: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], float]:
    """(sums of rows, sums of columns, total) of an opened two-way table; NaN wherever a cell was suppressed."""
    return table.sum(axis=1), table.sum(axis=0), float(table.sum())
