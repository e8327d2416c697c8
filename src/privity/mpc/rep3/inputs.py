"""Rep3 inputs: what an owner outside deals, and what a compute party shares itself.

Adversary  one curious compute party; an owner may send anything
Assumes    private, authenticated channels; an owner's seeds are its own and fresh
Reveals    to each compute party two of three components, uniform by themselves. An owner who sends its two holders
           different components is found before the input is used: they compare hashes
Error      none
Paper      Mohassel-Rindal, ABY3, ePrint 2018/403 (a party's input); seeds in place of two of an owner's components
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...errors import WireError
from ...ring import layout
from ...ring.prg import SEED_BYTES, Stream, digest, new_seed, same
from ...types import Channel, Ring
from ..shares import Share
from .seat import Seat


def deal(channel: Channel, names: Sequence[str], step: int, values: Ring) -> None:
    """x0 and x1 from fresh seeds, x2 explicit: 16 bytes per element in all."""
    x = layout.flat(values)
    seed0, seed1 = new_seed(), new_seed()
    x2 = layout.as_bytes(x - Stream(seed0).words(x.size) - Stream(seed1).words(x.size))
    channel.send(names[0], step, seed0 + seed1)
    channel.send(names[1], step, layout.join_bytes([layout.from_bytes(seed1), x2]))
    channel.send(names[2], step, layout.join_bytes([layout.from_bytes(seed0), x2]))


def receive(seat: Seat, owner: str, step: int, shape: tuple[int, ...]) -> Share:
    """Seeds and explicit component from an outside owner; the holders of each compare what they got by hash.

    Party 0 gets two seeds and nothing else, so it makes room for n elements only when both other parties have said
    what only they could say: that they hold the same, each with the n words that the owner really sent them.
    """
    i, n = seat.party.index, layout.count(shape)
    first = layout.empty_bytes(SEED_BYTES)
    if i == 0:  # x_0 is shared with party 2, x_1 with party 1
        both, second = _from_owner(seat, owner, step, 2 * SEED_BYTES), layout.empty_bytes(SEED_BYTES)
        layout.split_bytes(both, [first, second])
        held = (layout.view(first), layout.view(second))
    else:
        both, x2 = _from_owner(seat, owner, step, SEED_BYTES + 8 * n), layout.empty(n)
        layout.split_bytes(both, [first, x2])
        held = (layout.view(first), layout.view(x2)) if i == 1 else (layout.view(x2), layout.view(first))
    _compare(seat, owner, n, [digest(part) for part in held])
    if i == 0:
        x_low, x_high = (Stream(bytes(seed)).words(n) for seed in (first, second))
    else:
        masked = Stream(bytes(first)).words(n)
        x_low, x_high = (masked, x2) if i == 1 else (x2, masked)
    return Share((x_low.reshape(shape), x_high.reshape(shape)), shape)


def _compare(seat: Seat, owner: str, n: int, held: Sequence[bytes]) -> None:
    """With the previous party x_i, with the next x_{i+1}: each says "I, this party, hold this and n elements"."""
    p, i = seat.party, seat.party.index
    prev, nxt = (i - 1) % 3, (i + 1) % 3
    theirs = [layout.empty_bytes(32), layout.empty_bytes(32)]
    said = [digest(b"input held", bytes([i]), n.to_bytes(8, "little"), part) for part in held]
    p.exchange(
        [(prev, layout.from_bytes(said[0])), (nxt, layout.from_bytes(said[1]))],
        [(prev, theirs[0]), (nxt, theirs[1])],
        "input digests",
    )
    for got, part, other in zip(theirs, held, (prev, nxt), strict=True):
        if not same(bytes(got), digest(b"input held", bytes([other]), n.to_bytes(8, "little"), part)):
            raise WireError(
                f"owner {owner} sent different shares of the same input to {p.names[i]} and {p.names[other]}; "
                "the input is not used. Ask the owner to check its node."
            )


def _from_owner(seat: Seat, owner: str, step: int, size: int) -> Any:
    buffer = layout.empty_bytes(size)
    seat.party.channel.receive(owner, step, buffer)
    if seat.party.recorder is not None:
        seat.party.recorder.received(owner, step, "input shares", layout.view(buffer))
    return buffer


def share(seat: Seat, owner: int, values: Ring | None, shape: tuple[int, ...]) -> Share:
    """x_owner from the stream with the previous party, x_{owner+1} = x - x_owner, the third component 0."""
    p, i = seat.party, seat.party.index
    n = layout.count(shape)
    if i == owner:
        assert values is not None
        mask = seat.low.words(n)
        rest = layout.flat(values) - mask
        p.exchange([((i + 1) % 3, rest)], [], "input")
        parts = (mask, rest)
    elif i == (owner + 1) % 3:
        rest = layout.empty(n)
        p.exchange([], [(owner, rest)], "input")
        parts = (rest, layout.zeros((n,)))
    else:
        p.exchange([], [], "input")
        parts = (layout.zeros((n,)), seat.high.words(n))
    return Share((parts[0].reshape(shape), parts[1].reshape(shape)), shape)
