"""Linked tables against a join by dictionaries, on every protocol; and that nothing but the size is opened."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import privity as pv
from privity.debug.plan import plan
from privity.errors import DataError, RangeViolated, ShapeError, UsageError
from privity.functions import linkage
from privity.functions.linkage import Linked
from privity.inputs import Input
from privity.mpc import sort
from privity.mpc.plain import InsecurePlain
from privity.openings import RANGE_GUARD
from privity.session import Session
from privity.simulation import Simulation

PROTOCOLS: dict[str, tuple[Any, int]] = {
    "InsecurePlain": (InsecurePlain(), 1),
    "Rep3": (pv.Rep3(), 3),
    "Rep3 exact": (pv.Rep3(exact=True), 3),
}
RNG = np.random.default_rng(11)
KEYS = RNG.integers(0, 2**48, (60, 2))
BOUND = 2.0**48

Rows = list[int]
Integers = npt.NDArray[np.int64]


class Owner:
    """People by number, each with a key, and three columns that belong to this owner alone; some rows are padding."""

    def __init__(self, number: int, people: Rows, padding: Rows | None = None) -> None:
        self.people = np.array(people)
        self.real = ~np.isin(self.people, padding or [])
        self.flagged = padding is not None
        self.keys = KEYS[self.people]
        self.whole = self.people * 10 + number
        self.real_numbers = np.stack([self.people / 4 - number, -self.people / 8], 1)
        self.flag = (self.people + number) % 2 == 0
        self.row = dict(zip(self.people[self.real].tolist(), np.flatnonzero(self.real).tolist(), strict=True))

    def inputs(self) -> dict[str, Input]:
        return {
            "key": Input(self.keys, BOUND), "whole": Input(self.whole, 1000.0), "real": Input(self.real_numbers, 64.0),
            "flag": Input(self.flag), "valid": Input(self.real),
        }  # fmt: skip

    def values(self, person: int) -> list[float]:
        i = self.row.get(person)
        return [0.0] * 4 if i is None else [self.whole[i], *self.real_numbers[i], self.flag[i]]


def secrets(s: Session, owners: list[Owner]) -> tuple[list[Any], list[Any], list[Any]]:
    names = [f"owner_{i}" for i in range(len(owners))]
    keys = [s.secret("key", n) for n in names]
    columns = [[s.secret(c, n) for c in ("whole", "real", "flag")] for n in names]
    valid = [s.secret("valid", n) if o.flagged else None for n, o in zip(names, owners, strict=True)]
    return keys, columns, valid


def size_of(s: Session) -> Any:
    return lambda count: s.reveal(count, to="all", name="size", reason="public number of rows")


def open_all(s: Session, linked: Linked) -> dict[str, Any]:
    """Every value of the result, row by row: whole, two reals, flag of each owner."""
    show = partial(s.reveal, to="all", name="row", reason="test")
    blocks = []
    for whole, real, flag in linked.columns:
        assert (whole.kind, real.kind, flag.kind) == ("int", "fixed", "bool")
        blocks += [show(whole)[:, None], show(real), show(flag)[:, None]]
    return {
        "rows": np.concatenate([np.asarray(b, float) for b in blocks], 1),
        "matched": [show(m) for m in linked.matched],
        "valid": None if linked.valid is None else show(linked.valid),
    }


def joined(owners: list[Owner], protocol: str = "InsecurePlain", minimum: int = 1, **options: Any) -> dict[str, Any]:
    def program(s: Session) -> dict[str, Any]:
        keys, columns, valid = secrets(s, owners)
        linked = linkage.link(keys, columns, valid=valid, open_size=size_of(s), minimum=minimum, **options)
        assert [c[0].shape for c in linked.columns] == [(linked.rows,)] * len(owners)
        return open_all(s, linked)

    return dict(simulated(program, owners, protocol).outputs["owner_0"])


def simulated(program: Any, owners: list[Owner], protocol: str = "InsecurePlain") -> Simulation:
    kind, parties = PROTOCOLS[protocol]
    inputs = {f"owner_{i}": o.inputs() for i, o in enumerate(owners)}
    return pv.simulate(program, parties=parties, protocol=kind, inputs=inputs)


def common(owners: list[Owner]) -> Rows:
    return sorted(set.intersection(*({*o.row} for o in owners)))


def table(owners: list[Owner], people: Rows) -> npt.NDArray[np.float64]:
    """What a join by dictionaries gives for these people."""
    return np.array([[o.values(p) for o in owners] for p in people], float).reshape(-1, 4 * len(owners))


def in_order(rows: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return rows[np.lexsort(rows.T[::-1])]


def same_rows(got: npt.NDArray[np.float64], want: npt.NDArray[np.float64]) -> None:
    """Equal but for the order."""
    np.testing.assert_array_equal(in_order(got), in_order(want))


THREE = [
    Owner(0, [1, 2, 3, 4, 5, 6, 7, 8, 9, 20]),
    Owner(1, [9, 8, 7, 30, 31, 5, 4], []),
    Owner(2, [40, 5, 9, 41, 4, 1, 42, 8, 7, 43, 44, 45], [43, 44, 1, 7]),
]
PEOPLE = common(THREE)  # 4, 5, 8, 9

few = st.lists(st.integers(0, 15), min_size=1, max_size=9, unique=True)
owners_strategy = st.lists(st.tuples(few, st.one_of(st.none(), st.lists(st.integers(0, 15)))), min_size=2, max_size=4)


# -- results ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_level_b_joins_the_rows_that_all_owners_have(protocol: str) -> None:
    out = joined(THREE, protocol)
    same_rows(out["rows"], table(THREE, PEOPLE))
    assert out["valid"] is None and out["matched"] == []


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_level_c_pads_to_a_public_number_of_rows(protocol: str) -> None:
    out = joined(THREE, protocol, capacity=7)
    real = out["valid"] == 1
    same_rows(out["rows"][real], table(THREE, PEOPLE))
    assert out["rows"].shape == (7, 12) and not out["rows"][~real].any()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_left_join_keeps_all_rows_of_the_first_table(protocol: str) -> None:
    first = THREE[2]  # with padding, whose values stay
    owners = [first, THREE[0], THREE[1]]
    out = joined(owners, protocol, how="left")
    want = table(owners, [p if r else -1 for p, r in zip(first.people.tolist(), first.real, strict=True)])
    want[:, :4] = np.column_stack([first.whole, first.real_numbers, first.flag])
    whole = first.whole.tolist()
    at = [whole.index(int(w)) for w in out["rows"][:, 0]]
    assert sorted(at) == list(range(len(whole)))
    np.testing.assert_array_equal(out["rows"], want[at])
    np.testing.assert_array_equal(out["valid"], first.real[at])
    for matched, other in zip(out["matched"], owners[1:], strict=True):
        has = [bool(r) and p in other.row for p, r in zip(first.people.tolist(), first.real, strict=True)]
        np.testing.assert_array_equal(matched, np.array(has)[at])


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_level_a_tells_each_owner_its_own_common_rows(protocol: str) -> None:
    def program(s: Session) -> list[Any]:
        keys, _, valid = secrets(s, THREE)
        masks = linkage.members(keys, valid)
        return [
            s.reveal(m, to=f"owner_{i}", name=f"common_{i}", reason="level (a)") for i, m in enumerate(masks)
        ]

    outputs = simulated(program, THREE, protocol).outputs
    for i, owner in enumerate(THREE):
        want = np.isin(owner.people, PEOPLE) & owner.real
        np.testing.assert_array_equal(outputs[f"owner_{i}"][i], want)
        assert all(isinstance(outputs[f"owner_{i}"][j], pv.Withheld) for j in range(3) if j != i)


@settings(max_examples=60, deadline=None)
@given(owners_strategy)
def test_any_tables_join_like_dictionaries(given_owners: list[tuple[Rows, Rows | None]]) -> None:
    owners = [Owner(i, people, padding) for i, (people, padding) in enumerate(given_owners)]
    people = common(owners)
    total = len(people)
    if people:
        same_rows(joined(owners)["rows"], table(owners, people))
    out = joined(owners, capacity=max(total, 1) + 1)
    same_rows(out["rows"][out["valid"] == 1], table(owners, people))
    left = joined(owners, how="left")
    real = np.ones(len(owners[0].people), bool) if left["valid"] is None else left["valid"] == 1
    same_rows(left["rows"][real], table(owners, list(owners[0].row)))
    for matched, other in zip(left["matched"], owners[1:], strict=True):
        assert matched.sum() == len({*owners[0].row} & {*other.row})


@pytest.mark.parametrize(("first", "second"), [(1, 1), (1, 9), (9, 1), (6, 10)])
@pytest.mark.parametrize("overlap", ["none", "full"])
def test_no_overlap_and_full_overlap(first: int, second: int, overlap: str) -> None:
    other = range(second) if overlap == "full" else range(20, 20 + second)
    owners = [Owner(0, list(range(first))), Owner(1, [*reversed(other)])]
    out = joined(owners, "Rep3", capacity=11)
    same_rows(out["rows"][out["valid"] == 1], table(owners, common(owners)))
    assert out["valid"].sum() == (min(first, second) if overlap == "full" else 0)


def test_the_order_is_no_order_of_the_keys() -> None:
    """Twelve common rows come in their own order with a chance below 2^-28, and never twice in the same."""
    owners = [Owner(0, list(range(12))), Owner(1, list(range(12))[::-1])]
    seen = [joined(owners, "Rep3")["rows"][:, 0].tolist() for _ in range(2)]
    numbers = sorted(range(12), key=lambda p: (int(KEYS[p, 0]) << 13) + int(KEYS[p, 1]))
    assert len({str(o) for o in [*seen, [p * 10 for p in numbers], [p * 10 for p in range(12)]]}) == 4


# -- what is opened --------------------------------------------------------------------------------------------------


def opened(owners: list[Owner], **options: Any) -> list[str]:
    def program(s: Session) -> None:
        keys, columns, valid = secrets(s, owners)
        linkage.link(keys, columns, valid=valid, open_size=size_of(s), minimum=2, **options)
        s.check_guards()

    return [f"{e['name']}{e['shape']}" for e in simulated(program, owners, "Rep3").opened]


def test_levels_open_the_size_or_nothing_at_all() -> None:
    guard = f"{RANGE_GUARD}[]"  # one bit: keys differ, the capacity suffices
    assert opened(THREE) == [guard, "size[]"]
    assert opened(THREE, capacity=9) == [guard]
    assert opened(THREE, how="left") == [guard]


def test_a_size_below_the_minimum_stays_secret() -> None:
    shown: list[Any] = []

    def program(s: Session) -> None:
        keys, columns, valid = secrets(s, THREE)

        def size(count: Any) -> int:
            shown.append(s.reveal(count, to="all", name="size", reason="test"))
            return int(shown[-1])

        linkage.link(keys, columns, valid=valid, open_size=size, minimum=5)

    with pytest.raises(DataError, match="fewer than 5 common rows"):
        simulated(program, THREE, "Rep3")
    assert shown and set(shown) == {0}  # there are 4
    with pytest.raises(DataError, match="fewer than 1 common rows"):
        joined([Owner(0, [1, 2]), Owner(1, [3])])


def test_rows_and_bytes_are_planned_with_an_assumed_size() -> None:
    """Parties without shares keep in step, and a plan is right once it knows the size."""

    def program(s: Session) -> None:
        keys, columns, valid = secrets(s, THREE)
        linked = linkage.link(keys, columns, valid=valid, open_size=size_of(s), minimum=2)
        total = linked.columns[0][0].sum() + linked.columns[2][1].sum()
        s.reveal(total, to="owner_1", name="total", reason="test")

    done = simulated(program, THREE, "Rep3")
    inputs = {f"owner_{i}": o.inputs() for i, o in enumerate(THREE)}
    planned = plan(program, inputs=inputs, assume={"size": len(PEOPLE)})
    assert planned.rounds == done.rounds and planned.payload_sent == done.payload_sent


# -- bad input -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["inner", "left"])
def test_padding_never_matches_even_with_a_real_key(how: str) -> None:
    """All rows of the second table are padding that repeats keys of the first, real one."""
    owners = [Owner(0, [1, 2, 3], [3]), Owner(1, [1, 2, 3], [1, 2, 3])]
    out = joined(owners, "Rep3", **({"how": "left"} if how == "left" else {"capacity": 3}))
    assert out["valid"].sum() == (2 if how == "left" else 0)
    assert not any(m.any() for m in out["matched"])


def test_a_key_twice_in_a_table_is_found() -> None:
    twice = Owner(0, [1, 2, 3])
    twice.keys[1] = twice.keys[0]
    with pytest.raises(RangeViolated):
        joined([twice, Owner(1, [2, 3])], "Rep3")


def test_keys_with_the_same_hash_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sort, "_CERTAIN", -5)  # ten rows: a hash of one bit, so that of five keys some agree
    with pytest.raises(RangeViolated, match="same hash"):
        joined([Owner(i, [1, 2, 3, 4, 5]) for i in range(2)], "Rep3")


def test_more_common_rows_than_the_capacity_are_found() -> None:
    with pytest.raises(RangeViolated):
        joined(THREE, "Rep3", capacity=len(PEOPLE) - 1)


def test_tables_without_columns_and_of_any_shape() -> None:
    def program(s: Session) -> Any:
        keys, columns, valid = secrets(s, THREE)
        deep = columns[1][1].reshape(-1, 1, 2)
        linked = linkage.link(keys, [[], [deep], []], valid=valid, open_size=size_of(s), minimum=0)
        assert linked.columns[0] == linked.columns[2] == []
        return s.reveal(linked.columns[1][0], to="all", name="x", reason="test")

    got = simulated(program, THREE).outputs["owner_0"]
    assert got.shape == (4, 1, 2)
    same_rows(got[:, 0], table(THREE, PEOPLE)[:, 5:7])


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"how": "outer"}, UsageError),
        ({"how": "left", "capacity": 4}, UsageError),
        ({"capacity": 0}, UsageError),
        ({"keys": lambda k: k[:1]}, UsageError),
        ({"keys": lambda k: [*k, k[0]]}, UsageError),
        ({"keys": lambda k: [k[0][:, :1], k[1]]}, ShapeError),
        ({"keys": lambda k: [k[0][1:], k[1]]}, ShapeError),
        ({"keys": lambda k: [k[0][:0], k[1]]}, ShapeError),
        ({"keys": lambda k: [k[0] + k[0], k[1]]}, UsageError),
        ({"keys": lambda k: [k[0][:, 0], k[1]]}, ShapeError),
        ({"valid": lambda v: [None]}, UsageError),
        ({"valid": lambda v: [None, v[1] * 0.5]}, UsageError),
        ({"valid": lambda v: [None, v[1].reshape(-1, 1)]}, ShapeError),
    ],
)
def test_wrong_words_are_refused(change: dict[str, Any], error: type[Exception]) -> None:
    owners = [Owner(0, [1, 2, 3]), Owner(1, [2, 3], [])]

    def program(s: Session) -> None:
        keys, columns, valid = secrets(s, owners)
        given: dict[str, Any] = {"keys": keys, "columns": columns, "valid": valid, "open_size": size_of(s)}
        for name, value in change.items():
            given[name] = value(given[name]) if callable(value) else value
        if "keys" in change and len(given["keys"]) == 1:
            given["columns"], given["valid"] = columns[:1], valid[:1]
        linkage.link(**given)

    with pytest.raises(error, match="link"):
        simulated(program, owners)


class Killed(Exception):
    """Stands for whatever ends a process."""


@pytest.mark.parametrize(("victim", "message"), [("compute_0", 20), ("compute_2", 40), ("owner_1", 2)])
def test_a_party_that_dies_in_the_middle_ends_the_linkage_for_all(victim: str, message: int) -> None:
    """Nobody waits for the rest of a linkage, and nobody gets a result."""

    class Mortal:
        def __init__(self, channel: Any) -> None:
            self._channel, self._left = channel, message if channel.me == victim else -1

        def __getattr__(self, name: str) -> Any:
            return getattr(self._channel, name)

        def send(self, to: str, step: int, data: Any) -> None:
            self._left -= 1
            if self._left == 0:
                raise Killed
            self._channel.send(to, step, data)

    ended: list[str] = []

    def program(s: Session) -> None:
        keys, columns, valid = secrets(s, THREE)
        linkage.link(keys, columns, valid=valid, open_size=size_of(s), minimum=2)
        ended.append(s.me)

    inputs = {f"owner_{i}": o.inputs() for i, o in enumerate(THREE)}
    with pytest.raises(Killed):
        pv.simulate(program, inputs=inputs, wrap=Mortal, timeout_s=20.0)
    assert ended == []


# -- a table that several owners brought -----------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_first_row_of_each_key_wins(protocol: str) -> None:
    people = [5, 3, 5, 3, 7, 7, 7, 1, 5]
    valid = np.array([0, 1, 1, 1, 1, 0, 1, 1, 1])
    first = [0, 1, 1, 0, 1, 0, 0, 1, 0]
    keys = KEYS[people]

    def program(s: Session) -> list[Any]:
        k, v = s.secret("k", "bank"), s.secret("v", "bank")
        kept = linkage.drop_repeats(k, v)
        shown = [linkage.first_rows(k, v), linkage.first_rows(k), kept, linkage.first_rows(kept)]
        shown += [linkage.first_rows(k[:1], v[:1]), linkage.first_rows(k[:1])]
        return [s.reveal(x, to="all", name="x", reason="test") for x in shown]

    kind, parties = PROTOCOLS[protocol]
    inputs = {"bank": {"k": Input(keys, BOUND), "v": Input(valid, 1.0)}}
    done = pv.simulate(program, parties=parties, protocol=kind, inputs=inputs).outputs["bank"]
    marked, without_mask, kept, now = done[:4]
    np.testing.assert_array_equal(marked, first)
    np.testing.assert_array_equal(without_mask, [1, 1, 0, 0, 1, 0, 0, 1, 0])
    real = np.array(first) == 1
    np.testing.assert_array_equal(kept[real], keys[real])
    assert ((kept >= 0) & (kept < 2**48)).all() and not (kept[~real, None] == keys).all(-1).any()
    assert now.all()
    assert [done[4][0], done[5][0]] == [0, 1]


def test_a_table_of_two_owners_is_linked_once_per_key() -> None:
    """A mixed partition: two owners bring rows of one table, one of them a person twice over."""
    a, b, other = Owner(0, [1, 2, 3]), Owner(0, [3, 4, 5]), Owner(2, [5, 3, 1, 9])

    def program(s: Session) -> Any:
        keys, columns, _ = secrets(s, [a, b, other])
        stacked = pv.concatenate(keys[:2])
        both = [pv.concatenate([x, y]) for x, y in zip(columns[0], columns[1], strict=True)]
        linked = linkage.link(
            [stacked, keys[2]], [both, columns[2]], valid=[linkage.first_rows(stacked), None],
            open_size=size_of(s), minimum=2,
        )  # fmt: skip
        return open_all(s, linked)

    out = simulated(program, [a, b, other], "Rep3").outputs["owner_0"]
    same_rows(out["rows"], table([Owner(0, [1, 2, 3, 4, 5]), other], [1, 3, 5]))


def test_keys_of_one_table_with_the_same_hash_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sort, "_CERTAIN", -1)  # three rows: a hash of one bit, so that of three keys two agree
    keys = KEYS[:3]

    def program(s: Session) -> Any:
        return s.reveal(linkage.first_rows(s.secret("k", "bank")), to="all", name="x", reason="test")

    with pytest.raises(RangeViolated):
        pv.simulate(program, inputs={"bank": {"k": Input(keys, BOUND)}})
