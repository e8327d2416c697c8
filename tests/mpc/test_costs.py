"""Declared rounds, bytes and masks equal what was measured: for each primitive, and for whole programs on shapes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import privity
from privity.mpc.party import Party
from privity.mpc.rep3 import Link, Rep3, inputs
from privity.mpc.rep3.draws import DRAWS, Draws
from privity.mpc.shapes import Shapes
from privity.mpc.shares import Bits, Share, Shown
from privity.ring import layout
from privity.ring.prg import Stream
from privity.session import Session
from privity.testing import PROTOCOLS, Scheme, open_bits, open_value, run, shuffle_and_open
from privity.types import Cost

FAST, RIPPLE = Link(bytes_per_s=1e30, and_s_per_word=0.0), Link(one_way_s=0.0)
TREE = Link(bytes_per_s=1e30, and_s_per_word=0.0, largest_digit=1)
SIZES = [0, 1, 2, 63, 64, 65, 1000, 128 * 64, 128 * 64 + 1]


def trivial(shape: tuple[int, ...]) -> Share:
    """A share of zeros: costs do not depend on values."""
    return Share((layout.zeros(shape), layout.zeros(shape)), shape)


def planes(n: int, count: int) -> Bits:
    empty = layout.zeros((count, (n + 63) // 64))
    return Bits((empty, empty), (n,), count)


def back(p: Any, n: int) -> Any:
    return p.shuffle([trivial((n,))], p.mix(n), undo=True)


Case = tuple[str, dict[str, Any], Callable[[Any, int], Any]]

SERIES = {"period": 23, "harmonics": 10, "scale": 18}
CASES: list[Case] = [
    *[("share", {"owner": o}, lambda p, n, o=o: p.share(o, layout.zeros((n,)), (n,))) for o in range(3)],
    *[
        ("open", {"to": to}, lambda p, n, to=to: open_value(p, trivial((n,)), to))
        for to in ((0,), (1,), (2,), (0, 2), (1, 2), (0, 1, 2))
    ],
    ("mul", {}, lambda p, n: p.mul(trivial((n,)), trivial((n,)))),
    ("mul", {"shift": 18}, lambda p, n: p.mul(trivial((n,)), trivial((n,)), 18)),
    ("mul", {"shift": 1}, lambda p, n: p.dot(trivial((n, 3)), trivial((n, 3)), 1)),
    ("mul", {"shift": 61}, lambda p, n: p.matmul(trivial((n, 2)), trivial((2, 1)), 61)),
    ("mul", {"shift": 18}, lambda p, n: p.matmul(trivial((n, 1, 3)), trivial((n, 3, 1)), 18)),
    ("mul", {}, lambda p, n: p.matmul(trivial((1, n, 1, 3)), trivial((1, n, 3, 1)))),
    ("mul", {"shift": 18}, lambda p, n: p.matmul_sum([(trivial((n, 2)), trivial((2, 1)))] * 3, 18)),
    ("random_ring", {}, lambda p, n: p.random_ring((n,))),
    *[("random_bits", {"planes": c}, lambda p, n, c=c: p.random_bits((n,), c)) for c in (1, 5)],
    *[("truncate", {"shift": d}, lambda p, n, d=d: p.truncate(trivial((n,)), d)) for d in (1, 18, 23, 61)],
    *[("truncate_nearest", {"shift": d}, lambda p, n, d=d: p.truncate_nearest(trivial((n,)), d)) for d in (1, 2, 18)],
    *[("msb", {"bits": b}, lambda p, n, b=b: p.msb(trivial((n,)), b)) for b in (1, 2, 3, 27, 40, 62, 63)],
    *[("bits", {"count": c}, lambda p, n, c=c: p.bits(trivial((n,)), c)) for c in (1, 2, 3, 17, 40, 64)],
    *[("bits", {"count": c, "serial": True}, lambda p, n, c=c: p.bits(trivial((n,)), c, True)) for c in (1, 2, 3, 40)],
    *[("is_zero", {"bits": b}, lambda p, n, b=b: p.is_zero(trivial((n,)), b)) for b in (1, 2, 19, 64)],
    *[("and_", {"planes": c}, lambda p, n, c=c: p.and_(planes(n, c), planes(n, c))) for c in (1, 5)],
    ("and_", {"planes": 3}, lambda p, n: p.bit_matmul(p.a2bits(trivial((3, 5))), planes(n, 5))),
    *[("b2a", {"planes": c}, lambda p, n, c=c: p.b2a(planes(n, c))) for c in (1, 5)],
    ("inject", {}, lambda p, n: p.inject(planes(n, 1), trivial((n,)))),
    ("shuffle", {}, lambda p, n: p.shuffle([trivial((n,))], p.mix(n))),
    ("shuffle", {}, back),
    *[
        (
            "shuffle_and_open", {"shown": (b,)},
            lambda p, n, b=b: shuffle_and_open(p, [Shown(trivial((n,)), b)], p.mix(n)),
        )
        for b in (1, 17, 64)
    ],
    *[
        ("shuffle_and_open", {"planes": c, "shown": (3,)}, lambda p, n, c=c: shuffle_and_open(p, 
            [Shown(planes(n, 3), 3, planes(n, 3))], p.mix(n), bits=planes(n, c)))
        for c in (1, 58, 64, 65, 130)
    ],
    *[("open_bits", {"planes": c}, lambda p, n, c=c: open_bits(p, planes(n, c))) for c in (1, 3)],
    *[
        ("random_digits", {"widths": w, "bits": b}, lambda p, n, w=w, b=b: p.random_digits(n, w, b))
        for w, b in (((1,), 1), ((3, 2, 2), 17), ((5,), 64))
    ],
    ("sine_series", SERIES, lambda p, n: p.sine_series(trivial((n,)), 23, [0.1] * 10, 18)),
    ("sine_series", SERIES, lambda p, n: p.sine_series(trivial((n,)), 23, [0.1], 18, [0.1] * 10)),
    *[
        (
            "series_and_sides", {**SERIES, "edges": e, "bits": b, "blur": c},
            lambda p, n, e=e, b=b, c=c: p.series_and_sides(trivial((n,)), 23, [0.1] * 10, 18, [], list(range(e)), b, c),
        )
        for e, b, c in ((2, 30, 0), (2, 30, 12), (1, 3, 2))
    ],
]


def measured(protocol: Scheme, act: Callable[[Any], Any], outside: Any = None) -> Cost:
    parties = run(protocol, act, outside=outside).parties
    assert len({p.rounds for p in parties}) == 1, "the parties disagree on the number of rounds"
    return Cost(parties[0].rounds, tuple(p.sent for p in parties))


@pytest.mark.parametrize(("operation", "parameters", "act"), CASES, ids=[f"{c[0]}-{c[1]}" for c in CASES])
def test_declared_costs(operation: str, parameters: dict[str, Any], act: Callable[[Any, int], Any]) -> None:
    for n in SIZES:
        assert measured(Rep3(), lambda p, n=n: act(p, n)) == Rep3().cost(operation, n, **parameters), f"{n} elements"


@pytest.mark.parametrize("n", SIZES)
def test_declared_cost_of_an_exact_series(n: int) -> None:
    got = measured(Rep3(exact=True), lambda p: p.sine_series(trivial((n,)), 23, [0.1] * 10, 18))
    assert got == Rep3(exact=True).cost("sine_series", n, **SERIES)
    sides = {"edges": 2, "bits": 30, "blur": 12}
    got = measured(
        Rep3(exact=True), lambda p: p.series_and_sides(trivial((n,)), 23, [0.1] * 10, 18, [], [0, 1], 30, 12)
    )
    assert got == Rep3(exact=True).cost("series_and_sides", n, **SERIES, **sides)


@pytest.mark.parametrize("n", SIZES)
def test_declared_costs_with_outside_parties(n: int) -> None:
    got = measured(
        Rep3(), lambda p: p.receive_input("bank", 1, (n,)),
        {"bank": lambda channel, names: Rep3().deal(channel, names, 1, layout.zeros((n,)))},
    )  # fmt: skip
    assert got == Rep3().cost("input", n)
    got = measured(
        Rep3(), lambda p: open_value(p, trivial((n,)), [], ["doctor"], 1),
        {"doctor": lambda channel, names: Rep3().collect(channel, names, 1, (n,))},
    )  # fmt: skip
    assert got == Rep3().cost("open_outside", n)


@pytest.mark.parametrize("n", SIZES)
def test_declared_cost_of_a_shuffle_of_several_columns(n: int) -> None:
    items, values = [trivial((n, 2)), trivial((n,))], 3 * n
    got = measured(Rep3(), lambda p: shuffle_and_open(p, [Shown(trivial((n,)), 9)], p.mix(n), items, planes(n, 70)))
    assert got == Rep3().cost("shuffle_and_open", n, values=values, planes=70, shown=(9,))


@pytest.mark.parametrize("n", [1, 100, 1_000_000])
def test_costs_of_the_circuits(n: int) -> None:
    ripple, tree, fast = (Rep3(link=a).cost("msb", n, bits=62) for a in (RIPPLE, TREE, FAST))
    assert (ripple.rounds, tree.rounds, fast.rounds) == (63, 8, 5)
    assert max(tree.sent) <= 22.75 * 64 * -(-n // 64) and max(ripple.sent) < max(tree.sent) < max(fast.sent)


def test_a_round_is_worth_more_bytes_only_in_small_batches() -> None:
    cut = {"shift": 18}
    for operation, parameters in (("mul", cut), ("truncate", cut), ("b2a", {}), ("inject", {}), ("msb", {"bits": 30})):
        few, many, most = (Rep3().cost(operation, n, **parameters) for n in (1, 10**5, 10**7))
        assert few.rounds < many.rounds <= most.rounds
        assert max(many.sent) / 10**5 < max(few.sent)


@pytest.mark.parametrize("link", [FAST, TREE, RIPPLE], ids=["fast", "tree", "ripple"])
@pytest.mark.parametrize("operation", ["mul", "truncate", "truncate_nearest", "msb", "b2a", "inject"])
def test_declared_costs_with_every_link(operation: str, link: Link) -> None:
    for name, parameters, act in CASES:
        if name == operation and (name != "mul" or parameters):
            for n in (0, 1, 65, 128 * 64 + 1):
                got = measured(Rep3(link=link), lambda p, n=n, act=act: act(p, n))
                assert got == Rep3(link=link).cost(name, n, **parameters), f"{n} elements"


def test_every_declared_cost_is_measured_here() -> None:
    assert {c[0] for c in CASES} | {"input", "open_outside"} == set(Rep3.costs)


def test_protocols_declare_the_same_operations() -> None:
    declared = {frozenset(p.costs) for p in PROTOCOLS.values()}
    assert len(declared) == 1


# -- masks -------------------------------------------------------------------------------------------------------

# Beyond planes of 128 words, chunks of 32,768 elements and messages of 64 KiB; no multiples of any.
MANY = [1 << 15, (1 << 15) + 1, 70_001]


class Counting:
    """The words drawn from a stream; the streams are the same in every run of this test."""

    def __init__(self, stream: Any) -> None:
        self._stream, self.count = stream, 0

    def words(self, count: int) -> Any:
        self.count += count
        return self._stream.words(count)


def drawn(protocol: Scheme, act: Callable[[Any], Any], outside: Any = None) -> Draws:
    """What an operation draws, the same at both holders of each stream."""
    made = [{j: Counting(Stream(bytes([i + j]) * 16)) for j in {0, 1, 2} - {i}} for i in range(3)]

    def program(p: Any) -> int:
        p.own = Counting(p.own)
        act(p)
        return int(p.own.count)

    own = run(protocol, program, streams=lambda i: made[i], outside=outside).outputs
    for i, j in ((0, 1), (1, 2), (2, 0)):
        assert made[i][j].count == made[j][i].count, f"parties {i} and {j} are out of step"
    assert not own[0] and not own[1]
    return Draws(made[0][1].count, made[1][2].count, made[2][0].count, own[2])


def declared(operation: str, n: int, act: Any = None, **parameters: Any) -> Draws:
    """A shuffle in CASES draws its order too."""
    if operation.startswith("shuffle"):
        more = {"undo": True} if act is back else {}
        return DRAWS[operation](n, **parameters, **more).plus(DRAWS["mix"](n))
    return DRAWS[operation](n, **parameters)


@pytest.mark.parametrize(("operation", "parameters", "act"), CASES, ids=[f"{c[0]}-{c[1]}" for c in CASES])
def test_declared_draws(operation: str, parameters: dict[str, Any], act: Callable[[Any, int], Any]) -> None:
    slow = parameters.get("widths") == (5,) or "matmul" in act.__code__.co_names
    for n in [*SIZES, *(MANY[-1:] if slow else MANY)]:
        got = drawn(Rep3(), lambda p, n=n: act(p, n))
        assert got == declared(operation, n, act, **parameters), f"{n} elements"


@pytest.mark.parametrize("link", [FAST, TREE, RIPPLE], ids=["fast", "tree", "ripple"])
@pytest.mark.parametrize("operation", ["mul", "truncate", "truncate_nearest", "msb", "b2a", "inject"])
def test_declared_draws_with_every_link(operation: str, link: Link) -> None:
    for name, parameters, act in CASES:
        if name == operation and (name != "mul" or parameters):
            for n in (65, 128 * 64 + 1):
                got = drawn(Rep3(link=link), lambda p, n=n, act=act: act(p, n))
                assert got == declared(name, n, link=link, **parameters), f"{n} elements"


@pytest.mark.parametrize("n", [*SIZES, *MANY])
def test_declared_draws_of_an_exact_series_and_with_outside_parties(n: int) -> None:
    exact, sides = Rep3(exact=True), {"edges": 2, "bits": 30, "blur": 12}
    got = drawn(exact, lambda p: p.sine_series(trivial((n,)), 23, [0.1] * 10, 18))
    assert got == declared("sine_series", n, exact=True, **SERIES)
    got = drawn(exact, lambda p: p.series_and_sides(trivial((n,)), 23, [0.1] * 10, 18, [], [0, 1], 30, 12))
    assert got == declared("series_and_sides", n, exact=True, **SERIES, **sides)
    got = drawn(
        Rep3(), lambda p: open_value(p, trivial((n,)), [], ["doctor", "auditor"], 1),
        dict.fromkeys(("doctor", "auditor"), lambda channel, names: Rep3().collect(channel, names, 1, (n,))),
    )  # fmt: skip
    assert got == declared("open_outside", n).plus(declared("open_outside", n)), "one zero share for each receiver"
    items, values = [trivial((n, 2)), trivial((n,))], 3 * n
    got = drawn(Rep3(), lambda p: shuffle_and_open(p, [Shown(trivial((n,)), 9)] * 2, p.mix(n), items, planes(n, 70)))
    assert got == declared("shuffle_and_open", n, values=values, planes=70, shown=(9, 9))
    if n <= 1000:
        for link in (FAST, TREE):
            got = drawn(Rep3(link=link), lambda p: p.b2a(planes(n, 70)))
            assert got == declared("b2a", n, planes=70, link=link)


def test_an_owner_expands_each_seed_to_as_many_words_as_elements(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[bytes, Counting]] = []

    def stream(seed: bytes) -> Counting:
        made.append((seed, Counting(Stream(seed))))
        return made[-1][1]

    monkeypatch.setattr(inputs, "Stream", stream)
    n = MANY[-1]
    got = drawn(
        Rep3(), lambda p: [p.receive_input("bank", step, (n,)) for step in (1, 2)],
        {"bank": lambda channel, names: [Rep3().deal(channel, names, step, layout.zeros((n,))) for step in (1, 2)]},
    )  # fmt: skip
    assert got == declared("input", n)
    assert [s.count for _, s in made] == [n] * 12, "two arrays, two seeds, three who expand each"
    assert len({seed for seed, _ in made}) == 4


LINEAR = 64 * 1024  # fills words and packed bytes


@pytest.mark.parametrize(("operation", "parameters", "act"), CASES, ids=[f"{c[0]}-{c[1]}" for c in CASES])
def test_draws_grow_as_elements_do_and_mask_all_that_is_received(
    operation: str, parameters: dict[str, Any], act: Callable[[Any, int], Any]
) -> None:
    """What a party receives is no longer than what it lacks of what was drawn (openings apart): else masks repeat."""
    shifted = {"link": TREE} if operation in ("mul", "truncate", "truncate_nearest", "msb", "b2a", "inject") else {}
    shifted = {} if operation == "mul" and not parameters else shifted
    if not operation.startswith("s") or operation == "share":
        once, twice = (declared(operation, n, **parameters, **shifted) for n in (LINEAR, 2 * LINEAR))
        assert twice == once.plus(once)
    if not operation.startswith(("open", "shuffle_and_open")):
        n = 3001
        received = [sum(got.data.nbytes for got in party.view) for party in run(Rep3(), lambda p: act(p, n)).parties]
        words = declared(operation, n, act, **parameters)
        lacked = (words.one_two + words.own, words.two_zero + words.own, words.zero_one)
        assert all(got <= 8 * masks for got, masks in zip(received, lacked, strict=True))


def test_every_declared_draw_is_measured_here() -> None:
    assert set(DRAWS) - {"mix"} == set(Rep3.costs)


# -- whole programs ----------------------------------------------------------------------------------------------


def regression(s: Session) -> Any:
    x, y = s.secret("x", "bank_a"), s.secret("y", "bank_b")
    w = s.constant(np.zeros(x.shape[1]))
    for _ in range(2):
        error = privity.sigmoid(x @ w) - y
        w = w - x.T.matmul(error, factor=0.05)
        w = w.assume_bound(100.0)
    return s.reveal(w, to=["bank_a", "compute_1"], name="w", reason="test")


def everything(s: Session) -> Any:
    x, y = s.secret("x", "bank_a"), s.secret("z", "compute_1")
    a = privity.where(x > 0.5, x, y) + privity.maximum(x, y) - privity.minimum(x * 0.3, 2)
    b = privity.reciprocal(abs(x) + 1).mean(0) + privity.rsqrt(x * x).sum(0) + privity.clip(y, -1, 1).var(0)
    c = ((x == 0) | ~(y <= 1.5)) ^ (x[::-1] != y)
    d = privity.concatenate([a, c * 1.5, x @ (x.T @ y)])
    total = s.reveal((d + b).sum(), to="all", name="total", reason="test")
    return total, s.reveal(c.T, to=["doctor", "auditor"], name="c", reason="test")


def ordering(s: Session) -> Any:
    x, y = s.secret("x", "bank_a"), s.secret("z", "compute_1")
    k = (x[:, 0] > 0) + (y[:, 1] > 0)
    found = [
        privity.max(x, 0), privity.argmin(y, 1), privity.median(x, 0), privity.rank(x[:, 0]), privity.sign(y),
        privity.top_k(y, 2, axis=0)[1], privity.isin(k, [0, 2]), privity.searchsorted([0.5, 1.0], y),
        privity.unique_count(y), privity.sort(privity.concatenate([x.ravel()] * 4)), privity.histogram(x, [-1, 0, 1]),
        privity.lookup(np.arange(100), k), privity.one_hot(k, 3), *privity.sort_by([k, x[:, 1]], [x, k == 1]),
        privity.segmented_sum(y, k == 1), privity.cumsum(x, 0), *privity.shuffle(x, y),
        *privity.Permutation.sorting(k).apply(y), *privity.Permutation.random(s, 30).undo(x),
    ]  # fmt: skip
    groups = privity.group_by(
        k, {"a": ("sum", x[:, 0]), "b": ("mean", y[:, 0]), "c": ("min", x[:, 1]), "d": ("max", y[:, 1])}, capacity=4
    )
    found += [*groups.keys, groups.valid, *groups.aggregates.values()]
    found.append(privity.Permutation.stated(privity.argsort(k)).rows)
    return [s.reveal(v, to="all", name=f"v{j}", reason="test") for j, v in enumerate(found)]


@pytest.mark.parametrize("program", [regression, everything, ordering])
@pytest.mark.parametrize("exact", [False, True])
def test_what_is_planned_on_shapes_is_what_is_spent(program: Callable[[Session], Any], exact: bool) -> None:
    rng = np.random.default_rng(0)
    planned: dict[str, Cost] = {}
    spent: dict[int, Cost] = {}

    def watched(s: Session) -> None:
        program(s)
        s.check_guards()
        party: Party = s._context.protocol.party
        if isinstance(s._context.protocol, Shapes):
            planned[s.me] = s._context.protocol.planned
        else:
            spent[party.index] = Cost(party.rounds, (party.sent,))

    privity.simulate(
        watched,
        inputs={
            "bank_a": {"x": privity.Input(rng.normal(size=(30, 4)), 8.0)},
            "bank_b": {"y": rng.random(30) < 0.3},
            "compute_1": {"z": privity.Input(rng.normal(size=(30, 4)), 8.0)},
        },
        receivers=("doctor", "auditor"),
        protocol=Rep3(exact=exact),
    )
    whole = Cost(spent[0].rounds, tuple(spent[i].sent[0] for i in range(3)))
    assert {s.rounds for s in spent.values()} == {whole.rounds}
    assert set(planned) >= {"bank_a", "doctor"}
    for name, plan in planned.items():
        assert plan == whole, f"planned at {name}"
