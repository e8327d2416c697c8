"""What a failed guard says: which argument or column, at which line, and the way out."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.syntax import nodes

import privity as pv
from privity.data.keys import fingerprints
from privity.errors import RangeViolated
from privity.functions.flags import as_flags
from privity.table import Field, TableInfo, table_inputs

SOURCE = Path(pv.__file__).parent


def test_every_guard_of_the_package_says_what_it_asks() -> None:
    """``context.guard(violations)`` alone would have the message speak of a bound that nobody stated."""
    silent: list[str] = []
    for file in SOURCE.rglob("*.py"):
        for node in nodes(file):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "guard"):
                continue
            owner = ast.unparse(node.func.value)
            hint = node.args[1] if len(node.args) > 1 else None
            if owner.endswith("context") and (hint is None or (isinstance(hint, ast.Constant) and not hint.value)):
                silent.append(f"{file.relative_to(SOURCE)}:{node.lineno}")
    assert not silent


A = TableInfo("A", (Field("a", "number", 8.0, 8.0),), keyed=True)
B = TableInfo("B", (Field("b", "number", 8.0, 8.0),), keyed=True)


def linked(left: list[str], right: list[str], **options: Any) -> Any:
    inputs = {
        owner: table_inputs(info, np.ones((len(keys), 1)), keys=fingerprints([keys]))
        for owner, info, keys in (("a", A, left), ("b", B, right))
    }

    def program(s: pv.Session) -> Any:
        table = pv.link(s.table("A"), s.table("B"), **options)
        return s.reveal(table["a"].sum(), to="all", name="x", reason="r")

    return pv.simulate(program, inputs=inputs, tables={"A": A, "B": B}, minimum_group=1).output


def refusal(act: Any) -> str:
    with pytest.raises(RangeViolated) as caught:
        act()
    assert "results would be wrong, so the session has ended" in str(caught.value)
    return str(caught.value)


def test_a_linkage_with_a_key_that_comes_twice() -> None:
    text = refusal(lambda: linked(["p", "p", "q"], ["p", "q", "r"]))
    assert "what the program needs does not hold at test_guards.py:" in text and "larger bound" not in text
    assert "holds a key twice: leave repeated rows out (drop_repeats, duplicates = 'first' in the schema)" in text
    assert linked(["p", "s", "q"], ["p", "q", "r"]) == pytest.approx(2.0, abs=1e-4)


def test_a_linkage_with_more_rows_than_its_capacity() -> None:
    text = refusal(lambda: linked(["p", "q"], ["p", "q"], capacity=1))
    assert "link: capacity=1 holds all common rows: raise capacity" in text and "larger bound" not in text
    assert linked(["p", "q"], ["p", "q"], capacity=2) == pytest.approx(2.0, abs=1e-4)


def test_more_groups_than_the_capacity() -> None:
    def program(s: pv.Session) -> Any:
        groups = pv.group_by(s.secret("k", "o"), {"n": ("count", None)}, capacity=2)
        return s.reveal(groups["n"], to="all", name="n", reason="r")

    text = refusal(lambda: pv.simulate(program, inputs={"o": {"k": pv.Input(np.array([1, 2, 3]), 4, 0)}}))
    assert "group_by: capacity=2 holds all groups" in text and "larger bound" not in text


def opened(act: Any, **inputs: pv.Input) -> Any:
    def program(s: pv.Session) -> Any:
        return s.reveal(act(*(s.secret(name, "o") for name in inputs)).sum(), to="all", name="x", reason="r")

    return pv.simulate(program, inputs={"o": inputs}).output


def test_bounds_that_were_stated() -> None:
    x = pv.Input(np.array([0.5, 3.0]), 4.0)
    text = refusal(lambda: opened(lambda x: x.assume_bound(1.0), x=x))
    assert "a value left the bound that the program stated at test_guards.py:" in text
    assert "(|x| <= 1); results" in text and text.endswith("State a larger bound where |x| is asked, or scale the data")
    text = refusal(lambda: opened(lambda x: x.assume_bound(1.0, "the rate: raise most_rate"), x=x))
    assert text.endswith("(|x| <= 1, the rate: raise most_rate); results would be wrong, so the session has ended.")
    text = refusal(lambda: opened(lambda x: pv.divide(1.0, x, at_most=1.0), x=x))
    assert "(|1 / x| <= 1: state a larger at_most, or keep x away from 0)" in text


def test_many_bounds_of_one_line_are_one() -> None:
    def program(s: pv.Session) -> Any:
        x = s.secret("x", "o")
        for bound in (8.0, 6.5, 6.0, 5.0, 2.0): x = x.assume_bound(bound)  # noqa: E701
        return s.reveal(x.sum(), to="all", name="x", reason="r")

    text = refusal(lambda: pv.simulate(program, inputs={"o": {"x": pv.Input(np.array([3.0]), 8.0)}}))
    assert "a value left the bound that the program stated at" in text and "(one of 5 bounds on |x|, 2 to 8)" in text


def test_guards_of_several_kinds_on_one_line() -> None:
    """One flag for all of them: the message names them all and says no more than that one failed."""
    x, y = pv.Input(np.array([0.5, 3.0]), 4.0), pv.Input(np.array([0.0, 2.0]), 2.0)
    text = refusal(lambda: opened(lambda x, y: x.assume_bound(3.5) + as_flags(y, "y"), x=x, y=y))
    assert text.startswith("what the program stated or needs does not hold at test_guards.py:")
    assert "(y holds 0 and 1 only" in text and ", or |x| <= 3.5)" in text
