"""Functions of secret arrays, with NumPy's names. One file per subject; the public names are listed in ``privity``."""

from .activation import erf, gelu, log_softmax, logsumexp, relu, sigmoid, silu, softmax, softplus, tanh
from .convert import ceil, floor, rint, trunc
from .convolution import avg_pool1d, avg_pool2d, conv1d, conv2d, max_pool1d, max_pool2d
from .decompose import cholesky, inv, lstsq, solve, top_eigenvectors
from .exponential import exp, exp2, expm1, log, log1p, log2, logit, power
from .join import concatenate, stack
from .linear import corrcoef, cov, diagonal, dot, einsum, matmul, norm, outer, trace, tril, triu
from .real import divide, reciprocal, rsqrt, sqrt
from .select import absolute, clip, maximum, minimum, where
from .trigonometric import cos, sin

__all__ = [
    "absolute",
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
    "inv",
    "log",
    "log1p",
    "log2",
    "log_softmax",
    "logit",
    "logsumexp",
    "lstsq",
    "matmul",
    "max_pool1d",
    "max_pool2d",
    "maximum",
    "minimum",
    "norm",
    "outer",
    "power",
    "reciprocal",
    "relu",
    "rint",
    "rsqrt",
    "sigmoid",
    "silu",
    "sin",
    "softmax",
    "softplus",
    "solve",
    "sqrt",
    "stack",
    "tanh",
    "top_eigenvectors",
    "trace",
    "tril",
    "triu",
    "trunc",
    "where",
]
