"""A plan's rounds and payload are those of the run; what cannot be planned names the line."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import privity as pv
from privity.debug.plan import REST, Plan, plan
from privity.demo import banks_program
from privity.errors import OpeningRefused, OverflowPlanned, UsageError
from privity.inputs import Declared, Input
from privity.ml.linear import LogisticRegression
from privity.ml.metrics import accuracy_score
from privity.session import Session
from privity.table import Field, TableInfo, numbers, table_inputs, table_shapes

RNG = np.random.default_rng(5)
X, Y = RNG.normal(size=(70, 3)), (RNG.random(70) < 0.4).astype(np.int64)
INPUTS: dict[str, dict[str, Any]] = {
    "bank": {"x": pv.Input(X, 8.0), "y": pv.Input(Y, 1.0), "b": Y == 1},
    "compute_1": {"z": pv.Input(X * 2, 16.0)},
}


def regression(s: Session) -> Any:
    x, y = s.secret("x", "bank"), s.secret("y", "bank")
    with s.stage("training"):
        model = LogisticRegression(epochs=2, batch_size=16, on_epoch=lambda n, loss: loss_text(s, loss)).fit(x, y)
    with s.stage("metrics"):
        right = accuracy_score(y, model.predict(x))
    return [s.reveal(v, to=["bank", "compute_2"], name=n, reason="test") for n, v in (("w", model.coef_), ("a", right))]


def loss_text(s: Session, loss: pv.SecureArray) -> str:
    return f"loss {s.reveal(loss, to='all', name='loss', reason='progress'):.4f}"


def functions(s: Session) -> Any:
    x, z, b = s.secret("x", "bank"), s.secret("z", "compute_1"), s.secret("b", "bank")
    with s.stage("outer"):
        with s.stage("inner"):
            a = pv.where(x > z, x, z) + pv.reciprocal(abs(x) + 1) + pv.rsqrt(x * x + 1) * b.reshape((-1, 1))
        c = np.floor(a) * 0.5 + np.clip(z, -1, 1) + (x == 0) + (x @ (x.T @ z))
    total = c.mean(0).assume_bound(1e4)
    return s.reveal(total, to="doctor", name="total", reason="test")


def subjects(s: Session) -> Any:
    x, y = s.secret("x", "bank"), s.secret("y", "bank")
    with s.stage("real"):
        r = np.exp(x) + np.log(abs(x) + 1) / (abs(x) + 2) + np.sqrt(abs(x)) + np.tanh(x) * np.sin(x) + x**3
        r = r + pv.softmax(x) + pv.gelu(x) + pv.erf(x) + pv.softplus(x)
    with s.stage("order"):
        o = np.sort(r, axis=0) + np.max(x, axis=0) + np.median(x, axis=0) + np.argmin(x, axis=0) + np.sign(x)
    with s.stage("tables"):
        t = np.histogram(x, [-8.0, 0.0, 8.0])[0].sum() + np.isin(y, [1]).sum() + np.cumsum(y)[-1]
        t = t + pv.one_hot(y, 2).sum() + pv.unique_count(y)
    with s.stage("linear"):
        a = np.cov(x, rowvar=False) + np.eye(3)
        c = np.linalg.cholesky(a).sum() + np.linalg.solve(a, np.ones(3)).sum() + np.linalg.norm(x)
        c = c + pv.conv1d(x[:, :2].T[None], x[:6].reshape((3, 2, 3))).sum()
    return s.reveal(o.sum() + t + c, to=["bank", "doctor"], name="all", reason="test")


def nothing(s: Session) -> Any:
    return None


PROGRAMS: list[Callable[[Session], Any]] = [regression, functions, subjects, nothing]


def same(planned: Plan, done: pv.Simulation) -> None:
    assert planned.rounds == done.rounds
    assert planned.payload_sent == done.payload_sent
    for name, wire in planned.wire_sent.items():
        assert wire == pytest.approx(done.bytes_sent[name], rel=0.15, abs=600)
    for name, dealt in planned.dealt.items():
        assert dealt <= done.bytes_sent[name] <= dealt + 2000


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("exact", [False, True])
def test_rounds_and_payload_are_those_of_the_run(program: Callable[[Session], Any], exact: bool) -> None:
    given: dict[str, Any] = {"inputs": INPUTS, "receivers": ["doctor"], "protocol": pv.Rep3(exact=exact)}
    planned, done = plan(program, **given), pv.simulate(program, **given)
    same(planned, done)
    assert planned.openings == done.opened


BANKS = TableInfo("credit", numbers("abc", (1.0, 2.0, 4.0)), Field("default", "binary"))


@pytest.mark.parametrize("capacity", [None, 900])
def test_the_banks_program(capacity: int | None) -> None:
    info = dataclasses.replace(BANKS, capacity=capacity)
    rows = {"bank_a": 700, "bank_b": 850}
    data = {
        o: table_inputs(info, RNG.uniform(-1, 1, (n, 3)), RNG.integers(0, 2, n).astype(float)) for o, n in rows.items()
    }
    planned = plan(
        banks_program.program, inputs={o: table_shapes(info, n) for o, n in rows.items()}, tables={info.name: info}
    )
    same(planned, pv.simulate(banks_program.program, inputs=data, tables={info.name: info}, timeout_s=60))
    stages = ["sharing", "standardising", "training", "metrics", "boosted trees", "opening"]
    assert [s.name for s in planned.stages] == stages


@pytest.mark.parametrize("capacity", [None, 9])
@pytest.mark.parametrize("label", [None, "y"])
def test_shapes_of_a_table_are_those_of_its_inputs(capacity: int | None, label: str | None) -> None:
    mixed = (*numbers("ab", (1.0, 2.0)), Field("c", "category", categories=("x", "y", "z")), Field("d", missing=True))
    info = TableInfo("t", mixed, None if label is None else Field(label, "binary"), capacity, keyed=True)
    target = None if label is None else np.zeros(7)
    inputs = table_inputs(info, np.zeros((7, 4)), target, np.zeros((7, 2), np.uint64))
    assert table_shapes(info, 7) == {name: x.declared(18) for name, x in inputs.items()}


def test_stages_add_up() -> None:
    planned = plan(functions, inputs=INPUTS, receivers=["doctor"])
    stages = {s.name: s for s in planned.stages}
    assert list(stages) == ["inner", "outer", REST]
    assert 0 < stages["inner"].rounds < stages["outer"].rounds
    assert stages["outer"].rounds + stages[REST].rounds == planned.rounds
    assert stages["outer"].seconds + stages[REST].seconds == pytest.approx(planned.seconds)
    assert planned.trace.rounds == planned.rounds
    assert {line.line.split(":")[0] for line in planned.trace.lines()} == {Path(__file__).name}


def test_a_slower_link_takes_longer() -> None:
    def seconds(**link: float) -> float:
        return plan(regression, inputs=INPUTS, **link).seconds  # type: ignore[arg-type]

    assert seconds(rtt_s=0.04) - seconds(rtt_s=0.0) == pytest.approx(plan(regression, inputs=INPUTS).rounds * 0.02)
    assert seconds(bytes_per_s=1e3) > seconds(bytes_per_s=1e6) > seconds(bytes_per_s=1e9)


def test_shapes_suffice_and_memory_follows_them() -> None:
    def program(s: Session) -> None:
        x = s.secret("x", "bank")
        for _ in range(5):
            x = x * 0.5 + 1

    small, large = (plan(program, inputs={"bank": {"x": (n, 10)}}) for n in (1_000, 1_000_000))
    assert large.payload_sent["compute_0"] > 900 * small.payload_sent["compute_0"] > 0
    assert 2 * 160e6 < large.memory_bytes < 1e9  # the old x and the new one, not all five
    assert large.dealt["bank"] == 64 + 16 * 10**7


@pytest.mark.parametrize(
    "given", [(4, 2), [4, 2], Declared((4, 2), 1024.0, 18), Input(np.zeros((4, 2))), np.zeros((4, 2))]
)
def test_inputs_may_be_given_in_many_ways(given: Any) -> None:
    def program(s: Session) -> Any:
        return s.reveal(s.secret("x", "bank"), to="all", name="x", reason="test")

    assert plan(program, inputs={"bank": {"x": given}}).openings[0]["shape"] == [4, 2]


def test_a_program_that_computes_with_what_it_opened_is_named_and_can_be_planned_with_an_assumed_value() -> None:
    def program(s: Session) -> Any:
        steps = s.reveal(s.secret("x", "bank").sum(), to="all", name="steps", reason="test")
        x = s.secret("x", "bank")
        for _ in range(int(steps)):  # needs the value
            x = x * x
        return x.sum()

    inputs = {"bank": {"x": pv.Input(np.full(2, 0.5), 0.5)}}
    line = next(i for i, t in enumerate(Path(__file__).read_text().splitlines(), 1) if t.endswith("# needs the value"))
    with pytest.raises(UsageError, match=rf"test_plan\.py:{line}: cannot be planned.*'steps'.*assume"):
        plan(program, inputs=inputs)
    three, one = (plan(program, inputs=inputs, assume={"steps": n}) for n in (3, 1))
    assert three.rounds > one.rounds
    same(one, pv.simulate(program, inputs=inputs))


def test_a_program_for_which_withheld_values_are_enough_needs_no_assumption() -> None:
    def program(s: Session) -> Any:
        y = s.reveal(s.secret("x", "bank").sum(), to="bank", name="y", reason="test")
        return None if isinstance(y, pv.Withheld) else y + 1

    assert plan(program, inputs={"bank": {"x": (2,)}}).rounds > 0


def test_what_a_run_would_refuse_is_refused() -> None:
    with pytest.raises(OverflowPlanned, match="test_plan"):
        plan(lambda s: s.secret("x", "bank") * 2.0**40 * 2.0**30, inputs={"bank": {"x": (2,)}})
    with pytest.raises(OpeningRefused, match="not on this party's list"):
        plan(functions, inputs=INPUTS, receivers=["doctor"], openings=[])
    with pytest.raises(UsageError, match="Rep3 needs 3"):
        plan(nothing, parties=4)
    with pytest.raises(UsageError, match=r"test_plan\.py:\d+: cannot be planned: ZeroDivisionError"):
        plan(lambda s: 1 // 0)
