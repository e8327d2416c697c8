"""Every command, and every mistake a newcomer makes: one line that says what to do, never a traceback."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from privity.jobs.founding import init_consortium

COMPUTE = ("compute_0", "compute_1", "compute_2")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--help"], ["consortium", "demo", "run", "version"]),
        (["run", "--help"], ["--consortium", "--party", "--out", "--json"]),
        (["consortium", "init", "--help"], ["--compute", "--owner", "--overwrite"]),
        (["demo", "banks", "--help"], ["--json", "--out"]),
    ],
)
def test_help(privity: Any, arguments: list[str], words: list[str]) -> None:
    ended = privity(*arguments)
    assert ended.code == 0
    for word in words:
        assert word in ended.out
    assert " party " not in " ".join(line.strip() for line in ended.out.splitlines() if line.startswith("│ party"))


def test_version(privity: Any) -> None:
    ended = privity("version")
    assert ended.code == 0
    assert ended.out.startswith("privity ")
    assert "kernels: " in ended.out


@pytest.mark.parametrize("arguments", [["--colour"], ["run", "program.py", "--frobnicate"], ["trian"], ["run"]])
def test_unknown_options_and_commands(privity: Any, arguments: list[str]) -> None:
    ended = privity(*arguments)
    assert ended.code == 2
    assert ended.out == ""
    assert "--help" in ended.err


def found(privity: Any, *more: str) -> None:
    options = [word for name in COMPUTE for word in ("--compute", name)]
    ended = privity("consortium", "init", ".", *options, "--owner", "bank_a", *more)
    assert ended.code == 0, ended.err
    assert "wrote consortium.toml with 4 parties" in ended.out


def test_init_and_run_in_relative_folders(privity: Any, sum_job: Path) -> None:
    found(privity)
    again = privity("consortium", "init", ".", "--owner", "bank_a")
    assert again.code == 2
    assert "consortium.toml exists already" in again.err
    assert "--overwrite" in again.err
    found(privity, "--overwrite")
    ended = privity("run", "program.py", "--out", "results")
    assert ended.code == 2
    assert "bank_a declared no input 'x'" in ended.err


def test_separate_processes_with_json_and_reports(
    privity: Any, start: Callable[..., subprocess.Popen[str]], sum_job: Path
) -> None:
    init_consortium(sum_job, COMPUTE, ["bank_a"])
    np.save(sum_job / "x.npy", np.array([1.5, 2.0, -0.25]))
    program = sum_job / "program.py"
    program.write_text(program.read_text().replace("    x =", "    print('hello')\n    x ="))
    options = {name: ["--party", name, "--json", "--out", "results"] for name in (*COMPUTE, "bank_a")}
    options["bank_a"] += ["--array", "x=x.npy"]
    started = {name: start("run", "program.py", *line) for name, line in options.items()}
    for name, process in started.items():
        out, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
        assert json.loads(out)[name]["output"] == 3.25
        report = json.loads((sum_job / "results" / name / "report.json").read_text())
        assert report == json.loads(out)[name]
    assert len(list((sum_job / "results").rglob("*"))) == 2 * 4


MISTAKES: dict[str, tuple[list[str], Callable[[Path], Any], list[str]]] = {
    "no consortium": (
        ["program.py", "-c", "none.toml"],
        lambda folder: None,
        ["cannot read the consortium file none.toml: No such file or directory", "privity consortium init"],
    ),
    "no program": (["none.py"], lambda folder: None, ["cannot read the program none.py: No such file or directory"]),
    "no job": (
        ["program.py"],
        lambda folder: (folder / "program.toml").unlink(),
        ["no job file at program.toml", "--job"],
    ),
    "a typo in the job": (
        ["program.py"],
        lambda folder: (folder / "program.toml").write_text('name = "x"\n[[opnings]]\nname = "y"\nto = "all"\n'),
        ["program.toml: ", "unknown field `opnings`", "did you mean `openings`?"],
    ),
    "a typo in a table": (
        ["program.py"],
        lambda folder: (folder / "program.toml").write_text(
            'name = "x"\n[tables.t]\ncolumns = [{name = "a", kind = "number", bond = 3}]\n'
        ),
        ["table 't' in the job file", "`bond`", "Did you mean `bound`?"],
    ),
    "no TOML": (
        ["program.py"],
        lambda folder: (folder / "program.toml").write_text("name = \n"),
        ["program.toml is not valid TOML", "line 1"],
    ),
    "an opening to an unknown party": (
        ["program.py"],
        lambda folder: (folder / "program.toml").write_text('name = "x"\n[[openings]]\nname = "y"\nto = ["bank_z"]\n'),
        ["opening 'y' goes to bank_z, which the consortium does not have", "compute_0"],
    ),
    "no function program": (
        ["program.py"],
        lambda folder: (folder / "program.py").write_text("def programme(s):\n    pass\n"),
        ["program.py has no function program(session)"],
    ),
    "a function without an argument": (
        ["program.py"],
        lambda folder: (folder / "program.py").write_text("def program():\n    pass\n"),
        ["program.py: program() must take one argument, the session"],
    ),
    "a syntax error": (
        ["program.py"],
        lambda folder: (folder / "program.py").write_text("def program(s:\n"),
        ["program.py cannot be imported", "SyntaxError", "line 1"],
    ),
    "an error at import": (
        ["program.py"],
        lambda folder: (folder / "program.py").write_text("import privity\n\nprivity.nothing()\n"),
        ["program.py:3 cannot be imported", "AttributeError"],
    ),
    "not Python": (
        ["program.toml", "--job", "program.toml"],
        lambda folder: None,
        ["program.toml is not a Python file"],
    ),
    "options of one party without a party": (
        ["program.py", "--table", "t=t.csv"],
        lambda folder: None,
        ["--table and --array", "--party NAME"],
    ),
    "an unknown party": (["program.py", "--party", "bank_z"], lambda folder: None, ["no party 'bank_z'; there are"]),
    "no table name": (
        ["program.py", "--party", "bank_a", "--table", "t.csv"],
        lambda folder: None,
        ["--table 't.csv': expected NAME=FILE"],
    ),
    "a table that the job does not have": (
        ["program.py", "--party", "bank_a", "--table", "t=t.csv"],
        lambda folder: None,
        ["bank_a brings a table 't', but the job describes: none"],
    ),
    "views without a folder": (["program.py", "--record-view"], lambda folder: None, ["--record-view needs --out"]),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_before_the_run(
    call: Callable[..., tuple[int, str, str]], sum_job: Path, monkeypatch: pytest.MonkeyPatch, mistake: str
) -> None:
    arguments, make, words = MISTAKES[mistake]
    monkeypatch.chdir(sum_job)
    code, _, _ = call("consortium", "init", ".", "--owner", "bank_a")
    assert code == 0
    make(sum_job)
    code, out, err = call("run", *arguments)
    assert code == 2
    assert out == ""
    assert err.startswith("privity: ")
    assert err.count("\n") == 1
    for word in words:
        assert word in err


def test_two_compute_parties(
    call: Callable[..., tuple[int, str, str]], sum_job: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(sum_job)
    call("consortium", "init", ".", "--compute", "a", "--compute", "b")
    code, _, err = call("run", "program.py")
    assert code == 2
    assert "needs 3 compute parties, there are 2: a, b" in err


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        ("    return 1 / 0", 2, ["the program failed at program.py:2 (return 1 / 0): ZeroDivisionError"]),
        ("    raise SystemExit(0)", 2, ["the program failed at program.py:2", "SystemExit"]),
        (
            "    s.reveal(s.constant([1.0]), to='all', name='more', reason='curious')",
            1,
            ["the opening 'more' is not on this party's list (listed: total); nothing was sent"],
        ),
    ],
)
def test_mistakes_in_the_program(privity: Any, sum_job: Path, body: str, code: int, words: list[str]) -> None:
    init_consortium(sum_job, COMPUTE, ["bank_a"])
    (sum_job / "program.py").write_text(f"def program(s):\n{body}\n")
    ended = privity("run", "program.py")
    assert ended.code == code, ended.err
    lines = [line for line in ended.err.splitlines() if line.startswith("privity: ")]
    assert len(lines) == 1
    for word in words:
        assert word in lines[0]


def test_poor_surroundings(privity: Any, sum_job: Path) -> None:
    """No home, a narrow terminal, a bare locale, and a file in the folder that is called like a module."""
    (sum_job / "numpy.py").write_text("raise SystemExit('the wrong numpy')\n")
    (sum_job / "program.py").write_text("def program(s):\n    print('hello')\n    return 'x' * 300\n")
    init_consortium(sum_job, COMPUTE, ["bank_a"])
    ended = privity("run", "program.py", COLUMNS="40", HOME="", LC_ALL="C", TERM="dumb")
    assert ended.code == 0, ended.err
    assert max(len(line) for line in ended.out.splitlines()) <= 40
    assert "output at compute_0, compute_1" in " ".join(ended.out.split())
    for name in (*COMPUTE, "bank_a"):
        assert f"{name} | hello\n" in ended.err  # what a program prints is shown, with its party


def test_closed_standard_streams(privity: Any, sum_job: Path) -> None:
    """A caller may close them; no socket of ours may then take their numbers."""
    (sum_job / "program.py").write_text("def program(s):\n    return 1\n")
    init_consortium(sum_job, COMPUTE, ["bank_a"])
    ended = privity("run", "program.py", "--out", "results", closed=True)
    assert (ended.code, ended.out, ended.err) == (0, "", "")
    assert len(list((sum_job / "results").rglob("report.json"))) == 4
