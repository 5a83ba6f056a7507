"""Prometheus behind TLS and a password."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from kstats.cli import main
from tests.fleet.engines import Engine, prometheus

pytestmark = pytest.mark.fleet

CONFIG = """\
tls_server_config:
  cert_file: cert
  key_file: key
basic_auth_users:
  reader: $2b$04$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e
"""
"""The file of Prometheus with the password `correct horse`."""


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Engine, Path]]:
    """Prometheus behind TLS and a password, and the folder with its certificate."""
    folder = tmp_path_factory.mktemp("closed")
    words = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    words += " -subj /CN=localhost -addext subjectAltName=DNS:localhost -keyout key -out cert"
    subprocess.run(words.split(), cwd=folder, check=True, capture_output=True, timeout=300)
    (folder / "web.yml").write_text(CONFIG)
    (folder / "prometheus.yml").write_text("global: {}\n")
    web = f"--web.config.file={folder / 'web.yml'}"
    with prometheus(folder / "prometheus.yml", folder / "data", web) as engine:
        yield Engine(engine.url.replace("http://127.0.0.1", "https://localhost")), folder


@pytest.mark.parametrize(
    ("password", "trusted", "complaint"),
    [
        ("correct horse", True, "no host matches {}"),
        ("wrong", True, "401 Unauthorized"),
        ("correct horse", False, "its certificate is not trusted"),
    ],
)
def test_prometheus_behind_tls_and_a_password(
    closed: tuple[Engine, Path],
    capsys: pytest.CaptureFixture[str],
    password: str,
    trusted: bool,  # noqa: FBT001 - a parameter of the test
    complaint: str,
) -> None:
    engine, folder = closed
    (folder / "password").write_text(f"reader:{password}\n")
    words = ["compare", f"prom+{engine.url}?match={{}}"]
    words += ["--basic-auth-file", str(folder / "password")]
    words += ["--ca-file", str(folder / "cert")] if trusted else []
    assert main(words) == 7
    line, hint = capsys.readouterr().err.splitlines()
    assert complaint in line
    assert "hint: " in hint
