"""The kstats command on a made-up host whose programs are really loaded, attached and read.

``python -m tests.cli.loaded``, then the words of ``kstats``. As soon as it counts, exits happen:
:data:`ONES` and :data:`ODD` of two codes, and as many entries as both, on CPU 0. KVM need not
run a guest for that, and need not even be able to. The environment variable OBJECTS is the folder
of prebuilt objects. With CRASHES, the worker that loads them dies of a segmentation fault.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from kstats import arch, doctor
from kstats.cli import live_cpu as counted
from kstats.cli import main
from kstats.collector import live, target
from kstats.collector.feature import Feature
from kstats.collector.target import Target
from kstats.host import Host
from kstats.loader import process
from tests import trees
from tests.collector import kernel
from tests.collector.native import MACHINE, NATIVE

ONES, ODD = 13, 5
ODD_CODE = 0x123


class BusyCollector(live.Collector):
    """Sees exits at once."""

    def __init__(self, target: Target, features: Sequence[Feature]) -> None:
        super().__init__(target, features)
        on_entry, on_exit = (self.loaded.programs[name] for name in ("on_entry", "on_exit"))
        for code in [1] * ONES + [ODD_CODE] * ODD:
            kernel.fire(on_entry)
            kernel.fire(on_exit, 0, code)


def busy_host(root: Path) -> Host:
    """This machine as a host of the architecture that loads everywhere."""
    here = Host()
    folder = "sys/devices/system/cpu"
    paths = (f"{folder}/online", f"{folder}/possible", "proc/self/status")
    files = {path: here.read(path) or "" for path in paths}
    return trees.recorded(root, files | {trees.KVM_IN_SYSFS: ""}, MACHINE)


def crashing() -> tuple[list[str], dict[str, str]]:
    """Return the command of a worker that dies, whatever its arguments are."""
    return ["sh", "-c", "kill -SEGV $$"], {}


if __name__ == "__main__":
    if "CRASHES" in os.environ:
        process.COMMANDS["prebuilt"] = crashing
        process.may_fork = lambda: False
    objects = Path(os.environ["OBJECTS"]) if "OBJECTS" in os.environ else None
    arch.register(NATIVE._replace(objects=objects))
    with tempfile.TemporaryDirectory() as folder:
        host = busy_host(Path(folder))
        for module in (counted, target, doctor):
            vars(module)["Host"] = lambda: host
        vars(counted)["Collector"] = BusyCollector
        sys.exit(main())
