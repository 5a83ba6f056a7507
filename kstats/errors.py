"""Errors: one class per kind of failure, each with its exit status and a hint.

The command line prints ``str(error)`` and ``error.hint`` on one line each and exits with
``error.status``; the table of statuses is in ``kstats --help`` and docs/output.md.
This module imports nothing: every command pays for it.
"""

from __future__ import annotations


class KstatsError(Exception):
    """Base of every error that is not a bug in kstats.

    ``status`` is the exit status of a command that ends with it; ``hint`` says in one line what
    to do, and may be empty.
    """

    status = 1
    hint: str = ""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        if hint:
            self.hint = hint


class UsageError(KstatsError):
    """The command line is invalid."""

    status = 2


class PrivilegeError(KstatsError):
    """Privileges are missing."""

    status = 3


class UnsupportedHostError(KstatsError):
    """This host cannot show VM exits: no KVM, or an unknown architecture or vendor module."""

    status = 4


class LoadError(KstatsError):
    """The BPF program could not be compiled, loaded or attached.

    ``log`` is the output of the compiler or of the verifier, possibly many lines.
    """

    status = 5

    def __init__(self, message: str, hint: str = "", log: str = "") -> None:
        super().__init__(message, hint)
        self.log = log

    @property
    def complaint(self) -> str:
        """Return the most useful line of ``log``: clang's first error, or the verifier's last."""
        lines = self.log.splitlines()
        said = [line for line in lines if not line.startswith("processed ")]
        return next((line for line in lines if " error: " in line), (said or [""])[-1])


class OutputError(KstatsError):
    """Standard output cannot be written; ``reason`` is the system's message."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"cannot write to standard output: {reason}")


class BackendError(KstatsError):
    """An architecture backend breaks the contract or cannot be imported."""

    status = 6


class UnknownNameError(KstatsError, LookupError):
    """No architecture or ISA has this name."""

    status = 2

    def __init__(self, kind: str, name: str, known: tuple[str, ...]) -> None:
        self.kind = kind
        self.name = name
        self.known = known
        super().__init__(f"unknown {kind} {name!r}", f"known: {', '.join(known)}")


class RecordingError(KstatsError):
    """A recording cannot be read or written; ``line`` is the number of a faulty line."""

    status = 7

    def __init__(self, path: str, why: str, hint: str = "", line: int | None = None) -> None:
        self.path = path
        self.line = line
        where = path if line is None else f"{path}: line {line}"
        super().__init__(f"{where}: {why}", hint)


class MissingLibraryError(KstatsError):
    """A Python library is not installed.

    ``package`` is its name in Debian, without ``python3-``.
    """

    status = 7

    def __init__(self, library: str, purpose: str, package: str, extra: str = "") -> None:
        self.library = library
        pip = f"pip install '{extra or library}'"
        super().__init__(
            f"{purpose} needs the Python library {library}, which is not installed",
            f"apt install python3-{package}, or {pip}",
        )
