"""Overflow is found when the program is planned, stated bounds are guarded at run time, inputs at their owner."""

from __future__ import annotations

import inspect
import re
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import privity as pv
from privity.errors import DataError, OverflowPlanned, PeerAborted, PrivityError, RangeViolated, UsageError
from privity.inputs import DEFAULT_BOUND
from privity.session import Session

X = np.array([7.123456, -3.75, 12.5])


def simulate(program: Callable[[Session], Any], x: Any = X, **options: Any) -> pv.Simulation:
    return pv.simulate(program, inputs={"bank": {"x": x}}, **options)


def line_of(fn: Callable[..., Any], marker: str) -> str:
    lines, first = inspect.getsourcelines(fn)
    return f"test_range.py:{first + next(i for i, text in enumerate(lines) if marker in text)}"


# -- planned -----------------------------------------------------------------------------------------------------


def test_planned_overflow_names_the_users_line_at_every_party() -> None:
    ended: dict[str, str] = {}
    together = threading.Barrier(4)

    def program(s: Session) -> None:
        x = s.secret("x", "bank")
        y = x * x
        together.wait(10)  # parties that hold no shares would run ahead and end the session first
        try:
            y * y * x  # here
        except OverflowPlanned as error:
            ended[s.me] = str(error)
            raise

    with pytest.raises(OverflowPlanned):
        simulate(program)
    assert len(ended) == 4 and len(set(ended.values())) == 1
    text = ended["bank"]
    assert text.startswith(line_of(program, "# here") + ": this product (before it is truncated) may reach |x| = ")
    assert "62" in text and "assume_bound" in text and "bound=" in text


def helper_of_the_user(x: Any) -> Any:
    return x * 1e9 * 1e9  # here


def test_the_line_is_the_innermost_of_the_user() -> None:
    with pytest.raises(OverflowPlanned, match="^" + re.escape(line_of(helper_of_the_user, "# here"))):
        simulate(lambda s: helper_of_the_user(s.secret("x", "bank")))


@pytest.mark.parametrize(
    "use",
    [
        lambda x: x * 2.0**40, lambda x: x + 2.0**44, lambda x: (x * 2.0**33).sum(), lambda x: x @ (x * 2.0**20),
        lambda x: x.matmul(x * 1000.0, factor=2.0**20), lambda x: np.full(3, 2.0**35) @ x, lambda x: x**5,
        lambda x: pv.sigmoid(x * 2.0**33 + 2.0**43), lambda x: x.rescaled(52), lambda x: -(2.0**44) - x,
        lambda x: (x > 0) * 2**62,
    ],
)  # fmt: skip
def test_every_operation_plans_its_range(use: Callable[[Any], Any]) -> None:
    """Either error is raised before anything is computed: OverflowPlanned, or UsageError for a constant too large."""
    with pytest.raises((OverflowPlanned, UsageError)):
        simulate(lambda s: use(s.secret("x", "bank")))


def test_a_planned_overflow_costs_no_round() -> None:
    rounds: dict[str, int] = {}

    def program(s: Session) -> None:
        x = s.secret("x", "bank")
        if s.computes:
            rounds[s.me] = s._context.protocol.party.rounds
        try:
            x**5
        finally:
            if s.computes:
                rounds[s.me] = s._context.protocol.party.rounds - rounds[s.me]

    with pytest.raises(OverflowPlanned):
        simulate(program)
    assert set(rounds.values()) <= {0, 3}, "one square at most, which is in range"


# -- guarded -----------------------------------------------------------------------------------------------------


def guarded(bound: float) -> Callable[[Session], Any]:
    def program(s: Session) -> Any:
        x = s.secret("x", "bank").assume_bound(bound)  # guard
        return s.reveal((x * x).sum(), to="bank", name="total", reason="test")

    return program


def test_a_stated_bound_that_holds() -> None:
    for bound in (12.5, 13.0, 5000.0):
        assert simulate(guarded(bound)).outputs["bank"] == pytest.approx((X**2).sum(), abs=1e-3)


@pytest.mark.parametrize("bound", [12.499, 7.0, 3.0, 0.0])
def test_a_stated_bound_that_does_not_hold_is_found_before_anything_is_opened(bound: float) -> None:
    ended: dict[str, Exception] = {}

    def program(s: Session) -> None:
        try:
            guarded(bound)(s)
        except Exception as error:
            ended[s.me] = error
            assert not [e for e in s._context.log.entries if e["name"] == "total"]
            raise

    with pytest.raises(RangeViolated, match=re.escape(line_of(guarded, "# guard"))):
        simulate(program)
    assert len(ended) == 4 and all(isinstance(e, RangeViolated | PeerAborted) for e in ended.values())
    assert not any(d in str(e) for e in ended.values() for d in ("7.123", "12.5 ", "3.75"))


def test_a_guard_is_checked_at_the_end_if_nothing_is_revealed() -> None:
    def program(s: Session) -> None:
        s.secret("x", "bank").assume_bound(1.0)

    with pytest.raises(RangeViolated):
        simulate(program)


def test_many_guards_are_one_flag() -> None:
    def program(s: Session) -> Any:
        x = s.secret("x", "bank")
        for _ in range(4):
            x = (x * 0.5 + 1).assume_bound(20.0)
        return s.reveal(x, to="bank", name="x", reason="test")

    done = simulate(program)
    assert [e["name"] for e in done.opened] == ["range guard", "x"]


@pytest.mark.parametrize("share", [0.99, -0.99, 0.2])
def test_bounds_near_the_end_of_the_range(share: float) -> None:
    """The guard adds the bound to the value: that needs one bit more than a value may have."""
    bound = 2.0**43.9
    x = pv.Input(np.array([share * bound]), bound)

    def program(s: Session) -> Any:
        return s.reveal(s.secret("x", "bank").assume_bound(bound), to="bank", name="x", reason="test")

    np.testing.assert_allclose(simulate(program, x).outputs["bank"], share * bound)
    with pytest.raises(RangeViolated):
        simulate(lambda s: s.secret("x", "bank").assume_bound(abs(share) * bound * 0.9999), x)


# -- at the owner ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [DEFAULT_BOUND + 1, np.nan, np.inf, -np.inf])
def test_an_owner_refuses_what_does_not_fit_and_tells_nobody_the_value(bad: float) -> None:
    ended: dict[str, Exception] = {}

    def program(s: Session) -> None:
        try:
            s.secret("x", "bank")
        except Exception as error:
            ended[s.me] = error
            raise

    with pytest.raises(DataError, match=r"bank: input 'x'.*index \[1\].*larger bound="):
        simulate(program, np.array([1.0, bad, 2.0]))
    assert isinstance(ended.pop("bank"), DataError) and len(ended) == 3
    for error in ended.values():
        assert isinstance(error, PeerAborted) and str(error) == "bank stopped the session: DataError"


def test_the_default_bound_itself_is_fine() -> None:
    done = simulate(lambda s: s.reveal(s.secret("x", "bank"), to="bank", name="x", reason="t"), [DEFAULT_BOUND, -1024])
    np.testing.assert_array_equal(done.outputs["bank"], [1024, -1024])


@pytest.mark.parametrize("values", [["a", "b"], [1j], [None], [object()]])
def test_inputs_must_be_numbers(values: Any) -> None:
    with pytest.raises(UsageError, match="numbers or booleans"):
        simulate(lambda s: None, np.array(values))


def test_a_bound_too_large_for_the_ring_is_refused() -> None:
    with pytest.raises((PrivityError, ValueError), match="more than 62 bits"):
        simulate(lambda s: s.secret("x", "bank"), pv.Input(X, 2.0**50))


@pytest.mark.parametrize("bound", [np.inf, np.nan, -1.0])
def test_a_bound_that_is_none_is_refused(bound: float) -> None:
    ended: list[Exception] = []

    def program(s: Session) -> None:
        try:
            s.secret("x", "bank")
        except Exception as error:
            ended.append(error)
            raise

    with pytest.raises(PrivityError):
        simulate(program, pv.Input(X, bound))
    assert len(ended) == 4 and all(isinstance(e, PrivityError) for e in ended)


def test_integers_out_of_bound() -> None:
    with pytest.raises(DataError, match=r"integers with \|x\| <= 1024"):
        simulate(lambda s: s.secret("x", "bank"), np.array([1, -5000]))
