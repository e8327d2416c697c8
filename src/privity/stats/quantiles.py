"""Quantiles of a secret number of rows."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..array import SecureArray
from ..errors import ShapeError, UsageError
from ..functions import floor, minimum, sort
from ..functions import quantile as masked_quantile
from ..functions.order import between_rows
from ..ml.parameters import arguments
from .sample import Estimate, cells, of_columns


@arguments
@of_columns(by_cell=True)
def quantile(x: SecureArray, q: npt.ArrayLike, *, valid: SecureArray | None = None) -> Estimate:
    """Quantiles of x (n,), interpolated linearly as ``numpy.quantile``; the shape of the public q.

    A quantile is the value of one or two rows, so what counts is how many rows lie on its smaller side, itself
    included: minimum and maximum stay suppressed, and a median needs twice the minimum group less one. Error: 1.2 ulp;
    with a mask an ulp and 2^-17 of the gap that is interpolated. Cost: a ``sort``; with a mask n comparisons for each q
    more.
    """
    if x.ndim != 1:
        raise ShapeError(f"quantile: expected x of shape (n,), got {x.shape}")
    wanted = np.asarray(q, np.float64)
    if not ((wanted >= 0) & (wanted <= 1)).all():
        raise UsageError(f"quantile: expected 0 <= q <= 1, got {q!r}")
    given = cells("quantile", x, valid)
    n, flat = x.shape[0], wanted.reshape(-1)
    context = x._context
    values = x.numeric() if x.kind != "fixed" else given.x.reshape(-1)  # whole numbers need no fractional bits
    if given.mask is None:
        ordered = sort(values)
        place = flat * (n - 1)
        result = between_rows(ordered.reshape((1, n)), flat).reshape(-1)
        side = np.minimum(np.floor(place).astype(np.int64) + 1, n - np.ceil(place).astype(np.int64))
        counts: SecureArray = context.constant(side)
    else:
        mask = given.mask.reshape(-1)
        result = masked_quantile(values, flat, valid=mask)
        real = mask.sum()._stated(float(n))
        at = ((real - 1) * flat)._stated(float(n))
        at = at if at.scale else at.rescaled(context.fraction_bits)
        below = floor(at)._stated(float(n))
        part = (at - below)._stated(1.0)
        exact = (part == 0).numeric()
        counts = minimum((below + 1)._stated(n + 1.0), (real - below - 1 + exact)._stated(n + 1.0))
    result = result._stated(values.bound + 2.0 ** (1 - result.scale))
    return Estimate(result.reshape(wanted.shape), counts.reshape(wanted.shape))
