"""A secret where Python wants a plain value raises or hides; no text that a session makes holds a secret value."""

from __future__ import annotations

import copy
import json
import logging
import math
import pickle
import traceback
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import privity as pv
from privity.errors import DataError, PeerAborted, PrivityError, SecretUseError
from privity.session import Session

X = np.array([[7.123456, -3.75], [12.5, 0.0]])
DIGITS = ("7.12", "3.75", "12.5", "1867371", "983040", "3276800")  # as reals and as ring integers


def silent(text: str) -> bool:
    return not any(d in text for d in DIGITS)


def attempt(use: Callable[[Any], Any]) -> list[Any]:
    """Whatever happens when every party uses the secret this way: an exception each, or a result."""
    seen: list[Any] = []

    def program(s: Session) -> None:
        x = s.secret("x", "bank")
        for kind in (x, x == 7, s.secret("n", "bank"), x[0, 0]):
            try:
                seen.append(use(kind))
            except Exception as error:
                seen.append(error)

    pv.simulate(program, inputs={"bank": {"x": X, "n": pv.Input(np.array([3276800, 983040]), 1e7)}})
    return seen


REFUSED: list[Callable[[Any], Any]] = [
    bool, float, int, complex, lambda x: 1 if x else 0, lambda x: not x, lambda x: x and 1, lambda x: x or 1,
    lambda x: [1, 2, 3][x], lambda x: range(x), math.sqrt, math.floor, round, lambda x: [v for v in [1] if x],
    np.asarray, np.array, np.arctan, np.unique, np.nonzero, np.frexp, lambda x: np.where(x), lambda x: np.savetxt("x",
    x),
    lambda x: np.add(1, x, out=np.zeros(2)), lambda x: np.zeros(3)[x], lambda x: max(x, x), lambda x: sorted([x, x]),
    lambda x: x in [1, 2], pickle.dumps, copy.copy, copy.deepcopy, json.dumps, hash, lambda x: {x: 1}, memoryview,
    lambda x: "%d" % x, lambda x: bytes(x), lambda x: np.float64(1) if x > 0 else 0, lambda x: x.item(),  # noqa: UP031
    lambda x: x.tolist(), lambda x: x[x], lambda x: next(iter(np.nditer(x))), lambda x: x.__array_interface__,
    lambda x: x.__dlpack__(), lambda x: np.testing.assert_allclose(x, 1),
]  # fmt: skip


@pytest.mark.parametrize("use", REFUSED)
def test_a_secret_where_python_wants_a_value_raises(use: Callable[[Any], Any]) -> None:
    for error in attempt(use):
        assert isinstance(error, Exception), f"gave {type(error).__name__}"
        assert silent(str(error)), "the message holds a secret value"


@pytest.mark.parametrize("use", [bool, float, int, complex, np.asarray, np.unique, pickle.dumps, lambda x: [1][x]])
def test_the_message_says_what_to_do_instead(use: Callable[[Any], Any]) -> None:
    for error in attempt(use):
        assert isinstance(error, SecretUseError)
        assert "s.reveal(x, to=..., name=..., reason=...)" in str(error)


@pytest.mark.parametrize("show", [repr, str, format, lambda x: f"{x}", lambda x: f"{x:.3f}", lambda x: f"{x!r:>80}"])
def test_text_shows_shape_and_scale_only(show: Callable[[Any], str]) -> None:
    for text in attempt(show):
        assert "SecureArray(shape=" in text and silent(text)


def test_containers_and_sessions_show_nothing() -> None:
    texts: list[str] = []

    def program(s: Session) -> None:
        x = s.secret("x", "bank")
        inside = s._context
        shares = [x._ring_share(), (x == 7)._bit_share()]
        held = [s, inside, *shares, inside.protocol, s.declared, inside._own, inside.log, vars(inside)]
        texts.extend(map(repr, held))

    pv.simulate(program, inputs={"bank": {"x": X}})
    assert len(texts) == 4 * 9 and all(silent(t) for t in texts)


def failing(error: Exception) -> Callable[[Session], None]:
    def program(s: Session) -> None:
        x = s.secret("x", "bank")
        y = pv.sigmoid(x * x).sum(0)
        if s.me == "compute_1":
            raise error
        s.reveal(y, to="all", name="y", reason="test")

    return program


@pytest.mark.parametrize("error", [ValueError("12.5 is secret"), DataError("row 1: 12.5 is too large")])
def test_peers_hear_the_kind_of_an_error_and_not_its_text(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    heard: list[BaseException] = []

    def program(s: Session) -> None:
        try:
            failing(error)(s)
        except PeerAborted as peer:
            heard.append(peer)
            raise

    with caplog.at_level(logging.DEBUG), pytest.raises(type(error)):
        pv.simulate(program, inputs={"bank": {"x": X}})
    assert heard and all(silent("".join(traceback.format_exception(e))) for e in heard)
    assert all(type(error).__name__ in str(e) for e in heard)
    assert silent(caplog.text)


MISTAKES: list[Callable[[Session, Any], Any]] = [
    lambda s, x: x + np.zeros(5), lambda s, x: x @ x[0] @ x, lambda s, x: x * 1e30, lambda s, x: (x < 0) & x,
    lambda s, x: x[5], lambda s, x: s.secret("y", "bank"), lambda s, x: x.assume_bound(1.0).sum(0) and None,
    lambda s, x: s.reveal(x.assume_bound(1.0), to="all", name="x", reason="test"),
    lambda s, x: s.reveal(x, to="nobody", name="x", reason="test"), lambda s, x: x.reshape(3),
    lambda s, x: x.clip(3, 2), lambda s, x: pv.concatenate([x, x[0]]), lambda s, x: ((x * x) * (x * x)) * (x * x),
]  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_no_error_of_a_session_holds_a_value(mistake: Callable[[Session, Any], Any]) -> None:
    texts: list[str] = []

    def program(s: Session) -> None:
        try:
            mistake(s, s.secret("x", "bank"))
            s.check_guards()
        except Exception as error:
            texts.append(str(error))
            if isinstance(error, PrivityError):
                texts.append(error.public_reason)
            raise

    with pytest.raises((PrivityError, IndexError, ValueError)):
        pv.simulate(program, inputs={"bank": {"x": X}})
    assert texts and all(silent(t) for t in texts)


SENT: list[Callable[[Session, Any, float], Any]] = [
    lambda s, x, v: (x.assume_bound(v), s.check_guards()),
    lambda s, x, v: s.agree((np.arange(100) == round(v * 100)) & (s.me == "compute_1")),
    lambda s, x, v: s.agree(np.zeros(round(v * 100) if s.me == "compute_1" else 1)),
    lambda s, x, v: s.agree(float(s.me == "compute_1"), tolerance=v),
]


@pytest.mark.parametrize("way", SENT)
def test_what_peers_are_told_has_no_number_of_the_programs(way: Callable[[Session, Any, float], Any]) -> None:
    """Bounds, tolerances, shapes and places may be made of what was opened to this party."""
    told: list[str] = []

    def program(s: Session) -> None:
        try:
            way(s, s.constant(np.array([1.0])), 0.37)
        except PrivityError as error:
            assert "37" in str(error) or s.me == "compute_0"
            told.append(error.public_reason)
            raise

    with pytest.raises(PrivityError):
        pv.simulate(program, inputs={"bank": {"x": X}})
    assert told and not any("37" in text for text in told)
