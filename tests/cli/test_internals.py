"""A program that reaches below the public names: refused, or run where the job says so and then shown."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from privity.jobs.consortium import load_consortium
from privity.jobs.job import JobSpec, load_job

BELOW = '''from privity.session import Session


def program(s: Session):
    import half
    x = s.secret("x", "bank_a")
    return s.reveal(half.of(x.sum()), to="all", name="total", reason="half of the sum")
'''

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def site(call: Call, sum_job: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The sum with a module beside it and an import below the public names; the job says nothing of it."""
    monkeypatch.chdir(sum_job)
    assert call("consortium", "init", ".", "--owner", "bank_a")[0] == 0
    np.save(sum_job / "x.npy", np.array([1.5, 2.5]))
    text = (sum_job / "consortium.toml").read_text()
    key = 'key = "certificates/bank_a.key"\n'
    assert key in text
    (sum_job / "consortium.toml").write_text(text.replace(key, key + '[party.arrays]\nx = "x.npy"\n'))
    (sum_job / "program.py").write_text(BELOW)
    (sum_job / "half.py").write_text("def of(x):\n    return x * 0.5\n")
    return sum_job


def say_internals(folder: Path) -> None:
    (folder / "program.toml").write_text("internals = true\n" + (folder / "program.toml").read_text())


@pytest.mark.parametrize("command", [("run", "program.py"), ("plan", "program.py", "--rows", "bank_a.x=2")])
def test_without_a_word_in_the_job_it_is_refused(call: Call, site: Path, command: tuple[str, ...]) -> None:
    code, out, err = call(*command)
    assert (code, out) == (2, "")
    assert "program.py:1: imports privity.session.Session, which is below Privity's public names" in err
    assert "from privity import Session" in err and "internals = true" in err
    assert err.count("\n") == 1


def test_with_it_the_run_goes_on_and_says_so(privity: Callable[..., Any], call: Call, site: Path) -> None:
    before = load_job(site / "program.toml").digest
    say_internals(site)
    assert load_job(site / "program.toml").digest != before  # so that a party with the other file gets no share
    assert call("plan", "program.py", "--rows", "bank_a.x=2")[0] == 0
    ran = privity("run", "program.py", "--out", "out")
    assert ran.code == 0, ran.err
    assert "internals = true" in ran.out
    reports = {p.parent.name: json.loads(p.read_text()) for p in (site / "out").glob("*/report.json")}
    assert len(reports) == 4
    for report in reports.values():
        assert report["output"] == 2.0 and report["internals"] is True
        assert {"python", "numpy", "privity"} <= set(report["packages"])


def test_a_program_of_public_names_says_nothing_of_it(privity: Callable[..., Any], site: Path) -> None:
    (site / "program.py").write_text(BELOW.replace("from privity.session import", "from privity import"))
    ran = privity("run", "program.py", "--json")
    assert ran.code == 0, ran.err
    reports: dict[str, Any] = json.loads(ran.out)
    assert {r["internals"] for r in reports.values()} == {False}
    assert {r["output"] for r in reports.values()} == {2.0}


def test_a_file_in_the_current_folder_stands_in_for_nothing(site: Path, tmp_path: Path) -> None:
    """``python -m privity`` would take msgspec, typer or numpy from where it is started."""
    (site / "typer.py").write_text("raise SystemExit('the wrong typer')\n")
    done = subprocess.run(
        [sys.executable, "-m", "privity", "version"], cwd=site, capture_output=True, text=True, timeout=300,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(os.path.abspath(p) for p in sys.path if p)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_every_field_of_a_job_is_hashed() -> None:
    """A party that reads another value of any field gets no share."""
    plain = JobSpec("a")
    others: dict[str, Any] = {
        "name": "b", "openings": [{"name": "n", "to": "all"}], "tables": {"t": {"columns": []}},
        "arrays": {"x": {"bound": 1.0}}, "parameters": {"p": 1}, "fraction_bits": 16, "seed": 1, "exact": True,
        "protocol": "Rep4",
        "link": {"rtt_ms": 1.0, "bandwidth_mbit": 1.0}, "guards": 1, "minimum_group": 1, "internals": True,
        "most_elements": 1, "plan": {"a": {"x": 1}},
    }  # fmt: skip
    assert set(others) == set(JobSpec.__struct_fields__)
    for field, value in others.items():
        assert msgspec.convert({"name": "a", field: value}, JobSpec).digest != plain.digest, field


def test_founding_says_that_it_is_for_trying_out(call: Call, tmp_path: Path) -> None:
    code, out, _ = call("consortium", "init", tmp_path / "new")
    text = (tmp_path / "new" / "consortium.toml").read_text()
    assert code == 0
    for said in (out, text):
        assert "for trying out" in said and "keys of all parties were made here" in said
        assert "privity consortium key NAME FOLDER" in said
    code, out, _ = call("consortium", "init", tmp_path / "new", "--overwrite")
    assert code == 0 and "for trying out" in out


def test_each_party_makes_its_own_key(call: Call, tmp_path: Path) -> None:
    """Blocks of all parties in one order are everybody's file; each adds the line of its own key."""
    parties = {f"compute_{i}": ["--role", "compute", "--endpoint", f"127.0.0.1:{7000 + i}"] for i in range(3)}
    blocks = []
    for name, options in {**parties, "bank": []}.items():
        code, out, err = call("consortium", "key", name, tmp_path / name, *options)
        assert code == 0 and "key =" not in out and "stays on this host" in err
        assert (tmp_path / name / "certificates" / f"{name}.key").stat().st_mode & 0o777 == 0o600
        blocks.append(out)
    for name in [*parties, "bank"]:
        folder = tmp_path / name
        for other in [*parties, "bank"]:
            certificate = (tmp_path / other / "certificates" / f"{other}.crt").read_bytes()
            (folder / "certificates" / f"{other}.crt").write_bytes(certificate)
        text = "\n".join(blocks)
        line = f'certificate = "certificates/{name}.crt"\n'
        (folder / "consortium.toml").write_text(text.replace(line, f'{line}key = "certificates/{name}.key"\n'))
    groups = [load_consortium(tmp_path / name / "consortium.toml") for name in [*parties, "bank"]]
    assert len({group.hash() for group in groups}) == 1
    for name, group in zip([*parties, "bank"], groups, strict=True):
        assert group.identity(name).name == name
        assert [p.name for p in group.parties if p.key_path is not None] == [name]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a", "--role", "boss"], "--role boss: expected one of compute, owner, receiver"),
        (["A"], "cannot name a party"),
        (["a", "--role", "compute"], "give the address"),
        (["a", "--endpoint", "nowhere"], "nowhere"),
    ],
)
def test_a_key_is_refused_with_what_is_wrong(call: Call, tmp_path: Path, arguments: list[str], message: str) -> None:
    code, out, err = call("consortium", "key", arguments[0], tmp_path, *arguments[1:])
    assert (code, out) == (2, "") and message in err
    assert not list(tmp_path.rglob("*.key"))


def test_a_key_is_not_replaced(call: Call, tmp_path: Path) -> None:
    assert call("consortium", "key", "bank", tmp_path)[0] == 0
    before = (tmp_path / "certificates" / "bank.key").read_bytes()
    code, _, err = call("consortium", "key", "bank", tmp_path)
    assert code == 2 and "exists already" in err
    assert (tmp_path / "certificates" / "bank.key").read_bytes() == before
