"""A party's recorded view: everything it received, kept in a file, and a test whether it looks like noise.

The test is a detector, not a proof: uniform messages are necessary for privacy, not sufficient. A mask that is used
twice passes it; the exact joint views are checked in Privity's own tests (docs/security/view-tests.md).
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from ..errors import OutputError
from .files import create_private, read_private, remove_private

_FILES = ("view.bin", "view.index")
_SHORTEST = 2560  # bytes: ten expected per byte value, the usual rule for a chi-square test
SIGNIFICANCE = 1e-6
"""Corrected p below which a view counts as telling. With 1e-3, one run of eight parties in a hundred would cry wolf;
data that lacks its mask is far below either."""


class Received(msgspec.Struct, frozen=True, array_like=True):
    """One line of the index: who sent it, in which step, what it was, and how many bytes."""

    source: str
    step: int
    label: str
    size: int


class ViewRecorder:
    """Writes each received message to ``view.bin`` and its description to ``view.index`` (one JSON line each).

    Views of two compute parties hold what was shared: the folder and its files are for this user alone, and a link in
    their place is never followed.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            self._data, self._index = create_private(folder, _FILES)
        except OutputError as error:
            raise OutputError(f"cannot record the view in {folder}: {error}") from None
        self._encode = msgspec.json.Encoder().encode

    def received(self, source: str, step: int, label: str, data: memoryview) -> None:
        try:
            self._data.write(data)
            self._index.write(self._encode(Received(source, step, label, data.nbytes)) + b"\n")
        except OSError as error:
            raise OutputError(f"cannot record the view in {self.folder}: {error.strerror}") from None

    def close(self) -> None:
        """Flush to disk. Raises OutputError, for instance when the disk is full."""
        try:
            self._data.close()
            self._index.close()
        except OSError as error:
            raise OutputError(f"cannot record the view in {self.folder}: {error.strerror}") from None


@dataclass(frozen=True, slots=True)
class ViewStatistics:
    """What one party received. ``smallest_p``: of one chi-square test per long message and per kind of short ones."""

    messages: int
    bytes: int
    tests: int
    tested_messages: int
    smallest_p: float | None

    @property
    def corrected_p(self) -> float | None:
        """Bonferroni: the chance that pure noise gives a value as small in any of the tests, at most."""
        return None if self.smallest_p is None else min(1.0, self.smallest_p * self.tests)

    @property
    def verdict(self) -> str:
        p = self.corrected_p
        if self.messages == 0:
            return "received nothing"
        if p is None:
            return "too few bytes for the test"
        return "looks like noise" if p > SIGNIFICANCE else "DOES NOT look like noise"


def examine(folder: Path) -> ViewStatistics:
    """Test every message of a recorded view for uniform bytes (Pearson's chi-square, 255 degrees of freedom).

    Messages shorter than 2,560 bytes are pooled by kind first. Raises OutputError if a link stands in its place.
    """
    with read_private(folder, "view.index") as lines:
        index = [msgspec.json.decode(line, type=Received) for line in lines.read().splitlines()]
    pools: dict[str, np.ndarray] = defaultdict(lambda: np.zeros(256, np.int64))
    pooled: dict[str, int] = defaultdict(int)
    values: list[float] = []
    tested = total = 0
    with read_private(folder, "view.bin") as data:
        for entry in index:
            counts = np.bincount(np.frombuffer(data.read(entry.size), np.uint8), minlength=256)
            total += entry.size
            if entry.size >= _SHORTEST:
                values.append(_uniform_p(counts))
                tested += 1
            else:
                pools[entry.label] += counts
                pooled[entry.label] += 1
    for label, counts in pools.items():
        if counts.sum() >= _SHORTEST:
            values.append(_uniform_p(counts))
            tested += pooled[label]
    return ViewStatistics(len(index), total, len(values), tested, min(values) if values else None)


def _uniform_p(counts: np.ndarray) -> float:
    """Upper tail of the chi-square statistic, by the Wilson-Hilferty approximation (relative error below 2 % here)."""
    expected = counts.sum() / 256
    statistic = float(((counts - expected) ** 2).sum() / expected)
    k = 255
    z = ((statistic / k) ** (1 / 3) - (1 - 2 / (9 * k))) / math.sqrt(2 / (9 * k))
    return 0.5 * math.erfc(z / math.sqrt(2))


def forget(folder: Path) -> None:
    """Remove a recorded view; what a link points to stays."""
    remove_private(folder, _FILES)
