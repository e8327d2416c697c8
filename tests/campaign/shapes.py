"""What only moves, joins or repeats elements, beside NumPy: exact."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import privity as pv

from .case import ULP, Case, enter, exact
from .columns import Draw, shared
from .elementwise import TABLE, words_for

HERE = exact("docs/numpy.md")
FORMS: tuple[tuple[int, ...], ...] = ((6,), (1,), (4, 6), (2, 6), (2, 4, 6), (1, 1), (12, 2))


def moved(name: str, call: Callable[[Any, Any], Any], dimensions: tuple[int, ...] = (1, 2, 3), *covers: str) -> None:
    """``call(f, x)`` uses the function f on x, whose dimensions are among those given."""
    calls = words_for(name) if not covers else {c: words_for(c.split(".", 1)[1])[c] for c in covers}

    def make(draw: Draw) -> Case:
        called = draw.one(*calls)
        shape = draw.one(*[f for f in FORMS if len(f) in dimensions])
        c = draw.column(int(np.prod(shape)), bounded=2.0**40)
        x = shared(c.values).reshape(shape)
        plain = calls[called] if called.startswith("np.") else calls.get(f"np.{name}")
        return Case(
            lambda s, v: call(calls[called], v["x"]),
            lambda: call(plain, x),
            HERE,
            {"x": pv.Input(x, c.bound + ULP)},
            whole=("x",),
            note=f"{called}{shape}: {c.note}",
            words=(name.split(".")[-1],),
        )

    enter(f"{'np' if name in TABLE else 'pv'}.{name}", "functions", make, list(calls))


for _name, _call, _dimensions in (
    ("broadcast_to", lambda f, x: f(x, (3, *x.shape)), (1, 2)),
    ("delete", lambda f, x: f(x, 0, axis=-1), (1, 2, 3)),
    ("diag", lambda f, x: f(x), (1, 2)),
    ("diagflat", lambda f, x: f(x), (1,)),
    ("diagonal", lambda f, x: f(x), (2,)),
    ("expand_dims", lambda f, x: f(x, 0), (1, 2)),
    ("flip", lambda f, x: f(x), (1, 2, 3)),
    ("fliplr", lambda f, x: f(x), (2, 3)),
    ("flipud", lambda f, x: f(x), (1, 2)),
    ("moveaxis", lambda f, x: f(x, 0, -1), (2, 3)),
    ("ravel", lambda f, x: f(x), (1, 2, 3)),
    ("repeat", lambda f, x: f(x, 2, axis=0), (1, 2)),
    ("resize", lambda f, x: f(x, (5,)), (1, 2)),
    ("roll", lambda f, x: f(x, 1), (1, 2)),
    ("rollaxis", lambda f, x: f(x, -1), (2, 3)),
    ("rot90", lambda f, x: f(x), (2, 3)),
    ("squeeze", lambda f, x: f(x), (1, 2)),
    ("swapaxes", lambda f, x: f(x, 0, -1), (2, 3)),
    ("take", lambda f, x: f(x, [0, -1], axis=0), (1, 2)),
    ("take_along_axis", lambda f, x: f(x, np.zeros((1,) * x.ndim, np.int64), -1), (1,)),
    ("tile", lambda f, x: f(x, 2), (1, 2)),
    ("transpose", lambda f, x: f(x), (1, 2, 3)),
    ("tril", lambda f, x: f(x), (2, 3)),
    ("triu", lambda f, x: f(x), (2, 3)),
    ("trace", lambda f, x: f(x), (2,)),
    ("reshape", lambda f, x: f(x, (-1, 1)), (1, 2)),
    ("compress", lambda f, x: f([True, False], x, axis=0), (2,)),
    ("extract", lambda f, x: f(np.arange(x.size) % 2 == 0, x), (1,)),
    ("pad", lambda f, x: f(x, 1, mode="reflect") if min(x.shape) > 1 else f(x, 1), (1, 2)),
    ("concatenate", lambda f, x: f([x, x]), (1, 2)),
    ("stack", lambda f, x: f([x, x]), (1, 2)),
    ("vstack", lambda f, x: f([x, x]), (1, 2)),
    ("hstack", lambda f, x: f([x, x]), (1, 2)),
    ("dstack", lambda f, x: f([x, x]), (1, 2)),
    ("column_stack", lambda f, x: f([x, x]), (1, 2)),
    ("append", lambda f, x: f(x, x), (1, 2)),
    ("block", lambda f, x: f([[x, x]]), (2,)),
    ("array_split", lambda f, x: f(x, 2), (1, 2)),
    ("split", lambda f, x: f(x, 2), (2,)),
    ("hsplit", lambda f, x: f(x, 2), (2,)),
    ("vsplit", lambda f, x: f(x, [1]), (2, 3)),
    ("dsplit", lambda f, x: f(x, 2), (3,)),
    ("unstack", lambda f, x: f(x), (2, 3)),
    ("atleast_1d", lambda f, x: f(x), (1, 2)),
    ("atleast_2d", lambda f, x: f(x), (1, 2)),
    ("atleast_3d", lambda f, x: f(x), (1, 2, 3)),
    ("broadcast_arrays", lambda f, x: f(x, x[:1]), (1, 2)),
    ("full_like", lambda f, x: f(x, 2.5), (1, 2)),
    ("shape", lambda f, x: np.asarray(f(x)), (1, 2, 3)),
    ("ndim", lambda f, x: f(x), (1, 2, 3)),
    ("size", lambda f, x: f(x), (1, 2, 3)),
    ("fft.fftshift", lambda f, x: f(x), (1, 2)),
    ("fft.ifftshift", lambda f, x: f(x), (1, 2)),
    ("matrix_transpose", lambda f, x: f(x), (2, 3)),
    ("linalg.matrix_transpose", lambda f, x: f(x), (2, 3)),
    ("linalg.diagonal", lambda f, x: f(x), (2, 3)),
    ("linalg.trace", lambda f, x: f(x), (2, 3)),
):
    if _name in ("split", "hsplit", "dsplit"):  # two equal parts: the forms with an even number there
        axis = {"split": 0, "hsplit": 1, "dsplit": 2}[_name]

        def _parts(f: Any, x: Any, axis: int = axis) -> Any:
            return f(x, 2 if x.shape[axis] % 2 == 0 else 1)

        moved(_name, _parts, _dimensions)
    else:
        moved(_name, _call, _dimensions)


def _text(draw: Draw) -> Case:
    """What is printed tells shape and kind, never a value."""
    c = draw.column(draw.rows(), bounded=2.0**40)
    call = draw.one(np.array_repr, np.array_str, np.array2string, repr, str, lambda x: f"{x}")

    def check(got: Any) -> str:
        shown = [f"{v:.4g}" for v in np.atleast_1d(c.values) if abs(v) > 100]
        return "" if "SecureArray" in got and not any(v in got for v in shown) else f"prints {got!r}"

    return Case(lambda s, v: call(v["x"]), check=check, arrays={"x": c.input()}, note=c.note)


enter("np.array_repr", "functions", _text, ["np.array_repr", "np.array_str", "np.array2string"])
