"""The workloads: their data, the program on shares, the same in NumPy, and what the machine would allow."""

from __future__ import annotations

import math
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ..array import SecureArray
from ..errors import UsageError
from ..functions import group_by, maximum, sigmoid_series, sort_by, stack
from ..inputs import Input
from ..ml.linear import LogisticRegression
from ..ring.fixed import FRACTION_BITS
from ..types import RANGE_BITS
from . import clusters, curves, factor, forest, glm, ideal, linkage, network, trees
from .ideal import Ideal

Floats = npt.NDArray[np.float64]
Inputs = Mapping[str, Input]
Secrets = Mapping[str, SecureArray]

_ANY = 2.0 ** (RANGE_BITS - FRACTION_BITS) * (1 - 2.0**-50)  # the largest public bound: nothing is known of the values
FUNCTIONS = ("exp", "log", "reciprocal", "rsqrt", "softmax")
LINKAGE = ("linkage-shares", "linkage-left")
TREES = ("boosting", "small-tree")
FOREST = ("random-forest", "decision-tree")
GROUPS = {"functions": FUNCTIONS, "linkage": LINKAGE, "trees": TREES, "forest": FOREST}
_FEATURES, _BATCH, _EPOCHS, _RATE = 64, 1024, 5, 0.1  # of the logistic regression


@dataclass(frozen=True, slots=True)
class Workload:
    """One thing to measure. ``size`` is what the user may change; the other dimensions follow from it.

    inputs: size -> what the owner brings (the same at every call). secure: the timed part, from shares to shares.
    plain: the same in NumPy, float64. outputs: size -> shape of the result. ideal: size -> what the machine allows.
    elements: size -> number that bytes are divided by (0: no such number). tolerance: a larger error is a failure.
    repeat: timed repetitions. warm_up: untimed ones before. latency: report percentiles of the repetitions.
    opens: names of single numbers that the timed part opens to all. prepare: what is made of the inputs
    before, untimed. alone: too long for "all".
    """

    name: str
    about: str
    sizes: tuple[int, ...]
    inputs: Callable[[int], Inputs]
    secure: Callable[[Secrets], SecureArray]
    plain: Callable[[Mapping[str, Floats]], Floats]
    outputs: Callable[[int], tuple[int, ...]]
    ideal: Callable[[int], Ideal]
    tolerance: float
    elements: Callable[[int], int] = field(default=lambda size: size)
    repeat: int = 7
    warm_up: int = 1
    latency: bool = False
    smallest: int = 1
    opens: tuple[str, ...] = ()
    prepare: Callable[[Secrets], Mapping[str, Any]] | None = None
    alone: bool = False


def find(name: str) -> tuple[Workload, ...]:
    """The workload of this name, those of a group ("functions", "linkage", "all"). Raises UsageError with the names."""
    if name == "all":
        return tuple(w for w in WORKLOADS.values() if not w.alone)
    if name in GROUPS:
        return tuple(WORKLOADS[each] for each in GROUPS[name])
    if name not in WORKLOADS:
        groups = "; ".join(f"{group} ({', '.join(each)})" for group, each in GROUPS.items())
        raise UsageError(f"there is no workload {name!r}; there are: {', '.join(WORKLOADS)}; {groups}; all")
    return (WORKLOADS[name],)


# -- elementwise and matrix products --------------------------------------------------------------------------------


def _uniform(seed: int, shape: int | tuple[int, ...], largest: float) -> Floats:
    return np.random.default_rng(seed).uniform(-largest, largest, shape)


def _factors(n: int) -> Inputs:
    generator = np.random.default_rng(1)
    return {name: Input(generator.uniform(-10, 10, n), bound=10.0) for name in ("x", "y")}


def _matrices(n: int) -> Inputs:
    generator = np.random.default_rng(3)
    return {name: Input(generator.uniform(-1, 1, (n, n)), bound=1.0) for name in ("x", "y")}


def _unknown(n: int) -> Inputs:
    return {"x": Input(_uniform(2, n, 100.0), bound=_ANY)}


def _hundred(n: int) -> Inputs:
    return {"x": Input(_uniform(2, n, 100.0), bound=100.0)}


def _hundred_ideal(n: int) -> Ideal:
    return ideal.sign(n, FRACTION_BITS + 7)


# -- sorting and grouping -------------------------------------------------------------------------------------------


_KEY_BITS, _GROUPS, _CAPACITY, _LARGEST = 40, 100, 128, 1000.0


def _unsorted(rows: int) -> Inputs:
    """Keys over a range of 40 bits, each twice in the mean, and a payload of 62 bits."""
    generator = np.random.default_rng(8)
    half = 2 ** (_KEY_BITS - 1)
    keys = generator.choice(generator.integers(1 - half, half, max(1, rows // 2)), rows)
    payload = generator.integers(1 - 2**61, 2**61, rows)
    return {"key": Input(keys, bound=float(half)), "payload": Input(payload, bound=2.0**61)}


def _sorted(secrets: Secrets) -> SecureArray:
    return stack(sort_by(secrets["key"], [secrets["key"], secrets["payload"]]))


def _sorted_plain(values: Mapping[str, Floats]) -> Floats:
    order = np.argsort(values["key"], kind="stable")
    return np.stack([values["key"][order], values["payload"][order]])


def _sorted_ideal(rows: int, bits: int = _KEY_BITS, columns: int = 2) -> Ideal:
    """log2(n!) comparisons in log2 n batches, each opened, and one shuffle of the key and the columns.

    Shuffle: two masks and a component a word at the busiest party, three random accesses, two words sent, 3 rounds.
    """
    row_bits = max(1, math.ceil(math.log2(max(rows, 2))))
    compared = math.lgamma(rows + 1) / math.log(2) / row_bits
    level = ideal.sign(compared, bits + 1 + row_bits) + Ideal(sent_bytes=compared / 8, rounds=1)
    words = (columns + 1) * rows
    return level.times(row_bits) + Ideal(prg_bytes=40 * words, moved_bytes=64 * words, sent_bytes=16 * words, rounds=3)


def _purchases(rows: int) -> Inputs:
    generator = np.random.default_rng(9)
    amounts = generator.uniform(-_LARGEST, _LARGEST, rows)
    return {"key": Input(generator.integers(0, _GROUPS, rows), bound=_GROUPS), "x": Input(amounts, bound=_LARGEST)}


def _grouped(secrets: Secrets) -> SecureArray:
    wanted = {"sum": ("sum", secrets["x"]), "count": ("count", None), "mean": ("mean", secrets["x"])}
    groups = group_by(secrets["key"], wanted, capacity=_CAPACITY)
    return stack([groups.keys[0], *(groups[name] for name in wanted)])


def _grouped_plain(values: Mapping[str, Floats]) -> Floats:
    names, group = np.unique(values["key"], return_inverse=True)
    count = np.bincount(group)
    total = np.bincount(group, values["x"])
    return np.pad(np.stack([names, total, count, total / count]), ((0, 0), (0, _CAPACITY - names.size)))


def _grouped_ideal(rows: int) -> Ideal:
    """The sort, a zero test of neighbours, one product, a shuffle of five columns and their places, opened."""
    bits = math.ceil(math.log2(_GROUPS))
    moved = Ideal(prg_bytes=40 * 6 * rows, moved_bytes=64 * 6 * rows, sent_bytes=(16 * 6 + 3) * rows, rounds=4)
    return _sorted_ideal(rows, bits, 2) + ideal.sign(rows, bits) + ideal.selection(rows) + moved


def _linkage_ideal(rows: int) -> Ideal:
    return _sorted_ideal(3 * rows, 61, 2 + max(linkage.WIDTHS)) + linkage.behind_sort_ideal(rows)


# -- logistic regression --------------------------------------------------------------------------------------------


def _customers(rows: int) -> Inputs:
    """``make_classification``, standardised; a sixth of what is drawn is left aside as a test set would be."""
    try:
        from sklearn.datasets import make_classification
    except ModuleNotFoundError:
        raise UsageError(
            "this workload draws its data with scikit-learn; install it with: pip install 'privity[demo]'"
        ) from None
    drawn, labels = make_classification(
        n_samples=rows + rows // 5, n_features=_FEATURES, n_informative=16, n_redundant=8, class_sep=2.0, random_state=0
    )
    x = drawn[:rows]
    x = (x - x.mean(0)) / x.std(0)
    return {"x": Input(x, bound=8.0), "y": Input(labels[:rows].astype(np.int64), bound=1.0)}


def _batches(rows: int) -> list[npt.NDArray[np.int64]]:
    """All full batches of an epoch in the order of the rows, five times: 48 steps an epoch for 50,000 rows."""
    size = min(_BATCH, rows)
    return [np.arange(at, at + size) for at in range(0, rows - size + 1, size)] * _EPOCHS


def _train(secrets: Secrets) -> SecureArray:
    x, y = secrets["x"], secrets["y"]
    model = LogisticRegression(solver="sgd", learning_rate=_RATE, epochs=_EPOCHS, batch_size=_BATCH)
    return model.fit(x, y, order=_batches(x.shape[0])).coefficients_


def _train_plain(values: Mapping[str, Floats]) -> Floats:
    x, y = values["x"], values["y"]
    share = float(y.mean())
    coef, intercept = np.zeros(x.shape[1]), math.log(share / (1 - share))
    for rows in _batches(x.shape[0]):
        block = slice(int(rows[0]), int(rows[-1]) + 1)
        error = 1 / (1 + np.exp(-(x[block] @ coef + intercept))) - y[block]
        coef = coef - _RATE / len(rows) * (x[block].T @ error)
        intercept = intercept - _RATE / len(rows) * float(error.sum())
    return np.append(coef, intercept)


def _train_ideal(rows: int) -> Ideal:
    """Each step: X w, sigmoid, X^T e. The shares of a batch are read from memory twice."""
    batch = min(_BATCH, rows)
    step = ideal.matrix_product(batch, _FEATURES + 1, 1) + ideal.sigmoid(batch)
    step += ideal.matrix_product(_FEATURES + 1, batch, 1)
    return step.times(len(_batches(rows)))


# -- latency --------------------------------------------------------------------------------------------------------


def _request(features: float, weights: float, offset: float) -> Callable[[int], Inputs]:
    """Bounds on a feature, and on a weight and the intercept for 32 features (others: the same bound on the score)."""

    def inputs(width: int) -> Inputs:
        generator = np.random.default_rng(6)
        weight = weights * 32 / width
        return {
            "x": Input(generator.uniform(-features, features, (1, width)), bound=features),
            "w": Input(generator.uniform(-weight, weight, width), bound=weight),
            "b": Input(generator.uniform(-offset, offset, 1), bound=offset),
        }

    return inputs


def _score(secrets: Secrets) -> SecureArray:
    return sigmoid_series(secrets["x"] @ secrets["w"] + secrets["b"])


def _score_plain(values: Mapping[str, Floats]) -> Floats:
    return np.asarray(1 / (1 + np.exp(-(values["x"] @ values["w"] + values["b"]))))


def _score_ideal(width: int) -> Ideal:
    return ideal.matrix_product(1, width, 1) + ideal.sigmoid(1)


def _score_any_ideal(width: int) -> Ideal:
    bits = FRACTION_BITS + 10  # scores up to 520
    return _score_ideal(width) + ideal.sign(2, bits) + ideal.selection(2)


# -- all ------------------------------------------------------------------------------------------------------------


def _by_name(workloads: Sequence[Workload]) -> Mapping[str, Workload]:
    return types.MappingProxyType({w.name: w for w in workloads})


WORKLOADS: Mapping[str, Workload] = _by_name([
    Workload(
        "mul", "elementwise products, truncated", (1_000_000,), _factors,
        lambda s: s["x"] * s["y"], lambda v: v["x"] * v["y"], lambda n: (n,), ideal.product, 1e-3,
    ),
    Workload(
        "compare", "x < 0, all 62 bits", (1_000_000,), _unknown,
        lambda s: s["x"] < 0, lambda v: np.asarray(v["x"] < 0), lambda n: (n,), ideal.sign, 0.0,
    ),
    Workload(
        "relu", "max(x, 0), all 62 bits", (1_000_000,), _unknown,
        lambda s: maximum(s["x"], 0.0), lambda v: np.maximum(v["x"], 0.0), lambda n: (n,),
        lambda n: ideal.sign(n) + ideal.selection(n), 1e-5,
    ),
    Workload(
        "matmul", "square matrix product, truncated", (512, 1024), _matrices,
        lambda s: s["x"] @ s["y"], lambda v: np.asarray(v["x"] @ v["y"]), lambda n: (n, n),
        lambda n: ideal.matrix_product(n, n, n), 1e-3, elements=lambda n: n * n, repeat=5,
    ),
    Workload(
        "logistic", "logistic regression, 64 features, batch 1024, 5 epochs", (50_000,), _customers,
        _train, _train_plain, lambda n: (_FEATURES + 1,), _train_ideal, 5e-3,
        elements=lambda n: 0, repeat=3, smallest=64,
    ),
    Workload(
        "glm", "logistic regression by Newton's method, 64 features, to the optimum", (50_000,), _customers,
        glm.train, glm.train_plain, lambda n: (_FEATURES + 1,), lambda n: glm.train_ideal(n, _FEATURES), 5e-3,
        elements=lambda n: 0, repeat=3, smallest=600,
    ),
    Workload(
        "kmeans", "k-means, 10 features, 5 clusters, 10 steps from given centres", (50_000,), clusters.blobs,
        clusters.centres, clusters.centres_plain, clusters.shape, clusters.centres_ideal, 1e-3,
        elements=lambda n: 0, repeat=3, smallest=10,
    ),
    Workload(
        "latency", "one logistic prediction, score known to be within 9", (32,), _request(1.0, 0.25, 0.5),
        _score, _score_plain, lambda n: (1,), _score_ideal, 1e-3,
        elements=lambda n: 0, repeat=200, warm_up=20, latency=True,
    ),
    Workload(
        "latency-any", "one logistic prediction, any score: two comparisons more", (32,), _request(8.0, 2.0, 8.0),
        _score, _score_plain, lambda n: (1,), _score_any_ideal, 1e-3,
        elements=lambda n: 0, repeat=200, warm_up=20, latency=True,
    ),
    Workload(
        "compare-100", "x < 0 where |x| <= 100 is public", (1_000_000,), _hundred,
        lambda s: s["x"] < 0, lambda v: np.asarray(v["x"] < 0), lambda n: (n,), _hundred_ideal, 0.0,
    ),
    Workload(
        "relu-100", "max(x, 0) where |x| <= 100 is public", (1_000_000,), _hundred,
        lambda s: maximum(s["x"], 0.0), lambda v: np.maximum(v["x"], 0.0), lambda n: (n,),
        lambda n: _hundred_ideal(n) + ideal.selection(n), 1e-5,
    ),
    Workload(
        "sort", "stable sort of 40-bit keys with ties, one 62-bit payload", (100_000,), _unsorted,
        _sorted, _sorted_plain, lambda n: (2, n), _sorted_ideal, 0.0, repeat=5,
    ),
    Workload(
        "groupby", "key, sum, count, mean of 100 groups, their number hidden below 128", (100_000,), _purchases,
        _grouped, _grouped_plain, lambda n: (4, _CAPACITY), _grouped_ideal, 0.02, repeat=5,
    ),
    Workload(
        "linkage-shares", "join of three owners' tables, 20 columns, their number of common rows opened", (100_000,),
        linkage.owners, linkage.common, linkage.common_plain, linkage.outputs, _linkage_ideal, 1e-4,
        elements=lambda n: 3 * n, repeat=3, smallest=40, opens=(linkage.OPENED,),
    ),
    Workload(
        "linkage-left", "left join of the same tables, nothing opened", (100_000,),
        linkage.owners, linkage.left, linkage.left_plain, linkage.outputs, _linkage_ideal, 1e-4,
        elements=lambda n: 3 * n, repeat=3, smallest=40,
    ),
    Workload(
        "exp", "e^x, x in [-8, 8], 1,000 x 100", (100_000,), curves.both_signs, curves.exponential,
        lambda v: np.exp(v["x"]), curves.shape, curves.exponential_ideal, 0.05,
    ),
    Workload(
        "log", "log x, x in [1/8, 8], 1,000 x 100", (100_000,), curves.positive, curves.logarithm,
        lambda v: np.log(v["x"]), curves.shape, curves.normalised_ideal, 2e-4,
    ),
    Workload(
        "reciprocal", "1 / x, x in [1/8, 8], 1,000 x 100", (100_000,), curves.positive, curves.inverse,
        lambda v: 1 / v["x"], curves.shape, curves.normalised_ideal, 1e-3,
    ),
    Workload(
        "rsqrt", "1 / sqrt(x), x in [1/8, 8], 1,000 x 100", (100_000,), curves.positive, curves.inverse_root,
        lambda v: 1 / np.sqrt(v["x"]), curves.shape, curves.normalised_ideal, 2e-4,
    ),
    Workload(
        "softmax", "softmax of 1,000 rows of 100", (100_000,), curves.both_signs, curves.shares_of_one,
        curves.shares_of_one_plain, curves.shape, curves.softmax_ideal, 1e-4,
    ),
    Workload(
        "cholesky", "Cholesky factor, condition 100", (64, 256), factor.matrix,
        factor.factor, factor.factor_plain, lambda n: (n, n), factor.factor_ideal, 1e-4,
        elements=lambda n: n * n, repeat=3,
    ),
    Workload(
        "mlp", "784-128-128-10, ReLU, softmax cross-entropy, batch 128, one epoch", (10_000,), network.images,
        network.train, network.train_plain, lambda n: (network.parameters(),), network.train_ideal, 1e-2,
        elements=lambda n: 0, repeat=1, warm_up=0, smallest=2,
    ),
    Workload(
        "latency-mlp", "one prediction of the network 784-128-128-10: class scores", (1,), network.request,
        network.score, network.score_plain, lambda n: (n, 10), network.score_ideal, 2e-3,
        elements=lambda n: 0, repeat=200, warm_up=20, latency=True,
    ),
    Workload(
        "latency-softmax", "the same with its softmax: class probabilities", (1,), network.request,
        network.probabilities, network.probabilities_plain, lambda n: (n, 10), network.probabilities_ideal, 1e-3,
        elements=lambda n: 0, repeat=100, warm_up=10, latency=True,
    ),
    Workload(
        "boosting", "one boosted tree, 50 columns of 32 bins that were made before, depth 5", (50_000,),
        trees.BOOSTING.rows, trees.BOOSTING.round, trees.BOOSTING.round_plain, trees.BOOSTING.outputs,
        trees.BOOSTING.ideal, 1e-2, repeat=3, smallest=64, prepare=trees.BOOSTING.binned,
    ),
    Workload(
        "small-tree", "one tree, 8 columns of 32 bins that were made before, depth 4", (10_000,),
        trees.SMALL.rows, trees.SMALL.round, trees.SMALL.round_plain, trees.SMALL.outputs,
        trees.SMALL.ideal, 1e-2, repeat=5, smallest=64, prepare=trees.SMALL.binned,
    ),
    Workload(
        "large-tree", "one tree, 20 columns of 32 bins that were made before, depth 6", (1_000_000,),
        trees.LARGE.rows, trees.LARGE.round, trees.LARGE.round_plain, trees.LARGE.outputs,
        trees.LARGE.ideal, 1e-2, repeat=1, warm_up=0, smallest=64, prepare=trees.LARGE.binned, alone=True,
    ),
    Workload(
        "random-forest", "10 trees, 20 columns of 16 bins, 4 tried at a node, depth 6, bins included", (10_000,),
        forest.FOREST.inputs, forest.FOREST.fit, forest.FOREST.fit_plain, forest.FOREST.outputs,
        forest.FOREST.ideal, 1e-2, elements=lambda n: 0, repeat=3, smallest=600,
    ),
    Workload(
        "decision-tree", "one tree by Gini, 8 columns of 32 bins, depth 4, bins included", (10_000,),
        forest.TREE.inputs, forest.TREE.fit, forest.TREE.fit_plain, forest.TREE.outputs,
        forest.TREE.ideal, 1e-2, elements=lambda n: 0, repeat=5, smallest=600,
    ),
])
