"""What an owner's file may hold: anything else ends every process with one message, and peers hear no cell of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from privity.data.load import load_arrays
from privity.errors import DataError
from privity.jobs.job import ArraySpec
from privity.table import Field, TableInfo, numbers, table_inputs

SECRET = "271.828"

CASES: dict[str, tuple[Callable[[str], str], tuple[str, ...]]] = {
    "missing, extra and misnamed columns": (
        lambda text: "\n".join(f"{line.split(',', 1)[1]},{i}" for i, line in enumerate(text.splitlines())).replace(
            "churn", "chrun", 1
        ),
        (
            "column 'amount' is missing",
            "column '0' is not in the schema",
            "column 'churn' is missing, but there is 'chrun'",
        ),
    ),
    "columns in another order": (
        lambda text: text.replace("amount,visits", "visits,amount", 1),
        ("other order of columns: number 1 should be 'amount', found 'visits'",),
    ),
    "cells that do not fit": (
        lambda text: text + f"about {SECRET},1,x,0\nnan,1,x,0\n1,inf,x,0\n1e6,1,x,0\n1,1,x,2\n",
        (
            f"line 202, column 'amount': expected a finite number, found 'about {SECRET}'",
            "line 203, column 'amount': expected a finite number, found 'nan'",
            "line 204, column 'visits': expected a whole number, found 'inf'",
            "line 205, column 'amount': expected a magnitude of at most 1000",
            "line 206, column 'churn': expected 0 or 1, found '2'",
        ),
    ),
    "an empty file": (lambda text: "", ("the file is empty; expected a header line",)),
}


# the reader's own tests have the others in memory
@pytest.mark.parametrize(
    "case", [c if c == "cells that do not fit" else pytest.param(c, marks=pytest.mark.soak) for c in CASES]
)
def test_a_bad_table(site: Any, case: str) -> None:
    spoil, words = CASES[case]
    file = site.folder / "bank_a.csv"
    file.write_text(spoil(file.read_text()))
    message = site.assert_failed(site.run("--out", site.folder / "out"), 1, "bank_a", str(file), *words)
    assert not (site.folder / "out").exists()
    assert "compute_0" not in message


def test_a_missing_file(site: Any) -> None:
    (site.folder / "bank_a.csv").unlink()
    site.assert_failed(site.run(), 1, "bank_a: table 'rows'", "bank_a.csv", "does not exist")


def test_peers_hear_no_cell(site: Any) -> None:
    """Each party as on a host of its own: the owner reads which cell it is, the others only that there is one."""
    file = site.folder / "bank_a.csv"
    file.write_text(file.read_text() + f"about {SECRET},1,x,0\n")
    parties = {name: site.start_run("--party", name) for name in ("compute_0", "compute_1", "compute_2", "bank_a")}
    outcomes = {name: running.finish(60) for name, running in parties.items()}
    assert SECRET in outcomes.pop("bank_a").message
    for name, outcome in outcomes.items():
        assert outcome.code == 3, name
        assert "bank_a stopped the session: DataError" in outcome.message
        assert SECRET not in outcome.out + outcome.err
    site.until_all_are_gone()


def test_a_bad_array(site: Any) -> None:
    """Outside the fixed-point range that the job states; a party of its own, as on another host."""
    site.write_job(edit=lambda text: text + "\n[arrays.x]\nbound = 100.0\n")
    (site.folder / "program.py").write_text("def program(s):\n    return str(s.secret('x', 'bank_a'))\n")
    np.save(site.folder / "x.npy", np.array([1.0, 2.0**70]))
    others = [site.start_run("--party", name) for name in ("compute_0", "compute_1", "compute_2")]
    outcome = site.run("--party", "bank_a", "--array", f"x={site.folder / 'x.npy'}")
    for other in others:
        assert other.finish().code == 3
    site.assert_failed(outcome, 1, "bank_a: input 'x': expected finite values with |x| <= 100", "at index [1]")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (np.array(["a"]), "expected an array of numbers"),
        (np.array([object()]), "expected a NumPy .npy file"),
        (b"x" * 100, "expected a NumPy .npy file"),
        (b"", "expected a NumPy .npy file"),
        (None, "expected a NumPy .npy file"),
    ],
)
def test_files_that_are_no_array(tmp_path: Path, content: Any, words: str) -> None:
    file = tmp_path / "x.npy"
    if isinstance(content, bytes):
        file.write_bytes(content)
    elif content is not None:
        np.save(file, content)
    with pytest.raises(DataError, match=words):
        load_arrays({"x": ArraySpec(bound=1.0)}, {"x": file}, "bank_a")


def test_a_label_must_be_0_or_1_whatever_its_kind() -> None:
    """A schema may call the label a number; the table still takes nothing but 0 and 1."""
    info = TableInfo("rows", numbers("a", (1.0,)), Field("churn", "binary"))
    with pytest.raises(DataError, match=r"label 'churn'.*expected 0 or 1"):
        table_inputs(info, np.zeros((2, 1)), np.array([0.0, 0.5]))
