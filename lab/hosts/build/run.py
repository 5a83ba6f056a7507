"""Run the tools of the builder."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from lab.hosts.errors import BuildError

# depmod, mke2fs and debugfs are in sbin, which is not in an ordinary user's PATH.
PATH = os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin"


def which(program: str) -> str | None:
    """Return the path of a program, or None; search /usr/sbin and /sbin, too."""
    return shutil.which(program, path=PATH)


def run(
    words: Sequence[str | Path], *, timeout: float, env: Mapping[str, str] | None = None
) -> str:
    """Run a program to its end and return its stdout.

    Raises:
        BuildError: It is missing, failed, or took longer than `timeout` seconds.
    """
    command = [str(word) for word in words]
    try:
        done = subprocess.run(
            [which(command[0]) or command[0], *command[1:]],
            env={**os.environ, "PATH": PATH, "LC_ALL": "C.UTF-8", **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=True,
        )
    except subprocess.CalledProcessError as error:
        raise BuildError(command[0], error.stderr or error.stdout) from error
    except subprocess.TimeoutExpired as error:
        raise BuildError(command[0], f"timed out after {timeout:g} s") from error
    except OSError as error:
        raise BuildError(command[0], str(error)) from error
    return done.stdout
