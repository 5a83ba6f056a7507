"""Prometheus behind TLS and a password."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kstats.cli import main
from tests.fleet.engines import Engine, certify, prometheus

pytestmark = pytest.mark.fleet


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Engine, Path]]:
    """Prometheus behind TLS and a password, and the folder with its certificate."""
    folder = tmp_path_factory.mktemp("closed")
    certify(folder)
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
