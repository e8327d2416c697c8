"""Guards of a fit whose comparisons are made together: few values each, so that rounds are what they cost."""

from __future__ import annotations

from ..array import SecureArray
from ..context import Context
from ..mpc.shares import Share
from ..ring import exact, layout
from ..types import RANGE_BITS

_GROUP = 16  # rows whose squares are summed
_COARSE = 28  # bits of a row's value, so that a sum of _GROUP squares has room
_FINE = 6  # bits of a bound, at least: rounding is a part of it


class Guards:
    """Collects what must hold; ``ask`` compares all of it in the rounds of one comparison (about six)."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._asked: list[tuple[Share, str]] = []

    def at_least(self, x: Share, least: int, hint: str) -> None:
        """No ring integer of x (m,) is below ``least``."""
        self._asked.append((self._context.protocol.add_public(x, layout.constant(-least)), hint))

    def bounded(self, x: SecureArray, bound: float, what: str = "") -> SecureArray:
        """|x| <= bound, as ``assume_bound`` states it."""
        proto = self._context.protocol
        share = x._ring_share().map(layout.reshape((x.size,)))
        limit = int(bound * exact.exp2(x.scale))
        hint = f"|x| <= {bound:g}" + (f", {what}" if what else "")
        self.at_least(proto.concatenate([share, proto.neg(share)], 0), -limit, hint)
        return x._stated(bound)

    def ask(self) -> None:
        proto, asked = self._context.protocol, self._asked
        if not asked:
            return
        signs = proto.b2a(proto.msb(proto.concatenate([share for share, _ in asked], 0), RANGE_BITS + 1))
        start = 0
        for share, hint in asked:
            end = start + share.shape[0]
            self._context.guard(signs.map(layout.then(layout.take(slice(start, end)), layout.total(None, False))), hint)
            start = end
        self._asked = []


def rows_bounded(x: SecureArray, bound: float, what: str) -> SecureArray:
    """State |x| <= bound of a value a row (n,), of which groups of 16 rows are compared at once.

    The sum of 16 squares is asked to stay below bound^2, so that rows are refused whose root mean square passes a
    quarter of the bound. Ten rounds; 20 bytes per party and row, where ``assume_bound`` takes 116. That is what it does
    where the public bound of x leaves no room for the squares.
    """
    if x.bound <= bound:
        return x
    most = exact.log2_ceil(x.bound)
    scale = min(x.scale, _COARSE - most)
    if scale + exact.log2_floor(bound) < _FINE:
        return x.assume_bound(bound, what)
    share = x._ring_share()
    if scale < x.scale:
        share = x._context.protocol.truncate(share, x.scale - scale)
    squares_bounded(x._context, share, int(bound * exact.exp2(scale)), f"|x| <= {bound:g}, {what}")
    return x._stated(bound)


def squares_bounded(context: Context, coarse: Share, limit: int, hint: str) -> None:
    """Guard that no value of ``coarse`` (n,), below 2^28 and off by one, passes ``limit``: as ``rows_bounded``."""
    n = coarse.shape[0]
    proto, groups = context.protocol, -(-n // _GROUP)
    if groups * _GROUP > n:
        nothing = proto.public(layout.constants([0] * (groups * _GROUP - n)))
        coarse = proto.concatenate([coarse, nothing], 0)
    rows = coarse.map(layout.reshape((groups, _GROUP)))
    left = proto.add_public(proto.neg(proto.dot(rows, rows)), layout.constant((limit - 1) * (limit - 1)))
    context.guard(proto.b2a(proto.msb(left)).map(layout.total(None, False)), hint)
