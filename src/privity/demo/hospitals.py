"""The hospitals demo: three owner processes and three compute-party processes on this machine, over mutual TLS."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from ..data.load import table_info
from ..data.schema import TableSchema
from ..errors import PrivityError
from ..jobs.files import write_outputs
from ..jobs.run import PartyReport
from ..relations import LINKED_ROWS
from . import hospitals_program
from .boosted import compare_trees
from .hospitals_data import HOSPITALS, TABLES, HospitalFiles, prepare_hospitals
from .hospitals_eval import Design, Opened, compare, joined
from .hospitals_program import COEFFICIENT_BOUND, STEPS
from .result import DemoResult, Newton
from .running import Ran, costs, opening, run_parties, table_section, told
from .trees_program import OPENED


def run_hospitals(out: Path, *, json: bool, record_view: bool, timeout_s: float) -> DemoResult:
    """Run the demo and write ``report.html`` and ``result.json`` into ``out``. Raises PrivityError."""
    console = Console(stderr=json)
    started = time.monotonic()
    write_outputs(out, {"README.txt": _README})  # an unwritable folder is found now, not after the training
    files = prepare_hospitals(out / "data")
    tables = {h: {t: files.tables[h]} for h, t in zip(HOSPITALS, TABLES, strict=True)}
    ran = run_parties(
        out, console, "three hospitals, one model", hospitals_program, job_text(files.schemas), tables,
        record_view=record_view, timeout_s=timeout_s,
    )  # fmt: skip
    return told(console, out, _result(files, ran), json=json, started=started)


def column_names(schemas: Mapping[str, TableSchema]) -> tuple[str, ...]:
    """The model's columns: numbers, and every level but the first of each category. Public."""
    names: list[str] = []
    for table in TABLES:
        for c in schemas[table].features:
            names += [f"{c.name}_{level}" for level in c.categories[1:]] if c.kind == "category" else [c.name]
    return tuple(names)


def _gaps(schemas: Mapping[str, TableSchema]) -> list[str]:
    return [c.name for t in TABLES for c in schemas[t].features if c.missing]


def job_text(schemas: Mapping[str, TableSchema]) -> str:
    """The job file of the demo: its openings list and its three table schemas, as TOML."""
    width = len(column_names(schemas))
    lines = [
        'name = "hospitals"',
        "",
        "# Everything that may be opened; whoever asks for more gets nothing.",
        *opening(LINKED_ROWS, [], "all"),
        *opening("model", [2, width + 1], "owners"),
        *opening("fills", [len(_gaps(schemas))], "owners"),
        *opening("moments", [2, width], "owners"),
        *(line for name in (OPENED, "auc", "accuracy", "brier") for line in opening(name, [], "owners")),
    ]
    for hospital, table in zip(HOSPITALS, TABLES, strict=True):
        lines += table_section(schemas[table], [hospital])
    return "\n".join(lines)


def _result(files: HospitalFiles, ran: Ran) -> DemoResult:
    names = column_names(files.schemas)
    compared = compare(files, _opened(files, ran.reports, names))
    rows = joined(files)
    given = ran.reports[HOSPITALS[0]].output
    linked = int(ran.first.output["linked_rows"])
    if linked != files.common:
        raise PrivityError(f"{linked} patients were linked, but the files have {files.common} in common: please report")
    return DemoResult(
        demo="hospitals",
        evaluation=compared.evaluation,
        training=Newton(STEPS, COEFFICIENT_BOUND),
        steps=STEPS,
        rows=dict(files.rows),
        holdout_rows=compared.holdout_rows,
        features=len(names),
        train_wall_s=ran.seconds("training"),
        plain_wall_s=compared.plain_wall_s,
        linked_rows=linked,
        inference=compared.inference,
        on_shares=compared.on_shares,
        trees=compare_trees(
            np.column_stack(list(rows.columns.values())), rows.died, float(given[OPENED]),
            ran.seconds("boosted trees"), same_rows=False,
        ),
        **costs(ran, ["scikit-learn", "statsmodels"]),
    )


def _opened(files: HospitalFiles, reports: Mapping[str, PartyReport], names: tuple[str, ...]) -> Opened:
    """What the hospitals were given, in natural units."""
    outputs = [reports[h].output for h in HOSPITALS]
    if any(o != outputs[0] for o in outputs):
        raise PrivityError("the hospitals were given different results; this is a bug, please report it")
    given: Mapping[str, Any] = outputs[0]
    units = {f.name: f.unit for schema in files.schemas.values() for f in table_info(schema).fields}
    unit = np.array([units.get(n, 1.0) for n in names])
    mean, inverse_scale = np.asarray(given["moments"])
    gaps = _gaps(files.schemas)
    fills = {n: float(v) * units[n] for n, v in zip(gaps, given["fills"], strict=True)}
    sd = unit / np.where(inverse_scale == 0, np.inf, inverse_scale)
    coef, errors = (np.asarray(given["model"][k]) for k in ("coefficients", "standard_errors"))
    design = Design(names, fills, mean * unit, sd)
    return Opened(coef, errors, design, given["auc"], given["accuracy"], given["brier"])


_README = """Written by `privity demo hospitals`.

report.html   what happened, with plots and tables
result.json   the same figures for programs
job.toml      the openings list and the tables' schemas, as every party read it
data/         each hospital's own file, the patients set aside, and the source as CSV
consortium/   parties, endpoints, certificates (made for this run only); each hospital's count of runs
views/        all that each party received, if recorded
"""
