"""Certificates for tests, made on the spot."""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import attrs
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

_DAY = timedelta(days=1)


@attrs.frozen
class Authority:
    """A certificate authority, and certificates of it in one directory.

    Attributes:
        path: Its certificate.
    """

    path: Path
    _name: x509.Name
    _key: ec.EllipticCurvePrivateKey

    @classmethod
    def make(cls, folder: Path, name: str = "authority") -> Authority:
        """Make an authority with a key of its own."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _name(name)
        made = cls(folder / f"{name}.pem", subject, key)
        made.path.write_bytes(made._signed(subject, key, authority=True, days=(-9, 9)))
        return made

    def issue(
        self, name: str, days: tuple[int, int] = (-1, 1), password: bytes = b""
    ) -> tuple[Path, Path]:
        """Return a new certificate for this host and its key; ``days`` from now it is valid."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate, secret = (self.path.parent / f"{name}.{kind}" for kind in ("crt", "key"))
        certificate.write_bytes(self._signed(_name(name), key, authority=False, days=days))
        locked = serialization.BestAvailableEncryption(password) if password else None
        secret.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                locked or serialization.NoEncryption(),
            )
        )
        return certificate, secret

    def _signed(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        *,
        authority: bool,
        days: tuple[int, int],
    ) -> bytes:
        now = datetime.now(UTC)
        here = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + days[0] * _DAY)
            .not_valid_after(now + days[1] * _DAY)
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName(here), critical=False)
            .sign(self._key, hashes.SHA256())
            .public_bytes(serialization.Encoding.PEM)
        )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])
