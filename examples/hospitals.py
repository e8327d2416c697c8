"""Three hospitals know other facts about the same patients: linked in secret, one model with standard errors.

All parties are threads of this process. Needs scikit-learn, for its diabetes data. Run: python examples/hospitals.py
"""

from typing import Any

import numpy as np
from sklearn.datasets import load_diabetes

import privity as pv
from privity.data.keys import fingerprints
from privity.ml import LogisticRegression, open_inference
from privity.ml.preprocessing import Pipeline, SimpleImputer, StandardScaler
from privity.table import Field, TableInfo, table_inputs

MEASURED = {"practice": ("age", "sex", "bmi"), "ward": ("bp",), "laboratory": ("s1", "s2", "s5", "s6")}
LABEL = Field("progressed", "binary")
TABLES = {
    owner: TableInfo(
        owner,
        tuple(Field(n, "number", 0.25, 0.25, missing=n == "bp") for n in names),  # |x| < 0.25 in this data set
        label=LABEL if owner == "practice" else None,
        keyed=True,
    )
    for owner, names in MEASURED.items()
}


def program(s: pv.Session) -> Any:
    """Who is in all three tables stays secret; only the number of these patients and the model are opened."""
    patients = pv.link(*(s.table(name) for name in TABLES))
    rows = Pipeline([("fill", SimpleImputer()), ("scale", StandardScaler())]).fit_transform(patients)
    model = LogisticRegression(alpha=0.0, max_iter=6, coefficient_bound=16.0).fit(rows)
    assert model.standard_errors_ is not None
    return patients.rows, open_inference(
        model.coefficients_, model.standard_errors_, model.names_, to=tuple(TABLES), name="model", reason="the study"
    )


def main() -> None:
    data, generator = load_diabetes(), np.random.default_rng(4)
    values, progressed = data.data.copy(), (data.target > np.median(data.target)) * 1.0
    values[generator.random(len(values)) < 0.1, data.feature_names.index("bp")] = np.nan
    inputs = {}
    for owner, names in MEASURED.items():  # each has seen nine of ten patients, in an order of its own
        seen = generator.permutation(len(values))[: len(values) * 9 // 10]
        columns = values[np.ix_(seen, [data.feature_names.index(n) for n in names])]
        keys = fingerprints([[f"patient {i}" for i in seen]])
        inputs[owner] = table_inputs(TABLES[owner], columns, progressed[seen] if owner == "practice" else None, keys)
    result = pv.simulate(program, inputs=inputs, tables=TABLES)
    linked, model = result.outputs["practice"]
    print(f"{linked} patients are in all three tables; opened: {[line['name'] for line in result.opened]}")
    print(model)


if __name__ == "__main__":
    main()
