"""``privity plan`` and ``privity run --trace``: what a run will cost, and what it did."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import privity as pv

Call = Callable[..., tuple[int, str, str]]
PLAN = "\n[plan.bank_a]\nx = [200, 3]\n"


def plan(call: Call, job: Path, *arguments: Any) -> dict[str, Any]:
    code, out, err = call("plan", job / "program.py", "--json", *arguments)
    assert code == 0, err
    result: dict[str, Any] = json.loads(out)
    return result


def test_sizes_come_from_the_job_and_from_the_command_line(call: Call, sum_job: Path) -> None:
    (sum_job / "program.toml").write_text((sum_job / "program.toml").read_text() + PLAN)
    small = plan(call, sum_job)
    assert small["dealt"] == {"bank_a": 64 + 16 * 600}
    assert plan(call, sum_job, "--rows", "bank_a.x=1000x3")["dealt"] == {"bank_a": 64 + 16 * 3000}
    slower = plan(call, sum_job, "--rtt", "200")["seconds"] - small["seconds"]
    assert slower == pytest.approx(small["rounds"] * 0.0995)
    assert plan(call, sum_job, "--bandwidth", "0.001")["seconds"] > small["seconds"] + 0.5


def test_the_plan_is_what_the_run_costs(call: Call, sum_job: Path) -> None:
    def program(s: Any) -> Any:
        return s.reveal(s.secret("x", "bank_a").sum(), to="all", name="total", reason="the sum")

    done = pv.simulate(program, inputs={"bank_a": {"x": pv.Input(np.ones((200, 3)), 10.0)}})
    planned = plan(call, sum_job, "--rows", "bank_a.x=200x3")
    assert (planned["rounds"], planned["payload_sent"]) == (done.rounds, done.payload_sent)


def test_text_names_stages_parties_and_openings(call: Call, sum_job: Path) -> None:
    code, out, _ = call("plan", sum_job / "program.py", "--rows", "bank_a.x=200x3", "--lines")
    assert code == 0
    words = ["total", "compute_0: ", "bank_a: ", "exact: ", "estimated: ", "MiB", "total () to compute_0", ".py:5"]
    assert all(word in out for word in words)
    assert out.count("seconds") == 1, "the time that planning took tells nothing"


def test_a_table_is_planned_from_its_schema(call: Call, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(
        'def program(s):\n    sums = s.table("t").sums\n'
        '    return s.reveal(sums, to="auditor", name="sums", reason="the sums")\n'
    )
    (tmp_path / "program.toml").write_text(
        'name = "t"\n[[openings]]\nname = "sums"\nto = ["auditor"]\nshape = [1]\n'
        '[tables.t]\ncolumns = [{ name = "a", kind = "number", bound = 4.0 }]\n'
        "[plan.bank_a]\nt = 50\n[plan.bank_b]\nt = 70\n"
    )
    planned = plan(call, tmp_path)
    assert planned["dealt"]["bank_a"] == 64 + 16 * 50 + 64 + 16 * 4  # values, sums
    assert planned["openings"][-1]["to"] == ["auditor"]
    code, _, err = call("plan", tmp_path / "program.py", "--rows", "bank_a.t=5x5")
    assert code == 2 and "number of rows" in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], ["states no sizes", "[plan.OWNER]", "--rows"]),
        (["--rows", "bank_a"], ["OWNER.NAME=ROWS"]),
        (["--rows", "bank_a.x=many"], ["OWNER.NAME=ROWS"]),
        (["--rows", "bank_a.z=5"], ["'z'", "x"]),
        (["--rows", "bank_b.x=5"], ["bank_a declared no input 'x'"]),
        (["--rows", "bank_a.x=5", "--parties", "4"], ["Rep3 needs 3"]),
        (["--rows", "bank_a.x=5", "--assume", "total"], ["NAME=NUMBER"]),
    ],
)
def test_mistakes(call: Call, sum_job: Path, arguments: list[str], words: list[str]) -> None:
    code, out, err = call("plan", sum_job / "program.py", *arguments)
    assert code == 2 and out == ""
    assert all(word in err for word in words), err


def test_a_value_that_only_a_run_knows(call: Call, sum_job: Path) -> None:
    text = (sum_job / "program.py").read_text().replace("    return s.reveal(",
    "    v = s.reveal(") + "    return int(v) + 1\n"
    (sum_job / "program.py").write_text(text)
    code, _, err = call("plan", sum_job / "program.py", "--rows", "bank_a.x=5")
    assert code == 2 and "program.py:7: cannot be planned" in err and "--assume" in err
    assert plan(call, sum_job, "--rows", "bank_a.x=5", "--assume", "total=3")["rounds"] > 0


def test_without_a_job_file(call: Call, sum_job: Path) -> None:
    (sum_job / "program.toml").unlink()
    assert plan(call, sum_job, "--rows", "bank_a.x=5")["openings"][0]["name"] == "total"


def test_run_writes_a_trace_per_party(privity: Any, sum_job: Path) -> None:
    assert privity("consortium", "init", ".", "--owner", "bank_a").code == 0
    consortium = sum_job / "consortium.toml"
    np.save(sum_job / "x.npy", np.ones((4, 2)), allow_pickle=False)
    text = (sum_job / "program.py").read_text().replace('s.secret("x", "bank_a")', "s.constant([1.0, 2.0]) * 2")
    (sum_job / "program.py").write_text(text)
    ended = privity("run", "program.py", "--consortium", consortium, "--trace", "traces", "--json")
    assert ended.code == 0, ended.err
    reports = json.loads(ended.out)
    for party in ("compute_0", "compute_1", "compute_2", "bank_a"):
        table = (sum_job / "traces" / party / "trace.txt").read_text()
        assert "program.py:6" in table and f"{reports[party]['rounds']:,}" in table.splitlines()[-1]
        assert "<html" in (sum_job / "traces" / party / "trace.html").read_text()


def test_the_parties_of_a_consortium_file(call: Call, sum_job: Path) -> None:
    code, _, err = call("consortium", "init", sum_job / "group", "--owner", "bank_a", "--receiver", "doctor",
                        "--compute", "north", "--compute", "east", "--compute", "south")  # fmt: skip
    assert code == 0, err
    file = sum_job / "group" / "consortium.toml"
    planned = plan(call, sum_job, "--consortium", file, "--rows", "bank_a.x=200x3")
    assert list(planned["payload_sent"]) == ["north", "east", "south"]
    assert planned["openings"][0]["to"] == ["north", "east", "south", "bank_a", "doctor"]
    code, _, err = call("plan", sum_job / "program.py", "--consortium", file, "--rows", "bank_b.x=200x3")
    assert code == 2 and "'bank_b', which is no owner of" in err and "its owners: bank_a" in err
