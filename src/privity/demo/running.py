"""What every demo does with its parties: found a consortium, start a process for each, and collect what they spent."""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from rich.console import Console

from ..data.schema import TableSchema
from ..jobs.comparisons import Comparisons
from ..jobs.consortium import Consortium
from ..jobs.files import write_outputs
from ..jobs.founding import init_consortium
from ..jobs.launch import party_arguments
from ..jobs.local import run_local
from ..jobs.run import PartyReport
from ..jobs.view import examine, forget
from .report import render_html
from .result import DemoResult, OpeningLine, PartyCost, StageCost, ViewSummary
from .screen import LiveProgress, show_result

COMPUTE = ("compute_0", "compute_1", "compute_2")


@dataclass(frozen=True, slots=True)
class Ran:
    """Reports of all parties, seconds from the first process started to the last one ended, where views lie."""

    reports: Mapping[str, PartyReport]
    wall_s: float
    views: Path | None

    @property
    def first(self) -> PartyReport:
        """The first compute party's report."""
        return self.reports[COMPUTE[0]]

    def seconds(self, stage: str) -> float:
        """Wall time of a section of the program at the slowest compute party."""
        return max(s.wall_s for c in COMPUTE for s in self.reports[c].stages if s.name == stage)


def run_parties(
    out: Path,
    console: Console,
    title: str,
    program: ModuleType,
    job: str,
    tables: Mapping[str, Mapping[str, Path]],
    *,
    record_view: bool,
    timeout_s: float,
) -> Ran:
    """Run ``program`` with three compute parties and the owners of ``tables``, each a process. Raises PrivityError."""
    consortium: Consortium = init_consortium(
        out / "consortium", COMPUTE, list(tables), list(tables), overwrite=True, days=2
    )
    for owner in tables:  # a new consortium on public data: counts of earlier demonstrations would only stop this one
        Comparisons.of(consortium, owner).discard()
    write_outputs(out, {"job.toml": job})
    views = out / "views" if record_view else None
    arguments = party_arguments(
        Path(str(program.__file__)), consortium.path, out / "job.toml", views, 60.0, timeout_s,
        {owner: dict(files) for owner, files in tables.items()},
    )  # fmt: skip

    def show(name: str, line: str) -> None:
        console.print(f"{name} | {line}", markup=False, highlight=False, soft_wrap=True)

    launched = time.monotonic()
    names = [party.name for party in consortium.parties]
    try:
        with LiveProgress(console, title) as progress:
            reports = run_local(consortium, names, arguments, progress=progress, on_print=show)
    except BaseException:
        for name in names if views is not None else []:
            forget(out / "views" / name)  # also of a party that was killed and could not clean up itself
        raise
    return Ran(reports, time.monotonic() - launched, views)


def told(console: Console, out: Path, result: DemoResult, *, json: bool, started: float) -> DemoResult:
    """Write result and report, and say what came out."""
    written = write_outputs(out, {"result.json": result.to_json(), "report.html": render_html(result)})
    if json:
        sys.stdout.write(result.to_json())
    else:
        show_result(console, result, tuple(written.values()))
        console.print(f"everything together took {time.monotonic() - started:.1f} s", style="dim")
    return result


def costs(ran: Ran, packages: Sequence[str]) -> dict[str, Any]:
    """The fields of ``DemoResult`` that every run has: what it cost, what was opened and seen, on which machine."""
    reports, views = ran.reports, ran.views
    return {
        "wall_s": ran.wall_s,
        "cpu_s": sum(reports[c].cpu_s for c in COMPUTE),
        "bytes_sent": [reports[c].bytes_sent for c in COMPUTE],
        "rounds": ran.first.rounds,
        "parties": [PartyCost(n, _role(n), r.cpu_s, r.bytes_sent, r.rounds) for n, r in reports.items()],
        "openings": _openings(ran.first),
        "views": [_view(n, views / n) for n in reports] if views is not None else [],
        "protocol": "Rep3: replicated secret sharing over Z_2^64, three compute parties.",
        "security": "one curious compute party, together with any owners, learns nothing but what was opened.",
        "kernels": ran.first.kernels,
        "machine": _machine(),
        "date": datetime.now().astimezone().isoformat(timespec="seconds"),
        "versions": {n: version(n) for n in ("privity", "numpy", "cryptography", *packages)}
        | {"python": platform.python_version()},
        "stages": [StageCost(s.name, s.wall_s, s.rounds, s.bytes_sent) for s in ran.first.stages],
    }


def opening(name: str, shape: Sequence[int], to: str, count: int = 1) -> list[str]:
    """One line of the openings list, as TOML."""
    return ["[[openings]]", f'name = "{name}"', f"shape = {list(shape)}", f'to = "{to}"', f"count = {count}", ""]


def table_section(schema: TableSchema, owners: Sequence[str]) -> list[str]:
    """A table's schema in the job file, as TOML."""
    return [
        f"[tables.{schema.name}]",
        f"owners = {json.dumps(list(owners))}",
        "columns = [",
        *(f"    {_inline(c)}," for c in schema.to_mapping()["columns"]),
        "]",
        "",
    ]


def _inline(column: Mapping[str, Any]) -> str:
    # what the schema says by itself
    defaults: dict[str, Any] = {
        "role": "feature", "transform": "none", "categories": (), "missing": False, "normalize": (), "bins": (),
    }  # fmt: skip
    if column["kind"] in ("binary", "category") or column["role"] == "key":
        defaults["bound"] = 1.0
    kept = {k: v for k, v in column.items() if defaults.get(k) != (tuple(v) if isinstance(v, list) else v)}
    return "{ " + ", ".join(f"{key} = {json.dumps(value)}" for key, value in kept.items()) + " }"


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
