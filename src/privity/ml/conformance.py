"""The contract of estimators as checks, in the spirit of scikit-learn's ``check_estimator``.

    check_estimator(LinearSVC(alpha=0.1))

runs the estimator on small made-up data in simulations and raises AssertionError, naming the check and what was found,
where it does not keep the contract: parameters, refusals, row masks, sample weights, order of columns, tables and
arrays, and what is opened or shown. What two fits learnt is compared by coefficients, and where there are none by what
they answer for the same rows. For estimators of your own: subclass ``Estimator``, then call this in a test.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import numpy as np

from ..array import SecureArray
from ..errors import PrivityError, RangeViolated, ShapeError, UsageError
from ..inputs import Input
from ..openings import RANGE_GUARD
from ..session import Session
from ..simulation import Simulation, simulate
from ..table import Field, Table, TableInfo, table_inputs
from .estimator import Estimator
from .opened import KINDS
from .samples import BOUND, CODES, COLUMNS, LARGEST, NO_TARGET, OWNER, ROWS, Columns, Floats, Sample, sample

_TARGETS: Final = {
    "identity": "number", "log": "count", "logistic": "binary", "margin": "binary", "softmax": "classes",
    "hazard": "survival",
}  # fmt: skip
_LEARNT: Final = ("coef_", "intercept_", "standard_errors_")
_ANSWERS: Final = ("decision_function", "predict_proba", "score_samples", "transform", "predict")
_SPARE = 5  # rows of padding in a table
_TABLE = "sample"

Answers = Literal["all rows", "rows that count"]
"""For which rows of a table a model answers as for the same rows of an array."""


@dataclass(frozen=True)
class _Trial:
    """One estimator under test."""

    model: Estimator
    target: str
    tolerance: float
    columns: Columns = "numbers"
    alike: Answers = "all rows"
    known: dict[str, dict[str, Floats]] = field(default_factory=dict)

    def plain(self) -> dict[str, Floats]:
        """What it learns from the sample as it is: fitted once for all checks."""
        if not self.known:
            self.known["plain"] = self.learnt(self.sample())
        return dict(self.known["plain"])

    def sample(self, rows: int = ROWS, shift: int = 0) -> Sample:
        return sample(self.target, rows, shift, self.columns)

    def takes(self, name: str) -> bool:
        """Whether ``fit`` has such an argument."""
        return name in inspect.signature(type(self.model).fit).parameters  # type: ignore[attr-defined]

    @property
    def answers(self) -> list[str]:
        """Names of its methods that answer for rows, the finest first."""
        return [name for name in _ANSWERS if hasattr(self.model, name)]

    def given(self, x: Any, y: Any, **options: Any) -> dict[str, Any]:
        """Arguments of ``fit``, ``y`` only where there is a target."""
        return {"x": x, **({} if self.target == NO_TARGET else {"y": y}), **options}

    def clone(self) -> Any:
        return self.model.clone()

    def fail(self, what: str) -> None:
        raise AssertionError(f"{type(self.model).__name__}: {what}")

    def fit(self, model: Any, s: Session, **options: Any) -> Any:
        """``fit`` on the arrays of a sample."""
        return model.fit(**self.given(s.secret("x", OWNER), s.secret("y", OWNER), **self.durations(s), **options))

    def durations(self, s: Session) -> dict[str, Any]:
        return {"duration": s.secret("duration", OWNER)} if self.target == "survival" else {}

    def learnt(self, data: Sample, masks: Sequence[str] = (), **arrays: Any) -> dict[str, Floats]:
        """What a fresh clone learns, opened; ``masks``: names of ``arrays`` that ``fit`` is given. ``asked``, the rows
        for which it answers: those of the sample unless they are among ``arrays``.
        """

        def program(s: Session) -> dict[str, Any]:
            given = {name: s.secret(name, OWNER) for name in masks}
            return self.opened(s, self.fit(self.model.clone(), s, **given), s.secret("asked", OWNER))

        result: dict[str, Floats] = simulate(program, inputs=data.inputs(**{"asked": self.sample().x} | arrays)).output
        return result

    def opened(self, s: Session, model: Any, asked: SecureArray | Table) -> dict[str, Any]:
        """What can be compared of a fitted model: its coefficients, else its answers for the rows ``asked``."""
        found = {n: v for n in _LEARNT if isinstance(v := getattr(model, n, None), SecureArray)}
        if not found and self.answers:
            found = {self.answers[0]: getattr(model, self.answers[0])(asked)}
        return {n: np.asarray(s.reveal(v, to="all", name=n, reason="conformance")) for n, v in found.items()}

    def same(self, what: str, one: dict[str, Floats], other: dict[str, Floats]) -> None:
        for name, value in one.items():
            size = max(1.0, float(np.abs(value).max(initial=0.0)))
            gap = float(np.abs(value - other[name]).max(initial=0.0))
            if not gap <= self.tolerance * size:
                self.fail(f"{what}: {name} differs by {gap:.2g}, at most {self.tolerance * size:.2g} is expected")


def check_estimator(
    estimator: Estimator,
    *,
    target: str | None = None,
    tolerance: float = 2e-3,
    columns: Columns = "numbers",
    alike: Answers = "all rows",
    skip: Sequence[str] = (),
) -> tuple[str, ...]:
    """Run all checks on an estimator whose ``fit`` takes x, y, valid and sample_weight; returns their names.

    ``target``: kind of target (see ``sample``), None: by the estimator's name; "none": ``fit`` learns from x alone.
    ``columns``: "counts" or "codes" for whole numbers (see ``samples``). ``tolerance``: on what is learnt, in
    units of the largest element or 1. ``alike``: "rows that count" for a model that knows a table's padding and so
    answers otherwise there than for an array, which means nothing. ``skip``: names of checks that do not apply; say
    why where you skip one. A
    ``fit`` without ``sample_weight`` is not checked for weights. Raises AssertionError, and UsageError for an unknown
    name.
    """
    unknown = set(skip) - set(CHECKS)
    if unknown:
        raise UsageError(f"check_estimator: unknown checks {sorted(unknown)}; there are {', '.join(CHECKS)}")
    if target is None:
        kind = KINDS.get(type(estimator).__name__)
        if kind is None:
            raise UsageError(f"check_estimator: say with target= what {type(estimator).__name__} predicts")
        target = _TARGETS[kind]
    trial = _Trial(estimator, target, tolerance, columns, alike)
    done = tuple(name for name in CHECKS if name not in skip)
    for name in done:
        CHECKS[name](trial)
    return done


def check_parameters(estimator: Estimator) -> None:
    """The constructor only stores its arguments; get_params, set_params, clone and repr agree with it."""
    trial = _Trial(estimator, "number", 0.0)
    kind = type(estimator)
    values = estimator.get_params(deep=False)
    if set(values) != set(kind.parameter_names()):
        trial.fail(f"get_params() names {sorted(values)}, the constructor {sorted(kind.parameter_names())}")
    made = kind(**values)
    changed = [n for n, v in values.items() if getattr(made, n) is not v]
    if changed:
        trial.fail(f"the constructor changes {', '.join(changed)}; it must store its arguments as they are")
    extra = set(vars(made)) - set(values)
    if extra:
        trial.fail(f"the constructor sets {', '.join(sorted(extra))}, which are no parameters")
    twin = estimator.clone()
    if twin is estimator or type(twin) is not kind or repr(twin) != repr(estimator):
        trial.fail("clone() must give another estimator with the same parameters")
    if estimator.set_params(**values) is not estimator:
        trial.fail("set_params() must return the estimator")
    try:
        estimator.set_params(no_such_parameter=1)
    except UsageError:
        return
    trial.fail("set_params() must refuse a parameter that the constructor does not have (UsageError)")


# -- checks -------------------------------------------------------------------------------------------------------


def _parameters(trial: _Trial) -> None:
    check_parameters(trial.model)


def _fit_returns_self(trial: _Trial) -> None:
    def program(s: Session) -> None:
        model = trial.clone()
        before = dict(model.get_params(deep=False))
        if trial.fit(model, s) is not model:
            trial.fail("fit must return the estimator")
        if any(model.get_params(deep=False)[n] is not v for n, v in before.items()):
            trial.fail("fit must not change parameters")
        odd = [n for n in vars(model) if n not in before and not (n.endswith("_") or n.startswith("_"))]
        if odd or not any(n.endswith("_") for n in vars(model)):
            trial.fail(f"what fit learns must end in an underscore; found {odd or 'nothing'}")

    simulate(program, inputs=trial.sample().inputs())


def _not_fitted(trial: _Trial) -> None:
    def program(s: Session) -> None:
        for name in trial.answers:
            _refused(trial, f"{name} before fit", UsageError, getattr(trial.clone(), name), s.constant([[0.0]]))

    simulate(program)


def _wrong_input(trial: _Trial) -> None:
    """Each wrong call raises before anything is sent, at all parties alike."""

    def program(s: Session) -> None:
        x, y, more = s.secret("x", OWNER), s.secret("y", OWNER), trial.durations(s)

        def expect(what: str, error: type[Exception], **given: Any) -> None:
            _refused(trial, what, error, trial.clone().fit, **{**more, **given})

        expect("x of one dimension", ShapeError, **trial.given(x[:, 0], y))
        expect("no rows", ShapeError, **trial.given(x[:0], y[:0]), **{n: v[:0] for n, v in more.items()})
        expect("no columns", ShapeError, **trial.given(x[:, :0], y))
        mask = s.constant(np.ones(ROWS - 1, np.int64))
        expect("a mask of another length", ShapeError, **trial.given(x, y, valid=mask))
        if trial.target != NO_TARGET:
            expect("fewer targets than rows", ShapeError, x=x, y=y[:-1])
            expect("targets of two dimensions", ShapeError, x=x, y=y.reshape((-1, 1)))
            expect("no target", UsageError, x=x)
            expect("a target by name without a table", UsageError, x=x, y="y")
        if trial.takes("sample_weight"):
            expect("weights of another length", PrivityError, **trial.given(x, y, sample_weight=np.ones(ROWS - 1)))
            expect("public negative weights", UsageError, **trial.given(x, y, sample_weight=-np.ones(ROWS)))

    simulate(program, inputs=trial.sample().inputs())


def _refused(trial: _Trial, what: str, error: type[Exception], call: Any, *given: Any, **options: Any) -> None:
    try:
        call(*given, **options)
    except error:
        return
    except Exception as other:
        trial.fail(f"{what} must raise {error.__name__}, not {type(other).__name__}: {other}")
    trial.fail(f"{what} must raise {error.__name__}, nothing was raised")


def _negative_weights(trial: _Trial) -> None:
    if not trial.takes("sample_weight"):
        return
    weights = np.ones(ROWS)
    weights[5] = -1.0
    try:
        trial.learnt(trial.sample(), ["sample_weight"], sample_weight=Input(weights, bound=2.0))
    except RangeViolated:
        return
    trial.fail("a secret negative weight must raise RangeViolated")


def _flags(trial: _Trial) -> None:
    """Masks and, where the target is one of two, labels that are not 0 and 1 are found, and named."""
    data = trial.sample()
    for wrong in (2, -1, 0.5):
        mask = np.ones(ROWS, type(wrong))
        mask[5] = wrong
        _named(trial, f"a row mask with {wrong}", "valid", ["valid"], valid=Input(mask, bound=max(1.0, wrong)))
    if trial.target in ("binary", "survival"):
        _named(trial, "labels of -1 and 1", "y", [], y=Input(2 * data.y - 1, bound=1.0))


def _named(trial: _Trial, what: str, argument: str, masks: Sequence[str], **arrays: Any) -> None:
    try:
        trial.learnt(trial.sample(), masks, **arrays)
    except RangeViolated as error:
        if f": {argument} holds " not in str(error):
            trial.fail(f"{what}: the error must name {argument}, came: {error}")
        return
    trial.fail(f"{what} must raise RangeViolated")


def _padding(trial: _Trial) -> None:
    more = trial.sample(ROWS + 9)
    order = np.argsort(
        (np.arange(ROWS + 9) * 7) % (ROWS + 9)
    )  # padding rows among the others, with values of their own
    mixed = more.rows(order)
    masked = trial.learnt(mixed, ["valid"], valid=(order < ROWS).astype(np.int64))
    trial.same("rows that are not valid must change nothing", trial.plain(), masked)


def _weights(trial: _Trial) -> None:
    if not trial.takes("sample_weight"):
        return
    data = trial.sample()
    times = np.where(np.arange(ROWS) % 3 == 0, 2, np.where(np.arange(ROWS) % 7 == 1, 0, 1))
    repeated = trial.learnt(data.rows(np.repeat(np.arange(ROWS), times)))
    weighted = trial.learnt(data, ["sample_weight"], sample_weight=Input(times.astype(np.float64), bound=4.0))
    trial.same("a weight of 2 must count as the row twice, of 0 as no row", repeated, weighted)


def _columns(trial: _Trial) -> None:
    data = trial.sample()
    order = np.array([2, 0, 1])
    plain = trial.plain()
    moved = trial.learnt(Sample(data.x[:, order], data.y, data.duration), asked=data.x[:, order])
    for name in ("coef_", "standard_errors_"):
        if name in plain:
            index = np.append(order, np.arange(COLUMNS, plain[name].shape[-1]))
            plain[name] = plain[name][..., index]
    trial.same("columns in another order must give the same weights or answers", plain, moved)


def _table(trial: _Trial) -> None:
    """On a table with padding rows and on the arrays that it holds."""
    data = trial.sample()
    survival = data.duration is not None
    names = tuple(f"c{i}" for i in range(COLUMNS))
    fields = [Field(n, "number", BOUND, BOUND) for n in names]
    if trial.columns == "counts":
        fields = [Field(n, "integer", BOUND, CODES - 1.0) for n in names]
    elif trial.columns == "codes":
        fields = [Field(n, "category", categories=tuple(f"v{k}" for k in range(CODES))) for n in names]
    features: Floats = data.x.astype(np.float64)
    if data.duration is not None:
        fields.append(Field("duration", "number", LARGEST, LARGEST))
        features = np.column_stack([data.x, data.duration])
    whole = data.y.dtype.kind == "i"
    label = Field("y", "integer", 1.0, LARGEST) if whole else Field("y", "number", LARGEST, LARGEST)
    info = TableInfo(_TABLE, tuple(fields), label, ROWS + _SPARE)

    def program(s: Session) -> tuple[dict[str, Any], dict[str, Any]]:
        table = s.table(_TABLE)
        one, other = trial.clone(), trial.clone()
        one.fit(table, **({"duration": "duration"} if survival else {}))
        if tuple(one.names_)[:COLUMNS] != names:
            trial.fail(f"names_ must be those of the table's columns, found {one.names_}")
        more = {"duration": table["duration"]} if survival else {}
        x = table.matrix(names) if trial.columns != "codes" else table.block(names)
        other.fit(**trial.given(x, table["y"], valid=table.valid, **more))
        return trial.opened(s, one, table), trial.opened(s, other, x)

    inputs = {OWNER: table_inputs(info, features, data.y.astype(np.float64))}
    one, other = simulate(program, inputs=inputs, tables={_TABLE: info}).output
    if trial.alike == "rows that count":
        answers = trial.answers[0]
        one, other = ({n: v[:ROWS] if n == answers else v for n, v in found.items()} for found in (one, other))
    trial.same("a table must give what its arrays give", other, one)


def _run(trial: _Trial, data: Sample) -> tuple[Simulation, Any]:
    models: list[Any] = []

    def program(s: Session) -> dict[str, str]:
        model = trial.fit(trial.clone(), s)
        if s.me == s.compute[0]:
            models.append(model)
        return {n: repr(v) for n, v in vars(model).items()} | {"": repr(model)}

    return simulate(program, inputs=data.inputs()), models[0]


def _opens_nothing(trial: _Trial) -> None:
    """Besides 'range ok', nothing; and neither text nor traffic depends on the data."""
    one, model = _run(trial, trial.sample())
    other, _ = _run(trial, trial.sample(shift=1000))
    names = {line["name"] for line in one.opened}
    if names - {RANGE_GUARD}:
        trial.fail(f"fit must open nothing but {RANGE_GUARD!r}, it opened {', '.join(sorted(names - {RANGE_GUARD}))}")
    if (one.rounds, one.payload_sent) != (other.rounds, other.payload_sent):
        trial.fail("rounds and bytes must depend on shapes only")
    shown = [n for n, text in one.output.items() if n.startswith("_") is False and text != other.output[n]]
    if shown:
        trial.fail(f"the text of {', '.join(n or 'the estimator' for n in shown)} depends on the data")
    for secret in (v for v in vars(model).values() if isinstance(v, SecureArray)):
        try:
            np.asarray(secret)
        except UsageError:
            continue
        trial.fail("what is learnt must stay secret")


def _predicts(trial: _Trial) -> None:
    def program(s: Session) -> dict[str, Any]:
        model = trial.fit(trial.clone(), s)
        x = s.secret("x", OWNER)
        given = {n: getattr(model, n)(x) for n in trial.answers}
        if any(not isinstance(v, SecureArray) or v.shape[:1] != (ROWS,) for v in given.values()):
            trial.fail("predictions must be secret arrays with a row for each row")
        if trial.answers and trial.answers[0] != "predict":
            _refused(trial, "x with other columns", ShapeError, getattr(model, trial.answers[0]), x[:, 1:])
        return {n: np.asarray(s.reveal(v, to="all", name=n, reason="conformance")) for n, v in given.items()}

    got = simulate(program, inputs=trial.sample().inputs()).output
    if not got or not all(np.isfinite(v.astype(np.float64)).all() for v in got.values()):
        trial.fail("expected predict with finite values")
    if trial.target in ("binary", "classes"):
        right = float(np.mean(got["predict"].astype(np.int64) == trial.sample().y))
        if right < 0.6:
            trial.fail(f"only {right:.0%} of its own training rows are predicted right")


CHECKS: Final[dict[str, Callable[[_Trial], None]]] = {
    "parameters": _parameters,
    "fit returns self": _fit_returns_self,
    "not fitted": _not_fitted,
    "wrong input": _wrong_input,
    "negative weights": _negative_weights,
    "flags": _flags,
    "padding": _padding,
    "weights": _weights,
    "columns": _columns,
    "table": _table,
    "opens nothing": _opens_nothing,
    "predicts": _predicts,
}
"""The checks by name, in the order in which they run."""
