"""A saved model keeps its owners, its minimum group and its receivers, and every party that loads it checks them."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

import privity as pv
from privity import simulation
from privity.context import Context
from privity.errors import ConfigError, HandshakeError, OpeningRefused, PrivityError, UsageError
from privity.ml import saving
from privity.ml.saving import ENDING, load, save
from privity.ml.svm import LinearSVC
from privity.terms import Terms
from privity.types import Opening

RNG = np.random.default_rng(3)
X = RNG.normal(size=(40, 2))
Y = (X[:, 0] > 0).astype(np.int64)
COMPUTE = ("compute_0", "compute_1", "compute_2")
TRAINING = {"bank": {"x": X}, "shop": {"y": Y}}
SCORED = {"bank": {"x": X[:5]}, "shop": {"z": np.ones(2)}}


def trained(folder: Path, to: Any = None, **more: Any) -> Terms:
    def program(s: pv.Session) -> None:
        save(LinearSVC(alpha=0.05, max_iter=5).fit(s.secret("x", "bank"), s.secret("y", "shop")), s, "model", to=to)

    pv.simulate(program, **{"inputs": TRAINING, "store": folder, **more})
    return terms_of(folder)


def terms_of(folder: Path, name: str = "model") -> Terms:
    file = saving._FILE.decode((folder / "compute_1" / (name + ENDING)).read_bytes())
    return saving._decoded(file.public, name).terms


def used(folder: Path, to: Any = ("bank",), **more: Any) -> pv.Simulation:
    def program(s: pv.Session) -> Any:
        scores = load(s, "model").decision_function(s.secret("x", "bank"))
        return s.reveal(scores, to=to, name="scores", reason="test")

    return pv.simulate(program, **{"inputs": SCORED, "store": folder, **more})


def scores(*to: str) -> Opening:
    return Opening("scores", (5,), to, 1)


def test_what_is_kept(tmp_path: Path) -> None:
    owners = {"bank": "", "shop": ""}
    terms = trained(tmp_path, minimum_group=25)
    assert terms == Terms(owners, 25, {**dict.fromkeys(COMPUTE, ""), **owners})  # a simulation opens to everybody
    assert trained(tmp_path, to="bank") == Terms(owners, 10, {"bank": ""})
    assert trained(tmp_path, to=["shop", "clerk"], receivers=["clerk"]).to == {"shop": "", "clerk": ""}
    assert trained(tmp_path, openings=[]).to == owners
    listed = trained(tmp_path, openings=[scores("clerk", "compute_1")], receivers=["clerk", "spy"])
    assert set(listed.to) == {"compute_1", "bank", "shop", "clerk"}


@pytest.mark.parametrize("to", ["spy", ["bank", "spy"], [""]])
def test_receivers_are_parties_of_the_session(tmp_path: Path, to: Any) -> None:
    with pytest.raises(UsageError, match=r"expected parties of this session .*: compute_0, compute_1"):
        trained(tmp_path, to=to)
    assert not tmp_path.exists() or not list(tmp_path.rglob("*" + ENDING))


def test_every_owner_has_to_be_there(tmp_path: Path) -> None:
    trained(tmp_path)
    assert used(tmp_path).outputs["bank"].shape == (5,)
    with pytest.raises(ConfigError, match="holds data of bank, shop, and shop is no party of this session"):
        used(tmp_path, inputs={"bank": SCORED["bank"]})
    assert used(tmp_path, inputs={"bank": SCORED["bank"]}, receivers=["shop"]).opened  # it brings nothing, but agrees


@pytest.mark.parametrize(("saved", "there"), [(10, 9), (25, 10), (2, 1)])
def test_the_minimum_group_does_not_shrink(tmp_path: Path, saved: int, there: int) -> None:
    trained(tmp_path, minimum_group=saved)
    words = f"fewer than {saved} rows .* opens groups of {there}; .*minimum_group = {saved}"
    with pytest.raises(ConfigError, match=words):
        used(tmp_path, minimum_group=there)
    assert used(tmp_path, minimum_group=saved).opened and used(tmp_path, minimum_group=saved + 1).opened


def test_a_job_that_lists_other_receivers_does_not_load(tmp_path: Path) -> None:
    trained(tmp_path, to=["bank"])
    assert used(tmp_path, openings=[scores("bank")]).opened
    for openings in ([scores("bank", "spy")], [scores("bank"), Opening("sum", (), ("shop",), 1)]):
        with pytest.raises(OpeningRefused, match=r"'model' may be opened to bank, and this job lists .* to (spy|shop)"):
            used(tmp_path, openings=openings, receivers=["spy"])


def test_without_a_list_nothing_goes_to_others_after_the_loading(tmp_path: Path) -> None:
    trained(tmp_path, to=["bank"])
    for to in ("all", "shop", "spy", ["bank", "compute_0"]):
        with pytest.raises(OpeningRefused, match=r"'scores' may not go to .*loaded what may be opened to bank only"):
            used(tmp_path, to=to, receivers=["spy"])


def test_what_was_opened_before_the_loading_could_not_hold_it(tmp_path: Path) -> None:
    trained(tmp_path, to=["bank"])

    def program(s: pv.Session) -> Any:
        count = s.reveal(s.secret("z", "shop").sum(), to="all", name="count", reason="test")
        load(s, "model")
        return count

    openings = [Opening("count", (), (*COMPUTE, "bank", "shop"), 1), scores("bank")]
    assert pv.simulate(program, inputs=SCORED, store=tmp_path, openings=openings).output == 2.0
    openings[0] = replace(openings[0], count=2)  # it could be used again
    with pytest.raises(OpeningRefused, match="lists openings to compute_0"):
        pv.simulate(program, inputs=SCORED, store=tmp_path, openings=openings)


def test_terms_are_handed_on(tmp_path: Path) -> None:
    """What is saved by a session that has loaded something is bound as that was, whatever goes into it."""
    trained(tmp_path, to=["bank", "shop"], minimum_group=12)

    def program(s: pv.Session, to: Any = None) -> None:
        load(s, "model")
        save(LinearSVC(alpha=0.05, max_iter=5).fit(s.secret("x", "fund"), s.secret("y", "fund")), s, "second", to=to)

    more: dict[str, Any] = {"inputs": {"fund": {"x": X, "y": Y}}, "store": tmp_path, "receivers": ["bank", "shop"]}
    pv.simulate(program, **more, minimum_group=15)
    assert terms_of(tmp_path, "second") == Terms({"bank": "", "shop": "", "fund": ""}, 15, {"bank": "", "shop": ""})
    for to in ("fund", ["bank", "compute_0"]):
        with pytest.raises(UsageError, match="may be told of all it loaded: bank, shop"):
            pv.simulate(lambda s, to=to: program(s, to), **more, minimum_group=15)


def test_one_compute_party_cannot_widen_the_terms(tmp_path: Path) -> None:
    trained(tmp_path, to=["bank"])
    for party in COMPUTE[:2]:
        path = tmp_path / party / ("model" + ENDING)
        file = saving._FILE.decode(path.read_bytes())
        public = saving._PUBLIC.decode(file.public)
        wider = msgspec.structs.replace(public, terms=Terms({}, 0, {"spy": ""}))
        changed = msgspec.structs.replace(file, public=saving._ENCODER.encode(wider)).sealed()
        path.write_bytes(saving._ENCODER.encode(changed))
        with pytest.raises(HandshakeError, match="the saved model 'model' differs between compute_0 and compute_"):
            used(tmp_path, to=["spy"], receivers=["spy"])


def test_files_of_earlier_versions_are_refused(tmp_path: Path) -> None:
    trained(tmp_path)
    for party in COMPUTE:
        path = tmp_path / party / ("model" + ENDING)
        file = saving._FILE.decode(path.read_bytes())
        old = msgspec.msgpack.decode(file.public)
        del old["terms"]
        old["type"] = "privity model 1"
        changed = msgspec.structs.replace(file, public=msgspec.msgpack.encode(old)).sealed()
        path.write_bytes(saving._ENCODER.encode(changed))
    with pytest.raises(ConfigError, match="is of an earlier version, which did not keep whose data it holds"):
        used(tmp_path)


def test_names_alone_are_not_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificates = {name: f"sha256:{name}" for name in (*COMPUTE, "bank", "shop", "clerk")}

    def certified(**words: Any) -> Context:
        return Context(**words, certificates=certificates)

    monkeypatch.setattr(simulation, "Context", certified)
    assert trained(tmp_path, to=["bank", "clerk"], receivers=["clerk"]).owners["shop"] == "sha256:shop"
    assert used(tmp_path, to=["clerk"], receivers=["clerk"]).opened
    certificates["clerk"] = "sha256:another"
    assert used(tmp_path).opened
    with pytest.raises(OpeningRefused, match="may not go to clerk"):
        used(tmp_path, to=["clerk"], receivers=["clerk"])
    certificates["shop"] = "sha256:stranger"
    with pytest.raises(ConfigError, match="data of shop with the certificate sha256:shop, in this session shop has"):
        used(tmp_path)


def test_all_parties_refuse_and_nothing_is_sent(tmp_path: Path) -> None:
    """Also those without shares, which read the terms from what the compute parties state."""
    trained(tmp_path, to=["bank"])
    refused: dict[str, PrivityError] = {}
    lock = threading.Lock()

    def program(s: pv.Session) -> Any:
        try:
            load(s, "model")
        except PrivityError as error:
            with lock:
                refused[s.me] = error
            raise

    with pytest.raises(OpeningRefused):
        pv.simulate(program, inputs=SCORED, store=tmp_path, openings=[scores("spy")], receivers=["spy"])
    assert "bank" in refused and all(isinstance(e, PrivityError) for e in refused.values())
    assert [type(e) for e in refused.values()].count(OpeningRefused) >= 1


def test_a_store_in_another_users_link_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "store").symlink_to(tmp_path / "elsewhere")
    me = saving.os.geteuid()
    if me == 0:
        saving.os.lchown(tmp_path / "store", 12345, -1)
    else:
        monkeypatch.setattr(saving.os, "geteuid", lambda: me + 1)
    with pytest.raises(PrivityError, match="a link that another user made"):
        trained(tmp_path / "store")
    assert not list((tmp_path / "elsewhere").rglob("*" + ENDING))
