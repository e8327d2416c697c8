"""The banks demo: five owner processes and three compute-party processes on this machine, over mutual TLS."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from ..data.load import table_info
from ..data.schema import TableSchema
from ..data.tables import read_table
from ..errors import PrivityError
from ..jobs.files import write_outputs
from ..jobs.run import PartyReport
from . import banks_program
from .banks_data import BANKS, BankFiles, prepare_banks
from .banks_eval import Model, Rows, evaluate, moments, pool, sgd_logistic, standardise
from .banks_program import BANKS_TRAINING
from .boosted import compare_trees
from .result import DemoResult
from .running import Ran, costs, opening, run_parties, table_section, told
from .trees_program import OPENED


def run_banks(out: Path, *, json: bool, record_view: bool, timeout_s: float) -> DemoResult:
    """Run the demo and write ``report.html`` and ``result.json`` into ``out``. Raises PrivityError."""
    console = Console(stderr=json)
    started = time.monotonic()
    write_outputs(out, {"README.txt": _README})  # an unwritable folder is found now, not after the training
    files = prepare_banks(out / "data")
    tables = {bank: {files.schema.name: path} for bank, path in files.banks.items()}
    ran = run_parties(
        out, console, "five banks, one model", banks_program, job_text(files.schema), tables,
        record_view=record_view, timeout_s=timeout_s,
    )  # fmt: skip
    return told(console, out, _result(files, ran), json=json, started=started)


def job_text(schema: TableSchema) -> str:
    """The job file of the demo: its openings list and its table schema, as TOML."""
    lines = [
        'name = "banks"',
        f"seed = {BANKS_TRAINING.seed}",
        "",
        "# Everything that may be opened; whoever asks for more gets nothing.",
        *opening("coefficients", [len(schema.features) + 1], "owners"),
        *opening("accuracy", [], "owners"),
        *opening(OPENED, [], "owners"),
        *opening("loss", [], "all", BANKS_TRAINING.epochs),
        *table_section(schema, BANKS),
    ]
    return "\n".join(lines)


def _rows(path: Path, schema: TableSchema, owner: str) -> Rows:
    table = read_table(path, schema, owner)
    assert schema.label is not None
    at = [table.names.index(c.name) for c in schema.features]
    return table.values[:, at], table.column(schema.label.name)


def _result(files: BankFiles, ran: Ran) -> DemoResult:
    schema = files.schema
    banks = {bank: _rows(path, schema, bank) for bank, path in files.banks.items()}
    x, y = pool(banks)
    mean, sd = moments(x)
    training = BANKS_TRAINING
    standardised = standardise(x, mean, sd)
    begun = time.perf_counter()
    loop = Model(sgd_logistic(standardised, y, training), mean, sd)
    plain_wall_s = time.perf_counter() - begun
    joint = _opened_model(ran.reports, np.asarray([f.unit for f in table_info(schema).fields]), mean, sd)
    names = [c.name for c in schema.features]
    return DemoResult(
        demo="banks",
        evaluation=evaluate(names, banks, _rows(files.holdout, schema, "hold-out"), joint, loop, training),
        training=training,
        steps=training.epochs * (len(x) // training.batch),
        rows=dict(zip(files.banks, files.rows, strict=True)),
        holdout_rows=files.holdout_rows,
        features=len(names),
        train_wall_s=ran.seconds("training"),
        plain_wall_s=plain_wall_s,
        trees=compare_trees(
            x, y, float(ran.reports[BANKS[0]].output[OPENED]), ran.seconds("boosted trees"), same_rows=True
        ),
        **costs(ran, ["scikit-learn"]),
    )


def _opened_model(reports: Mapping[str, PartyReport], units: Any, mean: Any, sd: Any) -> Model:
    """The coefficients that the banks were given, back on standardised features for comparison with float64."""
    opened = [reports[bank].output["coefficients"] for bank in BANKS]
    if any(o != opened[0] for o in opened):
        raise PrivityError("the banks were given different coefficients; this is a bug, please report it")
    raw = np.asarray(opened[0])
    weights = raw[:-1] / units  # the table divides every feature by its unit
    return Model(np.append(weights * sd, raw[-1] + weights @ mean), mean, sd)


_README = """Written by `privity demo banks`.

report.html   what happened, with plots and tables
result.json   the same figures for programs
job.toml      the openings list and the table's schema, as every party read it
data/         each bank's own file and the common hold-out
consortium/   parties, endpoints, certificates (made for this run only)
views/        all that each party received, if recorded
"""
