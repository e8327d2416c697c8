"""Small groups are suppressed on shares, before anything is opened; and one suppressed cell never stands alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import privity as pv
from privity.disclosure import margins, release, release_table
from privity.errors import ShapeError, UsageError
from privity.session import Session

VALUES = np.array([1.5, -2.0, 1000.0, 7.0, -1024.0])
COUNTS = np.array([9, 10, 11, 0, 500])


def run(fn: Any, given: dict[str, Any], **settings: Any) -> pv.Simulation:
    def program(s: Session) -> Any:
        return fn(s, {name: s.secret(name, "bank") for name in given})

    return pv.simulate(program, inputs={"bank": given}, receivers=("officer",), **settings)


def released(s: Session, x: dict[str, pv.SecureArray], **changes: Any) -> Any:
    return release(s, x["values"], x["counts"], **{"to": "officer", "name": "means", "reason": "test", **changes})


@pytest.mark.parametrize(("least", "kept"), [(10, [1, 2, 4]), (1, [0, 1, 2, 4]), (11, [2, 4])])
def test_cells_of_few_rows_are_suppressed(least: int, kept: list[int]) -> None:
    result = run(released, {"values": VALUES, "counts": COUNTS}, minimum_group=least, check_range=True)
    want = np.full(5, np.nan)
    want[kept] = VALUES[kept]
    np.testing.assert_array_equal(result.outputs["officer"], want)
    assert isinstance(result.outputs["bank"], pv.Withheld)
    assert [o["name"] for o in result.opened] == ["means"]


def test_a_suppressed_value_never_leaves_its_shares() -> None:
    """What is opened is the same, whatever the value was."""
    seen = []
    for hidden in (-1000.0, 3.25):
        opened: list[Any] = []

        def program(s: Session, opened: list[Any] = opened) -> Any:
            inner = s._context.reveal

            def spy(x: pv.SecureArray, **words: Any) -> Any:
                value = inner(x, **words)
                if s.me == "bank":
                    opened.append(np.asarray(value))
                return value

            s._context.reveal = spy  # type: ignore[method-assign]
            x, n = s.secret("values", "bank"), s.secret("counts", "bank")
            return release(s, x, n, to="bank", name="means", reason="test")

        pv.simulate(program, inputs={"bank": {"values": np.array([hidden, 2.0]), "counts": np.array([4, 40])}})
        seen.append(opened[0].tolist())
    assert seen[0] == seen[1] and seen[0][1] == 2.0


def test_what_a_failed_run_leaves_of_suppressed_cells_is_no_number() -> None:
    """The number that stands for a suppressed cell on shares is nobody's result."""

    def program(s: pv.Session) -> None:
        values, counts = s.constant(np.array([1.5, 2.5, 3.5])), s.constant(np.array([20, 3, 20]))
        release(s, values, counts, to="all", name="means", reason="test")
        release(s, values[0], counts[1], to="all", name="one", reason="test")
        raise ValueError("later")

    with pytest.raises(ValueError, match="later") as caught:
        pv.simulate(program, minimum_group=10)
    cells, one = (entry["value"] for entry in caught.value.opened)  # type: ignore[attr-defined]
    assert np.array_equal(cells, [1.5, np.nan, 3.5], equal_nan=True) and np.isnan(one)


def test_scalars_public_counts_whole_numbers_and_shapes() -> None:
    def program(s: Session, x: dict[str, pv.SecureArray]) -> Any:
        words: Any = {"to": "all", "name": "x", "reason": "test"}
        return [
            release(s, x["values"][2], x["counts"][2], **words),
            release(s, x["values"][0], x["counts"][0], **words),
            release(s, x["values"], [5, 50, 10, 9, 10], **words),
            release(s, x["counts"], x["counts"], **words),
            release(s, x["square"], x["counts"][:2], **words),
            release(s, x["square"] > 2, 12, **words),
        ]

    given = {"values": VALUES, "counts": COUNTS, "square": np.array([[1.0, 2.0], [3.0, 4.0]])}
    out = run(program, given, check_range=True).outputs["officer"]
    assert out[0] == 1000.0 and np.isnan(out[1])
    np.testing.assert_array_equal(out[2], [np.nan, -2.0, 1000.0, np.nan, -1024.0])
    np.testing.assert_array_equal(out[3], [np.nan, 10, 11, np.nan, 500])
    np.testing.assert_array_equal(out[4], [[np.nan, 2.0], [np.nan, 4.0]])
    np.testing.assert_array_equal(out[5], [[0.0, 0.0], [1.0, 1.0]])


def test_what_does_not_fit_is_refused() -> None:
    def wrong(counts: Any) -> Any:
        return lambda s, x: release(s, x["values"], counts(x), to="all", name="x", reason="test")

    given = {"values": VALUES, "counts": COUNTS}
    with pytest.raises(ShapeError, match="do not broadcast"):
        run(wrong(lambda x: x["counts"][:3]), given)
    with pytest.raises(UsageError, match="whole numbers of rows"):
        run(wrong(lambda x: x["values"]), given)


@pytest.mark.parametrize(
    ("table", "hidden"),
    [
        ([[30, 20], [30, 40]], []),
        ([[3, 20], [30, 40]], [(0, 0), (1, 1)]),  # one cell alone: the last of the others goes with it
        ([[3, 4], [30, 40]], [(0, 0), (0, 1), (1, 1)]),  # the sum of both would bound them
        ([[9, 9], [30, 40]], [(0, 0), (0, 1), (1, 1)]),  # and 18 would give both
        ([[0, 0], [30, 40]], [(0, 0), (0, 1), (1, 1)]),  # nobody in both would be known by subtraction
        ([[3, 20], [30, 10]], [(0, 0), (1, 1), (1, 0)]),  # 3 + 10 leave no room: 13 would say at most 3
        ([[1, 2], [0, 3]], [(0, 0), (0, 1), (1, 0), (1, 1)]),
        ([[100], [3]], [(0, 0), (1, 0)]),
    ],
)
def test_complementary_suppression(table: list[list[int]], hidden: list[tuple[int, int]]) -> None:
    counts = np.array(table)

    def program(s: Session, x: dict[str, pv.SecureArray]) -> Any:
        return release_table(s, x["counts"], to="all", name="table", reason="test")

    got = run(program, {"counts": counts}, check_range=True).outputs["officer"]
    want = counts.astype(float)
    for cell in hidden:
        want[cell] = np.nan
    np.testing.assert_array_equal(got, want)
    rows, columns, total = margins(got)
    np.testing.assert_array_equal(rows, want.sum(1))
    np.testing.assert_array_equal(columns, want.sum(0))
    assert np.isnan(total) == bool(hidden)


def test_a_table_needs_counts() -> None:
    with pytest.raises(UsageError, match="secret whole numbers"):
        run(lambda s, x: release_table(s, x["v"], to="all", name="t", reason="test"), {"v": VALUES})


def test_rounds() -> None:
    result = run(released, {"values": VALUES, "counts": COUNTS})
    plain = run(lambda s, x: s.reveal(x["values"], to="officer", name="means", reason="t"), {"values": VALUES})
    assert result.rounds - plain.rounds <= 12
