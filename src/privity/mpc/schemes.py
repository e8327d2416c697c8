"""The protocols that a job file may name. InsecurePlain is not among them: it protects nothing."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from .rep3 import Rep3

SCHEMES: Mapping[str, type[Rep3]] = MappingProxyType({Rep3.name: Rep3})
