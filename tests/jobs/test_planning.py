"""A run plans first: what its program cannot do is refused before any owner shares anything."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

import privity as pv
from privity.debug.plan import OutOfMemory
from privity.errors import NotForMe, OpeningRefused, OverflowPlanned, ShapeError
from privity.inputs import Declared
from privity.jobs import planning
from privity.jobs.consortium import Consortium, Party
from privity.jobs.job import JobSpec, OpeningSpec
from privity.jobs.planning import Rehearsal, memory_here
from privity.jobs.program import read_program

COMPUTE = ("c0", "c1", "c2")


def consortium() -> Consortium:
    compute = [Party(name, ("compute",), "", Path()) for name in COMPUTE]
    return Consortium((*compute, Party("bank", ("owner",), "", Path())), Path("consortium.toml"))


def check(load: Callable[[], Callable[[pv.Session], Any]], *opens: str, memory: int = 0, rows: int = 8) -> None:
    declared: Mapping[str, Mapping[str, Declared]] = {"bank": {"x": Declared((rows,), 1000.0, 18)}, "c0": {}}
    job = JobSpec("t", openings=[OpeningSpec(name, "all") for name in opens])
    Rehearsal(load, memory).check(job, consortium(), {}, declared, 10)


def opening(s: pv.Session, x: Any, name: str) -> Any:
    return s.reveal(x.sum(), to="all", name=name, reason="the sum")


def test_an_opening_that_is_not_listed_at_the_end() -> None:
    def program(s: pv.Session) -> Any:
        opening(s, s.secret("x", "bank"), "first")
        return opening(s, s.secret("x", "bank"), "last")

    check(lambda: program, "first", "last")
    with pytest.raises(OpeningRefused, match=r"'last' is not on this party's list .*before anything was shared"):
        check(lambda: program, "first")


def test_a_bound_that_leaves_the_range() -> None:
    def program(s: pv.Session) -> Any:
        x = s.secret("x", "bank")
        return opening(s, x * x * x * x, "total")

    with pytest.raises(OverflowPlanned, match=r"test_planning.py:\d+: .*before anything was shared") as caught:
        check(lambda: program, "total")
    assert caught.value.public_reason == "OverflowPlanned"


def test_shapes_that_do_not_fit() -> None:
    with pytest.raises(ShapeError, match="before anything was shared"):
        check(lambda: lambda s: s.secret("x", "bank") + s.constant([1.0, 2.0]))


def test_more_memory_than_there_is() -> None:
    def program(s: pv.Session) -> Any:
        x = s.secret("x", "bank")
        square = x.reshape((-1, 1)) * x.reshape((1, -1))
        return opening(s, square[0], "total")

    check(lambda: program, "total", memory=1 << 30, rows=1000)
    with pytest.raises(OutOfMemory, match=r"test_planning.py:\d+: .* need about 39\.\d GiB .* of 1\.0 GiB"):
        check(lambda: program, "total", memory=1 << 30, rows=30_000)
    check(lambda: program, "total", rows=30_000)  # who does not compute holds no shares
    assert memory_here() > 1 << 28


def test_what_only_a_run_knows_is_left_to_it() -> None:
    """Values that were opened, other parties, files: the plan ends there, and so do its findings."""

    def computes(s: pv.Session) -> Any:
        total = opening(s, s.secret("x", "bank"), "total")
        for _ in range(int(total)):
            opening(s, s.secret("x", "bank"), "not listed")

    def breaks(s: pv.Session) -> Any:
        raise ValueError("no file")

    class Own(BaseException):
        pass

    def leaves(s: pv.Session) -> Any:
        raise SystemExit(3)

    def escapes(s: pv.Session) -> Any:
        raise Own

    for program in (computes, breaks, leaves, escapes):
        check(lambda program=program: program, "total")  # type: ignore[misc]


@pytest.mark.parametrize(
    ("tick_s", "share", "least", "most"),
    [
        pytest.param(1.0, planning.SHARE, 0, 257, id="a share of what the run takes"),
        pytest.param(0.5, 1e9, 256, 4096, id="a tenth of a night would be an hour"),
    ],
)
def test_a_plan_takes_no_longer_than_its_share_and_seconds(
    tick_s: float, share: float, least: int, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticks = iter(range(1_000_000))
    monkeypatch.setattr(planning.time, "thread_time", lambda: tick_s * next(ticks))
    monkeypatch.setattr(planning, "SHARE", share)
    done = 0

    def program(s: pv.Session) -> Any:
        nonlocal done
        x = s.secret("x", "bank")
        for _ in range(10_000):
            x = (x * 0.5)._stated(1000.0)
            done += 1
        opening(s, x, "not listed")

    check(lambda: program)
    assert least < done < most


def test_nothing_that_a_program_keeps_or_prints_in_a_plan_is_seen(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "keeps.py"
    file.write_text(
        "seen = []\n\n\ndef program(s):\n    seen.append(s.me)\n    print('here')\n    x = s.secret('x', 'bank')\n"
        "    s.reveal(x.sum(), to='all', name='total', reason=', '.join(seen))\n    return seen\n"
    )
    read = read_program(file)
    check(read.load, "total")
    assert capsys.readouterr().out == ""
    done = pv.simulate(read.load(), inputs={"bank": {"x": [1.0]}})
    assert "(planning)" not in done.output


def test_who_catches_everything_is_planned_no_further(monkeypatch: pytest.MonkeyPatch) -> None:
    """What ends a plan is no Exception; a program that catches even that meets it again at the next look."""
    ticks = iter(range(1_000_000))
    monkeypatch.setattr(planning.time, "thread_time", lambda: float(next(ticks)))
    caught = 0

    def program(s: pv.Session) -> Any:
        nonlocal caught
        x = s.secret("x", "bank")
        for _ in range(1000):
            try:
                x = (x * 0.5)._stated(1000.0)
            except BaseException:
                caught += 1
        raise SystemExit

    check(lambda: program)
    assert caught >= 3


def test_an_error_of_the_programs_own_is_told_as_the_kind_that_it_is() -> None:
    """A class of its own might say anything to peers, or want more than a text to be made."""

    class Mine(ShapeError):
        def __init__(self, one: str, two: str) -> None:
            super().__init__(one + two)

        @property
        def public_reason(self) -> str:
            return str(self)

    def program(s: pv.Session) -> Any:
        raise Mine("told to ", "everybody")

    with pytest.raises(ShapeError) as caught:
        check(lambda: program)
    assert type(caught.value) is ShapeError and caught.value.public_reason == "ShapeError"


def test_a_program_that_can_tell_a_plan_from_a_run_opens_no_more() -> None:
    """It passes the plan, and its run is refused at the opening, or at the place, that is not on the list."""

    def another(s: pv.Session) -> Any:
        x = s.secret("x", "bank")
        opening(s, x, "total")
        return None if s.me == "(planning)" else opening(s, x, "more")

    def larger(s: pv.Session) -> Any:
        x = s.secret("x", "bank")
        return opening(s, x, "total") if s.me == "(planning)" else s.reveal(x, to="all", name="total", reason="all")

    def twice(s: pv.Session) -> Any:
        x = s.secret("x", "bank")
        return [opening(s, x, "total") for _ in range(1 if s.me == "(planning)" else 2)]

    for program in (another, larger, twice):
        check(lambda program=program: program, "total")  # type: ignore[misc]
        listed = [pv.Opening("total", (), ("compute_0", "compute_1", "compute_2", "bank"))]
        with pytest.raises(OpeningRefused):
            pv.simulate(program, inputs={"bank": {"x": [1.0, 2.0]}}, openings=listed)


def test_a_plan_holds_no_data() -> None:
    """Nor does anything in it lead to this party's own: it is made of what was declared."""
    seen: list[Any] = []

    def program(s: pv.Session) -> Any:
        x = s.secret("x", "bank")
        seen.extend(x._ring_share().parts)
        with pytest.raises(NotForMe):
            float(opening(s, x, "total"))

    check(lambda: program, "total")
    assert seen == []
