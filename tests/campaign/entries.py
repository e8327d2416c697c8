"""All entries: importing this module fills ``ENTRIES``."""

from . import algebra, elementwise, fits, metrics, reductions, shapes, statistics, tables, transforms, trees
from .case import ENTRIES

__all__ = [
    "ENTRIES", "algebra", "elementwise", "fits", "metrics", "reductions", "shapes", "statistics", "tables",
    "transforms", "trees",
]  # fmt: skip
