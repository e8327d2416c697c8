"""Finding the line where a value leaves its range: in simulations only, where one process holds all shares anyway.

As long as all operands are within their public bounds, so is every result, and nothing wraps around: the first value
beyond its bound is therefore still itself. The check puts the shares of every new array together and compares.
No module of jobs/ can reach this file (a test checks).
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..array import SecureArray
from ..errors import RangeViolated
from ..lines import user_line
from ..types import RANGE_BITS, Ring

_Key = tuple[str, tuple[int, ...], int, float, int]


@dataclass(frozen=True, slots=True)
class RangeLine:
    """What the arrays made on one line reached: largest |x|, the bound they had, and the bits left below 62."""

    line: str
    largest: float
    bound: float
    scale: int
    spare_bits: float


class RangeBoard:
    """Where the compute parties of one simulation lay down their shares of each array; the last one looks."""

    def __init__(self, parties: int) -> None:
        self._parties = parties
        self._waiting: dict[_Key, dict[int, Ring]] = {}
        self._lock = threading.Lock()
        self._lines: dict[str, RangeLine] = {}

    def lines(self) -> list[RangeLine]:
        """The tightest array of every line, the fewest spare bits first."""
        return sorted(self._lines.values(), key=lambda x: (x.spare_bits, x.line))

    def lay_down(self, party: int, key: _Key, part: Ring) -> None:
        """One party's additive part. Raises RangeViolated at the party that completes an array beyond its bound."""
        with self._lock:
            parts = self._waiting.setdefault(key, {})
            parts[party] = part
            if len(parts) < self._parties:
                return
            del self._waiting[key]
        self._check(key, list(parts.values()))

    def _check(self, key: _Key, parts: Sequence[Ring]) -> None:
        line, shape, scale, bound, _ = key
        total = parts[0]
        for more in parts[1:]:
            total = total + more
        values = np.abs(np.asarray(total).view(np.int64).astype(np.float64)) * 2.0**-scale
        if not values.size:
            return
        worst = int(values.argmax())
        largest = float(values.reshape(-1)[worst])
        # One unit in the last place is what rounding may add to a bound.
        if largest > bound * (1 + 2.0**-40) + 2.0**-scale:
            index = [int(i) for i in np.unravel_index(worst, shape)]
            raise RangeViolated(
                f"{line}: a value reached |x| = {largest:.6g} at index {index} of an array of shape {shape}, beyond "
                f"its public bound {bound:.6g} ({scale} fractional bits); a real run may be wrong from here on. "
                "State a larger bound where one was stated (assume_bound, the input's bound=), or scale the data"
            )
        spare = RANGE_BITS - scale - float(np.log2(max(largest, 2.0**-scale)))
        with self._lock:
            old = self._lines.get(line)
            if old is None or spare < old.spare_bits:
                self._lines[line] = RangeLine(line, largest, bound, scale, spare)


class RangeObserver:
    """Shows one party's arrays to the board. Booleans have no range."""

    def __init__(self, board: RangeBoard, party: int) -> None:
        self._board = board
        self._party = party
        self._seen: dict[tuple[str, tuple[int, ...], int, float], int] = {}

    def created(self, x: SecureArray) -> None:
        """Parties meet by line, shape and count, so that an array made at one party only disturbs nobody."""
        if x.kind == "bool":
            return
        signature = (user_line(), x.shape, x.scale, x.bound)
        number = self._seen.get(signature, 0)
        self._seen[signature] = number + 1
        # The first components add up to the value in every protocol here; a copy, as buffers may be used again.
        self._board.lay_down(self._party, (*signature, number), np.array(x._ring_share().parts[0]))

    def staged(self, name: str, ended: bool) -> None:
        """Stages do not matter here."""

    def assumed(self, name: str) -> None:
        """Everything is run here, nothing assumed."""
