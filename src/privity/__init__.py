"""Privity: train, evaluate and serve models on data that nobody may show to anybody else."""

from .array import SecureArray
from .errors import PrivityError
from .functions import (
    absolute,
    ceil,
    clip,
    concatenate,
    floor,
    maximum,
    minimum,
    reciprocal,
    rint,
    rsqrt,
    sigmoid,
    stack,
    trunc,
    where,
)
from .mpc.rep3 import Rep3
from .session import Input, Session, Withheld
from .simulate import Simulation, simulate
from .types import Opening

__all__ = [
    "Input",
    "Opening",
    "PrivityError",
    "Rep3",
    "SecureArray",
    "Session",
    "Simulation",
    "Withheld",
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
    "simulate",
    "stack",
    "trunc",
    "where",
]
