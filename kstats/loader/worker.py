"""The loading child: compiles, loads and attaches one program, hands its descriptors over, ends.

It is a process of its own so that the compiler's memory (bcc brings all of LLVM) goes when it
ends, so that what the compiler and the verifier print can be caught, and so that the parent
alone keeps the program alive: when the parent ends, in whatever way, the kernel detaches.

Standard library and bcc only: it may run under the distribution's Python while kstats itself
is installed for another one. A plan comes as JSON on standard input (see
:class:`kstats.loader.program.Plan`); the answer goes as JSON with the descriptors over the
Unix socket given as the first argument.
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

TRACEFS = ("/sys/kernel/tracing", "/sys/kernel/debug/tracing")
_EXIT = "kvm_exit"


class Refusal(Exception):  # noqa: N818 - it is an answer, not a fault of this process
    """Why nothing was loaded: the name of a class of kstats.errors, its text and its hint."""

    def __init__(self, kind: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.answer = {"error": kind, "message": message, "hint": hint}


class Unavailable(Exception):  # noqa: N818 - same
    """Why this kernel does not offer one of the probes."""


def exit_args() -> int:
    """How many arguments kvm_exit has here; also the first thing to fail without privileges."""
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
            f"this kernel does not run raw tracepoint programs: {error.strerror}",
            "Linux 4.17 or later with CONFIG_BPF_SYSCALL and CONFIG_BPF_EVENTS is needed",
        ) from error


def lacking(attachment: dict[str, Any]) -> str:
    """Why an attachment that may be left out is; empty if it can be made, or must be."""
    tracepoint, at_least = attachment["tracepoint"], attachment["at_least"]
    if at_least is None:
        return ""
    try:
        args = syscall.raw_tracepoint_args(tracepoint)
    except FileNotFoundError:
        return f"this kernel has no tracepoint {tracepoint}"
    return "" if args >= at_least else f"{tracepoint} has {args} arguments here, not {at_least}"


def record_offsets(fields: list[dict[str, str]]) -> dict[str, int]:
    """Offsets of the classic record's fields, from the event's format file."""
    format_text = _read_format()
    offsets = dict(re.findall(r"field:[^;]*\b(\w+);\s*offset:(\d+);", format_text))
    missing = [f["field"] for f in fields if f["field"] not in offsets]
    if missing:
        raise Unavailable(f"the kvm_exit record has no field {', '.join(missing)}")
    return {f["define"]: int(offsets[f["field"]]) for f in fields}


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


def btf_offsets(btf: Btf, fields: list[dict[str, Any]]) -> dict[str, int]:
    """Offsets of struct members, the first path that exists for each."""
    return {field["define"]: _first_offset(btf, field["paths"]) for field in fields}


def _first_offset(btf: Btf, paths: list[str]) -> int:
    reasons = []
    for path in paths:
        try:
            return btf.offset(path)
        except NoBtfError as error:
            reasons.append(str(error))
    raise Unavailable("; ".join(reasons))


def probe_defines(probe: dict[str, Any], args: int, open_btf: Callable[[], Btf]) -> dict[str, int]:
    """What the C code needs to read exits this way; Unavailable where the kernel lacks it."""
    if probe["attach"] == "raw" and probe["args"] != args:
        raise Unavailable(f"kvm_exit has {args} arguments here, not {probe['args']}")
    defines = {probe["define"]: 1}
    try:
        if probe["btf"]:
            defines |= btf_offsets(open_btf(), probe["btf"])
        if probe["direct"]:
            defines |= kfunc.defines(open_btf())
    except (NoBtfError, kfunc.NoCastError) as error:
        raise Unavailable(str(error)) from error
    if probe["record"]:
        defines |= record_offsets(probe["record"])
    return defines


def choose(
    probes: list[dict[str, Any]], args: int, open_btf: Callable[[], Btf]
) -> tuple[dict[str, Any], dict[str, int], list[list[str]]]:
    """The first probe that this kernel offers, its defines, and why each before it is not."""
    rejected: list[list[str]] = []
    for probe in probes:
        try:
            return probe, probe_defines(probe, args, open_btf), rejected
        except Unavailable as why:
            rejected.append([probe["name"], str(why)])
    listed = "; ".join(f"{name}: {why}" for name, why in rejected)
    raise Refusal("UnsupportedHostError", f"this kernel offers no way to read exits: {listed}")


def common_offsets(fields: list[dict[str, Any]], open_btf: Callable[[], Btf]) -> dict[str, int]:
    """Offsets that are needed whatever the probe."""
    try:
        return btf_offsets(open_btf(), fields) if fields else {}
    except (NoBtfError, Unavailable) as why:
        raise Refusal(
            "UnsupportedHostError", f"this kernel does not tell what is needed: {why}"
        ) from why


def import_bcc() -> Any:
    """The distribution's bcc module, told apart from the index's unrelated one."""
    try:
        import bcc  # noqa: PLC0415 - only once it is known that it is worth its start-up time
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
    """The compiled program and what is to be handed over of it."""

    def __init__(self, bcc: Any, plan: dict[str, Any], defines: dict[str, int]) -> None:
        """Compiles; what clang says goes to standard error."""
        self._bcc = bcc
        self._cast = defines.get(kfunc.DEFINE)
        self._programs: dict[str, int] = {}
        self.fds: list[tuple[str, int]] = []
        flags = [f"-D{name}={value}" for name, value in defines.items()]
        self._bpf = _translated(bcc.BPF, "compiled", text=plan["text"], cflags=flags)
        for name in plan["maps"]:
            self.fds.append((f"map:{name}", self._bpf[name].map_fd))

    def load(self, function: str, attach: str) -> None:
        """Passes one function through the verifier."""
        if attach == "raw":
            fd = self._load_completed(function)
        else:
            kind = self._bcc.BPF.TRACEPOINT
            fd = _translated(self._bpf.load_func, "loaded", function, kind).fd
        self._programs[function] = fd
        self.fds.append((f"program:{function}", fd))

    def attach(self, tracepoint: str, function: str, attach: str) -> None:
        """Attaches one function; it runs from here on."""
        if attach == "raw":
            program = self._programs[function]
            link = _translated(syscall.attach_raw_tracepoint, "attached", tracepoint, program)
        else:
            tracepoint = f"kvm:{tracepoint}"
            _translated(self._bpf.attach_tracepoint, "attached", tracepoint, fn_name=function)
            link = self._bpf.tracepoint_fds[tracepoint.encode()]
        self.fds.append((f"link:{tracepoint}", link))

    def _load_completed(self, function: str) -> int:
        """Loads what bcc has compiled, after putting in what bcc cannot compile."""
        compiled = _translated(self._bpf.dump_func, "compiled", function.encode())
        maps = {
            number: dict(self.fds).get(f"map:{m}", -1) for m, number in map_value.NUMBERS.items()
        }
        instructions = map_value.complete(compiled, maps)
        if self._cast:
            instructions = kfunc.complete(instructions, self._cast)
        try:
            return syscall.load_raw_tracepoint(instructions, function)
        except OSError as error:
            sys.stderr.write(syscall.verifier_log(instructions))
            message = f"the BPF program could not be loaded: {function}: {error.strerror}"
            raise Refusal("LoadError", message) from error


def _translated(call: Any, deed: str, *args: Any, **kwargs: Any) -> Any:
    """Calls bcc, which raises bare Exception for every failure, or the kernel itself."""
    try:
        return call(*args, **kwargs)
    except Exception as error:
        said = re.sub(r"b'(\w+)'", r"\1", str(error))
        raise Refusal("LoadError", f"the BPF program could not be {deed}: {said}") from error


def lift_memory_limit() -> None:
    """Kernels before 5.11 charge maps and programs to RLIMIT_MEMLOCK; later ones do not care."""
    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    with suppress(ValueError, PermissionError):
        resource.setrlimit(resource.RLIMIT_MEMLOCK, unlimited)


def load(plan: dict[str, Any]) -> tuple[dict[str, Any], list[int]]:
    """Does what the plan says; returns the answer and the descriptors it names, in order."""
    lift_memory_limit()
    args = exit_args()
    bcc = import_bcc()
    # The kernel's own types are megabytes to go through: once, whoever asks first.
    open_btf = cache(lambda: Btf(bcc.lib, plan["btf_modules"]))
    probe, defines, rejected = choose(plan["probes"], args, open_btf)
    defines |= common_offsets(plan["btf"], open_btf)
    wanted = {a["args"]: a["tracepoint"] for a in plan["attachments"] if a["args"]}
    defines |= {name: syscall.raw_tracepoint_args(of) for name, of in wanted.items()}
    ours = map_value.defines() if probe["attach"] == "raw" else {}
    program = Program(bcc, plan, plan["defines"] | defines | ours)
    absent = {a["function"]: why for a in plan["attachments"] if (why := lacking(a))}
    attachments = [
        (a["tracepoint"], a["function"], a["attach"] or probe["attach"])
        for a in plan["attachments"]
        if a["function"] not in absent
    ]
    for _, function, attach in attachments:
        program.load(function, attach)
    if plan["attach"]:
        for attachment in attachments:
            program.attach(*attachment)
    answer = {
        "probe": probe["name"],
        "rejected": rejected,
        "absent": list(absent.items()),
        "defines": defines,
        "names": [name for name, _ in program.fds],
    }
    return answer, [fd for _, fd in program.fds]


def main() -> None:
    """Reads the plan, answers, and leaves without bcc's clean-up, which would disable events."""
    channel = socket.socket(fileno=int(sys.argv[1]))
    try:
        answer, fds = load(json.load(sys.stdin))
    except Refusal as refusal:
        answer, fds = refusal.answer, []
    socket.send_fds(channel, [json.dumps(answer).encode()], fds)
    sys.stderr.flush()
    os._exit(0)
