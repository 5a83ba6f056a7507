"""The header of a recording."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol

import attrs

import kstats
from kstats import arch as arches
from kstats.arch.base import Arch, ExitSource, Isa
from kstats.escape import printable

if TYPE_CHECKING:
    from kstats.host import Host  # only recording needs it

FORMAT = "kstats recording"
VERSION = 1
READABLE = frozenset({1})
"""The versions that can be read: every released one."""


@attrs.frozen
class Machine:
    """The host that was recorded.

    Attributes:
        name: Its host name.
        kernel: The kernel's release, ``uname -r``.
        machine: ``uname -m``.
        cpu_model: The CPU's name for people; empty if unknown.
        boot_id: The kernel's random ID of this boot, the same in all recordings of one boot.
        cpus: The number of CPUs that can be online.
    """

    name: str = ""
    kernel: str = ""
    machine: str = ""
    cpu_model: str = ""
    boot_id: str = ""
    cpus: int = 0

    @classmethod
    def of(cls, host: Host) -> Machine:
        """Return the facts about ``host``."""
        return cls(
            name=host.name(),
            kernel=host.kernel(),
            machine=host.machine,
            cpu_model=host.cpu_model(),
            boot_id=host.read("proc/sys/kernel/random/boot_id") or "",
            cpus=len(host.possible_cpus()),
        )


@attrs.frozen
class Clock:
    """The clocks at the start of the recording, in seconds.

    ``time`` is of :data:`time.CLOCK_REALTIME`, as the time of every sample; ``monotonic`` of
    :data:`time.CLOCK_MONOTONIC`, as what has elapsed: it stands still while a host is suspended.
    """

    time: float
    monotonic: float

    @classmethod
    def now(cls) -> Clock:
        """Return both clocks now."""
        return cls(time.time(), time.monotonic())


@attrs.frozen
class IsaTable:
    """The table of an ISA as the recording kstats knew it; codes are recorded by number.

    ``digest`` is the same if every name, column and category is the same.
    """

    name: str
    title: str
    reasons: int
    digest: str

    @classmethod
    def of(cls, isa: Isa) -> IsaTable:
        """Return the table of ``isa``."""
        import hashlib  # noqa: PLC0415 - loads OpenSSL, which reading does not need

        known = sorted((r.code, r.name, r.column, str(r.category)) for r in isa.reasons.values())
        digest = hashlib.sha256(repr(known).encode()).hexdigest()[:16]
        return cls(isa.name, isa.title, len(known), digest)


@attrs.frozen
class Header:
    """The first line of a recording.

    Attributes:
        arch: Name of the host's architecture.
        clock: When recording began.
        host: What was recorded.
        isas: The ISAs whose exits were counted.
        kstats: Version of the kstats that recorded.
        interval: Requested seconds between samples; None without an interval.
        counted: What was counted: ``entries``, ``exits``, ``threads`` (exits by thread),
            ``msr details``, ``msr latency`` and so on. What is not among them was not looked at;
            it is not zero.
    """

    arch: str
    clock: Clock
    host: Machine = Machine()
    isas: tuple[IsaTable, ...] = ()
    kstats: str = kstats.__version__
    interval: float | None = None
    counted: tuple[str, ...] = ("entries", "exits")

    @property
    def subject(self) -> tuple[str, str, frozenset[str]]:
        """Host, architecture and ISAs: they are the same in all headers of a recording."""
        return self.host.name, self.arch, frozenset(isa.name for isa in self.isas)

    @property
    def subject_text(self) -> str:
        """The same for people, on one line."""
        isas = " ".join(isa.name for isa in self.isas) or self.arch
        return printable(f"{self.host.name or 'a host without a name'} ({isas})")


def describe(
    host: Host,
    arch: Arch | str,
    isas: Iterable[str] = (),
    *,
    interval: float | None = None,
    counted: Iterable[str] = ("entries", "exits"),
) -> Header:
    """Return the header of a recording of ``host`` that starts now."""
    return Header(
        arch=arch if isinstance(arch, str) else arch.name,
        clock=Clock.now(),
        host=Machine.of(host),
        isas=tuple(IsaTable.of(arches.isa(name)) for name in isas),
        interval=interval,
        counted=tuple(counted),
    )


class Target(Protocol):
    """Where exits are counted."""

    @property
    def host(self) -> Host:
        """The host."""

    @property
    def arch(self) -> Arch:
        """Its architecture."""

    @property
    def source(self) -> ExitSource:
        """The ISA that its KVM counts exits of."""


class Counter(Protocol):
    """Something that counts on a host, such as :class:`kstats.collector.live.Collector`."""

    @property
    def target(self) -> Target:
        """Where it counts."""

    @property
    def counted(self) -> tuple[str, ...]:
        """What it counts: see :class:`Header`."""


def header_of(collector: Counter, interval: float | None = None) -> Header:
    """Return the header of a recording of what ``collector`` counts.

    ``interval`` is the requested time between samples in seconds, if there is one.
    """
    target = collector.target
    isas = [target.source.isa]
    return describe(target.host, target.arch, isas, interval=interval, counted=collector.counted)
