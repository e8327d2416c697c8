"""The demo's real data, if its package is installed (``make test`` installs it)."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

import pytest

from privity.demo.banks_data import PACKAGE, BankFiles, prepare_banks


@pytest.fixture(scope="session")
def bank_files(tmp_path_factory: pytest.TempPathFactory) -> BankFiles:
    try:
        importlib.metadata.distribution(PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        pytest.skip(f"the demo's data package {PACKAGE} is not installed")
    folder: Path = tmp_path_factory.mktemp("banks")
    return prepare_banks(folder)
