"""Cuckoo hashing: each of the receiver's items gets a bin of its own, one of three that both parties can name.

Paper: Pagh and Rodler, Cuckoo Hashing (2001); in set intersection Pinkas, Schneider, Zohner (TOPS 2018).

With 1.3 n + 512 bins a table that holds all n items exists for all but a fraction of 2^-41 of the seeds, for every n
up to 2^24: by the first moment over sets of t items whose bins number t - 1, each bin hit twice at least
(``tests/psi`` sums it). That is proven, where the usual factor 1.27 is from experiments. The search for the table is
complete, and the party that owns the items draws seeds by itself until there is one and shows that one alone. So a
failure is never seen, and a seed says about the items no more than its distance from uniform, 2^-41.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from ..ring import kernels
from ..types import Ring
from .coins import Coins
from .oprf import encipher

CHOICES: Final = 3
_BITS: Final = 39  # times a number of bins below 2^25 it fits in a word


def bins_for(count: int) -> int:
    """Number of bins for ``count`` items: 1.3 times as many and 512, rounded up to a multiple of 64."""
    return -(-(-(-13 * count // 10) + 512) // 64) * 64


def choices(items: Ring, seed: bytes, size: int) -> Ring:
    """The three different bins of each item by a public 16-byte seed: (n, 2) words -> (n, 3), below ``size``."""
    mask = np.uint64((1 << _BITS) - 1)
    low, high = encipher(seed, items).T if len(items) else items.T
    parts = (low & mask, high & mask, (low >> np.uint64(_BITS)) | (high >> np.uint64(_BITS) << np.uint64(64 - _BITS)))
    shift = np.uint64(_BITS)
    a, b, c = (((part & mask) * np.uint64(size - i)) >> shift for i, part in enumerate(parts))
    b += b >= a
    first, last = np.minimum(a, b), np.maximum(a, b)
    c += c >= first
    c += c >= last
    return np.stack([a, b, c], axis=1)


def place(items: Ring, coins: Coins) -> tuple[bytes, Ring]:
    """A public seed, and for each bin the item in it or ``len(items)``: every item has a bin."""
    size = bins_for(len(items))
    while True:
        seed = coins.seed()
        table = kernels.cuckoo(choices(items, seed, size), size)
        if np.count_nonzero(table < len(items)) == len(items):
            return seed, table
