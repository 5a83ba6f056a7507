"""The web configuration: TLS, passwords and headers of the HTTP server.

The file is that of Prometheus' exporter-toolkit (docs/web-configuration.md there), so one file
serves all exporters of a host. What it can express and we cannot do is refused.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import re
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from kstats.errors import MissingLibraryError

if TYPE_CHECKING:
    import yaml

    from kstats.exporter.yaml_file import YamlFile

_EXTRA = "kvm-kstats[exporter]"

_VERSIONS = {
    "TLS12": ssl.TLSVersion.TLSv1_2,
    "TLS13": ssl.TLSVersion.TLSv1_3,
}
_CLIENTS = {
    "NoClientCert": ssl.CERT_NONE,
    "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
    "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
}
_HEADERS = (
    "Content-Security-Policy",
    "Strict-Transport-Security",
    "X-Content-Type-Options",
    "X-Frame-Options",
    "X-XSS-Protection",
)
_HEADER_VALUE = re.compile(r"[\x20-\x7e]*")
_FLAGS = {"true": True, "false": False}
_SECTIONS = ("basic_auth_users", "http_server_config", "tls_server_config")
_TLS_KEYS = (
    *("cert_file", "key_file", "client_ca_file", "client_auth_type"),
    *("min_version", "max_version"),
)
# The last character of the salt has two bits only.
_HASH = re.compile(r"\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{21}[.Oeu][./A-Za-z0-9]{31}", re.ASCII)
_COSTS = range(4, 16)
"""Costs of hashes: bcrypt's least, and three seconds for a password."""

_LONGEST_PASSWORD = 72
"""Bytes of a password that bcrypt regards."""

_DATES = {9: "the certificate is not yet valid", 10: "the certificate has expired"}
"""By X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED of OpenSSL."""


@attrs.frozen(eq=False)
class WebConfig:
    """How clients may connect.

    Attributes:
        headers: Headers of every response.
        tls: The context of new connections; None for plain HTTP.
        users: The bcrypt hash of the password of each user; empty if everyone may connect.
    """

    headers: Mapping[str, str] = attrs.field(factory=dict)
    tls: ssl.SSLContext | None = None
    users: Mapping[str, str] = attrs.field(factory=dict)
    _secret: bytes = attrs.field(factory=lambda: os.urandom(32), init=False)
    _accepted: dict[str, bytes] = attrs.field(factory=dict, init=False)

    @property
    def guarded(self) -> bool:
        """Whether :meth:`allows` has anything to check."""
        return bool(self.users)

    def ssl_context(self) -> ssl.SSLContext | None:
        """Return the context of new connections; None for plain HTTP."""
        return self.tls

    def allows(self, headers: Mapping[str, str]) -> bool:
        """Return whether a request may be answered; the names of its headers are in lower case.

        Checking a password takes as long as its hash demands. Each user's last accepted password
        is remembered by a keyed digest, so that scrapes are quick.
        """
        if not self.users:
            return True
        credentials = _basic(headers.get("authorization", ""))
        if credentials is None:
            return False
        user, password = credentials
        digest = hmac.digest(self._secret, password, hashlib.sha256)
        if hmac.compare_digest(self._accepted.get(user, b""), digest):
            return True
        # An unknown user takes as long as a known one.
        hashed = self.users.get(user) or next(iter(self.users.values()))
        right = _matches(password, hashed) and user in self.users
        if right:
            self._accepted[user] = digest
        return right


def _basic(header: str) -> tuple[str, bytes] | None:
    """Return the user and the password of an Authorization header; None if it has none."""
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, colon, password = base64.b64decode(encoded.strip(), validate=True).partition(b":")
        return (user.decode(), password) if colon else None
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return None


def _matches(password: bytes, hashed: str) -> bool:
    import bcrypt  # noqa: PLC0415 - checked when the configuration was read

    # Versions of bcrypt differ in what they do with these; no password that is set has them.
    valid = len(password) <= _LONGEST_PASSWORD and b"\0" not in password
    return bcrypt.checkpw(password if valid else b"", hashed.encode()) and valid


def load(path: str | None) -> WebConfig:
    """Return the configuration in a file; without a file, HTTP for everyone.

    Raises:
        UsageError: The file is not valid, or cannot be read.
        MissingLibraryError: A library for it is not installed.
    """
    if path is None:
        return WebConfig()
    if find_spec("yaml") is None:
        raise MissingLibraryError("PyYAML", "the web configuration", "yaml", _EXTRA)
    from kstats.exporter.yaml_file import YamlFile  # noqa: PLC0415 - an extra

    file = YamlFile(Path(path), "docs/web-config.md lists what the web configuration may contain")
    sections = file.mapping(file.root, _SECTIONS)
    return WebConfig(
        headers=_headers(file, sections.get("http_server_config")),
        tls=_tls(file, sections["tls_server_config"]) if "tls_server_config" in sections else None,
        users=_users(file, sections.get("basic_auth_users")),
    )


def _users(file: YamlFile, node: yaml.Node | None) -> dict[str, str]:
    users = {}
    for name, value in file.mapping(node).items():
        hashed = file.text(value)
        found = _HASH.fullmatch(hashed)
        if not found:
            file.refuse(value, f"the password of {name} is not a bcrypt hash")
        if int(found[1]) not in _COSTS:
            file.refuse(value, f"the cost of a bcrypt hash is {_COSTS[0]} to {_COSTS[-1]} here")
        users[name] = hashed
    if users and find_spec("bcrypt") is None:
        raise MissingLibraryError("bcrypt", "basic_auth_users", "bcrypt", _EXTRA)
    return users


def _headers(file: YamlFile, node: yaml.Node | None) -> dict[str, str]:
    section = file.mapping(node, ("headers", "http2"))
    if http2 := section.get("http2"):
        file.choice(http2, _FLAGS)  # checked only: clients get HTTP/1.1 in any case
    headers = {}
    for name, value in file.mapping(section.get("headers"), _HEADERS).items():
        headers[name] = file.text(value)
        if not _HEADER_VALUE.fullmatch(headers[name]):
            file.refuse(value, f"invalid value of the header {name}")
    return headers


def _tls(file: YamlFile, node: yaml.Node) -> ssl.SSLContext:
    section = file.mapping(node, _TLS_KEYS)
    for name in ("cert_file", "key_file"):
        if name not in section:
            file.refuse(node, f"tls_server_config needs {name}")
    at = section["cert_file"]
    certificate, key = file.file(at), file.file(section["key_file"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with _named(file, at, certificate, key):
        # An empty password: OpenSSL would ask for that of an encrypted key on the terminal.
        context.load_cert_chain(certificate, key, password="")
    if why := _invalid_now(certificate, key):
        file.refuse(at, f"{certificate}: {why}")
    context.minimum_version = _version(file, section.get("min_version"), ssl.TLSVersion.TLSv1_2)
    context.maximum_version = _version(file, section.get("max_version"), ssl.TLSVersion.TLSv1_3)
    if context.minimum_version > context.maximum_version:
        file.refuse(section["max_version"], "max_version is below min_version")
    _verify_clients(file, context, section)
    return context


def _version(file: YamlFile, node: yaml.Node | None, default: ssl.TLSVersion) -> ssl.TLSVersion:
    return file.choice(node, _VERSIONS) if node else default


def _verify_clients(
    file: YamlFile, context: ssl.SSLContext, section: Mapping[str, yaml.Node]
) -> None:
    kind, at = section.get("client_auth_type"), section.get("client_ca_file")
    mode = file.choice(kind, _CLIENTS) if kind else ssl.CERT_NONE
    if at and mode == ssl.CERT_NONE:
        file.refuse(at, "client_ca_file needs client_auth_type: RequireAndVerifyClientCert")
    if kind and mode != ssl.CERT_NONE and not at:
        file.refuse(kind, "client_auth_type needs client_ca_file")
    if at:
        authority = file.file(at)
        with _named(file, at, authority):
            context.load_verify_locations(authority)
    context.verify_mode = mode


@contextmanager
def _named(file: YamlFile, node: yaml.Node, *used: Path) -> Iterator[None]:
    """Name the files that OpenSSL cannot use; its errors do not."""
    for path in used:
        try:
            path.read_bytes()
        except OSError as error:
            file.refuse(node, f"cannot read {path}: {error.strerror}")
    try:
        yield
    except ssl.SSLError as error:
        reason = (error.reason or "invalid").replace("_", " ").lower()
        file.refuse(node, f"cannot use {' and '.join(map(str, used))}: {reason}")


def _invalid_now(certificate: Path, key: Path) -> str:
    """Return why a certificate is not valid at this time; empty if it is.

    Nothing public in :mod:`ssl` reads the dates of a certificate, but a handshake checks them.
    """
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    server.load_cert_chain(certificate, key)
    client.check_hostname = False
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # trust the certificate itself
    client.load_verify_locations(certificate)
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = client.wrap_bio(to_client, to_server)
    theirs = server.wrap_bio(to_server, to_client, server_side=True)
    for side in (ours, theirs):
        with suppress(ssl.SSLWantReadError):
            side.do_handshake()
    try:
        ours.do_handshake()
    except ssl.SSLCertVerificationError as error:
        return _DATES.get(error.verify_code, "")
    return ""
