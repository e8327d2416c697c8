"""``privity demo hospitals`` as people start it: six processes on this machine, on all the data."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import msgspec

from privity.demo.hospitals_data import HOSPITALS, HospitalFiles
from privity.demo.result import read_result
from privity.jobs.comparisons import Comparisons
from privity.jobs.key_counts import KeySet
from privity.jobs.view import Received


def test_the_demo_reaches_what_it_claims(hospital_files: HospitalFiles, tmp_path: Path) -> None:
    """Result against statsmodels, the report, what was opened, and what a curious receiver sees of it."""
    keys = tmp_path / "consortium" / "certificates"
    log = Comparisons(keys / "hospital_2.comparisons.json", 10, keys / "hospital_2.key.begun")
    log.path.parent.mkdir(parents=True)
    for run in range(10):  # demonstrations of earlier days, as often as the limit allows
        log.book(KeySet([["1"]]), job=f"run {run}", table="bedside")
    command = ["demo", "hospitals", "--json", "--record-view", "--out", str(tmp_path)]
    ran = subprocess.run(
        [sys.executable, "-m", "privity", *command], capture_output=True, text=True, check=False, timeout=900
    )
    assert ran.returncode == 0, ran.stderr
    assert "three hospitals, one model: linking patients" in ran.stderr
    assert (tmp_path / "result.json").read_text() == ran.stdout
    result = read_result(ran.stdout)
    assert result.linked_rows == hospital_files.common
    assert result.evaluation.auc_difference_to_centralised < 0.002
    assert result.evaluation.max_coef_difference < 1e-2
    assert len(result.inference) == result.features + 1 == 47
    assert all(abs(line.z - line.plain_z) < 0.01 * max(1.0, abs(line.plain_z)) for line in result.inference)
    assert all(abs(secure - clear) < 1e-3 for secure, clear in result.on_shares.values())
    assert all(gain.low > 0 for gain in result.evaluation.auc_gain.values())
    assert result.trees is not None and abs(result.trees.auc - result.trees.plain_auc) < 0.03  # other rows left out
    assert "Odds ratio" in (tmp_path / "report.html").read_text()

    opened = {line.name: line for line in result.openings}
    assert set(opened) == {
        "range guard", "linked rows", "model", "fills", "moments", "trees_auc", "auc", "accuracy", "brier",
    }  # fmt: skip
    assert opened["linked rows"].shape == () and opened["linked rows"].count == 1
    words = sum(line.count * (line.shape[0] if line.shape else 1) * (line.shape[1] if len(line.shape) > 1 else 1)
                for line in result.openings)  # fmt: skip
    for hospital in HOSPITALS:
        view = [
            msgspec.json.decode(line, type=Received)
            for line in (tmp_path / "views" / hospital / "view.index").read_bytes().splitlines()
        ]
        # all it received: one share component from each compute party for each opened number, and nothing else
        assert {entry.label for entry in view} == {"opening"}
        sent = Counter({entry.source: 0 for entry in view})
        for entry in view:
            sent[entry.source] += entry.size
        assert sent == {f"compute_{k}": 8 * words for k in range(3)}
    assert [run.size for run in log.entries()] == [hospital_files.rows["hospital_2"]]
