"""The command line of a party process: how a parent says which party to run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path


def party_arguments(
    program: Path,
    consortium: Path,
    job: Path | None,
    view_folder: Path | None,
    start_timeout: float,
    timeout: float,
    tables: Mapping[str, Mapping[str, Path]] | None = None,
    arrays: Mapping[str, Mapping[str, Path]] | None = None,
    trace: Path | None = None,
    store: Path | None = None,
    plan: bool = True,
    here: int = 1,
) -> Callable[[str], list[str]]:
    """The command line of a party process; ``tables``, ``arrays``: party -> name -> file; ``here``: how many compute
    parties share this machine's memory."""

    def arguments(party: str) -> list[str]:
        line = [str(program), "--consortium", str(consortium), "--party", party]
        line += ["--start-timeout", str(start_timeout), "--timeout", str(timeout)]
        if job is not None:
            line += ["--job", str(job)]
        if view_folder is not None:
            line += ["--view-folder", str(view_folder)]
        if trace is not None:
            line += ["--trace", str(trace)]
        if store is not None:
            line += ["--store", str(store)]
        line += ["--here", str(here)] if plan else ["--no-plan"]
        for name, path in (tables or {}).get(party, {}).items():
            line += ["--table", f"{name}={path}"]
        for name, path in (arrays or {}).get(party, {}).items():
            line += ["--array", f"{name}={path}"]
        return line

    return arguments
