"""The k-means workload: Lloyd's steps from given centres, against the same loop in NumPy."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from ..array import SecureArray
from ..inputs import Input
from ..ml.kmeans import KMeans
from . import ideal
from .ideal import Ideal

Floats = npt.NDArray[np.float64]
_FEATURES, _CLUSTERS, _STEPS = 10, 5, 10
_SCORE_BITS = 32  # of a difference of two squared distances
_START = np.random.default_rng(21).normal(size=(_CLUSTERS, _FEATURES)) * 2


def blobs(n: int) -> Mapping[str, Input]:
    """Rows around five places that overlap."""
    draw = np.random.default_rng(22)
    x = draw.normal(size=(_CLUSTERS, _FEATURES))[draw.integers(_CLUSTERS, size=n)] + draw.normal(size=(n, _FEATURES))
    return {"x": Input(np.clip(x, -8, 8), bound=8.0)}


def shape(n: int) -> tuple[int, ...]:
    """Of the centres."""
    return (_CLUSTERS, _FEATURES)


def centres(secrets: Mapping[str, SecureArray]) -> SecureArray:
    """Centres after 10 steps; every row's cluster and the inertia are computed too, as ``fit`` does."""
    return KMeans(_CLUSTERS, init=_START, max_iter=_STEPS).fit(secrets["x"]).cluster_centers_


def centres_plain(values: Mapping[str, Floats]) -> Floats:
    """Lloyd's steps in NumPy; a cluster without rows keeps its centre."""
    x, found = values["x"], _START.copy()
    for _ in range(_STEPS):
        near = ((found**2).sum(1) - 2 * x @ found.T).argmin(1)
        flags = np.eye(_CLUSTERS)[near]
        counts = flags.sum(0)[:, None]
        found = np.where(counts > 0, flags.T @ x / np.maximum(counts, 1), found)
    return found


def centres_ideal(n: int) -> Ideal:
    """Each step: products with the centres, a tournament, its flags (one product each), and sums by one product.

    The divisions are few: their rounds count, 40 a step. The last assignment is one step more without sums.
    """
    tournament = ideal.sign((_CLUSTERS - 1) * n, _SCORE_BITS) + ideal.selection((_CLUSTERS - 1) * n)
    waits = Ideal(rounds=(math.ceil(math.log2(_CLUSTERS)) - 1) * (tournament.rounds + 1))
    flags = Ideal(multiply_adds=2 * n * _CLUSTERS, sent_bytes=8 * n * (_CLUSTERS - 1), prg_bytes=16 * n * _CLUSTERS)
    assigned = ideal.matrix_product(n, _FEATURES, _CLUSTERS) + tournament + waits + flags
    step = assigned + ideal.matrix_product(_CLUSTERS, n, _FEATURES + 1) + Ideal(rounds=40)
    return step.times(_STEPS) + assigned
