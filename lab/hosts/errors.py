"""Errors of the emulated hosts."""

from __future__ import annotations

from collections.abc import Sequence


class HostError(Exception):
    """Base of all errors of the harness; `hint` says what to do, or is empty."""

    hint = ""


class UnknownHostError(HostError):
    """There is no recipe with this name."""

    def __init__(self, name: str, known: Sequence[str]) -> None:
        self.name = name
        super().__init__(f"unknown host {name!r}")
        self.hint = f"known hosts: {', '.join(known)}"


class MissingPackagesError(HostError):
    """Programs or files that the harness needs are not installed."""

    def __init__(self, packages: Sequence[str]) -> None:
        self.packages = tuple(packages)
        super().__init__(f"not installed: {', '.join(packages)}")
        self.hint = f"apt-get install --no-install-recommends {' '.join(packages)}"


class BuildError(HostError):
    """A build step failed; `output` is that of the failed program."""

    def __init__(self, step: str, output: str = "", hint: str = "") -> None:
        self.step = step
        self.output = output
        lines = output.strip().splitlines()
        super().__init__(f"{step} failed" + (f": {lines[-1]}" if lines else ""))
        self.hint = hint


class HostLostError(HostError):
    """The host crashed, hung, or passed its deadline; `log` is the end of its console log."""

    def __init__(self, name: str, reason: str, log: str) -> None:
        self.name = name
        self.reason = reason
        self.log = log
        tail = "".join(f"\n  | {line}" for line in log.splitlines()) or " empty"
        super().__init__(f"host {name} lost: {reason}; end of its console log:{tail}")


class CommandTimeoutError(HostError):
    """A command did not end in time and was killed; the host still works."""

    def __init__(self, command: str, seconds: float, stdout: str, stderr: str) -> None:
        self.command = command
        self.seconds = seconds
        self.stdout = stdout
        self.stderr = stderr
        super().__init__(f"timed out after {seconds:.1f} s: {command}{_outputs(stdout, stderr)}")


class RequestError(HostError):
    """The agent could not read or write a file; `text` is its error."""

    def __init__(self, request: str, text: str) -> None:
        self.request = request
        self.text = text
        super().__init__(f"{request}: {text}")


class CommandError(HostError):
    """A command ended with a status other than 0; raised only by `check` and `wait_…`."""

    def __init__(self, command: str, status: int, stdout: str, stderr: str) -> None:
        self.command = command
        self.status = status
        self.stdout = stdout
        self.stderr = stderr
        super().__init__(f"exit status {status}: {command}{_outputs(stdout, stderr)}")


def _outputs(stdout: str, stderr: str) -> str:
    return f"\n  stdout: {stdout[-2000:]!r}\n  stderr: {stderr[-2000:]!r}"
