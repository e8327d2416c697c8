"""An owner that deals other numbers than it declared, beside a compute party that keeps all that is opened to it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import pytest

import privity
from privity import functions as F
from privity.context import Context
from privity.errors import PrivityError, RangeViolated
from privity.functions import linkage
from privity.inputs import Input
from privity.ml.preprocessing import RobustScaler
from privity.ml.preprocessing.scaling import _inverse
from privity.session import Session
from privity.stats.compare import _resolved
from privity.testing import open_value

HONEST = np.array([-0.9, -0.5, 0.1, 0.2, 0.6, 0.7, -0.2])
ONE = 1 << 18  # at 18 fractional bits

Lie = Callable[[Any], Any]
LIES: dict[str, Lie] = {
    "a bit beyond the bound": lambda x: x + (1 << 19),
    "where differences wrapped around": lambda x: x + (1 << 20) + ONE // 4,
    "two bits further": lambda x: x + (1 << 22) + ONE // 4,
    "below": lambda x: x - (1 << 20),
    "the largest number": lambda x: x * 0 + ((1 << 63) - 1),
    "the smallest number": lambda x: x * 0 + np.int64(-(1 << 63)),
    "half of the ring": lambda x: x + (1 << 62),
    "the same number again and again": lambda x: x * 0,
}


@pytest.fixture
def lying(monkeypatch: pytest.MonkeyPatch) -> Callable[[Lie], None]:
    """What mallory deals from now on: its numbers as ring integers, changed."""
    encode = Context._encode_own

    def start(lie: Lie) -> None:
        def evil(self: Any, name: str, known: Any) -> Any:
            values = encode(self, name, known)
            if self.me != "mallory":
                return values
            with np.errstate(over="ignore"):
                return np.asarray(lie(values.view(np.int64)), np.int64).view(np.uint64)

        monkeypatch.setattr(Context, "_encode_own", evil)

    return start


def both(s: Session) -> Any:
    return F.concatenate([s.secret("x", "hospital"), s.secret("x", "mallory")])




PROGRAMS: dict[str, Callable[[Session], Any]] = {
    "sort": lambda s: privity.sort(both(s)),
    "descending": lambda s: privity.argsort(both(s), descending=True),
    "two keys": lambda s: privity.sort_by([both(s), both(s)], [both(s)]),
    "quantile": lambda s: F.quantile(both(s), [0.25, 0.5]),
    "rank": lambda s: privity.rank(both(s)),
    "different values": lambda s: F.unique_count(both(s)),
    "largest": lambda s: F.top_k(both(s), 3),
    "permutation": lambda s: privity.Permutation.sorting(both(s)).inverse(),
}


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("lie", LIES)
def test_comparisons_are_those_of_an_order(
    program: str, lie: str, seen: list[Any], lying: Callable[[Lie], None]
, is_an_order: Callable[[Any], bool]) -> None:
    """So they are those of a random order, as the shuffle before them is: nothing about anybody's values."""
    lying(LIES[lie])
    inputs = {"hospital": {"x": Input(HONEST, 1.0)}, "mallory": {"x": Input(np.array([0.0, 0.25]), 1.0)}}

    def act(s: Session) -> None:
        PROGRAMS[program](s)

    privity.simulate(act, inputs=inputs, openings=[])
    assert seen and all(is_an_order(answers) for answers in seen)


def test_honest_values_are_sorted_right_beside_a_liar(seen: list[Any], lying: Callable[[Lie], None]) -> None:
    lying(LIES["where differences wrapped around"])
    inputs = {"hospital": {"x": Input(HONEST, 1.0)}, "mallory": {"x": Input(np.array([0.0]), 1.0)}}

    def program(s: Session) -> Any:
        return s.reveal(privity.argsort(both(s)), to="all", name="order", reason="test")

    rows = privity.simulate(program, inputs=inputs).output.tolist()
    assert [r for r in rows if r < HONEST.size] == np.argsort(HONEST).tolist()


# -- linkage ---------------------------------------------------------------------------------------------------------

KEYS = np.random.default_rng(5).integers(0, 1 << 48, (7, 2))
KEY_LIES: dict[str, Lie] = {
    "one key again and again": lambda x: x * 0 + KEYS[2],
    "a word that is too large": lambda x: x + (1 << 50),
    "the largest words": lambda x: x * 0 + ((1 << 63) - 1),
    "alike in most bits": lambda x: KEYS[:4] + np.array([-1, 1 << 12]),
    "the numbers of rows left out": lambda x: np.stack([np.arange(4) - 3, np.zeros(4, np.int64)], 1),
}


@pytest.mark.parametrize("lie", KEY_LIES)
@pytest.mark.parametrize("how", ["capacity", "size", "left", "members"])
def test_a_linkage_shows_nothing_of_the_others(
    how: str, lie: str, seen: list[Any], lying: Callable[[Lie], None]
, is_an_order: Callable[[Any], bool]) -> None:
    lying(KEY_LIES[lie])
    inputs = {"hospital": {"key": Input(KEYS, 2.0**48)}, "mallory": {"key": Input(KEYS[:4], 2.0**48)}}

    def program(s: Session) -> None:
        keys = [s.secret("key", o) for o in ("hospital", "mallory")]
        if how == "members":
            linkage.members(keys)
        else:
            more: dict[str, Any] = {"capacity": 4} if how == "capacity" else {"how": "left"} if how == "left" else {}
            linkage.link(keys, [[], []], open_size=lambda x: 5, minimum=1, **more)

    with suppress(RangeViolated):  # where a key stands twice
        privity.simulate(program, inputs=inputs, openings=[])
    assert len(seen) == 1 and is_an_order(seen[0])


def test_a_key_twice_ends_the_run(lying: Callable[[Lie], None]) -> None:
    """Whether or not somebody else has it: the one bit that the run shows says nothing but that it was there twice."""
    for key in (KEYS[2], KEYS[2] + 1):
        lying(lambda x, key=key: x * 0 + key)
        inputs = {"hospital": {"key": Input(KEYS, 2.0**48)}, "mallory": {"key": Input(KEYS[:4], 2.0**48)}}

        def program(s: Session) -> Any:
            linked = linkage.link([s.secret("key", o) for o in ("hospital", "mallory")], [[], []],
                                  open_size=lambda x: 5, capacity=4)  # fmt: skip
            assert linked.valid is not None
            return s.reveal(linked.valid.sum(), to="all", name="count", reason="test")

        with pytest.raises(RangeViolated, match="holds a key twice"):
            privity.simulate(program, inputs=inputs)


def test_row_numbers_that_are_none_are_refused(lying: Callable[[Lie], None]) -> None:
    """Also where only the low bits are those of a permutation."""
    for lie in (lambda x: x + (1 << 40), lambda x: x * 0 + 1, lambda x: x + 4 * (x == 0), lambda x: -x):
        lying(lie)

        def program(s: Session) -> Any:
            return privity.Permutation.stated(s.secret("rows", "mallory"))

        with pytest.raises(RangeViolated):
            privity.simulate(program, inputs={"mallory": {"rows": Input(np.array([2, 0, 3, 1]), 3.0)}})


@pytest.mark.parametrize("lie", ["rows", "columns", "nothing"])
def test_another_number_of_values_ends_the_run(lie: str, lying: Callable[[Lie], None]) -> None:
    lying({"rows": lambda x: x[:1], "columns": lambda x: np.stack([x, x], 1), "nothing": lambda x: x[:0]}[lie])
    inputs = {"hospital": {"x": Input(HONEST, 1.0)}, "mallory": {"x": Input(np.array([0.0, 0.25]), 1.0)}}

    def act(s: Session) -> None:
        privity.sort(both(s))

    with pytest.raises(PrivityError):
        privity.simulate(act, inputs=inputs, timeout_s=2)


GUARDED: dict[str, Callable[[Any], Any]] = {
    "RobustScaler": lambda x: _inverse(_scaler(x.size), x, 8),
    "ttest": lambda x: _resolved(x, x),
}


def _scaler(columns: int) -> RobustScaler:
    scaler = RobustScaler()
    scaler.columns_ = [f"x{i}" for i in range(columns)]
    return scaler


@pytest.mark.parametrize("what", GUARDED)
def test_no_lie_takes_a_violation_off_the_count(
    what: str, monkeypatch: pytest.MonkeyPatch, lying: Callable[[Lie], None]
) -> None:
    """One flag is opened for all guards together, so none may count less than 0: a number just beyond the bound, below
    0 by its sign bit and not by the next step's, would hide a mask in which one row counts twice."""
    counts: list[int] = []

    def watched(self: Context, violations: Any, hint: str = "") -> None:
        if self.computes:
            opened = np.asarray(open_value(self.protocol, violations, (0, 1, 2))).reshape(-1).astype(np.int64)
            counts.extend(opened.tolist())

    def program(s: Session) -> None:
        x = s.secret("x", "mallory")
        for i in range(44):
            GUARDED[what](x[i : i + 1] if what == "RobustScaler" else x[i])

    monkeypatch.setattr(Context, "guard", watched)
    lying(lambda x: np.array([(1 << k) + (2 if what == "RobustScaler" else 8) for k in range(20, 63)] + [0]))
    privity.simulate(program, inputs={"mallory": {"x": Input(np.ones(44), 2.0, 30)}})
    assert len(counts) == 3 * 44 and set(counts) <= {0, 1}
