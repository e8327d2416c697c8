"""Hashing of many rows at once, and tables in which every row has a place of its own: definition and oracle.

Written to be read, in plain Python. ``kernels.py`` is the door; the native code equals what is here bit for bit.
SHA-256 is that of ``hashlib`` here, and of the processor or of portable C++ there (FIPS 180-4).
"""

from __future__ import annotations

import hashlib
from collections import deque
from itertools import pairwise

import numpy as np

from privity.types import Bytes1D, Ring

PREFIX_BYTES = 32


def digest_items(data: Bytes1D, offsets: Ring, prefix: Bytes1D) -> Ring:
    """The first 16 bytes of SHA-256(prefix || item) for n items, as little-endian words: -> (n, 2).

    Item i is the bytes ``offsets[i]`` to ``offsets[i + 1]`` of ``data``; the prefix has 32 bytes.
    """
    whole, first, ends = data.tobytes(), prefix.tobytes(), offsets.tolist()
    digests = b"".join(hashlib.sha256(first + whole[low:high]).digest()[:16] for low, high in pairwise(ends))
    return np.frombuffer(digests, np.uint64).reshape(-1, 2).copy()


def digest_rows(rows: Ring, places: Ring, codes: Ring, mask: Ring) -> Ring:
    """The first 16 bytes of SHA-256((rows[p] ^ (codes[i] & mask)) || p), p = places[i, j]: -> (n, h, 2) words.

    ``rows`` (m, w), ``places`` (n, h) row numbers, ``codes`` (n, w), ``mask`` (w,).
    """
    count, each = places.shape
    chosen = rows[places.astype(np.int64).reshape(-1)] ^ np.repeat(codes & mask, each, axis=0)
    messages = np.concatenate([chosen, places.reshape(-1, 1)], axis=1)
    digests = b"".join(hashlib.sha256(message.tobytes()).digest()[:16] for message in messages)
    return np.frombuffer(digests, np.uint64).reshape(count, each, 2).copy()


def cuckoo(bins: Ring, size: int) -> Ring:
    """Places n items in ``size`` bins, at most one in each, item i in one of its three bins ``bins[i]``: -> (size,).

    The result names the item in each bin, n where there is none. Each item goes to the nearest bin that is empty, seen
    breadth first from its own bins through those of the items in its way, and these move up by one (Pagh and Rodler
    2001; the search is complete, so an item stays out only if no arrangement of those before it leaves it a place).
    """
    count, choices = len(bins), bins.tolist()
    table = [count] * size
    for item in range(count):
        came: dict[int, int] = {}
        queue = deque((bin_, -1) for bin_ in choices[item])
        while queue:
            bin_, parent = queue.popleft()
            if bin_ in came:
                continue
            came[bin_] = parent
            if table[bin_] == count:
                while came[bin_] >= 0:
                    table[bin_] = table[came[bin_]]
                    bin_ = came[bin_]
                table[bin_] = item
                break
            queue.extend((other, bin_) for other in choices[table[bin_]])
    return np.array(table, np.uint64)
