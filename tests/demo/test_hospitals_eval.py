"""The yardsticks of the hospitals demo, against scikit-learn's transforms and statsmodels; and a run of the program."""

from __future__ import annotations

import csv
import io
import tomllib
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import privity as pv
from privity.data.load import load_inputs, load_schemas, table_info
from privity.demo import hospitals
from privity.demo.hospitals_data import HOSPITALS, TABLES, HospitalFiles
from privity.demo.hospitals_eval import Comparison, Design, Opened, alone, compare, holdout, joined, learn
from privity.demo.hospitals_program import program
from privity.demo.result import InferenceLine
from privity.jobs.job import load_job
from privity.jobs.run import to_plain


@pytest.fixture(scope="module")
def some_files(hospital_files: HospitalFiles, tmp_path_factory: pytest.TempPathFactory) -> HospitalFiles:
    """Every fourth patient: the same files, smaller."""
    folder = tmp_path_factory.mktemp("some")

    def some(path: Path, name: str) -> Path:
        rows = list(csv.DictReader(io.StringIO(path.read_text("utf-8"))))
        stream = io.StringIO()
        writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(r for r in rows if int(r["pid"].strip()[:-1]) % 4 == 0)
        (folder / name).write_text(stream.getvalue())
        return folder / name

    tables = {h: some(p, f"{h}.csv") for h, p in hospital_files.tables.items()}
    aside = {t: some(p, f"aside {t}.csv") for t, p in hospital_files.holdout.items()}
    rows = {h: len(p.read_text().splitlines()) - 1 for h, p in tables.items()}
    smaller = replace(hospital_files, tables=tables, holdout=aside, rows=rows)
    return replace(smaller, common=len(joined(smaller).died))


def test_the_design_is_scikit_learns(some_files: HospitalFiles) -> None:
    rows, aside = joined(some_files), holdout(some_files)
    names = list(rows.columns)
    numbers = [i for i, n in enumerate(names) if n not in rows.levels]
    codes = [i for i, n in enumerate(names) if n in rows.levels]
    levels = [list(map(float, range(len(rows.levels[names[i]])))) for i in codes]
    theirs = ColumnTransformer([
        ("numbers", make_pipeline(SimpleImputer(), StandardScaler()), numbers),
        ("codes", make_pipeline(OneHotEncoder(drop="first", categories=levels, sparse_output=False), StandardScaler()),
         codes),
    ])  # fmt: skip
    expected_rows = theirs.fit_transform(np.column_stack(list(rows.columns.values())))
    expected_aside = theirs.transform(np.column_stack(list(aside.columns.values())))
    design = learn(rows)
    order = [i for i, n in enumerate(design.names) if n in rows.columns]
    order += [i for i, n in enumerate(design.names) if n not in rows.columns]
    np.testing.assert_allclose(design.matrix(rows)[:, order], expected_rows, atol=1e-9)
    np.testing.assert_allclose(design.matrix(aside)[:, order], expected_aside, atol=1e-9)
    assert design.names == hospitals.column_names(some_files.schemas)


def test_alone_means_own_columns_and_own_patients(some_files: HospitalFiles) -> None:
    everybody = joined(some_files)
    for hospital, table in zip(HOSPITALS, TABLES, strict=True):
        own = alone(some_files, hospital)
        assert set(own.columns) == {c.name for c in some_files.schemas[table].features}
        assert len(own.died) >= len(everybody.died)
    assert len(alone(some_files, "hospital_1").died) == some_files.rows["hospital_1"]


def in_the_clear(files: HospitalFiles, coef_error: float = 0.0) -> tuple[Comparison, Any]:
    rows = joined(files)
    design = learn(rows)
    fit = sm.Logit(rows.died, np.column_stack([design.matrix(rows), np.ones(len(rows.died))])).fit(disp=0, tol=1e-10)
    coef = np.asarray(fit.params).copy()
    coef[3] += coef_error
    opened = Opened(coef, np.asarray(fit.bse), design, 0.8, 0.7, 0.2)
    return compare(files, opened, resamples=20), fit


def test_the_comparison_measures_what_it_says(some_files: HospitalFiles) -> None:
    found, _ = in_the_clear(some_files, coef_error=-0.25)
    assert found.evaluation.max_coef_difference == pytest.approx(0.25, abs=1e-6)
    assert found.holdout_rows == len(holdout(some_files).died)
    assert [line.name for line in found.inference][-1] == "(intercept)"
    assert set(found.evaluation.auc.alone) == set(HOSPITALS)
    assert found.on_shares["ROC AUC"][0] == 0.8
    assert 0 < found.evaluation.auc_difference_to_centralised < 0.05
    exact, _ = in_the_clear(some_files)
    assert exact.evaluation.max_coef_difference < 1e-6
    assert exact.evaluation.auc_difference_to_centralised < 1e-3


def test_what_follows_from_a_coefficient_is_statsmodels(some_files: HospitalFiles) -> None:
    found, fit = in_the_clear(some_files)
    interval = np.exp(fit.conf_int())
    for k, line in enumerate(found.inference):
        assert line.z == pytest.approx(fit.tvalues[k], abs=1e-6)
        assert line.p == pytest.approx(fit.pvalues[k], rel=1e-5)
        assert (line.odds_ratio_low, line.odds_ratio_high) == pytest.approx(tuple(interval[k]), rel=1e-6)
        assert line.odds_ratio == pytest.approx(np.exp(fit.params[k]), rel=1e-6)
    tiny = InferenceLine.of("x", 30.0, 1.0, 30.0, 1.0).p
    assert 0 < tiny < 1e-190  # by the complementary error function: 1 - cdf would be 0


def test_the_program_on_shares_is_statsmodels_on_the_joined_rows(some_files: HospitalFiles, tmp_path: Path) -> None:
    """The job file that the demo writes, the program that its parties run, every fourth patient, in memory."""
    job = tmp_path / "job.toml"
    job.write_text(hospitals.job_text(some_files.schemas))
    spec = load_job(job)
    schemas = load_schemas(spec.tables)
    assert {n: s.digest for n, s in schemas.items()} == {n: s.digest for n, s in some_files.schemas.items()}
    assert all("transform" not in c or c["transform"] == "signed_log" for t in tomllib.loads(job.read_text())
               ["tables"].values() for c in t["columns"])  # fmt: skip
    inputs = {
        h: load_inputs(schemas, {t: some_files.tables[h]}, h, context=("c", "hospitals"))
        for h, t in zip(HOSPITALS, TABLES, strict=True)
    }
    compute = ("compute_0", "compute_1", "compute_2")
    ran = pv.simulate(
        program,
        parties=compute,
        inputs=inputs,
        openings=spec.openings_for([*compute, *HOSPITALS], list(compute), list(HOSPITALS)),
        tables={n: table_info(s) for n, s in schemas.items()},
    )
    reports: Any = {h: SimpleNamespace(output=to_plain(ran.outputs[h])) for h in HOSPITALS}
    names = hospitals.column_names(some_files.schemas)
    opened = hospitals._opened(some_files, reports, names)
    found = compare(some_files, opened, resamples=20)
    assert ran.outputs["compute_1"]["linked_rows"] == some_files.common
    assert isinstance(ran.outputs["compute_1"]["auc"], pv.Withheld)
    assert found.evaluation.max_coef_difference < 2e-3
    assert found.evaluation.auc_difference_to_centralised < 2e-4
    for line in found.inference:
        assert line.z == pytest.approx(line.plain_z, abs=0.01 * max(1.0, abs(line.plain_z)))
    for name, (secure, plain) in found.on_shares.items():
        assert secure == pytest.approx(plain, abs=2e-4), name
    clear: Design = learn(joined(some_files))
    assert opened.design.fills == pytest.approx({n: clear.fills[n] for n in opened.design.fills}, rel=1e-4)
    np.testing.assert_allclose(opened.design.sd, clear.sd, rtol=1e-4)
    assert [line["name"] for line in ran.opened if line["name"] != "range guard"] == [
        "linked rows", "model", "fills", "moments", "trees_auc", "auc", "accuracy", "brier",
    ]  # fmt: skip
