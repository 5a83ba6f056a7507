"""The command line of the emulated hosts: list, build, shell and run.

`run` and `shell` exit with the status of the command; with 128 plus the signal's number if a signal
ended it; with 124 if it timed out; with 125 if the host could not be booted or was lost.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from lab.hosts import cache, images, needs
from lab.hosts.boot import boot
from lab.hosts.errors import BuildError, CommandTimeoutError, HostError
from lab.hosts.recipes import BY_NAME, RECIPES, Recipe, find
from lab.hosts.terminal import interact

TIMEOUT = 124
NO_HOST = 125
SIGNALLED = 128
MEBIBYTE = 1 << 20
HEADINGS: tuple[str, ...] = ("HOST", "MACHINE", "KERNEL", "CPUS", "MEMORY", "IMAGES", "SIZE")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m lab.hosts",
        description="Emulated KVM hosts: real kernels on emulated hardware, to run kstats in.",
        epilog="Images are cached in .cache/hosts, or in the directory KSTATS_HOSTS_CACHE. "
        "Packages come from this machine's Debian mirror, or from KSTATS_HOSTS_MIRROR.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    listing = commands.add_parser("list", help="list the hosts and the state of their images")
    listing.set_defaults(function=_list)
    build = commands.add_parser("build", help="build missing images")
    build.add_argument("host", nargs="*", help="hosts to build (default: those of make test)")
    build.set_defaults(function=_build)
    shell = commands.add_parser("shell", help="boot a host and open a shell in it")
    _add_host(shell)
    shell.set_defaults(function=_shell)
    run = commands.add_parser(
        "run",
        help="boot a host and run one command in it",
        epilog=f"Exits with the status of the command; with {SIGNALLED} plus the signal's number "
        f"if a signal ended it; with {TIMEOUT} if it timed out; with {NO_HOST} if the host could "
        "not be built or booted, or was lost.",
    )
    _add_host(run)
    run.add_argument("--timeout", type=float, metavar="S", help="seconds that the command may take")
    run.add_argument("command", nargs="+", metavar="COMMAND", help="the command's words, after --")
    run.set_defaults(function=_run)
    return parser


def _add_host(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("host", metavar="HOST", help=f"one of: {', '.join(BY_NAME)}")
    parser.add_argument(
        "--payload", type=_directory, metavar="DIR", help="directory to copy in as /payload"
    )


def _directory(text: str) -> Path:
    path = Path(text)
    if not path.is_dir():
        raise argparse.ArgumentTypeError(f"{text} is not a directory")
    return path


def _list(_arguments: argparse.Namespace) -> int:
    rows = [HEADINGS, *map(_row, BY_NAME.values())]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print("  ".join(map(str.ljust, row, widths)).rstrip())
    return 0


def _row(recipe: Recipe) -> tuple[str, ...]:
    entries = images.entries(recipe)
    built = [path for path in entries if path.exists()]
    state = "built" if built == entries else "partly" if built else "not built"
    size = sum(map(cache.size, built))
    return (
        recipe.name,
        str(recipe.machine),
        f"{recipe.kernel.suite} {recipe.kernel.package}",
        str(recipe.cpus),
        f"{recipe.memory} MiB",
        state,
        f"{size // MEBIBYTE} MiB" if size else "-",
    )


def _build(arguments: argparse.Namespace) -> int:
    for recipe in [find(name) for name in arguments.host] or RECIPES:
        needs.check(recipe.machine)
        images.build(recipe)
    return 0


def _shell(arguments: argparse.Namespace) -> int:
    recipe = find(arguments.host)
    with boot(recipe, arguments.payload) as host:
        return _status(interact(host, ["/bin/sh", "-l"], timeout=recipe.deadline))


def _run(arguments: argparse.Namespace) -> int:
    streams = {"stdout": sys.stdout.buffer, "stderr": sys.stderr.buffer}

    def show(stream: str, data: bytes) -> None:
        streams[stream].write(data)
        streams[stream].flush()

    with boot(find(arguments.host), arguments.payload) as host:
        result = host.run(arguments.command, timeout=arguments.timeout, sink=show)
    return _status(result.status)


def _status(status: int) -> int:
    return status if status >= 0 else SIGNALLED - status


def main(words: Sequence[str] | None = None) -> int:
    """Run the command line, by default that of sys.argv, and return the exit status."""
    arguments = _parser().parse_args(words)
    # Exit through the finally clauses, which remove temporary files.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(SIGNALLED + number))
    try:
        status: int = arguments.function(arguments)
    except HostError as error:
        _complain(error)
        return TIMEOUT if isinstance(error, CommandTimeoutError) else NO_HOST
    except KeyboardInterrupt:
        return SIGNALLED + signal.SIGINT
    return status


def _complain(error: HostError) -> None:
    if isinstance(error, BuildError) and error.output.count("\n") > 1:
        print(error.output.rstrip(), file=sys.stderr)
    print(f"error: {error}", file=sys.stderr)
    if error.hint:
        print(f"hint: {error.hint}", file=sys.stderr)
