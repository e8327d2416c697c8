"""A trace accounts for every round and byte, line by line, and its page loads nothing."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import privity as pv
from privity.debug.flame import Node, page
from privity.errors import UsageError
from privity.session import Session

X = np.arange(12.0).reshape(4, 3)


def here(marker: str) -> str:
    lines = Path(__file__).read_text("utf-8").splitlines()
    return f"{Path(__file__).name}:{next(i for i, t in enumerate(lines, 1) if t.rstrip().endswith(f'# {marker}'))}"


def helper(x: Any) -> Any:
    return pv.sigmoid_series(x)  # sigmoid


def program(s: Session) -> Any:
    x = s.secret("x", "bank")  # input
    for _ in range(3):
        y = helper(x)
    z = x @ x.T > 4  # two functions
    return s.reveal(z.sum() + y.sum(), to="all", name="y", reason="test")  # opening


def traced() -> pv.Simulation:
    return pv.simulate(program, inputs={"bank": {"x": pv.Input(X, 16.0)}}, trace=True)


def test_every_round_and_byte_is_attributed() -> None:
    done = traced()
    assert set(done.traces) == {*done.compute, "bank"}
    for name in done.compute:
        trace = done.traces[name]
        assert trace.rounds == done.rounds
        assert trace.bytes_sent == done.bytes_sent[name]
        assert 0 < sum(line.seconds for line in trace.lines()) <= trace.seconds


def test_lines_are_the_users_own() -> None:
    lines = {(x.line, x.function): x for x in traced().traces["compute_0"].lines()}
    assert lines[(here("sigmoid"), "sigmoid_series")].calls % 3 == 0
    assert lines[(here("input"), "secret")].rounds == 1
    assert {f for at, f in lines if at == here("two functions")} == {"matmul", "gt"}
    assert (here("opening"), "reveal") in lines
    assert {at for at, _ in lines} == {here(m) for m in ("sigmoid", "input", "two functions", "opening")}


def test_stacks_lead_from_the_program_to_the_operation() -> None:
    stacks = [e.stack for e in traced().traces["compute_0"].entries if e.operation == "series_and_sides"]
    assert len(stacks) == 1
    labels = [label.split()[0] for label in stacks[0]]
    assert labels[:3] == ["program", "helper", "sigmoid_series"] and labels[-1] == "series_and_sides"


def test_table_and_page(tmp_path: Path) -> None:
    trace = traced().traces["compute_1"]
    trace.save(tmp_path)
    table, html = (tmp_path / "trace.txt").read_text("utf-8"), (tmp_path / "trace.html").read_text("utf-8")
    assert table == trace.table() and table.splitlines()[-1].split()[0] == "total"
    assert f"{trace.rounds:,}" in table.splitlines()[-1] and here("sigmoid") in table
    assert not re.search(r"(src|href)\s*=|https?:|@import|url\(", html)
    data = json.loads(re.findall(r'<script type="application/json" id="data">(.*?)</script>', html)[0])
    assert data["r"] == trace.rounds and data["b"] == trace.bytes_sent
    assert data["r"] == sum(child["r"] for child in data["k"])


def test_labels_are_text_never_markup() -> None:
    root = Node("all")
    root.add(["</script><script>alert(1)</script>"], 1, 1, 1, 0.1)
    html = page("<b>", root, "a < b")
    assert "alert(1)</script>" not in html and "<b>" not in html and "a &lt; b" in html


def test_off_by_default_and_says_how_to_turn_it_on() -> None:
    with pytest.raises(UsageError, match="trace=True"):
        pv.simulate(lambda s: s.trace(), inputs={"bank": {"x": X}})


def test_results_and_costs_stay_the_same() -> None:
    plain = pv.simulate(program, inputs={"bank": {"x": pv.Input(X, 16.0)}})
    done = traced()
    assert (plain.rounds, plain.bytes_sent, plain.payload_sent) == (done.rounds, done.bytes_sent, done.payload_sent)
    assert plain.output == pytest.approx(done.output, abs=1e-3)


def test_a_program_can_read_its_own_trace() -> None:
    def early(s: Session) -> int:
        program(s)
        return s.trace().rounds

    done = pv.simulate(early, inputs={"bank": {"x": pv.Input(X, 16.0)}}, trace=True)
    assert done.output == done.rounds
