"""Public orders: permutations drawn without bias, and the plan of a sort whose comparisons are opened.

Nothing here is secret by itself: row numbers, and answers to comparisons that were opened. A permutation of which one
party must not know is drawn by the two others from their common stream.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Sequence
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from ..types import Ring

Rows = npt.NDArray[np.int64]
"""Row numbers."""

BATCH = 32768
"""Comparisons that cost about as much as the rounds of one batch, on links between fast and slow."""

Questions = Generator[tuple[Rows, Rows], Ring | None, Rows]

_PACKED = 20  # up to 2^20 rows the row number fits beside a random word of 44 bits: one sort instead of an argsort
_DIRECT = 32  # so many rows are always compared pair by pair


def permutation(draw: Callable[[int], Ring], n: int) -> Rows:
    """A uniform permutation of n rows from ``draw(count)`` random words: the order of n words, drawn again on a tie.

    Words without ties have every order with the same probability, so there is no bias.
    """
    if n < 2:
        return np.arange(n)
    bits = (n - 1).bit_length()
    while True:
        words = draw(n)
        if bits <= _PACKED:
            mask = np.uint64((1 << bits) - 1)
            packed = np.sort((words & ~mask) | np.arange(n, dtype=np.uint64))
            if ((packed[1:] ^ packed[:-1]) > mask).all():
                return (packed & mask).astype(np.int64)
        else:
            order = np.argsort(words)
            ordered = words[order]
            if (ordered[1:] != ordered[:-1]).all():
                return order


def inverse(rows: Rows) -> Rows:
    """The permutation that undoes ``rows``."""
    out = np.empty(rows.size, np.int64)
    out[rows] = np.arange(rows.size)
    return out


def identity(n: int) -> Rows:
    """Rows 0 to n-1 in order: what stands for an opened permutation where only shapes are known."""
    return np.arange(n)


def places(opened: Ring) -> Rows | None:
    """Opened ring integers as row numbers; None if they are not each of 0 to n-1 once."""
    if opened.size and (opened.max() >= opened.size or (np.bincount(opened.astype(np.int64)) != 1).any()):
        return None
    return opened.astype(np.int64)


def taken(values: Ring, widths: Sequence[int], rows: Rows) -> Ring:
    """Several arrays of ``rows.size`` rows and these widths, flat, one behind the other: each with its rows moved."""
    out, at = np.empty(values.size, np.uint64), 0
    for width in widths:
        end = at + rows.size * width
        shape = (rows.size, width) if width > 1 else (rows.size,)
        if width:
            np.take(values[at:end].reshape(shape), rows, axis=0, out=out[at:end].reshape(shape), mode="clip")
        at = end
    return out


def one_hot(digits: Ring, size: int) -> Ring:
    """(n, size): 1 in the place of each digit, 0 elsewhere."""
    flags: Ring = (digits[:, None] == np.arange(size, dtype=np.uint64)).astype(np.uint64)
    return flags


def complete(rows: Ring, one: bool) -> Ring:
    """The last entry of each row set, in place, so that the row adds up to 1 (``one``) or 0."""
    total: Ring = np.einsum("ij->i", rows[:, :-1])  # half the time of sum(1)
    np.subtract(np.uint64(one), total, out=rows[:, -1])
    return rows


def turned(digits: Ring, width: int) -> Callable[[Ring], Ring]:
    """(n, 2^width) -> the same shape: entry j of row i is what was its entry j ^ digits[i]."""
    start = (np.arange(digits.size) << width) | digits.astype(np.int64)
    places = start[:, None] ^ np.arange(1 << width)

    def fn(x: Ring) -> Ring:
        out = np.empty(places.shape, x.dtype)
        np.take(x.reshape(-1), places, out=out, mode="clip")  # without a check of each index: half the time
        return out

    return fn


def ranked(lanes: int) -> Callable[[Ring], Ring]:
    """(lanes * n, size), flags -> how many flags stand at or before each in its lane, those of smaller digits first."""

    def fn(x: Ring) -> Ring:
        count = np.cumsum(x.reshape(lanes, -1, x.shape[1]), axis=1, dtype=x.dtype)
        if count.shape[1]:
            totals = count[:, -1:]
            count += np.cumsum(totals, axis=2, dtype=x.dtype) - totals
        return count.reshape(x.shape)

    return fn


def lane_starts(n: int, lanes: int) -> Ring:
    """For each of n rows the first row of its lane."""
    return np.arange(n, dtype=np.uint64) // np.uint64(n // lanes) * np.uint64(n // lanes)


def comparisons(n: int, batch: int = BATCH) -> Questions:
    """The plan of a sort of n distinct keys in few, large rounds of comparisons.

    Yields (a, b): pairs of rows to compare; wants back 1 where key[a] < key[b] (None where nobody knows: planning), and
    returns the rows in ascending order. Rows must be in random order. The number of questions and their sizes depend
    on n alone, up to a chance below 10^-6 of one batch more.

    A sorted sample of 2^t - 1 rows is searched by all others at once, t batches of equal size; rows that fall between
    the same two of the sample are compared pair by pair. About 1.3 log2(n!) comparisons for large n, in t + 1 batches
    and those of the sample. Opening comparisons of shuffled distinct keys: Hamada et al., ICISC 2012.

    ``batch``: how many comparisons cost as much as the rounds of one batch; the larger, the fewer batches.
    """
    depth = _cheapest(n, batch)[1]
    if not depth:
        return (yield from _pairwise(n))
    sample = (1 << depth) - 1
    pivots = yield from comparisons(sample, batch)
    rest = np.arange(sample, n)
    gap = np.zeros(rest.size, np.int64)  # how many of the sample are smaller
    answer: Ring | None = None
    for level in reversed(range(depth)):
        answer = yield pivots[gap + ((1 << level) - 1)], rest
        if answer is not None:
            gap += answer.astype(np.int64) << level
    limit = _pairs_expected(rest.size, sample + 1)
    if answer is None:
        yield np.zeros(limit, np.int64), np.zeros(limit, np.int64)
        return np.arange(n)
    by_gap = np.argsort(gap, kind="stable")
    sizes = np.bincount(gap, minlength=sample + 1)
    first, second = _pairs_within(sizes)
    grouped = rest[by_gap]
    less = yield from _in_batches(grouped[first], grouped[second], limit)
    within = _wins(first, second, less, rest.size)
    before = np.cumsum(sizes) - sizes  # rest rows in smaller gaps
    order = np.zeros(n, np.int64)  # answers that contradict each other must not lead outside of the rows
    order[gap[by_gap] + np.repeat(before, sizes) + within] = grouped
    order[np.arange(sample) + before[:-1] + sizes[:-1]] = pivots
    return order


def comparators(n: int) -> list[tuple[Rows, Rows]]:
    """Layers of a network that sorts n rows: pairs (low row, high row) to put in order, all of a layer at once.

    Merge exchange, for any n: Batcher 1968; Knuth, The Art of Computer Programming, 5.2.2, algorithm M.
    """
    layers = []
    top = 1 << max(0, (n - 1).bit_length() - 1)
    p = top if n > 1 else 0
    while p:
        q, r, d = top, 0, p
        while True:
            low = np.arange(n - d)
            low = low[(low & p) == r]
            layers.append((low, low + d))
            if q == p:
                break
            d, q, r = q - p, q // 2, p
        p //= 2
    return layers


def replaced(n: int, low: Rows, high: Rows) -> Rows:
    """Where each of n rows stands in: new rows ``low``, new rows ``high``, all n old rows, one behind the other."""
    rows = np.arange(n) + 2 * low.size
    rows[low] = np.arange(low.size)
    rows[high] = np.arange(low.size) + low.size
    return rows


def batches(n: int, batch: int = BATCH) -> list[int]:
    """The sizes of the batches of ``comparisons``."""
    depth = _cheapest(n, batch)[1]
    if not depth:
        return [n * (n - 1) // 2]
    sample = (1 << depth) - 1
    rest = n - sample
    return [*batches(sample, batch), *[rest] * depth, _pairs_expected(rest, sample + 1)]


@cache
def _cheapest(n: int, batch: int) -> tuple[int, int]:
    """(comparisons, with what the batches cost; t of the sample or 0 for all pairs at once) of the best plan."""
    best = (n * (n - 1) // 2 + batch, 0)
    if n <= _DIRECT:
        return best
    for depth in range(3, n.bit_length()):
        sample = (1 << depth) - 1
        rest = n - sample
        cost = rest * depth + _pairs_expected(rest, sample + 1) + (depth + 1) * batch + _cheapest(sample, batch)[0]
        best = min(best, (cost, depth))
    return best


def _pairwise(n: int) -> Questions:
    """All pairs in one batch."""
    first, second = np.triu_indices(n, 1)
    less = yield first, second
    if less is None:
        return np.arange(n)
    order = np.zeros(n, np.int64)
    order[_wins(first, second, less, n)] = np.arange(n)
    return order


def _wins(first: Rows, second: Rows, less: Ring, n: int) -> Rows:
    """For each of n rows, how many rows were found smaller; ``less``: whether the first of the pair is."""
    smaller = less.astype(bool)
    return np.bincount(second[smaller], minlength=n) + np.bincount(first[~smaller], minlength=n)


def _pairs_within(sizes: Rows) -> tuple[Rows, Rows]:
    """All pairs of positions inside consecutive groups of these sizes."""
    ends = np.repeat(np.cumsum(sizes), sizes)
    position = np.arange(ends.size)
    later = ends - position - 1
    first = np.repeat(position, later)
    start = np.cumsum(later) - later
    return first, first + 1 + np.arange(first.size) - np.repeat(start, later)


def _pairs_expected(rows: int, gaps: int) -> int:
    """A size that the number of pairs within ``gaps`` random gaps passes with a chance below 10^-6.

    All ways to spread the rows over the gaps are equally likely: rows (rows - 1) / (gaps + 1) pairs in the mean, with a
    standard deviation of at most sqrt(5 gaps) (rows / gaps + 1)^2; eleven of them, as the tail is that of a square of
    an exponential.
    """
    mean = rows * (rows - 1) / (gaps + 1)
    each = rows / gaps + 1
    return min(rows * (rows - 1) // 2, math.ceil(mean + 11 * math.sqrt(5 * gaps) * each * each / 1.8))


def _in_batches(first: Rows, second: Rows, size: int) -> Generator[tuple[Rows, Rows], Ring | None, Ring]:
    """Ask about all pairs in batches of exactly ``size``, mostly one; a row compared with itself fills up."""
    answers: list[Any] = []
    for low in range(0, max(first.size, 1), max(size, 1)):
        part = slice(low, low + size)
        fill = np.zeros(size - first[part].size, np.int64)
        answer = yield np.concatenate([first[part], fill]), np.concatenate([second[part], fill])
        assert answer is not None
        answers.append(answer[: first[part].size])
    return np.concatenate(answers)
