"""The running hash of a session's public numbers: what secrets were combined with must be the same at all parties.

Floating point differs between processors in its last bits. A public factor that is one unit larger at one party gives
no error but shares of nothing: so what meets shares goes into a hash, and parties compare hashes before an opening.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from ..ring.prg import fingerprint

Place = tuple[str, int]
"""File and line of the program, for messages; neither goes into the hash."""

_SHORT = 256  # bytes that are kept as they are until many are hashed together: cheaper than a hash of their own
_TOGETHER = 2048  # entries
MOST_LINES: Final = 4096
_LATER: Final = ("later lines", 0)
_ENCODER: Final = msgspec.msgpack.Encoder(enc_hook=lambda number: number.item())  # NumPy's numbers as Python's

Entry = tuple[Any, ...]
"""Bytes, numbers, and tuples of them. Encoded when many are hashed, since most of the time they are only collected."""


class PublicNumbers:
    """What met shares at one party since the last comparison, in order, by line of the program."""

    __slots__ = ("_count", "_entries", "_fresh", "_hashes", "_pending", "_place", "last", "met")

    def __init__(self, place: Callable[[], Place]) -> None:
        """``place``: where the program is, asked where a secret array was made with public numbers."""
        self._place = place
        self._entries: dict[Place, list[Entry]] = {}
        self._hashes: dict[Place, Any] = {}
        self._pending: list[Entry] = []
        self._count = 0
        self._fresh = False  # whether a number was met since the last array was made
        self.last: Place = ("outside the program", 0)
        """Where public numbers met secrets last."""
        self.met = False
        """Whether there is anything to compare."""

    def array(self, operation: bytes, values: Any) -> None:
        """Public ring integers (an array, or one) that an operation takes."""
        self.met = self._fresh = True
        if not values.shape:
            self._pending.append((operation, int(values)))
            return
        data = values.tobytes()
        self._pending.append((operation, values.shape, data if len(data) <= _SHORT else fingerprint(data)))

    def integers(self, operation: bytes, values: Iterable[int]) -> None:
        """Public integers that an operation takes: shifts, periods, positions."""
        self.met = self._fresh = True
        self._pending.append((operation, repr(tuple(values))))

    def floats(self, operation: bytes, values: Sequence[float]) -> None:
        """Public numbers that an operation takes as they are."""
        self.met = self._fresh = True
        self._pending.append((operation, tuple(values)))

    def text(self, operation: bytes, value: str) -> None:
        """How something public reads: slices, axes, names."""
        self.met = self._fresh = True
        self._pending.append((operation, value))

    def made(self, shape: tuple[int, ...], scale: int, bound: float) -> None:
        """A secret array was made: what was met until here belongs to the line where the program is now."""
        self._pending.append((shape, scale, float(bound)))
        if self._fresh or len(self._pending) > _TOGETHER:
            self._settle()

    def _settle(self) -> None:
        self._fresh = False
        if not self._pending:
            return
        place = self.last = self._place()
        entries = self._entries.get(place)
        if entries is None:
            if len(self._entries) >= MOST_LINES:
                place = _LATER
            entries = self._entries.setdefault(place, [])
        entries += self._pending
        self._count += len(self._pending)
        self._pending.clear()
        if self._count > _TOGETHER:
            self._condense()

    def _condense(self) -> None:
        for place, entries in self._entries.items():
            if entries:
                self._hashes.setdefault(place, hashlib.sha256()).update(fingerprint(_ENCODER.encode(entries)))
                entries.clear()
        self._count = 0

    def lines(self) -> list[tuple[str, bytes]]:
        """The hash of every line's numbers, in the order in which the lines came first; at most ``MOST_LINES`` + 1."""
        self._settle()
        self._condense()
        return [(f"{file}:{line}" if line else file, self._hashes[file, line].digest()) for file, line in self._entries]

    def digest(self) -> bytes:
        """``overall`` of the lines."""
        return overall(self.lines())

    def compared(self) -> None:
        """All parties have the same: the next comparison begins here."""
        self._entries.clear()
        self._hashes.clear()
        self._pending.clear()
        self._count = 0
        self.met = False


def overall(lines: Sequence[tuple[str, bytes]]) -> bytes:
    """One hash of all: equal at two parties where all lines' are."""
    return hashlib.sha256(b"".join(digest for _, digest in lines)).digest()


def first_difference(lines: Mapping[str, Sequence[tuple[str, bytes]]]) -> tuple[str, tuple[str, ...]]:
    """The first line whose hashes differ between parties (party -> its ``lines``), and who has others than the most.

    No party where all differ from each other.
    """
    for at in range(max(map(len, lines.values()))):
        here = {party: each[at] if at < len(each) else ("its end", b"") for party, each in lines.items()}
        groups: dict[bytes, list[str]] = {}
        for party, (_, digest) in here.items():
            groups.setdefault(digest, []).append(party)
        if len(groups) > 1:
            most = max(groups.values(), key=len)
            odd = tuple(party for party in here if party not in most) if len(most) > 1 else ()
            place = here[most[0]][0]
            return place, odd
    return "an unknown line", ()
