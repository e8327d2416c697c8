"""The banks demo: five owner processes and three compute-party processes on this machine, over mutual TLS."""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from collections.abc import Mapping
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np
from rich.console import Console

from ..data.load import table_info
from ..data.schema import TableSchema
from ..data.tables import read_table
from ..errors import PrivityError
from ..jobs.consortium import Consortium
from ..jobs.files import write_outputs
from ..jobs.founding import init_consortium
from ..jobs.launch import party_arguments
from ..jobs.local import run_local
from ..jobs.run import PartyReport
from ..jobs.view import examine, forget
from . import banks_program
from .banks_data import BANKS, BankFiles, prepare_banks
from .banks_eval import Model, Rows, evaluate, moments, pool, sgd_logistic, standardise
from .banks_program import BANKS_TRAINING
from .report import render_html
from .result import BanksResult, OpeningLine, PartyCost, ViewSummary
from .screen import LiveProgress, show_result

COMPUTE = ("compute_0", "compute_1", "compute_2")


def run_banks(out: Path, *, json: bool, record_view: bool, timeout_s: float) -> BanksResult:
    """Run the demo and write ``report.html`` and ``result.json`` into ``out``. Raises PrivityError."""
    console = Console(stderr=json)
    started = time.monotonic()
    write_outputs(out, {"README.txt": _README})  # an unwritable folder is found now, not after the training
    files = prepare_banks(out / "data")
    consortium = init_consortium(out / "consortium", COMPUTE, BANKS, BANKS, overwrite=True, days=2)
    program, job = Path(banks_program.__file__), out / "job.toml"
    write_outputs(out, {"job.toml": job_text(files.schema)})
    views = out / "views" if record_view else None
    arguments = party_arguments(
        program,
        consortium.path,
        job,
        views,
        60.0,
        timeout_s,
        {bank: {files.schema.name: path} for bank, path in files.banks.items()},
    )
    launched = time.monotonic()
    names = [party.name for party in consortium.parties]
    try:
        with LiveProgress(console, "five banks, one model") as progress:
            reports = run_local(consortium, names, arguments, progress=progress)
    except BaseException:
        for name in names if views is not None else []:
            forget(out / "views" / name)  # also of a party that was killed and could not clean up itself
        raise
    wall_s = time.monotonic() - launched
    result = _result(files, consortium, reports, wall_s, views)
    written = write_outputs(out, {"result.json": result.to_json(), "report.html": render_html(result)})
    if json:
        sys.stdout.write(result.to_json() + "\n")
    else:
        show_result(console, result, tuple(written.values()))
        console.print(f"everything together took {time.monotonic() - started:.1f} s", style="dim")
    return result


def job_text(schema: TableSchema) -> str:
    """The job file of the demo: its openings list and its table schema, as TOML."""
    width = len(schema.features) + 1
    lines = [
        'name = "banks"',
        f"seed = {BANKS_TRAINING.seed}",
        "",
        "# Everything that may be opened; whoever asks for more gets nothing.",
        *_opening("coefficients", [width], "owners", 1),
        *_opening("accuracy", [], "owners", 1),
        *_opening("loss", [], "all", BANKS_TRAINING.epochs),
        f"[tables.{schema.name}]",
        f"owners = {json.dumps(list(BANKS))}",
        "columns = [",
        *(f"    {_inline(c)}," for c in schema.to_mapping()["columns"]),
        "]",
    ]
    return "\n".join(lines) + "\n"


def _opening(name: str, shape: list[int], to: str, count: int) -> list[str]:
    return ["[[openings]]", f'name = "{name}"', f"shape = {shape}", f'to = "{to}"', f"count = {count}", ""]


def _inline(column: Mapping[str, Any]) -> str:
    return "{ " + ", ".join(f"{key} = {json.dumps(value)}" for key, value in column.items()) + " }"


def _rows(path: Path, schema: TableSchema, owner: str) -> Rows:
    table = read_table(path, schema, owner)
    assert schema.label is not None
    at = [table.names.index(c.name) for c in schema.features]
    return table.values[:, at], table.column(schema.label.name)


def _result(
    files: BankFiles, consortium: Consortium, reports: Mapping[str, PartyReport], wall_s: float, views: Path | None
) -> BanksResult:
    schema = files.schema
    banks = {bank: _rows(path, schema, bank) for bank, path in files.banks.items()}
    x, y = pool(banks)
    mean, sd = moments(x)
    training = BANKS_TRAINING
    standardised = standardise(x, mean, sd)
    begun = time.perf_counter()
    loop = Model(sgd_logistic(standardised, y, training), mean, sd)
    plain_wall_s = time.perf_counter() - begun
    joint = _opened_model(reports, np.asarray([f.unit for f in table_info(schema).fields]), mean, sd)
    names = [c.name for c in schema.features]
    evaluation = evaluate(names, banks, _rows(files.holdout, schema, "hold-out"), joint, loop, training)
    first = reports[COMPUTE[0]]
    stage = {s.name: s for s in first.stages}
    return BanksResult(
        evaluation=evaluation,
        training=training,
        steps=training.epochs * (len(x) // training.batch),
        rows=dict(zip(files.banks, files.rows, strict=True)),
        holdout_rows=files.holdout_rows,
        features=len(names),
        train_wall_s=max(s.wall_s for c in COMPUTE for s in reports[c].stages if s.name == "training"),
        wall_s=wall_s,
        cpu_s=sum(reports[c].cpu_s for c in COMPUTE),
        bytes_sent=[reports[c].bytes_sent for c in COMPUTE],
        rounds=first.rounds,
        plain_wall_s=plain_wall_s,
        parties=[PartyCost(n, _role(n), r.cpu_s, r.bytes_sent, r.rounds) for n, r in reports.items()],
        openings=_openings(first),
        views=[_view(n, views / n) for n in reports] if views is not None else [],
        protocol="Rep3: replicated secret sharing over Z_2^64, three compute parties.",
        security="one curious compute party, together with any banks, learns nothing but what was opened.",
        kernels=first.kernels,
        machine=_machine(),
        date=datetime.now().astimezone().isoformat(timespec="seconds"),
        versions={n: version(n) for n in ("privity", "numpy", "cryptography", "scikit-learn")}
        | {"python": platform.python_version(), "training rounds": str(stage["training"].rounds)},
    )


def _opened_model(reports: Mapping[str, PartyReport], units: Any, mean: Any, sd: Any) -> Model:
    """The coefficients that the banks were given, back on standardised features for comparison with float64."""
    opened = [reports[bank].output["coefficients"] for bank in BANKS]
    if any(o != opened[0] for o in opened):
        raise PrivityError("the banks were given different coefficients; this is a bug, please report it")
    raw = np.asarray(opened[0])
    weights = raw[:-1] / units  # the table divides every feature by its unit
    return Model(np.append(weights * sd, raw[-1] + weights @ mean), mean, sd)


def _role(name: str) -> Literal["compute", "owner", "receiver"]:
    return "compute" if name in COMPUTE else "owner"


def _openings(report: PartyReport) -> list[OpeningLine]:
    lines: dict[tuple[str, tuple[int, ...], tuple[str, ...]], OpeningLine] = {}
    for entry in report.opened:
        key = (entry["name"], tuple(entry["shape"]), tuple(entry["to"]))
        old = lines.get(key)
        lines[key] = OpeningLine(
            *key, entry["reason"] if old is None else old.reason, 1 if old is None else old.count + 1
        )
    return list(lines.values())


def _view(party: str, folder: Path) -> ViewSummary:
    seen = examine(folder)
    return ViewSummary(
        party,
        _role(party),
        seen.messages,
        seen.bytes,
        seen.tested_messages,
        seen.smallest_p,
        seen.corrected_p,
        seen.verdict,
    )


def _machine() -> str:
    model = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), model)
        memory = int(Path("/proc/meminfo").read_text().split()[1]) // 2**20
    except (OSError, ValueError, IndexError):
        return f"{model}, {os.cpu_count()} cores"
    return f"{model}, {os.cpu_count()} cores, {memory} GiB"


_README = """Written by `privity demo banks`.

report.html   what happened, with plots and tables
result.json   the same figures for programs
job.toml      the openings list and the table's schema, as every party read it
data/         each bank's own file and the common hold-out
consortium/   parties, endpoints, certificates (made for this run only)
views/        all that each party received, if recorded
"""
