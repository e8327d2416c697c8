"""Statistics of secret columns: computed on shares, opened as plain numbers where enough rows stand behind them.

Each function returns an object that holds secrets; its ``open(to=, name=, reason=)`` is the one way out, through
``privity.disclosure``. p values are computed in float64 from opened statistics. See docs/statistics.md.
"""

from .collinearity import variance_inflation
from .compare import mannwhitneyu, ttest
from .crosstab import chi2_contingency, crosstab
from .describe import Description, describe
from .moments import correlation, covariance, mean, variance
from .quantiles import quantile
from .sample import Estimate, TestResult
from .survival import SurvivalCurve, kaplan_meier, logrank

__all__ = [
    "Description",
    "Estimate",
    "SurvivalCurve",
    "TestResult",
    "chi2_contingency",
    "correlation",
    "covariance",
    "crosstab",
    "describe",
    "kaplan_meier",
    "logrank",
    "mannwhitneyu",
    "mean",
    "quantile",
    "ttest",
    "variance",
    "variance_inflation",
]
