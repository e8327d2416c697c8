"""Nothing is opened without a permit, no name opens more than it says, and a failed guard is the end."""

from __future__ import annotations

import ast
import functools
import re
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.syntax import nodes

import privity as pv
from privity.context import Context
from privity.errors import ConfigError, OpeningRefused, RangeViolated, UsageError
from privity.jobs.job import JobSpec, OpeningSpec
from privity.mpc.permits import Kind, Permit, independent
from privity.mpc.shares import Share, Shown
from privity.openings import RANGE_GUARD, EverythingAllowed, OpeningsList
from privity.session import Session
from privity.table import Field, TableInfo, table_inputs
from privity.testing import ByteView
from privity.types import Channel

X = np.array([724193, 5100, 9900])
PACKAGE = Path(pv.__file__).parent
COMPUTE = ("compute_0", "compute_1", "compute_2")


def simulate(program: Callable[[Session], Any], **options: Any) -> pv.Simulation:
    options = {"openings": [], "receivers": ["spy"], **options}
    return pv.simulate(program, inputs={"bank": {"x": pv.Input(X, bound=2.0**20)}}, **options)


# -- a program has nothing to open with ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "reach",
    [
        lambda s, x: s.protocol.open(x._ring_share(), (0, 1, 2), ("spy",)),
        lambda s, x: x.session.protocol,
        lambda s, x: s.channel,
        lambda s, x: s.party,
        lambda s, x: s.gate,
        lambda s, x: s.log.entries.clear(),
        lambda s, x: s.guard(x),
        lambda s, x: x.ring_share(),
        lambda s, x: (x < 7).bit_share(),
        lambda s, x: x.stated(1.0),
        lambda s, x: x.rearranged(lambda part: part),
    ],
)
def test_a_program_reaches_neither_protocol_nor_shares(reach: Callable[[Session, Any], Any]) -> None:
    with pytest.raises(UsageError, match="a program has no access to"):
        simulate(lambda s: reach(s, s.secret("x", "bank")))


@pytest.mark.parametrize("attribute", ["minimum_group", "parameters", "parties", "seed", "me", "computes", "anything"])
def test_what_a_session_says_cannot_be_changed(attribute: str) -> None:
    def program(s: Session) -> None:
        with pytest.raises(AttributeError):
            setattr(s, attribute, 0)
        for mapping in (s.parameters, s.tables, s.declared, s.declared["bank"]):
            with pytest.raises(TypeError):
                mapping["more"] = 1  # type: ignore[index]
        s.opened.append({"name": "forged"})
        s.stages.append("forged")  # type: ignore[arg-type]
        assert s.opened == [] and s.stages == []

    simulate(program)


@pytest.mark.parametrize("attribute", ["bound", "scale", "shape", "kind", "session", "more"])
def test_what_an_array_says_cannot_be_changed(attribute: str) -> None:
    """A bound that could be set would be a bound that nobody checks."""

    def program(s: Session) -> None:
        with pytest.raises(AttributeError):
            setattr(s.secret("x", "bank"), attribute, 1)

    simulate(program)


@pytest.mark.parametrize("attribute", ["valid", "rows", "keys", "label_name", "name", "session"])
def test_what_a_table_says_cannot_be_changed(attribute: str) -> None:
    """Whoever could set the mask of a table could count rows that nobody has."""
    info = TableInfo("t", (Field("x"),), None)

    def program(s: Session) -> None:
        table = s.table("t")
        with pytest.raises(AttributeError):
            setattr(table, attribute, s.constant([1, 1, 5]))

    pv.simulate(program, inputs={"bank": table_inputs(info, np.ones((3, 1)), None)}, tables={"t": info})


def test_a_permutation_cannot_be_exchanged_for_other_numbers() -> None:
    def program(s: Session) -> None:
        x = s.secret("x", "bank")
        with pytest.raises(AttributeError):
            pv.Permutation.sorting(x).rows = x  # type: ignore[misc]

    simulate(program)


# -- a protocol opens nothing without a permit ----------------------------------------------------------------------


def watched(act: Callable[[Context, Any], Any], **options: Any) -> None:
    """What ``act`` asks of the inside of a session is refused, and no party receives anything for it."""
    views = {name: ByteView() for name in COMPUTE}
    before: dict[str, int] = {}

    def program(s: Session) -> None:
        x = s.secret("x", "bank")
        if s.me in views:
            before[s.me] = len(views[s.me].messages)
        with pytest.raises(OpeningRefused, match="nothing was sent"):
            act(s._context, x)

    simulate(program, recorders=views, **options)
    assert all(len(view.messages) == before[name] for name, view in views.items())


TO = (*COMPUTE, "spy")


def open_with(make: Callable[[Share], Permit]) -> Callable[[Context, Any], Any]:
    def act(c: Context, x: Any) -> Any:
        share = x._ring_share()
        return c.protocol.open(share, (0, 1, 2), ("spy",), 7, permit=make(share))

    return act


def test_a_permit_for_another_value_opens_nothing() -> None:
    watched(open_with(lambda x: EverythingAllowed().permit(Share(x.parts, x.shape), "x", TO, "test")))


def test_a_permit_for_other_receivers_opens_nothing() -> None:
    def act(c: Context, x: Any) -> Any:
        share = x._ring_share()
        permit = EverythingAllowed().permit(share, "x", ("compute_0",), "test")
        if not c.computes:  # holds nothing that it could open, and knows no names of compute parties
            raise OpeningRefused("nothing was sent")
        return c.protocol.open(share, (0,), ("spy",), 7, permit=permit)

    watched(act)


def test_a_permit_for_what_is_independent_of_the_secrets_opens_no_value() -> None:
    watched(open_with(independent))


def test_a_permit_for_a_value_opens_no_bits_and_no_shuffled_rows() -> None:
    def bits(c: Context, x: Any) -> Any:
        b = c.protocol.a2bits(x._ring_share())
        return c.protocol.open_bits(b, permit=Permit(Kind.LISTED, [b], None))

    def rows(c: Context, x: Any) -> Any:
        shown = Shown(x._ring_share(), 20)
        permit = Permit(Kind.GUARD, [shown.value], None)
        return c.protocol.shuffle_and_open([shown], c.protocol.mix(3), permit=permit)

    watched(bits)
    watched(rows)


def test_a_permit_is_spent_once() -> None:
    def program(s: Session) -> Any:
        x, c = s.secret("x", "bank"), s._context
        share = x._ring_share()
        permit = c._gate.permit(share, "x", COMPUTE, "test")
        first = c.protocol.open(share, (0, 1, 2), (), 7, permit=permit)
        with pytest.raises(OpeningRefused, match="a second time"):
            c.protocol.open(share, (0, 1, 2), (), 8, permit=permit)
        return first

    done = simulate(program, openings=[pv.Opening("x", (3,), COMPUTE)])
    np.testing.assert_array_equal(done.output, X)


def test_a_guard_permit_is_for_one_flag() -> None:
    for gate in (EverythingAllowed(), OpeningsList([], 3)):
        with pytest.raises(OpeningRefused, match="one flag, got an array of shape"):
            gate.guard(Share((), (3,)), COMPUTE)


MAKERS = {
    "mpc/permits.py": "defines them",
    "openings.py": "gates: listed values, the flag of guards",
    "mpc/orders.py": "places of shuffled rows",
    "mpc/sort.py": "comparisons of distinct keys in a random order",
    "mpc/radix.py": "masked digits and places of shuffled rows",
    "testing.py": "the kit for tests of protocols",
}


def calls(path: Path) -> set[str]:
    found = set()
    for node in nodes(path):
        if isinstance(node, ast.Call):
            found.add(node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", ""))
    return found


def test_few_files_make_permits() -> None:
    makers = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if calls(path) & {"Permit", "independent"}
    }
    assert makers == set(MAKERS)


def test_gates_are_asked_by_the_context_alone() -> None:
    """``gate.guard`` gives leave to open a flag that is not on the list: only the session's own check asks for it."""
    for path in PACKAGE.rglob("*.py"):
        text = path.read_text("utf-8")
        if path.name != "context.py":
            assert not re.search(r"gate\.(guard|permit)\(", text), f"{path.name} asks a gate itself"
    text = (PACKAGE / "context.py").read_text("utf-8")
    assert text.count("_gate.guard(") == text.count("_gate.permit(") == 1


# -- the name of the guard ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("to", [["spy"], "all", "compute_1"])
def test_the_guards_name_opens_nothing(to: Any) -> None:
    def program(s: Session) -> Any:
        x = s.secret("x", "bank")
        return s.reveal(x[0], to=to, name=RANGE_GUARD, reason="values stayed within their stated bounds")

    for openings in ([], None):  # not even where everything is allowed
        with pytest.raises(UsageError, match="open values under another"):
            simulate(program, openings=openings)


def test_the_guards_name_is_reserved_in_lists_and_jobs() -> None:
    with pytest.raises(UsageError, match="session's own flags"):
        OpeningsList([pv.Opening(RANGE_GUARD, (), ("spy",))])
    job = JobSpec(name="j", openings=[OpeningSpec(name=RANGE_GUARD, to="all")])
    with pytest.raises(ConfigError, match="session's own flags"):
        job.openings_for(["a", "b"], ["a"], ["b"])


# -- a failed guard is the end --------------------------------------------------------------------------------------


AFTER: dict[str, Callable[[Session, Any], Any]] = {
    "another guard": lambda s, x: (x.assume_bound(2.0**20), s.check_guards()),
    "check_guards": lambda s, x: s.check_guards(),
    "an opening": lambda s, x: s.reveal(x.sum(), to="all", name="sum", reason="test"),
    "an opening of what was computed before": lambda s, x: s.reveal(x, to="all", name="x", reason="test"),
    "local arithmetic": lambda s, x: x + x,
    "a product": lambda s, x: x * x,
    "a comparison": lambda s, x: x < 5,
    "a sort": lambda s, x: pv.sort(x),
    "an input": lambda s, x: s.secret("x", "bank"),
    "a constant": lambda s, x: s.constant([1.0]),
    "random numbers": lambda s, x: pv.random.bits(s, 3),
    "a stage": lambda s, x: s.stage("more").__enter__(),
    "a note of progress": lambda s, x: s.progress(1, 2),
}


@pytest.mark.parametrize("what", AFTER)
def test_after_a_failed_guard_everything_is_refused_at_every_party(what: str) -> None:
    seen: dict[str, list[BaseException]] = {}
    together = threading.Barrier(5)  # who ends first tells the others why, and they would end with that

    def program(s: Session) -> Any:
        x = s.secret("x", "bank")
        errors = seen.setdefault(s.me, [])
        for act in (lambda: (x.assume_bound(1000.0), s.check_guards()), lambda: AFTER[what](s, x)):
            try:
                act()
            except BaseException as error:
                errors.append(error)
            together.wait(20)
        return "went on"

    with pytest.raises(RangeViolated):  # though the program caught it and returned
        simulate(program, openings=[pv.Opening("sum", (), TO), pv.Opening("x", (3,), TO)])
    assert len(seen) == 5
    for errors in seen.values():
        assert len(errors) == 2 and errors[1] is errors[0] and "the session has ended" in str(errors[0])


def test_bisecting_with_guards_learns_one_comparison_and_no_more() -> None:
    """One that fails ends all: twenty questions are not to be had."""
    asked: dict[str, int] = {}
    together = threading.Barrier(5)

    def program(s: Session) -> Any:
        x = s.secret("x", "bank")[0]
        low, high = 0, 2**20
        while high - low > 1:
            middle = (low + high) // 2
            asked[s.me] = asked.get(s.me, 0) + 1
            try:
                x.assume_bound(float(middle - 1))
                s.check_guards()
                high = middle
            except RangeViolated:
                low = middle
            together.wait(20)
        return low

    with pytest.raises(RangeViolated, match=r"\|x\| <= 524287"):
        simulate(program)
    assert set(asked.values()) == {20}  # the program asked on; the first answer was the last


@pytest.mark.parametrize("then", ["an opening", "a sort", "the end"])
def test_a_refused_flag_leaves_its_guards_asked(then: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has no flag left may catch that, and still gets nothing that rests on what the flag would have said."""
    monkeypatch.setattr(OpeningsList, "__init__", functools.partialmethod(OpeningsList.__init__, guards=1))
    sums: list[Any] = []

    def program(s: Session) -> Any:
        x = s.secret("x", "bank")
        x.assume_bound(2.0**20)
        s.check_guards()
        kept = x.assume_bound(6000.0)  # one of the three is larger
        for _ in range(2):
            with suppress(OpeningRefused):
                s.check_guards()
        if then == "an opening":
            sums.append(s.reveal(kept.sum(), to="all", name="sum", reason="test"))
        elif then == "a sort":
            sums.append(pv.sort(kept))

    with pytest.raises(OpeningRefused, match="no more range flags"):
        simulate(program, openings=[pv.Opening("sum", (), TO)])
    assert sums == []


def test_an_operation_that_holds_the_protocol_cannot_go_on_either() -> None:
    """The exception may be caught inside of something that still has the protocol object."""

    def program(s: Session) -> Any:
        x, c = s.secret("x", "bank"), s._context
        protocol, share = c.protocol, x._ring_share()
        with pytest.raises(RangeViolated):
            x.assume_bound(1.0)
            s.check_guards()
        if c.computes:
            with pytest.raises(RangeViolated):
                protocol.mul(share, share)
        return None

    with pytest.raises(RangeViolated):
        simulate(program)


def test_nothing_is_sent_after_a_failed_guard() -> None:
    sent: list[str] = []

    class Watched:
        def __init__(self, channel: Channel) -> None:
            self._channel, self.closed = channel, False

        def __getattr__(self, name: str) -> Any:
            return getattr(self._channel, name)

        def send(self, to: str, step: int, data: Any) -> None:
            sent.append(self._channel.me)
            self._channel.send(to, step, data)

        def tell(self, to: str, message: Any) -> None:
            sent.append(self._channel.me)
            self._channel.tell(to, message)

    counts: dict[str, list[int]] = {}
    together = threading.Barrier(5)

    def program(s: Session) -> Any:
        x = s.secret("x", "bank")
        x.assume_bound(1.0)
        try:
            s.check_guards()
        except RangeViolated:
            together.wait(20)
            counts[s.me] = [sent.count(s.me)]
            for act in AFTER.values():
                with pytest.raises(RangeViolated):
                    act(s, x)
            counts[s.me].append(sent.count(s.me))
            together.wait(20)

    with pytest.raises(RangeViolated):
        simulate(program, wrap=Watched)
    assert len(counts) == 5 and all(before == after for before, after in counts.values())


def test_the_log_says_what_each_guard_asked() -> None:
    def program(s: Session) -> None:
        s.secret("x", "bank").assume_bound(2.0**20).assume_bound(2.0**30)
        s.check_guards()

    (entry,) = simulate(program).opened
    assert entry["name"] == RANGE_GUARD
    assert re.search(r"test_permits\.py:\d+ \(\|x\| <= 1\.04858e\+06, or \|x\| <= 1\.07374e\+09\)", entry["reason"])
