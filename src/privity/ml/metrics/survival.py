"""The concordance index of survival models."""

from __future__ import annotations

import numpy as np

from ...array import SecureArray
from ...functions import concatenate, sort_by, stack
from ...functions.nullable import listwise
from ...functions.order import sort_key
from ...functions.ratio import ratio
from ...functions.tables import cumsum
from ...mpc import orders, tables
from ...mpc.shares import Places
from ...ring import layout
from ..parameters import arguments
from .ranking import UNDEFINED
from .sample import binary, check_rows, row_weights


@arguments
@listwise
def concordance_index(
    event_times: SecureArray,
    predicted_scores: SecureArray,
    event_observed: SecureArray,
    *,
    valid: SecureArray | None = None,
) -> SecureArray:
    """Share of comparable pairs whose predicted order is right (a larger score: a longer life), ties counting half.

    Harrell's index with the rules of ``lifelines.utils.concordance_index``: a pair is comparable if the earlier of the
    two had the event; at equal times a death comes before a censored row, and two deaths are not compared. For a risk
    score pass its negative. Secret scalar; -1 where no pair is comparable. Counts are exact; error 2^-18.

    Cost: two or three ``sort``, then log2 n steps of a comparison of ever fewer bits and about 12 rounds: for n rows
    about n log2 n comparisons, not n^2; 1,300 rounds and 280 MB a party for 100,000.
    Source: counting inversions by the digits of the ranks, one secret and
    stable partition for each digit, within groups whose sizes are public.
    """
    n = check_rows("concordance_index", event_times, predicted_scores)
    check_rows("concordance_index", event_times, event_observed)
    mask = row_weights("concordance_index", event_times, valid, None)
    died = binary("concordance_index", event_observed, "event_observed", valid)
    counts = mask if mask is not None else died._context.constant(np.ones(n, np.int64))
    dead = died if mask is None else (died * mask)._stated(1.0)
    # By time, deaths first, then by falling score: deaths at one time are then never in rising order.
    keys = [event_times, (1 - died)._stated(1.0), -predicted_scores.numeric()]
    time, dead, counts, score = sort_by(keys, [event_times.numeric(), dead, counts, predicted_scores.numeric()])
    after = counts.sum() - cumsum(counts)
    comparable = _summed(dead, after, n) - _pairs_in_runs([time], dead, dead, n)
    # By score; rows of equal score by falling place, so that they are in falling order too and count nowhere.
    back = slice(None, None, -1)
    place = died._context.constant(np.arange(n)[back].copy())
    score, time, dead, counts, place = sort_by(score[back], [score[back], time[back], dead[back], counts[back], place])
    tied = _pairs_in_runs([score], counts, dead, n) - _pairs_in_runs([score, time], dead, dead, n)
    right = _rising_pairs(place, dead, counts)
    return ratio(right * 2 + tied, comparable * 2, 1.0) + (comparable == 0).numeric() * UNDEFINED


def _summed(x: SecureArray, y: SecureArray, n: int) -> SecureArray:
    """sum of x * y, at most n^2."""
    row = layout.reshape((1, -1))
    share = x._context.protocol.dot(x._ring_share().map(row), y._ring_share().map(row)).map(layout.reshape(()))
    return SecureArray(x._context, share, 0, float(n * n))


def _pairs_in_runs(keys: list[SecureArray], first: SecureArray, second: SecureArray, n: int) -> SecureArray:
    """Pairs of rows i < j in one run of equal keys with first[i] and second[j] set. About 7 rounds and a zero test.

    All pairs i < j, less those with i before j's run.
    """
    context, proto = first._context, first._context.protocol
    before, upto = cumsum(first), cumsum(second)
    everything = _summed(second, before - first, n)
    ends = tables.ends_of_runs(proto, [sort_key(k) for k in keys])
    moved = tables.in_front(proto, ends, [ends.share, before._ring_share(), upto._ring_share()])
    flag, before, upto = (SecureArray(context, s, 0, float(n)) for s in moved)
    inside = (upto - upto._rearranged(layout.shifted(1))) * flag._stated(1.0)
    return everything - _summed(inside._stated(float(n)), before._rearranged(layout.shifted(1)), n)


def _rising_pairs(place: SecureArray, dead: SecureArray, counts: SecureArray) -> SecureArray:
    """Pairs of rows i < j with place[i] < place[j], dead[i] and counts[j] set; ``place``: secret, each of 0 to n - 1.

    Digit by digit from the highest: rows stand in groups that agree in the digits before, in their first order. Pairs
    of a group that differ in this digit are counted, then each group is parted by it, stably.
    """
    context, proto, n = place._context, place._context.protocol, place.shape[0]
    digits = max(1, (n - 1).bit_length())
    size = 1 << digits
    extra = size - n  # rows that count nowhere, with the places that are left
    if extra:
        place = concatenate([place, context.constant(np.arange(n, size))])._stated(float(size - 1))
        none = context.constant(np.zeros(extra, np.int64))
        dead, counts = (concatenate([x, none])._stated(1.0) for x in (dead, counts))
    total = context.constant(0)
    for digit in reversed(range(digits)):
        groups, half = size >> (digit + 1), 1 << digit
        start = np.repeat(np.arange(groups) * 2 * half, 2 * half)
        high = ((place - start)._stated(2.0 * half) >= half).numeric()
        marked = (stack([dead, counts]) * high)._stated(1.0)
        shape = (groups, 2 * half)
        earlier = (dead - marked[0])._stated(1.0).reshape(shape)
        total = total + _summed(marked[1], cumsum(earlier, axis=1).reshape(-1), n)
        if digit:
            # stable: low rows to the front of their group, high rows to its second half, which holds exactly half
            ones = cumsum(high.reshape(shape), axis=1).reshape(-1)
            inside = np.tile(np.arange(2 * half), groups)
            low_place = (-ones + inside)._stated(2.0 * half)
            high_place = (ones + (half - 1))._stated(3.0 * half)
            target = low_place + high * (high_place - low_place) + start
            # ``high`` are true flags; that each group has as many of them as it should follows from ``place``, which a
            # sort has moved and nothing changed
            moved = orders.scatter(
                proto, Places(target._ring_share()), [x._ring_share() for x in (place, dead, counts)]
            )
            place, dead, counts = (
                SecureArray(context, s, 0, x.bound) for s, x in zip(moved, (place, dead, counts), strict=True)
            )
    return total._stated(float(n * n))
