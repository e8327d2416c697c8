"""Each protocol module opens with its card, from which people and the documentation learn what it promises."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from tests.syntax import nodes, tree

ROOT = Path(__file__).parent.parent.parent
MPC = ROOT / "src" / "privity" / "mpc"
FIELDS = ("Adversary", "Assumes", "Reveals", "Error", "Paper")
NOT_PROTOCOLS = {"__init__", "party", "permits", "protocol", "public_numbers", "shares", "rep3_cost", "rep3_draws"}


def over_any_protocol(path: Path) -> bool:
    """Such a module sends nothing itself and promises what the protocol below it promises."""
    return "once over Protocol" in (ast.get_docstring(tree(path)) or "")


MODULES = sorted(f.stem for f in MPC.glob("*.py") if f.stem not in NOT_PROTOCOLS and not over_any_protocol(f))


def card(name: str) -> dict[str, str]:
    """Fields of the card: a word at the start of a line, its text aligned at column 11, continued by indented lines."""
    text = ast.get_docstring(tree(MPC / f"{name}.py")) or ""
    found: dict[str, str] = {}
    field = ""
    for line in text.splitlines():
        start = re.match(r"([A-Z][a-z]+) +(\S.*)$", line)
        if start and start[1] in FIELDS:
            assert line.index(start[2]) == 11, f"{name}: the text of {start[1]} starts in another column"
            assert start[1] not in found, f"{name}: {start[1]} stands twice"
            field = start[1]
            found[field] = start[2]
        elif field and line.startswith(" " * 11):
            found[field] += " " + line.strip()
        else:
            field = ""
    return found


@pytest.mark.parametrize("name", MODULES)
def test_every_protocol_module_has_a_whole_card(name: str) -> None:
    found = card(name)
    assert tuple(found) == FIELDS, f"{name}: expected {', '.join(FIELDS)} in this order, came {', '.join(found)}"
    for field, text in found.items():
        assert len(text) >= 4, f"{name}: {field} says nothing"


@pytest.mark.parametrize("name", MODULES)
def test_cards_refer_to_cards_that_exist(name: str) -> None:
    for text in card(name).values():
        for other in re.findall(r"as in (\w+)\.py", text):
            assert "as in" not in card(other)["Adversary"]
        for page in re.findall(r"docs/\S+\.md", text):
            assert (ROOT / page).exists(), page


def test_what_is_written_once_over_any_protocol_sends_nothing_itself() -> None:
    """So it needs no card: only modules of one protocol reach the network or a mask."""
    paths = [f for f in MPC.glob("*.py") if over_any_protocol(f)]
    assert "approx" in {f.stem for f in paths}
    for path in paths:
        names = {n.attr for n in nodes(path) if isinstance(n, ast.Attribute)}
        assert not names & {"exchange", "channel", "streams"}, path.name


def test_what_is_weaker_says_so() -> None:
    assert "INSECURE" in card("plain")["Adversary"]
    assert "one curious compute party" in card("rep3")["Adversary"]
    assert "low bits of the mask" in card("rep3")["Reveals"], "the functionality of truncation is part of the promise"
