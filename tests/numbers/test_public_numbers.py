"""Public numbers that differ between parties end the run before anything is opened; ``agree`` makes them common."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import privity as pv
from privity.debug.plan import plan
from privity.errors import NumbersDiffer, UsageError, WireError
from privity.mpc.public_numbers import MOST_LINES, PublicNumbers, first_difference
from privity.session import Session

X = np.arange(8.0).reshape(4, 2)
ULP = 2.0**-18  # one unit of the encoding
Change = Callable[[Session, pv.SecureArray, float], Any]


def run(body: Change, odd: str | None, step: float = ULP) -> Any:
    def program(s: Session) -> Any:
        y = body(s, s.secret("x", "bank"), step if s.me == odd else 0.0)
        return s.reveal(y, to="all", name="y", reason="test")

    return pv.simulate(program, inputs={"bank": {"x": pv.Input(X, 8.0)}}, timeout_s=20.0)


CHANGES: dict[str, Change] = {
    "factor": lambda s, x, d: x * (1.25 + d),
    "factors": lambda s, x, d: x * np.array([1.25, 1.5 + d]),
    "large operand": lambda s, x, d: (x[:1, :1] * np.append(np.ones(300), 0.25 + d)).sum(),
    "addend": lambda s, x, d: x + (0.5 + d),
    "matrix": lambda s, x, d: x @ np.array([[1.0, 0.5], [0.25, 1.0 + d]]),
    "matrix on the left": lambda s, x, d: np.array([[1.0, 0.5, 0.25, 1.0 + d]]) @ x,
    "constant": lambda s, x, d: x + s.constant(np.full((4, 2), 1.0 + d)),
    "divisor": lambda s, x, d: x / (3.0 + 64 * d),
    "threshold": lambda s, x, d: (x > 2.0 + d).numeric(),
    "limit": lambda s, x, d: x.clip(0.0, 2.0 + d),
    "exponent": lambda s, x, d: (x + 1) ** (1.5 + d),
    "base": lambda s, x, d: (1.5 + d) ** x,
    "learning rate": lambda s, x, d: x.T.matmul(x, factor=0.3 + d),
    "factor of a curve": lambda s, x, d: pv.sigmoid(x, factor=0.3 + d),
    "quantile": lambda s, x, d: pv.quantile(x[:, 0], 0.3 + d),
    "mask": lambda s, x, d: (x > 1.0) & (np.ones((4, 2)) > 0.5 + 2**18 * d),
    "rows": lambda s, x, d: x[[0, 1 + int(d > 0)]],
    "slice": lambda s, x, d: x[int(d > 0) : 3 + int(d > 0)],
    "order": lambda s, x, d: np.take(x, [0, 2 - int(d > 0)], axis=0),
    "turned": lambda s, x, d: np.roll(x, 1 + int(d > 0)),
    "bound": lambda s, x, d: x.assume_bound(7.5 + d),
    "look-up": lambda s, x, d: pv.lookup(np.array([0.5, 1.0 + d]), (x[:, 0] > 1.0).numeric()),
    "large look-up": lambda s, x, d: pv.lookup(np.append(np.arange(40.0), 1.5 + d), (x[:, 0] > 1.0).numeric()),
    "shape": lambda s, x, d: (x if d else x.reshape(2, 4)) + 1.0,
    "power": lambda s, x, d: (x * 0.5) ** (5 + int(d > 0)),
    "axis of a sum": lambda s, x, d: np.stack([x[:2], x[2:]]).sum(axis=int(d > 0)),
    "axis of a mean": lambda s, x, d: x[:2].mean(axis=int(d > 0)),
    "axis of a running sum": lambda s, x, d: x.cumsum(axis=int(d > 0)),
    "axis of a product": lambda s, x, d: x[:2].prod(axis=int(d > 0)),
    "axis of a sort": lambda s, x, d: pv.sort(x[:2], axis=int(d > 0)),
    "axis of extremes": lambda s, x, d: x[:2].max(axis=int(d > 0)),
    "direction of a sort": lambda s, x, d: pv.sort(x, descending=d > 0),
    "order of axes": lambda s, x, d: np.stack([x[:2], x[2:]]).transpose(0, *((2, 1) if d else (1, 2))),
    "exchanged axes": lambda s, x, d: np.swapaxes(np.stack([x[:2], x[2:]]), 0, 1 + int(d > 0)),
    "subscripts": lambda s, x, d: np.einsum("ij,jk->ki" if d else "ij,jk->ik", x[:2], x[2:]),
    "subscripts of one": lambda s, x, d: np.einsum("ij->j" if d else "ij->i", x[:2]),
    "axes of a product": lambda s, x, d: np.tensordot(x[:2], x[2:], axes=((1,), (int(d > 0),))),
    "margin": lambda s, x, d: np.pad(x, ((int(d > 0), 1 - int(d > 0)), (0, 0))),
    "triangle": lambda s, x, d: np.tril(x, k=int(d > 0)),
    "secret draws": lambda s, x, d: x[:, 0] + pv.random.uniform(s, 0.0, 0.75 + d, (4,)),
    "coins": lambda s, x, d: (pv.random.bernoulli(s, 0.3 + d, (4,))).numeric(),
}


@pytest.mark.parametrize("odd", ["compute_0", "compute_1", "compute_2"])
def test_the_line_and_the_party_are_named(odd: str) -> None:
    def body(s: Session, x: pv.SecureArray, d: float) -> Any:
        y = x * 3.0
        y = y * (1.25 + d)  # the line
        return y + 1.0

    lines, first = inspect.getsourcelines(body)
    at = first + next(i for i, text in enumerate(lines) if "# the line" in text)
    others = " and ".join(f"compute_{k}" for k in range(3) if f"compute_{k}" != odd)
    with pytest.raises(NumbersDiffer, match=rf"first at test_public_numbers\.py:{at}: {odd} has others than {others}"):
        run(body, odd)


@pytest.mark.parametrize("name", CHANGES)
def test_one_unit_at_one_party_is_found(name: str) -> None:
    run(CHANGES[name], None)
    with pytest.raises(NumbersDiffer, match="compute_1 has others than compute_0 and compute_2"):
        run(CHANGES[name], "compute_1")


@pytest.mark.parametrize("guarded", [False, True])
def test_nothing_is_opened_after_a_difference(guarded: bool) -> None:
    """Neither the value nor the flag of a guard, and nothing later."""
    entries: list[Any] = []

    def program(s: Session) -> Any:
        if not s.computes:
            return s.reveal(s.secret("x", "bank"), to="all", name="x", reason="test")
        x = s.secret("x", "bank") * (2.5 + (ULP if s.me == "compute_2" else 0.0))
        if guarded:
            x = x.assume_bound(21.0)
        for _ in range(2):
            with pytest.raises(NumbersDiffer):
                s.reveal(x, to="all", name="x", reason="test")
        with pytest.raises(NumbersDiffer):
            s.check_guards() if guarded else s.secret("x", "bank")
        entries.extend(s.opened if guarded else [])
        raise RuntimeError("as far as it should come")

    with pytest.raises((RuntimeError, NumbersDiffer)):
        pv.simulate(program, inputs={"compute_0": {}, "bank": {"x": pv.Input(X, 8.0)}}, timeout_s=20.0)
    assert entries == []


def test_three_that_all_differ() -> None:
    def program(s: Session) -> Any:
        y = s.secret("x", "compute_0") * (1.5 + ULP * s.compute.index(s.me))
        return s.reveal(y, to="all", name="y", reason="test")

    with pytest.raises(NumbersDiffer, match="compute_0, compute_1, compute_2 have all different ones"):
        pv.simulate(program, inputs={"compute_0": {"x": X}})


def test_what_an_outside_party_computes_does_not_matter() -> None:
    assert run(CHANGES["factor"], "bank").output == pytest.approx(X * 1.25, abs=1e-5)


def test_a_comparison_costs_one_round_or_rides_with_guards() -> None:
    def program(operand: Any, guarded: bool) -> Callable[[Session], Any]:
        def fn(s: Session) -> Any:
            x = s.secret("x", "bank")
            x = x if operand is None else x + operand
            x = x.assume_bound(100.0) if guarded else x
            s.reveal(x, to="all", name="x", reason="test")
            return s.reveal(x, to="all", name="again", reason="test")

        return fn

    def spent(operand: Any, guarded: bool) -> tuple[int, int]:
        fn = program(operand, guarded)
        done = pv.simulate(fn, inputs={"bank": {"x": X}})
        planned = plan(fn, inputs={"bank": {"x": X}})
        assert (planned.rounds, planned.payload_sent) == (done.rounds, done.payload_sent)
        return done.rounds, done.payload_sent["compute_0"]

    none, one, guarded = spent(None, False), spent(0.5, False), spent(0.5, True)
    assert (one[0] - none[0], one[1] - none[1]) == (1, 64)
    assert guarded[0] - none[0] == spent(None, True)[0] - none[0], (
        "a guard's bound is compared in the rounds of its flag"
    )


def test_where_sizes_depend_on_numbers_the_line_is_named_too() -> None:
    """2 takes no fraction bits, 2 and a unit do: messages do not fit each other, before anything is compared."""

    def body(s: Session, x: pv.SecureArray, d: float) -> Any:
        return (x * (2.0 + d)) * (x + 1.0)

    at = inspect.getsourcelines(body)[1] + 1
    with pytest.raises(
        WireError, match=rf"from compute_.* differ between compute_.*test_public_numbers\.py:{at}.*s\.agree"
    ):
        run(body, "compute_1")


def test_many_numbers_take_little_memory() -> None:
    numbers, lines = PublicNumbers(lambda: ("program.py", 3)), set()
    for k in range(20_000):
        numbers.array(b"add", np.uint64(k))
        numbers.made((), 18, 1.0)
    assert sum(map(len, numbers._entries.values())) <= 4200
    lines = {line for line, _ in numbers.lines()}
    assert lines == {"program.py:3"}


def test_arrays_without_public_numbers_take_little_memory() -> None:
    numbers = PublicNumbers(lambda: ("program.py", 3))
    for _ in range(20_000):
        numbers.made((), 18, 1.0)
    assert len(numbers._pending) + sum(map(len, numbers._entries.values())) <= 4200


def test_more_lines_than_are_kept_apart() -> None:
    def counted() -> PublicNumbers:
        count = iter(range(1, 7000))
        return PublicNumbers(lambda: ("program.py", next(count)))

    one, other = counted(), counted()
    for k in range(6000):
        for numbers in (one, other):
            numbers.array(b"add", np.uint64(k + (numbers is other and k == 5999)))
            numbers.made((), 0, 1.0)
    assert len(one.lines()) == MOST_LINES + 1 and one.digest() != other.digest()
    assert first_difference({"a": one.lines(), "b": other.lines(), "c": one.lines()}) == ("later lines", ("b",))


def test_numbers_are_told_apart_by_operation_shape_and_order() -> None:
    def digest(*met: tuple[bytes, Any]) -> bytes:
        numbers = PublicNumbers(lambda: ("p", 1))
        for operation, values in met:
            numbers.array(operation, values)
        return numbers.digest()

    a, b = np.arange(4, dtype=np.uint64), np.arange(4, dtype=np.uint64)[::-1].copy()
    kinds = [
        digest((b"add", a)),
        digest((b"mul", a)),
        digest((b"add", a.reshape(2, 2))),
        digest((b"add", a), (b"add", b)),
        digest((b"add", b), (b"add", a)),
        digest(),
        digest((b"add", a[:3])),
    ]
    assert len(set(kinds)) == len(kinds)


# -- agree -----------------------------------------------------------------------------------------------------------


def agreed(value: Callable[[Session], Any], **options: Any) -> dict[str, Any]:
    return pv.simulate(lambda s: s.agree(value(s), **options), inputs={"bank": {"x": X}}, timeout_s=20.0).outputs


def test_agree_gives_the_first_compute_partys_numbers_to_all() -> None:
    given = agreed(lambda s: np.exp(np.linspace(0, 3, 5)) * (1 + s.parties.index(s.me) * 2.0**-45))
    for value in given.values():
        np.testing.assert_array_equal(value, np.exp(np.linspace(0, 3, 5)))


@pytest.mark.parametrize(
    "value",
    [
        1.5,
        3,
        True,
        np.float32(0.1),
        np.arange(3),
        np.ones((2, 0, 3)),
        np.float64(2),
        [1.0, 2.0],
        np.zeros(40_000),
        np.array(4.0),
    ],
    ids=str,
)
def test_agree_keeps_kind_and_shape(value: Any) -> None:
    for got in agreed(lambda s: value).values():
        assert np.asarray(got).dtype == np.asarray(value).dtype
        if type(value) in (int, float, bool):
            assert type(got) is type(value)
        np.testing.assert_array_equal(got, value)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (lambda odd: 1.0 + odd * 1e-9, "further apart than the tolerance"),
        (lambda odd: np.full(2 + odd, 1.0), r"shape \(3,\), compute_0 sent 'f' of shape \(2,\)"),
        (lambda odd: 1 if odd else 1.0, "kind 'i'"),
        (lambda odd: 3 + odd, "further apart than the tolerance 0"),
        (lambda odd: np.array([0.0, 1e-9 * odd]), "first at index"),
    ],
)
@pytest.mark.parametrize("odd", ["compute_2", "bank"])
def test_agree_refuses_what_is_not_close(value: Callable[[bool], Any], message: str, odd: str) -> None:
    with pytest.raises(NumbersDiffer, match=message):
        agreed(lambda s: value(s.me == odd))


def test_agree_by_tolerance() -> None:
    agreed(lambda s: 1.0 + (s.me == "compute_1") * 1e-9, tolerance=1e-8)
    agreed(lambda s: np.float32(1.0) + np.float32((s.me == "compute_1") * 2.0**-20))
    with pytest.raises(NumbersDiffer):
        agreed(lambda s: np.float32(1.0) + np.float32((s.me == "compute_1") * 2.0**-17))
    with pytest.raises(UsageError, match="tolerance from 0 to 1"):
        agreed(lambda s: 1.0, tolerance=2.0)


@pytest.mark.parametrize("value", [np.inf, np.array([1.0, np.nan]), "text", 1j, None])
def test_agree_refuses_what_is_no_number(value: Any) -> None:
    with pytest.raises(UsageError, match="agree takes"):
        agreed(lambda s: value)


def test_agree_does_not_take_secrets() -> None:
    with pytest.raises(UsageError):
        pv.simulate(lambda s: s.agree(s.secret("x", "bank")), inputs={"bank": {"x": X}})
    with pytest.raises(UsageError, match=r"opened to compute_0 (only|but not to all)"):
        pv.simulate(
            lambda s: s.agree(s.reveal(s.secret("x", "bank"), to="compute_0", name="x", reason="")),
            inputs={"bank": {"x": X}},
        )


@pytest.mark.parametrize("tolerance", [1e18, float("nan"), -1.0])
def test_no_tolerance_lets_whole_numbers_be_anything(tolerance: float) -> None:
    with pytest.raises(UsageError, match="tolerance from 0 to 1"):
        agreed(lambda s: 17 if s.me == "compute_0" else 3, tolerance=tolerance)


def test_agree_carries_nothing_that_was_opened_to_its_first_party_alone() -> None:
    def program(s: Session, to: Any, mine: str) -> Any:
        value = s.reveal(s.secret("x", "bank").sum(), to=to, name="x", reason="")
        return s.agree(float(value) * 1e-6 if s.me == mine else 0.0, tolerance=0.9)

    for to in ("compute_0", ["compute_0", "compute_1", "compute_2"]):
        with pytest.raises(UsageError, match="agree sends the numbers of compute_0 to all"):
            pv.simulate(lambda s, to=to: program(s, to, "compute_0"), inputs={"bank": {"x": X}})
    assert set(pv.simulate(lambda s: program(s, "all", "nobody"), inputs={"bank": {"x": X}}).outputs.values()) == {0.0}
    assert set(pv.simulate(lambda s: program(s, "bank", "bank"), inputs={"bank": {"x": X}}).outputs.values()) == {0.0}


def test_a_plan_takes_its_own_numbers() -> None:
    one, other = (lambda s: s.secret("x", "bank") * s.agree(1.5)), (lambda s: s.secret("x", "bank") * 1.5)
    given = {"inputs": {"bank": {"x": (3,)}}}
    assert plan(one, **given).rounds == plan(other, **given).rounds
