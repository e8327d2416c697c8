"""Both protocols against Python's sets; sizes, roles, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from privity.errors import DataError, HandshakeError, UsageError
from privity.net.wire import CHUNK, FRAME_OVERHEAD
from privity.psi import Common, intersect
from privity.psi import intersection as protocol
from privity.psi.diffie_hellman import intersect_by_diffie_hellman, point
from privity.psi.items import LARGEST
from privity.ring import kernels

Together = Callable[..., list[Any]]
Numbered = Callable[..., list[bytes]]

METHODS = [intersect, intersect_by_diffie_hellman]
SETS = st.lists(st.binary(max_size=70), unique=True, max_size=40)


def run(together: Together, one: list[bytes], two: list[bytes], method: Any = intersect, **options: Any) -> list[Any]:
    return together(lambda c: method(c, "clinic", one, **options), lambda c: method(c, "bank", two, **options))


def check(outcome: list[Any], one: list[bytes], two: list[bytes]) -> None:
    for own, peer, result in ((one, two, outcome[0]), (two, one, outcome[1])):
        assert isinstance(result, Common), result
        assert result.rows is not None and result.rows.dtype == np.int64
        theirs = set(peer)
        assert result.rows.tolist() == [row for row, item in enumerate(own) if item in theirs]
        assert (result.own_size, result.peer_size) == (len(own), len(peer))


@pytest.mark.parametrize("method", METHODS)
@given(one=SETS, two=SETS, shared=SETS)
@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_equals_pythons_sets(
    together: Together, method: Any, one: list[bytes], two: list[bytes], shared: list[bytes]
) -> None:
    first, second = list(dict.fromkeys(one + shared)), list(dict.fromkeys(shared + two))
    check(run(together, first, second, method), first, second)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("ours", "theirs", "both"),
    [(0, 0, 0), (0, 5, 0), (5, 0, 0), (1, 1, 0), (1, 1, 1), (1, 60, 1), (60, 1, 0), (50, 50, 50), (50, 40, 0)],
)
def test_sizes_and_overlaps(
    together: Together, numbered: Numbered, method: Any, ours: int, theirs: int, both: int
) -> None:
    one = numbered(ours - both, prefix=b"one ") + numbered(both)
    two = numbered(both)[::-1] + numbered(theirs - both, prefix=b"two ")
    check(run(together, one, two, method), one, two)


@pytest.mark.parametrize(("ours", "theirs"), [(70_000, 3_000), (3_000, 70_000), (60_000, 60_001)])
def test_many_items_in_several_messages(together: Together, numbered: Numbered, ours: int, theirs: int) -> None:
    one, two = numbered(ours), numbered(theirs, start=ours - min(ours, theirs) // 2)
    check(run(together, one, two), one, two)


@pytest.mark.parametrize("to", ["bank", "clinic"])
@pytest.mark.parametrize(("ours", "theirs"), [(8, 30), (30, 8), (0, 3)])
def test_one_owner_alone_learns(together: Together, numbered: Numbered, to: str, ours: int, theirs: int) -> None:
    bank, clinic = run(together, numbered(ours), numbered(theirs, start=5), to=to)
    learns, other = (bank, clinic) if to == "bank" else (clinic, bank)
    assert other.rows is None
    own, start = (ours, 0) if to == "bank" else (theirs, 5)
    common = set(range(ours)) & set(range(5, 5 + theirs))
    assert learns.rows.tolist() == [i for i in range(own) if start + i in common]


@pytest.mark.parametrize("method", METHODS)
def test_repeated_items_are_refused_at_their_owner(together: Together, numbered: Numbered, method: Any) -> None:
    bank, clinic = run(together, [b"x", b"secret", b"y", b"secret"], numbered(3), method)
    assert isinstance(bank, DataError) and "items 1 and 3" in str(bank) and "secret" not in str(bank)
    assert type(clinic).__name__ == "PeerAborted" and "DataError" in str(clinic)


def test_what_is_no_set_of_bytes_is_refused(together: Together, numbered: Numbered) -> None:
    for wrong in ([b"a", "b"], ["a"], b"abc", "abc", [bytearray(b"a")]):
        bank, _ = run(together, wrong, numbered(2))  # type: ignore[arg-type]
        assert isinstance(bank, UsageError), wrong
    bank, _ = run(together, [b""] * (LARGEST + 1), numbered(2))
    assert isinstance(bank, UsageError) and "at most" in str(bank)


def test_owners_that_disagree_learn_nothing(together: Together, numbered: Numbered) -> None:
    items = numbered(3)
    for outcome in (
        together(lambda c: intersect(c, "clinic", items), lambda c: intersect(c, "bank", items, to="bank")),
        together(lambda c: intersect(c, "clinic", items), lambda c: intersect_by_diffie_hellman(c, "bank", items)),
    ):
        assert [type(each) for each in outcome].count(HandshakeError) >= 1
        assert not any(isinstance(each, Common) for each in outcome)
    wrong = together(lambda c: intersect(c, "clinic", items, to="shop"), lambda c: None)[0]
    assert isinstance(wrong, UsageError) and "shop" in str(wrong)


class Counting:
    """A channel that counts the payload of its data messages and, together with its peer, the rounds."""

    def __init__(self, channel: Any) -> None:
        self._channel = channel
        self.payload = self.data = self.told = self.turns = 0
        self._sending = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._channel, name)

    def _turn(self, sending: bool) -> None:
        self.turns += sending and not self._sending
        self._sending = sending

    def send(self, to: str, step: int, data: Any) -> None:
        self._turn(True)
        size = data.nbytes if isinstance(data, np.ndarray) else len(data)
        self.payload += size
        self.data += size + FRAME_OVERHEAD * max(1, -(-size // CHUNK))
        self._channel.send(to, step, data)

    def tell(self, to: str, message: Any) -> None:
        self._turn(True)
        before = self._channel.bytes_sent
        self._channel.tell(to, message)
        self.told += self._channel.bytes_sent - before

    def receive(self, *arguments: Any) -> None:
        self._turn(False)
        self._channel.receive(*arguments)

    def hear(self, *arguments: Any) -> Any:
        self._turn(False)
        return self._channel.hear(*arguments)


@pytest.mark.parametrize(("ours", "theirs", "to"), [(100, 300, "both"), (100, 300, "bank"), (70_000, 90_000, "both")])
def test_rounds_and_bytes_are_those_declared(
    together: Together, numbered: Numbered, ours: int, theirs: int, to: str
) -> None:
    channels: list[Counting] = []

    def wrap(channel: Any) -> Counting:
        channels.append(Counting(channel))
        return channels[-1]

    one, two = numbered(ours), numbered(theirs)
    together(lambda c: intersect(c, "clinic", one, to=to), lambda c: intersect(c, "bank", two, to=to), wrap=wrap)
    bank, clinic = sorted(channels, key=lambda c: c.me)
    expected = protocol.traffic(ours, theirs, ours if to == "both" else None)
    assert (bank.payload, clinic.payload) == expected
    for each in (bank, clinic):
        assert each.bytes_sent == each.data + each.told and each.told < 400
    # both tell their offers at once; then the receiver and the sender take turns
    assert bank.turns + clinic.turns - 1 == protocol.ROUNDS - (to != "both")


def test_the_declared_bytes_of_a_million() -> None:
    receiver, sender = protocol.traffic(10**6, 10**6, 500_000)
    assert receiver == pytest.approx(80.8e6, rel=1e-3) and sender == pytest.approx(33.0e6, rel=1e-3)
    assert protocol.value_bytes(1, 1) == 10 and protocol.value_bytes(10**6, 10**6) == 11
    assert protocol.value_bytes(LARGEST, LARGEST) == 12


def test_hashed_points_lie_on_the_curve_and_not_on_its_twist() -> None:
    field = 2**255 - 19
    for i in range(20):
        u = int.from_bytes(point(bytes(32), b"%d" % i), "little")
        assert pow(u * (u * u + 486662 * u + 1), (field - 1) // 2, field) == 1
    assert point(bytes(32), b"a") != point(bytes(31) + b"1", b"a")


def test_without_native_kernels_the_same(
    together: Together, numbered: Numbered, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernels, "_native", None)
    one, two = numbered(40), numbered(50, start=17)
    check(run(together, one, two), one, two)
