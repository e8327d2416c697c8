"""Five owners train one model on data that none of them shows, here with all parties as threads of this process.

Needs scikit-learn, for its breast cancer data and for the comparison. Run: python examples/banks.py
The same program runs across processes and hosts: see run_across_processes.
"""

from collections import Counter
from typing import Any

import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression as Centralised
from sklearn.metrics import roc_auc_score

import privity as pv
from privity.ml import LogisticRegression
from privity.ml.preprocessing import StandardScaler
from privity.table import Field, TableInfo, numbers, table_inputs

BANKS = ("bank_a", "bank_b", "bank_c", "bank_d", "bank_e")
UNITS = (64.0, 64.0, 512.0, 8192.0, 1.0, 2.0, 2.0, 1.0, 1.0, 1.0) * 3
"""For mean, error and worst of ten measures (radius, texture, perimeter, area ...) a power of two that no value passes:
public, from what the measures mean, agreed before anybody opens a file."""


def program(s: pv.Session) -> Any:
    """Runs at every party: owners deal their rows as shares, compute parties work on shares, banks get the model."""
    patients = s.table("patients")
    scaler = StandardScaler()
    x = scaler.fit_transform(patients).features
    assert patients.label is not None
    model = LogisticRegression(solver="sgd", learning_rate=0.5, epochs=20, batch_size=64, alpha=0.01)
    model.fit(x, patients.label)
    coefficients = scaler.unscale(model.coefficients_)
    return s.reveal(coefficients, to=BANKS, name="coefficients", reason="the model, for the five owners")


def main() -> None:
    x, y = load_breast_cancer(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))
    train, test = order[:450], order[450:]

    parts = dict(zip(BANKS, np.split(train, 5), strict=True))
    info = TableInfo("patients", numbers(load_breast_cancer().feature_names, UNITS), Field("benign", "binary"))

    result = pv.simulate(
        program,
        parties=3,
        inputs={bank: table_inputs(info, x[rows], y[rows]) for bank, rows in parts.items()},
        tables={"patients": info},
        openings=[pv.Opening("coefficients", (len(UNITS) + 1,), BANKS)],
    )

    weights = result.outputs["bank_a"]
    secure = roc_auc_score(y[test], (x[test] / UNITS) @ weights[:-1] + weights[-1])
    mean, deviation = x[train].mean(axis=0), x[train].std(axis=0)
    pooled = Centralised(C=1 / (0.01 * len(train))).fit((x[train] - mean) / deviation, y[train])
    centralised = roc_auc_score(y[test], pooled.decision_function((x[test] - mean) / deviation))

    print(f"ROC AUC on {len(test)} held-out rows: secure {secure:.4f}, scikit-learn on pooled rows {centralised:.4f}")
    print(f"compute_0 got: {result.output}")
    for (name, to), count in Counter((line["name"], ", ".join(line["to"])) for line in result.opened).items():
        print(f"opened {count} x {name} to {to}")


if __name__ == "__main__":
    main()
