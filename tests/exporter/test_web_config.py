"""The web configuration: what is refused, who may connect, and how."""

from __future__ import annotations

import base64
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest import mock

import bcrypt
import pytest

from kstats.errors import UsageError
from kstats.exporter import web_config
from kstats.exporter.web_config import WebConfig
from tests.exporter.certificates import Authority

# Always with the same salt: the hash is part of a test's name, which all workers must agree on.
HASH = bcrypt.hashpw(b"secret", b"$2b$04$" + b"." * 22).decode()
USERS = f"basic_auth_users:\n  alice: {HASH}\n"


def config(folder: Path, text: str) -> WebConfig:
    path = folder / "web.yml"
    path.write_text(text)
    return web_config.load(str(path))


def refusal(folder: Path, text: str) -> str:
    """Return the message without the directory."""
    with pytest.raises(UsageError) as error:
        config(folder, text)
    assert error.value.status == 2
    assert error.value.hint
    return str(error.value).replace(f"{folder}/", "")


def basic(credentials: str) -> dict[str, str]:
    return {"authorization": f"Basic {base64.b64encode(credentials.encode()).decode()}"}


@pytest.mark.parametrize(
    "text", ["", "# nothing", "{}", "http_server_config:\nbasic_auth_users:\n"]
)
def test_an_empty_configuration_lets_everyone_in(tmp_path: Path, text: str) -> None:
    found = config(tmp_path, text)
    assert not found.guarded
    assert found.ssl_context() is None
    assert found.allows({})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("tls_server_confg: {}", "web.yml: line 1: unknown key tls_server_confg"),
        ("http_server_config:\n  http3: true", "web.yml: line 2: unknown key http3"),
        ("http_server_config:\n  http2: maybe", "web.yml: line 2: maybe is not one of true, false"),
        (
            "http_server_config:\n  headers:\n    Server: x",
            "web.yml: line 3: unknown key Server",
        ),
        (
            'http_server_config:\n  headers:\n    X-Frame-Options: "a\\r\\nSet-Cookie: b"',
            "web.yml: line 3: invalid value of the header X-Frame-Options",
        ),
        ("tls_server_config: {}", "web.yml: line 1: tls_server_config needs cert_file"),
        (
            "tls_server_config:\n  cert_file: a\n  cipher_suites: [x]",
            "web.yml: line 3: unknown key cipher_suites",
        ),
        ("tls_server_config: [a]", "web.yml: line 1: a mapping is expected here"),
        (f"{USERS}  alice: {HASH}", "web.yml: line 3: alice is given twice"),
        (
            "basic_auth_users:\n  alice: secret",
            "web.yml: line 2: the password of alice is not a bcrypt hash",
        ),
        (
            f"basic_auth_users:\n  alice: {HASH.replace('$04$', '$31$')}",
            "web.yml: line 2: the cost of a bcrypt hash is 4 to 15 here",
        ),
        ("basic_auth_users:\n  alice: [x]", "web.yml: line 2: a text is expected here"),
        ("a: b: c", "web.yml: line 1: invalid YAML: mapping values are not allowed here"),
        ("a: \x07", "web.yml: invalid YAML: "),
        ("[" * 5000, "web.yml: "),
    ],
)
def test_what_is_not_valid_is_refused_with_the_file_and_the_line(
    tmp_path: Path, text: str, message: str
) -> None:
    assert refusal(tmp_path, text).startswith(message)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"missing\.yml: No such file or directory"):
        web_config.load(str(tmp_path / "missing.yml"))
    with pytest.raises(UsageError, match="Is a directory"):
        web_config.load(str(tmp_path))


def test_headers(tmp_path: Path) -> None:
    text = "http_server_config:\n  http2: false\n  headers:\n    X-Frame-Options: deny\n"
    assert config(tmp_path, text).headers == {"X-Frame-Options": "deny"}


@pytest.mark.parametrize(
    "headers",
    [
        {},
        basic("alice:wrong"),
        basic("alice:"),
        basic("alice"),
        basic("bob:secret"),
        basic(f"alice:{HASH}"),
        basic("alice:secret\0"),
        basic("alice:" + "secret" * 100),
        {"authorization": "Basic ?"},
        {"authorization": "Basic é"},
        {"authorization": "Basic " + base64.b64encode(b"\xff:x").decode()},
        {"authorization": "Bearer secret"},
    ],
)
def test_whoever_has_no_right_password_is_refused(tmp_path: Path, headers: dict[str, str]) -> None:
    found = config(tmp_path, USERS)
    assert found.guarded
    assert found.allows(basic("alice:secret"))
    assert not found.allows(headers)


def test_an_accepted_password_is_hashed_once_and_a_wrong_one_every_time(tmp_path: Path) -> None:
    """Scrapes are quick; unknown users take as long as known ones."""
    found = config(tmp_path, USERS)
    with mock.patch("bcrypt.checkpw", side_effect=bcrypt.checkpw) as check:
        assert all(found.allows(basic("alice:secret")) for _ in range(3))
        assert check.call_count == 1
        for credentials in ("alice:wrong", "alice:wrong", "bob:secret", "bob:" + "x" * 100):
            before = check.call_count
            assert not found.allows(basic(credentials))
            assert check.call_count == before + 1
        assert found.allows(basic("alice:secret"))
        assert check.call_count == 5


def tls(certificate: tuple[Path, Path], *lines: str) -> str:
    first = (f"cert_file: {certificate[0].name}", f"key_file: {certificate[1].name}")
    return "\n  ".join(["tls_server_config:", *first, *lines])


def converse(server: WebConfig, client: ssl.SSLContext) -> bytes:
    """Return what a client reads that connects to a server with this configuration.

    Raises:
        ssl.SSLError: The server, or else the client, refuses.
    """
    context = server.ssl_context()
    assert context
    ours, theirs = socket.socketpair()

    def serve() -> None:
        with theirs, context.wrap_socket(theirs, server_side=True) as connection:
            connection.sendall(b"metrics")

    with ours, ThreadPoolExecutor(1) as thread:
        served = thread.submit(serve)
        try:
            with client.wrap_socket(ours, server_hostname="localhost") as connection:
                found = connection.recv(100)
        finally:
            ours.close()
            served.result()
        return found


def test_clients_are_served_over_tls(tmp_path: Path) -> None:
    authority = Authority.make(tmp_path)
    found = config(tmp_path, tls(authority.issue("host")))
    assert converse(found, ssl.create_default_context(cafile=authority.path)) == b"metrics"


def test_versions_below_the_least_are_refused(tmp_path: Path) -> None:
    authority = Authority.make(tmp_path)
    client = ssl.create_default_context(cafile=authority.path)
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    certificate = authority.issue("host")
    assert converse(config(tmp_path, tls(certificate)), client) == b"metrics"
    with pytest.raises(ssl.SSLError):
        converse(config(tmp_path, tls(certificate, "min_version: TLS13")), client)


def test_clients_need_a_certificate_of_the_authority(tmp_path: Path) -> None:
    authority = Authority.make(tmp_path)
    required = "client_auth_type: RequireAndVerifyClientCert"
    found = config(
        tmp_path, tls(authority.issue("host"), f"client_ca_file: {authority.path}", required)
    )
    client = ssl.create_default_context(cafile=authority.path)
    with pytest.raises(ssl.SSLError):
        converse(found, client)
    client.load_cert_chain(*authority.issue("client"))
    assert converse(found, client) == b"metrics"
    (tmp_path / "other").mkdir()
    client.load_cert_chain(*Authority.make(tmp_path / "other", "other").issue("stranger"))
    with pytest.raises(ssl.SSLError):
        converse(found, client)


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        (("client_auth_type: RequireAndVerifyClientCert",), "needs client_ca_file"),
        (("client_ca_file: authority.pem",), "needs client_auth_type"),
        (("client_auth_type: RequireAnyClientCert",), "is not one of NoClientCert, Verify"),
        (("client_auth_type: RequireAndVerifyClientCert", "client_ca_file: no"), "cannot read"),
        (("min_version: TLS10",), "TLS10 is not one of TLS12, TLS13"),
        (("min_version: TLS13", "max_version: TLS12"), "max_version is below min_version"),
    ],
)
def test_options_of_tls_that_are_refused(tmp_path: Path, lines: tuple[str, ...], why: str) -> None:
    authority = Authority.make(tmp_path)
    said = refusal(tmp_path, tls(authority.issue("host"), *lines))
    assert said.startswith(("web.yml: line 4: ", "web.yml: line 5: "))
    assert why in said


def test_certificates_that_cannot_be_used(tmp_path: Path) -> None:
    authority = Authority.make(tmp_path)
    good, other = authority.issue("good"), authority.issue("other")
    expired = authority.issue("expired", days=(-3, -2))
    early = authority.issue("early", days=(2, 3))
    locked = authority.issue("locked", password=b"secret")
    for pair, why in (
        ((good[0], other[1]), "cannot use good.crt and other.key: key values mismatch"),
        ((good[0], tmp_path / "no.key"), "cannot read no.key: No such file or directory"),
        ((good[1], good[1]), "cannot use good.key and good.key: "),
        (expired, "expired.crt: the certificate has expired"),
        (early, "early.crt: the certificate is not yet valid"),
        (locked, "cannot use locked.crt and locked.key: "),
    ):
        assert refusal(tmp_path, tls(pair)).startswith(f"web.yml: line 2: {why}")
