"""The program of the hospitals demo: what every party runs, and all that it opens.

Owners, compute parties and receivers run these same lines. Each reads its own copy, with the modules beside it that it
imports, and the hashes of the copies are compared before anything is shared.
"""

from __future__ import annotations

from typing import Any

import privity as pv
from privity.ml import LogisticRegression, open_inference
from privity.ml.metrics import accuracy_score, brier_score_loss, roc_auc_score
from privity.ml.preprocessing import OneHotEncoder, SimpleImputer, StandardScaler

from .trees_program import OPENED, trees_auc

HOSPITALS = ("hospital_1", "hospital_2", "hospital_3")
TABLES = ("admissions", "bedside", "laboratory")
"""Table of each hospital, in the order of ``HOSPITALS``."""

COEFFICIENT_BOUND = 16.0
STEPS = 7
"""Newton's steps: the last one moves no coefficient by a thousandth of its standard error."""


def program(s: pv.Session) -> dict[str, Any]:
    """Three hospitals link their patients and fit one logistic regression; only they get coefficients and errors."""
    with s.stage("sharing"):
        tables = [s.table(name) for name in TABLES]
    with s.stage("linking patients"):
        patients = pv.link(*tables)
    with s.stage("preparing columns"):
        imputer = SimpleImputer(strategy="mean")
        encoder = OneHotEncoder(drop="first")
        scaler = StandardScaler()
        x = scaler.fit_transform(encoder.fit_transform(imputer.fit_transform(patients)))
    with s.stage("training"):
        model = LogisticRegression(alpha=0.0, max_iter=STEPS, coefficient_bound=COEFFICIENT_BOUND).fit(x)
    with s.stage("metrics"):
        probability = model.predict_proba(x)
        died = x.label
        assert died is not None
        metrics = {
            "auc": roc_auc_score(died, probability, valid=x.valid),
            "accuracy": accuracy_score(died, probability > 0.5, valid=x.valid),
            "brier": brier_score_loss(died, probability, valid=x.valid),
        }
    with s.stage("boosted trees"):
        trees = trees_auc(patients)  # with their categories and empty cells
    assert model.standard_errors_ is not None
    with s.stage("opening"):
        fills = pv.stack([imputer.statistics_[n] for n in imputer.columns_])
        moments = pv.stack([scaler.mean_.rescaled(26), scaler.inverse_scale_.rescaled(26)])

        def to_hospitals(value: pv.SecureArray, name: str, reason: str) -> Any:
            return s.reveal(value, to=HOSPITALS, name=name, reason=reason)

        return {
            "linked_rows": patients.rows,
            "model": plain(
                open_inference(
                    model.coefficients_, model.standard_errors_, model.names_, to=HOSPITALS, name="model",
                    reason="coefficients and standard errors, for the three hospitals",
                )
            ),
            "fills": to_hospitals(fills, "fills", "what the model puts in the place of an empty cell"),
            "moments": to_hospitals(moments, "moments", "by which the model standardises each column"),
            OPENED: to_hospitals(trees, OPENED, "boosted trees, judged on patients they did not see"),
            **{n: to_hospitals(v, n, "how well the model fits the linked patients") for n, v in metrics.items()},
        }  # fmt: skip


def plain(opened: Any) -> Any:
    """For the run's report, which holds lists and numbers."""
    if isinstance(opened, pv.Withheld):
        return opened
    return {"coefficients": opened.coefficients, "standard_errors": opened.standard_errors}
