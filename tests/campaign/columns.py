"""Columns and tables as people have them: scales, offsets, tails, ties, zeros, empty cells, loose bounds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

import privity as pv
from privity.table import Field, TableInfo

from .case import ULP, Sheet

NAMES = ("age", "Einkommen (€)", "größe", "体重", "x y", "naïve", "Δt", "a'b", "col;1", "Ünï", "amount", "k", "café")
LEVELS = ("ja", "nein", "weiß nicht", "über 65", "日本", "a,b", "Ω", "O'Brien", "none", "0", "1.5", "é", "long " * 6)


@dataclass(frozen=True)
class Column:
    """Values, the public bound that somebody states, and what they look like."""

    values: Any
    bound: float
    note: str

    def input(self, scale: int | None = None) -> pv.Input:
        return pv.Input(self.values, self.bound, scale)


def power_of_two(x: float) -> float:
    """The least power of two that is at least x."""
    return float(2.0 ** np.ceil(np.log2(x)))


class Draw:
    """Draws what a case is made of."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng

    def chance(self, p: float) -> bool:
        return bool(self.rng.random() < p)

    def one(self, *of: Any) -> Any:
        return of[int(self.rng.integers(len(of)))]

    def between(self, low: float, high: float) -> float:
        return float(self.rng.uniform(low, high))

    def ten(self, low: float, high: float) -> float:
        """10 to a uniform power."""
        return float(10.0 ** self.rng.uniform(low, high))

    def whole(self, low: int, high: int) -> int:
        return int(self.rng.integers(low, high + 1))

    def rows(self, low: int = 2, high: int = 120, single: float = 0.05) -> int:
        return 1 if self.chance(single) else round(float(np.exp(self.rng.uniform(np.log(low), np.log(high)))))

    def owners(self) -> int:
        return self.whole(1, 6)

    def loose(self, largest: float, most: float = np.inf, how: float = 6.0) -> float:
        """A bound that somebody would state: at least the largest value, by 1 to 10^6 times."""
        factor = 1.0 if self.chance(0.3) else self.ten(0, how)
        return float(max(largest, min(max(largest, 1e-6) * factor, most)))

    def shape_of(self, n: int) -> tuple[Any, str]:
        """n numbers around 0 with deviation or size about 1."""
        rng = self.rng
        kind = self.one(
            "normal",
            "normal",
            "uniform",
            "lognormal",
            "pareto",
            "ties",
            "zeros",
            "constant",
            "two",
            "duplicates",
            "spike",
            "nothing",
        )
        if kind == "normal":
            x = rng.normal(size=n)
        elif kind == "uniform":
            x = rng.uniform(0, 1, n)
        elif kind == "lognormal":
            x = np.exp(rng.normal(0, 1.5, n)) / 10
        elif kind == "pareto":
            x = rng.pareto(1.2, n) / 10
        elif kind == "ties":
            x = np.round(rng.normal(size=n) * 2) / 2
        elif kind == "zeros":
            x = np.where(rng.random(n) < rng.uniform(0.5, 0.98), 0.0, np.exp(rng.normal(0, 1, n)))
        elif kind == "constant":
            x = np.full(n, rng.normal())
        elif kind == "two":
            x = np.where(rng.random(n) < 0.5, -1.0, 1.0)
        elif kind == "duplicates":
            x = rng.choice(rng.normal(size=max(1, n // 4)), n)
        elif kind == "spike":
            x = rng.normal(size=n) * 1e-2
            x[rng.integers(n)] = 1.0
        else:
            x = np.zeros(n)
        return x, kind

    def column(
        self,
        n: int,
        *,
        low: float = -6,
        high: float = 9,
        most: float = 2.0**40,
        positive: bool = False,
        whole: bool = False,
        offset: bool = True,
        how: float = 6.0,
        varies: bool = False,
        bounded: float = np.inf,
    ) -> Column:
        """n numbers: a scale of 10^low to 10^high, |x| <= most, the stated bound at most ``bounded`` (or the largest).

        ``varies``: not constant (where n > 1). ``how``: largest power of ten by which the bound is loose.
        """
        x, kind = self.shape_of(n)
        while varies and n > 1 and np.ptp(x) == 0:
            x, kind = self.shape_of(n)
        scale = self.ten(low, high)
        x = x * scale
        note = f"{kind} {scale:.3g}"
        if offset and self.chance(0.3):
            shift = self.rng.normal() * scale * self.ten(0, 3)
            x, note = x + shift, note + f" + {shift:.3g}"
        if positive:
            x = np.abs(x)
        if whole:
            x = np.rint(x)
        largest = float(np.abs(x).max())
        if largest > most:
            x = x * (0.999 * most / largest)
            if whole:
                x = np.trunc(x)
            note += f" cut to {most:.3g}"
        bound = self.loose(float(np.abs(x).max()), bounded, how)
        if whole:
            bound = max(1.0, np.ceil(bound))
        return Column(x, bound, f"{note}, bound {bound:.3g}")

    def field(self, name: str, c: Column, kind: str = "number", missing: bool = False) -> Field:
        """The field of a column: bound and unit."""
        bound = max(c.bound, 1.0 if kind == "integer" else 2.0**-53)
        return Field(name, kind, power_of_two(bound), bound, missing=missing)  # type: ignore[arg-type]

    def gaps(self, n: int, share: float | None = None) -> Any:
        """Which cells are empty: 0 to 99 %."""
        share = self.one(0.0, 0.01, 0.1, 0.3, 0.6, 0.9, 0.99) if share is None else share
        return self.rng.random(n) < share

    def names(self, k: int) -> tuple[str, ...]:
        return tuple(str(v) for v in self.rng.permutation(NAMES)[:k])

    def levels(self, k: int) -> tuple[str, ...]:
        return tuple(str(v) for v in self.rng.permutation(LEVELS)[:k])

    def codes(self, n: int, k: int) -> Any:
        """n codes of k categories, some of them rare or absent."""
        p = self.rng.dirichlet(np.full(k, self.one(0.2, 1.0, 5.0)))
        return self.rng.choice(k, n, p=p).astype(np.float64)

    def flags(self, n: int, share: float | None = None) -> Any:
        """n labels of 0 and 1, one of them rare at times, or absent."""
        share = self.one(0.5, 0.5, 0.3, 0.1, 0.02, 0.0, 1.0) if share is None else share
        return (self.rng.random(n) < share).astype(np.int64)


def table(name: str, fields: Any, cells: Any, label: Field | None = None, y: Any = None, **more: Any) -> Sheet:
    """A sheet of numbers, codes and NaN for an empty cell."""
    keys = more.pop("keys", None)
    info = TableInfo(name, tuple(fields), label=label, keyed=keys is not None, **more)
    return Sheet(info, np.asarray(cells, np.float64).reshape(-1, len(fields)), y, keys)


def shared(x: Any, scale: int = 18) -> Any:
    """What is shared of real numbers: rounded to ``scale`` fractional bits. References are computed on it."""
    return np.rint(np.asarray(x, np.float64) * 2.0**scale) / 2.0**scale


@dataclass(frozen=True)
class Digits:
    """What numbers are known by: ``last``, their last unit, ``bound`` and ``terms`` (docs/numerics.md, deviations).

    A deviation is off by 2^-17 of itself, a quarter of a unit of x (a whole one of those that are left where last bits
    are cut), two units of the result; a variance accordingly.
    """

    last: float
    bound: float
    terms: int

    @property
    def unit(self) -> float:
        """Of x, where the bound is so large that its last bits are cut first."""
        return self.last * max(1.0, self.bound * self.terms / self.last / 2.0**56)

    @property
    def lost(self) -> float:
        """By how much a deviation is off because of it."""
        return self.unit / 4 if self.unit == self.last else self.unit

    @property
    def of_squares(self) -> float:
        """The unit of a variance: 18 fractional bits, or as many as fit beside the square of the bound."""
        return max(ULP, power_of_two(self.bound * self.bound * 2.0**-57))

    def deviation(self, deviation: Any) -> Any:
        return 2.0**-17 * deviation + self.lost + 2 * ULP

    def product(self, one: Any, other: Any) -> Any:
        """Error of a product of two deviations: a variance, a covariance."""
        a, b = 2.0**-17 * one + self.lost, 2.0**-17 * other + self.lost
        return one * b + other * a + a * b + 2 * self.of_squares


def cells(x: Any, unit: float) -> Any:
    """What is shared of a table's numbers: 30 fractional bits of the unit."""
    return shared(np.asarray(x, np.float64) / unit, 30) * unit
