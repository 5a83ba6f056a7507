"""Run guest.S once in a RISC-V host, then keep the VM: ``vmm.py [SECONDS]``.

Prints the guest's exits by scause, as numbered in the RISC-V privileged architecture.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

COUNTS: Final[Mapping[str, int]] = {
    "ECALLS": 1009,
    "LOADS": 53,
    "STORES": 211,
    "PAGES": 43,
    "WFIS": 5,
}
BELL: Final = 0x30000008

EXPECTED: Final[Mapping[int, int]] = {
    20: 1,  # instruction guest-page fault: the code
    10: COUNTS["ECALLS"] + 2 * COUNTS["WFIS"],  # environment call from VS-mode
    21: COUNTS["LOADS"],  # load guest-page fault
    22: COUNTS["WFIS"],  # virtual instruction
    23: COUNTS["STORES"] + COUNTS["PAGES"] + 1,  # store guest-page fault; the bell
}
"""By scause; in addition there are interrupts of the host, in any number."""

_MEMORY: Final = 4 << 20
_SET_ONE_REG: Final = 0xAC
_PC: Final = 0x8030_0000_0200_0000  # KVM_REG_RISCV | SIZE_U64 | RISCV_CORE, regs.pc
_DEADLINE: Final = 120.0


class _OneReg(ctypes.Structure):
    _fields_ = (("id", ctypes.c_uint64), ("address", ctypes.c_uint64))


def assemble(folder: Path) -> None:
    """Assemble ``guest.bin`` into ``folder``."""
    source, built = Path(__file__).with_name("guest.S"), folder / "guest.o"
    symbols = [word for name, n in COUNTS.items() for word in ("--defsym", f"{name}={n}")]
    prefix = "riscv64-linux-gnu-"
    options = ["-march=rv64imac_zicsr", "-mno-arch-attr", *symbols]
    subprocess.run([f"{prefix}as", *options, source, "-o", built], check=True)
    binary = folder / "guest.bin"
    subprocess.run([f"{prefix}objcopy", "-O", "binary", "-j", ".text", built, binary], check=True)
    built.unlink()


def main(hold: float) -> None:
    """Run the guest until it rings the bell."""
    sys.path.insert(0, "/payload")
    kvm = importlib.import_module("vmm.kvm")  # from the payload: it exists only in the host
    vm = kvm.System().create_vm()
    memory = vm.add_memory(_MEMORY)
    memory.write(0, Path(__file__).with_name("guest.bin").read_bytes())
    vcpu = vm.create_vcpu(0)
    pc = ctypes.c_uint64(0)
    vcpu.set(_SET_ONE_REG, _OneReg(_PC, ctypes.addressof(pc)))
    deadline = time.monotonic() + _DEADLINE
    while True:
        reason = vcpu.run()
        if reason != "MMIO" or time.monotonic() > deadline:
            sys.exit(f"the guest stopped: {reason}")
        if vcpu.mmio.is_write and vcpu.mmio.gpa == BELL:
            break
    print(json.dumps(EXPECTED), flush=True)
    time.sleep(hold)


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 0)
