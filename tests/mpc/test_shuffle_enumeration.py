"""Exact joint views of a shuffle: for every secret the same distribution of all that one party receives.

Fixed: the observer's components, the words of the streams it holds, and the permutations it knows. Enumerated: every
permutation that it lacks, and every value of the masks from the stream that it lacks. No statistics.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import permutations, product
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from privity.mpc.protocol import Scheme
from privity.mpc.rep3 import Rep3, Replicated
from privity.mpc.shares import Bits, Mix, Share, Shown
from privity.ring import order, reference
from privity.testing import (
    Column,
    CountedRows,
    Received,
    ViewLeaks,
    altered,
    known_rows,
    lane_streams,
    reconstruct,
    rep3_share,
    require_same_views,
    run,
    shuffle_and_open,
)

Ints = npt.NDArray[np.int64]
Program = Callable[[Any, Share, Mix], Any]


class Shuffles:
    """All executions of a program on n rows of k bits as ``observer`` may meet them, in one context of what it knows.

    ``secrets``: (count, n). ``lacked``: the permutations that it lacks, all of them unless stated.
    """

    def __init__(self, program: Program, observer: int, k: int, secrets: Any, *, context: int = 0,
                 protocol: Scheme = Rep3(), lacked: Sequence[Sequence[int]] | None = None) -> None:
        self.program, self.observer, self.k, self.context = program, observer, k, context
        self.secrets, self.protocol = np.array(secrets, np.int64), protocol
        self.n = self.secrets.shape[1]
        self.outputs: list[Any] = []
        self.orders = [np.array(rows) for rows in (permutations(range(self.n)) if lacked is None else lacked)]
        self.mask_bits = 0
        self.mask_bits = self._run(np.zeros(64, np.uint64), self.secrets[[0] * 64], self.orders[0])[1]
        assert self.mask_bits <= 16, f"{self.mask_bits} bits of masks are too many to enumerate"
        values = 1 << self.mask_bits
        lane = np.arange(len(secrets) * values)
        self.outputs, seen = [], []
        for rows in self.orders:
            view, used = self._run((lane % values).astype(np.uint64), self.secrets[lane // values], rows)
            assert used == self.mask_bits
            seen.append(view)
        shape = (len(self.orders), len(secrets), values)
        self.view = [
            Column(each[0].name, np.stack([c.values for c in each]).reshape(shape).swapaxes(0, 1).ravel(), each[0].bits)
            for each in zip(*seen, strict=True)
        ]
        self.shape = (1, len(secrets), len(self.orders) * values)

    def _run(self, masks: Any, secret: Ints, rows: Ints) -> tuple[list[Column], int]:
        lanes, constant = masks.size, np.zeros(masks.size, np.int64)
        drawn: list[CountedRows] = []
        seed = 100 * self.context

        def lacked() -> CountedRows:
            drawn.append(CountedRows(masks))
            return drawn[-1]

        streams = lane_streams(self.observer, lanes, lambda pair: known_rows(constant, seed + pair), lacked, self.k)
        mine = [np.stack([known_rows(constant, seed + 10 * c + j)(self.k) for j in range(self.n)]) for c in (1, 2)]
        rest = secret.T.astype(np.uint64) - mine[0] - mine[1]
        components = {self.observer: mine[0], (self.observer + 1) % 3: mine[1], (self.observer + 2) % 3: rest}
        share = [components[c] for c in range(3)]
        generator = np.random.default_rng(seed)
        known = {absent: generator.permutation(self.n) for absent in range(3)} | {self.observer: rows}

        def act(p: Any) -> Any:
            i = p.party.index
            mix = Mix(self.n, {absent: known[absent] for absent in range(3) if absent != i})
            return self.program(p, rep3_share(share, i), mix)

        done = run(self.protocol, act, streams=streams)
        self.outputs.append(done.outputs)
        used = {c.used for c in drawn}
        assert len(used) == 1, "the two holders of a stream drew differently"
        view = [c for j, got in enumerate(done.parties[self.observer].view) for c in self._columns(j, got, lanes)]
        return view, used.pop()

    def _columns(self, place: int, got: Received, lanes: int) -> list[Column]:
        """One number of k bits (or as many as were packed) for each row and lane."""
        count, bits, values = self.n * lanes, self.k, got.data
        if got.data.dtype == np.uint8:
            bits = got.data.size * 8 // count
            values = reference.unpack_low(got.data, bits, count)
        rows = (values & np.uint64((1 << bits) - 1)).reshape(self.n, lanes)
        return [Column(f"message {place} ({got.label}) row {j}", row, bits) for j, row in enumerate(rows)]

    def check(self) -> None:
        """Raise ViewLeaks unless all secrets look the same."""
        require_same_views(self.view, self.shape)


def there(p: Any, x: Share, mix: Mix) -> Any:
    return p.shuffle([x], mix)[0]


def back(p: Any, x: Share, mix: Mix) -> Any:
    return p.shuffle([x], mix, undo=True)[0]


def opened(bits: int) -> Program:
    """The rows opened in the shuffled order."""
    return lambda p, x, mix: shuffle_and_open(p, [Shown(x, bits)], mix).opened[0]


def moved(bits: int) -> Program:
    """The rows opened, and kept as shares too."""
    return lambda p, x, mix: shuffle_and_open(p, [Shown(x, bits)], mix, [x]).items[0]


def masked(p: Any, x: Share, mix: Mix) -> Any:
    """The low bit of every row opened in the shuffled order, under random bits."""
    digit = p.a2bits(x)
    return shuffle_and_open(p, [Shown(digit, 1, p.random_bits(x.shape))], mix).opened[0]


def every(n: int, k: int) -> list[tuple[int, ...]]:
    return list(product(range(1 << k), repeat=n))


SIZES = [(2, 1), (2, 2), (2, 3), (3, 1), (3, 2), (4, 1)]


@pytest.mark.parametrize("observer", range(3))
@pytest.mark.parametrize("program", [there, back])
@pytest.mark.parametrize(("n", "k"), SIZES)
def test_a_shuffle(observer: int, program: Program, n: int, k: int) -> None:
    for context in range(2):
        shuffles = Shuffles(program, observer, k, every(n, k)[:: max(1, 2 ** (n * k - 4) - 1)], context=context)
        shuffles.check()
        assert shuffles.mask_bits == (0 if observer == (2 if program is back else 1) else 2 * n * k)
        values = [reconstruct(outputs) % (1 << k) for outputs in shuffles.outputs]
        want = np.sort(shuffles.secrets.T.repeat(1 << shuffles.mask_bits, axis=1), axis=0)
        for got in values:
            np.testing.assert_array_equal(np.sort(got, axis=0), want)
        assert len({got.tobytes() for got in values}) > 1


@pytest.mark.parametrize("observer", range(3))
def test_a_shuffle_of_four_bits(observer: int) -> None:
    Shuffles(there, observer, 4, [(0, 0), (3, 12), (15, 1), (9, 9)]).check()


@pytest.mark.parametrize("observer", range(3))
@pytest.mark.parametrize(
    ("program", "n", "k"),
    [(opened, 2, 1), (opened, 2, 3), (opened, 3, 2), (opened, 4, 2), (moved, 2, 1), (moved, 2, 2), (moved, 3, 1)],
)
def test_places_opened_in_the_shuffled_order(observer: int, program: Callable[[int], Program], n: int, k: int) -> None:
    for context in range(2):
        shuffles = Shuffles(program(k), observer, k, list(permutations(range(n))), context=context)
        shuffles.check()
        if program is opened:
            got = {tuple(np.reshape(o[observer], (n, -1))[:, 0].tolist()) for o in shuffles.outputs}
            assert got == set(permutations(range(n)))  # every order, once for each permutation that is lacked


@pytest.mark.parametrize("observer", range(3))
@pytest.mark.parametrize("n", [2, 3, 4])
def test_masked_digits_opened_in_the_shuffled_order(observer: int, n: int) -> None:
    """Whatever the digits are: nothing but uniform bits."""
    Shuffles(masked, observer, 1, every(n, 1), context=1).check()


def test_permutations_are_drawn_without_bias() -> None:
    """Every word from a small set, all draws: each order comes equally often, draws with ties apart."""
    for n, words in ((2, 4), (3, 4), (4, 5)):
        seen: dict[tuple[int, ...], int] = {}
        for draw in product(range(words), repeat=n):
            if len(set(draw)) == n:
                rows = order.permutation(lambda _, draw=draw: np.array(draw, np.uint64) << np.uint64(40), n)  # type: ignore[misc]
                seen[tuple(rows.tolist())] = seen.get(tuple(rows.tolist()), 0) + 1
        assert len(seen) == len(list(permutations(range(n)))) and len(set(seen.values())) == 1


# -- random digits -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("observer", range(3))
@pytest.mark.parametrize(("width", "bits"), [(1, 1), (1, 3), (2, 1), (2, 2)])
def test_random_digits_are_independent_of_all_a_party_sees(observer: int, width: int, bits: int) -> None:
    """The digit's component that the observer lacks takes the place of the secret."""
    for context in range(4):
        view, shape = digit_views(observer, width, bits, context, Rep3())
        require_same_views(view, shape)


def digit_views(
    observer: int, width: int, bits: int, context: int, protocol: Scheme
) -> tuple[list[Column], tuple[int, int, int]]:
    """What one party receives while one digit is prepared, for every value of what it lacks."""

    def execute(numbers: Any) -> tuple[Any, int]:
        lanes, constant = numbers.size, np.zeros(numbers.size, np.int64)
        drawn: list[CountedRows] = []

        def lacked() -> CountedRows:
            drawn.append(CountedRows(numbers))
            return drawn[-1]

        rows = lane_streams(observer, lanes, lambda pair: known_rows(constant, 10 * context + pair), lacked, bits)

        class Transposed:
            """Flags lie with all flags of a row together: (lanes, flags), where lane streams give (flags, lanes)."""

            def __init__(self, stream: Any) -> None:
                self._stream = stream

            def words(self, count: int) -> Any:
                words = self._stream.words(count)
                return words if count % lanes else np.ascontiguousarray(words.reshape(-1, lanes).T).ravel()

        done = run(
            protocol, lambda p: p.random_digits(lanes, [width], bits)[0],
            streams=lambda i: {j: Transposed(s) for j, s in rows(i).items()},
        )  # fmt: skip
        return done, drawn[0].used

    used = execute(np.zeros(64, np.uint64))[1]
    assert used <= 18
    done, _ = execute(np.arange(1 << used, dtype=np.uint64))
    flags = (1 << width) - 1
    view = []
    for got in done.parties[observer].view:
        values = reference.unpack_low(got.data, bits, flags << used).reshape(-1, flags).T
        view += [Column(got.label, np.ascontiguousarray(v), bits) for v in values]
    # The lacked component is the first that is drawn: the low bits of the lane's number.
    shape = (1 << (used - width), 1 << width)
    view = [Column(c.name, c.values.reshape(shape).T.ravel(), c.bits) for c in view]
    return view, (1, shape[1], shape[0])


# -- proof that these tests bite: spoiled protocols whose results are right --------------------------------------


def caught(program: Program, protocol: Scheme, observers: Sequence[int], secrets: Any, k: int, **options: Any) -> None:
    """The sound protocol passes; the spoiled one computes the same and is found out at exactly these observers."""
    for observer in range(3):
        Shuffles(program, observer, k, secrets).check()
        shuffles = Shuffles(program, observer, k, secrets, protocol=protocol, **options)
        if observer in observers:
            with pytest.raises(ViewLeaks, match="differs between secrets"):
                shuffles.check()
        else:
            shuffles.check()


def test_a_shuffle_that_hands_on_rows_in_the_clear_is_caught(spoil: Any) -> None:
    caught(there, spoil({(0, 1): {0: None}}), [2], every(2, 2), 2)
    caught(there, spoil({(1, 2): {0: None}}), [0], every(2, 2), 2)


def test_a_shuffle_with_one_mask_for_two_messages_is_caught(spoil: Any) -> None:
    """Each message alone is uniform: only the joint view shows it."""
    caught(there, spoil({(0, 1): {1: 0}}), [2], every(2, 2), 2)
    shuffles = Shuffles(there, 2, 2, every(2, 2), protocol=spoil({(0, 1): {1: 0}}))
    for column in shuffles.view:
        require_same_views([column], shuffles.shape)


def test_an_opening_that_shows_one_party_the_others_parts_is_caught(spoil: Any) -> None:
    """Party 1 knows what it handed to party 0, and would find these numbers again in an unmasked part: the order."""
    caught(opened(2), spoil({(0, 2): {0: None}}), [1], list(permutations(range(3))), 2)


def test_orders_that_are_not_all_possible_are_caught() -> None:
    """A biased shuffle, of three orders in place of six: the masks are sound, the opened places are not."""
    turns = [(0, 1, 2), (1, 2, 0), (2, 0, 1)]
    for observer in range(3):
        places = list(permutations(range(3)))
        with pytest.raises(ViewLeaks, match="differs between secrets"):
            Shuffles(opened(2), observer, 2, places, lacked=turns).check()


def test_a_digit_whose_flags_are_handed_on_in_the_clear_is_caught(spoil: Any) -> None:
    for pair, draw, observer in (((0, 1), 1, 2), ((1, 2), 1, 0)):
        view, shape = digit_views(observer, 1, 2, 0, spoil({pair: {draw: None}}))
        with pytest.raises(ViewLeaks, match="differs between secrets"):
            require_same_views(view, shape)


def test_masked_digits_without_their_mask_are_caught() -> None:
    @altered
    class Bare(Replicated):
        def random_bits(self, shape: tuple[int, ...], planes: int = 1) -> Bits:
            sound = super().random_bits(shape, planes)
            return Bits(tuple(np.zeros_like(p) for p in sound.parts), shape, planes)

    caught(masked, Bare, [0, 1, 2], every(3, 1), 1)
