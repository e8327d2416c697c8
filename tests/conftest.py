"""What holds for all tests."""

from __future__ import annotations

import gc
import hashlib
import re
import secrets
import threading
from collections import Counter
from types import SimpleNamespace

import pytest
from hypothesis import settings

from privity.net import memory
from privity.ring import prg

settings.register_profile("any machine", deadline=None)  # a slow or busy machine is no error
settings.load_profile("any machine")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--fresh-draws", action="store_true", help="masks and secret draws of simulated runs are new in each run"
    )


def pytest_collection_finish() -> None:
    """Ten thousand tests and what they import stay until the end: the garbage collector need not look at them again."""
    gc.collect()
    gc.freeze()


class Draws:
    """Bytes that look random and are the same in each run of a test: by its name, who draws, and how often."""

    def __init__(self, test: str) -> None:
        self._test = test
        self._lock = threading.Lock()
        self.restart()

    def restart(self) -> None:
        """Begin again with the first draw of everybody."""
        self._drawn: Counter[str] = Counter()

    def __call__(self, count: int) -> bytes:
        who = re.sub(r"^Thread-\d+", "", threading.current_thread().name)
        with self._lock:
            self._drawn[who] += 1
            name = f"{self._test}|{who}|{self._drawn[who]}"
        return hashlib.shake_256(name.encode()).digest(count)


@pytest.fixture(autouse=True)
def same_draws(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Draws:
    """Simulated runs draw the same masks, starts and orders each time, so that a test that passes once always passes.

    Without this a thousand tests that allow for the noise of truncation would each have a chance of their own to fail.
    ``--fresh-draws`` (``make soak``) takes true draws: a bound that holds for some of them only is found there.
    """
    draws = Draws(request.node.nodeid)
    if not request.config.getoption("--fresh-draws"):
        monkeypatch.setattr(prg, "os", SimpleNamespace(urandom=draws))
        monkeypatch.setattr(memory, "secrets", SimpleNamespace(token_bytes=draws, token_hex=secrets.token_hex))
    return draws
