"""Every primitive of every registered protocol against NumPy on int64 (privity.testing.PROTOCOLS lists them)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from privity.errors import UsageError
from privity.mpc import orders, sort
from privity.mpc.protocol import Scheme
from privity.mpc.rep3 import Link, Rep3
from privity.mpc.shares import Bits, Places, Share, Shown
from privity.ring import layout, reference
from privity.testing import (
    PROTOCOLS,
    open_bits,
    open_value,
    reconstruct,
    reconstruct_bits,
    run,
    shuffle_and_open,
)

SHAPES = [(), (1,), (7,), (0,), (3, 5), (2, 0, 3), (65,), (64,), (2, 3, 4)]
EXTREMES = [0, 1, -1, 2, -2, 2**62 - 1, -(2**62), 2**31, -(2**31) - 1, 2**61 + 12345, -(2**61) + 999]

Ints = npt.NDArray[np.int64]


@pytest.fixture(params=list(PROTOCOLS))
def protocol(request: pytest.FixtureRequest) -> Scheme:
    return PROTOCOLS[request.param]


def ring(x: Any) -> Any:
    return np.ascontiguousarray(np.asarray(x, np.int64)).view(np.uint64).reshape(np.shape(x))


def draw(shape: tuple[int, ...], bits: int = 62, seed: int = 0) -> Ints:
    """Values of |x| < 2^bits, the extremes among them."""
    rng = np.random.default_rng([seed, bits, *shape])
    x = rng.integers(-(1 << bits) + 1, 1 << bits, shape)
    flat = x.reshape(-1)
    special = [v for v in EXTREMES if abs(v) < 1 << bits]
    flat[: len(special)] = special[: flat.size]
    return x


def inputs(proto: Any, *arrays: Any) -> list[Share]:
    """Shares of the arrays; the parties take turns as owners."""
    out = []
    for j, a in enumerate(arrays):
        owner = j % proto.of.parties
        out.append(proto.share(owner, ring(a) if proto.party.index == owner else None, np.shape(a)))
    return out


def ints(protocol: Scheme, program: Callable[..., Share], *arrays: Any) -> Ints:
    return reconstruct(run(protocol, lambda p: program(p, *inputs(p, *arrays))).outputs)


def bits(protocol: Scheme, program: Callable[..., Bits], *arrays: Any) -> Ints:
    return reconstruct_bits(run(protocol, lambda p: program(p, *inputs(p, *arrays))).outputs)


def wrapped(x: Any) -> Ints:
    """Python integers modulo 2^64, signed."""
    return np.array(np.asarray(x, object) % 2**64, dtype=np.uint64).view(np.int64).reshape(np.shape(x))


# -- input, output, linear ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES)
def test_linear(protocol: Scheme, shape: tuple[int, ...]) -> None:
    x, y, c = draw(shape), draw(shape, seed=1), draw(shape, seed=2)

    def program(p: Any) -> list[Share]:
        a, b = inputs(p, x, y)
        constant = ring(c)
        with_public = [p.add_public(a, constant), p.mul_public(a, constant), p.public(constant)]
        return [a, p.add(a, b), p.sub(a, b), p.neg(a), *with_public]

    got = [reconstruct(s) for s in zip(*run(protocol, program).outputs, strict=True)]
    with np.errstate(over="ignore"):
        for have, want in zip(got, [x, x + y, x - y, -x, x + c, x * c, c], strict=True):
            np.testing.assert_array_equal(have, want)
            assert have.shape == shape


@pytest.mark.parametrize("shape", SHAPES)
def test_open_to_every_set_of_receivers(protocol: Scheme, shape: tuple[int, ...]) -> None:
    x = draw(shape)
    kind: Any = getattr(protocol, "func", protocol)
    n, outside = kind.parties, ("doctor", "auditor")
    for chosen in range(1 << (n + 2)):
        to = [i for i in range(n) if chosen >> i & 1]
        names = [name for j, name in enumerate(outside) if chosen >> (n + j) & 1]

        def program(p: Any, to: list[int] = to, names: list[str] = names) -> Any:
            return open_value(p, inputs(p, x)[0], to, names, 7)

        def receive(channel: Any, compute: tuple[str, ...]) -> Any:
            return kind.collect(channel, compute, 7, shape)

        done = run(protocol, program, outside={name: receive for name in names})
        for i, value in enumerate(done.outputs):
            if i in to:
                np.testing.assert_array_equal(value.view(np.int64).reshape(shape), x)
            else:
                assert value is None
        for name in names:
            np.testing.assert_array_equal(done.outside[name].view(np.int64), x)


@pytest.mark.parametrize("shape", SHAPES)
def test_input_of_an_outside_owner(protocol: Scheme, shape: tuple[int, ...]) -> None:
    x = draw(shape)
    kind: Any = getattr(protocol, "func", protocol)
    done = run(
        protocol,
        lambda p: p.receive_input("bank", 5, shape),
        outside={"bank": lambda channel, compute: kind.deal(channel, compute, 5, ring(x))},
    )
    np.testing.assert_array_equal(reconstruct(done.outputs), x)


def test_every_owner_among_the_compute_parties(protocol: Scheme) -> None:
    x = draw((9,))
    kind: Any = getattr(protocol, "func", protocol)
    for owner in range(kind.parties):

        def program(p: Any, owner: int = owner) -> Share:
            share: Share = p.share(owner, ring(x) if p.party.index == owner else None, (9,))
            return share

        np.testing.assert_array_equal(reconstruct(run(protocol, program).outputs), x)


def test_matrices_joins_and_rearrangements(protocol: Scheme) -> None:
    x, y, c = draw((3, 4)), draw((4, 2), seed=1), draw((4, 5), seed=2)

    def program(p: Any) -> list[Share]:
        a, b = inputs(p, x, y)
        return [
            p.matmul(a, b), p.matmul(a, b, 0, 7), p.dot(a, a), p.matmul_public(a, ring(c), False),
            p.matmul_public(b, ring(x), True), p.concatenate([a, a], 1), p.stack([a, a], 0),
            p.matmul_sum([(a, b)]), p.matmul_sum([(a, b), (a, b), (a, b)]),
            a.map(layout.transpose(None)), a.map(layout.take((slice(None), -1))), a.map(layout.total(0, True)),
        ]  # fmt: skip

    X, Y, C = (v.astype(object) for v in (x, y, c))
    want = [
        X @ Y, 7 * (X @ Y), (X * X).sum(1), X @ C, X @ Y, np.concatenate([x, x], 1), np.stack([x, x]),
        X @ Y, 3 * (X @ Y),
        x.T, x[:, -1], X.sum(0, keepdims=True),
    ]  # fmt: skip
    for have, expected in zip(zip(*run(protocol, program).outputs, strict=True), want, strict=True):
        np.testing.assert_array_equal(reconstruct(have), wrapped(expected))


@pytest.mark.parametrize(("m", "k", "n"), [(0, 3, 2), (3, 0, 2), (1, 1, 1), (2, 3, 0)])
def test_empty_and_unit_matrices(protocol: Scheme, m: int, k: int, n: int) -> None:
    x, y = draw((m, k)), draw((k, n), seed=1)
    got = ints(protocol, lambda p, a, b: p.matmul(a, b), x, y)
    np.testing.assert_array_equal(got, wrapped(x.astype(object) @ y.astype(object) if k else np.zeros((m, n), object)))


@pytest.mark.parametrize(("m", "k", "n"), [(1, 1, 1), (5, 3, 64), (4, 40, 200), (3, 9, 0)])
def test_products_of_matrices_of_bits(protocol: Scheme, m: int, k: int, n: int) -> None:
    x, y = draw((m, k), 1) & 1, draw((n,), 62)

    def program(p: Any, a: Share, b: Share) -> Bits:
        return p.bit_matmul(p.a2bits(a), p.bits(b, k))  # type: ignore[no-any-return]

    rows = np.array([(y >> j) & 1 for j in range(k)]).reshape(k, n)
    np.testing.assert_array_equal(bits(protocol, program, x, y).reshape(m, n), (x @ rows) % 2)


@pytest.mark.parametrize("batch", [(), (1,), (3,), (2, 2), (0,)])
def test_stacks_of_matrices_take_the_rounds_of_one(protocol: Scheme, batch: tuple[int, ...]) -> None:
    x, y, c = draw((*batch, 3, 4), 28), draw((*batch, 4, 2), 28, 1), draw((*batch, 5, 3), 28, 2)

    def program(p: Any) -> tuple[list[Share], int]:
        a, b = inputs(p, x, y)
        before = p.party.rounds
        product = p.matmul(a, b, 18, 3)
        return [product, p.matmul_public(a, ring(c), True), p.matmul_public(a, ring(y), False)], p.party.rounds - before

    done = run(protocol, program).outputs
    X, Y, C = (v.astype(object) for v in (x, y, c))
    product, left, right = (reconstruct(s) for s in zip(*(o[0] for o in done), strict=True))
    assert product.shape == (*batch, 3, 2)
    assert_truncated(3 * (X @ Y) if x.size else product, product, 18)
    if x.size:
        np.testing.assert_array_equal(left, wrapped(C @ X))
        np.testing.assert_array_equal(right, wrapped(X @ Y))

    def single(p: Any) -> int:
        a, b = inputs(p, draw((3, 4)), draw((4, 2)))
        before = p.party.rounds
        p.matmul(a, b, 18, 3)
        return int(p.party.rounds - before)

    assert [o[1] for o in done] == run(protocol, single).outputs


# -- randomness --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES)
def test_random_values_have_their_shape_and_are_consistent(protocol: Scheme, shape: tuple[int, ...]) -> None:
    done = run(protocol, lambda p: (p.random_ring(shape), p.random_bits(shape, 5), p.random_bits(shape))).outputs
    assert reconstruct([o[0] for o in done]).shape == shape
    assert reconstruct_bits([o[1] for o in done]).shape == (5, *shape)
    assert reconstruct_bits([o[2] for o in done]).shape == (1, *shape)


def test_random_values_are_fresh_and_uniform(protocol: Scheme) -> None:
    """Mean of each bit within 6 standard deviations of 1/2; no value twice, within a draw or in another run."""
    n = 20_000

    def program(p: Any) -> tuple[Share, Share, Bits]:
        return p.random_ring((n,)), p.random_ring((n,)), p.random_bits((n,), 3)

    seen = []
    for _ in range(2):
        done = run(protocol, program).outputs
        first, second = (reconstruct([o[j] for o in done]) for j in (0, 1))
        seen += [first, second]
        planes = reconstruct_bits([o[2] for o in done])
        ones = np.stack([(first >> j) & 1 for j in range(64)])
        for row in (*ones, *planes):
            assert abs(row.mean() - 0.5) < 6 * 0.5 / n**0.5
    assert len(np.unique(np.concatenate(seen))) == 4 * n


# -- products and truncation -------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES)
def test_product(protocol: Scheme, shape: tuple[int, ...]) -> None:
    x, y = draw(shape), draw(shape, seed=1)
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(ints(protocol, lambda p, a, b: p.mul(a, b), x, y), x * y)


@pytest.mark.parametrize("shape", SHAPES)
def test_product_with_truncation(protocol: Scheme, shape: tuple[int, ...]) -> None:
    x, y = draw(shape, 30), draw(shape, 31, 1)
    for d in (1, 18, 40):
        got = ints(protocol, lambda p, a, b, d=d: p.mul(a, b, d), x, y)
        assert got.shape == shape
        assert_truncated(x.astype(object) * y.astype(object), got, d)


def test_matrix_product_with_truncation(protocol: Scheme) -> None:
    x, y = draw((5, 8), 28), draw((8, 3), 28, 1)
    exact = x.astype(object) @ y.astype(object)
    assert_truncated(exact, ints(protocol, lambda p, a, b: p.matmul(a, b, 18), x, y), 18)
    assert_truncated(3 * exact, ints(protocol, lambda p, a, b: p.matmul(a, b, 20, 3), x, y), 20)
    got = ints(protocol, lambda p, a, b: p.dot(a, b, 18), x, y.T.copy()[[0, 1, 2, 0, 1]])
    assert_truncated((x.astype(object) * y.T[[0, 1, 2, 0, 1]].astype(object)).sum(1), got, 18)


def test_more_elements_than_one_chunk_of_masks(protocol: Scheme) -> None:
    x, y = draw((70_001,), 30), draw((70_001,), 30, 1)
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(ints(protocol, lambda p, a, b: p.mul(a, b), x, y), x * y)


def assert_truncated(exact: Any, got: Ints, d: int) -> None:
    """Error below one unit in the last place, exact on multiples of 2^d."""
    exact = np.asarray(exact, object).reshape(-1)
    for e, g in zip(exact.tolist(), got.reshape(-1).tolist(), strict=True):
        assert abs((g << d) - e) < 1 << d, f"{e} >> {d} came out as {g}"
        assert e % (1 << d) or g == e >> d, f"{e} is a multiple of 2^{d} but came out as {g}"


@pytest.mark.parametrize("d", [1, 2, 3, 7, 8, 13, 18, 20, 31, 32, 33, 36, 40])
def test_truncation_up_to_62_bits(protocol: Scheme, d: int) -> None:
    multiples = draw((100,), 61 - d, d) << d
    x = np.concatenate([draw((200,)), draw((100,), 61, d), multiples, [1 << d, -(1 << d)]])
    assert_truncated(x, ints(protocol, lambda p, a: p.truncate(a, d), x), d)


def test_every_shift_that_the_kernels_take(protocol: Scheme) -> None:
    x = np.concatenate([draw((20,), 61), draw((20,), 40)])

    def program(p: Any) -> list[Share]:
        a = inputs(p, x)[0]
        return [p.truncate(a, d) for d in range(1, 62)]

    for d, shares in enumerate(zip(*run(protocol, program).outputs, strict=True), 1):
        assert_truncated(x, reconstruct(shares), d)


@pytest.mark.parametrize("shape", SHAPES)
def test_truncation_keeps_shapes(protocol: Scheme, shape: tuple[int, ...]) -> None:
    x = draw(shape)
    for name in ("truncate", "truncate_nearest"):
        got = ints(protocol, lambda p, a, name=name: getattr(p, name)(a, 18), x)
        assert got.shape == shape
        assert_truncated(x, got, 18)
        np.testing.assert_array_equal(ints(protocol, lambda p, a, name=name: getattr(p, name)(a, 0), x), x)


@pytest.mark.parametrize("d", [1, 3, 8])
def test_truncation_has_no_bias(protocol: Scheme, d: int) -> None:
    """Mean error over uniform residues: standard deviation below 0.41 ulp, so 6 sigma of 40,000 are 0.0123 ulp."""
    x = np.random.default_rng(d).integers(-(2**61), 2**61, 40_000)
    got = ints(protocol, lambda p, a: p.truncate(a, d), x)
    error = ((got << d) - x) / 2.0**d  # |error| < 1, exact in float64
    offset = 2.0 ** -(d + 1) if protocol is not PROTOCOLS["Rep3"] else 0.0  # ties go up when rounding to nearest
    assert abs(error.mean() - offset) < 0.0125


@pytest.mark.parametrize("residue", [1, 3, 4, 7])
@pytest.mark.parametrize("sign", [1, -1])
def test_rep3_rounds_every_residue_without_bias(residue: int, sign: int) -> None:
    """Stochastic rounding: 8k + residue goes up with probability residue / 8 whatever the magnitude."""
    x = np.full(40_000, sign * (2**61) + residue)
    got = ints(Rep3(), lambda p, a: p.truncate(a, 3), x)
    up = got - ((x - residue) >> 3)
    assert set(np.unique(up)) <= {0, 1}
    assert abs(up.mean() - residue / 8) < 6 * 0.5 / 200


def test_rep3_rounds_one_way_where_the_shares_are_not_uniform() -> None:
    """As the card says: party 1's own input lies wholly in u, a constant wholly in v."""
    x = draw((200,), 40) * 2 + 1

    def program(p: Any) -> list[Share]:
        own = p.share(1, ring(x) if p.party.index == 1 else None, x.shape)
        return [p.truncate(own, 8), p.truncate(p.public(ring(x)), 8)]

    own, constant = (reconstruct(s) for s in zip(*run(Rep3(), program).outputs, strict=True))
    np.testing.assert_array_equal(own, x >> 8)
    np.testing.assert_array_equal(constant, -((-x) >> 8))


@pytest.mark.parametrize("d", [1, 2, 8, 18, 31, 40, 60])
def test_truncate_nearest_is_exact(protocol: Scheme, d: int) -> None:
    half = 1 << (d - 1)
    edges = np.array([half, half - 1, half + 1, -half, -half - 1, -half + 1])
    x = np.concatenate([np.clip(draw((100,)), half - 2**62, 2**62 - half), draw((50,), 40), edges])
    want = np.array([(int(v) + half) >> d for v in x])
    np.testing.assert_array_equal(ints(protocol, lambda p, a: p.truncate_nearest(a, d), x), want)


# -- bits --------------------------------------------------------------------------------------------------------

FAST, RIPPLE = Link(bytes_per_s=1e30, and_s_per_word=0.0), Link(one_way_s=0.0)
TREE = Link(bytes_per_s=1e30, and_s_per_word=0.0, largest_digit=1)


def with_links() -> list[Any]:
    made = [pytest.param(p, id=name) for name, p in PROTOCOLS.items()]
    made += [pytest.param(Rep3(link=Link(largest_digit=d)), id=f"Rep3 digits to {d}") for d in (2, 3, 4, 5)]
    links = {"fast": FAST, "tree": TREE, "ripple": RIPPLE}
    return [*made, *(pytest.param(Rep3(link=a), id=f"Rep3 {name}") for name, a in links.items())]


@pytest.mark.parametrize("kind", with_links())
def test_sign_for_every_number_of_bits(kind: Scheme) -> None:
    values = [np.concatenate([draw((60,), b), [(1 << b) - 1, -(1 << b) + 1, -(1 << b)]]) for b in range(1, 64)]

    def program(p: Any) -> list[Bits]:
        return [p.msb(a, b) for b, a in enumerate(inputs(p, *values), 1)]

    for x, shares in zip(values, zip(*run(kind, program).outputs, strict=True), strict=True):
        np.testing.assert_array_equal(reconstruct_bits(shares)[0], x < 0)


def test_the_chosen_adder_is_used() -> None:
    assert [a.circuit(5, 62) for a in (RIPPLE, TREE, FAST)] == [0, 1, 7]
    for link, rounds in ((RIPPLE, 63), (TREE, 8), (FAST, 5)):
        done = run(Rep3(link=link), lambda p: p.msb(inputs(p, draw((5,)))[0]))
        assert done.parties[0].rounds == 1 + rounds


@pytest.mark.parametrize("link", [FAST, TREE, RIPPLE], ids=["fast", "tree", "ripple"])
@pytest.mark.parametrize("n", [0, 1, 63, 1000])
def test_conversion_and_truncation_with_every_link(link: Link, n: int) -> None:
    x = draw((n,), 50)

    def program(p: Any) -> list[Share]:
        a = inputs(p, x)[0]
        return [p.b2a(p.msb(a, 50)), p.b2a(p.bits(a, 3)), p.truncate(a, 18), p.mul(a, p.public(layout.ones((n,))), 1)]

    outputs = run(Rep3(link=link), program).outputs
    flags, low, cut, half = (reconstruct(s) for s in zip(*outputs, strict=True))
    np.testing.assert_array_equal(flags, x < 0)
    np.testing.assert_array_equal(low, (x >> np.arange(3)[:, None]) & 1)
    for got, d in ((cut, 18), (half, 1)):
        assert (np.abs(got - x / 2**d) < 1).all()
        np.testing.assert_array_equal(got[x % 2**d == 0], x[x % 2**d == 0] >> d)


@pytest.mark.parametrize("kind", with_links())
@pytest.mark.parametrize("shape", [*SHAPES, (129 * 64 + 3,)])
def test_sign_shapes(kind: Scheme, shape: tuple[int, ...]) -> None:
    x = draw(shape)
    np.testing.assert_array_equal(bits(kind, lambda p, a: p.msb(a), x)[0], x < 0)


@pytest.mark.parametrize("shape", [*SHAPES, (129 * 64 + 3,)])
def test_bits_zero_test_and_conversion(protocol: Scheme, shape: tuple[int, ...]) -> None:
    x = draw(shape, 20)
    x.reshape(-1)[1::2] = 0

    def program(p: Any) -> tuple[list[Bits], list[Share]]:
        a = inputs(p, x)[0]
        low, zero = p.bits(a, 13), p.is_zero(a, 64)
        back = p.a2bits(p.b2a(zero))
        few = [p.bits(a, 1), p.is_zero(a, 1), p.is_zero(a, 7), p.invert(zero), p.xor(low, low), p.and_(low, low)]
        return [low, zero, back, *few], [p.b2a(zero), p.b2a(low), p.inject(zero, a)[0], p.inject(p.invert(zero), a)[0]]

    done = run(protocol, program).outputs
    got = [reconstruct_bits(b) for b in zip(*(o[0] for o in done), strict=True)]
    plain = [reconstruct(s) for s in zip(*(o[1] for o in done), strict=True)]
    low = np.stack([(x >> j) & 1 for j in range(13)])
    zero = (x == 0).astype(np.int64)
    one = lambda v: np.asarray(v, np.int64)[None]  # noqa: E731
    want = [low, one(zero), one(zero), one(x & 1), one(x % 2 == 0), one(x % 128 == 0), one(1 - zero), low * 0, low]
    for have, expected in zip(got, want, strict=True):
        np.testing.assert_array_equal(have, expected)
    for have, expected in zip(plain, [zero, low, 0 * x, x], strict=True):
        np.testing.assert_array_equal(have, expected)


@pytest.mark.parametrize("count", [1, 2, 3, 5, 31, 32, 33, 63, 64])
def test_decomposition_of_full_words(protocol: Scheme, count: int) -> None:
    x = np.concatenate([draw((40,)), [-(2**63), 2**63 - 1]])
    for serial in (False, True):
        got = bits(protocol, lambda p, a, serial=serial: p.bits(a, count, serial), x)
        np.testing.assert_array_equal(got, np.stack([(x >> j) & 1 for j in range(count)]))
    zero = bits(protocol, lambda p, a: p.is_zero(a, count), x)[0]
    np.testing.assert_array_equal(zero, (ring(x) << np.uint64(64 - count)) == 0)


def test_bits_can_be_rearranged(protocol: Scheme) -> None:
    x = draw((5, 14))
    got = bits(protocol, lambda p, a: p.map_bits(p.msb(a), layout.transpose(None)), x)[0]
    np.testing.assert_array_equal(got, (x < 0).T)
    got = bits(protocol, lambda p, a: p.map_bits(p.msb(a), layout.take((slice(1, 3), 0))), x)[0]
    np.testing.assert_array_equal(got, (x < 0)[1:3, 0])


def test_reference_planes_are_the_layout_that_is_reconstructed() -> None:
    x = draw((70,))
    planes = reference.to_planes(ring(x), 64)
    np.testing.assert_array_equal(reference.from_planes(planes, 70).view(np.int64), x)


# -- sine series -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("period", "scale"), [(23, 18), (2, 18), (12, 10), (13, 20), (40, 30), (60, 24)])
def test_sine_series(protocol: Scheme, shape: tuple[int, ...], period: int, scale: int) -> None:
    x = draw(shape)
    weights = [0.5, -1.25, 0.0, 3.0, -0.125]
    angle = (x % (1 << period)) / 2.0**period * 2 * np.pi
    sines = sum(w * np.sin(k * angle) for k, w in enumerate(weights, 1))
    cosines = [0.25, 0.0, -2.0]
    both = sines + sum(w * np.cos(k * angle) for k, w in enumerate(cosines, 1))
    for more, want in (((), sines), (cosines, both), ([*cosines, 0, 0, 0], both)):
        got = ints(protocol, lambda p, a, more=more: p.sine_series(a, period, weights, scale, more), x)
        assert got.shape == shape
        size = sum(map(abs, [*weights, *more]))
        np.testing.assert_allclose(got * 2.0**-scale, want, rtol=0, atol=size * 2**-21 + 2.0**-scale)


@pytest.mark.parametrize("blur", [0, 5, 12])
def test_series_and_sides(protocol: Scheme, blur: int) -> None:
    """Beside the series: where x lies, exactly but for less than 2^blur above an edge."""
    x, edges, weights = draw((500,), 24), [-(2**20), 12345], [0.5, -1.25]
    x[:200] = np.concatenate([e + draw((100,), blur + 2) for e in edges])

    def program(p: Any) -> tuple[Share, Share]:
        return p.series_and_sides(inputs(p, x)[0], 23, weights, 18, [], edges, 25, blur)  # type: ignore[no-any-return]

    outputs = run(protocol, program).outputs
    series, sides = (reconstruct(s) for s in zip(*outputs, strict=True))
    want = sum(w * np.sin(k * x / 2.0**23 * 2 * np.pi) for k, w in enumerate(weights, 1))
    np.testing.assert_allclose(series * 2.0**-18, want, rtol=0, atol=2**-20 + 2.0**-18)
    assert sides.shape == (2, 500) and set(np.unique(sides)) == {0, 1}
    for side, edge in zip(sides, edges, strict=True):
        sure = (x < edge) | (x >= edge + (2**blur if blur else 0))
        np.testing.assert_array_equal(side[sure], x[sure] < edge)


# -- orders ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [0, 1, 2, 7, 65, 1000])
def test_a_shuffle_moves_whole_rows_and_can_be_undone(protocol: Scheme, n: int) -> None:
    x, y, z = np.arange(n), draw((n, 2)), draw((n, 2, 0))

    def program(p: Any) -> list[Share]:
        mix = p.mix(n)
        there = p.shuffle(inputs(p, x, y, z), mix)
        return [*there, *p.shuffle(there, mix, undo=True), *p.shuffle(inputs(p, x), p.mix(n))]

    got = [reconstruct(s) for s in zip(*run(protocol, program).outputs, strict=True)]
    np.testing.assert_array_equal(np.sort(got[0]), x)
    for have, want in zip(got[1:6], [y[got[0]], z[got[0]], x, y, z], strict=True):
        np.testing.assert_array_equal(have, want)
        assert have.shape == want.shape
    if n > 7:
        assert (got[0] != x).any() and (got[6] != got[0]).any()


@pytest.mark.parametrize("shape", SHAPES)
def test_openings_of_bits(protocol: Scheme, shape: tuple[int, ...]) -> None:
    x = draw(shape)

    def program(p: Any) -> list[Any]:
        a = inputs(p, x)[0]
        return [open_bits(p, p.msb(a)), open_bits(p, p.bits(a, 5))]

    for opened in run(protocol, program).outputs:
        for have, want in zip(opened, [x < 0, x % 32], strict=True):
            np.testing.assert_array_equal(have, want)
            assert have.shape == shape


@pytest.mark.parametrize("n", [0, 1, 2, 7, 65, 1000])
def test_what_is_opened_in_a_shuffled_order_belongs_to_the_rows_that_stay_secret(protocol: Scheme, n: int) -> None:
    rng = np.random.default_rng(n)
    x, y, z, low = np.arange(n), draw((n, 2)), rng.integers(0, 2**61, n), rng.integers(0, 8, n)

    def program(p: Any) -> tuple[list[Any], list[Share]]:
        a, b, c, d = inputs(p, x, y, z, low)
        every, digit = p.bits(c, 64), p.bits(d, 3)
        long = Bits(tuple(np.concatenate([q, q]) for q in every.parts), (n,), 128)
        mask = p.random_bits((n,), 3)
        shown = [Shown(a, 13), Shown(digit, 3), Shown(digit, 3, mask), Shown(p.neg(b.map(layout.take((..., 0)))), 64)]
        mixed = shuffle_and_open(p, shown, p.mix(n), [a, b], long)
        assert mixed.bits.planes == 128
        more = [mixed.bits.rows(0, 64), mixed.bits.rows(64, 128)]
        return [*mixed.opened, open_bits(p, mask), *(open_bits(p, m) for m in more)], mixed.items

    done = run(protocol, program).outputs
    rows, digit, masked, negative, mask, first, second = done[0][0]
    np.testing.assert_array_equal(np.sort(rows), x)
    rows = rows.astype(np.int64)
    for have, want in (
        (digit, low[rows]), (masked ^ mask, low[rows]), (negative.view(np.int64), -y[rows, 0]),
        (first, z[rows]), (second, z[rows]),
    ):  # fmt: skip
        np.testing.assert_array_equal(have, want)
    for opened, _ in done:
        for have, want in zip(opened, done[0][0], strict=True):
            np.testing.assert_array_equal(have, want)
    a, b = (reconstruct(s) for s in zip(*(items for _, items in done), strict=True))
    np.testing.assert_array_equal(a, rows)
    np.testing.assert_array_equal(b, y[rows])


@pytest.mark.parametrize("n", [0, 1, 65, 1000])
def test_random_digits_and_their_flags(protocol: Scheme, n: int) -> None:
    widths, bits = [1, 3, 2, 5], 17

    def program(p: Any) -> list[Any]:
        return [(open_bits(p, r), flags) for r, flags in p.random_digits(n, widths, bits)]

    done = run(protocol, program).outputs
    for j, width in enumerate(widths):
        digits = done[0][j][0]
        flags = reconstruct([party[j][1] for party in done]) % (1 << bits)
        np.testing.assert_array_equal(flags, np.arange(1 << width) == digits[:, None])
        if n == 1000:
            assert set(digits.tolist()) == set(range(1 << width))


@pytest.mark.parametrize("n", [0, 1, 2, 40, 300])
def test_sorts_and_secret_orders(protocol: Scheme, n: int) -> None:
    rng = np.random.default_rng(n)
    small, payload, places = rng.integers(-5, 6, n), draw((n, 2)), rng.permutation(n)
    wide = rng.integers(-2, 3, n) * 2**60 + rng.integers(0, 2, n)

    def program(p: Any) -> list[Share]:
        a, b, w, d = inputs(p, small, payload, wide, places)
        return [
            *sort.sort(p, [(a, 3)], [a, b]), *sort.sort(p, [(w, 62)], [w, b]), *sort.sort(p, [(a, 3), (w, 62)], [w]),
            *sort.sort(p, [(a, 3), (a, 3), (d, 20)], [d]), sort.argsort(p, [(w, 62)]).share,
            *orders.scatter(p, Places(d), [b]), *orders.gather(p, Places(d), [b]), orders.inverse(p, Places(d)).share,
        ]  # fmt: skip

    stable, by_wide = np.argsort(small, kind="stable"), np.argsort(wide, kind="stable")
    scattered = np.zeros_like(payload)
    scattered[places] = payload
    want = [
        small[stable], payload[stable], wide[by_wide], payload[by_wide], wide[np.lexsort((wide, small))],
        places[np.lexsort((places, small))], by_wide, scattered, payload[places], np.argsort(places),
    ]  # fmt: skip
    for have, expected in zip(zip(*run(protocol, program).outputs, strict=True), want, strict=True):
        np.testing.assert_array_equal(reconstruct(have), expected)


@pytest.mark.parametrize(("lanes", "n"), [(0, 4), (3, 0), (3, 1), (1, 5), (3, 5), (4000, 2), (2500, 3), (1200, 7)])
@pytest.mark.parametrize("width", [3, 62])
def test_sorts_of_few_and_many_lanes(protocol: Scheme, lanes: int, n: int, width: int) -> None:
    x = draw((lanes, n), width)
    if width == 62:
        x[: lanes // 2] >>= 59

    def program(p: Any) -> list[Share]:
        (key,) = inputs(p, x)
        place = p.public(layout.arange(n)).map(layout.broadcast((lanes, n)))
        return sort.sort_lanes(p, key, width, [key, place])

    got = [reconstruct(s) for s in zip(*run(protocol, program).outputs, strict=True)]
    stable = np.argsort(x, 1, kind="stable")
    np.testing.assert_array_equal(got[0], np.take_along_axis(x, stable, 1))
    np.testing.assert_array_equal(got[1], stable)


def test_what_is_no_permutation_is_refused(protocol: Scheme) -> None:
    with pytest.raises(UsageError, match="each of the row numbers 0 to 2 once"):
        run(protocol, lambda p: orders.scatter(p, Places(inputs(p, np.array([0, 2, 2]))[0]), []))
