"""All entries: importing this module fills ``ENTRIES``."""

from . import (
    algebra,
    elementwise,
    fits,
    glm,
    metrics,
    others,
    reductions,
    shapes,
    statistics,
    tables,
    transforms,
    trees,
)
from .case import ENTRIES

MODULES = (
    elementwise,
    reductions,
    shapes,
    algebra,
    statistics,
    metrics,
    transforms,
    tables,
    fits,
    glm,
    others,
    trees,
)

__all__ = ["ENTRIES", "MODULES"]
