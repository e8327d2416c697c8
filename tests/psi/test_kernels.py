"""The kernels of set intersection: native equals plain Python bit for bit, at every instruction set."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np
import pytest

from privity.errors import ShapeError, UsageError
from privity.ring import hashing, kernels

LEVELS = ["pure"] if kernels._native is None else kernels._native.levels()


@pytest.fixture(params=LEVELS)
def level(request: pytest.FixtureRequest) -> Iterator[str]:
    if kernels._native is None:
        yield "pure"
        return
    before = kernels._native.level()
    kernels._native.select(request.param)
    yield request.param
    kernels._native.select(before)


def test_items_of_every_length_have_the_digest_of_hashlib(level: str) -> None:
    generator = np.random.default_rng(1)
    items = [generator.bytes(length) for length in range(200)]  # across the borders of one, two and three blocks
    offsets = np.array([0, *np.cumsum([len(item) for item in items])], np.uint64)
    prefix = generator.bytes(32)
    got = kernels.digest_items(np.frombuffer(b"".join(items), np.uint8), offsets, np.frombuffer(prefix, np.uint8))
    assert [row.tobytes() for row in got] == [hashlib.sha256(prefix + item).digest()[:16] for item in items]


@pytest.mark.parametrize("width", [1, 5, 6, 7, 8, 14, 15])
@pytest.mark.parametrize("count", [0, 1, 2, 33])
def test_rows_are_masked_and_hashed(level: str, width: int, count: int) -> None:
    generator = np.random.default_rng(count)
    rows, codes = (generator.integers(0, 2**64, (n, width), np.uint64) for n in (9, count))
    places, mask = generator.integers(0, 9, (count, 3), np.uint64), generator.integers(0, 2**64, width, np.uint64)
    got = kernels.digest_rows(rows, places, codes, mask)
    assert got.shape == (count, 3, 2)
    np.testing.assert_array_equal(got, hashing.digest_rows(rows, places, codes, mask))


@pytest.mark.parametrize(("count", "size"), [(0, 5), (3, 3), (4, 4), (50, 52), (300, 330), (300, 200)])
def test_cuckoo_tables_are_the_same_and_right(level: str, count: int, size: int) -> None:
    generator = np.random.default_rng(count + size)
    bins = np.array([generator.choice(size, 3, replace=False) for _ in range(count)], np.uint64).reshape(-1, 3)
    table = kernels.cuckoo(bins, size)
    np.testing.assert_array_equal(table, hashing.cuckoo(bins, size))
    placed = np.flatnonzero(table < count)
    assert len(set(table[placed].tolist())) == placed.size
    assert all(place in bins[int(table[place])] for place in placed)
    assert placed.size == count or size < 1.3 * count


def test_a_table_is_filled_to_the_last_bin_where_an_arrangement_exists(level: str) -> None:
    """Four items with the same three bins: one stays out. Chains of moves as long as the table are found."""
    assert (kernels.cuckoo(np.array([[0, 1, 2]] * 4, np.uint64), 5) < 4).sum() == 3
    chain = np.array([*([i, i + 1, i + 1] for i in reversed(range(40))), [0, 0, 0]], np.uint64)
    assert (kernels.cuckoo(chain, 41) < 41).all()


def test_wrong_arguments_are_refused() -> None:
    row, prefix = np.zeros(8, np.uint8), np.zeros(32, np.uint8)
    with pytest.raises(ShapeError, match="32 bytes"):
        kernels.digest_items(row, np.array([0, 8], np.uint64), row)
    for offsets in ([4, 2], [0, 9], []):
        with pytest.raises(UsageError, match="offsets"):
            kernels.digest_items(row, np.array(offsets, np.uint64), prefix)
    two = np.zeros((2, 2), np.uint64)
    with pytest.raises(UsageError, match="places"):
        kernels.digest_rows(two, two + np.uint64(2), two, two[0])
    with pytest.raises(ShapeError):
        kernels.digest_rows(two, two, two, np.zeros(3, np.uint64))
    with pytest.raises(ShapeError, match="three bins"):
        kernels.cuckoo(two, 5)
    with pytest.raises(UsageError, match="bins must be below"):
        kernels.cuckoo(np.full((1, 3), 5, np.uint64), 5)
