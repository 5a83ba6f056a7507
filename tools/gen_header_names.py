"""Write tests/data/headers: names and numbers of the kernel's headers, to test the tables against.

One line has a name, and its number if it has one. The headers come from Debian's packages, as in
gen_detail_names.py. Only names and numbers are copied.
"""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from gen_detail_names import DEB_ARCH, SUITE, Headers, fetch
from kernel_formats import Apt, mirror

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

OUT = Path(__file__).parent.parent / "tests" / "data" / "headers"


def vmx(headers: Headers) -> Iterator[str]:
    """Yield the exit reasons of asm/vmx.h."""
    yield from _defined(headers, "arch/x86/include/uapi/asm/vmx.h", r"EXIT_REASON_\w+")


def svm(headers: Headers) -> Iterator[str]:
    """Yield the exit codes of asm/svm.h, without the parameters of requests."""
    parameters = r"LAST_EXCP|SAVIC_|[GS]ET_AP|AP_CREATE\b|AP_CREATE_ON_INIT|AP_DESTROY"
    names = rf"SVM_(?:EXIT|VMGEXIT)_(?!{parameters})\w+"
    yield from _defined(headers, "arch/x86/include/uapi/asm/svm.h", names)


def esr(headers: Headers) -> Iterator[str]:
    """Yield the exception classes of asm/esr.h."""
    names = r"ESR_ELx_EC_(?!MASK|SHIFT|WIDTH|MAX)\w+"
    yield from _defined(headers, "arch/arm64/include/asm/esr.h", names)


def kvm_exits(headers: Headers) -> Iterator[str]:
    """Yield the reasons for which KVM_RUN returns, of linux/kvm.h, without their parameters."""
    names = r"KVM_EXIT_(?!HYPERV_|XEN_|IO_|ARM_SEA_FLAG)\w+"
    yield from _defined(headers, "include/uapi/linux/kvm.h", names)


def _defined(headers: Headers, path: str, names: str) -> Iterator[str]:
    pattern = rf"^#define\s+({names})\s+(?:UL\()?(-?(?:0x)?[0-9a-fA-F]+)(?:ull)?\)?(?=\s|$)"
    for name, number in re.findall(pattern, headers.read("common", path), re.MULTILINE):
        yield f"{name} {int(number, 0) & 0xFFFF_FFFF:#x}"


def statistics(headers: Headers) -> Iterator[str]:
    """Yield KVM's statistics of x86 and ARM64."""
    paths = [f"arch/{arch}/include/asm/kvm_host.h" for arch in ("x86", "arm64")]
    for path in (*paths, "include/linux/kvm_types.h"):
        text = headers.read("common", path)
        pattern = r"^struct kvm_(?:vm|vcpu)_stat(?:_generic)? \{(.*?)^\};"
        for body in re.findall(pattern, text, re.MULTILINE | re.DOTALL):
            yield from re.findall(
                r"^\s+(?:u64|atomic64_t) (\w+)(?:\[HALT\w+\])?;", body, re.MULTILINE
            )


FILES: Mapping[str, Callable[[Headers], Iterator[str]]] = {
    "vmx.txt": vmx,
    "svm.txt": svm,
    "esr.txt": esr,
    "kvm_exits.txt": kvm_exits,
    "statistics.txt": statistics,
}


def main() -> None:
    """Download the headers and write every file."""
    with tempfile.TemporaryDirectory() as root:
        apt = Apt(Path(root), SUITE, DEB_ARCH)
        apt.prepare(mirror())
        headers = fetch(apt)
        for name, lines in FILES.items():
            text = "".join(f"{line}\n" for line in dict.fromkeys(lines(headers)))
            (OUT / name).write_text(text, encoding="utf-8")
            print(name, *headers.packages)


if __name__ == "__main__":
    main()
