"""Secret random numbers that no party knows, with the names of numpy.random: ``privity.random.uniform(s, 0, 1, 100)``.

Every function takes the session first. Nobody can seed them: two runs draw different numbers. What must be the same at
all parties and in the clear, such as the order of mini-batches, is drawn with NumPy from ``session.seed``.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..array import SecureArray, broadcast_shapes
from ..context import Context
from ..errors import UsageError
from ..mpc import linalg, randomness
from ..ring import exact, layout
from ..session import Session, context_of
from ..types import RANGE_BITS
from . import arithmetic, exponential, tables

Size = int | tuple[int, ...]

_COIN_BITS = 32
_ANGLE_BITS = 30
_TAIL_BITS = 30


def bits(session: Session, size: Size = ()) -> SecureArray:
    """Fair secret booleans. Exact; no message."""
    context = context_of(session)
    return SecureArray(context, context.protocol.random_bits(_shape(size)))


def bernoulli(session: Session, p: Any, size: Size | None = None) -> SecureArray:
    """Secret booleans that are true with probability ``p``: a public number, or a public or secret array.

    A public number counts to 2^-33: 5 rounds and 8 bytes per party and element at most, nothing for 1/2. An array
    counts to its own fractional bits (a public one to the session's), values outside [0, 1] as 0 or 1: two rounds and
    those of a comparison; 150 bytes at 18 fractional bits.
    """
    context = context_of(session)
    if isinstance(p, SecureArray) or np.ndim(p):
        return _from_array(context, p, size)
    chance = float(p)
    if not 0.0 <= chance <= 1.0:
        raise UsageError(f"bernoulli: expected a probability between 0 and 1, got {chance!r}")
    shape = _shape(() if size is None else size)
    threshold = round(chance * 2.0**_COIN_BITS)
    if threshold in (0, 1 << _COIN_BITS):
        return SecureArray(
            context, context.protocol.a2bits(context.protocol.public(layout.filled(shape, threshold > 0)))
        )
    return SecureArray(context, randomness.coins(context.protocol, shape, threshold, _COIN_BITS))


def _from_array(context: Context, p: Any, size: Size | None) -> SecureArray:
    """A uniform integer below 2^scale, compared with p at that scale: exact."""
    chance = p if isinstance(p, SecureArray) else context.constant(np.asarray(p, np.float64))
    if chance.kind != "fixed":
        chance = chance.rescaled(context.fraction_bits)
    shape = chance.shape if size is None else _shape(size)
    if broadcast_shapes(shape, chance.shape) != shape:
        raise UsageError(f"bernoulli: probabilities of shape {chance.shape} do not fit size {shape}")
    drawn = randomness.integers(context.protocol, shape, chance.scale)
    return SecureArray(context, drawn, chance.scale, 1.0) < chance


def integers(
    session: Session, low: int, high: int | None = None, size: Size = (), endpoint: bool = False
) -> SecureArray:
    """Secret integers from low (0 if only one bound is given) to high, exclusive unless ``endpoint``.

    Uniform: exactly so if their number n is a power of two, else each has a probability within 2^-k of 1 / n, where k
    is at least 40 for n <= 2^20 and 61 - ceil(log2 n) beyond. Bytes per party and element: 8 log2(n), or about 360 if n
    is no power of two; 2 rounds, or 13. n <= 2^30.
    """
    context = context_of(session)
    low, high = (0, low) if high is None else (low, high)
    count = int(high) - int(low) + bool(endpoint)
    if not 1 <= count <= 1 << 30:
        raise UsageError(f"integers: expected 1 to 2^30 values, got the range from {low} to {high}")
    if max(abs(int(low)), abs(int(high))) >= 1 << (RANGE_BITS - 1):
        raise UsageError(f"integers: expected bounds below 2^{RANGE_BITS - 1}, got {low} and {high}")
    proto, shape = context.protocol, _shape(size)
    digits = (count - 1).bit_length()
    if count == 1:
        drawn = proto.public(layout.zeros(shape))
    elif count == 1 << digits:
        drawn = randomness.integers(proto, shape, digits)
    else:
        k = min(RANGE_BITS - 1 - digits, 41)
        product = proto.mul_public(randomness.integers(proto, shape, k), layout.constant(count))
        # floor(r n / 2^k), as rounding to nearest of what is half a unit less
        drawn = proto.truncate_nearest(proto.add_public(product, layout.constant(-(1 << (k - 1)))), k)
    shifted = proto.add_public(drawn, layout.constant(int(low)))
    return SecureArray(context, shifted, 0, float(max(abs(int(low)), abs(int(low) + count - 1), 1)))


def uniform(session: Session, low: float = 0.0, high: float = 1.0, size: Size = ()) -> SecureArray:
    """Secret reals between low and high at the session's fractional bits.

    low + (high - low) r / 2^k with r uniform below 2^k, where 2^-k (high - low) is at most one unit in the last place
    (k <= 40), rounded to one; ``high`` itself has probability 2^-k at most. 2 rounds (4 if high - low is not a power of
    two) and 8 k bytes per party and element: 144 for [0, 1) at 18 fractional bits.
    """
    context = context_of(session)
    width = float(high) - float(low)
    if not (math.isfinite(width) and width > 0):
        raise UsageError(f"uniform: expected finite low < high, got {low!r} and {high!r}")
    k = min(40, max(1, context.fraction_bits + exact.log2_ceil(width)))
    drawn = SecureArray(context, randomness.integers(context.protocol, _shape(size), k), k, 1.0)
    if exact.log2(width).is_integer() and width * 2.0**context.fraction_bits == 2.0**k:
        scaled = SecureArray(context, drawn._ring_share(), context.fraction_bits, width)
    else:
        scaled = arithmetic.multiply(drawn, np.asarray(width), scale=context.fraction_bits)
        scaled = arithmetic.rescale(scaled, context.fraction_bits)._stated(width + 2.0**-context.fraction_bits)
    return (scaled + float(low))._stated(max(abs(float(low)), abs(float(high))) + 2.0 ** (1 - context.fraction_bits))


def normal(session: Session, loc: float = 0.0, scale: float = 1.0, size: Size = ()) -> SecureArray:
    """Secret reals of the normal distribution with public mean ``loc`` and standard deviation ``scale``.

    Box-Muller, both halves: sqrt(-2 ln u) cos(a), sqrt(-2 ln u) sin(a) with u of 30 bits and a of 30. The distribution
    function is within 2^-13 of the normal one; values end at 6.5 standard deviations. About 77 rounds and 380 bytes per
    party and element. Box and Muller, Ann. Math. Stat. 29, 1958.
    """
    context = context_of(session)
    if not (math.isfinite(loc) and math.isfinite(scale) and scale > 0):
        raise UsageError(f"normal: expected a finite mean and a standard deviation above 0, got {loc!r} and {scale!r}")
    proto, shape = context.protocol, _shape(size)
    n = layout.count(shape)
    half = (n + 1) // 2
    drawn = proto.add_public(randomness.integers(proto, (half,), _TAIL_BITS), layout.constant(1))  # 1 .. 2^30: u > 0
    u = SecureArray(context, drawn, _TAIL_BITS, 1.0)
    squared = (exponential.log(u) * -2)._ring_share()
    fraction = context.fraction_bits
    # Rounding may leave -2 ln u a few units below 0 where u is near 1; a few more keep the root's argument positive.
    lifted = proto.add_public(squared, layout.constant(_LIFT))
    radius = linalg.root(proto, lifted, fraction + 6, fraction, _RADIUS)
    angle = proto.random_ring((half,))
    quarter = layout.constant(1 << (_ANGLE_BITS - 2))
    waves = proto.sine_series(
        proto.concatenate([angle, proto.add_public(angle, quarter)], 0), _ANGLE_BITS, [1.0], _RADIUS
    )
    both = proto.mul(waves, proto.concatenate([radius, radius], 0), 2 * _RADIUS - fraction)
    standard = SecureArray(context, both.map(layout.take(slice(0, n))).map(layout.reshape(shape)), fraction, 6.6)
    return arithmetic.multiply(standard, np.asarray(float(scale)), scale=fraction) + float(loc)


_RADIUS = 22  # fractional bits of the radius and of sine and cosine
_LIFT = 8  # units in the last place of -2 ln u


def permutation(session: Session, x: Any) -> SecureArray:
    """The rows of a secret array, or the numbers 0 .. x - 1, in a uniform order that no party knows.

    Exact; 3 rounds and 11 bytes per party and element.
    """
    context = context_of(session)
    if isinstance(x, SecureArray):
        return tables.shuffle(x)[0]
    count = int(x)
    if count < 1:
        raise UsageError(f"permutation: expected a secret array or a number of at least 1, got {x!r}")
    return tables.shuffle(context.constant(np.arange(count)))[0]


def dropout(x: SecureArray, p: float = 0.5) -> SecureArray:
    """x with each element replaced by 0 with probability ``p``, the others divided by 1 - p; nobody learns which.

    As torch.nn.functional.dropout in training. Error below 2 ulp. About 10 rounds, 26 bytes per party and element more
    than ``bernoulli``.
    """
    if not 0.0 <= p < 1.0:
        raise UsageError(f"dropout: expected a probability of at least 0 and below 1, got {p!r}")
    x = x.numeric()
    if p == 0.0:
        return x
    if x.scale == 0:
        x = x.rescaled(x._context.fraction_bits)
    kept = bernoulli(x._context.session, 1.0 - p, x.shape)
    return kept * arithmetic.multiply(x, np.asarray(1.0 / (1.0 - p)), scale=x.scale)


def _shape(size: Size) -> tuple[int, ...]:
    shape = (size,) if isinstance(size, int) else tuple(size)
    if any(not isinstance(d, int) or d < 0 for d in shape):
        raise UsageError(f"expected a size of integers of at least 0, got {size!r}")
    return shape
