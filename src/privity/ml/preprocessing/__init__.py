"""Preprocessing on shares, with scikit-learn's names and contract: ``fit`` and ``transform`` of tables.

What a transform learns (means, quantiles, categories' weights) stays secret until somebody opens it.
"""

from .credit import WOEEncoder, information_value
from .curves import Clip, LogTransformer, PowerTransformer
from .encode import KBinsDiscretizer, OneHotEncoder, OrdinalEncoder
from .impute import SimpleImputer
from .pipeline import Pipeline
from .scaling import MinMaxScaler, RobustScaler, StandardScaler
from .transform import Transform

__all__ = [
    "Clip",
    "KBinsDiscretizer",
    "LogTransformer",
    "MinMaxScaler",
    "OneHotEncoder",
    "OrdinalEncoder",
    "Pipeline",
    "PowerTransformer",
    "RobustScaler",
    "SimpleImputer",
    "StandardScaler",
    "Transform",
    "WOEEncoder",
    "information_value",
]
