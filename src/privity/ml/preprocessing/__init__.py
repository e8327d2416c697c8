"""Preprocessing on shares, with scikit-learn's names and contract: ``fit`` and ``transform`` of tables."""

from .scaling import StandardScaler

__all__ = ["StandardScaler"]
