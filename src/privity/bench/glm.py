"""The Newton workload: logistic regression to its optimum, with standard errors left aside, against scikit-learn."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from ..array import SecureArray
from ..ml.linear import LogisticRegression
from . import ideal
from .ideal import Ideal

Floats = npt.NDArray[np.float64]
_ALPHA, _STEPS = 1e-3, 6
_SCHULZ = 14  # steps of the inverse for 65 columns


def train(secrets: Mapping[str, SecureArray]) -> SecureArray:
    """Coefficients (d + 1,) after 6 steps; the fifth brings the gradient to 9e-5 of the first, the sixth to 6e-8."""
    model = LogisticRegression(solver="newton", alpha=_ALPHA, max_iter=_STEPS, tol=1e-2)
    return model.fit(secrets["x"], secrets["y"]).coefficients_


def train_plain(values: Mapping[str, Floats]) -> Floats:
    """scikit-learn's newton-cholesky with its default tolerance, which takes 5 steps."""
    from sklearn.linear_model import LogisticRegression as Central

    x, y = values["x"], values["y"]
    model = Central(C=1 / (_ALPHA * len(y)), solver="newton-cholesky").fit(x, y)
    return np.append(model.coef_[0], model.intercept_)


def train_ideal(rows: int, features: int) -> Ideal:
    """Each step: X b, sigmoid and its square, the rows times their weights, X^T W X, X^T r, and an inverse.

    The inverse: a root and two products, then two products of matrices a step. Shares of x are read three times.
    """
    d = features + 1
    step = ideal.matrix_product(rows, d, 1) + ideal.sigmoid(rows) + ideal.product(rows) + ideal.product(rows * d)
    step += ideal.matrix_product(d, rows, d) + ideal.matrix_product(d, rows, 1)
    root = ideal.sign(d, 40) + ideal.selection(40 * d) + ideal.product(d).times(math.ceil(math.log2(40)) + 3)
    inverse = root + ideal.product(d * d).times(2) + ideal.matrix_product(d, d, d).times(2 * _SCHULZ)
    return (step + inverse + ideal.matrix_product(d, d, 1) + ideal.product(d)).times(_STEPS)
