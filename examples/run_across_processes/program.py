"""Two clinics compare a treatment: how many patients it had, and the mean change of blood pressure with and without."""

from typing import Any

import privity as pv


def program(s: pv.Session) -> dict[str, Any]:
    """Every party runs these lines; what they open stands in program.toml."""
    with s.stage("sharing"):
        patients = s.table("patients")
    change = patients.features[:, 0]  # divided by the column's unit, a public power of two
    treated = patients.label
    assert treated is not None
    with s.stage("statistics"):
        count = treated.sum()
        with_it = (change * treated).sum()
        without = change.sum() - with_it
    return {
        "unit": patients.units[0],
        "rows": patients.rows,
        "treated": s.reveal(count, to="all", name="treated", reason="size of the group"),
        "with": s.reveal(with_it, to=["study"], name="with", reason="sum of changes, treated"),
        "without": s.reveal(without, to=["study"], name="without", reason="sum of changes, not treated"),
    }
