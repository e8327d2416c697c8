"""Progress crosses the wire in numbers: what one party knows does not reach others in the text of a note."""

from __future__ import annotations

import io
import threading
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

import privity as pv
from privity.demo.screen import LiveProgress
from privity.errors import NotForMe, PeerAborted, UsageError, WireError
from privity.jobs import run
from privity.jobs.job import ArraySpec, JobSpec, OpeningSpec
from privity.jobs.notes import Notes
from privity.ml import LogisticRegression
from privity.mpc.shares import Share
from privity.net import wire
from privity.net.memory import memory_network

PARTIES = ("compute_0", "compute_1", "compute_2", "bank", "study")


class Shown:
    """What a party shows: its steps and texts."""

    def __init__(self) -> None:
        self.lines: list[tuple[int, int, str]] = []

    def update(self, step: int, total: int, note: str, rounds: int, bytes_sent: int) -> None:
        self.lines.append((step, total, note))


def party(name: str) -> Any:
    return SimpleNamespace(name=name, minimum_group=0, most_comparisons=10, fingerprint=f"of {name}")


def consortium() -> Any:
    return SimpleNamespace(
        names=PARTIES, compute=PARTIES[:3], owners=("bank",), receivers=("study",), party=party, hash=lambda: bytes(32),
        holders=lambda: bytes(32), links=lambda me: ((), ()), parties=tuple(map(party, PARTIES)),
    )  # fmt: skip


def runs(
    program: Any, openings: list[OpeningSpec], monkeypatch: pytest.MonkeyPatch, inputs: dict[str, Any] | None = None
) -> tuple[dict[str, Any], dict[str, Shown], list[bytes]]:
    """All parties of a real job over a network in memory: reports or errors, what each shows, notes as they travel."""
    shown = {name: Shown() for name in PARTIES}
    heard: dict[str, Any] = {}
    network = {
        name: channel
        for name, channel in memory_network(PARTIES, on_progress=lambda source, note: here[0](source, note)).items()
    }
    travelled: list[bytes] = []
    local = threading.local()
    here = [lambda source, note: heard[local.me](source, note)]

    def connect(identity: Any, *args: Any, on_progress: Any, **options: Any) -> Any:
        heard[local.me] = on_progress
        channel = network[local.me]
        tell = channel.tell

        def telling(to: str, message: Any) -> None:
            if isinstance(message, wire.ProgressNote):
                travelled.append(wire.encode(message))
            tell(to, message)

        channel.tell = telling
        return channel

    monkeypatch.setattr(run, "connect", connect)
    monkeypatch.setattr("privity.jobs.notes._EVERY_S", -1.0)  # every note travels
    results: dict[str, Any] = {}
    arrays = {name: ArraySpec(x.declared(18).bound) for name, x in (inputs or {}).items()}

    def one(me: str) -> None:
        local.me = me
        task = run.Task(
            me=me, consortium=consortium(), identity=None, program=program, program_hash=bytes(32),  # type: ignore[arg-type]
            job=JobSpec("notes", openings, arrays=arrays), load_inputs=lambda: (inputs or {}) if me == "bank" else {},
            progress=shown[me],
        )  # fmt: skip
        try:
            results[me] = run.run_party(task)
        except Exception as error:
            results[me] = error

    threads = [threading.Thread(target=one, args=(name,), daemon=True) for name in PARTIES]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    return results, shown, travelled


def ok(results: dict[str, Any]) -> None:
    assert {name: r for name, r in results.items() if not isinstance(r, run.PartyReport)} == {}


SECRET = 0.40625  # exact in fixed point, and in no other number of the run


def watched(to: Any) -> Any:
    """A program that says in a stage and in a note what was opened."""

    def program(s: pv.Session) -> Any:
        x = s.secret("x", "bank")
        value = s.reveal(x.sum(), to=to, name="loss", reason="how far it is")
        with s.stage(f"loss {value:.5f}"):
            s.progress(1, 4, f"loss {value:.5f}")
        s.progress(2, 4, "on its way")
        return s.reveal(x.sum() * 2, to="all", name="end", reason="so that all wait")

    return program


@pytest.mark.parametrize("to", ["compute_0", "study", "bank"])
def test_what_was_opened_to_one_party_is_in_nobody_elses_notes(monkeypatch: pytest.MonkeyPatch, to: str) -> None:
    openings = [OpeningSpec("loss", to), OpeningSpec("end", "all")]
    inputs = {"x": pv.Input(np.array([SECRET, 0.0]), bound=1.0)}
    results, shown, travelled = runs(watched(to), openings, monkeypatch, inputs)
    ok(results)
    assert travelled
    for me, screen in shown.items():
        says = any(f"{SECRET:.5f}" in text for _, _, text in screen.lines)
        assert says == (me == to), (me, screen.lines)
    assert not any(b"0.40" in data for data in travelled)
    assert (1, 4, "loss <withheld: loss was opened to " + to + ">") in shown[PARTIES[3 if to != "bank" else 4]].lines


def test_what_was_opened_to_all_is_in_everybodys_notes(monkeypatch: pytest.MonkeyPatch) -> None:
    openings = [OpeningSpec("loss", "all"), OpeningSpec("end", "all")]
    inputs = {"x": pv.Input(np.array([SECRET, 0.0]), bound=1.0)}
    results, shown, travelled = runs(watched("all"), openings, monkeypatch, inputs)
    ok(results)
    assert all((1, 4, f"loss {SECRET:.5f}") in screen.lines for screen in shown.values())
    assert not any(b"loss" in data for data in travelled)


def test_the_models_notes_are_told_in_numbers_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def program(s: pv.Session) -> Any:
        x, y = s.secret("x", "bank"), s.secret("y", "bank")

        def loss(epoch: int, brier: pv.SecureArray) -> str:
            value = s.reveal(brier, to="compute_0", name="loss", reason="progress")
            return f"loss {value:.7f}"

        model = LogisticRegression(epochs=2, batch_size=8, on_epoch=loss).fit(x, y)
        return s.reveal(model.coefficients_, to="study", name="model", reason="the model")

    generator = np.random.default_rng(5)
    inputs = {
        "x": pv.Input(generator.normal(size=(16, 2)).clip(-3, 3), bound=4.0),
        "y": pv.Input(generator.random(16) < 0.5),
    }
    openings = [OpeningSpec("loss", "compute_0", count=2), OpeningSpec("model", "study", (3,))]
    results, shown, travelled = runs(program, openings, monkeypatch, inputs)
    ok(results)
    losses = {text.rpartition("loss ")[2] for _, _, text in shown["compute_0"].lines if "loss 0" in text}
    assert len(losses) == 2
    for me in PARTIES[1:]:
        assert not any(loss in text for loss in losses for _, _, text in shown[me].lines), me
    assert travelled


def test_a_step_that_was_opened_to_one_party_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def program(s: pv.Session) -> Any:
        value = s.reveal(s.secret("x", "bank").sum(), to="compute_0", name="loss", reason="progress")
        s.progress(value, 10, "a value as a step")

    inputs = {"x": pv.Input(np.array([3]), bound=10.0)}
    results, _, _ = runs(program, [OpeningSpec("loss", "compute_0")], monkeypatch, inputs)
    assert isinstance(results["study"], NotForMe)


def test_a_programs_own_error_tells_peers_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Mine(pv.PrivityError):
        @property
        def public_reason(self) -> str:
            return str(self)

    def program(s: pv.Session) -> Any:
        value = s.reveal(s.secret("x", "bank").sum(), to="compute_0", name="loss", reason="progress")
        if s.me == "compute_0":
            raise Mine(f"the value is {value:.5f}")
        return s.reveal(s.secret("x", "bank"), to="all", name="end", reason="waits")

    inputs = {"x": pv.Input(np.array([SECRET]), bound=1.0)}
    openings = [OpeningSpec("loss", "compute_0"), OpeningSpec("end", "all", (1,))]
    results, _, _ = runs(program, openings, monkeypatch, inputs)
    told = [str(r) for me, r in results.items() if isinstance(r, PeerAborted)]
    assert told and not any("0.40" in text for text in told)
    assert any("its program failed" in text for text in told)


def test_a_name_that_is_not_listed_tells_peers_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def program(s: pv.Session) -> Any:
        value = s.reveal(s.secret("x", "bank").sum(), to="compute_0", name="loss", reason="progress")
        name = f"value {value:.5f}" if s.me == "compute_0" else "end"
        return s.reveal(s.secret("x", "bank"), to="all", name=name, reason="waits")

    inputs = {"x": pv.Input(np.array([SECRET]), bound=1.0)}
    openings = [OpeningSpec("loss", "compute_0"), OpeningSpec("end", "all", (1,))]
    results, _, _ = runs(program, openings, monkeypatch, inputs)
    assert "0.40" in str(results["compute_0"])  # at home it is said
    told = [str(r) for r in results.values() if isinstance(r, PeerAborted)]
    assert any("OpeningRefused" in text for text in told)
    assert not any("0.40" in text for text in told)


def test_the_name_of_a_programs_own_error_tells_peers_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    class Value40(Exception):
        pass

    def program(s: pv.Session) -> Any:
        if s.me == "compute_0":
            raise Value40
        return s.reveal(s.secret("x", "bank"), to="all", name="end", reason="waits")

    inputs = {"x": pv.Input(np.array([SECRET]), bound=1.0)}
    results, _, _ = runs(program, [OpeningSpec("end", "all", (1,))], monkeypatch, inputs)
    told = [str(r) for me, r in results.items() if me != "compute_0"]
    assert any("its program failed" in text for text in told)
    assert not any("Value40" in text for text in told)


def test_what_no_program_should_raise_ends_the_run_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception that is no Exception: peers are told at once, and it is an error of the program's, with its line."""

    class Value40(BaseException):
        pass

    def program(s: pv.Session) -> Any:
        if s.me == "compute_0":
            raise Value40("0.40625")
        return s.reveal(s.secret("x", "bank"), to="all", name="end", reason="waits")

    inputs = {"x": pv.Input(np.array([SECRET]), bound=1.0)}
    results, _, _ = runs(program, [OpeningSpec("end", "all", (1,))], monkeypatch, inputs)
    assert isinstance(results["compute_0"], UsageError) and "test_notes.py" in str(results["compute_0"])
    told = [str(r) for me, r in results.items() if me != "compute_0"]
    assert any("its program failed" in text for text in told)
    assert not any("40" in text for text in told)


def test_a_result_that_holds_shares_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def program(s: pv.Session) -> Any:
        return {"rows": [1, {"deep": (Share((np.zeros(2, np.uint64), np.zeros(2, np.uint64)), (2,)),)}]}

    results, _, _ = runs(program, [], monkeypatch)
    assert any("return value" in str(r) and "Share" in str(r) for r in results.values())
    assert not any(isinstance(r, run.PartyReport) for r in results.values())


# -- one party's side ------------------------------------------------------------------------------------------------


def note(stage: int, step: int = 1, total: int = 2) -> wire.ProgressNote:
    return wire.ProgressNote(stage=stage, step=step, total=total, rounds=3, bytes_sent=4)


def test_the_first_compute_partys_place_is_shown_in_own_words() -> None:
    shown = Shown()
    notes = Notes(shown, "bank", PARTIES[:3])
    for step in range(3):
        notes.update(step + 1, 3, f"my words {step + 1}", 0, 0)
    del shown.lines[:]
    notes.heard("compute_0", note(2))
    notes.heard("compute_1", note(3))
    notes.heard("compute_0", note(9, 5, 7))
    assert shown.lines == [(2, 3, "my words 2"), (5, 7, "computing")]


def test_a_compute_party_shows_its_own_place_only() -> None:
    shown = Shown()
    Notes(shown, "compute_1", PARTIES[:3]).heard("compute_0", note(1))
    assert shown.lines == []


def test_old_words_are_forgotten() -> None:
    shown = Shown()
    notes = Notes(shown, "bank", PARTIES[:3])
    for step in range(5000):
        notes.update(step, 5000, "words", 0, 0)
    del shown.lines[:]
    notes.heard("compute_0", note(1, 0, 5000))
    assert shown.lines == [(0, 5000, "computing")]
    assert len(notes._own) <= 1024


@pytest.mark.parametrize(("step", "sent"), [(-1, 0), (1 << 40, 1 << 31), (np.int64(7), 7), (True, 1)])
def test_steps_are_kept_within_what_the_wire_carries(step: Any, sent: int) -> None:
    told: list[wire.ProgressNote] = []
    notes = Notes(None, "compute_0", PARTIES[:3])
    notes.tell_over(SimpleNamespace(tell=lambda to, message: told.append(message)), ["bank"])  # type: ignore[arg-type]
    notes.update(step, 1 << 50, "x" * 10_000, 1, 1)
    notes.pulse()
    assert (told[-1].step, told[-1].total) == (sent, 1 << 31)
    assert wire.decode(wire.encode(told[-1]), "compute_0") == told[-1]
    assert len(wire.encode(told[-1])) < 200


@pytest.mark.parametrize(
    "fields", [{"note": "text"}, {"stage": "a stage"}, {"stage": -1}, {"step": 1 << 32}, {"total": 1.5}, {"rounds": -1}]
)
def test_a_note_with_text_or_wild_numbers_is_no_message(fields: dict[str, Any]) -> None:
    plain = {"type": "ProgressNote", "stage": 1, "step": 1, "total": 2, "rounds": 3, "bytes_sent": 4}
    assert wire.decode(msgspec.msgpack.encode(plain), "compute_0") == note(1)
    with pytest.raises(WireError, match="compute_0"):
        wire.decode(msgspec.msgpack.encode({**plain, **fields}), "compute_0")


@given(st.integers(0, 1 << 31), st.integers(0, 1 << 31), st.integers(0, 1 << 31), st.integers(0, 1 << 62))
def test_any_note_can_be_shown(stage: int, step: int, total: int, big: int) -> None:
    progress = LiveProgress(Console(file=io.StringIO(), width=80), "a run", clock=lambda: 1.0)
    notes = Notes(progress, "bank", PARTIES[:3])
    notes.update(1, 2, "mine", 0, 0)
    notes.heard("compute_0", wire.ProgressNote(stage=stage, step=step, total=total, rounds=big, bytes_sent=big))
