"""The network 784-128-128-10 of the benchmarks: ReLU, softmax cross-entropy, one epoch, gradients written by hand."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from ..array import SecureArray
from ..functions import concatenate, softmax
from ..inputs import Input
from . import ideal
from .ideal import Ideal

Floats = npt.NDArray[np.float64]
Secrets = Mapping[str, SecureArray]

WIDTHS = (784, 128, 128, 10)
_BATCH = 128
_RATE = 2.0**-3  # of the learning rate only its product with 1 / batch is used: 2^-10, exact
_BOUND = 1.0  # on |weight|: checked once, after the epoch
_SHAPES = tuple(pairwise(WIDTHS))


def parameters() -> int:
    """Weights and offsets of all layers."""
    return sum((inputs + 1) * outputs for inputs, outputs in _SHAPES)


def _start() -> list[tuple[Floats, Floats]]:
    """He's normal weights, limited to two and a half standard deviations; the same everywhere."""
    generator = np.random.default_rng(11)
    return [
        (np.clip(generator.normal(size=shape), -2.5, 2.5) * np.sqrt(2 / shape[0]), np.zeros(shape[1]))
        for shape in _SHAPES
    ]


def images(rows: int) -> Mapping[str, Input]:
    """Pixels in [0, 1], most of them 0, around ten prototypes; labels one-hot."""
    generator = np.random.default_rng(12)
    prototypes = generator.random((WIDTHS[-1], WIDTHS[0])) * (generator.random((WIDTHS[-1], WIDTHS[0])) < 0.2)
    labels = generator.integers(0, WIDTHS[-1], rows)
    noise = generator.normal(scale=0.3, size=(rows, WIDTHS[0])) * (generator.random((rows, WIDTHS[0])) < 0.3)
    x = np.clip(prototypes[labels] + noise, 0.0, 1.0)
    return {"x": Input(x, bound=1.0), "y": Input(np.eye(WIDTHS[-1], dtype=np.int64)[labels], bound=1.0)}


def _batches(rows: int) -> list[slice]:
    size = min(_BATCH, rows)
    return [slice(at, at + size) for at in range(0, rows - size + 1, size)]


# -- training -------------------------------------------------------------------------------------------------------


def train(secrets: Secrets) -> SecureArray:
    """All weights and offsets after one epoch, flattened."""
    x, y = secrets["x"], secrets["y"]
    session = x.session
    layers = [(session.constant(w)._stated(_BOUND), session.constant(b)._stated(_BOUND)) for w, b in _start()]
    for rows in _batches(x.shape[0]):
        layers = _step(layers, x[rows], y[rows])
        layers = [(w._stated(_BOUND), b._stated(_BOUND)) for w, b in layers]
    flat = concatenate([v.ravel() for layer in layers for v in layer])
    return flat.assume_bound(_BOUND)


Layers = list[tuple[SecureArray, SecureArray]]


def _step(layers: Layers, x: SecureArray, y: SecureArray) -> Layers:
    """w <- w - rate / batch * gradient; every gradient is one product with one rounding."""
    factor = _RATE / x.shape[0]
    inputs, active = [x], []
    for w, b in layers[:-1]:
        z = inputs[-1] @ w + b
        on = z > 0
        active.append(on)
        inputs.append(on * z)
    w, b = layers[-1]
    error = softmax(inputs[-1] @ w + b) - y
    changed: Layers = []
    for i in range(len(layers) - 1, -1, -1):
        w, b = layers[i]
        changed.append((w - inputs[i].T.matmul(error, factor=factor), b - error.sum(0) * factor))
        if i:
            error = (error @ w.T) * active[i - 1]
    return changed[::-1]


def train_plain(values: Mapping[str, Floats]) -> Floats:
    """The same in float64."""
    layers = _start()
    for rows in _batches(len(values["x"])):
        x, y = values["x"][rows], values["y"][rows]
        factor = _RATE / len(x)
        inputs = [x]
        for w, b in layers[:-1]:
            inputs.append(np.maximum(inputs[-1] @ w + b, 0.0))
        error = _softmax_plain(inputs[-1] @ layers[-1][0] + layers[-1][1]) - y
        changed = []
        for i in range(len(layers) - 1, -1, -1):
            w, b = layers[i]
            changed.append((w - factor * (inputs[i].T @ error), b - factor * error.sum(0)))
            if i:
                error = (error @ w.T) * (inputs[i] > 0)
        layers = changed[::-1]
    return np.concatenate([v.ravel() for layer in layers for v in layer])


def _softmax_plain(z: Floats) -> Floats:
    e = np.exp(z - z.max(1, keepdims=True))
    return np.asarray(e / e.sum(1, keepdims=True))


def train_ideal(rows: int) -> Ideal:
    """Each step: three products forward, three for gradients, two for errors; a sign and two selections per ReLU."""
    batches = _batches(rows)
    size = min(_BATCH, rows)
    step = _forward_ideal(size)
    for inputs, outputs in _SHAPES:
        step += ideal.matrix_product(inputs, size, outputs)
    for inputs, outputs in _SHAPES[1:]:
        step += ideal.matrix_product(size, outputs, inputs) + ideal.selection(size * inputs)
    return step.times(len(batches))


def _layers_ideal(rows: int) -> Ideal:
    """Three products, two ReLU."""
    total = Ideal()
    bits = 18 + 10
    for inputs, outputs in _SHAPES:
        total += ideal.matrix_product(rows, inputs, outputs)
    for _, outputs in _SHAPES[:-1]:
        total += ideal.sign(rows * outputs, bits) + ideal.selection(rows * outputs)
        bits += 7
    return total


def _forward_ideal(rows: int) -> Ideal:
    """The layers and one softmax: the maximum of ten in four levels, an exponential and a reciprocal.

    The last two count as polynomials of about six products.
    """
    total, bits = _layers_ideal(rows), 18 + 10 + 7 * (len(_SHAPES) - 1)
    for pairs in (5, 2, 1, 1):
        total += ideal.sign(rows * pairs, bits) + ideal.selection(rows * pairs)
    for n, products in ((10 * rows, 6), (rows, 6), (10 * rows, 1)):
        total += ideal.product(n).times(products)
    return total


# -- one prediction -------------------------------------------------------------------------------------------------


def request(rows: int) -> Mapping[str, Input]:
    """One image (or several), and a network whose offsets are not 0."""
    generator = np.random.default_rng(13)
    layers = {f"w{i}": Input(w, bound=_BOUND) for i, (w, _) in enumerate(_start())}
    offsets = {
        f"b{i}": Input(generator.normal(scale=0.1, size=b.shape), bound=_BOUND) for i, (_, b) in enumerate(_start())
    }
    return {"x": images(rows)["x"], **layers, **offsets}


def score(secrets: Secrets) -> SecureArray:
    """Scores of the ten classes (the last layer, as other frameworks' latencies have it)."""
    h = secrets["x"]
    last = len(_SHAPES) - 1
    for i in range(last):
        z = h @ secrets[f"w{i}"] + secrets[f"b{i}"]
        h = (z > 0) * z
    return h @ secrets[f"w{last}"] + secrets[f"b{last}"]


def score_plain(values: Mapping[str, Floats]) -> Floats:
    """The same in float64."""
    h = values["x"]
    last = len(_SHAPES) - 1
    for i in range(last):
        h = np.maximum(h @ values[f"w{i}"] + values[f"b{i}"], 0.0)
    return h @ values[f"w{last}"] + values[f"b{last}"]


def probabilities(secrets: Secrets) -> SecureArray:
    """Probabilities of the ten classes."""
    return softmax(score(secrets))


def probabilities_plain(values: Mapping[str, Floats]) -> Floats:
    """The same in float64."""
    return _softmax_plain(score_plain(values))


def score_ideal(rows: int) -> Ideal:
    """Class scores."""
    return _layers_ideal(rows)


def probabilities_ideal(rows: int) -> Ideal:
    """Class probabilities."""
    return _forward_ideal(rows)
