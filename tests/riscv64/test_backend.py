"""The example backend keeps the contract and works wherever kstats uses architectures."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from kstats import arch

ROOT = Path(__file__).parent.parent.parent
EXAMPLE = ROOT / "examples" / "kstats-riscv64"

ASK = """if True:
    import io, json
    from kstats import arch
    from kstats.arch.lookup import find
    from kstats.importers import decode
    line = "  CPU 0/KVM-7 [001] 10.5: kvm_exit: SEPC:0x80200000, SCAUSE:0x%x, STVAL:0x0, HTVAL:0x0"
    trace = "\\n".join(line % cause for cause in (23, 23, 10, 1 << 63 | 5, 99)).encode()
    (sample,) = decode(io.BytesIO(trace + b"\\n"))
    counts = {arch.reason(*code).name: sum(exits.count for exits in p.values())
              for code, p in sample.exits.items()}
    print(json.dumps({
        "arches": [one.name for one in arch.arches()],
        "broken": [str(error) for error in arch.broken()],
        "machine": arch.for_machine("riscv64").name,
        "timer": arch.reason("riscv64", 1 << 32 | 5).name,
        "unknown": arch.reason("riscv64", 99).name,
        "found": [reason.code for _, reason in find("EXC_VIRTUAL_INST_FAULT")],
        "decoded": counts,
    }))
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the backend installed in it."""
    folder = tmp_path_factory.mktemp("site")
    install_backend(folder)
    return folder


def install_backend(folder: Path) -> None:
    words = ["-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    words += ["--no-build-isolation", "--target", str(folder), str(EXAMPLE)]
    subprocess.run([sys.executable, *words], check=True)


def python(site: Path, *words: str) -> str:
    env = os.environ | {"PYTHONPATH": str(site)}
    done = subprocess.run([sys.executable, *words], check=False, env=env, capture_output=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.decode()


def test_it_keeps_the_contract(site: Path) -> None:
    output = python(site, "-m", "kstats.arch.contract", "riscv64")
    assert output == "riscv64: keeps the contract\n"


def test_it_works_everywhere_in_kstats(site: Path) -> None:
    """Also in lookups of names and in decoded traces."""
    assert json.loads(python(site, "-c", ASK)) == {
        "arches": [*(one.name for one in arch.BUILT_IN), "riscv64"],
        "broken": [],
        "machine": "riscv64",
        "timer": "IRQ_S_TIMER",
        "unknown": "riscv64:0x63",
        "found": [22],
        "decoded": {
            "STORE_GUEST_PAGE_FAULT": 2,
            "SUPERVISOR_SYSCALL": 1,
            "IRQ_S_TIMER": 1,
            "riscv64:0x63": 1,
        },
    }
