"""Boot a recipe."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from pathlib import Path

from lab.hosts import cache, images, needs, process
from lab.hosts.build.image import make_image
from lab.hosts.channel import Channel
from lab.hosts.errors import HostLostError
from lab.hosts.host import Host, tail
from lab.hosts.initrd import write_initrd
from lab.hosts.machines import Boot, Images, Running
from lab.hosts.machines.base import CONSOLE_LOG, MACHINE_LOG
from lab.hosts.progress import say
from lab.hosts.recipes import Recipe

PREFIX = "kstats-host-"


def boot(recipe: Recipe, payload: Path | None = None) -> Host:
    """Boot a host; build its images if they are missing.

    The emulator is killed when the calling thread ends.

    Args:
        recipe: See `recipes.find`.
        payload: A directory to copy into the host as /payload, read-only. Its `bin` is added to
            PATH there, its `site` to PYTHONPATH.

    Returns:
        The host; use it in a `with` statement.

    Raises:
        MissingPackagesError: A program is not installed on this machine.
        BuildError: An image could not be built.
        HostLostError: The host did not start.
    """
    needs.check(recipe.machine)
    parts = images.build(recipe)
    directory = _directory(recipe.name)
    try:
        say(f"booting {recipe.name}")
        running = recipe.machine.start(_prepare(recipe, parts, payload, directory))
    except BaseException:
        shutil.rmtree(directory, ignore_errors=True)
        raise
    return _wait_ready(recipe, running, directory)


def _directory(name: str) -> Path:
    """Create a directory for one start; remove those left by processes that were killed."""
    for old in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        pid = old.name.removeprefix(PREFIX).partition("-")[0]
        if pid.isdigit() and not Path("/proc", pid).exists():
            shutil.rmtree(old, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-{name}-"))


def _prepare(recipe: Recipe, parts: Images, payload: Path | None, directory: Path) -> Boot:
    initrd = directory / "initrd"
    write_initrd(initrd, recipe, parts, payload=payload is not None)
    image = None
    if payload is not None:
        image = directory / "payload.img"
        make_image(payload, image, label="kstats-payload")
    return Boot(parts, initrd, image, recipe.cpus, recipe.memory, directory)


def _wait_ready(recipe: Recipe, running: Running, directory: Path) -> Host:
    """Wait until the agent answers."""

    def end(reason: str) -> HostLostError:
        return _shut_down(recipe.name, reason, running, directory)

    until = time.monotonic() + recipe.deadline
    pidfd = os.pidfd_open(running.process.pid)
    channel = Channel(running.channel, pidfd, until, end)
    try:
        host = Host(
            recipe.name,
            channel,
            boot_deadline=recipe.boot_deadline,
            command_deadline=recipe.command_deadline,
        )
    except BaseException:
        channel.abandon("its boot was interrupted")
        raise
    say(f"{recipe.name} is up after {host.boot_seconds:.1f} s: Linux {host.kernel}")
    return host


def _shut_down(name: str, reason: str, running: Running, directory: Path) -> HostLostError:
    """Kill the emulator, keep the console log, remove other files; return the error to raise."""
    status = running.process.poll()
    if status is not None:
        reason += f" (the emulator exited with status {status})"
    process.kill(running.process)
    for fd in running.held:
        os.close(fd)
    logs = cache.directory() / "logs"
    with contextlib.suppress(OSError):
        logs.mkdir(parents=True, exist_ok=True)
        shutil.copy(directory / CONSOLE_LOG, logs / f"{name}.log")
    log = f"{tail(directory / MACHINE_LOG, 10)}\n{tail(directory / CONSOLE_LOG, 40)}"
    shutil.rmtree(directory, ignore_errors=True)
    return HostLostError(name, reason, log.strip())
