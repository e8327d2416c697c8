"""check_range names the line and the magnitude; real sessions cannot reach it."""

from __future__ import annotations

import ast
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.syntax import nodes

import privity as pv
from privity.errors import NumbersDiffer, RangeViolated
from privity.ml.linear import LogisticRegression
from privity.mpc.plain import InsecurePlain
from privity.session import Session

PACKAGE = Path(pv.__file__).parent
X = np.array([[0.5, -7.25], [3.0, 1.0]])
PROTOCOLS = [(pv.Rep3, 3), (partial(pv.Rep3, exact=True), 3), (InsecurePlain, 1)]


def here(marker: str) -> int:
    """The line of this file that holds ``marker``."""
    lines = Path(__file__).read_text("utf-8").splitlines()
    return next(i for i, line in enumerate(lines, 1) if line.rstrip().endswith(f"# {marker}"))


def overstated(s: Session) -> Any:
    x = s.secret("x", "bank") * 2
    y = x.assume_bound(3.0)  # where the range is left
    return s.reveal(y * y, to="all", name="y", reason="test")


@pytest.mark.parametrize(("protocol", "parties"), PROTOCOLS)
def test_names_line_magnitude_index_and_bound(protocol: Any, parties: int) -> None:
    with pytest.raises(RangeViolated) as caught:
        pv.simulate(
            overstated, protocol=protocol, parties=parties, inputs={"bank": {"x": pv.Input(X, 8.0)}}, check_range=True
        )
    text = str(caught.value)
    assert f"test_ranges.py:{here('where the range is left')}:" in text
    assert "14.5" in text and "[0, 1]" in text and "bound 3" in text and "assume_bound" in text


@pytest.mark.parametrize(("protocol", "parties"), PROTOCOLS)
def test_a_program_within_its_bounds_passes_and_is_summed_up(protocol: Any, parties: int) -> None:
    def program(s: Session) -> Any:
        x = s.secret("x", "bank")
        big = x * 1000  # the tightest line
        parts = [pv.sigmoid(x), pv.reciprocal(x), pv.rsqrt(abs(x)), pv.clip(x, -1, 1), pv.where(x > 0, x, 0), x @ x]
        total = sum((p.sum() for p in parts), start=big.sum() + (x == 3).sum())
        return s.reveal(total, to="all", name="t", reason="test")

    done = pv.simulate(
        program, protocol=protocol, parties=parties, inputs={"bank": {"x": pv.Input(X, 8.0)}}, check_range=True
    )
    tightest = done.ranges[0]
    assert all(a.spare_bits <= b.spare_bits for a, b in zip(done.ranges, done.ranges[1:], strict=False))
    assert all(r.largest <= r.bound * 1.001 for r in done.ranges)
    line = next(r for r in done.ranges if r.line.endswith(f":{here('the tightest line')}"))
    assert line.largest == pytest.approx(7250.0, rel=1e-4) and tightest.spare_bits <= line.spare_bits
    assert 62 - 18 - np.log2(line.largest) == pytest.approx(line.spare_bits)


def test_a_diverging_model_is_found_before_its_numbers_are_wrong() -> None:
    x = np.random.default_rng(1).normal(size=(64, 2))

    def program(s: Session) -> Any:
        model = LogisticRegression(learning_rate=400.0, epochs=3, batch_size=8, coefficient_bound=32.0)
        return model.fit(s.secret("x", "bank"), s.secret("y", "bank"))  # fit

    inputs = {"bank": {"x": pv.Input(x, 8.0), "y": (x[:, 0] > 0).astype(int)}}
    with pytest.raises(RangeViolated, match=rf"test_ranges\.py:{here('fit')}: a value reached .* bound 32 "):
        pv.simulate(program, inputs=inputs, check_range=True)


def test_an_array_that_only_one_party_makes_is_found() -> None:
    def program(s: Session) -> Any:
        if s.me == s.compute[1]:
            s.constant(np.ones(3))
        return s.reveal(s.secret("x", "bank") + 1, to="all", name="x", reason="test")

    with pytest.raises(NumbersDiffer, match="compute_1 has others"):
        pv.simulate(program, inputs={"bank": {"x": X}}, check_range=True)


def test_off_by_default() -> None:
    seen: list[Any] = []

    def program(s: Session) -> None:
        seen.append(s._context.observer)
        (s.secret("x", "bank") * 2)._stated(3.0)

    done = pv.simulate(program, inputs={"bank": {"x": X}})
    assert seen == [None] * 4 and done.ranges == []


def reachable(start: str) -> set[str]:
    """Modules of the package that ``start`` imports, directly or through others; package __init__ files aside."""
    found: set[str] = set()
    todo = [start]
    while todo:
        name = todo.pop()
        path = PACKAGE / Path(*name.split("."))
        path = path.with_suffix(".py") if path.with_suffix(".py").exists() else path / "__init__.py"
        if name in found or not path.exists():
            continue
        found.add(name)
        package = name.split(".")[:-1] if path.name != "__init__.py" else name.split(".")
        for node in nodes(path):
            if isinstance(node, ast.ImportFrom) and node.level:
                base = package[: len(package) - node.level + 1]
                base += node.module.split(".") if node.module else []
                todo += [".".join(base)] if base else []
                todo += [".".join([*base, alias.name]) for alias in node.names]
    return found


def test_jobs_cannot_reach_the_check() -> None:
    jobs = [f"jobs.{p.stem}" for p in (PACKAGE / "jobs").glob("*.py") if p.stem != "__init__"]
    modules = set().union(*map(reachable, jobs))
    assert {"session", "array", "mpc.rep3", "debug.trace"} <= modules
    assert not {"debug.ranges", "simulate"} & modules
