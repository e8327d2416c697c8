"""Every public name, and those that need no entry, each with its reason: the first thing that a new function meets."""

from __future__ import annotations

from typing import Final

import privity as pv
from privity import ml, stats
from privity.ml import metrics, preprocessing
from privity.table import Table

from .case import ENTRIES
from .elementwise import TABLE, exists

EXEMPT: Final = {
    "pv.Input": "what every case brings",
    "pv.Opening": "a line of the openings list; no number comes from it",
    "pv.Plan": "costs, compared with measured ones by tests/debug",
    "pv.PrivityError": "an exception",
    "pv.Rep3": "the protocol under every case",
    "pv.SecureArray": "what every case computes on",
    "pv.Session": "in every case",
    "pv.Simulation": "in every case",
    "pv.Table": "its methods are entries",
    "pv.Withheld": "what is not opened to a party",
    "pv.plan": "costs, compared with measured ones by tests/debug",
    "pv.random": "its functions are entries",
    "pv.simulate": "in every case",
    "stats.Estimate": "what statistics return",
    "stats.TestResult": "what tests return",
    "metrics.UNDEFINED": "a constant",
    "preprocessing.Transform": "the abstract class",
    "ml.Pipeline": "preprocessing.Pipeline",
    "Table.block": "matrix without its checks: inside",
    "Table.column": "a column with its field: public facts",
    "Table.columns": "public names",
    "Table.feature_names": "public names",
    "Table.fields": "public facts",
    "Table.keys": "fingerprints, which link and intersect use",
    "Table.label_name": "a public name",
    "Table.name": "a public name",
    "Table.replaced": "inside: what transforms make tables with",
    "Table.rows": "a public number",
    "Table.session": "the session",
    "Table.units": "public numbers",
    "Table.valid": "the row mask, in every count of rows",
}


def public_names() -> list[str]:
    """All public functions, statistics, metrics, transforms, estimators and methods of tables, with their package."""
    names = [f"np.{n}" for n in TABLE if exists(n)]
    names += [f"pv.{n}" for n in pv.__all__]
    names += [f"random.{n}" for n in ("bits", "bernoulli", "integers", "uniform", "normal", "permutation", "dropout")]
    names += [f"stats.{n}" for n in stats.__all__]
    names += [f"metrics.{n}" for n in metrics.__all__]
    names += [f"preprocessing.{n}" for n in preprocessing.__all__]
    names += [f"ml.{n}" for n in ml.__all__]
    names += [f"selection.{n}" for n in ("KFold", "StratifiedKFold", "cross_val_score", "train_test_split")]
    names += [f"Table.{n}" for n in dir(Table) if not n.startswith("_")]
    return names


def missing() -> list[str]:
    """Public names without an entry."""
    covered = {name for entry in ENTRIES.values() for name in entry.covers}
    return [n for n in public_names() if n not in covered and n not in EXEMPT]
