"""No file of mpc/ imports NumPy: shares are touched through ring/ only, so that they may live elsewhere one day."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from tests.syntax import nodes

MPC = Path(__file__).parent.parent / "src" / "privity" / "mpc"
FILES = sorted(MPC.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=[f.stem for f in FILES])
def test_protocol_code_does_not_know_numpy(path: Path) -> None:
    for node in nodes(path):
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        assert not any(n.split(".")[0] == "numpy" for n in names), f"{path.name}:{getattr(node, 'lineno', 0)}"
        if isinstance(node, ast.Name):
            assert node.id not in ("np", "numpy"), f"{path.name}:{node.lineno}"


def test_the_protocols_are_among_them() -> None:
    assert {"rep3", "rep3_bits", "rep3_sine", "plain", "outside", "approx", "party"} <= {f.stem for f in FILES}
