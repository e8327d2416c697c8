"""Certificate and key files: what is wrong with them is said before anything is dialled."""

from __future__ import annotations

from pathlib import Path

import pytest

from privity.errors import ConfigError
from privity.net.certificates import Certificate, load_certificate, load_identity, make_certificate


def test_round_trip(folder: Path) -> None:
    made = make_certificate("bank_a", folder / "new", days=3)
    assert made.key_path.stat().st_mode & 0o777 == 0o600
    loaded = load_identity("bank_a", made.certificate_path, made.key_path)
    assert loaded == made
    assert loaded.certificate.fingerprint.startswith("sha256:") and len(loaded.certificate.fingerprint) == 71
    loaded.certificate.check_validity("bank_a")


def test_overwriting_a_readable_key_makes_it_private(folder: Path) -> None:
    (folder / "bank_a.key").write_text("old")
    (folder / "bank_a.key").chmod(0o644)
    assert make_certificate("bank_a", folder).key_path.stat().st_mode & 0o777 == 0o600


def test_key_that_others_may_read(folder: Path) -> None:
    made = make_certificate("bank_a", folder)
    made.key_path.chmod(0o640)
    with pytest.raises(ConfigError, match=r"mode 0640\); run `chmod 600"):
        load_identity("bank_a", made.certificate_path, made.key_path)


def test_key_of_another_certificate(folder: Path) -> None:
    a, b = make_certificate("bank_a", folder), make_certificate("bank_b", folder)
    with pytest.raises(ConfigError, match="does not belong to the certificate"):
        load_identity("bank_a", a.certificate_path, b.key_path)
    with pytest.raises(ConfigError, match="certificate of 'bank_b', expected that of 'bank_a'"):
        load_identity("bank_a", b.certificate_path, b.key_path)


def test_files_that_are_missing_or_something_else(folder: Path) -> None:
    made = make_certificate("bank_a", folder)
    with pytest.raises(ConfigError, match="cannot read the certificate"):
        load_certificate(folder / "none.crt")
    with pytest.raises(ConfigError, match="cannot read the private key"):
        load_identity("bank_a", made.certificate_path, folder / "none.key")
    with pytest.raises(ConfigError, match="is not a PEM certificate"):
        load_certificate(made.key_path)
    made.key_path.write_text("not a key")
    with pytest.raises(ConfigError, match="is not an unencrypted PEM private key"):
        load_identity("bank_a", made.certificate_path, made.key_path)
    with pytest.raises(ConfigError, match=r"expected an X\.509 certificate"):
        Certificate.from_der(b"\x30\x00")


def test_unwritable_folder(folder: Path) -> None:
    (folder / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot write the certificate or key of bank_a"):
        make_certificate("bank_a", folder / "file" / "sub")
