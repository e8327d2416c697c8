"""Deliberately broken protocols, to prove that the privacy tests bite."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from privity.mpc.party import Party
from privity.mpc.protocol import Scheme
from privity.mpc.rep3 import Link, Rep3, Replicated
from privity.testing import altered

Changes = Mapping[tuple[int, int], Mapping[int, int | None]]


class SpoiledStream:
    """Draw number j is replaced: by zeros (None), or by draw number ``changes[j]`` once more."""

    def __init__(self, stream: Any, changes: Mapping[int, int | None]) -> None:
        self._stream, self._changes, self._drawn = stream, changes, []

    def words(self, count: int) -> Any:
        # The sound stream advances all the same, so that every other mask stays what it was.
        j, words = len(self._drawn), self._stream.words(count)
        if j in self._changes:
            again = self._changes[j]
            words = np.zeros_like(words) if again is None else self._drawn[again].copy()
        self._drawn.append(words)
        return words


@pytest.fixture
def spoil() -> Callable[..., Scheme]:
    """A Rep3 in which both holders of a pair's stream leave out a mask or use one twice: results stay right."""

    def make(changes: Changes, link: Link = Link()) -> Scheme:
        class Spoiled(Replicated):
            def __init__(self, party: Party, of: Rep3) -> None:
                super().__init__(party, of)
                i = party.index
                for side, other in (("low", (i - 1) % 3), ("high", (i + 1) % 3)):
                    pair = (min(i, other), max(i, other))
                    setattr(self, side, SpoiledStream(getattr(self, side), changes.get(pair, {})))

        return altered(Spoiled, Rep3(link=link))

    return make
