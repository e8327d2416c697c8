"""Functions of secret arrays, with NumPy's names. One file per subject; the public names are listed in ``privity``."""

from .join import concatenate, stack
from .real import reciprocal, rsqrt, sigmoid
from .select import absolute, clip, maximum, minimum, where

__all__ = [
    "absolute",
    "clip",
    "concatenate",
    "maximum",
    "minimum",
    "reciprocal",
    "rsqrt",
    "sigmoid",
    "stack",
    "where",
]
