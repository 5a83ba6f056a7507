"""What can go wrong with an emulated host, one class per fact; they are named after the fact."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class HostError(Exception):
    """Base of everything the harness raises on purpose; `hint` says what to do, or is empty."""

    hint = ""


class UnknownHostError(HostError):
    """No recipe has this name."""

    def __init__(self, name: str, known: Sequence[str]) -> None:
        self.name = name
        super().__init__(f"no host is called {name!r}")
        self.hint = f"known hosts: {', '.join(known)}"


class MissingPackagesError(HostError):
    """Programs or files the harness needs are not installed on this machine."""

    def __init__(self, packages: Sequence[str]) -> None:
        self.packages = tuple(packages)
        super().__init__(f"not installed: {', '.join(packages)}")
        self.hint = f"apt-get install --no-install-recommends {' '.join(packages)}"


class BuildError(HostError):
    """A step of building an image failed; `output` is what the failing program wrote."""

    def __init__(self, step: str, output: str = "", hint: str = "") -> None:
        self.step = step
        self.output = output
        lines = output.strip().splitlines()
        super().__init__(f"{step} failed" + (f": {lines[-1]}" if lines else ""))
        self.hint = hint


class HostLostError(HostError):
    """The host is gone: it crashed, froze, or outlived its deadline. Says nothing about the test.

    `log` holds the last lines of the console.
    """

    def __init__(self, name: str, reason: str, log: str) -> None:
        self.name = name
        self.reason = reason
        self.log = log
        tail = "".join(f"\n  | {line}" for line in log.splitlines()) or " empty"
        super().__init__(f"host {name} lost: {reason}; end of its console log:{tail}")


class CommandTimeoutError(HostError):
    """A command did not end within its time and was killed; the host itself lives on."""

    def __init__(self, command: str, seconds: float, stdout: str, stderr: str) -> None:
        self.command = command
        self.seconds = seconds
        self.stdout = stdout
        self.stderr = stderr
        super().__init__(f"no end after {seconds:.1f} s: {command}{_outputs(stdout, stderr)}")


class RequestError(HostError):
    """The agent could not do what it was asked for, such as reading a file; `text` is its error."""

    def __init__(self, request: str, text: str) -> None:
        self.request = request
        self.text = text
        super().__init__(f"{request}: {text}")


class CommandError(HostError):
    """A command ended with a status other than 0; raised only where the caller asked for it."""

    def __init__(self, command: str, status: int, stdout: str, stderr: str) -> None:
        self.command = command
        self.status = status
        self.stdout = stdout
        self.stderr = stderr
        super().__init__(f"status {status}: {command}{_outputs(stdout, stderr)}")


def _outputs(stdout: str, stderr: str) -> str:
    return f"\n  stdout: {stdout[-2000:]!r}\n  stderr: {stderr[-2000:]!r}"
