"""Every native instruction set equals the NumPy reference bit for bit; the door refuses what does not fit."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privity.errors import ShapeError, UsageError
from privity.ring import kernels, reference, trig

native = getattr(kernels, "_native", None)
LEVELS: list[str] = native.levels() if native is not None else ["reference"]

EDGES = np.array([0, 1, 2**63, 2**63 - 1, 2**64 - 1, 2**62, 2**32, 2**32 - 1], dtype=np.uint64)
Ring = npt.NDArray[np.uint64]


@pytest.fixture(params=LEVELS, autouse=True)
def level(request: pytest.FixtureRequest) -> Iterator[str]:
    if native is None:
        yield "reference"
        return
    before = native.level()
    native.select(request.param)
    yield request.param
    native.select(before)


def draw(seed: int, *shape: int) -> Ring:
    """Uniform words, one in four replaced by an extreme value."""
    rng = np.random.default_rng(seed)
    words = rng.integers(0, 2**64, size=shape, dtype=np.uint64)
    return np.where(rng.integers(0, 4, size=shape) == 0, rng.choice(EDGES, size=shape), words)


def strided(a: npt.NDArray[Any], how: int) -> npt.NDArray[Any]:
    """The same values, laid out otherwise."""
    if how == 1:  # every other word of a bigger array
        wide = np.zeros(tuple(2 * s for s in a.shape), dtype=a.dtype)
        view = wide[tuple(slice(None, None, 2) for _ in a.shape)]
        view[...] = a
        return view
    if how == 2:  # backwards
        turn = tuple(slice(None, None, -1) for _ in a.shape)
        return np.ascontiguousarray(a[turn])[turn]
    if how == 3:  # transposed
        return np.ascontiguousarray(a.T).T
    if how == 4:  # not aligned
        raw = np.zeros(a.nbytes + 1, dtype=np.uint8)
        view = raw[1:].view(a.dtype).reshape(a.shape)
        view[...] = a
        return view
    return a


def same(came: Any, expected: Any) -> None:
    assert came.dtype == expected.dtype
    assert came.shape == expected.shape
    assert np.array_equal(came, expected)


sizes = st.one_of(st.integers(0, 200), st.sampled_from([511, 512, 513, 576, 1000, 4097]))
layouts = st.integers(0, 4)
seeds = st.integers(0, 2**32 - 1)
few = settings(max_examples=40, deadline=None)

# ------------------------------------------------------------------------------------------------------- products


@pytest.mark.parametrize("kernel", ["matmul", "rep3_matmul"])
@given(m=st.integers(0, 40), k=st.integers(0, 300), n=st.integers(0, 40), seed=seeds, how=st.tuples(*[layouts] * 4))
@few
def test_matrix_products(kernel: str, m: int, k: int, n: int, seed: int, how: tuple[int, int, int, int]) -> None:
    shapes = [(m, k), (k, n)] if kernel == "matmul" else [(m, k), (m, k), (k, n), (k, n)]
    arrays = [draw(seed + i, *shape) for i, shape in enumerate(shapes)]
    views = [strided(a, h) for a, h in zip(arrays, how, strict=False)]
    expected = getattr(reference, kernel)(*arrays)
    same(getattr(kernels, kernel)(*views), expected)
    out = np.full((m, n), 7, dtype=np.uint64)
    assert getattr(kernels, kernel)(*views, out=out) is out
    same(out, expected)


THIN = [(1, 300, 200), (200, 300, 1), (3, 129, 70), (70, 129, 3), (1, 1, 1), (1, 64, 1)]
THIN += [(99, 1050, 15), (101, 31, 16), (15, 33, 600), (7, 5, 1025), (9, 4111, 2), (110, 640, 7)]


@pytest.mark.parametrize("shape", THIN)
@pytest.mark.parametrize("how", [0, 1, 3])
def test_thin_products(shape: tuple[int, int, int], how: int) -> None:
    m, k, n = shape
    xa, xb, ya, yb = draw(1, m, k), draw(2, m, k), draw(3, k, n), draw(4, k, n)
    views = [strided(a, how) for a in (xa, xb, ya, yb)]
    same(kernels.matmul(views[0], views[2]), reference.matmul(xa, ya))
    same(kernels.rep3_matmul(views[0], views[1], views[2], views[3]), reference.rep3_matmul(xa, xb, ya, yb))


@pytest.mark.parametrize("shape", [(197, 131, 50), (30, 260, 1160), (385, 129, 25)])
def test_products_beyond_one_block(shape: tuple[int, int, int]) -> None:
    m, k, n = shape
    xa, xb, ya, yb = draw(1, m, k), draw(2, m, k), draw(3, k, n), draw(4, k, n)
    same(kernels.rep3_matmul(xa, xb, ya, yb), reference.rep3_matmul(xa, xb, ya, yb))


@pytest.mark.parametrize("shape", [(500, 200, 100), (100, 200, 500)])
def test_threads_change_nothing(shape: tuple[int, int, int]) -> None:
    m, k, n = shape
    x, y = draw(1, m, k), draw(2, k, n)
    same(kernels.matmul(x, y, threads=3), reference.matmul(x, y))
    same(kernels.rep3_matmul(x, x, y, y, threads=2), reference.rep3_matmul(x, x, y, y))


@given(m=st.integers(0, 30), k=st.integers(0, 100), seed=seeds, how=layouts)
@few
def test_row_products(m: int, k: int, seed: int, how: int) -> None:
    arrays = [draw(seed + i, m, k) for i in range(4)]
    same(kernels.rep3_dot(*[strided(a, how) for a in arrays]), reference.rep3_dot(*arrays))


@given(m=st.integers(0, 9), k=st.integers(0, 40), w=sizes, seed=seeds, how=layouts)
@few
def test_products_of_bits(m: int, k: int, w: int, seed: int, how: int) -> None:
    marks = [draw(seed + i, m, k) & np.uint64(1) for i in range(2)]
    lines = [draw(seed + 2 + i, k, w) for i in range(2)]
    came = kernels.rep3_select(*[strided(a, how) for a in (*marks, *lines)])
    same(came, reference.rep3_select(*marks, *lines))
    # x0 y0 + x0 y1 + x1 y0 + x1 y1 over bits, of which the last product is another party's
    whole = kernels.rep3_select(*marks, *lines) ^ kernels.rep3_select(marks[1], marks[1] * 0, lines[1], lines[1] * 0)
    wanted = np.zeros((m, w), np.uint64)
    for p in range(k):
        wanted ^= np.where(marks[0][:, p : p + 1] ^ marks[1][:, p : p + 1], lines[0][p] ^ lines[1][p], np.uint64(0))
    same(whole, wanted)


# ---------------------------------------------------------------------------------------------------- elementwise

ELEMENTWISE: dict[str, Callable[[Any, list[Ring], int], Any]] = {
    "rep3_mul": lambda f, a, d: f(*a),
    "rep3_and": lambda f, a, d: f(*a),
    "trunc_known_v": lambda f, a, d: f(a[0], d, a[1]),
    "bit_times": lambda f, a, d: f(a[0], a[1], a[2], d),
}


@pytest.mark.parametrize("kernel", ELEMENTWISE)
@given(n=sizes, seed=seeds, d=st.integers(1, 62), how=layouts)
@few
def test_elementwise(kernel: str, n: int, seed: int, d: int, how: int) -> None:
    call = ELEMENTWISE[kernel]
    arrays = [draw(seed + i, n) for i in range(6)]
    expected = call(getattr(reference, kernel), arrays, d)
    same(call(getattr(kernels, kernel), [strided(a, how) for a in arrays], d), expected)
    same(call(lambda *a: getattr(kernels, kernel)(*a, out=arrays[0]), arrays, d), expected)  # in place
    same(arrays[0], expected)


@given(n=sizes, seed=seeds, d=st.integers(1, 62), how=layouts)
@few
def test_truncation_with_u(n: int, seed: int, d: int, how: int) -> None:
    u, ra, mask_b = (draw(seed + i, n) for i in range(3))
    a, b = reference.trunc_known_u(u, d, ra, mask_b)
    came = kernels.trunc_known_u(strided(u, how), d, strided(ra, how), mask_b)
    same(came[0], a)
    same(came[1], b)
    out = (strided(np.zeros_like(u), how), np.zeros_like(u))
    assert kernels.trunc_known_u(u, d, ra, mask_b, out=out) is not None
    same(out[0], a)
    same(out[1], b)


def test_bit_times_keeps_whole_words() -> None:
    m, v, r = draw(1, 70), draw(2, 70), draw(3, 70)
    same(kernels.bit_times(m, v, r, 64), reference.bit_times(m, v, r, 64))


@pytest.mark.parametrize("shape", [(), (3, 5), (2, 0, 4), (2, 3, 4)])
def test_elementwise_takes_any_shape(shape: tuple[int, ...]) -> None:
    arrays = [draw(i, *shape) for i in range(6)]
    for kernel, call in ELEMENTWISE.items():
        with np.errstate(over="ignore"):  # NumPy warns of wrap-around in scalars only
            expected = np.asarray(call(getattr(reference, kernel), arrays, 20))
        same(call(getattr(kernels, kernel), arrays, 20), expected)


# ---------------------------------------------------------------------------------------------------- carry trees

widths = st.sampled_from([0, 1, 2, 7, 8, 9, 40])


@given(digits=st.integers(1, 9), bits=st.integers(1, 8), width=widths, seed=seeds, how=layouts)
@few
def test_digits(digits: int, bits: int, width: int, seed: int, how: int) -> None:
    u, v, x = (draw(seed + i, rows, width) for i, rows in enumerate((digits * bits,) * 2 + (digits * (2**bits - 1),)))
    products = kernels.monomials(strided(u, how), bits)
    same(products, reference.monomials(u, bits))
    folded = [kernels.fold_digits(strided(a, how), strided(v, how), bits, c) for a, c in ((x, False), (products, True))]
    same(folded[0], reference.fold_digits(x, v, bits, False))
    same(folded[1], reference.fold_digits(products, v, bits, True))
    same(kernels.fold_digits(x ^ products, v, bits, True), folded[0] ^ folded[1])  # linear: so it may be masked
    one, other = (p.reshape(digits, bits, width) for p in (u, v))
    carry, passed = np.zeros((digits, width), np.uint64), ~np.zeros((digits, width), np.uint64)
    for j in range(bits):
        either = one[:, j] ^ other[:, j]
        carry = (one[:, j] & other[:, j]) ^ (either & carry)
        passed &= either
    same(folded[1][[0, *range(1, 2 * digits - 1, 2)]], carry)
    same(folded[1][2::2], passed[1:])


@given(positions=st.integers(2, 20), width=widths, seed=seeds, how=layouts)
@few
def test_levels(positions: int, width: int, seed: int, how: int) -> None:
    sa, sb = (draw(seed + i, 2 * positions - 1, width) for i in range(2))
    ra, rb = (draw(seed + 2 + i, 2 * (positions // 2) - 1, width) for i in range(2))
    a, b = kernels.and_level(*(strided(s, how) for s in (sa, sb, ra, rb)))
    expected_a, expected_b = reference.and_level(sa, sb, ra, rb)
    same(a, expected_a)
    assert b.shape == expected_b.shape
    if positions % 2:
        same(b[-2:], expected_b[-2:])


# ----------------------------------------------------------------------------------------------------------- bits


@given(n=sizes, k=st.integers(1, 64), seed=seeds, how=layouts)
@few
def test_planes(n: int, k: int, seed: int, how: int) -> None:
    x = draw(seed, n)
    planes = kernels.to_planes(strided(x, how), k)
    same(planes, reference.to_planes(x, k))
    junk = planes.copy()
    if n % 64:
        junk[:, -1] |= ~np.uint64(0) << np.uint64(n % 64)  # unused bits may hold anything
    low = x & np.uint64(2**k - 1)
    same(kernels.from_planes(strided(junk, how), n), low)
    same(reference.from_planes(junk, n), low)


@pytest.mark.parametrize("k", range(1, 65))
@pytest.mark.parametrize("n", [0, 1, 7, 8, 9, 1003])
def test_dense_streams(k: int, n: int) -> None:
    x = draw(k, n)
    stream = kernels.pack_low(x, k)
    same(stream, reference.pack_low(x, k))
    low = x & np.uint64(2**k - 1)
    same(kernels.unpack_low(stream, k, n), low)
    same(reference.unpack_low(stream, k, n), low)
    same(kernels.unpack_low(strided(np.concatenate([stream, stream]), 1)[: stream.size], k, n), low)


def test_nothing_is_written_beyond_a_stream() -> None:
    for k in range(1, 65):
        for n in (1, 8, 13):
            size = kernels.packed_bytes(n, k)
            room = np.full(size + 32, 0xA5, dtype=np.uint8)
            kernels.pack_low(draw(k, n), k, out=room[8 : 8 + size])
            assert (room[:8] == 0xA5).all() and (room[8 + size :] == 0xA5).all()


# ------------------------------------------------------------------------------------------------------- the door


def test_out_may_overlap_the_inputs_in_any_way() -> None:
    x = draw(1, 101)
    ya, yb, ra, rb = (draw(i, 100) for i in range(2, 6))
    expected = reference.rep3_mul(x[1:], x[:-1], ya, yb, ra, rb)
    same(kernels.rep3_mul(x[1:], x[:-1], ya, yb, ra, rb, out=x[:-1]), expected)
    y = draw(6, 20, 20)
    expected = reference.matmul(y, y)
    same(kernels.matmul(y, y.copy(), out=y), expected)
    y = draw(7, 20, 20)
    expected = reference.matmul(y, y)
    same(kernels.matmul(y, y.copy(), out=y.T), expected)
    z = draw(8, 640)
    expected = reference.to_planes(z, 64)
    same(kernels.to_planes(z, 64, out=z.reshape(64, 10)), expected)


def test_numpy_integers_and_subclasses_are_welcome() -> None:
    x = draw(1, 100)
    same(kernels.to_planes(x, int(np.int64(5))), kernels.to_planes(x, np.int64(5)))  # type: ignore[arg-type]
    assert kernels.rep3_and(*[x.view(np.recarray)] * 6).shape == (100,)


# --------------------------------------------------------------------------------------------------- sine series


@given(n=sizes, turn=st.integers(1, 60), count=st.integers(1, 33), scale=st.integers(1, 30), seed=seeds, how=layouts)
@few
def test_waves(n: int, turn: int, count: int, scale: int, seed: int, how: int) -> None:
    angle = draw(seed, n)
    same(kernels.waves(strided(angle, how), turn, count, scale), trig.waves(angle, turn, count, scale))


@given(n=sizes, turn=st.integers(1, 60), count=st.integers(1, 33), shift=st.integers(1, 40), seed=seeds, how=layouts)
@few
def test_wave_sums(n: int, turn: int, count: int, shift: int, seed: int, how: int) -> None:
    rng = np.random.default_rng(seed)
    angle, dealt = draw(seed, n), draw(seed + 1, 2 * count, n)
    factors = (rng.integers(-(2**32), 2**32, (2, count)) * rng.integers(0, 2, (2, 1))).view(np.uint64)
    came = kernels.wave_sum(strided(angle, how), strided(dealt, how), turn, strided(factors, how), shift)
    same(came, trig.wave_sum(angle, dealt, turn, factors, shift))
    more = draw(seed + 2, 2 * count, n)
    both = came + trig.wave_sum(angle, more, turn, factors, shift)
    same(kernels.wave_sum(angle, dealt + more, turn, factors, shift), both)


def test_waves_are_sines_and_cosines() -> None:
    angle = np.arange(0, 1 << 20, 997, dtype=np.uint64)
    exact = 2 * np.pi * np.arange(1, 17)[:, None] * angle / 2**20
    rows = kernels.waves(angle, 20, 16, 30).view(np.int64) / 2.0**30
    assert np.abs(rows - np.concatenate([np.cos(exact), np.sin(exact)])).max() < 2.0**-25


X = draw(0, 6)
M = draw(0, 2, 3)
REFUSED: list[tuple[type[Exception], str, tuple[Any, ...]]] = [
    (ShapeError, "matmul", (M, M)),
    (ShapeError, "matmul", (X, M)),
    (ShapeError, "matmul", (M, M.T, X)),
    (UsageError, "matmul", (M, M.T, None, 0)),
    (UsageError, "matmul", (M.astype(np.int64), M.T)),
    (ShapeError, "rep3_matmul", (M, M.T, M.T, M.T)),
    (ShapeError, "rep3_matmul", (M, M, M.T, M)),
    (ShapeError, "rep3_mul", (X, X, X, X, X, X[:5])),
    (ShapeError, "rep3_mul", (X, X, X, X, X, X.reshape(2, 3))),
    (UsageError, "rep3_mul", (X, X, X, X, X, [1, 2, 3])),
    (UsageError, "rep3_mul", (X, X, X, X, X, X.astype(np.float64))),
    (UsageError, "rep3_and", (X, X, X, X, X, X, [0])),
    (ShapeError, "rep3_and", (X, X, X, X, X, X, X[:3].copy())),
    (ShapeError, "rep3_dot", (X, X, X, X)),
    (ShapeError, "rep3_dot", (M, M, M, M.T)),
    (ShapeError, "rep3_select", (M, M, M, M)),
    (ShapeError, "rep3_select", (M, M.T, M.T, M.T)),
    (ShapeError, "rep3_select", (M, M, M.T, M)),
    (ShapeError, "rep3_select", (X, X, M, M)),
    (UsageError, "to_planes", (X, 0)),
    (UsageError, "to_planes", (X, 65)),
    (UsageError, "to_planes", (X, True)),
    (UsageError, "to_planes", (X, 2.0)),
    (ShapeError, "from_planes", (M, 200)),
    (UsageError, "from_planes", (M, -1)),
    (UsageError, "from_planes", (np.zeros((65, 1), np.uint64), 3)),
    (UsageError, "from_planes", (np.zeros((0, 1), np.uint64), 3)),
    (UsageError, "pack_low", (X, 65)),
    (UsageError, "pack_low", (X, 8, np.zeros(6, np.uint64))),
    (ShapeError, "unpack_low", (np.zeros(7, np.uint8), 8, 6)),
    (UsageError, "unpack_low", (X, 8, 6)),
    (ShapeError, "unpack_low", (np.zeros(7, np.uint8), 8, 2**70)),
    (UsageError, "trunc_known_u", (X, 0, X, X)),
    (UsageError, "trunc_known_u", (X, 63, X, X)),
    (UsageError, "trunc_known_u", (X, 3, X, X, X)),
    (ShapeError, "trunc_known_u", (X, 3, X, X, (X.copy(), X[:2].copy()))),
    (UsageError, "trunc_known_v", (X, 63, X)),
    (ShapeError, "monomials", (X, 2)),
    (ShapeError, "monomials", (M, 3)),
    (UsageError, "monomials", (M, 9)),
    (ShapeError, "fold_digits", (M, M, 2, True)),
    (ShapeError, "fold_digits", (M[:0], M[:0], 2, True)),
    (ShapeError, "and_level", (M, M, M, M)),
    (ShapeError, "and_level", (draw(0, 3, 3), draw(1, 3, 3), M, M)),
    (ShapeError, "and_level", (draw(0, 3, 3), draw(1, 5, 3), M[:1], M[:1])),
    (UsageError, "bit_times", (X, X, X, 65)),
    (UsageError, "waves", (X, 61, 3, 24)),
    (UsageError, "waves", (X, 20, 0, 24)),
    (UsageError, "waves", (X, 20, 3, 31)),
    (ShapeError, "waves", (M, 20, 3, 24)),
    (ShapeError, "wave_sum", (X, draw(0, 6, 6), 20, M[:1], 28)),
    (ShapeError, "wave_sum", (X, draw(0, 6, 5), 20, M, 28)),
    (UsageError, "wave_sum", (X, draw(0, 6, 6), 0, M, 28)),
    (UsageError, "wave_sum", (X, draw(0, 6, 6), 20, M, 0)),
]


@pytest.mark.parametrize(("error", "kernel", "call"), REFUSED, ids=[f"{k}-{i}" for i, (_, k, _) in enumerate(REFUSED)])
def test_refused_calls_name_the_kernel(error: type[Exception], kernel: str, call: tuple[Any, ...]) -> None:
    with pytest.raises(error, match=kernel):
        getattr(kernels, kernel)(*call)


def test_read_only_out_is_refused_and_read_only_input_is_not() -> None:
    x = draw(1, 10)
    x.flags.writeable = False
    assert kernels.rep3_and(x, x, x, x, x, x).shape == (10,)
    with pytest.raises(UsageError, match="read-only"):
        kernels.rep3_and(x, x, x, x, x, x, out=x)


def test_kept_memory_is_still_right() -> None:
    kernels.keep_freed_memory()
    x = draw(1, 1000)
    same(kernels.rep3_mul(x, x, x, x, x, x), reference.rep3_mul(x, x, x, x, x, x))


# ------------------------------------------------------------------------------------------------- signatures


def test_the_door_and_the_reference_agree() -> None:
    names = [n for n, f in vars(reference).items() if inspect.isfunction(f) and f.__module__ == reference.__name__]
    names = [n for n in names if not n.startswith("_")]
    assert set(names) <= set(dir(kernels))
    for name in names:
        here = [p for p in inspect.signature(getattr(kernels, name)).parameters if p != "threads"]
        assert here == list(inspect.signature(getattr(reference, name)).parameters), name


@pytest.mark.skipif(native is None, reason="pure build")
def test_the_stub_lists_what_the_module_exports() -> None:
    assert native is not None
    stub = ast.parse((Path(kernels.__file__).parent / "_native.pyi").read_text(encoding="utf-8"))
    listed = {f.name: [a.arg for a in f.args.args] for f in stub.body if isinstance(f, ast.FunctionDef)}
    exported = {name for name in dir(native) if not name.startswith("__")}
    assert exported == set(listed)
    for name, arguments in listed.items():
        signature = getattr(native, name).__nb_signature__[0][0]
        came = ast.parse(signature.replace("\\", "_") + ": ...").body[0]
        assert isinstance(came, ast.FunctionDef)
        assert [a.arg for a in came.args.args] == arguments, name


@pytest.mark.skipif(native is None, reason="pure build")
def test_unknown_instruction_sets_are_refused() -> None:
    assert native is not None
    with pytest.raises(ValueError, match="baseline"):
        native.select("mmx")
    assert kernels.BUILD.split() == ["native", LEVELS[0]]
