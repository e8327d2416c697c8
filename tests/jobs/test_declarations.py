"""What owners declare is compared with the job by every party before anything is shared or memory is given to it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privity.data.load import load_schemas, table_info
from privity.errors import HandshakeError, PrivityError, WireError
from privity.jobs import run
from privity.jobs.declarations import Declarations
from privity.jobs.job import MOST_ELEMENTS, ArraySpec, JobSpec
from privity.mpc import rep3
from privity.mpc.rep3 import Rep3
from privity.net.memory import memory_network
from privity.net.wire import Declare, InputDeclaration
from privity.ring import kernels
from privity.session import Declared, Input
from privity.table import table_inputs, table_shapes

COLUMNS = [
    {"name": "pid", "role": "key"},
    {"name": "age", "kind": "integer", "bound": 120, "missing": True},
    {"name": "ward", "kind": "category", "categories": ["a", "b", "c"]},
    {"name": "died", "kind": "binary", "role": "label"},
]
SCHEMAS = load_schemas({
    "people": {"columns": COLUMNS, "owners": ["bank"]},
    "padded": {"columns": COLUMNS[1:], "capacity": 50},
})
TABLES = {name: table_info(schema) for name, schema in SCHEMAS.items()}
ARRAYS = {"x": ArraySpec(bound=8.0), "whole": ArraySpec(bound=100.0, scale=0), "fine": ArraySpec(bound=1.0, scale=30)}
JOB = JobSpec("j", arrays=ARRAYS, most_elements=10_000)
ALLOWED = Declarations(JOB, TABLES, ("bank", "clinic"))


def said(**declared: Declared) -> list[InputDeclaration]:
    return [
        InputDeclaration(name=n.replace("__", "."), shape=d.shape, bound=d.bound, scale=d.scale, boolean=d.boolean)
        for n, d in declared.items()
    ]


def table(name: str, rows: int) -> list[InputDeclaration]:
    return said(**table_shapes(TABLES[name], rows))


X = Declared((20, 3), 8.0, JOB.fraction_bits)


@pytest.mark.parametrize("rows", [0, 1, 500])
def test_what_the_job_describes_is_taken(rows: int) -> None:
    inputs = [*table("people", rows), *table("padded", rows), *said(x=X, fine=Declared((5,), 1.0, 30))]
    assert len(ALLOWED.check("bank", inputs)) == len(inputs)
    assert ALLOWED.check("bank", said(x=replace(X, scale=0), whole=Declared((), 100.0, 0, True)))


def test_what_an_owner_really_brings_is_what_is_expected() -> None:
    """The inputs that a reader makes of rows pass, so the two cannot drift apart."""
    rng = np.random.default_rng(1)
    features = np.stack([rng.integers(0, 120, 7).astype(float), rng.integers(0, 3, 7).astype(float)], axis=1)
    features[2, 0] = np.nan
    label, keys = rng.integers(0, 2, 7).astype(float), rng.integers(0, 2**48, (7, 2)).astype(np.uint64)
    made = {
        **table_inputs(TABLES["people"], features, label, keys),
        **table_inputs(TABLES["padded"], features, label),
        "x": Input(np.ones((2, 2)), ARRAYS["x"].bound, ARRAYS["x"].scale),
        "whole": Input(np.ones(3), ARRAYS["whole"].bound, ARRAYS["whole"].scale),
    }
    declared = {n: x.declared(JOB.fraction_bits) for n, x in made.items()}
    assert ALLOWED.check("bank", said(**declared)) == declared


LIES: dict[str, tuple[list[InputDeclaration], str]] = {
    "unknown name": (said(y=X), r"bank: input 'y': expected what the job describes \('people', .*'x'"),
    "name of a part": (said(people=X), "input 'people': expected what the job describes"),
    "unknown part": ([*table("people", 5), *said(people__more=X)], "input 'people.more': expected for table 'people'"),
    "other letters": (said(х=X), "input 'х'"),
    "control characters": (said(**{"x\x1b[31m": X}), r"input 'x\\\\x1b\[31m'"),
    "twice": ([*said(x=X), *said(x=X)], "input 'x': expected each input once"),
    "bound": (said(x=replace(X, bound=9.0)), "input 'x': expected by the job a bound of 8"),
    "smaller bound": (said(x=replace(X, bound=1.0)), r"came the shape \(20, 3\), \|x\| <= 1 at"),
    "no bound": ([InputDeclaration(name="x", shape=(2,))], "a finite bound that is not negative, came the bound None"),
    "negative bound": (said(x=replace(X, bound=-8.0)), "not negative, came the bound -8.0"),
    "NaN": (said(x=replace(X, bound=float("nan"))), "finite bound"),
    "infinity": (said(x=replace(X, bound=float("inf"))), "finite bound"),
    "scale": (said(x=replace(X, scale=17)), "expected by the job a bound of 8 at 0 or 18 fractional bits"),
    "scale of the job": (said(fine=Declared((5,), 1.0, 18)), "a bound of 1 at 30 fractional bits"),
    "too fine": (said(x=replace(X, scale=60)), "at most 62 bits, came the bound 8 at 60 fractional bits"),
    "scale out of range": (said(x=replace(X, scale=62, bound=0.0)), "at most 62 bits"),
    "booleans with fractional bits": (said(x=replace(X, scale=18, boolean=True)), "without fractional bits"),
    "too many axes": (said(x=replace(X, shape=(1,) * 33)), "at most 32 axes"),
    "negative axis": (said(x=replace(X, shape=(-1, -1))), "a shape of at most 32 axes, came the shape"),
    "long empty axis": (said(x=replace(X, shape=(0, 1 << 62))), "axes of at most 2"),
    "too many elements": (said(x=replace(X, shape=(100, 101))), "at most 10,000 numbers in all .*10,100, of which"),
    "product past 64 bits": (said(x=replace(X, shape=(1 << 32, 1 << 32))), "18,446,744,073,709,551,616"),
    "in small pieces": (said(x=replace(X, shape=(99, 100)), whole=Declared((101,), 100.0, 0)), "10,001, of which"),
    "too many rows": (table("people", 2000), "at most 10,000 numbers"),
    "2^34 rows": (table("people", 1 << 34), "62 bits"),
    "a part is missing": (table("people", 5)[:-1], "expected it with the rest of table 'people', came none"),
    "a part alone": (table("people", 5)[-1:], "with the rest of table"),
    "other capacity": (
        [msgspec.structs.replace(d, shape=(49, *d.shape[1:])) if d.shape[0] == 50 else d for d in table("padded", 5)],
        r"input 'padded.features': expected by the job's schema the shape \(50, 1\)",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("inputs", "words"), LIES.values(), ids=LIES)
def test_what_the_job_does_not_describe_is_refused(inputs: list[InputDeclaration], words: str) -> None:
    with pytest.raises(HandshakeError, match=words) as caught:
        ALLOWED.check("bank", inputs)
    assert str(caught.value).startswith("bank: input ") and "Nothing was shared" in str(caught.value)
    assert str(caught.value).isprintable()


def test_tables_and_inputs_belong_to_their_owners() -> None:
    with pytest.raises(HandshakeError, match="clinic: input 'people': expected this table of bank only"):
        ALLOWED.check("clinic", table("people", 5))
    with pytest.raises(HandshakeError, match=r"spy: input 'x': expected inputs of owners only \(bank, clinic\)"):
        ALLOWED.check("spy", said(x=X))


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_any_change_of_a_tables_declaration_is_refused(data: st.DataObject) -> None:
    inputs = table(data.draw(st.sampled_from(["people", "padded"])), 7)
    at = data.draw(st.integers(0, len(inputs) - 1))
    change: dict[str, Any] = data.draw(
        st.one_of(
            st.lists(st.integers(0, 1 << 62), max_size=4).map(lambda s: {"shape": tuple(s)}),
            st.floats().map(lambda b: {"bound": b}),
            st.integers(0, 62).map(lambda s: {"scale": s}),
            st.just({"boolean": True}),
            st.text(max_size=12).map(lambda n: {"name": n}),
        )
    )
    changed = msgspec.structs.replace(inputs[at], **change)
    if changed == inputs[at]:
        return
    with pytest.raises(HandshakeError, match="bank: input "):
        ALLOWED.check("bank", [*inputs[:at], changed, *inputs[at + 1 :]])


def test_the_limit_is_part_of_the_job() -> None:
    assert JobSpec("j").most_elements == MOST_ELEMENTS
    assert JobSpec("j").digest != JobSpec("j", most_elements=5).digest


# -- between parties ---------------------------------------------------------------------------------------------------

COMPUTE = ("c0", "c1", "c2")
NAMES = (*COMPUTE, "bank", "clinic")


def task(me: str) -> Any:
    consortium = SimpleNamespace(
        compute=COMPUTE, names=NAMES, owners=("bank", "clinic"), party=lambda name: SimpleNamespace(minimum_group=0)
    )
    return SimpleNamespace(me=me, consortium=consortium, job=JOB, tables=TABLES)


def refusals(**lies: Any) -> dict[str, PrivityError]:
    """Who refuses when ``bank`` follows the function of this name instead of the protocol."""
    network = memory_network(NAMES, idle_s=5)
    errors: dict[str, PrivityError] = {}

    def party(me: str) -> None:
        try:
            if me in lies:
                lies[me](network)
            else:
                run._agree_on_inputs(task(me), network[me], {})
        except PrivityError as error:
            errors[me] = error
            network[me].abort(error.public_reason)

    threads = [threading.Thread(target=party, args=(n,)) for n in NAMES]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return errors


def test_a_lying_owner_is_refused_by_every_honest_party() -> None:
    def bank(network: Any) -> None:
        for name in COMPUTE:
            network["bank"].tell(name, Declare(inputs=tuple(said(x=replace(X, shape=(1 << 20, 64))))))

    errors = refusals(bank=bank)
    assert set(errors) == {*COMPUTE, "clinic"}
    first = [e for e in errors.values() if isinstance(e, HandshakeError)]
    assert first and all("bank: input 'x': expected at most 10,000" in str(e) for e in first)


def test_an_owner_hears_what_it_declared_and_nothing_of_strangers() -> None:
    for inputs, words in (
        ({"bank": tuple(said(x=X))}, "tells of other inputs of bank than bank declared"),
        ({"stranger\n": (), "bank": ()}, r"inputs of stranger\\n, which the consortium does not have"),
        ({"clinic": tuple(said(y=X)), "bank": ()}, "clinic: input 'y'"),
    ):
        network = memory_network(NAMES, idle_s=5)
        for c in COMPUTE:
            network[c].tell("bank", run.AllInputs(inputs=inputs, minimum_group=10))
        with pytest.raises(HandshakeError, match=words):
            run._agree_on_inputs(task("bank"), network["bank"], {})


# -- memory at the party that gets seeds -------------------------------------------------------------------------------


class Room:
    """Stands for a compute party whose messages are written down; asks for no words before the others have spoken."""

    index, names, recorder, ring = 0, COMPUTE, None, kernels
    streams: dict[int, Any] = {1: None, 2: None}  # noqa: RUF012

    def __init__(self, answer: Any) -> None:
        self.channel, self.events, self._answer = self, [], answer

    def receive(self, source: str, step: int, into: Any) -> None:
        into[:] = np.arange(into.size)

    def exchange(self, send: Any, receive: Any, label: str) -> None:
        self.events.append(label)
        for (_, mine), (_, theirs) in zip(send, receive, strict=True):
            theirs[:] = self._answer(mine)


@pytest.fixture
def expanded(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    asked: list[int] = []
    inner = rep3.inputs.Stream

    class Counted:
        def __init__(self, seed: bytes) -> None:
            self._inner = inner(seed)

        def words(self, n: int) -> Any:
            asked.append(n)
            return self._inner.words(n)

    monkeypatch.setattr(rep3.inputs, "Stream", Counted)
    yield asked


@pytest.mark.parametrize("answer", [lambda mine: mine, lambda mine: mine ^ 1, lambda mine: mine * 0])
def test_seeds_are_not_expanded_before_the_others_hold_their_words(answer: Any, expanded: list[int]) -> None:
    """A digest that is sent back, changed or made up is none of a party that holds the input: not a byte is filled."""
    room: Any = Room(answer)
    with pytest.raises(WireError, match="owner bank sent different shares"):
        Rep3().at(room).receive_input("bank", 1, (1 << 50,))
    assert room.events == ["input digests"] and expanded == []


def test_the_others_confirm_the_number_of_elements(expanded: list[int]) -> None:
    """Digests for another number of elements do not pass, though the bytes are the same."""
    seeds = [bytes(np.arange(32, dtype=np.uint8))[16 * k : 16 * (k + 1)] for k in range(2)]

    def at(n: int) -> Any:
        own = iter([(2, seeds[0]), (1, seeds[1])])

        def answer(mine: Any) -> Any:
            other, seed = next(own)
            digest = rep3.inputs.digest
            held = digest(b"input held", bytes([other]), n.to_bytes(8, "little"), digest(seed))
            return np.frombuffer(held, np.uint8)

        return answer

    room: Any = Room(at(4))
    share = Rep3().at(room).receive_input("bank", 1, (4,))
    assert expanded == [4, 4] and share.shape == (4,)
    with pytest.raises(WireError):
        Rep3().at(Room(at(4))).receive_input("bank", 1, (1 << 50,))  # type: ignore[arg-type]
    assert expanded == [4, 4]
