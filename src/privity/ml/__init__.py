"""Models on shares, with scikit-learn's names; preprocessing, metrics and model selection are packages beside them."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

# Imported when first used, as in privity itself.
if TYPE_CHECKING:
    from .cox import CoxPHRegressor
    from .decomposition import PCA, TruncatedSVD
    from .factorization import MatrixFactorization
    from .glm import GammaRegressor, NegativeBinomialRegressor, PoissonRegressor, TweedieRegressor
    from .inference import open_inference
    from .kmeans import KMeans
    from .lasso import ElasticNet, Lasso
    from .least_squares import LinearRegression, Ridge
    from .linear import LogisticRegression
    from .mixture import GaussianMixture
    from .multinomial import MultinomialLogisticRegression
    from .naive_bayes import BernoulliNB, CategoricalNB, GaussianNB, MultinomialNB
    from .neighbors import KNeighborsClassifier, KNeighborsRegressor
    from .opened import open_model
    from .preprocessing.pipeline import Pipeline
    from .saving import load, save
    from .selection import GridSearchCV
    from .svm import LinearSVC
    from .trees.boosting import GradientBoostingClassifier, GradientBoostingRegressor
    from .trees.export import open_trees
    from .trees.forest import (
        DecisionTreeClassifier,
        DecisionTreeRegressor,
        RandomForestClassifier,
        RandomForestRegressor,
    )
    from .trees.isolation import IsolationForest

_HOMES = {
    "BernoulliNB": ".naive_bayes",
    "CategoricalNB": ".naive_bayes",
    "CoxPHRegressor": ".cox",
    "DecisionTreeClassifier": ".trees.forest",
    "DecisionTreeRegressor": ".trees.forest",
    "ElasticNet": ".lasso",
    "GammaRegressor": ".glm",
    "GaussianMixture": ".mixture",
    "GaussianNB": ".naive_bayes",
    "GradientBoostingClassifier": ".trees.boosting",
    "GradientBoostingRegressor": ".trees.boosting",
    "GridSearchCV": ".selection",
    "IsolationForest": ".trees.isolation",
    "KMeans": ".kmeans",
    "KNeighborsClassifier": ".neighbors",
    "KNeighborsRegressor": ".neighbors",
    "Lasso": ".lasso",
    "LinearRegression": ".least_squares",
    "LinearSVC": ".svm",
    "LogisticRegression": ".linear",
    "MatrixFactorization": ".factorization",
    "MultinomialLogisticRegression": ".multinomial",
    "MultinomialNB": ".naive_bayes",
    "NegativeBinomialRegressor": ".glm",
    "PCA": ".decomposition",
    "Pipeline": ".preprocessing.pipeline",
    "PoissonRegressor": ".glm",
    "RandomForestClassifier": ".trees.forest",
    "RandomForestRegressor": ".trees.forest",
    "Ridge": ".least_squares",
    "TruncatedSVD": ".decomposition",
    "TweedieRegressor": ".glm",
    "load": ".saving",
    "open_inference": ".inference",
    "open_model": ".opened",
    "open_trees": ".trees.export",
    "save": ".saving",
}

__all__ = [
    "PCA",
    "BernoulliNB",
    "CategoricalNB",
    "CoxPHRegressor",
    "DecisionTreeClassifier",
    "DecisionTreeRegressor",
    "ElasticNet",
    "GammaRegressor",
    "GaussianMixture",
    "GaussianNB",
    "GradientBoostingClassifier",
    "GradientBoostingRegressor",
    "GridSearchCV",
    "IsolationForest",
    "KMeans",
    "KNeighborsClassifier",
    "KNeighborsRegressor",
    "Lasso",
    "LinearRegression",
    "LinearSVC",
    "LogisticRegression",
    "MatrixFactorization",
    "MultinomialLogisticRegression",
    "MultinomialNB",
    "NegativeBinomialRegressor",
    "Pipeline",
    "PoissonRegressor",
    "RandomForestClassifier",
    "RandomForestRegressor",
    "Ridge",
    "TruncatedSVD",
    "TweedieRegressor",
    "load",
    "open_inference",
    "open_model",
    "open_trees",
    "save",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        from ..words import near

        meant = near(name, __all__)
        raise AttributeError(f"module 'privity.ml' has no attribute {name!r}; public names: docs/api.md{meant}")
    value = getattr(import_module(_HOMES[name], __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
