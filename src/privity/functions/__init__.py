"""Functions of secret arrays, with NumPy's names. One file per subject; the public names are listed in ``privity``."""

from .convert import ceil, floor, rint, trunc
from .join import concatenate, stack
from .real import reciprocal, rsqrt, sigmoid
from .select import absolute, clip, maximum, minimum, where

__all__ = [
    "absolute",
    "ceil",
    "clip",
    "concatenate",
    "floor",
    "maximum",
    "minimum",
    "reciprocal",
    "rint",
    "rsqrt",
    "sigmoid",
    "stack",
    "trunc",
    "where",
]
