"""What the hospitals demo compares the secure run with: the same model in the clear, and each hospital alone.

For the demonstration only: in a real consortium nobody could hold the joined rows that the centralised model needs.
The pipeline is written again in NumPy: join by the number, mean in the place of an empty cell, first level of each
category dropped, columns standardised; then statsmodels' and scikit-learn's logistic regression without a penalty.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import statsmodels.api as sm
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, average_precision_score, brier_score_loss, roc_auc_score

from privity.data import OwnerTable, TableSchema, read_table
from privity.data.keys import normalised

from .bootstrap import paired_gains
from .hospitals_data import HOSPITALS, TABLES, HospitalFiles
from .result import Coefficient, Evaluation, InferenceLine, Metric

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Cells:
    """Rows of one or more tables in the clear: numbers with NaN for gaps, categories as codes, one row per patient."""

    columns: Mapping[str, Floats]
    levels: Mapping[str, tuple[str, ...]]
    died: npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Design:
    """How cells become the model's columns: learnt from training rows, applied to others."""

    names: tuple[str, ...]
    fills: Mapping[str, float]
    mean: Floats
    sd: Floats

    def matrix(self, cells: Cells) -> Floats:
        """Standardised columns (rows, k)."""
        standardised: Floats = (_columns(cells, self.fills)[0] - self.mean) / self.sd
        return standardised


def learn(cells: Cells) -> Design:
    """Means in the place of gaps, then each column's mean and deviation."""
    fills = {n: float(np.nanmean(x)) for n, x in cells.columns.items() if n not in cells.levels}
    values, names = _columns(cells, fills)
    sd = values.std(axis=0)
    return Design(names, fills, values.mean(axis=0), np.where(sd == 0, 1.0, sd))


def _columns(cells: Cells, fills: Mapping[str, float]) -> tuple[Floats, tuple[str, ...]]:
    made: dict[str, Floats] = {}
    for name, x in cells.columns.items():
        if name in cells.levels:
            made |= {f"{name}_{level}": (x == k + 1) * 1.0 for k, level in enumerate(cells.levels[name][1:])}
        else:
            made[name] = np.where(np.isnan(x), fills.get(name, 0.0), x)
    return np.column_stack(list(made.values())), tuple(made)


def joined(files: HospitalFiles, only: Sequence[str] = HOSPITALS) -> Cells:
    """The patients that these hospitals have in common, ordered by their number, with all of their columns."""
    pairs = [(h, t) for h, t in zip(HOSPITALS, TABLES, strict=True) if h in only]
    return _join({t: read_table(files.tables[h], files.schemas[t], h) for h, t in pairs}, files.schemas)


def alone(files: HospitalFiles, hospital: str) -> Cells:
    """A hospital's own patients with its own columns. The label is lent to it, as otherwise it could train nothing."""
    table = TABLES[HOSPITALS.index(hospital)]
    label = joined(files, sorted({hospital, HOSPITALS[0]}))
    mine = {c.name for c in files.schemas[table].features}
    return Cells({n: x for n, x in label.columns.items() if n in mine}, label.levels, label.died)


def holdout(files: HospitalFiles) -> Cells:
    """The patients who were set aside."""
    return _join({t: read_table(files.holdout[t], files.schemas[t], "hold-out") for t in TABLES}, files.schemas)


def _join(tables: Mapping[str, OwnerTable], schemas: Mapping[str, TableSchema]) -> Cells:
    places = {
        t: {key: i for i, key in enumerate(normalised(table.keys[0], schemas[t].keys[0].normalize))}
        for t, table in tables.items()
    }
    common = sorted(set.intersection(*(set(p) for p in places.values())))
    columns: dict[str, Floats] = {}
    levels: dict[str, tuple[str, ...]] = {}
    died = np.zeros(len(common))
    for t, table in tables.items():
        rows = table.values[[places[t][key] for key in common]]
        for column in schemas[t].shared:
            values = rows[:, table.names.index(column.name)]
            if column.role == "label":
                died = values
            else:
                columns[column.name] = values
                if column.kind == "category":
                    levels[column.name] = column.categories
    return Cells(columns, levels, died)


@dataclass(frozen=True, slots=True)
class Opened:
    """What the secure run opened to the hospitals, in float64 and natural units.

    coef, errors (k + 1,): the intercept last. auc, accuracy, brier: on the linked patients, computed on shares.
    """

    coef: Floats
    errors: Floats
    design: Design
    auc: float
    accuracy: float
    brier: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """The evaluation, the table of coefficients with their errors, metrics of the training rows as (on shares, clear).

    plain_wall_s: of scikit-learn's fit, which is faster than statsmodels' and computes no standard errors.
    """

    evaluation: Evaluation
    inference: list[InferenceLine]
    on_shares: dict[str, tuple[float, float]]
    plain_wall_s: float
    holdout_rows: int


def compare(files: HospitalFiles, opened: Opened, *, resamples: int = 2000) -> Comparison:
    """Secure against centralised on the same linked rows, and against each hospital alone on the hold-out."""
    rows, aside = joined(files), holdout(files)
    design = learn(rows)
    x = design.matrix(rows)
    with_one = np.column_stack([x, np.ones(len(x))])
    seconds = []
    for _ in range(3):  # the first fit also loads libraries
        begun = time.perf_counter()
        sklearn = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-8, max_iter=200).fit(x, rows.died)
        seconds.append(time.perf_counter() - begun)
    fit = sm.Logit(rows.died, with_one).fit(disp=0, method="newton", tol=1e-10, maxiter=50)
    coef, errors = np.asarray(fit.params), np.asarray(fit.bse)
    decisions = {
        "joint": opened.design.matrix(aside) @ opened.coef[:-1] + opened.coef[-1],
        "centralised": sklearn.decision_function(design.matrix(aside)),
        "same": design.matrix(aside) @ coef[:-1] + coef[-1],
    }
    each: dict[str, Floats] = {}
    for hospital in HOSPITALS:
        own = alone(files, hospital)
        how = learn(own)
        model = LogisticRegression(C=np.inf, solver="newton-cholesky", max_iter=200).fit(how.matrix(own), own.died)
        asked = Cells({n: aside.columns[n] for n in own.columns}, own.levels, aside.died)
        each[hospital] = model.decision_function(how.matrix(asked))
    metrics = {
        name: Metric(
            alone={h: float(score(aside.died, d)) for h, d in each.items()},
            joint=float(score(aside.died, decisions["joint"])),
            centralised=float(score(aside.died, decisions["centralised"])),
        )
        for name, score in (("auc", roc_auc_score), ("average_precision", average_precision_score))
    }
    gains = paired_gains(aside.died, decisions["joint"], each, resamples=resamples)
    auc = metrics["auc"]
    names = (*design.names, "(intercept)")
    probability = 1 / (1 + np.exp(-(with_one @ coef)))
    return Comparison(
        Evaluation(
            auc=auc,
            average_precision=metrics["average_precision"],
            auc_gain=gains.auc,
            average_precision_gain=gains.average_precision,
            auc_difference_to_centralised=abs(auc.joint - auc.centralised),
            auc_same_loop=float(roc_auc_score(aside.died, decisions["same"])),
            max_coef_difference=float(np.abs(opened.coef - coef).max()),
            coefficients=[
                Coefficient(name=n, secure=float(a), plain=float(b))
                for n, a, b in zip(names, opened.coef, coef, strict=True)
            ],
        ),
        [
            InferenceLine.of(n, *map(float, line))
            for n, *line in zip(names, opened.coef, opened.errors, coef, errors, strict=True)
        ],
        {
            "ROC AUC": (opened.auc, float(roc_auc_score(rows.died, probability))),
            "accuracy": (opened.accuracy, float(accuracy_score(rows.died, probability > 0.5))),
            "Brier score": (opened.brier, float(brier_score_loss(rows.died, probability))),
        },
        min(seconds),
        len(aside.died),
    )
