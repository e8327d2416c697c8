"""Running a function of secret arrays and opening what it returns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import privity as pv
from privity.mpc.plain import InsecurePlain
from privity.mpc.rep3 import Replicated
from privity.session import Session

Compute = Callable[..., list[Any]]
PROTOCOLS: dict[str, tuple[Any, int]] = {
    "InsecurePlain": (InsecurePlain(), 1),
    "Rep3": (pv.Rep3(), 3),
    "Rep3 exact": (pv.Rep3(exact=True), 3),
}


@pytest.fixture
def computing(request: pytest.FixtureRequest) -> Callable[..., Compute]:
    """A protocol and its number of parties -> what opens the results of functions and checks their public bounds.

    Arrays come with the bound that the test module states as BOUND, if they are not inputs with one of their own.
    """
    usual = getattr(request.module, "BOUND", 128.0)

    def with_protocol(kind: Any = pv.Rep3(), parties: int = 3) -> Compute:
        def run(fn: Callable[..., Any], *arrays: Any, bound: float = usual) -> list[Any]:
            given = {f"x{i}": a if isinstance(a, pv.Input) else pv.Input(a, bound) for i, a in enumerate(arrays)}

            def program(s: Session) -> list[Any]:
                out = fn(*(s.secret(name, "bank") for name in given))
                many = list(out) if isinstance(out, (list, tuple)) else [out]
                opened = [s.reveal(v, to="all", name=f"y{j}", reason="test") for j, v in enumerate(many)]
                for value, array in zip(opened, many, strict=True):
                    assert np.abs(value).max(initial=0) <= array.bound + 2.0**-array.scale
                return opened

            results: list[Any] = pv.simulate(program, parties=parties, protocol=kind, inputs={"bank": given}).output
            return results

        return run

    return with_protocol


@pytest.fixture(params=list(PROTOCOLS))
def compute(request: pytest.FixtureRequest, computing: Callable[..., Compute]) -> Compute:
    """The same on every protocol."""
    return computing(*PROTOCOLS[request.param])


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Answers to comparisons that were opened to the first compute party, one array for each batch."""
    out: list[Any] = []
    opened = Replicated._open_bits

    def watch(self: Any, b: Any) -> Any:
        value = opened(self, b)
        if self.party.index == 0 and b.planes == 1:
            out.append(np.asarray(value).reshape(-1).astype(int))
        return value

    monkeypatch.setattr(Replicated, "_open_bits", watch)
    return out


@pytest.fixture
def is_an_order() -> Callable[[Any], bool]:
    """Whether answers to all pairs of n rows put these in one order."""

    def one_order(answers: Any) -> bool:
        n = int((1 + (1 + 8 * answers.size) ** 0.5) / 2)
        assert n * (n - 1) // 2 == answers.size
        less = np.zeros((n, n), int)
        first, second = np.triu_indices(n, 1)
        less[first, second], less[second, first] = answers, 1 - answers
        return sorted(less.sum(1).tolist()) == list(range(n))

    return one_order
