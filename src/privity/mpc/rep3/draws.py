"""How many words each operation of Rep3 draws from the streams of the three pairs: its masks, declared beside its cost.

A mask that is left out or comes twice shows as words that were not drawn, at the sizes that a test measures. That the
words drawn are also used is what the view tests show. All functions here count; nothing communicates.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from .cost import RIPPLE, Link, digit_rows, packed, sklansky, tree_ands, words
from .sine import _DEALT, _PUBLIC


class Draws(NamedTuple):
    """Words from the stream of parties 0 and 1, of 1 and 2, of 2 and 0, and from party 2's own one."""

    zero_one: int = 0
    one_two: int = 0
    two_zero: int = 0
    own: int = 0

    def plus(self, other: Draws) -> Draws:
        return Draws(*(a + b for a, b in zip(self, other, strict=True)))


DrawsFunction = Callable[..., Draws]
"""(n elements, and the operation's own public parameters) -> words, as a cost function gives bytes."""


def _each(count: int) -> Draws:
    return Draws(count, count, count)


def _share(n: int, owner: int = 0) -> Draws:
    return Draws(*(n if (j + 1) % 3 == owner else 0 for j in range(3)))


def _truncate(n: int, shift: int, link: Link | None = None) -> Draws:
    hurry = (link or Link()).hurry(packed(n, shift))
    return Draws(3 * n, 2 * n if hurry else n)


def _mul(n: int, shift: int = 0, link: Link | None = None) -> Draws:
    return _each(n).plus(_truncate(n, shift, link)) if shift else _each(n)


def _tree(w: int, count: int) -> Draws:
    return _each(w * tree_ands(count)[1])


def _msb(n: int, bits: int = 62, link: Link | None = None) -> Draws:
    w, circuit = words(n), (link or Link()).circuit(n, bits)
    if circuit == RIPPLE:
        return Draws(w * (bits + 2), w).plus(_each(w * (bits - 1)))
    if circuit == 1:
        return Draws(w * (2 * bits + 1), w * bits).plus(_tree(w, bits))
    digits, rows = digit_rows(bits, circuit)
    pads = w * (rows + 2 * digits - 1)
    return Draws(pads + w, pads).plus(_tree(w, digits))


def _bits(n: int, count: int, serial: bool = False) -> Draws:
    w, positions = words(n), count - 1
    if serial and positions:
        return Draws(w * (count + 1), w).plus(_each(w * (positions - 1)))
    ands = sum(len(level[0]) + len(level[2]) for level in sklansky(positions))
    return Draws(w * (count + positions), w * positions).plus(_each(w * ands))


def _is_zero(n: int, bits: int = 64) -> Draws:
    return Draws(words(n) * bits).plus(_each(words(n) * (bits - 1)))


def _b2a(n: int, planes: int = 1, link: Link | None = None) -> Draws:
    total = n * planes
    return Draws(2 * total, 2 * total if (link or Link()).hurry(8 * total) else total)


def _inject(n: int, link: Link | None = None) -> Draws:
    if (link or Link()).hurry(16 * n):
        return Draws(4 * n, 3 * n)
    return _b2a(n, 1, link).plus(_each(n))


def _truncate_nearest(n: int, shift: int, link: Link | None = None) -> Draws:
    w = words(n)
    both = Draws(2 * w * (shift + 1) + n, w * (shift + 1)).plus(_tree(w, shift))
    return both.plus(_b2a(2 * n, 1, link))


def _sine_series(
    n: int, period: int, harmonics: int, scale: int, exact: bool = False, link: Link | None = None
) -> Draws:
    dealt, shift = Draws(n, 0, 2 * harmonics * n, n), _DEALT + _PUBLIC - scale
    return dealt.plus(_truncate_nearest(n, shift, link) if exact else Draws(3 * n, n))


def _series_and_sides(
    n: int, period: int, harmonics: int, scale: int, edges: int, bits: int, blur: int = 0, exact: bool = False,
    link: Link | None = None,
) -> Draws:  # fmt: skip
    sides = _msb(edges * n, bits if exact else bits - blur, link).plus(_b2a(edges * n, 1, link))
    return _sine_series(n, period, harmonics, scale, exact, link).plus(sides)


def _shuffle(n: int, undo: bool = False) -> Draws:
    """n values moved."""
    return Draws(0, 2 * n, 2 * n) if undo else Draws(2 * n, 2 * n)


def _shuffle_and_open(n: int, values: int = 0, planes: int = 0, shown: Sequence[int] = ()) -> Draws:
    kept, opened = values + n * ((planes + 63) // 64), n * len(shown)
    return Draws(2 * kept + opened, 2 * kept + opened, opened)


def _random_digits(n: int, widths: Sequence[int], bits: int) -> Draws:
    flags = sum(n << w for w in widths)
    return Draws(2 * flags, flags).plus(_each(sum(widths) * words(n)))


DRAWS: Mapping[str, DrawsFunction] = {
    "input": lambda n: Draws(),
    "share": _share,
    "open": lambda n, to=(0, 1, 2): Draws(),
    "open_outside": _each,
    "mul": _mul,
    "truncate": _truncate,
    "truncate_nearest": _truncate_nearest,
    "msb": _msb,
    "bits": _bits,
    "is_zero": _is_zero,
    "and_": lambda n, planes=1: _each(planes * words(n)),
    "b2a": _b2a,
    "inject": _inject,
    "sine_series": _sine_series,
    "series_and_sides": _series_and_sides,
    "mix": lambda n: _each(n if n > 1 else 0),
    "shuffle": _shuffle,
    "shuffle_and_open": _shuffle_and_open,
    "open_bits": lambda n, planes=1: Draws(),
    "random_digits": _random_digits,
    "random_ring": _each,
    "random_bits": lambda n, planes=1: _each(planes * words(n)),
}
"""Operation -> words. ``mix``: an order of n rows, drawn again if two of its words are equal; a shuffle takes one."""
