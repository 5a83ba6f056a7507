"""How the worker chooses among probes, and reports a wrong bcc.

The kernel's side of it is in test_attach.py and test_decode.py.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest

from kstats import arch as arches
from kstats.loader import worker
from kstats.loader.btf import NoBtfError
from kstats.loader.wire import Probe

# TP_STRUCT__entry of arch/x86/kvm/trace.h and arch/arm64/kvm/trace_arm.h, as tracefs shows it.
X64_FORMAT = """\
name: kvm_exit
format:
\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;
\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;

\tfield:unsigned int exit_reason;\toffset:8;\tsize:4;\tsigned:0;
\tfield:unsigned long guest_rip;\toffset:16;\tsize:8;\tsigned:0;
\tfield:u32 isa;\toffset:24;\tsize:4;\tsigned:0;
\tfield:u64 info1;\toffset:32;\tsize:8;\tsigned:0;
"""
ARM64_FORMAT = """\
name: kvm_exit
format:
\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;

\tfield:int ret;\toffset:8;\tsize:4;\tsigned:1;
\tfield:unsigned int esr_ec;\toffset:12;\tsize:4;\tsigned:0;
\tfield:unsigned long vcpu_pc;\toffset:16;\tsize:8;\tsigned:0;
"""


class RecordedBtf:
    """Offsets by path, as a kernel's BTF would give them."""

    def __init__(self, offsets: Mapping[str, int]) -> None:
        self._offsets = offsets

    def offset(self, path: str) -> int:
        """Same as :meth:`kstats.loader.btf.Btf.offset`."""
        if path not in self._offsets:
            raise NoBtfError(f"BTF has no {path}")
        return self._offsets[path]

    def function(self, name: str) -> int:
        """As of a kernel before 6.2; test_cast.py has those after."""
        raise NoBtfError(f"BTF has no function {name}")


def probes(isa: str) -> list[Probe]:
    """Return the probes of an ISA's source, as the worker reads them."""
    (source,) = (s for a in arches.arches() for s in a.sources if s.isa == isa)
    return [Probe.read(attrs.asdict(probe)) for probe in source.probes]


def choose(isa: str, args: int, btf: Mapping[str, int] | None = None) -> tuple[str, dict[str, int]]:
    """The probe and defines chosen on a kernel with this BTF; without any where it is None."""

    def open_btf() -> Any:
        if btf is None:
            raise NoBtfError("the kernel has no BTF")
        return RecordedBtf(btf)

    probe, defines, _ = worker.choose(probes(isa), args, open_btf)
    return probe.name, defines


@pytest.fixture
def tracefs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The child's two places for tracefs, the second of them mounted by a test that wants it."""
    monkeypatch.setattr(worker, "TRACEFS", (str(tmp_path / "one"), str(tmp_path / "two")))
    return tmp_path / "two"


def mount(tracefs: Path, text: str) -> None:
    """Puts the event's format file in place."""
    event = tracefs / "events/kvm/kvm_exit"
    event.mkdir(parents=True)
    (event / "format").write_text(text, encoding="utf-8")


def test_the_reason_is_where_the_newest_kernel_that_fits_has_it() -> None:
    old = {"vcpu_vmx.exit_reason": 8040}
    new = {"vcpu_vmx.vt.exit_reason": 6912}
    for btf, offset in ((old, 8040), (new, 6912), (old | new, 6912)):
        assert choose("vmx", 2, btf) == (
            "raw-btf",
            {"KSTATS_RAW_BTF": 1, "EXIT_REASON_OFFSET": offset},
        )


def test_kernels_that_pass_the_reason_are_read_without_btf() -> None:
    assert choose("vmx", 3) == ("raw-arg", {"KSTATS_RAW_ARG": 1})


def test_arm64_passes_all_it_has() -> None:
    assert choose("arm64", 3) == ("raw", {"KSTATS_RAW": 1})


@pytest.mark.parametrize("args", [2, 3])
def test_svm_without_module_btf_falls_back_to_the_record(tracefs: Path, args: int) -> None:
    """Which way an MSR access went is no argument of any kernel's tracepoint."""
    mount(tracefs, X64_FORMAT)
    assert choose("svm", args, {}) == (
        "classic",
        {"KSTATS_CLASSIC": 1, "REC_EXIT_REASON": 8, "REC_ISA": 24, "REC_INFO1": 32},
    )


def test_arm64_record_offsets_are_the_formats(tracefs: Path) -> None:
    mount(tracefs, ARM64_FORMAT)
    offsets = worker.record_offsets(probes("arm64")[1].record)
    assert offsets == {"REC_RET": 8, "REC_ESR_EC": 12}


def test_every_rejected_probe_says_why(tracefs: Path) -> None:
    assert not tracefs.exists()
    with pytest.raises(worker.Refusal) as caught:
        choose("vmx", 2)
    assert caught.value.answer["error"] == "UnsupportedHostError"
    assert caught.value.answer["message"] == (
        "this kernel offers no way to read exits: raw-cast: the kernel has no BTF; "
        "raw-btf: the kernel has no BTF; "
        "raw-arg: kvm_exit has 2 arguments here, not 3; "
        "classic: tracefs is not mounted (mount -t tracefs nodev /sys/kernel/tracing)"
    )


def test_another_architectures_record_is_not_taken_for_ours(tracefs: Path) -> None:
    mount(tracefs, X64_FORMAT)
    with pytest.raises(worker.Unavailable, match="the kvm_exit record has no field ret, esr_ec"):
        worker.record_offsets(probes("arm64")[1].record)


@pytest.mark.parametrize(
    ("text", "said", "hint"),
    [
        ("raise ImportError('no good')", "bcc cannot be imported", "apt install python3-bpfcc"),
        ("raise OSError('libbcc.so.0: gone')", "libbcc.so.0: gone", "apt install python3-bpfcc"),
        ("VERSION = 1", "is another project's bcc", "pip uninstall bcc"),
    ],
)
def test_a_bcc_that_is_none_is_refused_with_a_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, said: str, hint: str
) -> None:
    (tmp_path / "bcc.py").write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    sys.modules.pop("bcc", None)
    with pytest.raises(worker.Refusal) as caught:
        worker.import_bcc()
    sys.modules.pop("bcc", None)
    assert caught.value.answer["error"] == "LoadError"
    assert said in caught.value.answer["message"]
    assert hint in caught.value.answer["hint"]
