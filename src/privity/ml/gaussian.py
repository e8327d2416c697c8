"""Log densities of normal distributions without correlations, for many rows and several of them by one product."""

from __future__ import annotations

import math

import numpy as np

from ..array import SecureArray
from ..errors import UsageError
from ..functions import concatenate, log, reciprocal
from ..functions.ratio import fitting_scale
from ..ring import exact
from ..types import RANGE_BITS

_LEAST_BITS = 10  # of what rows are multiplied with
_WANTED_BITS = 12


def feature_bound_for(columns: int, scale: int, least: float) -> float:
    """The largest bound of x and means, a power of two, at which ``log_densities`` has digits enough."""
    return exact.exp2(math.floor((RANGE_BITS - 2 - scale - _WANTED_BITS - exact.log2(2 * columns / least)) / 2))


def log_densities(what: str, x: SecureArray, mean: SecureArray, variance: SecureArray, least: float) -> SecureArray:
    """log N(x_i; mean_j, diag(variance_j)) for x (n, d), mean and variance (k, d): (n, k).

    ``least``: public bound below every variance, guarded. By [x^2, x] @ [-1 / 2v, m / v]: error about 2^-16 (1 + x^2)
    a column at variances near 1 and bounds near 16; larger bounds and smaller ``least`` leave fewer bits. Raises
    UsageError where fewer than 10 are left. Rounds: about 45. Bytes per party: 10 n (d + k) and about 400 k d.
    """
    context, d = x._context, x.shape[1]
    logs = abs(exact.ln(least)) + exact.ln(variance.bound + 2)
    reach = d * (exact.square(x.bound + mean.bound) / (2 * least) + logs + 2)
    fine = RANGE_BITS - 1 - exact.log2_ceil(reach) - x.scale
    if fine < _LEAST_BITS:
        raise UsageError(
            f"{what}: |x| <= {x.bound:g} over variances of at least {least:.2g} leaves too few digits; standardise the "
            "columns and state feature_bound, or take more smoothing"
        )
    fine = min(fine, 24)
    bits = fitting_scale(exact.square(mean.bound) / least, 24, RANGE_BITS - 2 - context.fraction_bits)
    inverse = reciprocal(variance, at_most=1.0 / least, scale=min(fine + 2, bits))
    slope = mean.multiply(inverse, scale=inverse.scale)
    middle = (slope.rescaled(min(slope.scale, context.fraction_bits)) * mean).sum(1)
    constant = (middle + log(variance).sum(1) + d * exact.ln(2 * math.pi)).multiply(np.asarray(-0.5))
    half = SecureArray(context, inverse._ring_share(), inverse.scale + 1, inverse.bound / 2)  # 1 / 2v, exactly
    sides = concatenate([-half.rescaled(min(half.scale, fine)), slope.rescaled(min(slope.scale, fine))], axis=1)
    squares = x.multiply(x, scale=x.scale)
    rows = concatenate([squares, x], axis=1)
    share = context.protocol.matmul(
        rows._ring_share(), sides.T._ring_share(), rows.scale + sides.scale - context.fraction_bits
    )
    # The sums may wrap around on the way; the densities themselves stay within ``reach``.
    product = SecureArray(context, share, context.fraction_bits, reach)
    return (product + constant.rescaled(context.fraction_bits))._stated(reach)
