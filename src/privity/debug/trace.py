"""What each line of a program costs: rounds, bytes and seconds of every protocol operation, by the stack that asked.

A tracer wraps the operations of one party's protocol object. An operation costs at least a round, tens of
microseconds; noting it costs a few. Lines, counts and times are all that is kept: nothing depends on a secret.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from ..lines import is_library
from ..mpc.protocol import Protocol
from .flame import Node, page

_NOT_OPERATIONS = {"cost", "deal", "collect"}
_RUNNERS = {"run_party", "_run_on_shapes"}  # where the program's own frames begin

Place = tuple[CodeType, int]
Places = tuple[int, ...]  # number of the code and line, in turns: hashing code objects themselves is slow


@dataclass(frozen=True, slots=True)
class Entry:
    """All calls of one operation from one stack (``stack``: from the program's first line inwards to the operation)."""

    stack: tuple[str, ...]
    line: str
    function: str
    operation: str
    calls: int
    rounds: int
    bytes_sent: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Line:
    """What one line of the program spent on one function. ``seconds`` includes waiting for the other parties."""

    line: str
    function: str
    calls: int
    rounds: int
    bytes_sent: int
    seconds: float


class Tracer:
    """Measures the operations of ``protocol`` from the moment it is made. ``spent`` gives rounds and bytes so far."""

    def __init__(self, me: str, protocol: Protocol, spent: Callable[[], Sequence[int]]) -> None:
        self._me = me
        self._spent = spent
        self._inside = False
        self._totals: dict[tuple[Places, str], list[float]] = {}
        self._codes: dict[int, tuple[CodeType, bool, bool]] = {}  # by id: code, in the library, starts programs
        self._begun = time.perf_counter()
        for name in dir(Protocol):
            method = getattr(protocol, name, None)
            if not name.startswith("_") and name not in _NOT_OPERATIONS and callable(method):
                setattr(protocol, name, self._measured(name, method))

    def _measured(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(method)
        def measured(*args: Any, **kwargs: Any) -> Any:
            if self._inside:  # one operation that uses another counts as itself
                return method(*args, **kwargs)
            self._inside = True
            rounds, sent = self._spent()
            begin = time.perf_counter()
            try:
                return method(*args, **kwargs)
            finally:
                seconds = time.perf_counter() - begin
                rounds_now, sent_now = self._spent()
                self._inside = False
                entry = self._totals.setdefault((self._stack(sys._getframe(1)), name), [0, 0, 0, 0.0])
                entry[0] += 1
                entry[1] += rounds_now - rounds
                entry[2] += sent_now - sent
                entry[3] += seconds

        return measured

    def trace(self) -> Trace:
        """What was measured so far."""
        entries = [_entry(self._places(stack), name, total) for (stack, name), total in self._totals.items()]
        return Trace(self._me, time.perf_counter() - self._begun, entries)

    def _stack(self, frame: FrameType | None) -> Places:
        """The frames from the innermost outwards, up to what started the program; lines only of the user's files."""
        places: list[int] = []
        while frame is not None:
            code = frame.f_code
            known = self._codes.get(id(code))
            if known is None:
                library = is_library(code.co_filename)
                known = self._codes[id(code)] = (code, library, library and code.co_name in _RUNNERS)
            if known[2]:
                break
            places.append(id(code))
            places.append(0 if known[1] else frame.f_lineno)
            frame = frame.f_back
        return tuple(places)

    def _places(self, stack: Places) -> tuple[Place, ...]:
        return tuple((self._codes[code][0], line) for code, line in zip(stack[::2], stack[1::2], strict=True))


def _label(place: Place) -> str:
    code, line = place
    name = getattr(code, "co_qualname", code.co_name).rpartition("<locals>.")[2]
    return f"{name} ({os.path.basename(code.co_filename)}:{line})" if line else _plain(name)


def _plain(name: str) -> str:
    """SecureArray.__mul__ -> mul."""
    name = name.removeprefix("SecureArray.").removeprefix("Session.")
    return name.strip("_") if name.startswith("__") else name


def _entry(stack: tuple[Place, ...], operation: str, total: list[float]) -> Entry:
    at = next((i for i, (_, line) in enumerate(stack) if line), len(stack) - 1)
    code, line = stack[at] if stack else (None, 0)
    where = f"{os.path.basename(code.co_filename)}:{line}" if code is not None else "?"
    function = _label(stack[at - 1]) if at > 0 else operation
    calls, rounds, sent, seconds = total
    labels = tuple(_label(p) for p in reversed(stack))
    return Entry((*labels, operation), where, function, operation, int(calls), int(rounds), int(sent), seconds)


class Trace:
    """The measurements of one party. ``seconds``: wall time since the trace began."""

    def __init__(self, me: str, seconds: float, entries: Sequence[Entry]) -> None:
        self.me = me
        self.seconds = seconds
        self.entries = list(entries)

    @property
    def rounds(self) -> int:
        """Rounds of all operations."""
        return sum(e.rounds for e in self.entries)

    @property
    def bytes_sent(self) -> int:
        """Bytes that all operations sent, headers and tags included."""
        return sum(e.bytes_sent for e in self.entries)

    def lines(self) -> list[Line]:
        """One entry per line of the program and function called there, the slowest first."""
        found: dict[tuple[str, str], list[float]] = {}
        for e in self.entries:
            total = found.setdefault((e.line, e.function), [0, 0, 0, 0.0])
            for i, value in enumerate((e.calls, e.rounds, e.bytes_sent, e.seconds)):
                total[i] += value
        result = [Line(*key, int(t[0]), int(t[1]), int(t[2]), t[3]) for key, t in found.items()]
        return sorted(result, key=lambda line: (-line.seconds, line.line))

    def table(self, times: bool = True) -> str:
        """The lines as text. 'operations' are calls of the protocol; what is between them is the program's own time.

        ``times=False`` leaves out the seconds, which mean nothing in a plan.
        """
        head: tuple[str, ...] = ("line", "function", "operations", "rounds", "bytes sent", "seconds")
        rows: list[tuple[str, ...]] = [
            (x.line, x.function, f"{x.calls:,}", f"{x.rounds:,}", f"{x.bytes_sent:,}", f"{x.seconds:.4f}")
            for x in self.lines()
        ]
        calls, inside = sum(e.calls for e in self.entries), sum(e.seconds for e in self.entries)
        if times:
            rows.append(("between operations", "", "", "", "", f"{max(0.0, self.seconds - inside):.4f}"))
        rows.append(("total", "", f"{calls:,}", f"{self.rounds:,}", f"{self.bytes_sent:,}", f"{self.seconds:.4f}"))
        if not times:
            head, rows = head[:-1], [row[:-1] for row in rows]
        widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
        text = [
            "  ".join(c.ljust(w) if i < 2 else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True)))
            for row in (head, *rows)
        ]
        text.insert(1, "  ".join("-" * w for w in widths))
        return "\n".join(line.rstrip() for line in text) + "\n"

    def html(self) -> str:
        """A flame graph as one HTML page that loads nothing: seconds, bytes or rounds; click to enlarge."""
        root = Node(f"{self.me}: all operations")
        for e in self.entries:
            root.add(e.stack, e.calls, e.rounds, e.bytes_sent, e.seconds)
        return page(f"Trace of {self.me}", root, self.table())

    def files(self) -> dict[str, str]:
        """``trace.txt`` and ``trace.html``."""
        return {"trace.txt": self.table(), "trace.html": self.html()}

    def save(self, folder: str | Path) -> None:
        """Write both files into ``folder``."""
        target = Path(folder)
        target.mkdir(parents=True, exist_ok=True)
        for name, text in self.files().items():
            (target / name).write_text(text, "utf-8")

    def __repr__(self) -> str:
        return f"Trace({self.me}: {self.rounds:,} rounds, {self.bytes_sent:,} bytes, {self.seconds:.3f} s)"
