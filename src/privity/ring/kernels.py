"""The one door to array arithmetic over Z_2^64: native C++ kernels where they are built, NumPy otherwise.

``reference.py`` defines what every function here computes; the native build equals it bit for bit. ``BUILD`` says which
one runs. All arrays are ``uint64`` and wrap around, save the byte streams of ``pack_low`` and ``unpack_low``.

- Strided, misaligned and empty arrays are welcome (copied where needed; the matrices of a product are read in place at
  any stride, so a transposed view is free). Elementwise kernels take any shape, the same for all arguments.
- ``out`` receives the result. It may be one of the inputs, or overlap them in any way.
- Wrong shapes raise ``ShapeError``; wrong types and numbers out of range raise ``UsageError``.
- Kernels release the GIL while they work.

Each function asks the native code first, which answers None to anything that is not plainly what it takes; only then is
the call examined here. So the common call pays for no check in Python.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from privity.errors import ShapeError, UsageError
from privity.ring import hashing, reference, trig
from privity.types import Bytes1D, Ring

_Item = TypeVar("_Item", bound=np.generic)

try:
    import privity.ring._native as _native
except ModuleNotFoundError as absent:
    if absent.name != "privity.ring._native":
        raise  # a broken native build must not pass for a pure one
    _native = None  # type: ignore[assignment]

BUILD: str = "pure" if _native is None else f"native {_native.level()}"
"""``native avx512``, ``native avx2``, ``native baseline`` or ``pure``: printed by every run and benchmark."""


def matmul(x: Ring, y: Ring, out: Ring | None = None, threads: int = 1) -> Ring:
    """``x @ y``: (m, k) @ (k, n) -> (m, n). ``threads`` is the largest number of threads to use."""
    if _native is not None:
        done = _native.matmul(x, y, out, threads)
        if done is not None:
            return done
    x, y = (_ring("matmul", name, a, 2, strided=True) for name, a in (("x", x), ("y", y)))
    _need_product("matmul", x, y)
    _need_count("matmul", "threads", threads, 1, None)
    return _compute(np.uint64, "matmul", (x, y), (x.shape[0], y.shape[1]), out, threads)


def rep3_matmul(xa: Ring, xb: Ring, ya: Ring, yb: Ring, out: Ring | None = None, threads: int = 1) -> Ring:
    """``xa @ (ya + yb) + xb @ ya``, the local part of a replicated matrix product: (m, k) and (k, n) -> (m, n)."""
    if _native is not None:
        done = _native.rep3_matmul(xa, xb, ya, yb, out, threads)
        if done is not None:
            return done
    given = {"xa": xa, "xb": xb, "ya": ya, "yb": yb}
    xa, xb, ya, yb = (_ring("rep3_matmul", name, a, 2, strided=True) for name, a in given.items())
    _need_same("rep3_matmul", {"xa": xa, "xb": xb})
    _need_same("rep3_matmul", {"ya": ya, "yb": yb})
    _need_product("rep3_matmul", xa, ya)
    _need_count("rep3_matmul", "threads", threads, 1, None)
    return _compute(np.uint64, "rep3_matmul", (xa, xb, ya, yb), (xa.shape[0], ya.shape[1]), out, threads)


def rep3_mul(xa: Ring, xb: Ring, ya: Ring, yb: Ring, ra: Ring, rb: Ring, out: Ring | None = None) -> Ring:
    """``xa * (ya + yb) + xb * ya + ra - rb``, elementwise: the masked local part of a replicated product."""
    if _native is not None:
        done = _native.rep3_mul(xa, xb, ya, yb, ra, rb, out)
        if done is not None:
            return done
    return _elementwise("rep3_mul", {"xa": xa, "xb": xb, "ya": ya, "yb": yb, "ra": ra, "rb": rb}, out)


def rep3_dot(xa: Ring, xb: Ring, ya: Ring, yb: Ring, out: Ring | None = None) -> Ring:
    """Row by row the sum of ``xa * (ya + yb) + xb * ya``: four times (m, k) -> (m,)."""
    if _native is not None:
        done = _native.rep3_dot(xa, xb, ya, yb, out)
        if done is not None:
            return done
    given = {"xa": xa, "xb": xb, "ya": ya, "yb": yb}
    arrays = {name: _ring("rep3_dot", name, a, 2) for name, a in given.items()}
    _need_same("rep3_dot", arrays)
    return _compute(np.uint64, "rep3_dot", tuple(arrays.values()), (np.shape(xa)[0],), out)


def rep3_select(xa: Ring, xb: Ring, ya: Ring, yb: Ring, out: Ring | None = None) -> Ring:
    """XOR over p of ``x[:, p] & (ya[p] ^ yb[p])`` for xa and of ``x[:, p] & ya[p]`` for xb: a product over bits.

    ``xa``, ``xb`` (m, k) words 0 or 1; ``ya``, ``yb`` (k, W), 64 elements a word: -> (m, W). Time does not depend on
    any value.
    """
    if _native is not None:
        done = _native.rep3_select(xa, xb, ya, yb, out)
        if done is not None:
            return done
    given = {"xa": xa, "xb": xb, "ya": ya, "yb": yb}
    arrays = {name: _ring("rep3_select", name, a, 2) for name, a in given.items()}
    _need_same("rep3_select", {name: arrays[name] for name in ("xa", "xb")})
    _need_same("rep3_select", {name: arrays[name] for name in ("ya", "yb")})
    _need_product("rep3_select", arrays["xa"], arrays["ya"])
    shape = (arrays["xa"].shape[0], arrays["ya"].shape[1])
    return _compute(np.uint64, "rep3_select", tuple(arrays.values()), shape, out)


def rep3_and(xa: Ring, xb: Ring, ya: Ring, yb: Ring, ra: Ring, rb: Ring, out: Ring | None = None) -> Ring:
    """``xa & (ya ^ yb) ^ xb & ya ^ ra ^ rb``, elementwise: the product of ``rep3_mul`` over bits, 64 at a time."""
    if _native is not None:
        done = _native.rep3_and(xa, xb, ya, yb, ra, rb, out)
        if done is not None:
            return done
    return _elementwise("rep3_and", {"xa": xa, "xb": xb, "ya": ya, "yb": yb, "ra": ra, "rb": rb}, out)


def to_planes(x: Ring, k: int, out: Ring | None = None) -> Ring:
    """The low k bits of n values as k bit planes: (n,) -> (k, W), W = ceil(n / 64), 1 <= k <= 64.

    Bit i of word w of plane j is bit j of ``x[64 * w + i]``; the unused bits of the last word are 0.
    """
    if _native is not None:
        done = _native.to_planes(x, k, out)
        if done is not None:
            return done
    x = _ring("to_planes", "x", x, 1)
    _need_count("to_planes", "k", k, 1, 64)
    return _compute(np.uint64, "to_planes", (x, k), (k, words(x.size)), out)


def from_planes(planes: Ring, n: int, out: Ring | None = None) -> Ring:
    """Inverse of ``to_planes``: (k, W) -> (n,). Bits from k upward are 0; unused bits of the last word are ignored."""
    if _native is not None:
        done = _native.from_planes(planes, n, out)
        if done is not None:
            return done
    planes = _ring("from_planes", "planes", planes, 2)
    _need_count("from_planes", "n", n, 0, None)
    _need_count("from_planes", "the number of planes", planes.shape[0], 1, 64)
    if planes.shape[1] != words(n):
        raise ShapeError(f"from_planes: planes of {n} values have {words(n)} words each, came {planes.shape[1]}")
    return _compute(np.uint64, "from_planes", (planes, n), (n,), out)


def pack_low(x: Ring, k: int, out: Bytes1D | None = None) -> Bytes1D:
    """The low k bits of n values as one dense little-endian bit stream: (n,) -> ceil(n * k / 8) bytes, 1 <= k <= 64.

    Bit b of value i is bit ``i * k + b`` of the stream; the unused bits of the last byte are 0.
    """
    if _native is not None:
        done = _native.pack_low(x, k, out)
        if done is not None:
            return done
    x = _ring("pack_low", "x", x, 1)
    _need_count("pack_low", "k", k, 1, 64)
    return _compute(np.uint8, "pack_low", (x, k), (packed_bytes(x.size, k),), out)


def unpack_low(stream: Bytes1D, k: int, n: int, out: Ring | None = None) -> Ring:
    """Inverse of ``pack_low``: exactly ceil(n * k / 8) bytes -> (n,). Bits from k upward are 0."""
    if _native is not None:
        done = _native.unpack_low(stream, k, n, out)
        if done is not None:
            return done
    stream = _array(np.uint8, "unpack_low", "stream", stream, 1)
    _need_count("unpack_low", "k", k, 1, 64)
    _need_count("unpack_low", "n", n, 0, None)
    if stream.size != packed_bytes(n, k):
        expected = packed_bytes(n, k)
        raise ShapeError(f"unpack_low: {n} values of {k} bits are {expected} bytes, came {stream.size}")
    return _compute(np.uint64, "unpack_low", (stream, k, n), (n,), out)


def trunc_known_u(u: Ring, d: int, ra: Ring, mask_b: Ring, out: tuple[Ring, Ring] | None = None) -> tuple[Ring, Ring]:
    """Both values that the holder of u sends when d bits are cut off, elementwise: ``(A - ra, (b - mask_b) mod 2^d)``.

    With s the top bit of u: ``A = (u >> d) - s * 2^(64-d)`` and ``b = 1 - s``. 1 <= d <= 62.
    """
    if _native is not None:
        done = _native.trunc_known_u(u, d, ra, mask_b, out)
        if done is not None:
            return done
    _need_count("trunc_known_u", "d", d, 1, 62)
    arrays = {"u": _ring("trunc_known_u", "u", u), "ra": _ring("trunc_known_u", "ra", ra)}
    arrays["mask_b"] = _ring("trunc_known_u", "mask_b", mask_b)
    _need_same("trunc_known_u", arrays)
    if out is not None and (not isinstance(out, tuple) or len(out) != 2):
        raise UsageError(f"trunc_known_u: out must be a pair of arrays or None, came {type(out).__name__}")
    for target in out or ():
        _need_target("trunc_known_u", target, np.shape(u), np.uint64)
    call = (arrays["u"], d, arrays["ra"], arrays["mask_b"])
    done = None if _native is None else _native.trunc_known_u(*call)
    if done is None:
        with np.errstate(over="ignore"):
            done = reference.trunc_known_u(*call)
    if out is None:
        return np.asarray(done[0]), np.asarray(done[1])
    out[0][...], out[1][...] = done
    return out


def trunc_known_v(v: Ring, d: int, t: Ring, out: Ring | None = None) -> Ring:
    """What the holders of v compute when d bits are cut off, elementwise. 1 <= d <= 62.

    ``(v >> d) + (v mod 2^d != 0) - t * 2^(64-d) - 2^(62-d)``.
    """
    if _native is not None:
        done = _native.trunc_known_v(v, d, t, out)
        if done is not None:
            return done
    _need_count("trunc_known_v", "d", d, 1, 62)
    arrays = {"v": _ring("trunc_known_v", "v", v), "t": _ring("trunc_known_v", "t", t)}
    _need_same("trunc_known_v", arrays)
    return _compute(np.uint64, "trunc_known_v", (arrays["v"], d, arrays["t"]), np.shape(v), out)


def bit_times(m: Ring, v: Ring, r: Ring, d: int, out: Ring | None = None) -> Ring:
    """``((v >> 63) * m - r) mod 2^d``, elementwise: the top bit of v times m, masked. 1 <= d <= 64."""
    if _native is not None:
        done = _native.bit_times(m, v, r, d, out)
        if done is not None:
            return done
    _need_count("bit_times", "d", d, 1, 64)
    arrays = {name: _ring("bit_times", name, a) for name, a in (("m", m), ("v", v), ("r", r))}
    _need_same("bit_times", arrays)
    return _compute(np.uint64, "bit_times", (*arrays.values(), d), np.shape(m), out)


def monomials(planes: Ring, bits: int) -> Ring:
    """The AND of every non-empty set of the ``bits`` planes of each digit: (digits * bits, W) -> (digits * M, W).

    M = 2^bits - 1; the set {j, k, ...} is row 2^j + 2^k + ... - 1 of its digit. 1 <= bits <= 8.
    """
    if _native is not None:
        done = _native.monomials(planes, bits)
        if done is not None:
            return done
    planes = _ring("monomials", "planes", planes, 2)
    _need_digits("monomials", planes, bits)
    return _compute(np.uint64, "monomials", (planes, bits), (len(planes) // bits * ((1 << bits) - 1), planes.shape[1]))


def fold_digits(x: Ring, planes: Ring, bits: int, constant: bool) -> Ring:
    """XOR of the rows of x with weights that digits v (``planes``) give: (digits * M, W) -> (2 * digits - 1, W).

    Linear in x and ``constant`` (all ones for the empty set, or nothing). With x = monomials(u) and the constant the
    rows are g_0, g_1, t_1, g_2, t_2, ...: g whether u + v of a digit carries out, t whether u ^ v is all ones.
    """
    if _native is not None:
        done = _native.fold_digits(x, planes, bits, constant)
        if done is not None:
            return done
    x, planes = _ring("fold_digits", "x", x, 2), _ring("fold_digits", "planes", planes, 2)
    _need_digits("fold_digits", planes, bits)
    digits = len(planes) // bits
    expected = (digits * ((1 << bits) - 1), planes.shape[1])
    if not digits or x.shape != expected:
        raise ShapeError(f"fold_digits: {digits} digits of {bits} bits go with x of shape {expected}, came {x.shape}")
    shape = (2 * digits - 1, planes.shape[1])
    return _compute(np.uint64, "fold_digits", (x, planes, bits, bool(constant)), shape)


def and_level(sa: Ring, sb: Ring, ra: Ring, rb: Ring) -> tuple[Ring, Ring]:
    """One level of a carry tree over c >= 2 positions in rows g_0, g_1, t_1, g_2, t_2, ...: (2c - 1, W) each.

    Positions 2i + 1 and 2i give ``g = g_high ^ t_high & g_low``, ``t = t_high & t_low``: this party's part, masked by
    ``ra ^ rb``, (2 * (c // 2) - 1, W). Returns the rows of all ceil(c / 2) new positions, and an array of the same
    shape for the other part; a position that is left over is last and set in both.
    """
    if _native is not None:
        done = _native.and_level(sa, sb, ra, rb)
        if done is not None:
            return done
    names = ("sa", "sb", "ra", "rb")
    given = {name: _ring("and_level", name, a, 2) for name, a in zip(names, (sa, sb, ra, rb), strict=True)}
    _need_same("and_level", {name: given[name] for name in names[:2]})
    _need_same("and_level", {name: given[name] for name in names[2:]})
    rows, w = given["sa"].shape
    if rows < 3 or rows % 2 == 0:
        raise ShapeError(f"and_level: two positions or more are an odd number of rows from 3 on, came {rows}")
    expected = (2 * ((rows + 1) // 4) - 1, w)
    if given["ra"].shape != expected:
        raise ShapeError(f"and_level: {rows} rows go with masks of shape {expected}, came {given['ra'].shape}")
    done = None if _native is None else _native.and_level(*given.values())
    return reference.and_level(*given.values()) if done is None else done


def waves(angle: Ring, turn_bits: int, count: int, scale: int) -> Ring:
    """Cosines, then sines, of 2 pi k angle / 2^turn_bits, k = 1..count, at ``scale`` bits: (n,) -> (2 count, n).

    Ring integers that are the same on every machine. 1 <= turn_bits <= 60, 1 <= scale <= 30.
    """
    if _native is not None and type(turn_bits) is int and turn_bits > 0:
        done = _native.waves(angle, trig.tables(turn_bits), turn_bits, count, scale)
        if done is not None:
            return done
    angle = _ring("waves", "angle", angle, 1)
    for name, value, most in (("turn_bits", turn_bits, 60), ("count", count, None), ("scale", scale, 30)):
        _need_count("waves", name, value, 1, most)
    done = None if _native is None else _native.waves(angle, trig.tables(turn_bits), turn_bits, count, scale)
    return trig.waves(angle, turn_bits, count, scale) if done is None else done


def wave_sum(angle: Ring, dealt: Ring, turn_bits: int, factors: Ring, shift: int) -> Ring:
    """sum_k a_k sin k(x - r) + b_k cos k(x - r) of the public angle x and dealt waves of r: (n,), (2 count, n) -> (n,).

    Linear in ``dealt``, a share of what ``waves`` gives for r. ``factors``: (2, count), the integers a and b (two's
    complement, magnitude at most 2^32); their products with waves of x are divided by 2^shift and rounded.
    """
    if _native is not None and type(turn_bits) is int and turn_bits > 0:
        done = _native.wave_sum(angle, dealt, trig.tables(turn_bits), turn_bits, factors, shift)
        if done is not None:
            return done
    angle = _ring("wave_sum", "angle", angle, 1)
    dealt, factors = _ring("wave_sum", "dealt", dealt, 2), _ring("wave_sum", "factors", factors, 2)
    _need_count("wave_sum", "turn_bits", turn_bits, 1, 60)
    _need_count("wave_sum", "shift", shift, 1, 62)
    count = factors.shape[1]
    _need_count("wave_sum", "the number of factors", count, 1, None)
    if len(factors) != 2 or dealt.shape != (2 * count, angle.size):
        came = f"{factors.shape}, {dealt.shape} and {angle.size} angles"
        raise ShapeError(f"wave_sum: expected factors (2, count), dealt (2 count, n) and n angles, came {came}")
    tables = trig.tables(turn_bits)
    done = None if _native is None else _native.wave_sum(angle, dealt, tables, turn_bits, factors, shift)
    return trig.wave_sum(angle, dealt, turn_bits, factors, shift) if done is None else done


def digest_items(data: Bytes1D, offsets: Ring, prefix: Bytes1D) -> Ring:
    """The first 16 bytes of SHA-256(prefix || item) of n items, two words each: -> (n, 2).

    ``data`` holds the items one behind the other; item i is its bytes ``offsets[i]`` to ``offsets[i + 1]``.
    """
    data, prefix = (_array(np.uint8, "digest_items", n, a, 1) for n, a in (("data", data), ("prefix", prefix)))
    offsets = _ring("digest_items", "offsets", offsets, 1)
    if prefix.size != hashing.PREFIX_BYTES:
        raise ShapeError(f"digest_items: the prefix has {hashing.PREFIX_BYTES} bytes, came {prefix.size}")
    if not offsets.size or (offsets[1:] < offsets[:-1]).any() or offsets[-1] > data.size:
        raise UsageError("digest_items: offsets must rise from 0 to the number of bytes, one more than there are items")
    done = None if _native is None else _native.digest_items(data, offsets, prefix)
    return hashing.digest_items(data, offsets, prefix) if done is None else done


def digest_rows(rows: Ring, places: Ring, codes: Ring, mask: Ring) -> Ring:
    """The first 16 bytes of SHA-256((rows[p] ^ (codes[i] & mask)) || p) with p = places[i, j], two words: (n, h, 2).

    ``rows`` (m, w), ``places`` (n, h) with values below m, ``codes`` (n, w), ``mask`` (w,).
    """
    given = {"rows": rows, "places": places, "codes": codes}
    rows, places, codes = (_ring("digest_rows", name, a, 2) for name, a in given.items())
    mask = _ring("digest_rows", "mask", mask, 1)
    if places.shape[0] != codes.shape[0] or not rows.shape[1] == codes.shape[1] == mask.size:
        came = ", ".join(str(a.shape) for a in (rows, places, codes, mask))
        raise ShapeError(f"digest_rows: expected (m, w), (n, h), (n, w) and (w,), came {came}")
    if places.size and int(places.max()) >= rows.shape[0]:
        raise UsageError(f"digest_rows: places must be below {rows.shape[0]}, came {int(places.max())}")
    done = None if _native is None else _native.digest_rows(rows, places, codes, mask)
    return hashing.digest_rows(rows, places, codes, mask) if done is None else done


def cuckoo(bins: Ring, size: int) -> Ring:
    """Items into ``size`` bins, one at most in each, each in one of its three (n, 3): the item of each bin, or n.

    Items for which there is no room, however the others move, are left out.
    """
    bins = _ring("cuckoo", "bins", bins, 2)
    _need_count("cuckoo", "size", size, 1, None)
    if bins.shape[1] != 3:
        raise ShapeError(f"cuckoo: each item has three bins, came shape {bins.shape}")
    if bins.size and int(bins.max()) >= size:
        raise UsageError(f"cuckoo: bins must be below {size}, came {int(bins.max())}")
    done = None if _native is None else _native.cuckoo(bins, size)
    return hashing.cuckoo(bins, size) if done is None else done


def words(n: int) -> int:
    """Words of one bit plane of n values."""
    return -(-n // 64)


def packed_bytes(n: int, k: int) -> int:
    """Bytes of n values of k bits each in a dense stream."""
    return -(-n * k // 8)


def keep_freed_memory() -> None:
    """Ask the allocator to keep freed blocks of any size for the next array instead of returning them to the system.

    Page faults on fresh memory cost more than the arithmetic done in it. For processes that compute, not for libraries:
    the process keeps its peak size. Does nothing in the pure build and where the allocator is not glibc's.
    """
    if _native is not None:
        _native.keep_freed_memory()


# ---------------------------------------------------------------- calls that the native code did not take at once


def _elementwise(kernel: str, given: Mapping[str, Any], out: Ring | None) -> Ring:
    arrays = {name: _ring(kernel, name, a) for name, a in given.items()}
    _need_same(kernel, arrays)
    first = next(iter(given.values()))
    return _compute(np.uint64, kernel, tuple(arrays.values()), np.shape(first), out)


def _compute(
    dtype: type[_Item],
    kernel: str,
    call: tuple[Any, ...],
    shape: tuple[int, ...],
    out: npt.NDArray[_Item] | None = None,
    threads: int = 1,
) -> npt.NDArray[_Item]:
    """Run ``kernel`` on arguments that are now in order, and copy to ``out``, which may have any strides or overlap."""
    if out is not None:
        _need_target(kernel, out, shape, dtype)
    done: npt.NDArray[_Item] | None = None
    if _native is not None:
        native = getattr(_native, kernel)
        done = native(*call, None, threads) if threads > 1 else native(*call)
    if done is None:
        with np.errstate(over="ignore"):  # wrap-around is meant; NumPy warns of it in arrays without dimensions
            done = getattr(reference, kernel)(*call)
    if out is None:
        return np.asarray(done)  # the reference gives a scalar for arrays without dimensions
    out[...] = done
    return out


def _ring(kernel: str, name: str, a: Any, ndim: int | None = None, strided: bool = False) -> Ring:
    return _array(np.uint64, kernel, name, a, ndim, strided)


def _array(
    dtype: type[_Item], kernel: str, name: str, a: Any, ndim: int | None, strided: bool = False
) -> npt.NDArray[_Item]:
    """``a`` if it has the type and dimensions, aligned and (unless ``strided``) contiguous; else a copy that is."""
    if not isinstance(a, np.ndarray) or a.dtype != dtype:
        came = f"an array of {a.dtype}" if isinstance(a, np.ndarray) else type(a).__name__
        raise UsageError(f"{kernel}: {name} must be an array of {np.dtype(dtype)}, came {came}")
    if ndim is not None and a.ndim != ndim:
        raise ShapeError(f"{kernel}: {name} must have {ndim} dimension(s), came shape {a.shape}")
    return np.require(a, requirements=["A"] if strided else ["C", "A"])


def _need_same(kernel: str, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    shapes = {name: a.shape for name, a in arrays.items()}
    if len(set(shapes.values())) > 1:
        came = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise ShapeError(f"{kernel}: all arrays must have one shape, came {came}; broadcast them first")


def _need_product(kernel: str, x: npt.NDArray[Any], y: npt.NDArray[Any]) -> None:
    if x.shape[1] != y.shape[0]:
        raise ShapeError(f"{kernel}: columns of the left must equal rows of the right, came {x.shape} @ {y.shape}")


def _need_count(kernel: str, name: str, value: Any, low: int, high: int | None) -> None:
    if not isinstance(value, (int, np.integer)) or isinstance(value, bool):
        raise UsageError(f"{kernel}: {name} must be an int, came {type(value).__name__}")
    if value < low or (high is not None and value > high):
        limit = f"at least {low}" if high is None else f"between {low} and {high}"
        raise UsageError(f"{kernel}: {name} must be {limit}, came {value}")


def _need_digits(kernel: str, planes: npt.NDArray[Any], bits: Any) -> None:
    _need_count(kernel, "bits", bits, 1, 8)
    if len(planes) % bits:
        raise ShapeError(f"{kernel}: digits of {bits} bits need a multiple of {bits} planes, came {len(planes)}")


def _need_target(kernel: str, out: Any, shape: tuple[int, ...], dtype: Any) -> None:
    if not isinstance(out, np.ndarray) or out.dtype != dtype:
        came = f"an array of {out.dtype}" if isinstance(out, np.ndarray) else type(out).__name__
        raise UsageError(f"{kernel}: out must be an array of {np.dtype(dtype)}, came {came}")
    if out.shape != shape:
        raise ShapeError(f"{kernel}: out must have shape {shape}, came {out.shape}")
    if not out.flags.writeable:
        raise UsageError(f"{kernel}: out is read-only; pass a writeable array or none")
