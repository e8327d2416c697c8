"""Private set intersection between two owners: which items both have, and nothing else."""

from .intersection import BOTH, Common, intersect

__all__ = ["BOTH", "Common", "intersect"]
