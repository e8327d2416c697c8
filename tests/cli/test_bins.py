"""An owner cuts a column into bins in real processes: a model of one run predicts in the next, in the same bins."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from privity.data.thresholds import Thresholds, bins_of, quantile_edges

TRAIN = """
from privity.ml.saving import save
from privity.ml.trees.forest import DecisionTreeClassifier

def program(s):
    return save(DecisionTreeClassifier(max_depth=1, max_bins=8).fit(s.table("credit")), s, "score")
"""
USE = """
from privity.ml.saving import load

def program(s):
    chances = load(s, "score").predict_proba(s.table("applicants"))
    return s.reveal(chances[:, 1], to="bank", name="scores", reason="test")
"""
COLUMN = '{ name = "income", kind = "number", bound = 1000, bins = 8 }'
CREDIT = f'[tables.credit]\ncolumns = [{COLUMN}, {{ name = "default", kind = "binary", role = "label" }}]\n'
APPLICANTS = f'[tables.applicants]\nbins_of = "credit"\ncolumns = [{COLUMN}]\n'
OPENING = '[[openings]]\nname = "scores"\nshape = [4]\nto = "bank"\n'


def test_the_bins_of_one_run_are_those_of_the_next(tmp_path: Path, call: Callable[..., Any]) -> None:
    consortium = tmp_path / "consortium.toml"
    assert call("consortium", "init", tmp_path, "--owner", "bank")[0] == 0
    income = np.random.default_rng(4).uniform(0, 1000, 80).round(2)
    y = bins_of(income, quantile_edges(income, 8)) >= 5
    cells = [f"{x},{int(t)}" for x, t in zip(income, y, strict=True)]
    (tmp_path / "credit.csv").write_text("\n".join(["income,default", *cells]) + "\n")
    border = quantile_edges(income, 8)[4]
    asked = [0.0, border - 0.01, border, 999.0]
    (tmp_path / "applicants.csv").write_text("\n".join(["income", *map(repr, asked)]) + "\n")
    key = 'key = "certificates/bank.key"\n'
    text = consortium.read_text("utf-8")
    for name, program, job in (("train", TRAIN, CREDIT), ("use", USE, OPENING + CREDIT + APPLICANTS)):
        table = {"train": "credit", "use": "applicants"}[name]
        consortium.write_text(text.replace(key, f'{key}\n[party.tables]\n{table} = "{table}.csv"\n'), "utf-8")
        (tmp_path / f"{name}.py").write_text(program, "utf-8")
        (tmp_path / f"{name}.toml").write_text(f'name = "{name}"\n{job}', "utf-8")
        where = ("--consortium", str(consortium), "--store", str(tmp_path / "store"), "--out", str(tmp_path / name))
        code, _, said = call("run", tmp_path / f"{name}.py", *where)
        assert code == 0
        if name == "train":
            assert "table 'credit': its bins were learnt from these rows and are kept in" in "".join(said.split("\n"))
    kept = tmp_path / "certificates" / "bank.bins.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert Thresholds(kept, "bank").of("credit") == {"income": quantile_edges(income, 8)}
    scores = json.loads((tmp_path / "use" / "bank" / "report.json").read_text("utf-8"))["output"]
    assert np.allclose(scores, [0, 0, 1, 1], atol=1e-3)

    kept.write_bytes(kept.read_bytes()[:-20])
    code, _, said = call("run", tmp_path / "use.py", "--consortium", consortium)
    assert code == 1
    assert "bank.bins.json, which keeps thresholds of bins, is damaged" in said and "To start afresh" in said
