"""docs/numpy.md names every function of NumPy that takes arrays, and says what the dispatch table says."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np

from privity.functions.dispatch import aliases, name_of, table
from privity.functions.refused import REFUSED

ROOT = Path(__file__).parents[2]


def names_of_numpy() -> set[str]:
    """Ufuncs and functions that take arrays, as NumPy calls them and as they call themselves."""
    found = set()
    for prefix, module in (("", np), ("linalg.", np.linalg), ("fft.", np.fft)):
        for name in dir(module):
            value = getattr(module, name)
            if not name.startswith("_") and isinstance(value, np.ufunc | type(np.sum)):
                found |= {prefix + name, value.__name__ if isinstance(value, np.ufunc) else name_of(value)}
    return found


def test_every_name_of_numpy_is_supported_or_refused() -> None:
    known = {*table(), *REFUSED, *aliases()}
    assert sorted(names_of_numpy() - known) == []
    assert sorted(set(table()) & set(REFUSED)) == []
    assert sorted(n for n, target in aliases().items() if target not in table()) == []


def test_the_page_is_what_the_table_says() -> None:
    spec = importlib.util.spec_from_file_location("generate_numpy", ROOT / "docs" / "generate_numpy.py")
    assert spec is not None and spec.loader is not None
    generator = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generator)
    page = (ROOT / "docs" / "numpy.md").read_text("utf-8")
    assert page == generator.render(), "run: python docs/generate_numpy.py"
    assert all(f"| `{name}` |" in page for name in names_of_numpy())
