"""Every example runs and says what it promises."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(*command: str, folder: Path) -> str:
    paths = [os.path.abspath(p) for p in os.environ.get("PYTHONPATH", "").split(os.pathsep) if p]
    ended = subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def test_quickstart(tmp_path: Path) -> None:
    out = run(str(EXAMPLES / "quickstart.py"), folder=tmp_path)
    assert "{'ada': True, 'bob': False, 'eve': True}" in out
    assert "opened: ['above'] in" in out


def test_banks(tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    out = run(str(EXAMPLES / "banks.py"), folder=tmp_path)
    found = re.search(r"secure (0\.\d+), scikit-learn on pooled rows (0\.\d+)", out)
    assert found is not None
    secure, centralised = map(float, found.groups())
    assert secure > 0.98
    assert abs(secure - centralised) < 0.01
    assert "compute_0 got: <withheld: coefficients was opened to bank_a" in out
    assert "opened 1 x coefficients to bank_a, bank_b, bank_c, bank_d, bank_e" in out


def test_hospitals(tmp_path: Path) -> None:
    """The table it prints is that of statsmodels on the rows that all three owners have."""
    load_diabetes = pytest.importorskip("sklearn.datasets").load_diabetes
    sm = pytest.importorskip("statsmodels.api")
    out = run(str(EXAMPLES / "hospitals.py"), folder=tmp_path)
    assert len((EXAMPLES / "hospitals.py").read_text().splitlines()) < 60
    data, generator = load_diabetes(), np.random.default_rng(4)
    bp = data.feature_names.index("bp")
    values, progressed = data.data.copy(), data.target > np.median(data.target)
    values[generator.random(len(values)) < 0.1, bp] = np.nan
    common = set(range(len(values)))
    for _ in range(3):
        common &= set(generator.permutation(len(values))[: len(values) * 9 // 10].tolist())
    rows = values[sorted(common)]
    rows[:, bp] = np.where(np.isnan(rows[:, bp]), np.nanmean(rows[:, bp]), rows[:, bp])
    names = ("age", "sex", "bmi", "bp", "s1", "s2", "s5", "s6")
    x = rows[:, [data.feature_names.index(n) for n in names]]
    x = np.column_stack([(x - x.mean(0)) / x.std(0), np.ones(len(x))])
    fit = sm.Logit(progressed[sorted(common)] * 1.0, x).fit(disp=0)
    assert out.startswith(f"{len(common)} patients are in all three tables; opened: ")
    lines = [line.split() for line in out.splitlines()]
    found = np.array([line[1:4] for line in lines if line[0] in (*names, "intercept")], float)
    np.testing.assert_allclose(found, np.column_stack([fit.params, fit.bse, fit.tvalues]), atol=2e-3)


def test_across_processes_as_its_readme_says(tmp_path: Path) -> None:
    folder = tmp_path / "run across"
    shutil.copytree(EXAMPLES / "run_across_processes", folder)
    readme = (folder / "README.md").read_text()
    for name, content in re.findall(r"printf '(.*)' > (\w+\.csv)", readme):
        (folder / content).write_text(name.replace("\\n", "\n"))
    init = re.search(r"privity (consortium init .*)", readme)
    assert init is not None
    run("-m", "privity", *shlex.split(init[1]), folder=folder)
    file = folder / "consortium.toml"
    lines = re.sub(
        r'(key = "certificates/(clinic_.)\.key"\n)', r'\1[party.tables]\npatients = "\2.csv"\n', file.read_text()
    )
    file.write_text(lines)
    run("-m", "privity", "run", "program.py", "--out", "results", folder=folder)
    reports = {p.parent.name: json.loads(p.read_text()) for p in folder.glob("results/*/report.json")}
    assert set(reports) == {"compute_0", "compute_1", "compute_2", "clinic_a", "clinic_b", "study"}
    for name, report in reports.items():
        assert report["output"]["treated"] == 3
        if name != "study":
            assert report["output"]["with"] == {"withheld_from_this_party": ["study"]}
    study = reports["study"]["output"]
    assert study["unit"] * study["with"] == pytest.approx(-24.5, abs=1e-3)
    assert study["unit"] * study["without"] == pytest.approx(3.0, abs=1e-3)
