"""The ioctls and structures of /dev/kvm that the VMM needs.

Names and layouts are those of ``<linux/kvm.h>``; Documentation/virt/kvm/api.rst describes them.
"""

from __future__ import annotations

import ctypes
import fcntl
import mmap
import os
from typing import Any, Final

from .errors import HostError

Fields = tuple[tuple[str, type[Any]], ...]
u8, u16, u32, u64 = ctypes.c_uint8, ctypes.c_uint16, ctypes.c_uint32, ctypes.c_uint64

# KVM_EXIT_*: the reasons for which KVM_RUN returns that these guests can cause.
EXITS: Final = {
    0: "UNKNOWN",
    2: "IO",
    5: "HLT",
    6: "MMIO",
    7: "IRQ_WINDOW_OPEN",
    8: "SHUTDOWN",
    9: "FAIL_ENTRY",
    10: "INTR",
    11: "SET_TPR",
    17: "INTERNAL_ERROR",
    24: "SYSTEM_EVENT",
    28: "ARM_NISV",
}
_EXIT_REASON, _EXIT_UNION = 8, 32  # offsets in struct kvm_run
_REQUEST_WINDOW = 0


def fields(kind: type[Any], names: str) -> Fields:
    """Return fields of one type, for a structure."""
    return tuple((name, kind) for name in names.split())


class MemoryRegion(ctypes.Structure):
    """struct kvm_userspace_memory_region."""

    _fields_ = (*fields(u32, "slot flags"), *fields(u64, "gpa size address"))


class ExitIo(ctypes.Structure):
    """struct kvm_run.io."""

    _fields_ = (("direction", u8), ("size", u8), ("port", u16), ("count", u32), ("offset", u64))
    IN: Final = 0
    OUT: Final = 1


class ExitMmio(ctypes.Structure):
    """struct kvm_run.mmio."""

    _fields_ = (("gpa", u64), ("data", u64), ("len", u32), ("is_write", u8))


class IrqLevel(ctypes.Structure):
    """struct kvm_irq_level."""

    _fields_ = fields(u32, "irq level")


class DeviceAttr(ctypes.Structure):
    """struct kvm_device_attr."""

    _fields_ = (*fields(u32, "flags group"), *fields(u64, "attr addr"))


class CreateDevice(ctypes.Structure):
    """struct kvm_create_device."""

    _fields_ = fields(u32, "type fd flags")


def _none(number: int) -> int:
    return 0xAE00 | number


def _write(number: int, structure: type[ctypes.Structure] | int) -> int:
    return 1 << 30 | _size(structure) << 16 | _none(number)


def _read(number: int, structure: type[ctypes.Structure] | int) -> int:
    return 2 << 30 | _size(structure) << 16 | _none(number)


def _both(number: int, structure: type[ctypes.Structure] | int) -> int:
    return 3 << 30 | _size(structure) << 16 | _none(number)


def _size(structure: type[ctypes.Structure] | int) -> int:
    return structure if isinstance(structure, int) else ctypes.sizeof(structure)


class Descriptor:
    """A KVM file descriptor, and ioctls on it."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def plain(self, number: int, value: int = 0) -> int:
        """Call an ``_IO`` with a number as its argument."""
        return self._ioctl(_none(number), value)

    def set(self, number: int, value: ctypes.Structure, size: int | None = None) -> None:
        """Call an ``_IOW``, which passes a structure to the kernel."""
        self._ioctl(_write(number, size or type(value)), value)

    def get(self, number: int, value: ctypes.Structure) -> None:
        """Call an ``_IOR``, which fills in a structure."""
        self._ioctl(_read(number, type(value)), value)

    def exchange(self, number: int, value: ctypes.Structure, size: int | None = None) -> None:
        """Call an ``_IOWR``, which does both."""
        self._ioctl(_both(number, size or type(value)), value)

    def _ioctl(self, request: int, value: int | ctypes.Structure) -> int:
        try:
            return fcntl.ioctl(self.fd, request, value)
        except InterruptedError:
            raise
        except OSError as error:
            raise HostError(f"KVM ioctl {request & 0xFF:#04x}: {error.strerror}") from None


class System(Descriptor):
    """/dev/kvm."""

    CREATE_VM: Final = 0x01
    GET_VCPU_MMAP_SIZE: Final = 0x04

    def __init__(self) -> None:
        try:
            super().__init__(os.open("/dev/kvm", os.O_RDWR | os.O_CLOEXEC))
        except OSError as error:
            raise HostError(f"/dev/kvm: {error.strerror}") from None
        self.run_size = self.plain(self.GET_VCPU_MMAP_SIZE)

    def create_vm(self) -> Vm:
        """Create a VM."""
        return Vm(self, self.plain(self.CREATE_VM))


class Vm(Descriptor):
    """A virtual machine; new ones have neither vCPUs nor memory."""

    CREATE_VCPU: Final = 0x41
    SET_USER_MEMORY_REGION: Final = 0x46
    CREATE_IRQCHIP: Final = 0x60
    IRQ_LINE: Final = 0x61
    CREATE_DEVICE: Final = 0xE0

    def __init__(self, system: System, fd: int) -> None:
        super().__init__(fd)
        self.system = system

    def create_vcpu(self, index: int) -> Vcpu:
        """Add vCPU number `index`."""
        return Vcpu(self.plain(self.CREATE_VCPU, index), self.system.run_size)

    def add_memory(self, size: int) -> Memory:
        """Add `size` bytes of memory at address 0."""
        memory = Memory(size)
        region = MemoryRegion(0, 0, 0, size, memory.address)
        self.set(self.SET_USER_MEMORY_REGION, region)
        return memory

    def create_device(self, kind: int) -> Device:
        """Create an in-kernel device of a KVM_DEV_TYPE."""
        request = CreateDevice(kind, 0, 0)
        self.exchange(self.CREATE_DEVICE, request)
        return Device(request.fd)

    def irq_line(self, irq: int, level: int) -> None:
        """Raise (1) or lower (0) an interrupt line of the in-kernel controller."""
        self.set(self.IRQ_LINE, IrqLevel(irq, level))


class Device(Descriptor):
    """An in-kernel device, set up through attributes."""

    SET_DEVICE_ATTR: Final = 0xE1

    def set_attr(self, group: int, attr: int, value: int | None = None) -> None:
        """Set an attribute; KVM takes as many bytes of the value as it needs."""
        cell = u64(value or 0)
        address = 0 if value is None else ctypes.addressof(cell)
        self.set(self.SET_DEVICE_ATTR, DeviceAttr(0, group, attr, address))


class Memory:
    """Guest memory at address 0, in small pages that are allocated at first use."""

    def __init__(self, size: int) -> None:
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
        self._map = mmap.mmap(-1, size, flags=flags)
        # One huge page would replace 512 expected faults.
        self._map.madvise(mmap.MADV_NOHUGEPAGE)
        self.address = ctypes.addressof(u8.from_buffer(self._map))

    def write(self, gpa: int, data: bytes) -> None:
        """Copy bytes into the guest's memory; this allocates the page."""
        self._map[gpa : gpa + len(data)] = data

    def forget(self, gpa: int, size: int) -> None:
        """Free a range, so that the guest faults there again."""
        if size:
            self._map.madvise(mmap.MADV_DONTNEED, gpa, size)


class Vcpu(Descriptor):
    """A virtual CPU, and the page that it shares with the kernel."""

    RUN: Final = 0x80
    GET_STATS_FD: Final = 0xCE
    INTERRUPT: Final = 0x86

    def __init__(self, fd: int, run_size: int) -> None:
        super().__init__(fd)
        self._run = mmap.mmap(fd, run_size)
        self.io = ExitIo.from_buffer(self._run, _EXIT_UNION)
        self.mmio = ExitMmio.from_buffer(self._run, _EXIT_UNION)
        self._reason = u32.from_buffer(self._run, _EXIT_REASON)

    def run(self) -> str:
        """Run the guest until it exits to user space; return the KVM_EXIT name."""
        try:
            self.plain(self.RUN)
        except InterruptedError:
            return "INTR"
        return EXITS.get(self._reason.value, f"KVM_EXIT_{self._reason.value}")

    def open_stats(self) -> None:
        """Open KVM's counters of it for other processes, as QEMU does since 8.1."""
        self.stats = self.plain(self.GET_STATS_FD)

    def io_value(self) -> int:
        """Return the value that the guest wrote to a port."""
        offset = self.io.offset
        return int.from_bytes(self._run[offset : offset + self.io.size], "little")

    def request_window(self, *, wanted: bool) -> None:
        """Request IRQ_WINDOW_OPEN as soon as the guest accepts interrupts."""
        self._run[_REQUEST_WINDOW] = int(wanted)

    def interrupt(self, vector: int) -> None:
        """Inject an interrupt; only without an in-kernel irqchip."""
        self.set(self.INTERRUPT, _Interrupt(vector))


class _Interrupt(ctypes.Structure):
    _fields_ = fields(u32, "irq")
