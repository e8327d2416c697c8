"""Models are saved as shares and loaded by the parties that saved them, and by nobody else."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

import privity as pv
from privity.errors import ConfigError, HandshakeError, OutputError, PrivityError, UsageError
from privity.ml import saving
from privity.ml.estimator import Estimator
from privity.ml.multinomial import MultinomialLogisticRegression
from privity.ml.saving import ENDING, kind_name, kinds, load, save
from privity.ml.svm import LinearSVC
from privity.mpc.plain import InsecurePlain

RNG = np.random.default_rng(3)
X = RNG.normal(size=(60, 3))
Y = (X @ [1.0, -1.0, 0.5] > 0).astype(np.int64)
COMPUTE = ("compute_0", "compute_1", "compute_2")
DATA = {"owner": {"x": X, "y": Y}}


def saved(folder: Path, name: str = "model", to: Any = None, **more: Any) -> pv.Simulation:
    def program(s: pv.Session) -> tuple[str, Any]:
        model = LinearSVC(alpha=0.05, max_iter=5).fit(s.secret("x", "owner"), s.secret("y", "owner"))
        return save(model, s, name, to=to), s.reveal(model.coefficients_, to="all", name="coef", reason="test")

    return pv.simulate(program, inputs=DATA, store=folder, **more)


def loaded(folder: Path, name: str = "model", **more: Any) -> pv.Simulation:
    def program(s: pv.Session) -> Any:
        model = load(s, name)
        scores = model.decision_function(s.secret("x", "owner"))
        return s.reveal(scores, to="all", name="scores", reason="test"), repr(model)

    return pv.simulate(program, inputs=DATA, store=folder, **more)


def path(folder: Path, party: str, name: str = "model") -> Path:
    return folder / party / (name + ENDING)


def test_a_saved_model_scores_as_it_did(tmp_path: Path) -> None:
    _, coef = saved(tmp_path, receivers=["analyst"]).output
    result = loaded(tmp_path, receivers=["analyst"])
    assert [o["name"] for o in result.opened] == ["scores"]
    for scores, text in result.outputs.values():  # at the owner and at a receiver, too
        assert np.abs(scores - (X @ coef[:-1] + coef[-1])).max() < 1e-4
        assert text.startswith("LinearSVC(alpha=0.05, max_iter=5,")
    assert not (tmp_path / "owner").exists() and not (tmp_path / "analyst").exists()


def test_files_are_for_their_owner_only_and_say_nothing_of_the_weights(tmp_path: Path) -> None:
    _, coef = saved(tmp_path).output
    words = np.round(coef * 2.0**22).astype(np.int64)
    for party in ("compute_0", "compute_1", "compute_2"):
        file = path(tmp_path, party)
        assert stat.S_IMODE(os.stat(file).st_mode) == 0o600
        assert list(file.parent.iterdir()) == [file]
        assert not any(int(w).to_bytes(8, "little", signed=True) in file.read_bytes() for w in words)


def test_shares_are_new_in_every_session(tmp_path: Path) -> None:
    saved(tmp_path)

    def program(s: pv.Session) -> list[bytes]:
        model = load(s, "model")
        return [part.tobytes() for part in model.coefficients_._ring_share().parts]

    first, second = (pv.simulate(program, store=tmp_path, receivers=["owner"]).outputs for _ in range(2))
    for party in COMPUTE:
        stored = path(tmp_path, party).read_bytes()
        assert not set(first[party]) & set(second[party])
        assert not any(part in stored for part in first[party])


def test_all_parties_tell_the_same_id_and_each_saving_has_its_own(tmp_path: Path) -> None:
    first, second = saved(tmp_path), saved(tmp_path)
    ids = {output[0] for output in first.outputs.values()}
    assert len(ids) == 1 and ids != {second.output[0]}


def test_files_of_two_savings_do_not_mix(tmp_path: Path) -> None:
    saved(tmp_path / "old")
    saved(tmp_path / "new")
    path(tmp_path / "new", "compute_1").write_bytes(path(tmp_path / "old", "compute_1").read_bytes())
    with pytest.raises(HandshakeError, match="'model' differs between compute_0 and compute_1"):
        loaded(tmp_path / "new")


def test_a_missing_file_names_what_is_there(tmp_path: Path) -> None:
    saved(tmp_path, "spring")
    with pytest.raises(ConfigError, match=r"no saved model 'autumn' .* models there: spring"):
        loaded(tmp_path, "autumn")


def test_a_session_without_a_store_says_how_to_get_one() -> None:
    def program(s: pv.Session) -> None:
        save(LinearSVC(alpha=0.1, max_iter=5).fit(s.secret("x", "owner"), s.secret("y", "owner")), s, "model")

    with pytest.raises(UsageError, match="--store DIR"):
        pv.simulate(program, inputs=DATA)
    with pytest.raises(ConfigError, match="--store DIR"):
        pv.simulate(lambda s: load(s, "model"))


@pytest.mark.parametrize(
    ("names", "match"),
    [(("compute_1", "compute_0", "compute_2"), "the (party|compute parties) differs"),  # whoever notices first
     (("compute_0", "compute_1", "other"), "the (party|compute parties) differs"),
     (("a", "b", "c"), "the party differs")],
)  # fmt: skip
def test_another_group_of_parties_is_refused(tmp_path: Path, names: tuple[str, ...], match: str) -> None:
    saved(tmp_path)
    for old, new in zip(("compute_0", "compute_1", "compute_2"), names, strict=True):
        there = path(tmp_path / "moved", new)
        there.parent.mkdir(parents=True)
        there.write_bytes(path(tmp_path, old).read_bytes())
    with pytest.raises(PrivityError, match=match):
        loaded(tmp_path / "moved", parties=names)


def test_another_protocol_is_refused(tmp_path: Path) -> None:
    saved(tmp_path, parties=["compute_0"], protocol=InsecurePlain())
    assert loaded(tmp_path, parties=["compute_0"], protocol=InsecurePlain()).output[1].startswith("LinearSVC")
    saved(tmp_path)
    with pytest.raises(ConfigError, match="differs"):
        loaded(tmp_path, parties=["compute_0"], protocol=InsecurePlain())


@pytest.mark.parametrize("change", ["cut", "text", "empty", "bits", "share"])
def test_a_damaged_file_is_refused_and_no_traceback_tells_of_it(tmp_path: Path, change: str) -> None:
    saved(tmp_path)
    file = path(tmp_path, "compute_2")
    data = file.read_bytes()
    file.write_bytes(
        {
            "cut": data[:-9],
            "text": b"model = 1",
            "empty": b"",
            "bits": data[:200] + b"\xff" + data[201:],
            "share": data[:-60] + bytes([data[-60] ^ 1]) + data[-59:],
        }[change]
    )
    with pytest.raises((ConfigError, HandshakeError), match=r"compute_2|model"):
        loaded(tmp_path)


def test_no_class_outside_of_privity_is_ever_imported(tmp_path: Path) -> None:
    saved(tmp_path)
    for party in ("compute_0", "compute_1", "compute_2"):
        file = path(tmp_path, party)
        content = msgspec.msgpack.decode(file.read_bytes())
        public = content["public"].replace(b"svm:LinearSVC", b"os:LinearSVC2")
        forged = saving._File(content["party"], content["index"], public, content["shares"]).sealed()
        file.write_bytes(msgspec.msgpack.encode(forged))
    with pytest.raises(ConfigError, match="of kind 'os:LinearSVC2', which this version does not have"):
        loaded(tmp_path)


@pytest.mark.parametrize("name", ["", "../model", "Model", "a b", "x" * 65, "a.b"])
def test_names_are_plain(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="cannot name a saved model"):
        saved(tmp_path, name)


def test_what_was_not_fitted_or_is_not_ours_cannot_be_saved(tmp_path: Path) -> None:
    class Mine(Estimator):
        def fit(self, x: Any) -> Mine:
            self.coef_ = x
            return self

    with pytest.raises(UsageError, match="LinearSVC has learnt nothing yet"):
        pv.simulate(lambda s: save(LinearSVC(), s, "model"), store=tmp_path)
    with pytest.raises(UsageError, match="Mine cannot be saved"):
        pv.simulate(lambda s: save(Mine().fit(s.constant([1.0])), s, "model"), store=tmp_path)


def test_a_store_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "compute_1").write_text("a file where the folder should be")
    with pytest.raises(OutputError, match="compute_1"):
        saved(tmp_path)


def test_every_kind_of_value_comes_back(tmp_path: Path) -> None:
    """Public arrays, texts, tuples and secret booleans among what a model has learnt."""

    def program(s: pv.Session) -> Any:
        model = MultinomialLogisticRegression(3, solver="newton")
        model.coef_ = s.constant(np.arange(6.0).reshape(3, 2))
        model.flags_ = s.constant([1.0, -1.0]) > 0  # type: ignore[attr-defined]
        model.known_ = {"a": np.array([1.5, np.nan]), "b": ("x", [1, None, True]), "c": np.int64(4)}  # type: ignore[attr-defined]
        model.inner_ = LinearSVC(alpha=0.25)  # type: ignore[attr-defined]
        model.inner_.coef_ = s.constant([2, 3])  # type: ignore[attr-defined]
        save(model, s, "all")
        back = load(s, "all")
        opened = [s.reveal(v, to="all", name="v", reason="t") for v in (back.coef_, back.flags_, back.inner_.coef_)]
        return opened, back

    (coef, flags, inner), back = pv.simulate(program, store=tmp_path).output
    assert coef.tolist() == [[0, 1], [2, 3], [4, 5]] and flags.tolist() == [True, False] and inner.tolist() == [2, 3]
    assert back.known_["b"] == ("x", [1, None, True]) and back.known_["c"] == 4
    assert np.array_equal(back.known_["a"], [1.5, np.nan], equal_nan=True)
    assert back.get_params() == MultinomialLogisticRegression(3, solver="newton").get_params()
    assert back.inner_.alpha == 0.25


def test_every_estimator_has_a_name_for_files() -> None:
    known = kinds()
    assert known["svm:LinearSVC"] is LinearSVC and kind_name(LinearSVC) == "svm:LinearSVC"
    assert len(set(known.values())) == len(known) > 5


def test_loading_takes_one_round_and_eight_bytes_an_element(tmp_path: Path) -> None:
    saved(tmp_path)
    result = pv.simulate(lambda s: load(s, "model").coefficients_.shape, store=tmp_path, receivers=["owner"])
    elements = 4 + 4  # coef_, intercept_ and coefficients_, the two together
    assert result.rounds == 1 and set(result.payload_sent.values()) == {8 * elements}
