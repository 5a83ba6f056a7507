"""What is sent to an engine, and servers that do not answer like one."""

from __future__ import annotations

import json
import socket
import threading
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from kstats.cli import main


class Server(ThreadingHTTPServer):
    """A server that gives every request the same answer, and keeps what it was sent."""

    def __init__(self, status: int, body: str, **headers: str) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answer = (status, body, headers)
        self.seen: list[Message] = []

    @property
    def source(self) -> str:
        """Its address for kstats compare."""
        return f"prom+http://127.0.0.1:{self.server_port}?match={{}}&range=1m"


class Handler(BaseHTTPRequestHandler):
    """Gives the answer of its server."""

    server: Server

    def do_GET(self) -> None:
        """Give the answer."""
        self.server.seen.append(self.headers)
        status, body, headers = self.server.answer
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        """Write nothing."""


def asked(
    capsys: pytest.CaptureFixture[str], server: Server, *options: str
) -> tuple[int, list[str]]:
    """Let kstats compare read from a server; return its status and complaints."""
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        status = main(["compare", server.source, *options])
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    return status, capsys.readouterr().err.splitlines()


EMPTY = json.dumps({"status": "success", "data": {"resultType": "vector", "result": []}})


INFO = json.dumps(
    {
        "status": "success",
        "data": {
            "resultType": "vector",
            "result": [{"metric": {"isa": "svm"}, "value": [0, "NaN"]}],
        },
    }
)
"""An answer with an invalid number. As an answer to the next query, it has the wrong type."""


def test_what_a_request_carries(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A tenant, and a token that is in a file: other users see command lines."""
    (tmp_path / "token").write_text("s3cret\n")
    server = Server(200, EMPTY)
    options = ["--header", "X-Scope-OrgID: team-a", "--bearer-token-file", str(tmp_path / "token")]
    status, complaints = asked(capsys, server, *options)
    assert status == 7
    assert "no host matches {}" in complaints[0]
    (headers,) = server.seen
    assert headers["X-Scope-OrgID"] == "team-a"
    assert headers["Authorization"] == "Bearer s3cret"


def test_a_redirect_does_not_get_the_token(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("s3cret\n")
    thief = Server(200, EMPTY)
    with thief:
        server = Server(307, "", Location=thief.source.removeprefix("prom+"))
        status, complaints = asked(capsys, server, "--bearer-token-file", str(tmp_path / "token"))
    assert status == 7
    assert "redirects to http://127.0.0.1" in complaints[0]
    assert thief.seen == []


@pytest.mark.parametrize(
    ("status", "body", "complaint"),
    [
        (401, "", "401 Unauthorized"),
        (403, "", "403 Forbidden"),
        (404, "", "404 Not Found"),
        (200, "<html>", "this is not the HTTP API of Prometheus"),
        (200, "[]", "this is not the HTTP API of Prometheus"),
        (200, '{"status": "success", "data": null}', "this is not the HTTP API of Prometheus"),
        (200, "[" * 100_000, "this is not the HTTP API of Prometheus"),
        (200, INFO, "this is not the HTTP API of Prometheus"),
        (200, EMPTY.replace("vector", "matrix"), "this is not the HTTP API of Prometheus"),
        (
            200,
            '{"status": "success", "warnings": ["store down"], "data": {}}',
            "incomplete answer: store down",
        ),
        (503, '{"status": "error", "error": "no\\u001b[2J memory"}', r": no\x1b[2J memory"),
    ],
)
def test_servers_that_give_no_samples(
    status: int, body: str, complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, complaints = asked(capsys, Server(status, body))
    assert code == 7
    assert complaint in complaints[0]


def test_nobody_listens(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    assert main(["compare", f"prom+http://127.0.0.1:{port}?match={{}}"]) == 7
    line, hint = capsys.readouterr().err.splitlines()
    assert line == f"kstats: http://127.0.0.1:{port}: no answer: Connection refused"
    assert hint == "kstats: hint: check host and port of the address"


@pytest.mark.parametrize("text", ["", "two\nlines\n", "café\n"])
def test_a_file_that_is_no_token(
    text: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "token").write_text(text)
    words = ["compare", "prom+http://h?match={}", "--bearer-token-file", str(tmp_path / "token")]
    assert main(words) == 2
    assert "is not one line of ASCII" in capsys.readouterr().err


def test_metrics_have_no_reasons_by_cpu(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "--by", "cpu", "prom+http://h?match={}"]) == 2
    assert "no reasons by CPU" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--header=a:b", "--ca-file=x", "--basic-auth-file=x"])
def test_credentials_need_an_engine(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", "x.jsonl", option]) == 2
    assert f"{option.partition('=')[0]} needs a source like prom+http" in capsys.readouterr().err
