"""What all metrics share: which rows count and by how much, labels, probabilities, weighted means."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...array import SecureArray, secure
from ...errors import ShapeError, UsageError
from ...functions import arithmetic
from ...functions.flags import as_flags, secret
from ...functions.ratio import fitting_scale, mean, ratio, sums
from ...functions.ratio import weighted_mean as mean_by_weights
from ...ring import exact
from ...table import Table
from ..weights import guard_weights

_LEAST_UNITS = 64  # of secret weights in the last place, on average: roundings of weights are below 1 % then


def check_rows(what: str, *arrays: SecureArray) -> int:
    """Number of rows of one-dimensional arrays. Raises ShapeError unless all have the same, at least one."""
    public = [type(a).__name__ for a in arrays if not isinstance(a, SecureArray)]
    if public:
        raise UsageError(
            f"{what}: expected secret arrays of shape (n,), got {public[0]}; session.constant(values) makes one of "
            "public values"
        )
    first = arrays[0].shape
    if any(a.shape != first for a in arrays) or len(first) != 1 or first[0] == 0:
        shapes = " and ".join(str(a.shape) for a in arrays)
        raise ShapeError(f"{what}: expected two arrays of shape (n,) with n > 0, got {shapes}")
    return first[0]


def row_weights(what: str, y: SecureArray, valid: SecureArray | None, sample_weight: Any) -> SecureArray | None:
    """valid * sample_weight, (n,); None where every row counts once. Secret 0/1 integers if there are no weights.

    Raises ShapeError, and UsageError for public weights that are negative or not finite. Secret ones are guarded:
    RangeViolated at the next opening if one is below 0, or all of the rows that count are 0.
    """
    mask, weight = _checked(what, y, valid, sample_weight)
    if weight is None:
        return mask
    if not isinstance(sample_weight, SecureArray):
        weight = secure(y._context, _of_size_one(np.asarray(sample_weight)))
    # Sums of weights are multiplied with each other: both must fit together.
    weight = _masked(weight, mask, fitting_scale(weight.bound * y.shape[0], weight.scale, 30))
    if isinstance(sample_weight, SecureArray) and weight.scale:
        _guard_digits(what, weight, mask)
    return weight


def _guard_digits(what: str, weight: SecureArray, mask: SecureArray | None) -> None:
    """Guard that secret fractional weights have some bits left under their public bound. About 10 rounds."""
    least = _LEAST_UNITS * 2.0**-weight.scale
    count: Any = weight.size if mask is None else mask.numeric().sum()
    few = weight.sum() - count * least
    weight._context.guard(
        (few < 0).numeric()._ring_share(),
        f"{what}: the mean of sample_weight is at least {_LEAST_UNITS} units in its last place (2^-{weight.scale}, by "
        "the public bound): state a smaller bound, or multiply the weights by a number",
    )


def counted_weights(what: str, y: SecureArray, valid: SecureArray | None, sample_weight: Any) -> SecureArray | None:
    """The same where weights are only added up, and their size is part of the result: no more bits are cut than sums
    over the rows have no room for."""
    mask, weight = _checked(what, y, valid, sample_weight)
    if weight is None:
        return mask
    return _masked(weight, mask, fitting_scale(weight.bound * y.shape[0], weight.scale))


def _checked(
    what: str, y: SecureArray, valid: SecureArray | None, sample_weight: Any
) -> tuple[SecureArray | None, SecureArray | None]:
    """(flags of the rows that count, their weights), None where there are none."""
    n = y.shape[0]
    for name, given in (("valid", valid), ("sample_weight", sample_weight)):
        if isinstance(given, Table):
            raise UsageError(f"{what}: expected {name} as one column, table[name], got the table {given.name!r}")
        if given is not None and _shape(given) != (n,):
            raise ShapeError(f"{what}: expected {name} of shape ({n},) like the labels, got {_shape(given)}")
    mask = None if valid is None else as_flags(valid, f"{what}: valid")
    if sample_weight is None:
        return mask, None
    if isinstance(sample_weight, SecureArray):
        weight = sample_weight.numeric()
        guard_weights(what, weight, mask)
        return mask, weight
    public = np.asarray(sample_weight)
    if public.dtype.kind not in "biuf" or not np.isfinite(public).all() or (public < 0).any():
        raise UsageError(f"{what}: expected sample_weight of finite numbers of at least 0")
    if not public.any():
        raise UsageError(f"{what}: sample_weight is 0 in every row; give some row a weight, or leave it out")
    return mask, secure(y._context, public)


def _of_size_one(public: np.ndarray) -> np.ndarray:
    """Public weights times a power of two that brings the largest to at most 1, unless they are small whole numbers:
    weights of any size keep their digits."""
    most = float(public.max(initial=0))
    if most == 0 or (most * public.size < 2.0**30 and bool((public == np.rint(public)).all())):
        return public
    return np.ldexp(public.astype(np.float64), -exact.log2_ceil(most))


def _masked(weight: SecureArray, mask: SecureArray | None, scale: int) -> SecureArray:
    weight = weight if scale == weight.scale else arithmetic.rescale(weight, scale)
    return weight if mask is None else (weight * mask)._stated(weight.bound)


def _shape(x: Any) -> tuple[int, ...]:
    try:
        return x.shape if isinstance(x, SecureArray) else np.shape(x)
    except ValueError:  # lists of different lengths
        return ()


def binary(what: str, y: SecureArray, name: str, valid: SecureArray | None = None) -> SecureArray:
    """Labels as flags: booleans, or whole numbers that are checked to be 0 or 1 (``functions.flags.as_flags``).

    ``name``: the argument. ``valid``: which rows count, or None; what stands in others does not matter. Raises
    UsageError for fixed-point labels.
    """
    secret(f"{what}: {name}", y)
    if y.kind == "fixed":
        raise UsageError(
            f"{what}: expected {name} as secret booleans or 0/1 integers, got {y!r}; compare: {name} > 0.5"
        )
    among = None if valid is None else as_flags(valid, f"{what}: valid")
    advice = f"for other labels pass {name} == L, where L counts as 1: {name} == 1 of -1 and 1, {name} == 2 of 1 and 2"
    return as_flags(y, f"{what}: {name}", among=among, advice=advice)


def probability(p: SecureArray) -> SecureArray:
    """Probabilities; |p| <= 1 is guarded where the bound does not say so already."""
    p = p.numeric()
    return p if p.bound <= 1.01 else p.assume_bound(1.0, "probabilities: give those of predict_proba, from 0 to 1")


def squared(x: SecureArray, scale: int | None = None) -> SecureArray:
    """x^2 at ``scale`` fractional bits (None: the session's); x loses those for which its bound leaves no room."""
    x = x.numeric()
    wanted = x._context.fraction_bits if scale is None else scale
    if x.scale == 0:
        return x * x
    x = x.rescaled(min(x.scale, fitting_scale(x.bound * x.bound, 2 * x.scale, 60) // 2))
    return x.multiply(x, scale=min(wanted, 2 * x.scale))


def weighted_sum(values: SecureArray, weight: SecureArray | None) -> SecureArray:
    """sum of weight * values over the rows: (n,) -> (), or (n, k) -> (k,), at the fractional bits of ``values``.

    One rounding where there is room for it.
    """
    values = values.numeric()
    if weight is None:
        return values.sum(axis=0)
    bits = values.scale + weight.scale
    if values.bound * weight.bound * values.shape[0] * 2.0**bits < 2.0**61:
        return arithmetic.matmul(weight, values, 1.0, values.scale)
    column = weight.reshape((-1,) + (1,) * (values.ndim - 1))
    return column.multiply(values, scale=values.scale).sum(axis=0)


def weighted_share(values: SecureArray, weight: SecureArray | None) -> SecureArray:
    """Weighted mean of numbers of about 1 (shares, losses) over the rows, (n,) -> () or (n, k) -> (k,); 0 where no row
    counts. Error: a relative 2^-20 and 1.25 units."""
    if weight is None:
        return values.sum(axis=0) * (1.0 / values.shape[0])
    total = weighted_sum(values, weight)
    return ratio(total, weight.sum(), values.bound)


def weighted_mean(values: SecureArray, weight: SecureArray | None) -> SecureArray:
    """Weighted mean over the rows, (n,) -> (), of numbers of any size; 0 where no row counts.

    Error: a relative 2^-24 and one unit. With weights 6 rounds and 45 bytes per party more than ``weighted_share``.
    """
    values = values.numeric()
    if weight is None:
        return values.mean(axis=0)
    scale = fitting_scale(values.bound, max(values.scale, values._context.fraction_bits), 58)
    if weight._flags:
        fits = values.bound * values.shape[0] * 2.0**values.scale < 2.0**61
        total = [weighted_sum(values, weight)] if fits else sums((values * weight)._stated(values.bound))
        return mean(total, weight.sum(), values.bound, scale)
    return mean_by_weights(values, weight, values.bound, scale)


def of_weight(
    what: str, weight: SecureArray | None, valid: SecureArray | None, sample_weight: Any
) -> SecureArray | None:
    """Flags of the rows that count and have a weight above 0; None if all do. ``weight``: as ``row_weights`` made it.
    """
    if isinstance(sample_weight, SecureArray):
        assert weight is not None
        return as_flags(weight > 0, f"{what}: sample_weight")
    return None if valid is None else as_flags(valid, f"{what}: valid")


def without_zeros(sample_weight: Any, *arrays: Any) -> tuple[Any, ...]:
    """Public weights and arrays (n,) without the rows of weight 0, if some have more; secret weights as they are."""
    if sample_weight is None or isinstance(sample_weight, SecureArray):
        return (sample_weight, *arrays)
    if len(_shape(sample_weight)) != 1:
        return (sample_weight, *arrays)
    public = np.asarray(sample_weight)
    some = public.ndim == 1 and all(a is None or _shape(a) == public.shape for a in arrays)
    if not some or public.dtype.kind not in "biuf" or not (public > 0).any() or not (public == 0).any():
        return (sample_weight, *arrays)
    rows = np.flatnonzero(public)
    return (public[rows], *(None if a is None else a[rows] for a in arrays))
