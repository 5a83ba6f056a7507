"""Write the tables of names that ``kstats exits --detail`` prints, in kstats/arch.

The names come from the kernel headers in Debian's packages ``linux-headers-V-common`` and
``linux-headers-V-arm64``, which apt downloads as in kernel_formats.py. Only names and numbers are
copied. Needs the network, apt, cpp, and a Debian-like machine.
"""

from __future__ import annotations

import ast
import operator
import re
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
from kernel_formats import Apt, mirror

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

ROOT = Path(__file__).parent.parent
SUITE, DEB_ARCH = "trixie-backports", "arm64"

HEAD = """\
# Written by tools/gen_detail_names.py from {headers}
# of Debian's {packages}; not for editing.
\"\"\"{title}\"\"\"

{variable}: dict[int, str] = {{
"""

Names = dict[int, str]

_DEFINE = r"^#\s*define\s+{name}\s+{value}(?=\s|$)"
_BINARY: Mapping[type[ast.operator], Callable[[int, int], int]] = {
    ast.Add: operator.add,
    ast.LShift: operator.lshift,
    ast.BitOr: operator.or_,
    ast.BitAnd: operator.and_,
}

# The registers of the local APIC, which are MSRs in x2APIC mode. Listed, because the header also
# defines their bits.
X2APIC_BASE = 0x800
X2APIC = (
    "ID LVR TASKPRI PROCPRI EOI LDR SPIV ISR TMR IRR ESR LVTCMCI ICR LVTT LVTTHMR LVTPC LVT0 LVT1"
    " LVTERR TMICT TMCCT TDCR SELF_IPI"
)


@attrs.frozen
class Headers:
    """The unpacked packages of one kernel."""

    root: Path
    packages: tuple[str, ...]

    def read(self, package: str, path: str) -> str:
        """Return a header of the package with the suffix ``package``."""
        (name,) = (name for name in self.packages if name.endswith(package))
        return (self.root / "usr/src" / name / path).read_text(encoding="utf-8")


def macros(text: str, name: str) -> dict[str, int]:
    """Return the values of the macros with a matching name; macros in the values are expanded."""
    alone = re.sub(r"^#\s*include.*$", "", text, flags=re.MULTILINE)
    assembly = f"#define __ASSEMBLY__\n#define __ASSEMBLER__\n#define _AC(X, Y) X\n{alone}"
    names = re.findall(rf"^#define ({name}) ", _cpp("-dM", assembly), re.MULTILINE)
    lines = _cpp("-P", assembly + "".join(f'\n"{n}" = {n}' for n in names))
    found = re.findall(r'^"(\w+)" = (.+)$', lines, re.MULTILINE)
    return {name: value for name, text in found if (value := number(text)) is not None}


def _cpp(option: str, text: str) -> str:
    words = ["cpp", "-nostdinc", option]
    return subprocess.run(words, input=text, check=True, capture_output=True, text=True).stdout


def number(text: str) -> int | None:
    """Return the value of a constant C expression; None for any other text."""
    try:
        tree = ast.parse(re.sub(r"\b(0x[0-9a-fA-F]+|\d+)[uUlL]+\b", r"\1", text), mode="eval")
        return _value(tree.body)
    except (SyntaxError, ValueError):
        return None


def _value(node: ast.expr) -> int:
    if isinstance(node, ast.Constant) and isinstance(node.value, int):
        return node.value
    if isinstance(node, ast.BinOp) and type(node.op) in _BINARY:
        return _BINARY[type(node.op)](_value(node.left), _value(node.right))
    raise ValueError(ast.unparse(node))


def defined(text: str, name: str, value: str = "0x[0-9a-fA-F]+") -> Iterator[tuple[str, int]]:
    """Yield (name, value) of the macros that a header defines as a single number."""
    pattern = _DEFINE.format(name=f"({name})", value=rf"\(?({value})[uUlL]*\)?")
    for found in re.finditer(pattern, text, re.MULTILINE):
        yield found[1], int(found[2], 0)


def first_named(pairs: Iterable[tuple[str, int]]) -> Names:
    """Return {number: its first name}, sorted by number."""
    names: Names = {}
    for name, value in pairs:
        names.setdefault(value, name)
    return dict(sorted(names.items()))


def msrs(headers: Headers) -> Names:
    """Return the model-specific registers; Intel's name if vendors differ.

    The numbers of performance counters had other names on processors that no VM has any more.
    """
    text = headers.read("common", "arch/x86/include/asm/msr-index.h")
    kernels = [
        (name, value)
        for name, value in defined(text, r"MSR_\w+")
        if not re.search(r"_(BITS?|STEP|COUNT)\b", name)
    ]
    text = headers.read("common", "arch/x86/include/asm/apicdef.h")
    registers = dict(defined(text, r"APIC_\w+"))
    apic = [
        (f"X2APIC_{name}", X2APIC_BASE + (registers[f"APIC_{name}"] >> 4))
        for name in X2APIC.split()
        if f"APIC_{name}" in registers
    ]
    text = headers.read("common", "arch/x86/include/uapi/asm/kvm_para.h")
    paravirtual = defined(text, r"MSR_KVM_\w+", "0x4b564d[0-9a-f]{2}|0x1[12]")
    text = headers.read("common", "include/hyperv/hvgdk_mini.h")
    hyperv = defined(text, r"HV_X64_MSR_\w+", "0x4000[0-9a-fA-F]{4}")
    counters = [pair for pair in kernels if re.match("MSR_(P6_EVNTSEL|CORE_PERF_)", pair[0])]
    intels = [pair for pair in kernels if pair[0].startswith("MSR_IA32_")]
    return first_named([*counters, *intels, *kernels, *apic, *paravirtual, *hyperv])


def x64_hypercalls(headers: Headers) -> Names:
    """Return KVM's hypercalls on x86."""
    text = headers.read("common", "include/uapi/linux/kvm_para.h")
    calls = defined(text, r"KVM_HC_\w+", r"\d+")
    return first_named(pair for pair in calls if not re.match("KVM_HC_(PPC|MIPS)", pair[0]))


def arm64_hypercalls(headers: Headers) -> Names:
    """Return the functions of the SMC Calling Convention: those of PSCI, Arm and KVM."""
    paths = ("include/uapi/linux/psci.h", "include/linux/arm-smccc.h")
    text = "\n".join(headers.read("common", path) for path in paths)
    found = macros(text, r"PSCI_\w*FN\w*|ARM_SMCCC_\w+")
    functions = {
        name: value
        for name, value in found.items()
        if value >= 1 << 31 and not re.search(r"_(BASE|64BIT|MASK|SHIFT)$|_CALL_(UID|FN)", name)
    }
    return first_named(sorted(functions.items(), key=lambda pair: pair[0].startswith("ARM")))


def sysregs(headers: Headers) -> Names:
    """Return system registers and instructions, numbered by op0, op1, CRn, CRm, op2 from bit 15."""
    texts = (
        headers.read("arm64", "arch/arm64/include/generated/asm/sysreg-defs.h"),
        headers.read("common", "arch/arm64/include/asm/sysreg.h"),
    )
    field = r"\s*(\d+)\s*"
    fields = ",".join([field] * 5)
    pattern = rf"^#define\s+(?:SYS|OP)_(?!AARCH32)(\w+)\s+sys_(?:reg|insn)\({fields}\)"
    return first_named(
        (name, _packed(*map(int, numbers)))
        for text in texts
        for name, *numbers in re.findall(pattern, text, re.MULTILINE)
    )


def _packed(op0: int, op1: int, crn: int, crm: int, op2: int) -> int:
    return op0 << 14 | op1 << 11 | crn << 7 | crm << 3 | op2


@attrs.frozen
class Target:
    """A file to write, and the source of its names."""

    path: str
    variable: str
    title: str
    names: Callable[[Headers], Names]
    headers: str
    package: str = "common"
    digits: int = 1


TARGETS = (
    Target(
        "x64/msr_names.py",
        "MSRS",
        "Model-specific registers, as Linux names them.",
        msrs,
        "asm/{msr-index,apicdef,kvm_para}.h, hyperv/hvgdk_mini.h",
        digits=8,
    ),
    Target(
        "x64/hypercall_names.py",
        "HYPERCALLS",
        "KVM's hypercalls on x86, as Linux names them.",
        x64_hypercalls,
        "linux/kvm_para.h",
    ),
    Target(
        "arm64/hypercall_names.py",
        "HYPERCALLS",
        "Functions of HVC and SMC, as Linux names them.",
        arm64_hypercalls,
        "linux/{psci,arm-smccc}.h",
        digits=8,
    ),
    Target(
        "arm64/sysreg_names.py",
        "SYSREGS",
        "System registers and instructions of ARM64, as Linux names them.",
        sysregs,
        "asm/{sysreg-defs,sysreg}.h",
        "arm64",
        digits=4,
    ),
)


def source(target: Target, headers: Headers) -> str:
    """Return the content of a target's file."""
    names = target.names(headers)
    lines = [f'    0x{value:0{target.digits}X}: "{name}",\n' for value, name in names.items()]
    packages = [name for name in headers.packages if name.endswith(("common", target.package))]
    head = HEAD.format(
        headers=target.headers,
        packages=", ".join(packages),
        title=target.title,
        variable=target.variable,
    )
    return head + "".join(lines) + "}\n"


def fetch(apt: Apt) -> Headers:
    """Download and unpack the headers of the newest kernel."""
    found = apt.names("linux-headers-", r"linux-headers-([\d.]+\S*?)-common")
    newest = max(found, key=lambda version: [int(n) for n in re.findall(r"\d+", version)])
    packages = tuple(f"linux-headers-{newest}-{part}" for part in ("arm64", "common"))
    for package in packages:
        apt.unpack(package, apt.root / "headers")
    return Headers(apt.root / "headers", packages)


def main() -> None:
    """Download the headers and write every target."""
    with tempfile.TemporaryDirectory() as root:
        apt = Apt(Path(root), SUITE, DEB_ARCH)
        apt.prepare(mirror())
        headers = fetch(apt)
        for target in TARGETS:
            path = ROOT / "kstats" / "arch" / target.path
            path.write_text(source(target, headers), encoding="utf-8")
            print(path.relative_to(ROOT), *headers.packages)


if __name__ == "__main__":
    main()
