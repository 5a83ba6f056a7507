"""How large our programs are: loaded into this machine's kernel for every ISA, attached nowhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import attrs

from kstats import arch as arches
from kstats.arch.base import Arch, ExitSource, Probe
from kstats.collector import bpf, loader, program
from kstats.collector.live import Counting, Target
from kstats.host import Host
from tests.collector.native import LOADS, runnable

VIEWS: Mapping[str, Callable[[Target], Counting]] = {
    "kstats -v": Target.per_cpu,
    "kstats exits": Target.per_thread,
    "kstats vcpu": Target.per_vcpu,
}
"""What each view loads."""


@attrs.frozen
class Size:
    """A program as the kernel sees it.

    Attributes:
        view: Which command it is for.
        isa: Whose exits it decodes.
        probe: How it finds out what an exit was.
        function: Its name.
        verified: Instructions that the verifier went through.
        jited: Bytes of machine code.
    """

    view: str
    isa: str
    probe: str
    function: str
    verified: int
    jited: int


def sizes() -> Iterator[Size]:
    """Every program that a raw tracepoint runs; loads only where this kernel has them."""
    for view, counting in VIEWS.items():
        for arch in (arches.find("x64"), arches.find("arm64")):
            for source in arch.sources:
                for probe in source.probes:
                    if probe.attach == "raw" and (LOADS or not probe.direct):
                        yield from _sizes(view, counting, arch, source, probe)


def load(
    counting: Callable[[Target], Counting], arch: Arch, source: ExitSource, probe: Probe
) -> loader.Loaded:
    """Loads what a view needs for an ISA, with offsets of no kernel, and attaches nothing."""
    chosen = counting(Target(Host(), arch, source, ()))
    define = {source.define: 1} if source.define else {}
    plan = loader.Plan(
        text=program.text(arch, source, chosen.files, chosen.generated),
        defines=chosen.defines | define | {field.define: 128 for field in probe.btf},
        probes=(runnable(probe),),
        btf_modules=(),
        attachments=chosen.attachments,
        maps=chosen.maps,
        attach=False,
    )
    return loader.load(plan, program.headers())


def _sizes(
    view: str,
    counting: Callable[[Target], Counting],
    arch: Arch,
    source: ExitSource,
    probe: Probe,
) -> Iterator[Size]:
    with load(counting, arch, source, probe) as loaded:
        for name, fd in loaded.programs.items():
            info = bpf.program_info(fd)
            yield Size(
                *(view, source.isa, probe.name, name),
                *(info.verified_instructions, info.jited_size),
            )
