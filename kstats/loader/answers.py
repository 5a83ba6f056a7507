"""How the worker fails: an answer for the parent. Standard library only."""

from __future__ import annotations


class Refusal(Exception):  # noqa: N818 - an answer, not an error of this process
    """Why nothing was loaded.

    Attributes:
        answer: The name of a class in kstats.errors, its text and its hint.
        log: What the verifier printed.
    """

    def __init__(self, kind: str, message: str, hint: str = "", log: str = "") -> None:
        super().__init__(message)
        self.log = log
        self.answer = {"error": kind, "message": message, "hint": hint}


class LoaderUnavailable(Exception):  # noqa: N818 - same
    """Why this loader cannot load the program here. Another one may be able to.

    Attributes:
        answer: The reason and a hint.
        log: What libbpf and the verifier printed.
    """

    def __init__(self, why: str, hint: str = "", log: str = "") -> None:
        super().__init__(why)
        self.log = log
        self.answer = {"unavailable": why, "hint": hint}
