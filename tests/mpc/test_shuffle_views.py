"""What a shuffle and the openings behind it show: uniform messages, and an order that is uniform whatever the data.

A lane is a column of the shuffled rows, so that all lanes share the permutations; those come from the same streams.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.syntax import nodes

import privity
from privity.mpc import orders, sort
from privity.mpc.rep3 import Rep3
from privity.mpc.shares import Mix, Mixed, Places, Share
from privity.ring import layout, reference
from privity.testing import (
    Run,
    ViewLeaks,
    columns,
    fresh_rows,
    known_rows,
    lane_streams,
    open_bits,
    rep3_share,
    require_uniform,
    run,
)

LANES, ROWS = 64 * 64 - 1, 3
SECRETS = [(0, 0, 0), (1, -1, 2**61), (-(2**61) + 12345, 3, 3)]


class WithOrders:
    """A lane stream from which permutations of ROWS rows are drawn too."""

    def __init__(self, stream: Any, seed: int) -> None:
        self._stream, self._orders = stream, np.random.default_rng(seed)

    def words(self, count: int) -> Any:
        if count == ROWS:
            return self._orders.integers(0, 1 << 64, count, np.uint64)
        return self._stream.words(count)


def executions(
    program: Callable[[Any, Share], Any], observer: int, secrets: Sequence[int], protocol: type[Rep3] = Rep3
) -> Run:
    """LANES executions that differ in what the observer lacks, as it meets them."""
    same = np.zeros(LANES, np.int64)
    known = known_rows(same, 50)
    mine = [np.stack([known(64) for _ in range(ROWS)]) for _ in range(2)]
    rest = np.array(secrets, np.int64).astype(np.uint64)[:, None] - mine[0] - mine[1]
    components = {observer: mine[0], (observer + 1) % 3: mine[1], (observer + 2) % 3: rest}
    shared = [components[c] for c in range(3)]
    lanes = lane_streams(observer, LANES, lambda pair: known_rows(same, pair), lambda: fresh_rows(LANES, 1000))

    def streams(i: int) -> dict[int, Any]:
        return {j: WithOrders(s, 9 * min(i, j) + max(i, j)) for j, s in lanes(i).items()}

    return run(protocol, lambda p: program(p, rep3_share(shared, p.party.index)), streams=streams)


def view(done: Run, observer: int) -> Any:
    return columns(done.parties[observer].view, LANES)


def there(p: Any, x: Share) -> Any:
    return p.shuffle([x], p.mix(ROWS))


def and_back(p: Any, x: Share) -> Any:
    mix = p.mix(ROWS)
    return p.shuffle(p.shuffle([x], mix), mix, undo=True)


def twice(p: Any, x: Share) -> Any:
    """The same mix for two arrays, one after the other: every message is masked afresh."""
    mix = p.mix(ROWS)
    return [*p.shuffle([x], mix), *p.shuffle([x], mix)]


@pytest.mark.parametrize("observer", range(3))
@pytest.mark.parametrize("program", [there, and_back, twice])
def test_a_shuffle_sends_uniform_messages(program: Callable[[Any, Share], Any], observer: int) -> None:
    for secrets in SECRETS:
        seen = view(executions(program, observer, secrets), observer)
        assert bool(seen) == (observer != 1 or program is and_back)  # party 1 only sends when going there
        require_uniform(seen)


@pytest.mark.parametrize("observer", range(3))
def test_openings_of_bits_show_the_opened_bits_only(observer: int) -> None:
    def program(p: Any, x: Share) -> Any:
        sign = p.msb(there(p, x)[0], 62)
        return sign, open_bits(p, sign)

    done = executions(program, observer, SECRETS[1])
    sign, opened = done.outputs[observer]
    planes = done.parties[observer].view[-1].data ^ sign.parts[0] ^ sign.parts[1]
    np.testing.assert_array_equal(reference.from_planes(planes, ROWS * LANES).reshape(ROWS, LANES), opened)


@pytest.mark.parametrize("observer", range(3))
def test_what_a_party_lacks_makes_the_order_uniform(observer: int) -> None:
    """Known permutations fixed, the third drawn anew: all 24 orders of four rows are equally likely, for any data.

    Chi-square with 23 degrees of freedom; 75 is passed by noise once in 10^6.
    """
    count, rows = 1200, 4

    class Orders:
        """Permutations: the same every time if known, fresh if not. Masks: zeros, they do not matter here."""

        def __init__(self, known: bool, seed: int) -> None:
            self._known, self._seed = known, seed
            self._generator = np.random.default_rng(seed)

        def words(self, size: int) -> Any:
            if size != rows:
                return np.zeros(size, np.uint64)
            generator = np.random.default_rng(self._seed) if self._known else self._generator
            return generator.integers(0, 1 << 64, size, np.uint64)

    def streams(i: int) -> dict[int, Any]:
        return {j: Orders(observer in (i, j), 7 * min(i, j) + max(i, j)) for j in {0, 1, 2} - {i}}

    for places in ([0, 1, 2, 3], [2, 3, 1, 0]):
        opened: list[tuple[int, ...]] = []

        class Watched(Rep3):
            seen = opened

            def _shuffle_and_open(self, *args: Any) -> Mixed:
                mixed = super()._shuffle_and_open(*args)
                if self.party.index == observer:
                    assert mixed.opened is not None
                    self.seen.append(tuple(mixed.opened[0].tolist()))
                return mixed

        def program(p: Any, places: list[int] = places) -> None:
            x = p.public(np.array(places, np.uint64))
            column = p.concatenate([x, x], 0).map(layout.reshape((2, rows))).map(layout.transpose(None))
            for _ in range(count):
                orders.scatter(p, Places(x), [column])

        run(Watched, program, streams=streams)
        seen = {key: opened.count(key) for key in set(opened)}
        assert len(seen) == 24 and len(opened) == count
        assert sum((c - count / 24) ** 2 / (count / 24) for c in seen.values()) < 75


@pytest.mark.parametrize("observer", range(3))
@pytest.mark.parametrize("keys", [[5, 5, 5, 5], [1, 2, 3, 4], [4, 1, 4, -7]])
def test_opened_comparisons_of_a_sort_do_not_depend_on_the_keys(observer: int, keys: list[int]) -> None:
    """With everything drawn the same, the answers of all sorts of four rows have the same uniform distribution."""
    count, answers = 1200, []

    class Watched(Rep3):
        def _open_bits(self, b: Any) -> Any:
            value = super()._open_bits(b)
            if self.party.index == observer:
                assert value is not None
                answers.append(tuple(value.tolist()))
            return value

    def program(p: Any) -> None:
        x = p.public(np.array(keys, np.int64).view(np.uint64))
        for _ in range(count):
            sort.sort(p, [(x, 4)], [x])

    run(Watched, program)
    seen = {key: answers.count(key) for key in set(answers)}
    assert len(seen) == 24  # of 64 answers to six questions: those that are orders
    assert sum((c - count / 24) ** 2 / (count / 24) for c in seen.values()) < 75


OPENING = {f"mpc/{name}.py" for name in ("orders", "radix", "sort", "rep3", "plain")}  # the last two pass them on


def test_openings_behind_a_shuffle_have_few_callers() -> None:
    """Everything else leaves through Session.reveal."""
    package = Path(privity.__file__).parent
    for path in package.rglob("*.py"):
        calls = {
            node.func.attr
            for node in nodes(path)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        }
        inside = path.relative_to(package).as_posix() in {*OPENING, "testing.py"}
        assert inside or not calls & {"shuffle_and_open", "open_bits"}, f"{path.name} opens values itself"


# -- proof that these tests bite ---------------------------------------------------------------------------------


def test_a_shuffle_whose_masks_are_left_out_is_caught() -> None:
    class Bare(Rep3):
        def shuffle(self, items: Sequence[Share], mix: Mix, undo: bool = False) -> list[Share]:
            class Zeros:
                def words(self, count: int) -> Any:
                    return np.zeros(count, np.uint64)

            self.low = self.high = Zeros()  # type: ignore[assignment]
            return super().shuffle(items, mix, undo)

    for observer in (0, 2):
        with pytest.raises(ViewLeaks):
            require_uniform(view(executions(there, observer, SECRETS[2], Bare), observer))


def test_a_mask_used_for_two_shuffles_is_caught() -> None:
    class Again(Rep3):
        def shuffle(self, items: Sequence[Share], mix: Mix, undo: bool = False) -> list[Share]:
            for side in ("low", "high"):
                stream = getattr(self, side)
                if not isinstance(stream, Repeated):
                    setattr(self, side, Repeated(stream))
                else:
                    stream.again()
            return super().shuffle(items, mix, undo)

    class Repeated:
        def __init__(self, stream: Any) -> None:
            self._stream, self._drawn, self._at = stream, [], 0

        def words(self, count: int) -> Any:
            if self._at == len(self._drawn):
                self._drawn.append(self._stream.words(count))
            self._at += 1
            return self._drawn[self._at - 1].copy()

        def again(self) -> None:
            self._at = 0

    for observer in (0, 2):
        with pytest.raises(ViewLeaks):
            require_uniform(view(executions(twice, observer, SECRETS[2], Again), observer))
