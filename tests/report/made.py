"""HTML reports on busy hosts; the VMs have malicious names."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from kstats.model import Sample
from kstats.report.gather import Gathered
from kstats.report.page import html
from kstats.vms.identity import Kind, Thread, Vm
from tests.samples import MOMENT
from tests.views.hosts import happened, number

HOSTILE = (
    "<script>document.title = 'taken over'</script>",
    "<img src=x onerror=\"document.title = 'taken over'\">",
    '"><svg onload="document.title=\'taken over\'">',
    "' onmouseover='document.title=1",
    "</style></title><script>alert(1)</script>",
    "{{ 7 * 7 }}{% raw %}",
    "javascript:alert(1)",
    "\x1b[31m\x00\u202e$x_1^2$&amp;",
)
CODES = {
    "vmx": [12, 48, 30, 10, 32, 1, 0x99],
    "arm64": [1, 0x24, 0x18, 0x16, 1 << 32],
}


def busy(arch: str = "x64", isa: str = "vmx", count: int = 90) -> Iterator[Sample]:
    """Yield one sample per second of a host with four CPUs and a VM for each hostile name."""
    vms = [Vm(100 * i, 1, Kind.QEMU, name) for i, name in enumerate(HOSTILE, 1)]
    threads = {number(vm.pid + 1, vm.pid): Thread(vm.pid + 1, vm.pid, 0, vm) for vm in vms}
    for second in range(count):
        exits = {
            (isa, code): {
                (i % 4, thread): (50 + 7 * i + second % 10) * (k + 1)
                for i, thread in enumerate(threads)
            }
            for k, code in enumerate(CODES[isa])
        }
        yield happened(
            exits,
            threads,
            arch=arch,
            cpus=(0, 1, 2, 3),
            time=MOMENT + second,
            notes=(HOSTILE[0],) if second == 0 else (),
        )


def gathered(label: str, samples: Iterator[Sample], **facts: str) -> Gathered:
    """Return a recording of the samples."""
    one = Gathered(label, facts)
    one.add(samples)
    return one


@cache
def one() -> str:
    """Return the report on one recording."""
    return html([gathered(HOSTILE[1], busy(), host=HOSTILE[0], CPU=HOSTILE[4])])


@cache
def several() -> str:
    """Return the report on an Intel host, an ARM64 host and a recording without samples."""
    return html(
        [
            gathered(HOSTILE[0], busy(), host=HOSTILE[2]),
            gathered("arm64", busy("arm64", "arm64", 30)),
            gathered("$nothing$", iter(())),
        ]
    )
