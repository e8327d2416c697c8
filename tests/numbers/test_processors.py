"""Hosts with other processors: the same public numbers everywhere, right results, and a loud end where they are not."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import io
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from privity.data.load import table_info
from privity.data.tables import read_table
from privity.demo import banks, banks_data, banks_program, hospitals, hospitals_data, hospitals_program, support2
from privity.demo.running import run_parties
from privity.jobs import local
from privity.jobs.founding import init_consortium
from privity.jobs.launch import party_arguments
from privity.jobs.local import PartyFailed, run_local
from privity.jobs.run import PartyReport

_FOUND = importlib.util.spec_from_file_location("other_processor", Path(__file__).parent / "other_processor.py")
assert _FOUND is not None and _FOUND.loader is not None
other_processor: Any = importlib.util.module_from_spec(_FOUND)
_FOUND.loader.exec_module(other_processor)

COMPUTE = ("compute_0", "compute_1", "compute_2")
ODD = "compute_1"
# What a party process runs instead of ``-m privity``: the same with other kernels.
START = (
    "import runpy, other_processor; other_processor.choose_kernels(); runpy.run_module('privity', run_name='__main__')"
)


def lines_of(script: str, other: bool) -> list[str]:
    done = subprocess.run(
        [sys.executable, str(other_processor.HERE / script)],
        capture_output=True,
        text=True,
        check=False,
        timeout=900,
        env=other_processor.environment(other),
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_every_estimator_step_statistic_and_function_meets_the_same_numbers() -> None:
    here, there = (lines_of("fingerprints.py", other) for other in (False, True))
    assert len(here) > 90 and not [line for line in here if line.startswith("failed")]
    assert here == there


@pytest.fixture
def one_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Processes of one compute party run as on another processor."""
    start = subprocess.Popen

    def starting(command: list[str], **options: Any) -> Any:
        if "party" in command and command[command.index("--party") + 1] == ODD:
            at = command.index("-m")
            command = [*command[:at], "-c", START, *command[at + 2 :]]
            options["env"] = other_processor.environment(True) | {"PYTHONUNBUFFERED": "1"}
        return start(command, **options)

    monkeypatch.setattr(local.subprocess, "Popen", starting)


Run = Callable[[str], dict[str, PartyReport]]


@pytest.fixture
def run(one_elsewhere: None, tmp_path: Path) -> Iterator[Run]:
    """A program's body run by three compute parties, each a process; the second one elsewhere."""

    def running(body: str) -> dict[str, PartyReport]:
        program = tmp_path / "program.py"
        program.write_text("import numpy as np\n\n\ndef program(s):\n" + textwrap.indent(textwrap.dedent(body), "    "))
        job = tmp_path / "job.toml"
        job.write_text(
            'name = "numbers"\n\n[[openings]]\nname = "y"\nshape = []\nto = "all"\n\n[arrays.x]\nbound = 4.0\n'
        )
        consortium = init_consortium(tmp_path / "consortium", COMPUTE, ["compute_0"], overwrite=True, days=2)
        np.save(tmp_path / "x.npy", np.arange(4.0))
        arguments = party_arguments(
            program, consortium.path, job, None, 60.0, 60.0, arrays={"compute_0": {"x": tmp_path / "x.npy"}}
        )
        return run_local(consortium, COMPUTE, arguments)

    yield running


# The last digits of np.exp, made large.
DIGITS = "f = float(((np.exp(np.linspace(-3.0, 3.0, 100001)) * 2.0**46) % 1.0).sum()) / 1024\n"


def differs() -> bool:
    code = "import numpy as np\n" + DIGITS + "print(f.hex())"
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env=other_processor.environment(other),
        ).stdout
        for other in (False, True)
    }
    return len(found) > 1


@pytest.mark.skipif(not differs(), reason="NumPy's exp has the same digits with and without this processor's features")
def test_numbers_that_were_not_agreed_end_the_run(run: Run) -> None:
    with pytest.raises(PartyFailed) as failed:
        run(DIGITS + "y = s.secret('x', 'compute_0') * f\nreturn s.reveal(y.sum(), to='all', name='y', reason='test')")
    assert re.search(r"first at program\.py:\d+: compute_1 has others than compute_0 and compute_2", str(failed.value))
    assert "s.agree" in str(failed.value)


def test_agreed_numbers_are_right(run: Run) -> None:
    reports = run(
        DIGITS + "f = s.agree(f, tolerance=0.01)\ny = s.secret('x', 'compute_0') * f\n"
        "return {'f': f, 'y': s.reveal(y.sum(), to='all', name='y', reason='test')}"
    )
    assert reports[ODD].kernels in ("pure", "native baseline")
    first = reports["compute_0"].output
    assert all(report.output == first for report in reports.values())
    assert first["y"] == pytest.approx(6 * first["f"], abs=1e-3)


# -- the demos on a part of their data ---------------------------------------------------------------------------------


def wanted(package: str) -> None:
    try:
        importlib.metadata.distribution(package)
    except importlib.metadata.PackageNotFoundError:
        pytest.skip(f"the demo's data package {package} is not installed")


def key(line: str) -> str:
    """The patient's number at the head of a row, in one spelling."""
    return line.split(",")[0].strip().lower().lstrip("0")


def part(path: Path, rows: int | set[str], into: Path) -> Path:
    """The first rows of a CSV file, or those with a key in a set."""
    head, *body = path.read_text().splitlines()
    kept = body[:rows] if isinstance(rows, int) else [line for line in body if key(line) in rows]
    into.write_text("\n".join([head, *kept]) + "\n")
    return into


@pytest.mark.soak  # the other demo is not
def test_the_banks_demo(one_elsewhere: None, tmp_path: Path) -> None:
    """A few rows of each bank: the opened accuracy is that of the opened coefficients in the clear."""
    wanted(banks_data.PACKAGE)
    files = banks_data.prepare_banks(tmp_path / "data")
    tables = {b: {files.schema.name: part(p, 300, tmp_path / f"{b}.csv")} for b, p in files.banks.items()}
    ran = run_parties(
        tmp_path,
        Console(file=io.StringIO()),
        "banks",
        banks_program,
        banks.job_text(files.schema),
        tables,
        record_view=False,
        timeout_s=120.0,
    )
    found = ran.reports["bank_a"].output
    coef = np.array(found["coefficients"])
    rows = [read_table(t[files.schema.name], files.schema, b) for b, t in tables.items()]
    features = [c.name for c in files.schema.features]
    units = np.array([f.unit for f in table_info(files.schema).fields])
    x = np.vstack([r.values[:, [r.names.index(n) for n in features]] for r in rows]) / units
    label = np.concatenate([r.column(files.schema.label.name) for r in rows])
    right = np.mean(((x @ coef[:-1] + coef[-1]) > 0) == (label > 0.5))
    assert found["accuracy"] == pytest.approx(right, abs=0.02)


def test_the_hospitals_demo(one_elsewhere: None, tmp_path: Path) -> None:
    """Enough patients of each kind for a finite fit: they are linked, and empty cells get the mean of the others."""
    wanted(support2.PACKAGE)
    files = hospitals_data.prepare_hospitals(tmp_path / "data")
    ids = [{key(line) for line in p.read_text().splitlines()[1:]} for p in files.tables.values()]
    common = set(sorted(set.intersection(*ids))[:1500])
    tables = {
        h: {t: part(files.tables[h], common, tmp_path / f"{h}.csv")}
        for h, t in zip(hospitals_data.HOSPITALS, hospitals_data.TABLES, strict=True)
    }
    ran = run_parties(
        tmp_path,
        Console(file=io.StringIO()),
        "hospitals",
        hospitals_program,
        hospitals.job_text(files.schemas),
        tables,
        record_view=False,
        timeout_s=120.0,
    )
    found = ran.reports["hospital_1"].output
    assert found["linked_rows"] == len(common)
    assert 0.6 < found["auc"] <= 1 and 0 <= found["brier"] < 0.3 and 0.5 < found["accuracy"] <= 1
