"""The linkage of the benchmarks: three owners' tables of other columns of people that overlap, in other orders."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from ..array import SecureArray
from ..functions import concatenate, stack
from ..functions.linkage import Linked, link
from ..inputs import Input
from .ideal import Ideal

Floats = npt.NDArray[np.float64]
Secrets = Mapping[str, SecureArray]

OPENED = "common rows"
"""The opening that a linkage makes of its own: the number of rows that it found."""
WIDTHS = (7, 7, 6)
_SHARE = 0.8  # of all people that each owner has: 64 % of its rows are common to all
_STEP = 2.0**-8  # values are multiples, so that sums and products are exact


def owners(rows: int) -> Mapping[str, Input]:
    """Per owner keys of 96 bits and its columns, the rows in an order of its own."""
    generator = np.random.default_rng(31)
    people = generator.integers(0, 2**48, (int(rows / _SHARE), 2))
    inputs: dict[str, Input] = {}
    for i, width in enumerate(WIDTHS):
        mine = generator.permutation(len(people))[:rows]
        values = generator.integers(-256, 257, (rows, width)) * _STEP
        inputs[f"key{i}"] = Input(people[mine], bound=2.0**48)
        inputs[f"x{i}"] = Input(values, bound=1.0)
    return inputs


def _given(secrets: Secrets) -> tuple[list[SecureArray], list[list[SecureArray]]]:
    places = range(len(WIDTHS))
    return [secrets[f"key{i}"] for i in places], [[secrets[f"x{i}"]] for i in places]


def _open_size(count: SecureArray) -> int:
    return int(count.session.reveal(count, to="all", name=OPENED, reason="number of rows of the joined table"))


def _summary(linked: Linked) -> SecureArray:
    """Sums of all columns, and of products across tables, which are right only if the rows are."""
    tables = [columns[0] for columns in linked.columns]
    across = [a[:, 0].matmul(b[:, 0]) for a, b in pairwise(tables)]
    return concatenate([*(x.sum(0) for x in tables), stack(across)])


def common(secrets: Secrets) -> SecureArray:
    """Rows that all three have; their number is opened."""
    keys, columns = _given(secrets)
    return _summary(link(keys, columns, open_size=_open_size))


def left(secrets: Secrets) -> SecureArray:
    """All rows of the first, with what the others know; nothing is opened."""
    keys, columns = _given(secrets)
    return _summary(link(keys, columns, open_size=_open_size, how="left"))


def _places(values: Mapping[str, Floats], other: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Rows of the first owner and of another that have the same key."""
    first, second = (values[f"key{i}"][:, 0] + 1j * values[f"key{i}"][:, 1] for i in (0, other))
    _, mine, theirs = np.intersect1d(first, second, assume_unique=True, return_indices=True)
    return mine, theirs


def _summary_plain(tables: list[Floats]) -> Floats:
    across = [a[:, 0] @ b[:, 0] for a, b in pairwise(tables)]
    return np.concatenate([*(x.sum(0) for x in tables), across])


def _left_tables(values: Mapping[str, Floats]) -> tuple[list[Floats], npt.NDArray[np.bool_]]:
    """Columns beside the first owner's rows, and which of these rows all owners have."""
    tables, everywhere = [values["x0"]], np.ones(len(values["x0"]), bool)
    for i in range(1, len(WIDTHS)):
        mine, theirs = _places(values, i)
        found = np.zeros((len(values["x0"]), WIDTHS[i]))
        found[mine] = values[f"x{i}"][theirs]
        has = np.zeros(len(found), bool)
        has[mine] = True
        tables.append(found)
        everywhere &= has
    return tables, everywhere


def common_plain(values: Mapping[str, Floats]) -> Floats:
    """The same with NumPy's intersection of sorted keys."""
    tables, everywhere = _left_tables(values)
    return _summary_plain([x[everywhere] for x in tables])


def left_plain(values: Mapping[str, Floats]) -> Floats:
    """The same with NumPy's intersection of sorted keys."""
    return _summary_plain(_left_tables(values)[0])


def outputs(rows: int) -> tuple[int]:
    """A sum for each column, and one for each pair of neighbouring tables."""
    return (sum(WIDTHS) + len(WIDTHS) - 1,)


def behind_sort_ideal(rows: int) -> Ideal:
    """Equality of 96 bits with the next row, and a shuffle of all rows of the joined width with their new places.

    An equality: its bits once as input and once as products, two masks each. Shuffle as in the ideal of a sort.
    """
    total, width = len(WIDTHS) * rows, sum(WIDTHS)
    equal = Ideal(prg_bytes=96 * 3 / 8 * total, moved_bytes=(64 + 0.75 * 96) * total, sent_bytes=24 * total, rounds=8)
    words = (width + 1) * total
    moved = Ideal(prg_bytes=40 * words, moved_bytes=64 * words, sent_bytes=16 * words + 3 * total, rounds=4)
    return equal + moved
