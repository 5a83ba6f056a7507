"""x64 guests in 64-bit mode: page tables, descriptors, registers."""

from __future__ import annotations

import ctypes
import struct
from typing import Final

from .guest import PROGRAM_SIZE, Binary, Program, Ring
from .kvm import Memory, Vcpu, Vm, fields, u8, u16, u32, u64
from .layout import PAGE, Window
from .machine import Machine

BELL_PORT: Final = 0xF4

_PRESENT_RW_USED: Final = 0x63  # with the accessed and dirty bits set
_LARGE: Final = 0x80
_CR0: Final = 0x8005_0033  # PG AM WP NE ET MP PE
_CR4_PAE, _CR4_OSFXSR, _CR4_OSXSAVE = 1 << 5, 1 << 9, 1 << 18
_EFER: Final = 0x500  # LME LMA
_CPUID1_ECX_XSAVE: Final = 1 << 26
_APIC_BASE_X2: Final = 0xC00  # enabled, x2APIC

_CODE_SEGMENT: Final = 0x00AF_9B00_0000_FFFF  # 64-bit, present, accessed
_DATA_SEGMENT: Final = 0x00CF_9300_0000_FFFF
_CS, _DS = 8, 16
_GDT: Final = PROGRAM_SIZE
_IDT: Final = _GDT + 3 * 8
_UD, _IRQ, _TIMER = 6, 0x20, 0x21
_VECTORS: Final = _TIMER + 1
_INTERRUPT_GATE: Final = 0x8E00

_LAPIC_SVR, _LAPIC_LVT_TIMER, _LAPIC_DIVIDE = 0xF0, 0x320, 0x3E0
_GET_SUPPORTED_CPUID, _SET_CPUID2 = 0x05, 0x90
_SET_REGS, _GET_SREGS, _SET_SREGS = 0x82, 0x83, 0x84
_GET_LAPIC, _SET_LAPIC = 0x8E, 0x8F
_SET_MP_STATE, _RUNNABLE = 0x99, 0
_CPUID_ENTRIES, _CPUID_HEADER = 256, 8


class _CpuidEntry(ctypes.Structure):
    _fields_ = (*fields(u32, "function index flags eax ebx ecx edx"), ("padding", u32 * 3))


class _Cpuid(ctypes.Structure):
    _fields_ = (*fields(u32, "nent padding"), ("entries", _CpuidEntry * _CPUID_ENTRIES))


class _Regs(ctypes.Structure):
    _fields_ = fields(
        u64, "rax rbx rcx rdx rsi rdi rsp rbp r8 r9 r10 r11 r12 r13 r14 r15 rip rflags"
    )


class _Segment(ctypes.Structure):
    _fields_ = (
        ("base", u64),
        ("limit", u32),
        ("selector", u16),
        *fields(u8, "type present dpl db s l g avl unusable padding"),
    )


class _Table(ctypes.Structure):
    _fields_ = (("base", u64), ("limit", u16), ("padding", u16 * 3))


class _Sregs(ctypes.Structure):
    _fields_ = (
        *fields(_Segment, "cs ds es fs gs ss tr ldt"),
        *fields(_Table, "gdt idt"),
        *fields(u64, "cr0 cr2 cr3 cr4 cr8 efer apic_base"),
        ("interrupt_bitmap", u64 * 4),
    )


class _Lapic(ctypes.Structure):
    _fields_ = (("regs", u8 * 1024),)


class _MpState(ctypes.Structure):
    _fields_ = (("state", u32),)


class X64(Machine):
    """A VM whose guest runs in 64-bit mode."""

    name = "x64"
    return_code = b"\xc3"

    def __init__(self, vm: Vm, binary: Binary, *, irqchip: bool) -> None:
        super().__init__(vm, binary, irqchip=irqchip)
        self._cpuid = _Cpuid(nent=_CPUID_ENTRIES)
        vm.system.exchange(_GET_SUPPORTED_CPUID, self._cpuid, size=_CPUID_HEADER)
        if irqchip:
            vm.plain(vm.CREATE_IRQCHIP)

    def complete(self, vcpus: int) -> None:
        """Do nothing: x64 needs no more set-up."""

    @property
    def _has_xsave(self) -> bool:
        entries = self._cpuid.entries[: self._cpuid.nent]
        return any(e.function == 1 and e.ecx & _CPUID1_ECX_XSAVE for e in entries)

    def load(self, memory: Memory, window: Window, program: Program) -> None:
        """Write code, program, descriptors and page tables into a vCPU's window."""
        super().load(memory, window, program)
        _write_page_tables(memory, window)
        memory.write(window.block + _GDT, struct.pack("<3Q", 0, _CODE_SEGMENT, _DATA_SEGMENT))
        for vector, handler in ((_UD, "isr_ud"), (_IRQ, "isr_irq"), (_TIMER, "isr_timer")):
            gate = _gate(window.code + self.binary.symbols[handler])
            memory.write(window.block + _IDT + 16 * vector, gate)

    def reset(self, vcpu: Vcpu, window: Window) -> None:
        """Point a new vCPU at the code in its window."""
        vcpu.set(_SET_CPUID2, self._cpuid, size=_CPUID_HEADER)
        cr4 = _CR4_PAE | _CR4_OSFXSR | (_CR4_OSXSAVE if self._has_xsave else 0)
        self._set_sregs(vcpu, window, cr4)
        self._set_regs(vcpu, window, cr4)
        if self.irqchip:
            _set_lapic(vcpu)

    def _set_sregs(self, vcpu: Vcpu, window: Window, cr4: int) -> None:
        sregs = _Sregs()
        vcpu.get(_GET_SREGS, sregs)
        sregs.cs = _Segment(0, 0xFFFF_FFFF, _CS, 11, 1, 0, 0, 1, 1, 1)
        for name in ("ds", "es", "fs", "gs", "ss"):
            setattr(sregs, name, _Segment(0, 0xFFFF_FFFF, _DS, 3, 1, 0, 1, 1, 0, 1))
        sregs.gdt = _Table(window.block + _GDT, 3 * 8 - 1)
        sregs.idt = _Table(window.block + _IDT, 16 * _VECTORS - 1)
        sregs.cr0, sregs.cr4, sregs.efer = _CR0, cr4, _EFER
        sregs.cr3 = window.page_tables[0]
        if self.irqchip:
            sregs.apic_base |= _APIC_BASE_X2
        vcpu.set(_SET_SREGS, sregs)

    def _set_regs(self, vcpu: Vcpu, window: Window, cr4: int) -> None:
        regs = _Regs(r10=_CR0, r11=cr4, r14=window.block, rsp=window.block + PAGE, rflags=2)
        regs.rip = window.code + self.binary.symbols["start"]
        vcpu.set(_SET_REGS, regs)

    def ring(self, vcpu: Vcpu, reason: str) -> Ring | None:
        """Return the ring, if this exit to user space is one."""
        io = vcpu.io
        if reason == "IO" and io.direction == io.OUT and io.size == 4 and io.port == BELL_PORT:
            return Ring(vcpu.io_value())
        return None

    def inject(self, vcpu: Vcpu) -> None:
        """Inject an interrupt into a guest that accepts interrupts."""
        vcpu.interrupt(_IRQ)


def _write_page_tables(memory: Memory, window: Window) -> None:
    """Map the first GiB to itself, in 2 MiB pages."""
    pml4, pdpt, pd = window.page_tables
    memory.write(pml4, struct.pack("<Q", pdpt | _PRESENT_RW_USED))
    memory.write(pdpt, struct.pack("<Q", pd | _PRESENT_RW_USED))
    pages = (number << 21 | _LARGE | _PRESENT_RW_USED for number in range(512))
    memory.write(pd, struct.pack("<512Q", *pages))


def _gate(handler: int) -> bytes:
    low, middle, high = handler & 0xFFFF, handler >> 16 & 0xFFFF, handler >> 32
    return struct.pack("<HHHHII", low, _CS, _INTERRUPT_GATE, middle, high, 0)


def _set_lapic(vcpu: Vcpu) -> None:
    """Enable the local APIC, with a one-shot timer that counts nanoseconds."""
    vcpu.set(_SET_MP_STATE, _MpState(_RUNNABLE))
    lapic = _Lapic()
    vcpu.get(_GET_LAPIC, lapic)
    for register, value in ((_LAPIC_SVR, 0x1FF), (_LAPIC_LVT_TIMER, _TIMER), (_LAPIC_DIVIDE, 0xB)):
        struct.pack_into("<I", lapic.regs, register, value)
    vcpu.set(_SET_LAPIC, lapic)
