"""Permits: leave for one opening. A protocol opens nothing without one, whoever asks.

A permit is for one value, named receivers and one use. Who may make which kind is a short list, kept by a test: gates
make those for listed values and for range guards, and the three files of secret orders those for what carries no
information about the data (mpc/orders.py, mpc/sort.py, mpc/radix.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from ..errors import OpeningRefused
from .shares import Bits, Share


class Kind(Enum):
    """What a permit is for."""

    LISTED = "a value on the openings list"
    GUARD = "the outcome of range guards"
    INDEPENDENT = "what is independent of the secrets"


class Permit:
    """Leave to open ``subjects`` (these very objects) to ``to`` (names of parties; None: all compute parties), once."""

    __slots__ = ("_spent", "_subjects", "_to", "kind")

    def __init__(self, kind: Kind, subjects: Sequence[Share | Bits], to: Sequence[str] | None) -> None:
        self.kind = kind
        self._subjects = tuple(subjects)
        self._to = None if to is None else frozenset(to)
        self._spent = False

    def spend(self, kinds: Sequence[Kind], subjects: Sequence[Share | Bits], to: Sequence[str] | None) -> None:
        """Use the permit. ``to``: None where the names of all receivers are not known (a party that holds no shares).

        Raises OpeningRefused unless it is of one of these kinds, for these very values and receivers, and unused.
        """
        same = len(subjects) == len(self._subjects) and all(
            a is b for a, b in zip(subjects, self._subjects, strict=True)
        )
        if self.kind not in kinds or not same or (to is not None and frozenset(to) != self._to):
            raise OpeningRefused(
                f"a protocol was asked to open a value with a permit for something else ({self.kind.value}); nothing "
                "was sent. A permit is for one value and its receivers: open with session.reveal"
            )
        if self._spent:
            raise OpeningRefused("a permit for one opening was used a second time; nothing was sent")
        self._spent = True

    def __repr__(self) -> str:
        return f"Permit({self.kind.value})"


def independent(*subjects: Share | Bits) -> Permit:
    """For what says nothing about the data: places in a shuffled order, masked digits, comparisons in random order."""
    return Permit(Kind.INDEPENDENT, subjects, None)
