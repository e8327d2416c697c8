"""The sort by digits against NumPy, its declared cost, what it opens, and when it is taken."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

import privity
from privity.mpc import radix, sort
from privity.mpc.rep3 import Link, Rep3, Replicated
from privity.mpc.shapes import Shapes
from privity.mpc.shares import Bits, Mix, Mixed, Share, Shown
from privity.session import Session
from privity.testing import PROTOCOLS, Scheme, ViewLeaks, altered, reconstruct, run
from privity.types import Cost

FAR = Link(one_way_s=0.02, bytes_per_s=125e6)


def inputs(p: Any, *arrays: Any) -> list[Share]:
    rings = [np.asarray(a, np.int64).view(np.uint64) for a in arrays]
    return [p.share(0, a if p.party.index == 0 else None, a.shape) for a in rings]


@pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=PROTOCOLS)
@pytest.mark.parametrize(("n", "lanes"), [(2, 1), (3, 1), (4, 2), (65, 1), (60, 3), (300, 1)])
@pytest.mark.parametrize("width", [1, 2, 3, 4, 6])
def test_stable_sorts_with_ties_payloads_and_several_keys(protocol: Scheme, n: int, lanes: int, width: int) -> None:
    rng = np.random.default_rng([n, width])
    few, wide, payload = rng.integers(-7, 8, n), rng.integers(1 - 2**62, 2**62, n), rng.integers(-9, 9, (n, 2))

    def program(p: Any) -> list[Share]:
        a, b, c = inputs(p, few, wide, payload)
        down = radix.sort(p, [(p.neg(a), 3)], [c], width, lanes)
        one = radix.sort(p, [(a, 3)], [a, c], width, lanes)
        return [*one, *down, *radix.sort(p, [(a, 3), (b, 62)], [b], width, lanes)]

    lane = np.arange(n) // (n // lanes)
    up, by_both = np.lexsort((few, lane)), np.lexsort((wide, few, lane))
    want = [few[up], payload[up], payload[np.lexsort((-few, lane))], wide[by_both]]
    for have, expected in zip(zip(*run(protocol, program).outputs, strict=True), want, strict=True):
        np.testing.assert_array_equal(reconstruct(have), expected)


@pytest.mark.parametrize(("bits", "width"), [((3,), 4), ((5,), 3), ((40,), 3), ((40, 62), 5), ((62, 3, 20), 1)])
@pytest.mark.parametrize("n", [2, 65, 1000])
def test_declared_cost(bits: tuple[int, ...], width: int, n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted in advance, on shapes, and measured: all the same; with few flags prepared at once, so groups count."""
    monkeypatch.setattr(radix, "_PREPARED", 10 * n)

    def program(p: Any) -> None:
        x = p.public(np.zeros(n, np.uint64))
        radix.sort(p, [(x, b) for b in bits], [x, p.public(np.zeros((n, 3), np.uint64))], width)

    parties = run(Rep3(), program).parties
    measured = Cost(parties[0].rounds, tuple(p.sent for p in parties))
    shapes, counted = Shapes(Rep3()), Shapes(Rep3())
    program(shapes)
    radix.spend(counted, n, sort._planes(Rep3(), bits), 4 * n, width)
    assert measured == shapes.planned == counted.planned


def test_three_rounds_a_digit() -> None:
    shapes = Shapes(Rep3())
    radix.spend(shapes, 100_000, [41], 200_000, 3)
    assert shapes.planned.rounds == 8 + 2 + 1 + 3 * 14 + 2
    assert max(shapes.planned.sent) < 63e6


# -- the choice --------------------------------------------------------------------------------------------------


def test_far_parties_sort_by_digits_and_near_ones_by_comparisons() -> None:
    near, far = (sort.choice(Rep3(link=link), 100_000, 1, (40,), 200_000) for link in (Link(), FAR))
    assert near.width == 0 and far.width > 0 and not far.network
    assert sort.choice(Rep3(link=FAR), 30, 1, (40,), 30).width == 0  # all pairs at once
    assert far.batch > near.batch  # fewer batches on slow links


@pytest.mark.parametrize("link", [Link(), FAR], ids=["near", "far"])
def test_a_plan_equals_the_run(link: Link) -> None:
    rng = np.random.default_rng(3)
    data = {"x": privity.Input(rng.integers(-50, 50, 700), 50.0), "y": privity.Input(rng.normal(size=(4, 90)), 8.0)}

    def program(s: Session) -> list[Any]:
        x, y = s.secret("x", "compute_0"), s.secret("y", "compute_0")
        found = [privity.sort(x), privity.argsort(x, descending=True), privity.sort(y, axis=1), privity.rank(x)]
        found += privity.sort_by([x, x + 1], [x, x < 0])
        return [s.reveal(v, to="compute_0", name=f"v{j}", reason="test") for j, v in enumerate(found)]

    done = privity.simulate(program, inputs={"compute_0": data}, protocol=Rep3(link=link))
    planned = privity.plan(program, inputs={"compute_0": data}, protocol=Rep3(link=link))
    assert (planned.rounds, planned.payload_sent) == (done.rounds, done.payload_sent)
    x = data["x"].values
    np.testing.assert_array_equal(done.output[0], np.sort(x))
    np.testing.assert_array_equal(done.output[1], np.argsort(-x, kind="stable"))


# -- what is opened ----------------------------------------------------------------------------------------------


class Restarted:
    """A stream for many executions: the same words in each where ``known``, others where not."""

    def __init__(self, known: bool, seed: int) -> None:
        self._known, self._seed = known, seed
        self.generator = np.random.default_rng(seed)

    def again(self) -> None:
        if self._known:
            self.generator = np.random.default_rng(self._seed)

    def words(self, count: int) -> Any:
        return self.generator.integers(0, 1 << 64, count, np.uint64)


def openings(
    keys: Sequence[int], observer: int, times: int, kind: type[Replicated] = Replicated
) -> dict[str, list[Any]]:
    """All that ``observer`` saw opened in sorts of four rows by two digits of a bit, and what it knows kept fixed."""
    seen: dict[str, list[Any]] = {"first digits": [], "places": [], "digits": [], "rows": [], "last": []}
    made: dict[tuple[int, int], Restarted] = {}

    class Watched(kind):  # type: ignore[valid-type, misc]
        step = 0

        def _shuffle_and_open(
            self, shown: Sequence[Shown], mix: Mix, items: Sequence[Share] = (), bits: Bits | None = None
        ) -> Mixed:
            mixed = super()._shuffle_and_open(shown, mix, items, bits)
            if self.party.index == observer:
                names = (("places", "digits"), ("rows",), ("last",))[self.step % 3]
                for name, opened in zip(names, mixed.opened, strict=True):
                    seen[name].append(tuple(opened.tolist()))
            self.step += 1
            return mixed  # type: ignore[no-any-return]

        def _open_bits(self, b: Bits) -> Any:
            value = super()._open_bits(b)
            if self.party.index == observer:
                seen["first digits"].append(tuple(value.tolist()))
            return value

    def streams(i: int) -> dict[int, Any]:
        for j in {0, 1, 2} - {i}:
            made[i, j] = Restarted(observer in (i, j), 7 * min(i, j) + max(i, j))
        return {j: made[i, j] for j in {0, 1, 2} - {i}}

    def program(p: Any) -> None:
        for _ in range(times):
            x = p.public(np.array(keys, np.int64).view(np.uint64))
            for stream in (p.low, p.high):
                stream.again()
            radix.sort(p, [(x, 1)], [x], 1)

    run(altered(Watched), program, streams=streams)
    return seen


def require_uniform_openings(seen: dict[str, list[Any]]) -> None:
    """24 orders or 16 patterns, equally often, and places independent of digits. Noise passes the limits in 10^-6."""
    pairs = [(p[:2], d[:2]) for p, d in zip(seen["places"], seen["digits"], strict=True)]
    cells = {"first digits": (16, 63.0), "places": (24, 75.0), "digits": (16, 63.0), "rows": (24, 75.0)}
    for name, (kinds, limit) in [*cells.items(), ("last", (24, 75.0)), ("pairs", (48, 115.0))]:
        values = pairs if name == "pairs" else seen[name]
        counts = [values.count(key) for key in set(values)]
        mean = len(values) / kinds
        chi = sum((c - mean) ** 2 / mean for c in counts) + (kinds - len(counts)) * mean
        if chi > limit:
            raise ViewLeaks(f"{name} are not uniform: chi-square {chi:.0f} over {kinds} values")


@pytest.mark.parametrize("observer", range(3))
@pytest.mark.parametrize("keys", [[1, 1, 1, 1], [-1, 0, 1, -1], [1, 0, 0, -1]])
def test_what_is_opened_is_uniform_whatever_the_keys_are(observer: int, keys: list[int]) -> None:
    require_uniform_openings(openings(keys, observer, 600))


def test_digits_under_a_mask_that_a_party_knows_are_caught() -> None:
    class Bare(Replicated):
        def random_digits(self, n: int, widths: Sequence[int], bits: int) -> list[tuple[Bits, Share]]:
            ones = np.zeros((n, 2), np.uint64)
            ones[:, 0] = 1
            zero = Bits(tuple(np.zeros((1, 1), np.uint64) for _ in range(2)), (n,))
            return [(zero, self.public(ones)) for _ in widths]

    with pytest.raises(ViewLeaks, match="digits are not uniform"):
        require_uniform_openings(openings([1, 0, 0, -1], 0, 600, Bare))
