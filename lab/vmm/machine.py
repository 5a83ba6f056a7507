"""The interface of the architectures `x64` and `arm64`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from .guest import Binary, Program, Ring
from .kvm import Memory, Vcpu, Vm
from .layout import Window


class Machine(ABC):
    """The architecture of a VM; created before its vCPUs, completed after them."""

    name: ClassVar[str]  # of the guest's binary
    return_code: ClassVar[bytes]  # the instruction that ends a call

    def __init__(self, vm: Vm, binary: Binary, *, irqchip: bool) -> None:
        self.vm = vm
        self.binary = binary
        self.irqchip = irqchip

    @abstractmethod
    def complete(self, vcpus: int) -> None:
        """Finish the set-up when all `vcpus` exist."""

    def load(self, memory: Memory, window: Window, program: Program) -> None:
        """Write the code and its program into a vCPU's window."""
        memory.write(window.code, self.binary.code)
        memory.write(window.block, program.block(self.binary, window))
        self.freshen(memory, window)

    def freshen(self, memory: Memory, window: Window) -> None:
        """Free the pages to store to and to call, so that they are unused again."""
        memory.forget(window.heap, window.end - window.heap)
        for number in range(window.execs):
            memory.write(window.call(number), self.return_code)

    @abstractmethod
    def reset(self, vcpu: Vcpu, window: Window) -> None:
        """Point a new vCPU at the code in its window."""

    @abstractmethod
    def ring(self, vcpu: Vcpu, reason: str) -> Ring | None:
        """Return the ring, if this exit to user space is one; raise `GuestError` on a fault."""

    @abstractmethod
    def inject(self, vcpu: Vcpu) -> None:
        """Inject one interrupt."""
