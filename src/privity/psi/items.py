"""An owner's set: items are bytes, each once; the protocols work on 128 bits of a salted hash of each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from ..errors import DataError, UsageError
from ..ring import kernels
from ..types import Bytes1D, Ring

LARGEST: Final = 1 << 24
"""Items that a set may have: to here the statistical bounds hold, and memory is bounded (some 100 bytes for each)."""

Rows = npt.NDArray[np.int64]


class ItemSet:
    """The items one behind the other. Shows its size and never an item."""

    def __init__(self, items: Sequence[bytes]) -> None:
        """Raises UsageError for items that are not bytes and for more than ``LARGEST``."""
        if isinstance(items, bytes | bytearray | str):
            raise UsageError(f"expected a sequence of bytes, one for each item, came {type(items).__name__}")
        if len(items) > LARGEST:
            raise UsageError(f"expected at most {LARGEST:,} items, came {len(items):,}; split the set by a public rule")
        if set(map(type, items)) - {bytes}:
            at, kind = next((i, type(item).__name__) for i, item in enumerate(items) if type(item) is not bytes)
            raise UsageError(f"items are bytes, item {at} is {kind}; encode text, for example with .encode()")
        self._data: Bytes1D = np.frombuffer(b"".join(items), np.uint8)
        self._offsets = np.zeros(len(items) + 1, np.uint64)
        np.cumsum(np.fromiter(map(len, items), np.uint64, len(items)), out=self._offsets[1:])

    def __len__(self) -> int:
        return self._offsets.size - 1

    def digests(self, salt: bytes) -> Digests:
        """128 bits of SHA-256 of salt (32 bytes) and item. Raises DataError if an item occurs twice."""
        words = kernels.digest_items(self._data, self._offsets, np.frombuffer(salt, np.uint8))
        order = sorted_rows(words)
        ordered = words[order]
        again = np.flatnonzero((ordered[1:] == ordered[:-1]).all(axis=1))
        if again.size:
            first, second = sorted((int(order[again[0]]), int(order[again[0] + 1])))
            raise DataError(
                f"items {first} and {second} (counted from 0) are the same, as are {again.size} in all; a set has each "
                "item once, so remove the repetitions first"
            )
        return Digests(words, order)


class Digests:
    """The hashed items: ``words`` (n, 2) in the owner's order, and where each value is found."""

    def __init__(self, words: Ring, order: Rows) -> None:
        self.words = words
        self._order = order
        self._sorted = words[order]

    def __len__(self) -> int:
        return len(self.words)

    def find(self, wanted: Ring) -> Rows:
        """The owner's row of each of ``wanted`` (k, 2), -1 where there is none."""
        return find(self._sorted, wanted, self._order)


def sorted_rows(words: Ring) -> Rows:
    """The order that sorts rows of two words, by the first and then the second."""
    order = np.argsort(words[:, 0])
    first = words[order, 0]
    if (first[1:] == first[:-1]).any():  # rare, unless rows repeat
        order = np.lexsort((words[:, 1], words[:, 0]))
    return order


def find(ordered: Ring, wanted: Ring, rows: Rows) -> Rows:
    """For each of ``wanted`` (k, 2) the entry of ``rows`` at its place in ``ordered`` (n, 2, sorted), or -1."""
    out = np.full(len(wanted), -1, np.int64)
    if not len(ordered) or not len(wanted):
        return out
    keys = np.ascontiguousarray(ordered[:, 0])
    by = np.argsort(wanted[:, 0])  # neighbours are looked up one after the other, which the cache likes
    places, end = np.searchsorted(keys, wanted[by, 0]), len(keys) - 1
    open_rows = np.arange(len(by))
    while open_rows.size:  # once, unless first words repeat
        at = places[open_rows]
        same = keys[np.minimum(at, end)] == wanted[by[open_rows], 0]
        open_rows, at = open_rows[same & (at <= end)], at[same & (at <= end)]
        hit = ordered[at, 1] == wanted[by[open_rows], 1]
        out[by[open_rows[hit]]] = rows[at[hit]]
        open_rows = open_rows[~hit]
        places[open_rows] += 1
    return out
