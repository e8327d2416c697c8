"""What an owner brings to a session, and what everybody knows of it before it is shared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from .errors import UsageError

DEFAULT_BOUND = 1024.0
"""Public bound on |x| of an input whose owner states none; a value outside is refused at the owner."""


@dataclass(frozen=True, slots=True)
class Input:
    """What an owner brings: values (real, integer or bool), a public bound on |x| and the fractional bits.

    ``scale`` None: the session's default for reals, 0 for integers and booleans. ``on_share`` is called each time just
    before shares of the values leave their owner, when all parties have agreed on what everybody brings.
    """

    values: npt.NDArray[Any] = field(repr=False)
    bound: float | None = None
    scale: int | None = None
    on_share: Callable[[], None] | None = field(default=None, repr=False)

    def declared(self, fraction_bits: int) -> Declared:
        """The public part: shape, bound and scale."""
        values = np.asarray(self.values)
        whole = values.dtype.kind in "biu"
        if not whole and values.dtype.kind != "f":
            raise UsageError(f"an input must be numbers or booleans, got dtype {values.dtype}")
        bound = self.bound if self.bound is not None else (1.0 if values.dtype.kind == "b" else DEFAULT_BOUND)
        scale = self.scale if self.scale is not None else 0 if whole else fraction_bits
        return Declared(values.shape, float(bound), scale, values.dtype.kind == "b" and scale == 0)


@dataclass(frozen=True, slots=True)
class Declared:
    """What everybody knows of an input before it is shared."""

    shape: tuple[int, ...]
    bound: float
    scale: int
    boolean: bool = False
