"""The worker: loads and attaches one program, hands over its descriptors, and ends.

It is a separate process so that the memory of the kernel's types and of the compiler is freed, so
that the output of the compiler and the verifier can be captured, and so that only the parent keeps
the program alive: when the parent ends, in whatever way, the kernel detaches the program.

It uses the standard library and, for the loader ``bcc``, bcc: it may run under the distribution's
Python while kstats is installed for another one. It reads a plan as JSON from standard input (see
:class:`kstats.loader.wire.Plan`), and sends the answer as JSON, with the descriptors, to a Unix
socket.
"""

from __future__ import annotations

import errno
import json
import os
import re
import resource
import socket
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from typing import Any, NoReturn, Protocol

from kstats.loader import kfunc, libbpf, prebuilt, syscall
from kstats.loader.answers import LoaderUnavailable, Refusal
from kstats.loader.btf import Btf, NoBtfError
from kstats.loader.wire import Attachment, Field, Plan, Probe, RecordField

TRACEFS = ("/sys/kernel/tracing", "/sys/kernel/debug/tracing")
_EXIT = "kvm_exit"

# include/uapi/linux/capability.h
_SYS_ADMIN = 1 << 21
_BPF_AND_PERFMON = 1 << 39 | 1 << 38


class Unavailable(Exception):  # noqa: N818 - same
    """Why this kernel does not support a probe."""


def exit_args() -> int:
    """Return the number of arguments of kvm_exit. Where bpf(2) is forbidden, this fails first."""
    try:
        return syscall.raw_tracepoint_args(_EXIT, detach=False)
    except PermissionError as error:
        raise forbidden(error) from error
    except FileNotFoundError as error:
        raise Refusal(
            "UnsupportedHostError",
            "this kernel has no kvm_exit tracepoint: the kvm module is not loaded",
            "load KVM: modprobe kvm_intel, or modprobe kvm_amd",
        ) from error
    except OSError as error:
        if error.errno not in (errno.ENOSYS, errno.EINVAL):
            raise
        if error.errno == errno.ENOSYS and syscalls_are_filtered():
            raise forbidden(error) from error
        raise Refusal(
            "UnsupportedHostError",
            f"this kernel cannot run raw tracepoint programs: {error.strerror}",
            "Linux 4.17 or later with CONFIG_BPF_SYSCALL and CONFIG_BPF_EVENTS is needed",
        ) from error


def forbidden(error: OSError) -> Refusal:
    """Return why bpf(2) is forbidden: capabilities are missing, or there is a seccomp filter."""
    if not may_load():
        message, hint = (
            "loading BPF programs is not permitted",
            "run as root, or with CAP_BPF and CAP_PERFMON",
        )
    elif syscalls_are_filtered():
        message = f"a seccomp filter forbids the system call bpf: {error.strerror}"
        hint = "allow bpf and perf_event_open in the seccomp profile of the container or service"
    else:
        message = "loading BPF programs is not permitted, although the capabilities are held"
        hint = "run outside of user namespaces; if a security module forbids it, see its audit log"
    return Refusal("PrivilegeError", message, hint)


def may_load() -> bool:
    """Return whether this process has the capabilities to load tracing programs."""
    held = int(_own_status("CapEff"), 16)
    return bool(held & _SYS_ADMIN) or held & _BPF_AND_PERFMON == _BPF_AND_PERFMON


def syscalls_are_filtered() -> bool:
    """Return whether this process has a seccomp filter (SECCOMP_MODE_FILTER)."""
    return _own_status("Seccomp") == "2"


def _own_status(name: str) -> str:
    """Return a field of /proc/self/status (proc_pid_status(5)); ``0`` if the kernel lacks it."""
    with open("/proc/self/status", encoding="utf-8") as file:  # noqa: PTH123 - start-up time
        fields = dict(line.split(":", 1) for line in file)
    return fields.get(name, "0").strip()


def lacking(attachment: Attachment) -> str:
    """Return why an optional attachment is left out; empty if it is possible, or required."""
    tracepoint, at_least = attachment.tracepoint, attachment.at_least
    if at_least is None:
        return ""
    try:
        args = syscall.raw_tracepoint_args(tracepoint)
    except FileNotFoundError:
        return f"this kernel has no tracepoint {tracepoint}"
    return "" if args >= at_least else f"{tracepoint} has {args} arguments here, not {at_least}"


def record_offsets(fields: list[RecordField]) -> dict[str, int]:
    """Return the offsets of the classic record's fields, from the event's format file."""
    format_text = _read_event(f"kvm/{_EXIT}/format")
    offsets = dict(re.findall(r"field:[^;]*\b(\w+);\s*offset:(\d+);", format_text))
    missing = [f.field for f in fields if f.field not in offsets]
    if missing:
        raise Unavailable(f"the kvm_exit record has no field {', '.join(missing)}")
    return {f.define: int(offsets[f.field]) for f in fields}


def _read_event(name: str) -> str:
    for tracefs in TRACEFS:
        path = f"{tracefs}/events/{name}"
        try:
            with open(path, encoding="utf-8") as file:  # noqa: PTH123 - start-up time
                return file.read()
        except FileNotFoundError:
            continue
        except PermissionError as error:
            raise Unavailable(f"{path} may not be read") from error
    raise Unavailable("tracefs is not mounted (mount -t tracefs nodev /sys/kernel/tracing)")


def btf_offsets(btf: Btf, fields: list[Field]) -> dict[str, int]:
    """Return the offsets of struct members, each by its first path that exists."""
    return {field.define: _first_offset(btf, field.paths) for field in fields}


def _first_offset(btf: Btf, paths: list[str]) -> int:
    reasons = []
    for path in paths:
        try:
            return btf.offset(path)
        except NoBtfError as error:
            reasons.append(str(error))
    raise Unavailable("; ".join(reasons))


def probe_numbers(probe: Probe, args: int, open_btf: Callable[[], Btf]) -> dict[str, int]:
    """Return the numbers of this host that the C needs to read exits by a probe.

    Raises:
        Unavailable: The kernel does not support it.
    """
    if probe.attach == "raw" and probe.args != args:
        raise Unavailable(f"kvm_exit has {args} arguments here, not {probe.args}")
    numbers: dict[str, int] = {}
    try:
        if probe.btf:
            numbers |= btf_offsets(open_btf(), probe.btf)
        if probe.direct:
            numbers |= kfunc.numbers(open_btf())
    except (NoBtfError, kfunc.NoCastError) as error:
        raise Unavailable(str(error)) from error
    if probe.record:
        numbers |= record_offsets(probe.record)
    return numbers


def choose(
    probes: list[Probe], args: int, open_btf: Callable[[], Btf]
) -> tuple[Probe, dict[str, int], list[list[str]]]:
    """Return the first probe that this kernel supports, its numbers, and why not those before."""
    rejected: list[list[str]] = []
    for probe in probes:
        try:
            return probe, probe_numbers(probe, args, open_btf), rejected
        except Unavailable as why:
            rejected.append([probe.name, str(why)])
    listed = "; ".join(f"{name}: {why}" for name, why in rejected)
    raise Refusal("UnsupportedHostError", f"this kernel offers no way to read exits: {listed}")


def common_offsets(fields: list[Field], open_btf: Callable[[], Btf]) -> dict[str, int]:
    """Return offsets that do not depend on the probe."""
    needed = [field for field in fields if not field.optional]
    found = {field.define: 0 for field in fields if field.optional}
    if found and syscall.can_read_memory():
        found = {f.define: _offset_or_0(f, open_btf) for f in fields if f.optional}
    try:
        return found | (btf_offsets(open_btf(), needed) if needed else {})
    except (NoBtfError, Unavailable) as why:
        raise Refusal(
            "UnsupportedHostError",
            f"this kernel lacks the types that this measurement needs: {why}",
        ) from why


def _offset_or_0(field: Field, open_btf: Callable[[], Btf]) -> int:
    try:
        return _first_offset(open_btf(), field.paths)
    except (NoBtfError, Unavailable):
        return 0


def lift_memory_limit() -> None:
    """Lift RLIMIT_MEMLOCK, to which kernels before 5.11 charge maps and programs."""
    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    with suppress(ValueError, PermissionError):
        resource.setrlimit(resource.RLIMIT_MEMLOCK, unlimited)


class Backend(Protocol):
    """A loader that is ready to load."""

    library: Any
    """A library with libbpf's functions for BTF."""

    def load(
        self, plan: Plan, probe: Probe, numbers: dict[str, int], functions: dict[str, str]
    ) -> Loaded:
        """Load functions, which are attached in these ways, of a plan for a probe.

        Raises:
            LoaderUnavailable: This loader cannot do it.
            Refusal: No loader can.
        """


class Loaded(Protocol):
    """A loaded program: descriptors by name."""

    maps: dict[str, int]
    programs: dict[str, int]


class PrebuiltBackend:
    """Loads prebuilt objects through libbpf."""

    def __init__(self) -> None:
        try:
            self._libbpf = libbpf.open_library()
        except libbpf.MissingError as error:
            raise LoaderUnavailable(str(error), "apt install libbpf1") from error
        self.library = self._libbpf.handle

    def load(
        self, plan: Plan, probe: Probe, numbers: dict[str, int], functions: dict[str, str]
    ) -> Loaded:
        """See :class:`Backend`."""
        found = plan.objects.get(probe.name)
        if found is None:
            raise LoaderUnavailable(f"kstats was built without an object for probe {probe.name}")
        return prebuilt.Program(self._libbpf, plan, found, numbers, functions)


class BccBackend:
    """Compiles programs with bcc."""

    def __init__(self) -> None:
        from kstats.loader import compiled  # noqa: PLC0415 - only this worker may import bcc

        self._compiled = compiled
        self._bcc = compiled.import_bcc()
        self.library = self._bcc.lib

    def load(
        self, plan: Plan, probe: Probe, numbers: dict[str, int], functions: dict[str, str]
    ) -> Loaded:
        """See :class:`Backend`."""
        defined = numbers | {probe.define: 1}
        return self._compiled.Program(self._bcc, plan, defined, functions)


BACKENDS: Mapping[str, Callable[[], Backend]] = {"prebuilt": PrebuiltBackend, "bcc": BccBackend}


def prepare(loader: str) -> tuple[int, Backend]:
    """Return the number of arguments of kvm_exit, and the loader: what needs no plan."""
    lift_memory_limit()
    return exit_args(), BACKENDS[loader]()


def load(plan: Plan, args: int, backend: Backend) -> tuple[dict[str, Any], list[int]]:
    """Carry out a plan; return the answer and the descriptors that it names, in order."""
    # The kernel's own types are megabytes: read them once, and only if needed.
    open_btf = cache(lambda: Btf(backend.library, plan.btf_modules))
    probe, numbers, rejected = choose(plan.probes, args, open_btf)
    numbers |= common_offsets(plan.btf, open_btf)
    counted = {a.args: a.tracepoint for a in plan.attachments if a.args}
    numbers |= {name: syscall.raw_tracepoint_args(of) for name, of in counted.items()}
    absent = {a.function: why for a in plan.attachments if (why := lacking(a))}
    attachments = [
        (a.tracepoint, a.function, a.attach or probe.attach)
        for a in plan.attachments
        if a.function not in absent
    ]
    functions = {function: attach for _, function, attach in attachments}
    program = backend.load(plan, probe, plan.numbers | numbers, functions)
    fds = [(f"map:{one.name}", program.maps[one.name]) for one in plan.maps]
    fds += [(f"program:{name}", program.programs[name]) for name in functions]
    if plan.attach:
        fds += [
            (f"link:{tracepoint}:{function}", attach(tracepoint, program.programs[function], how))
            for tracepoint, function, how in attachments
            if tracepoint
        ]
    answer = {
        "probe": probe.name,
        "rejected": rejected,
        "absent": list(absent.items()),
        "numbers": numbers,
        "names": [name for name, _ in fds],
    }
    return answer, [fd for _, fd in fds]


def attach(tracepoint: str, program: int, how: str) -> int:
    """Attach a program; it runs until the returned descriptor is closed."""
    try:
        if how == "raw":
            return syscall.attach_raw_tracepoint(tracepoint, program)
        return syscall.attach_classic_tracepoint(_event_id(tracepoint), program)
    except OSError as error:
        message = f"the BPF program could not be attached to {tracepoint}: {error.strerror}"
        raise Refusal("LoadError", message) from error


def _event_id(tracepoint: str) -> int:
    return int(_read_event(f"kvm/{tracepoint}/id"))


def become(loader: str, channel: int, descriptors: Mapping[int, int]) -> NoReturn:
    """Serve in a copy of kstats.

    It keeps only ``descriptors``: to the number of each, from the descriptor that it maps to.
    """
    try:
        for wanted, descriptor in descriptors.items():
            os.dup2(descriptor, wanted)
        for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - start-up time
            if int(name) not in descriptors:
                with suppress(OSError):  # the folder's own descriptor is closed already
                    os.close(int(name))
        sys.stderr = open(2, "w", encoding="utf-8")  # noqa: SIM115 - until it ends
        serve(loader, channel)
    except BaseException:  # noqa: BLE001 - whatever happens, no second kstats may go on from here
        sys.excepthook(*sys.exc_info())
        sys.stderr.flush()
    finally:
        os._exit(1)


def serve(loader: str, channel: int) -> NoReturn:
    """Read the plan, answer through a socket, and exit.

    That skips bcc's clean-up, which would disable events. The parent may still import modules:
    prepare before there is a plan.
    """
    try:
        prepared = prepare(loader)
        with open(0, encoding="utf-8") as file:
            plan = json.load(file)
        answer, fds = load(Plan.read(plan), *prepared)
    except (Refusal, LoaderUnavailable) as refusal:
        answer, fds = refusal.answer, []
        sys.stderr.write(refusal.log)
    sys.stderr.flush()
    socket.send_fds(socket.socket(fileno=channel), [json.dumps(answer).encode()], fds)
    os._exit(0)
