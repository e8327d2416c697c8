"""The program of the fault tests: a loop on shares that can be long, and that says where it is.

Parameters: ``steps``; ``folder``: where each party leaves a file ``reached.<party>`` at the third step; ``hold``: all
parties wait there until that file is gone. Both are absent in most tests.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import privity as pv


def program(s: pv.Session) -> dict[str, Any]:
    with s.stage("sharing"):
        rows = s.table("rows")
    steps = int(s.parameters.get("steps", 5))
    folder = s.parameters.get("folder")
    x = rows.features[:, 0]
    state = x * 0.5
    with s.stage("training"):
        for step in range(steps):
            state = (state * 0.5 + x * 0.25).assume_bound(1.0)
            s.progress(step + 1, steps, "loop")
            if step == 2 and folder is not None and s.me != "(planning)":
                reached(Path(str(folder)), s.me)
            s.check_guards()
    return {
        "total": s.reveal(rows.sums, to="all", name="total", reason="the sums of the columns"),
        "state": s.reveal(state.sum(), to="all", name="state", reason="where the loop ended"),
    }


def reached(folder: Path, me: str) -> None:
    (folder / f"reached.{me}").touch()
    deadline = time.monotonic() + 30
    while (folder / "hold").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
