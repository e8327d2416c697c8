"""The program of the linkage tests: two owners' rows linked, filled in, standardised; a few figures opened.

Parameters: ``steps``: how many left joins come before (they open nothing); ``folder``: where each party leaves a file
``reached.<party>`` after the first of them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import privity as pv
from privity.ml.preprocessing import OneHotEncoder, SimpleImputer, StandardScaler


def program(s: pv.Session) -> dict[str, Any]:
    with s.stage("sharing"):
        people, tests = s.table("people"), s.table("tests")
    with s.stage("linking"):
        for step in range(int(s.parameters.get("steps", 0))):
            pv.link(people, tests, how="left")
            if step == 0:
                (Path(str(s.parameters["folder"])) / f"reached.{s.me}").touch()
        both = pv.link(people, tests)
    with s.stage("preparing"):
        full = OneHotEncoder().fit_transform(SimpleImputer().fit_transform(both))
        z = StandardScaler().fit_transform(full)
    return {
        "rows": both.rows,
        "mean": s.reveal(full["ph"].mean(), to="all", name="mean", reason="the mean of the linked rows"),
        "spread": s.reveal((z["age"] * z["age"]).mean(), to="clinic", name="spread", reason="for the clinic alone"),
    }
