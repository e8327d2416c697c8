"""Made-up rows on which estimators are checked: few, the same at each call, with a target of each kind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from ..errors import UsageError
from ..inputs import Input

ROWS, COLUMNS = 48, 3
CODES = 6
"""Counts and codes are whole numbers from 0 to below this."""
BOUND, LARGEST = 8.0, 64.0
"""Of columns of numbers, of targets."""
NO_TARGET: Final = "none"
TARGETS: Final = ("number", "count", "binary", "classes", "survival", NO_TARGET)
OWNER = "owner"

Floats = npt.NDArray[np.float64]
Columns = Literal["numbers", "counts", "codes"]
"""Of ``x``: numbers; whole numbers from 0; codes, of which each is a category."""


@dataclass(frozen=True)
class Sample:
    """Made-up rows: ``x`` (n, d), ``y`` (n,), ``duration`` (n,) for survival, else None."""

    x: npt.NDArray[Any]
    y: npt.NDArray[Any]
    duration: Floats | None = None

    def rows(self, index: Any) -> Sample:
        return Sample(self.x[index], self.y[index], None if self.duration is None else self.duration[index])

    def inputs(self, **more: Any) -> dict[str, dict[str, Any]]:
        bound = BOUND if self.x.dtype.kind == "f" else CODES - 1.0
        data: dict[str, Any] = {"x": Input(self.x, bound=bound), "y": self.y}
        data |= {n: Input(v, bound=bound) if n == "asked" else v for n, v in more.items()}
        if self.y.dtype.kind == "f":
            data["y"] = Input(self.y, bound=LARGEST)
        if self.duration is not None:
            data["duration"] = Input(self.duration, bound=LARGEST)
        return {OWNER: data}


def sample(target: str, rows: int = ROWS, shift: int = 0, columns: Columns = "numbers") -> Sample:
    """Rows with a target of this kind; classes are 0 to 2. ``shift``: other ones."""
    place = np.arange(1 + shift, rows + shift + 1)
    uniform = np.sin(np.outer(place, np.arange(1, 4 * COLUMNS + 5)) * 12.9898) * 43758.5453 % 1.0
    x: npt.NDArray[Any] = 1.7 * (uniform[:, : 4 * COLUMNS].reshape(rows, COLUMNS, 4).sum(axis=2) - 2.0)
    if columns != "numbers":
        x = np.clip(np.floor(x * 1.3 + CODES / 2), 0, CODES - 1).astype(np.int64)
    linear = (x - x.dtype.type(0 if columns == "numbers" else CODES // 2)) @ np.linspace(0.8, -0.5, COLUMNS) + 0.2
    noise = uniform[:, -1]
    if target == NO_TARGET:
        return Sample(x, np.zeros(rows, np.int64))
    if target == "number":
        return Sample(x, linear + noise)
    if target == "count":
        return Sample(x, np.floor(2.0 * noise + np.exp(linear / 2.0)).astype(np.int64) + 1)
    if target == "binary":
        return Sample(x, (linear + 3.0 * noise > 1.6).astype(np.int64))
    if target == "classes":
        return Sample(x, (np.digitize(linear + 2.0 * noise, [0.6, 1.6])).astype(np.int64))
    if target == "survival":
        return Sample(x, (uniform[:, -2] > 0.3).astype(np.int64), np.ceil(8.0 * noise * np.exp(-linear / 2.0)))
    raise UsageError(f"sample: unknown target {target!r}; expected one of {', '.join(TARGETS)}")
