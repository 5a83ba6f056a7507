"""``kstats vcpu``: kvmstat's columns for each vCPU."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import attrs

from kstats import arch as arches
from kstats.arch.kvmstat import Rule
from kstats.cli import options, thread_options, view_options
from kstats.cli.session import Session, Source
from kstats.cli.thread_options import ThreadOptions
from kstats.cli.view_options import Wanted
from kstats.views.vcpu import Options, VcpuView

_BPF, _KERNEL = "bpf", "kernel"
_NEEDS = {_BPF: ("threads",), _KERNEL: ("counters",)}
"""What a recording must have to be shown as if from each source."""

_DESCRIPTION = """\
  kstats vcpu                     every second until ^C
  kstats vcpu 5                   every five seconds
  kstats vcpu 1 10                ten reports, one per second
"""

EPILOG = """\
sources: bpf counts while kstats runs, for every VMM. kernel reads the counters that KVM keeps for
every vCPU anyway (Linux 5.14 and later): it costs the guests nothing, but the VMM must have opened
the counters, as QEMU does since 8.1; the vCPUs of other VMMs show -.

An idle vCPU shows zeros. If all vCPUs of a VM stay at zero, its guest may have panicked.
Exit status: see kstats --help.
"""


@attrs.frozen(kw_only=True)
class VcpuOptions(ThreadOptions):
    """The options of ``kstats vcpu`` and ``kvmstat``; ``source`` is what counts."""

    source: str = _BPF
    nonzero: bool = False
    total: bool = False


def columns_help() -> str:
    """Return what each column means on every architecture."""
    return "\n\n".join(_columns_help())


def _columns_help() -> Iterator[str]:
    for arch in arches.arches():
        for isa in arch.isas:
            if isa.name in arch.kvmstat:
                lines = [f"  {line}" for line in _meanings(arch.kvmstat[isa.name])]
                yield "\n".join([f"columns on {isa.title}:", *lines])


def _meanings(rules: Sequence[Rule]) -> Iterator[str]:
    """Yield what each column counts; on a second line how KVM's own counter differs."""
    for rule in rules:
        here = rule.is_counted or rule.stats
        yield f"{rule.column:<6} {rule.meaning}" if here else f"{rule.column:<6} -: {rule.meaning}"
        if here and (rule.differs or rule.not_kept):
            yield f"{'':6} --source kernel: {rule.differs or f'-: {rule.not_kept}'}"


def parser() -> options.Parser:
    """Return the command line of ``kstats vcpu``."""
    p = options.Parser.of("vcpu", "[interval [count]]", _DESCRIPTION, EPILOG, columns_help)
    add_arguments(p)
    thread_options.add_pid(p)
    thread_options.add_vm(p)
    p.add_argument("--nonzero", action="store_true", help="only vCPUs that did something")
    p.add_argument("--total", action="store_true", help="add a row with the sums")
    view_options.add_arguments(p)
    return p


def add_arguments(p: options.Parser) -> None:
    """Add the operands and the source."""
    options.add_interval_arguments(p)
    text = f"what counts (default {_BPF})"
    p.add_argument("--source", choices=(_BPF, _KERNEL), default=_BPF, help=text)


def run(words: list[str]) -> int:
    """Run ``kstats vcpu``; return the exit status."""
    return watch(parser().parse(words, VcpuOptions))


def watch(wanted: VcpuOptions) -> int:
    """Show vCPUs as the options of ``kstats vcpu`` say; return the exit status."""
    view = VcpuView(Options(nonzero=wanted.nonzero, total=wanted.total, rate=wanted.rate))
    of_recording = Wanted(_NEEDS[wanted.source], wanted.threads)
    with Session.open(wanted, lambda: _collect(wanted), of_recording) as session:
        session.show(view)
    return 0


def _collect(wanted: VcpuOptions) -> Source:
    from kstats.cli import live  # noqa: PLC0415 - recordings do not need it

    return live.vcpus(wanted, kernel=wanted.source == _KERNEL)
