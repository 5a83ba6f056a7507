"""The exporter behind TLS and passwords: a real process, scraped over the loopback interface."""

from __future__ import annotations

import re
import signal
import ssl
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http import HTTPStatus
from http.client import HTTPSConnection
from pathlib import Path

import attrs
import bcrypt
import pytest

from tests.documented import ROOT
from tests.exporter.certificates import Authority

RECORDING = ROOT / "examples/recordings/svm.jsonl"
SECONDS = 300  # against hangs


@attrs.frozen
class Exporter:
    """A running exporter."""

    process: subprocess.Popen[str]

    def wait_log(self, pattern: str) -> str:
        """Wait for a line of the log; return what its group matches."""
        assert self.process.stderr
        for line in self.process.stderr:
            if found := re.search(pattern, line):
                return found[found.re.groups]
        raise AssertionError(f"it ended without {pattern}")

    def reload(self, pattern: str) -> str:
        """Let it read the configuration again; wait for a line of the log."""
        self.process.send_signal(signal.SIGHUP)
        return self.wait_log(pattern)


def command(config: Path) -> list[str]:
    words = ["--input", str(RECORDING), "--web.listen-address", "127.0.0.1:0"]
    return [sys.executable, "-m", "kstats", "exporter", *words, "--web.config.file", str(config)]


@contextmanager
def exporting(config: Path) -> Iterator[tuple[Exporter, str]]:
    """Run an exporter; give it and its address."""
    with subprocess.Popen(command(config), stderr=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            exporter = Exporter(process)
            yield exporter, exporter.wait_log(r"msg=listening address=(\S+)")
        finally:
            process.terminate()
            process.communicate(timeout=SECONDS)


def write(config: Path, password: str, certificate: tuple[Path, Path]) -> None:
    hashed = bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()
    config.write_text(
        f"tls_server_config:\n  cert_file: {certificate[0]}\n  key_file: {certificate[1]}\n"
        f"basic_auth_users:\n  prometheus: {hashed}\n"
        "http_server_config:\n  headers:\n    X-Frame-Options: deny\n"
    )


def scrape(address: str, client: ssl.SSLContext, password: str | None) -> tuple[int, str | None]:
    """Return the status of a scrape and the header that is configured."""
    headers = {}
    if password is not None:
        credentials = b64encode(f"prometheus:{password}".encode()).decode()
        headers["Authorization"] = f"Basic {credentials}"
    with closing(HTTPSConnection(address, timeout=SECONDS, context=client)) as connection:
        connection.request("GET", "/metrics", headers=headers)
        response = connection.getresponse()
        assert (b"kvm_cpu_exits_total" in response.read()) == (response.status == HTTPStatus.OK)
        return response.status, response.headers["X-Frame-Options"]


def test_only_the_right_password_is_served_and_sighup_changes_it(tmp_path: Path) -> None:
    authority = Authority.make(tmp_path)
    client = ssl.create_default_context(cafile=authority.path)
    config = tmp_path / "web.yml"
    write(config, "first", authority.issue("host"))
    with exporting(config) as (exporter, address):
        assert scrape(address, client, "first") == (200, "deny")
        assert scrape(address, client, "wrong") == (401, "deny")
        assert scrape(address, client, None) == (401, "deny")

        write(config, "second", authority.issue("host"))
        exporter.reload(r"msg=.web configuration reloaded")
        assert scrape(address, client, "first")[0] == 401
        assert scrape(address, client, "second")[0] == 200

        write(config, "third", authority.issue("host", days=(-3, -2)))
        why = exporter.reload(r"msg=.web configuration not reloaded. reason=(.*) hint=")
        assert "host.crt: the certificate has expired" in why
        assert scrape(address, client, "third")[0] == 401
        assert scrape(address, client, "second")[0] == 200


def test_clients_that_do_not_trust_it_get_nothing(tmp_path: Path) -> None:
    config = tmp_path / "web.yml"
    write(config, "first", Authority.make(tmp_path).issue("host"))
    stranger = ssl.create_default_context()
    with (
        exporting(config) as (_, address),
        pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"),
    ):
        scrape(address, stranger, "first")


def test_an_invalid_configuration_ends_it(tmp_path: Path) -> None:
    config = tmp_path / "web.yml"
    config.write_text("basic_auth_user: {}\n")
    done = subprocess.run(
        command(config), capture_output=True, text=True, check=False, cwd=ROOT, timeout=SECONDS
    )
    assert done.returncode == 2
    message, hint = done.stderr.splitlines()
    assert message == f"kstats: {config}: line 1: unknown key basic_auth_user"
    assert hint.startswith("kstats: hint: docs/web-config.md")
