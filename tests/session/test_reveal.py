"""One door for revealing: one party that asks for more gets nothing, and nothing else opens a secret."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import privity as pv
from privity.errors import NotForMe, OpeningRefused, PeerAborted, UsageError
from privity.openings import EverythingAllowed
from privity.session import Session
from privity.testing import ByteView
from privity.types import Channel, Opening

X = np.array([7.123456, -3.75, 12.5])
LISTED = [pv.Opening("total", (), ("compute_0", "doctor"), 2), pv.Opening("x", (3,), ("bank",))]
DIGITS = ("7.1234", "3.75", "12.5", str(round(7.123456 * 2**18)), str(round(3.75 * 2**18)), "15.8734")


def simulate(program: Callable[[Session], Any], **options: Any) -> pv.Simulation:
    return pv.simulate(program, inputs={"bank": {"x": X}}, receivers=("doctor",), **options)


def refused(ask: Callable[[Session, pv.SecureArray], Any], patched: str) -> dict[str, BaseException]:
    """What each party gets when ``patched`` has thrown its own list away and everybody runs ``ask``."""
    ended: dict[str, BaseException] = {}
    views = {name: ByteView() for name in ("compute_0", "compute_1", "compute_2")}
    before: dict[str, int] = {}
    together = threading.Barrier(5)

    def program(s: Session) -> None:
        x = s.secret("x", "bank")
        if s.me == patched:
            s._context._gate = EverythingAllowed()
        if s.me in views:
            before[s.me] = len(views[s.me].messages)
        together.wait(10)  # parties that hold no shares would run ahead and end the session first
        try:
            ask(s, x)
        except BaseException as error:
            ended[s.me] = error
            raise

    with pytest.raises(OpeningRefused):
        simulate(program, openings=LISTED, recorders=views)
    for name, view in views.items():
        assert not [m for m in view.messages[before[name] :] if m[2] == "opening"], f"{name} received an opening"
    return ended


def unlisted(s: Session, x: pv.SecureArray) -> Any:
    return s.reveal(x, to="all", name="everything", reason="curiosity")


def wrong_shape(s: Session, x: pv.SecureArray) -> Any:
    return s.reveal(x, to="doctor", name="total", reason="curiosity")


def other_receiver(s: Session, x: pv.SecureArray) -> Any:
    return s.reveal(x.sum(), to=["compute_0", "compute_1"], name="total", reason="curiosity")


@pytest.mark.parametrize("ask", [unlisted, wrong_shape, other_receiver])
@pytest.mark.parametrize("patched", ["compute_0", "compute_1", "compute_2", "doctor", "bank"])
def test_a_patched_party_gets_nothing(ask: Callable[[Session, pv.SecureArray], Any], patched: str) -> None:
    ended = refused(ask, patched)
    others = {"compute_0", "compute_1", "compute_2", "doctor", "bank"} - {patched}
    assert others <= set(ended)  # the patched party itself may wait for nothing, if it is not a receiver
    for name, error in ended.items():
        assert isinstance(error, PeerAborted if name == patched else OpeningRefused), (name, error)
        assert not any(d in str(error) for d in DIGITS)
    if patched in ended:
        assert "stopped the session" in str(ended[patched])


def test_asking_more_often_than_listed_is_refused() -> None:
    opened: list[Any] = []
    together = threading.Barrier(5)

    def program(s: Session) -> None:
        x = s.secret("x", "bank")
        if s.me == "compute_0":
            s._context._gate = EverythingAllowed()
        for _ in range(3):
            together.wait(10)
            opened.append((s.me, s.reveal((x * x).sum(), to="compute_0", name="total", reason="test")))

    with pytest.raises(OpeningRefused, match=r"already made 2 time\(s\)"):
        simulate(program, openings=LISTED)
    assert len([v for name, v in opened if name == "compute_0" and isinstance(v, float)]) == 2


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (unlisted, r"'everything' is not on this party's list \(listed: total, x\); nothing was sent"),
        (wrong_shape, r"listed with shape \(\), asked for \(3,\); .* shape = \[3\]"),
        (other_receiver, "may not go to compute_1; it is listed for compute_0, doctor"),
    ],
)
def test_refusals_say_what_was_expected(ask: Callable[[Session, pv.SecureArray], Any], words: str) -> None:
    with pytest.raises(OpeningRefused, match=words):
        simulate(lambda s: ask(s, s.secret("x", "bank")), openings=LISTED)


def test_an_empty_list_allows_nothing() -> None:
    with pytest.raises(OpeningRefused, match="listed: nothing"):
        simulate(lambda s: unlisted(s, s.secret("x", "bank")), openings=[])


def test_a_refused_opening_is_not_in_the_log() -> None:
    logs: list[Any] = []

    def program(s: Session) -> None:
        logs.append(s._context.log)
        unlisted(s, s.secret("x", "bank"))

    with pytest.raises(OpeningRefused):
        simulate(program, openings=LISTED)
    assert all(log.entries == [] for log in logs)


def test_the_log_has_one_entry_per_opening_at_every_party() -> None:
    logs: dict[str, Any] = {}

    def program(s: Session) -> Any:
        logs[s.me] = s._context.log
        x = s.secret("x", "bank")
        y = x.assume_bound(20.0)
        total = s.reveal(y.sum(), to=["compute_0", "doctor"], name="total", reason="the sum")
        return total, s.reveal(x, to="bank", name="x", reason="back to its owner")

    done = simulate(program, openings=LISTED)
    want = [
        {"name": "range guard", "shape": [], "to": ["compute_0", "compute_1", "compute_2", "bank", "doctor"]},
        {"name": "total", "shape": [], "to": ["compute_0", "doctor"], "reason": "the sum"},
        {"name": "x", "shape": [3], "to": ["bank"], "reason": "back to its owner"},
    ]
    for entries in (done.opened, *(log.entries for log in logs.values())):
        assert [{k: v for k, v in e.items() if k in w} for e, w in zip(entries, want, strict=True)] == want
    assert done.outputs["doctor"][0] == done.outputs["compute_0"][0] == pytest.approx(X.sum(), abs=1e-4)
    np.testing.assert_allclose(done.outputs["bank"][1], X, atol=1e-5)
    for name, place in [("compute_1", 0), ("bank", 0), ("doctor", 1), ("compute_0", 1)]:
        assert isinstance(done.outputs[name][place], pv.Withheld)


@pytest.mark.parametrize("to", ["nobody", [], ["compute_0", "nobody"]])
def test_unknown_receivers(to: Any) -> None:
    with pytest.raises(UsageError, match="unknown receiver"):
        simulate(lambda s: s.reveal(s.secret("x", "bank"), to=to, name="x", reason="test"))


@pytest.mark.parametrize("value", [3.5, np.arange(3), [1, 2], {"mean": 1}, None])
def test_what_is_no_secret_is_not_revealed(value: Any) -> None:
    with pytest.raises(UsageError, match=rf"reveal\('x'\): expected a secret array, got {type(value).__name__}"):
        simulate(lambda s: s.reveal(value, to="all", name="x", reason="test"))


def test_a_receiver_named_twice_is_one_receiver() -> None:
    def program(s: Session) -> Any:
        x = s.secret("x", "bank")
        s.reveal(x, to=["doctor", "doctor", "compute_1", "compute_1"], name="x", reason="test")
        return s.reveal(x.sum(), to="doctor", name="total", reason="test")

    assert simulate(program).outputs["doctor"] == pytest.approx(X.sum(), abs=1e-4)


# -- who is sent anything at all ---------------------------------------------------------------------------------


class Watched:
    """A channel that notes who sends to whom."""

    def __init__(self, channel: Channel, sent: list[tuple[str, str]]) -> None:
        self._channel, self._sent = channel, sent

    def __getattr__(self, name: str) -> Any:
        return getattr(self._channel, name)

    def send(self, to: str, step: int, data: Any) -> None:
        self._sent.append((self._channel.me, to))
        self._channel.send(to, step, data)


def test_owners_and_receivers_are_sent_only_what_is_opened_to_them() -> None:
    sent: list[tuple[str, str]] = []

    def program(s: Session) -> Any:
        x = s.secret("x", "bank")
        y = pv.sigmoid(x * x) + (x < 0)
        s.reveal(y.sum(), to="compute_1", name="total", reason="test")
        return s.reveal(y.sum(), to="doctor", name="total", reason="test")

    simulate(program, wrap=lambda channel: Watched(channel, sent))
    compute = {"compute_0", "compute_1", "compute_2"}
    outside = sorted(pair for pair in sent if not compute.issuperset(pair))
    assert outside == sorted([("bank", c) for c in compute] + [(c, "doctor") for c in compute])


# -- withheld values ---------------------------------------------------------------------------------------------

W = pv.Withheld("total", ("doctor",))


@pytest.mark.parametrize(
    "use",
    [
        bool, float, int, complex, list, len, abs, round, lambda w: -w, lambda w: +w, lambda w: ~w, lambda w: w + 1,
        lambda w: 1 - w, lambda w: w * 2.0, lambda w: 2 / w, lambda w: w / 2, lambda w: w // 2, lambda w: 2 // w,
        lambda w: w % 2, lambda w: w**2, lambda w: 2**w, lambda w: w @ X, lambda w: X @ w, lambda w: X * w,
        lambda w: w == 3, lambda w: w != 3, lambda w: w < 3, lambda w: w <= 3, lambda w: w > 3, lambda w: w >= 3,
        lambda w: w & True, lambda w: w | 1, lambda w: 1 ^ w, lambda w: w[0], lambda w: 3 in w, lambda w: [1, 2][w],
        np.asarray, np.exp, np.sum, lambda w: np.zeros(3) + w, lambda w: range(w), lambda w: 1 if w else 0,
    ],
)  # fmt: skip
def test_any_use_of_a_withheld_value_raises(use: Callable[[Any], Any]) -> None:
    with pytest.raises(NotForMe, match="was opened to doctor only"):
        use(W)


def test_a_withheld_value_can_be_shown_and_handed_on() -> None:
    assert repr(W) == str(W) == f"{W}" == "<withheld: total was opened to doctor>"
    assert W.receivers == ("doctor",) and {W: 1}[W] == 1 and [W][0] is W


def test_range_flags_are_counted() -> None:
    def program(s: pv.Session) -> None:
        x = s.secret("x", owner="alice")
        for _ in range(65):
            x.assume_bound(10.0)
            s.check_guards()

    with pytest.raises(OpeningRefused, match="no more range flags"):
        pv.simulate(program, inputs={"alice": {"x": np.ones(3)}}, openings=[])


class _Two(str):
    """A name that is another one, too."""

    def __eq__(self, other: object) -> bool:
        return str.__eq__(self, other) or other == "compute_0"

    def __hash__(self) -> int:
        return hash("compute_0")


class _New(str):
    """A name that is found where it is looked for, and never where it is written."""

    left = 0

    def __eq__(self, other: object) -> bool:
        _New.left += 1
        return _New.left % 4 != 0

    def __hash__(self) -> int:
        return hash(str(self))


def test_names_are_plain_text() -> None:
    """What a class on top of str says of itself counts neither for the list nor for the log."""
    for to in (_Two("bank"), [_Two("bank")]):
        with pytest.raises(OpeningRefused, match="may not go to bank"):
            pv.simulate(
                lambda s, to=to: s.reveal(s.secret("x", "bank").sum(), to=to, name="x", reason="r"),
                inputs={"bank": {"x": pv.Input(np.arange(3.0), bound=8.0)}},
                openings=[Opening("x", (), ("compute_0",), 1)],
            )  # fmt: skip
    with pytest.raises(OpeningRefused, match="already made 1 time"):
        pv.simulate(
            lambda s: [s.reveal(s.secret("x", "bank").sum(), to="bank", name=_New("x"), reason="r") for _ in range(9)],
            inputs={"bank": {"x": pv.Input(np.arange(3.0), bound=8.0)}}, openings=[Opening("x", (), ("bank",), 1)],
        )  # fmt: skip
    with pytest.raises(UsageError, match="as text"):
        pv.simulate(
            lambda s: s.reveal(s.secret("x", "bank"), to=[1], name="x", reason="r"),  # type: ignore[list-item]
            inputs={"bank": {"x": pv.Input(np.arange(3.0), bound=8.0)}},
        )


def test_a_run_that_fails_keeps_what_was_opened(program_error: type[Exception] = ValueError) -> None:
    """In the error: of each opening the name, receivers and reason, and the value as it was, wherever it came."""

    def program(s: pv.Session) -> Any:
        x = s.secret("x", "bank")
        first = s.reveal(x, to="bank", name="first", reason="to its owner")
        if isinstance(first, np.ndarray):
            first[:] = 0.0  # the program's own copy
        largest = x.max()  # no party has it before all have sent their parts of the first opening
        s.reveal(x.sum(), to="all", name="second", reason="the sum")
        if s.parameters["fault"] == "guard":
            (x - 5.0).assume_bound(1.0)
        elif s.parameters["fault"] == "program":
            raise program_error("at the last model")
        return s.reveal(largest, to="all", name="third", reason="the largest")

    def run(fault: str) -> Any:
        data = {"bank": {"x": pv.Input(np.array([0.5, 1.25]), 8.0)}}
        return pv.simulate(program, inputs=data, parameters={"fault": fault})

    for fault, kind, names in (
        ("guard", pv.PrivityError, ["first", "second", "range guard"]),
        ("program", program_error, ["first", "second"]),
    ):
        with pytest.raises(kind) as caught:
            run(fault)
        opened = caught.value.opened  # type: ignore[attr-defined]
        assert [entry["name"] for entry in opened] == names
        assert opened[0]["value"].tolist() == [0.5, 1.25] and opened[0]["to"] == ["bank"]
        assert opened[1]["value"] == pytest.approx(1.75, abs=1e-5) and opened[1]["reason"] == "the sum"
        assert f"kept in this error's `opened`: {', '.join(names)}" in caught.value.__notes__[0]
    assert [entry["name"] for entry in run("none").opened] == ["first", "second", "third"]
    assert "value" not in run("none").opened[0]
