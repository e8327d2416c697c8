"""A model outlives its run: saved by one run of real processes, used by another."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

TRAIN = """
import privity as pv
from privity.ml.saving import save
from privity.ml.svm import LinearSVC

def program(s):
    model = LinearSVC(alpha=0.05, max_iter=5).fit(s.secret("x", "bank"), s.secret("y", "bank"))
    return save(model, s, "score")
"""
USE = """
from privity.ml.saving import load

def program(s):
    scores = load(s, "score").decision_function(s.secret("x", "bank"))
    return s.reveal(scores[:3], to="bank", name="scores", reason="test")
"""
ARRAYS = "[arrays.x]\nbound = 8.0\n[arrays.y]\nbound = 1.0\n"


def test_a_model_saved_by_one_run_is_used_by_the_next(tmp_path: Path, call: Callable[..., Any]) -> None:
    consortium = tmp_path / "consortium.toml"
    assert call("consortium", "init", tmp_path, "--owner", "bank")[0] == 0
    x = np.random.default_rng(2).normal(size=(40, 2))
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "y.npy", (x[:, 0] > 0).astype(np.int64))
    key = 'key = "certificates/bank.key"\n'
    text = consortium.read_text("utf-8")
    consortium.write_text(text.replace(key, key + '\n[party.arrays]\nx = "x.npy"\ny = "y.npy"\n'), "utf-8")
    opening = '[[openings]]\nname = "scores"\nshape = [3]\nto = "bank"\n'
    for name, program, openings in (("train", TRAIN, ""), ("use", USE, opening)):
        (tmp_path / f"{name}.py").write_text(program, "utf-8")
        (tmp_path / f"{name}.toml").write_text(f'name = "{name}"\n{openings}{ARRAYS}', "utf-8")
        where = ("--consortium", str(consortium), "--store", str(tmp_path / "store"), "--out", str(tmp_path / name))
        assert call("run", tmp_path / f"{name}.py", *where)[0] == 0
    files = sorted((tmp_path / "store").glob("*/*"))
    assert [f.parent.name for f in files] == ["compute_0", "compute_1", "compute_2"]
    assert {stat.S_IMODE(f.stat().st_mode) for f in files} == {0o600}
    scores = json.loads((tmp_path / "use" / "bank" / "report.json").read_text("utf-8"))["output"]
    assert np.array_equal(np.sign(scores), np.sign(x[:3, 0]))
