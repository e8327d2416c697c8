"""Class weights, in scikit-learn's forms: a factor for each row, by its class."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..array import SecureArray
from ..errors import UsageError
from ..functions import one_hot
from ..functions.arithmetic import matmul
from ..functions.join import stack
from ..functions.ratio import fitting_scale, ratio
from ..ring import exact
from ..types import RANGE_BITS
from .weights import guard_some

ClassWeight = Mapping[Any, float] | Sequence[float] | str | None
"""{class: weight} (classes that it leaves out weigh 1), a weight for each class, "balanced", or None: all weigh 1."""

RAREST = 2.0**-20
"""Least share of a class in the sum of sample weights for which "balanced" has a factor, guarded."""
_BITS = 24  # of a factor, where they fit


def class_factors(
    what: str,
    class_weight: ClassWeight,
    classes: int,
    y: SecureArray,
    *,
    valid: SecureArray | None = None,
    weight: SecureArray | None = None,
) -> SecureArray | None:
    """Each row's class weight (n,), secret; None where all are 1. ``what`` names the estimator in errors.

    ``y``: flags (n,) of class 1 of two, class numbers (n,) from 0 to classes - 1, or flags (n, classes), as ``one_hot``
    gives them: pass what is there already. "balanced": rows / (classes that occur * rows of the class), both counted on
    shares among the rows that ``valid`` marks: sklearn.utils.compute_class_weight. ``weight`` (n,), at least 0: count
    sums of weights instead of rows, as scikit-learn's LogisticRegression and LinearSVC do (its trees count rows).
    The factor of a row that does not count is anything up to the bound.

    Relative error: at most 2^-19, and 2^-16 with ``weight``. Rounds: none for public weights; "balanced": about 35, 60
    with ``weight``, and some 400 bytes a class; one product of the rows, 8 bytes a row, and with a mask or weights a
    second. Raises UsageError as ``check_class_weight``; with ``weight``, RangeViolated later where a class that occurs
    has less than ``RAREST`` of it.
    """
    public = check_class_weight(what, class_weight, classes)
    if class_weight is None:
        return None
    flags = y if y.ndim == 2 or classes == 2 else one_hot(y.numeric(), classes)
    flags = flags.numeric()
    if public is not None:
        if (public == 1).all():
            return None
        if (public == 0).any():
            _guard_counted(what, public > 0, flags, valid, weight)
        bits = 0 if (public == np.rint(public)).all() else _digits(public)
        top = float(public.max()) + 2.0**-_BITS
        public = public if bits else public.astype(np.int64)
        factor: SecureArray
        if flags.ndim == 1:
            factor = flags.multiply(public[1] - public[0], scale=bits) + public[0]
            return factor._stated(top)
        return flags.multiply(public, scale=bits).sum(-1)._stated(top)
    each = _balanced(what, flags, valid, weight)
    if flags.ndim == 1:
        return (each[0] + flags * (each[1] - each[0]))._stated(each.bound)
    return matmul(flags, each, scale=each.scale)._stated(each.bound)


def _guard_counted(
    what: str,
    some: npt.NDArray[np.bool_],
    flags: SecureArray,
    valid: SecureArray | None,
    weight: SecureArray | None,
) -> None:
    """Guard that a row that counts is of a class with ``some`` weight."""
    each = some.astype(np.int64)
    found = (flags * (each[1] - each[0]) + each[0] if flags.ndim == 1 else (flags * each).sum(-1))._stated(1.0)
    counted = found if weight is None else (found * weight.numeric())._stated(weight.bound)
    guard_some(
        counted, valid,
        f"{what}: some row that counts is of a class whose class_weight is above 0; raise that of those that occur",
    )  # fmt: skip


def _balanced(what: str, flags: SecureArray, valid: SecureArray | None, weight: SecureArray | None) -> SecureArray:
    """A factor for each class (classes,), 0 for one that does not occur."""
    n, classes = flags.shape[0], flags.shape[1] if flags.ndim == 2 else 2
    counted, most = valid, max(1.0, n / 2)
    if weight is not None:
        size = n * classes * max(weight.bound, 1.0) / RAREST
        counted = weight.rescaled(fitting_scale(size, min(weight.scale, 18), RANGE_BITS - 4))
        counted = counted if valid is None else counted * valid
        most = 1 / RAREST
    if counted is None:
        found = flags.sum(0)
        total: SecureArray | int = n
    else:
        total = counted.sum()
        found = matmul(counted, flags, scale=counted.scale)._stated(total.bound)
    if flags.ndim == 1:
        found = stack([total - found, found])._stated(max(found.bound, 1.0))
    occurs = (found > 0).numeric()
    if weight is not None:
        rare = (found * math.floor(1 / RAREST) < total).numeric() * occurs
        flags._context.guard(
            rare.sum()._ring_share(),
            f"{what}: class_weight='balanced' has no factor for a class with less than a millionth of all sample "
            "weights; give weights of your own, {class: weight}",
        )
    whole = total if isinstance(total, SecureArray) else flags._context.constant(total)
    divisor = (found * occurs.sum())._stated(found.bound * classes)
    return ratio(whole, divisor, most, _BITS)._stated(most)


def _digits(public: npt.NDArray[np.float64]) -> int:
    """Fractional bits at which the least weight above 0 keeps 20 bits, 40 at most."""
    return min(40, max(_BITS, 20 - exact.log2_floor(float(public[public > 0].min()))))


def check_class_weight(what: str, class_weight: ClassWeight, classes: int) -> npt.NDArray[np.float64] | None:
    """The public weights (classes,); None for None and "balanced". Raises UsageError for anything else."""
    if class_weight is None or (isinstance(class_weight, str) and class_weight == "balanced"):
        return None
    forms = f"expected {{class: weight}}, {classes} weights, 'balanced' or None"
    given: dict[Any, Any]
    if isinstance(class_weight, Mapping):
        unknown = [k for k in class_weight if k not in range(classes)]
        if unknown:
            raise UsageError(
                f"{what}: class_weight has a weight for {unknown[0]!r}, which is no class; the keys are those "
                f"of y, whole numbers from 0 to {classes - 1}"
            )
        given = {int(k): v for k, v in class_weight.items()}
    elif isinstance(class_weight, list | tuple | np.ndarray) and len(class_weight) == classes:
        given = dict(enumerate(class_weight))
    else:
        raise UsageError(f"{what}: class_weight: {forms}, got {class_weight!r}")
    for k, v in given.items():
        number = isinstance(v, int | float | np.integer | np.floating) and not isinstance(v, bool)
        if not number or not 0 <= v < math.inf:
            raise UsageError(f"{what}: class_weight of class {k}: expected a public number of at least 0, got {v!r}")
    public = np.asarray([float(given.get(k, 1.0)) for k in range(classes)])
    if not public.any():
        raise UsageError(f"{what}: class_weight gives every class the weight 0; at least one must count")
    return public


def largest_mean(class_weight: ClassWeight, classes: int) -> float:
    """What the mean over the rows of their class weights cannot pass: 1 for "balanced", else the largest weight."""
    public = check_class_weight("class_weight", class_weight, classes)
    return 1.0 if public is None else float(public.max())
