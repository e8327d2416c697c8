"""Real functions of secret arrays. Each states its range and largest error; tests sweep both."""

from __future__ import annotations

import math

from ..array import SecureArray
from ..errors import UsageError
from ..mpc import approx
from ..ring import layout
from ..types import RANGE_BITS


def sigmoid(x: SecureArray, factor: float = 1.0) -> SecureArray:
    """factor / (1 + e^-x) for every value the ring holds; absolute error at most 1.5e-4 * factor.

    ``factor`` is a public number that costs nothing here (a learning rate, for instance).
    """
    x = x.numeric()
    session = x.session
    if x.scale == 0:
        x = x.rescaled(session.fraction_bits)
    limit = approx.SIGMOID_RANGE
    session.fits(x.bound + limit, x.scale, "the argument of sigmoid")
    bits = 0 if x.bound <= limit else approx.bits_for(x.bound + limit, x.scale)
    share = approx.sigmoid(session.protocol, x.ring_share(), x.scale, bits, session.fraction_bits, factor)
    return SecureArray(session, share, session.fraction_bits, abs(factor) * 1.001)


def reciprocal(x: SecureArray, at_most: float | None = None, scale: int | None = None) -> SecureArray:
    """1 / x; 0 where x is 0. Relative error at most 2^-20 plus one unit in the last place of ``scale`` bits.

    ``at_most``: public bound on |1 / x|, checked by a guard; it gives a small bound and room for more fractional bits
    (``scale``; at_most * 2^scale <= 2^36). Without it |1 / x| may reach 2^(x.scale), its largest possible value.
    """
    x = x.numeric()
    session, proto = x.session, x.session.protocol
    largest = 2.0**x.scale if at_most is None else float(at_most)
    out = min(session.fraction_bits if scale is None else scale, 36 - math.ceil(math.log2(largest)))
    bits = approx.bits_for(x.bound, x.scale)
    if bits > 60 or out < 1:
        raise UsageError(
            f"reciprocal of {x!r} with |x| <= {x.bound:g}: needs fewer than 60 bits and 1 / x <= 2^35; state at_most="
        )
    negative_x = x < 0
    magnitude = x - negative_x * x * 2
    if at_most is not None:
        least = math.ceil(2.0**x.scale / largest * (1 - 2.0**-20))
        shifted = proto.add_public(magnitude.ring_share(), layout.constant(-least))
        session.guard(proto.b2a(proto.msb(shifted, min(RANGE_BITS, bits + 1))).map(layout.total(None, False)))
    share = approx.reciprocal(proto, magnitude.ring_share(), x.scale, bits, out, largest)
    positive = SecureArray(session, share, out, largest * 1.01)
    result = positive - negative_x * positive * 2
    return SecureArray(session, result.ring_share(), out, largest * 1.01)


def rsqrt(x: SecureArray) -> SecureArray:
    """1 / sqrt(x) for x >= 0 (0 where x is 0). Relative error at most 2^-20 plus one unit in the last place."""
    x = x.numeric()
    session = x.session
    bits = approx.bits_for(x.bound, x.scale)
    if bits > 60:
        raise UsageError(f"rsqrt: expected a bound below 2^{60 - x.scale}, got {x!r}")
    share = approx.rsqrt(session.protocol, x.ring_share(), x.scale, bits, session.fraction_bits)
    return SecureArray(session, share, session.fraction_bits, 2.0 ** (x.scale / 2))
