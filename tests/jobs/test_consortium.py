"""The consortium file: what it says, what its hash covers, and what is wrong with a bad one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from privity.errors import ConfigError
from privity.jobs.consortium import load_consortium
from privity.jobs.founding import init_consortium
from privity.jobs.job import load_job
from privity.net.tls import listen

COMPUTE = ("compute_0", "compute_1", "compute_2")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("consortium")
    init_consortium(folder, COMPUTE, ["bank_a", "compute_1"], ["regulator", "bank_a"], ports=[7001, 7002, 7003])
    return folder / "consortium.toml"


def edited(made: Path, folder: Path, pattern: str, replacement: str, count: int = 1) -> Path:
    """A copy of the file with one regular expression replaced; certificates are found where they were."""
    text, hits = re.subn(pattern, replacement, made.read_text(), count=count)
    assert hits, f"nothing matched {pattern}"
    target = folder / "consortium.toml"
    target.write_text(text.replace('"certificates/', f'"{made.parent}/certificates/'))
    return target


def test_what_init_wrote(made: Path) -> None:
    consortium = load_consortium(made)
    assert consortium.compute == COMPUTE
    assert consortium.owners == ("compute_1", "bank_a")
    assert consortium.receivers == ("bank_a", "regulator")
    assert consortium.party("compute_0").endpoint == "127.0.0.1:7001"
    assert consortium.identity("bank_a").name == "bank_a"
    assert consortium.party("bank_a").key_path is not None
    with pytest.raises(ConfigError, match="no party 'bank_z'; there are compute_0"):
        consortium.party("bank_z")


def test_who_dials_whom(made: Path) -> None:
    consortium = load_consortium(made)
    names = {me: tuple([p.name for p in side] for side in consortium.links(me)) for me in ("compute_1", "bank_a")}
    assert names["compute_1"] == (["compute_0"], ["compute_2", "bank_a", "regulator"])
    assert names["bank_a"] == (list(COMPUTE), [])


def test_hash_covers_the_public_part_only(made: Path, tmp_path: Path) -> None:
    original = load_consortium(made).hash()
    assert len(original) == 32
    same = edited(made, tmp_path, r'key = "certificates/bank_a.key"\n', '[party.tables]\nt = "t.csv"\n')
    assert load_consortium(same).hash() == original
    assert load_consortium(same).party("bank_a").tables == {"t": tmp_path.resolve() / "t.csv"}
    for pattern, replacement in ((":7001", ":7009"), ('"bank_a"', '"bank_c"'), (r'\["receiver"\]', '["owner"]')):
        assert load_consortium(edited(made, tmp_path, pattern, replacement)).hash() != original
    with pytest.raises(ConfigError, match="party bank_a runs here"):
        load_consortium(edited(made, tmp_path, r'key = "certificates/bank_a.key"\n', "")).identity("bank_a")


@pytest.mark.parametrize(
    ("pattern", "replacement", "message"),
    [
        (r'name = "bank_a"', 'name = "Bank A"', "'Bank A' cannot name a party"),
        (r'name = "bank_a"', 'name = "compute_0"', "two parties are called compute_0"),
        (r'name = "bank_a"', "name = 7", r"Expected `str`, got `int` - at `\$.party\[3\].name`"),
        (r"name = ", "nom = ", "unknown field `nom`"),
        (r'\["receiver"\]', '["auditor"]', "Invalid enum value 'auditor'.*compute, owner, receiver"),
        (r'\["receiver"\]', "[]", "no roles"),
        (r"sha256:", "md5:", "fingerprint must be 'sha256:'"),
        (r":7002", ":7001", "endpoint 127.0.0.1:7001 is also that of compute_0"),
        (r"127.0.0.1:7001", "here", "expected host:port"),
        (r":7001", ":0", "has port 0"),
        (r'endpoint = "127.0.0.1:7001"\n', "", "a compute party needs an endpoint"),
        (r'(name = "regulator"\n)', '\\1endpoint = "127.0.0.1:1"\n', "only compute parties and owners listen"),
        (r"\[\[party\]\]", "[[party", "is not valid TOML"),
    ],
)
def test_what_is_wrong_is_said(made: Path, tmp_path: Path, pattern: str, replacement: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        load_consortium(edited(made, tmp_path, pattern, replacement))
    assert "consortium.toml" in str(caught.value)


def test_wrong_pin(made: Path, tmp_path: Path) -> None:
    file = edited(made, tmp_path, r'fingerprint = "sha256:.{64}"', f'fingerprint = "sha256:{"0" * 64}"')
    with pytest.raises(ConfigError, match="expected the certificate of compute_0 to have fingerprint sha256:000"):
        load_consortium(file).links("bank_a")


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="privity consortium init"):
        load_consortium(tmp_path / "none.toml")


def test_no_compute_party(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no compute party"):
        init_consortium(tmp_path, [], ["bank_a"])
    assert not list(tmp_path.iterdir())


def test_init_refuses_to_overwrite_and_leaves_no_litter(tmp_path: Path) -> None:
    first = init_consortium(tmp_path, COMPUTE)
    before = first.hash()
    with pytest.raises(ConfigError, match="exists already"):
        init_consortium(tmp_path, COMPUTE)
    assert load_consortium(first.path).hash() == before
    assert init_consortium(tmp_path, COMPUTE, overwrite=True).hash() != before
    assert {p.name for p in tmp_path.iterdir()} == {"certificates", "consortium.toml"}


def test_init_chooses_free_ports(tmp_path: Path) -> None:
    consortium = init_consortium(tmp_path, COMPUTE)
    endpoints = [consortium.party(name).endpoint for name in COMPUTE]
    assert len(set(endpoints)) == 3
    for endpoint in endpoints:
        assert endpoint is not None
        listen(endpoint).close()


def test_bad_arguments(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="3 compute parties need as many ports, came 1"):
        init_consortium(tmp_path, COMPUTE, ports=[1])
    with pytest.raises(ConfigError, match="cannot name a party"):
        init_consortium(tmp_path, ["../evil"])
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot write into"):
        init_consortium(tmp_path / "file", COMPUTE)


def test_a_byte_order_mark_is_no_mistake(made: Path, tmp_path: Path) -> None:
    """Editors on Windows write one."""
    marked = edited(made, tmp_path, r"\A", "\ufeff")
    assert load_consortium(marked).hash() == load_consortium(made).hash()
    job = tmp_path / "job.toml"
    job.write_text('\ufeffname = "t"\nseed = 3\n', encoding="utf-8")
    assert load_job(job).seed == 3
