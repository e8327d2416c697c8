"""Flags: secret arrays of which each element is 0 or 1, whatever anybody put in.

What counts rows, selects them or moves them takes flags. Secret booleans are flags: a bit is 0 or 1 whatever its shares
are. So are integers that the library made of bits, and what is put together from flags by products, complements, joins
and rearrangements; such arrays carry a mark. All other numbers are tested one by one, so that no sum of mistakes can be
0, and what is used is their lowest bit, which is 0 or 1 even before the test's outcome is known.
"""

from __future__ import annotations

from typing import Any

from ..array import SecureArray
from ..errors import UsageError
from ..mpc.shares import Bits, Flags, Share
from ..ring import layout

_PUBLIC = "session.constant(values) makes one of public values"


def as_flags(x: Any, what: str, *, among: SecureArray | None = None, advice: str = "") -> SecureArray:
    """``x`` as marked 0/1 integers; a guard with the hint "``what`` holds 0 and 1 only" if that must be tested.

    A column with masks of its own is 1 where a value is there and true. ``what``: function and argument, "quantile:
    valid". ``among``: flags of the rows (first axis) in which it matters;
    elsewhere x may be anything. ``advice``: what to pass instead, for errors. The outcome is checked at the next
    opening, and before anything is sorted (``order.settled``).

    Booleans cost their conversion, 2 rounds; marked integers nothing; other integers, once for an array, a conversion
    and a zero test of 64 bits: 10 rounds and 49 bytes per element at the busiest party, and 8 rounds for the guard.
    Reals cost a zero test more. Raises UsageError for what is no secret array.
    """
    if isinstance(x, nullable.NullableArray):
        return x.as_mask(what)
    if not isinstance(x, SecureArray):
        raise UsageError(
            f"{what}: expected secret booleans or secret 0/1 integers, got {type(x).__name__}; {_PUBLIC}"
        )  # fmt: skip
    if x.kind == "bool":
        return x.numeric()
    if x._flags:
        return x._stated(1.0)
    context, proto = x._context, x._context.protocol
    share = x._ring_share()
    if x.scale == 0:
        flag = proto.b2a(proto.a2bits(share))
        right = proto.is_zero(proto.sub(share, flag))
    else:
        flag, right = _of_reals(x)
    wrong = proto.b2a(proto.invert(right))
    if among is not None:
        rows = among.reshape((-1, *[1] * (x.ndim - 1)))._fitted(x.shape)
        wrong = proto.mul(wrong, rows)
    hint = f"{what} holds 0 and 1 only" + (f"; {advice}" if advice else "")
    context.guard(wrong.map(layout.total(None, False)), hint)
    if among is None and x.scale == 0:  # equal, or the session ends: not tested again
        x._share, x._flags = flag, True
    return SecureArray(context, flag, 0, 1.0, flags=True)


def secret(what: str, x: Any) -> None:
    """Raise UsageError, naming ``what``, unless x is a secret array."""
    if not isinstance(x, SecureArray | nullable.NullableArray):
        raise UsageError(f"{what}: expected a secret array, got {type(x).__name__}; {_PUBLIC}")


def _of_reals(x: SecureArray) -> tuple[Share, Bits]:
    """Flags of reals that are 1, and bits of those that are 0 or 1."""
    proto = x._context.protocol
    less = proto.add_public(x._ring_share(), layout.constant(-(1 << x.scale)))
    both = proto.is_zero(proto.stack([x._ring_share(), less], 0))
    none, one = (proto.map_bits(both, layout.take(i)) for i in (0, 1))
    return proto.b2a(one), proto.xor(none, one)


def moving(x: SecureArray) -> Flags:
    """Marked flags as what may move rows. Checks the pending guards first, those of flags among them."""
    if not x._flags:
        raise UsageError(f"{x!r} may hold other numbers than 0 and 1, so it can move no rows")
    x._context.check_guards()
    return Flags(x._ring_share())


def neither(x: SecureArray) -> SecureArray:
    """1 where the flag is 0. Local."""
    return (1 - x)._stated(1.0)


def both(x: SecureArray, y: SecureArray) -> SecureArray:
    """1 where both flags are. One round."""
    return (x * y)._stated(1.0)


from . import nullable  # noqa: E402  (it builds on the functions above)
