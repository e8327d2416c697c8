"""One case of each kind, and an entry for every public name. The whole campaign: ``make campaign``."""

from __future__ import annotations

import pytest
from tests.campaign import coverage, entries, judge

SEED = 1
CASES = {
    "pv.silu": 1,
    "np.std": 1,
    "np.digitize": 1,
    "pv.group_by": 4,
    "np.cov": 3,
    "np.corrcoef": 3,
    "ml.ElasticNet": 1,
    "ml.LogisticRegression newton": 1,
    "ml.NegativeBinomialRegressor": 2,
    "ml.GammaRegressor": 2,
    "ml.TweedieRegressor": 1,
    "ml.PCA": 3,
    "ml.TruncatedSVD": 2,
    "metrics.mean_squared_error": 1,
    "stats.correlation": 7,
    "stats.variance_inflation": 2,
    "stats.ttest": 4,
    "stats.describe": 4,
    "Table.group_by": 5,
    "preprocessing.RobustScaler": 1,
    "preprocessing.Clip": 1,
    "preprocessing.LogTransformer": 1,
    "preprocessing.Pipeline": 1,
    "ml.GradientBoostingClassifier": 1,
    "ml.GradientBoostingClassifier several classes": 2,
    "ml.GradientBoostingRegressor": 2,
}
"""Kinds whose first case asks for more than is answered: another one. All others run their first."""


def test_every_public_name_has_an_entry() -> None:
    lacking = coverage.missing()
    assert not lacking, f"add an entry to tests/campaign (see its README) for: {', '.join(lacking)}"


def test_no_exemption_is_idle() -> None:
    assert not set(coverage.EXEMPT) - set(coverage.public_names()), "a name in EXEMPT is no longer public"


@pytest.mark.parametrize("kind", entries.ENTRIES)
def test_one_case(kind: str) -> None:
    number = CASES.get(kind, 0)
    v = judge.judged(entries.ENTRIES[kind], SEED, number)
    again = f"python -m tests.campaign --seed {SEED} --kind '{kind}' --case {number}"
    assert v.verdict in (judge.RIGHT, judge.REFUSED), f"{v.verdict}: {v.detail}\n{v.note}\n{again}"
