"""The worker: compiles, loads and attaches one program, hands over its descriptors, and ends.

It is a separate process so that the compiler's memory (bcc brings all of LLVM) is freed, so that
the output of the compiler and the verifier can be captured, and so that only the parent keeps the
program alive: when the parent ends, in whatever way, the kernel detaches the program.

It uses the standard library and bcc only: it may run under the distribution's Python while kstats
is installed for another one. It reads a plan as JSON from standard input (see
:class:`kstats.loader.wire.Plan`), and sends the answer as JSON, with the descriptors, to the Unix
socket that is its first argument.
"""

from __future__ import annotations

import errno
import json
import os
import re
import resource
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import Any

from kstats.loader import kfunc, map_value, syscall
from kstats.loader.btf import Btf, NoBtfError
from kstats.loader.wire import Attachment, Field, Plan, Probe, RecordField

TRACEFS = ("/sys/kernel/tracing", "/sys/kernel/debug/tracing")
_EXIT = "kvm_exit"


class Refusal(Exception):  # noqa: N818 - an answer, not an error of this process
    """Why nothing was loaded: the name of a class in kstats.errors, its text and its hint."""

    def __init__(self, kind: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.answer = {"error": kind, "message": message, "hint": hint}


class Unavailable(Exception):  # noqa: N818 - same
    """Why this kernel does not support a probe."""


def exit_args() -> int:
    """Return the number of arguments of kvm_exit. Without privileges, this fails first."""
    try:
        return syscall.raw_tracepoint_args(_EXIT)
    except PermissionError as error:
        raise Refusal(
            "PrivilegeError",
            "loading BPF programs is not permitted",
            "run as root, or with CAP_BPF and CAP_PERFMON",
        ) from error
    except FileNotFoundError as error:
        raise Refusal(
            "UnsupportedHostError",
            "this kernel has no kvm_exit tracepoint: the kvm module is not loaded",
            "load KVM: modprobe kvm_intel, or modprobe kvm_amd",
        ) from error
    except OSError as error:
        if error.errno not in (errno.ENOSYS, errno.EINVAL):
            raise
        raise Refusal(
            "UnsupportedHostError",
            f"this kernel cannot run raw tracepoint programs: {error.strerror}",
            "Linux 4.17 or later with CONFIG_BPF_SYSCALL and CONFIG_BPF_EVENTS is needed",
        ) from error


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
    format_text = _read_format()
    offsets = dict(re.findall(r"field:[^;]*\b(\w+);\s*offset:(\d+);", format_text))
    missing = [f.field for f in fields if f.field not in offsets]
    if missing:
        raise Unavailable(f"the kvm_exit record has no field {', '.join(missing)}")
    return {f.define: int(offsets[f.field]) for f in fields}


def _read_format() -> str:
    for tracefs in TRACEFS:
        path = f"{tracefs}/events/kvm/{_EXIT}/format"
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


def probe_defines(probe: Probe, args: int, open_btf: Callable[[], Btf]) -> dict[str, int]:
    """Return what the C needs to read exits by a probe.

    Raises:
        Unavailable: The kernel does not support it.
    """
    if probe.attach == "raw" and probe.args != args:
        raise Unavailable(f"kvm_exit has {args} arguments here, not {probe.args}")
    defines = {probe.define: 1}
    try:
        if probe.btf:
            defines |= btf_offsets(open_btf(), probe.btf)
        if probe.direct:
            defines |= kfunc.defines(open_btf())
    except (NoBtfError, kfunc.NoCastError) as error:
        raise Unavailable(str(error)) from error
    if probe.record:
        defines |= record_offsets(probe.record)
    return defines


def choose(
    probes: list[Probe], args: int, open_btf: Callable[[], Btf]
) -> tuple[Probe, dict[str, int], list[list[str]]]:
    """Return the first probe that this kernel supports, its defines, and why not those before."""
    rejected: list[list[str]] = []
    for probe in probes:
        try:
            return probe, probe_defines(probe, args, open_btf), rejected
        except Unavailable as why:
            rejected.append([probe.name, str(why)])
    listed = "; ".join(f"{name}: {why}" for name, why in rejected)
    raise Refusal("UnsupportedHostError", f"this kernel offers no way to read exits: {listed}")


def common_offsets(fields: list[Field], open_btf: Callable[[], Btf]) -> dict[str, int]:
    """Return offsets that every probe needs."""
    try:
        return btf_offsets(open_btf(), fields) if fields else {}
    except (NoBtfError, Unavailable) as why:
        raise Refusal(
            "UnsupportedHostError",
            f"this kernel lacks the types that this measurement needs: {why}",
        ) from why


def import_bcc() -> Any:
    """Return the distribution's bcc module; PyPI has an unrelated one of that name."""
    try:
        import bcc  # noqa: PLC0415 - it loads LLVM: not before the checks above passed
    except (ImportError, OSError) as error:  # OSError: the library behind the module is missing
        raise Refusal(
            "LoadError",
            f"bcc cannot be imported by {sys.executable}: {error}",
            "install it: apt install python3-bpfcc",
        ) from error
    if not hasattr(bcc, "BPF"):
        raise Refusal(
            "LoadError",
            f"{bcc.__file__} is another project's bcc",
            "pip uninstall bcc, and install the distribution's: apt install python3-bpfcc",
        )
    return bcc


class Program:
    """A compiled program, and the descriptors to hand over.

    Attributes:
        fds: (kind:name, descriptor) of maps, programs and links.
    """

    def __init__(self, bcc: Any, plan: Plan, defines: dict[str, int]) -> None:
        """Compile; messages of clang go to standard error."""
        self._bcc = bcc
        self._cast = defines.get(kfunc.DEFINE)
        self._programs: dict[str, int] = {}
        self.fds: list[tuple[str, int]] = []
        flags = [f"-D{name}={value}" for name, value in defines.items()]
        self._bpf = _translated(bcc.BPF, "compiled", text=plan.text, cflags=flags)
        for name in plan.maps:
            self.fds.append((f"map:{name}", self._bpf[name].map_fd))

    def load(self, function: str, attach: str) -> None:
        """Load one function: the verifier checks it."""
        if attach == "raw":
            fd = self._load_relocated(function)
        else:
            kind = self._bcc.BPF.TRACEPOINT
            fd = _translated(self._bpf.load_func, "loaded", function, kind).fd
        self._programs[function] = fd
        self.fds.append((f"program:{function}", fd))

    def attach(self, tracepoint: str, function: str, attach: str) -> None:
        """Attach one function; it runs from now on."""
        if attach == "raw":
            program = self._programs[function]
            link = _translated(syscall.attach_raw_tracepoint, "attached", tracepoint, program)
        else:
            tracepoint = f"kvm:{tracepoint}"
            _translated(self._bpf.attach_tracepoint, "attached", tracepoint, fn_name=function)
            link = self._bpf.tracepoint_fds[tracepoint.encode()]
        self.fds.append((f"link:{tracepoint}", link))

    def _load_relocated(self, function: str) -> int:
        """Load a function that bcc compiled, after relocating what bcc cannot compile."""
        compiled = _translated(self._bpf.dump_func, "compiled", function.encode())
        maps = {
            number: dict(self.fds).get(f"map:{m}", -1) for m, number in map_value.NUMBERS.items()
        }
        instructions = map_value.relocate(compiled, maps)
        if self._cast:
            instructions = kfunc.relocate(instructions, self._cast)
        try:
            return syscall.load_raw_tracepoint(instructions, function)
        except OSError as error:
            sys.stderr.write(syscall.verifier_log(instructions))
            message = f"the BPF program could not be loaded: {function}: {error.strerror}"
            raise Refusal("LoadError", message) from error


def _translated(call: Any, deed: str, *args: Any, **kwargs: Any) -> Any:
    """Call bcc, which raises a bare Exception for each failure, or the kernel."""
    try:
        return call(*args, **kwargs)
    except Exception as error:
        said = re.sub(r"b'(\w+)'", r"\1", str(error))
        raise Refusal("LoadError", f"the BPF program could not be {deed}: {said}") from error


def lift_memory_limit() -> None:
    """Lift RLIMIT_MEMLOCK, to which kernels before 5.11 charge maps and programs."""
    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    with suppress(ValueError, PermissionError):
        resource.setrlimit(resource.RLIMIT_MEMLOCK, unlimited)


def load(plan: Plan) -> tuple[dict[str, Any], list[int]]:
    """Carry out a plan; return the answer and the descriptors that it names, in order."""
    lift_memory_limit()
    args = exit_args()
    bcc = import_bcc()
    # The kernel's own types are megabytes: read them once, and only if needed.
    open_btf = cache(lambda: Btf(bcc.lib, plan.btf_modules))
    probe, defines, rejected = choose(plan.probes, args, open_btf)
    defines |= common_offsets(plan.btf, open_btf)
    wanted = {a.args: a.tracepoint for a in plan.attachments if a.args}
    defines |= {name: syscall.raw_tracepoint_args(of) for name, of in wanted.items()}
    ours = map_value.defines() if probe.attach == "raw" else {}
    program = Program(bcc, plan, plan.defines | defines | ours)
    absent = {a.function: why for a in plan.attachments if (why := lacking(a))}
    attachments = [
        (a.tracepoint, a.function, a.attach or probe.attach)
        for a in plan.attachments
        if a.function not in absent
    ]
    for _, function, attach in attachments:
        program.load(function, attach)
    if plan.attach:
        for attachment in attachments:
            program.attach(*attachment)
    answer = {
        "probe": probe.name,
        "rejected": rejected,
        "absent": list(absent.items()),
        "defines": defines,
        "names": [name for name, _ in program.fds],
    }
    return answer, [fd for _, fd in program.fds]


def main() -> None:
    """Read the plan, answer, and exit without bcc's clean-up, which would disable events."""
    channel = socket.socket(fileno=int(sys.argv[1]))
    try:
        answer, fds = load(Plan.read(json.load(sys.stdin)))
    except Refusal as refusal:
        answer, fds = refusal.answer, []
    socket.send_fds(channel, [json.dumps(answer).encode()], fds)
    sys.stderr.flush()
    os._exit(0)
