"""Every size at which the code takes another path is known, and stated with the test that goes beyond it."""

from __future__ import annotations

import ast
from pathlib import Path

import privity

PACKAGE = Path(privity.__file__).parent
LOOKED_AT = [*PACKAGE.glob("mpc/**/*.py"), *PACKAGE.glob("psi/*.py"), *(PACKAGE / "ring").glob("*.py")]

# Pieces in which masks are drawn or messages travel; and the plan of a sort, which asks in batches.
THRESHOLDS = {
    "mpc/party.py _COALESCE", "mpc/radix.py _PREPARED", "mpc/rep3/protocol.py _CHUNK", "mpc/rep3/planes.py _WIDE",
    "mpc/rep3/shuffle.py _WORD", "psi/oprf.py CHUNK", "ring/order.py BATCH", "ring/prg.py _BLOCK_WORDS",
    "ring/prg.py _SMALL_WORDS", "ring/trig.py _BLOCK",
}  # fmt: skip
# Numbers of the mathematics, bounds beyond which there is an error and no other path, and the hash of public numbers,
# which masks nothing.
OTHERS = {
    "mpc/public_numbers.py _SHORT", "mpc/public_numbers.py _TOGETHER", "mpc/public_numbers.py MOST_LINES",
    "ring/prg.py _AT_ONCE",
    "psi/base_ot.py POINT_BYTES", "psi/base_ot.py _FIELD", "psi/coins.py ORDER", "psi/diffie_hellman.py _A",
    "psi/diffie_hellman.py _FIELD", "psi/items.py LARGEST", "psi/oprf.py WIDTH", "ring/trig.py _PI",
}  # fmt: skip


def large_constants(path: Path) -> set[str]:
    """Whole numbers from 64 on that a module gives a name in capitals, if they are written out."""
    found = set()
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            named = node.targets[0] if isinstance(node, ast.Assign) else node.target
            try:
                value = eval(compile(ast.Expression(node.value), "", "eval"), {})
            except NameError:
                continue
            if isinstance(named, ast.Name) and named.id.isupper() and isinstance(value, int) and value >= 64:
                found.add(f"{path.relative_to(PACKAGE).as_posix()} {named.id}")
    return found


def test_every_threshold_is_listed() -> None:
    """A new one belongs in THRESHOLDS, in docs/security/view-tests.md, and below the sizes of the tests named there."""
    found = set().union(*(large_constants(path) for path in LOOKED_AT))
    assert found == THRESHOLDS | OTHERS
    page = (Path(__file__).parents[2] / "docs" / "security" / "view-tests.md").read_text("utf-8")
    assert not [name for name in THRESHOLDS if f"`{name.split()[1]}`" not in page]
