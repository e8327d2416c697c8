"""Disclosure control: opening aggregates only where enough rows stand behind them.

A mean of one patient is that patient. ``release`` opens an array of aggregates of which each cell rests on a number of
rows; cells of fewer than ``session.minimum_group`` rows are replaced on shares, before anything is opened. What this
does not cover (differences between several openings above all) is on the page docs/disclosure.md.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from .array import SecureArray, broadcast_shapes
from .context import Context
from .errors import ShapeError, UsageError
from .functions.flags import as_flags
from .openings import Withheld
from .session import Session, context_of
from .types import RANGE_BITS


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
    if 6 * values.bound * 2.0**values.scale >= 2.0**RANGE_BITS:  # no room for the mark
        values = values.rescaled(max(0, values.scale - 3))
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
    shown = plain if values.shape else float(plain)
    context.log.came(plain.copy())  # marks are no numbers, where a run fails later and leaves what was opened
    return shown


def release_table(session: Session | Context, counts: SecureArray, *, to: Any, name: str, reason: str) -> Any:
    """Open a table of counts of rows that do not overlap (a cross table, a histogram), float64; small cells are NaN.

    Cells below the minimum group g are suppressed. Whoever knows the number of all rows knows the sum of the suppressed
    cells, so others are suppressed with them: from the last cell of the table backwards, until the suppressed cells
    together could be g rows fewer for each small one and none of the others would be small. Then any numbers below g
    may stand in the small cells, whatever is known of the rule, the total and the cells that were opened, and each of
    the others may have g values at least; docs/disclosure.md has the proof. The order is that of the table and never
    that of the counts, since "the smallest" would be bounded by those that remain. Where the table holds too few rows
    for that, nothing is opened. Margins are not opened: add up the opened cells, and take a line with a suppressed
    cell as unknown (see ``margins``).

    Reveals: the cells that remain, and which ones they are. Rounds beside the opening: two comparisons and 3, however
    many cells there are.
    """
    context = context_of(session)
    counts = counts.numeric()
    if counts.kind != "int" or counts.size == 0:
        raise UsageError(f"release_table({name!r}): expected secret whole numbers, at least one, got {counts!r}")
    flat, least = counts.reshape(-1), context.minimum_group
    is_small = flat < least
    small = is_small.numeric()
    in_small = (small * flat)._stated(float(min(least, counts.bound)))
    room = (flat - in_small - (1 - small) * least)._stated(counts.bound)  # how far the other cells are above g
    later = (room.sum() - room.cumsum())._stated(counts.bound * flat.size)
    wanted = small.sum()._stated(float(flat.size)) * (least if least > 1 else 0)  # for 1 an empty cell says it is empty
    keep = ~(is_small | (in_small.sum() + later < wanted))
    return opened_where(context, counts, keep.reshape(counts.shape), to=to, name=name, reason=reason)


def margins(table: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], float]:
    """(sums of rows, sums of columns, total) of an opened two-way table; NaN wherever a cell was suppressed."""
    return table.sum(axis=1), table.sum(axis=0), float(table.sum())
