"""Numbers that meet secrets come from operations that give the same bits on every machine: read from the syntax trees.

``ring/exact.py`` says which do not. What is listed here is computed with opened values, with an owner's own data or for
a report, and is never combined with shares.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.syntax import tree

PACKAGE = Path(__file__).parent.parent / "src" / "privity"
# Programs of users, or what looks on: their numbers are agreed on, or never meet secrets.
ASIDE = {
    "demo": "data, and results beside those of other libraries", "bench": "made-up data and measurements",
    "testing": "the kit for tests", "cli": "text", "debug": "what a run costs and where values lie, told at one party",
}  # fmt: skip
LIBRARIES = {"np", "numpy", "math", "scipy", "special"}
INEXACT = {
    "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "logaddexp", "logaddexp2", "power", "float_power",
    "pow", "cbrt", "sin", "cos", "tan", "asin", "acos", "atan", "atan2", "arcsin", "arccos", "arctan",
    "arctan2", "sinh", "cosh", "tanh", "hypot", "erf", "erfc", "gamma", "lgamma", "sinc", "dist", "sum",
    "nansum", "mean", "nanmean", "average", "var", "std", "cov", "corrcoef", "dot", "vdot", "inner", "matmul",
    "tensordot", "einsum", "convolve", "correlate", "trapezoid", "interp", "polyfit", "polyval", "roots",
    "median", "quantile", "percentile", "logspace", "geomspace", "qr", "svd", "eig", "eigh", "eigvals",
    "eigvalsh", "solve", "inv", "pinv", "lstsq", "cholesky", "det", "norm", "expit", "logit", "softmax",
    "argsort",
}  # fmt: skip
DRAWS = {
    "normal", "standard_normal", "exponential", "standard_exponential", "gamma", "beta", "lognormal", "poisson",
    "binomial", "multivariate_normal", "laplace", "logistic", "gumbel", "chisquare", "dirichlet", "geometric",
}  # fmt: skip
ALLOWED = {
    ("data.tables", "log1p"): "an owner's own cells, before they are shared",
    ("data.thresholds", "quantile"): "an owner's own columns; what leaves it are codes, as inputs",
    ("jobs.view", "erfc"): "a test of the bytes that a party received",
    ("ml.conformance", "argsort"): "order of made-up rows",
    ("ml.conformance", "mean"): "how many answers are right, opened",
    ("ml.inference", "erfc"): "p values of opened coefficients",
    ("ml.inference", "exp"): "ratios of opened coefficients",
    ("ml.opened", "exp"): "an opened model's answers",
    ("ml.samples", "exp"): "made-up rows",
    ("ml.samples", "sin"): "made-up rows",
    ("ml.trees.bins", "argsort"): "whole numbers without ties",
    ("ml.trees.export", "exp"): "opened trees",
    ("psi.items", "argsort"): "an owner's own items; ties are in one place whatever their order",
    ("ring.layout", "einsum"): "ring integers",
    ("ring.layout", "sum"): "ring integers",
    ("ring.order", "argsort"): "random words, drawn again on a tie",
    ("ring.order", "einsum"): "ring integers",
    ("ring.reference", "matmul"): "ring integers",
    ("ring.reference", "sum"): "ring integers",
    ("functions.nearest", "argsort"): "whole numbers without ties",
    ("stats.pvalues", "erfc"): "p values of opened statistics",
    ("stats.survival", "exp"): "intervals of opened curves",
    ("stats.survival", "log"): "intervals of opened curves",
}
POWERS = {
    "jobs.view": "a test of the bytes that a party received", "ml.trees.compact": "opened trees",
    "stats.survival": "intervals of opened curves",
    "functions.nullable": "the operator, which reaches that of secret arrays",
    "functions.order": "whole numbers",
    "stats.compare": "whole numbers: the number of rows",
    
    
}  # fmt: skip


def module(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")


def found(top: ast.AST) -> Iterator[tuple[int, str]]:
    """(line, name) of calls of inexact functions and unstable sorts; name "**" of powers but those of two."""
    for node in ast.walk(top):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            name, of = node.func.attr, node.func.value
            while isinstance(of, ast.Attribute):
                of = of.value
            library = isinstance(of, ast.Name) and of.id in LIBRARIES
            stable = any(k.arg == "kind" for k in node.keywords)
            ours = isinstance(of, ast.Name) and of.id in {"exact", "library", "random", "units"}
            if name == "argsort":
                wrong = not stable and (library or isinstance(of, ast.Call))
            else:
                wrong = (library and name in INEXACT) or (name in DRAWS and not ours)
            if wrong:
                yield node.lineno, name
        elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow) and not _exact_power(node):
            yield node.lineno, "**"


def _exact_power(node: ast.BinOp) -> bool:
    """2 (or 2.0) to a whole number; whole numbers to a whole number."""
    both = [n.value for n in (node.left, node.right) if isinstance(n, ast.Constant)]
    if len(both) == 2 and all(isinstance(v, int) for v in both):
        return True
    halves = any(
        isinstance(n, ast.Div) or (isinstance(n, ast.Constant) and isinstance(n.value, float) and n.value % 1)
        for n in ast.walk(node.right)
    )
    return isinstance(node.left, ast.Constant) and node.left.value in (2, 2.0) and not halves


MODULES = [
    p for p in sorted(PACKAGE.rglob("*.py")) if module(p).split(".")[0] not in ASIDE and module(p) != "ring.exact"
]


@pytest.mark.parametrize("path", MODULES, ids=module)
def test_public_numbers_are_exact(path: Path) -> None:
    for line, name in found(tree(path)):
        known = POWERS.get(module(path)) if name == "**" else ALLOWED.get((module(path), name))
        assert known, (
            f"{path.relative_to(PACKAGE)}:{line}: {name} gives other last digits on other machines. Use ring/exact.py, "
            "or whole numbers; if the result never meets a secret, list it here and say why"
        )


def test_no_exception_is_stale() -> None:
    seen = {(module(p), name) for p in MODULES for _, name in found(tree(p))}
    assert {key for key in ALLOWED if key not in seen} == set()
    assert {key for key in POWERS if (key, "**") not in seen} == set()


KINDS = """
np.exp(x); math.log2(n); np.linalg.qr(x); x.bound**2; 2.0 ** (k / 2); np.argsort(x); f(x).argsort(axis=1); np.sum(x);
generator.normal(size=3); np.random.default_rng(1).normal(); ratio ** (2 - p); 10.0**n; x**0.5
"""


@pytest.mark.parametrize("text", [text.strip() for text in KINDS.split(";")])
def test_each_kind_is_found(text: str) -> None:
    assert list(found(ast.parse(text)))


@pytest.mark.parametrize(
    "text", ["2.0**-k", "2 ** (a - b)", "np.argsort(x, kind='stable')", "exact.exp(x)", "2**255 - 19"]
)
def test_what_is_exact_passes(text: str) -> None:
    assert not list(found(ast.parse(text)))
