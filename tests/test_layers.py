"""Imports point downward only, and each danger has one door: read from the syntax trees of the whole package."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.syntax import nodes

PACKAGE = Path(__file__).parent.parent / "src" / "privity"
FILES = sorted(PACKAGE.rglob("*.py"))

LAYERS = {
    0: ("errors", "types", "lines", "words", "given"),
    1: ("ring",),
    2: ("net",),
    3: ("mpc", "psi"),
    4: (
        *("inputs", "openings", "terms", "common_numbers", "context", "session", "array", "functions"),
        *("simulation", "fields", "frames", "table_inputs", "table", "grouping", "relations", "debug", "disclosure"),
    ),
    5: ("ml", "stats", "torch"),
    6: ("jobs",),
    7: ("data", "node"),
    8: (
        *("demo", "bench", "report", "cli", "party_process", "ending", "entry", "testing", "serve", "console"),
        "__main__",
    ),
}
LAYER = {name: level for level, names in LAYERS.items() for name in names}

# Public choices, reproducible by design; masks come from ring/prg.py alone. Names of modules below privity.
PUBLIC_CHOICES = {
    "ring.exact": "public starts, from a generator that is handed in",
    "ml.linear": "order of mini-batches, the same at all parties",
    "ml.constant": "multipliers of rows, the same at all parties",
    "table": "which rows train and which test, the same at all parties",
    "ml.selection": "which rows train and which test, the same at all parties",
    "ml.trees.draws": "which rows and columns each tree sees, the same at all parties",
    "ml.trees.boosting": "which rows and columns a tree learns from, the same at all parties",
    "ml.trees.isolation": "which rows and columns each tree sees, and draws among thresholds, the same at all parties",
    "ml.kmeans": "which rows are the first centres, the same at all parties",
    "ml.factorization": "first factors of the items, the same at all parties",
    "functions.decompose": "start vectors and vectors to check with, the same at all parties",
    "demo.bootstrap": "resampling of results that were opened",
    "demo.boosted": "which rows are left out, public",
    "demo.banks_data": "the demo's hold-out",
    "demo.hospitals_data": "hold-out, and who was treated where",
    "bench.curves": "data to measure with",
    "bench.workloads": "made-up data",
    "bench.network": "made-up data and first weights",
    "bench.clusters": "made-up data",
    "bench.datasets": "which rows of real data are left out",
    "bench.trees": "made-up data",
    "bench.factor": "made-up data",
    "bench.linkage": "made-up data",
    "testing": "executions for tests",
}
# Fresh bytes from the operating system that are not masks.
SYSTEM_RANDOMNESS = {
    "ring.prg": "seeds",
    "net.handshake": "nonces of key agreement",
    "net.memory": "what key agreement gives on sockets",
}


def module(path: Path) -> str:
    """Dotted name below privity; a package is named by its folder."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """(line, absolute dotted name) of every import in a file, those inside functions too."""
    package = ["privity", *path.relative_to(PACKAGE).parent.parts]
    for node in nodes(path):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            stem = ".".join([*base, *([node.module] if node.module else [])])
            yield from ((node.lineno, f"{stem}.{alias.name}") for alias in node.names)


def below(name: str) -> str | None:
    """The part of an imported name below privity, None for other packages."""
    head, _, rest = name.partition(".")
    return rest if head == "privity" else None


def uses(path: Path, *names: str) -> list[str]:
    """Places where a file imports one of these modules, or reaches it as an attribute (np.random)."""
    inside = tuple(n + "." for n in names)
    found = [f"{path.name}:{line}" for line, name in imports(path) if name in names or name.startswith(inside)]
    for node in nodes(path):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            whole = {"np": "numpy"}.get(node.value.id, node.value.id) + "." + node.attr
            found += [f"{path.name}:{node.lineno}" for n in names if whole == n]
    return found


@pytest.mark.parametrize("path", FILES, ids=[module(f) or "privity" for f in FILES])
def test_imports_point_downward(path: Path) -> None:
    here = module(path).partition(".")[0]
    if not here:
        return  # privity/__init__.py names what users need, from any layer
    assert here in LAYER, f"{here} has no layer yet: add it to LAYERS, as low as it can be"
    for line, name in imports(path):
        target = below(name)
        if target is None:
            continue
        there = target.partition(".")[0]
        if there in LAYER:
            assert LAYER[there] <= LAYER[here], (
                f"{path.name}:{line}: {here} (layer {LAYER[here]}) imports {there} (layer {LAYER[there]})"
            )
        else:
            assert LAYER[here] == max(LAYERS), f"{path.name}:{line}: import {name} from the module that defines it"


def test_every_layer_is_seen() -> None:
    """A walk that finds nothing would pass."""
    seen = {module(f).partition(".")[0] for f in FILES}
    assert {"errors", "ring", "net", "mpc", "session", "ml", "jobs", "data", "demo"} <= seen
    assert ("array.py", True) in {(f.name, any(below(n) for _, n in imports(f))) for f in FILES}


def test_masks_never_come_from_a_statistical_generator() -> None:
    for path in FILES:
        found = uses(path, "numpy.random", "random")
        assert not found or module(path) in PUBLIC_CHOICES, f"{found}: masks come from ring/prg.py only"


def test_system_randomness_has_few_doors() -> None:
    for path in FILES:
        found = uses(path, "secrets", "os.urandom", "uuid", "ssl.RAND_bytes")
        assert not found or module(path) in SYSTEM_RANDOMNESS, f"{found}: fresh seeds come from ring/prg.py only"


def test_the_exceptions_are_still_needed() -> None:
    modules = {module(f): f for f in FILES}
    for name in PUBLIC_CHOICES:
        assert uses(modules[name], "numpy.random", "random"), f"{name} draws nothing any more"
    for name in SYSTEM_RANDOMNESS:
        assert uses(modules[name], "secrets", "os.urandom"), f"{name} draws nothing any more"


def test_native_code_has_one_door() -> None:
    for path in FILES:
        if module(path) != "ring.kernels":
            assert not [name for _, name in imports(path) if "_native" in name], f"{path.name}: use ring.kernels"


def test_nothing_that_came_from_outside_is_executed() -> None:
    for path in FILES:
        if module(path) == "demo.support2":
            continue  # a file pinned by its hash, read with every name replaced: tests/demo/test_hospitals_data.py
        assert not uses(path, "pickle", "marshal", "shelve", "dill"), f"{path.name}: the wire format is net/wire.py"
        for node in nodes(path):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in ("eval", "exec", "__import__"), f"{path.name}:{node.lineno}"
