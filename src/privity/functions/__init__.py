"""Functions of secret arrays, with NumPy's names. One file per subject; the public names are listed in ``privity``."""

from inspect import isfunction

from . import random
from .activation import (
    erf,
    gelu,
    log_softmax,
    logsumexp,
    relu,
    sigmoid,
    sigmoid_series,
    silu,
    softmax,
    softplus,
    tanh,
)
from .convert import ceil, floor, rint, trunc
from .convolution import avg_pool1d, avg_pool2d, conv1d, conv2d, max_pool1d, max_pool2d
from .decompose import cholesky, inv, lstsq, solve, top_eigenvectors
from .exponential import exp, exp2, expm1, log, log1p, log2, logit, power
from .groups import Groups, group_by
from .join import concatenate, stack
from .linear import corrcoef, cov, diagonal, dot, einsum, matmul, norm, outer, trace, tril, triu
from .operands import asked
from .order import (
    argmax,
    argmin,
    argsort,
    isin,
    median,
    quantile,
    rank,
    searchsorted,
    sign,
    sort,
    sort_by,
    top_k,
    unique_count,
)
from .order import max_ as max
from .order import min_ as min
from .real import divide, reciprocal, rsqrt, sqrt
from .select import absolute, clip, maximum, minimum, where
from .tables import Permutation, cumsum, histogram, lookup, one_hot, segmented_sum, shuffle
from .trigonometric import cos, sin

__all__ = [
    "Groups",
    "Permutation",
    "absolute",
    "argmax",
    "argmin",
    "argsort",
    "avg_pool1d",
    "avg_pool2d",
    "ceil",
    "cholesky",
    "clip",
    "concatenate",
    "conv1d",
    "conv2d",
    "corrcoef",
    "cos",
    "cov",
    "cumsum",
    "diagonal",
    "divide",
    "dot",
    "einsum",
    "erf",
    "exp",
    "exp2",
    "expm1",
    "floor",
    "gelu",
    "group_by",
    "histogram",
    "inv",
    "isin",
    "log",
    "log1p",
    "log2",
    "log_softmax",
    "logit",
    "logsumexp",
    "lookup",
    "lstsq",
    "matmul",
    "max",
    "max_pool1d",
    "max_pool2d",
    "maximum",
    "median",
    "min",
    "minimum",
    "norm",
    "one_hot",
    "outer",
    "power",
    "quantile",
    "random",
    "rank",
    "reciprocal",
    "relu",
    "rint",
    "rsqrt",
    "searchsorted",
    "segmented_sum",
    "shuffle",
    "sigmoid",
    "sigmoid_series",
    "sign",
    "silu",
    "sin",
    "softmax",
    "softplus",
    "solve",
    "sort",
    "sort_by",
    "sqrt",
    "stack",
    "tanh",
    "top_eigenvectors",
    "top_k",
    "trace",
    "tril",
    "triu",
    "trunc",
    "unique_count",
    "where",
]

# What people call: internals import from the modules above.
for _name in __all__:
    if isfunction(globals()[_name]):
        globals()[_name] = asked(globals()[_name])
