"""Party identities: self-signed certificates that are trusted by fingerprint alone.

There is no certificate authority. A consortium file names each party's SHA-256 fingerprint, and only that very
certificate is accepted for that party, within its validity period.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ..errors import ConfigError, HandshakeError

CLOCK_SKEW = timedelta(minutes=10)
"""New certificates are valid from a little before now, as the clocks of two hosts differ."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """A party's public certificate: its common name, DER bytes, ``sha256:...`` fingerprint and validity (UTC)."""

    name: str
    der: bytes
    fingerprint: str
    not_before: datetime
    not_after: datetime

    @staticmethod
    def from_der(der: bytes) -> Certificate:
        """Parse DER bytes. Raises ConfigError if they are no X.509 certificate with a common name."""
        try:
            parsed = x509.load_der_x509_certificate(der)
            name = parsed.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value
        except (ValueError, IndexError) as error:
            raise ConfigError(f"expected an X.509 certificate with a common name: {error}") from None
        return Certificate(
            name=name if isinstance(name, str) else name.decode("utf-8", "replace"),
            der=der,
            fingerprint="sha256:" + parsed.fingerprint(hashes.SHA256()).hex(),
            not_before=parsed.not_valid_before_utc,
            not_after=parsed.not_valid_after_utc,
        )

    def check_validity(self, party: str, now: datetime | None = None) -> None:
        """Raises HandshakeError unless ``now`` (default: this host's clock) lies in the validity period."""
        now = now or datetime.now(UTC)
        if now > self.not_after:
            raise HandshakeError(
                f"the certificate of {party} expired on {self.not_after:%Y-%m-%d %H:%M} UTC; make a new one "
                "with `privity consortium key` and give its fingerprint to all parties"
            )
        if now < self.not_before:
            raise HandshakeError(
                f"the certificate of {party} is valid only from {self.not_before:%Y-%m-%d %H:%M} UTC and this host's "
                f"clock says {now:%Y-%m-%d %H:%M}; set the clock"
            )


@dataclass(frozen=True, slots=True)
class Identity:
    """This party's own certificate together with the files from which TLS loads certificate and private key."""

    name: str
    certificate: Certificate
    certificate_path: Path
    key_path: Path


def make_certificate(name: str, folder: Path, *, days: float = 365.0, start: datetime | None = None) -> Identity:
    """Write ``name.crt`` and ``name.key`` (P-256, mode 0600) into ``folder`` and return the identity.

    Valid from ``start`` (default: a few minutes ago) until ``days`` days after now or ``start``. Raises ConfigError if
    a file cannot be written.
    """
    begin = start or datetime.now(UTC) - CLOCK_SKEW
    end = (start or datetime.now(UTC)) + timedelta(days=days)
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    usage = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usage), critical=False)
        .sign(key, hashes.SHA256())
    )
    certificate_path, key_path = folder / f"{name}.crt", folder / f"{name}.key"
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _write_new(certificate_path, certificate.public_bytes(Encoding.PEM), 0o644)
        _write_new(key_path, pem, 0o600)
    except OSError as error:
        raise ConfigError(f"cannot write the certificate or key of {name} into {folder}: {error.strerror}") from None
    return Identity(name, Certificate.from_der(certificate.public_bytes(Encoding.DER)), certificate_path, key_path)


def load_certificate(path: Path) -> Certificate:
    """Read a PEM certificate. Raises ConfigError naming the file."""
    try:
        der = x509.load_pem_x509_certificate(path.read_bytes()).public_bytes(Encoding.DER)
    except OSError as error:
        raise ConfigError(f"cannot read the certificate {path}: {error.strerror}") from None
    except ValueError:
        raise ConfigError(f"{path} is not a PEM certificate; expected -----BEGIN CERTIFICATE-----") from None
    return Certificate.from_der(der)


def load_identity(name: str, certificate_path: Path, key_path: Path) -> Identity:
    """Read this party's certificate and check that its key is there, private and fits.

    Raises ConfigError if a file is missing or malformed, the key may be read by others than its owner, the key belongs
    to another certificate, or the certificate names another party.
    """
    certificate = load_certificate(certificate_path)
    if certificate.name != name:
        raise ConfigError(f"{certificate_path} is the certificate of {certificate.name!r}, expected that of {name!r}")
    try:
        mode = key_path.stat().st_mode
        pem = key_path.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot read the private key {key_path} of {name}: {error.strerror}") from None
    if mode & 0o077:
        raise ConfigError(
            f"the private key {key_path} can be read by other users (mode {mode & 0o777:04o}); "
            f"run `chmod 600 {key_path}`, and make a new key if others may have read it"
        )
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError):
        raise ConfigError(
            f"{key_path} is not an unencrypted PEM private key; make one with `privity consortium key`"
        ) from None
    spki = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if key.public_key().public_bytes(*spki) != x509.load_der_x509_certificate(
        certificate.der
    ).public_key().public_bytes(*spki):
        raise ConfigError(f"the key {key_path} does not belong to the certificate {certificate_path}; use the pair")
    return Identity(name, certificate, certificate_path, key_path)


def _write_new(path: Path, data: bytes, mode: int) -> None:
    """Write a new file that nobody whom ``mode`` does not name can open at any moment.

    What stood there is removed: an older file's wider mode does not survive, and no link is written through.
    """
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
