"""How the worker chooses among probes, and reports a wrong bcc.

test_attach.py and test_decode.py test the choice in this kernel.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from kstats import arch as arches
from kstats.loader import compiled, worker
from kstats.loader.answers import LoaderUnavailable, Refusal
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
    """BTF with recorded offsets."""

    def __init__(self, offsets: Mapping[str, int]) -> None:
        self._offsets = offsets

    def offset(self, path: str) -> int:
        """Same as :meth:`kstats.loader.btf.Btf.offset`."""
        if path not in self._offsets:
            raise NoBtfError(f"BTF has no {path}")
        return self._offsets[path]

    def function(self, name: str) -> int:
        """Fail like on a kernel before 6.2; test_cast.py tests newer ones."""
        raise NoBtfError(f"BTF has no function {name}")


def probes(isa: str) -> list[Probe]:
    """Return the probes of an ISA's source, as the worker reads them."""
    (source,) = (s for a in arches.arches() for s in a.sources if s.isa == isa)
    return [Probe.read(list(probe)) for probe in source.probes]


def choose(isa: str, args: int, btf: Mapping[str, int] | None = None) -> tuple[str, dict[str, int]]:
    """Return the probe and numbers chosen on a kernel with this BTF, or without BTF."""

    def open_btf() -> Any:
        if btf is None:
            raise NoBtfError("the kernel has no BTF")
        return RecordedBtf(btf)

    probe, numbers, _ = worker.choose(probes(isa), args, open_btf)
    return probe.name, numbers


@pytest.fixture
def tracefs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Replace the two folders of tracefs; return the second, which a test may mount."""
    monkeypatch.setattr(worker, "TRACEFS", (str(tmp_path / "one"), str(tmp_path / "two")))
    return tmp_path / "two"


def mount(tracefs: Path, text: str) -> None:
    """Create the event's format file."""
    event = tracefs / "events/kvm/kvm_exit"
    event.mkdir(parents=True)
    (event / "format").write_text(text, encoding="utf-8")


def test_the_newest_matching_layout_gives_the_offset_of_the_reason() -> None:
    old = {"vcpu_vmx.exit_reason": 8040}
    new = {"vcpu_vmx.vt.exit_reason": 6912}
    for btf, offset in ((old, 8040), (new, 6912), (old | new, 6912)):
        assert choose("vmx", 2, btf) == ("raw-btf", {"EXIT_REASON_OFFSET": offset})


def test_a_kernel_that_passes_the_reason_needs_no_btf() -> None:
    assert choose("vmx", 3) == ("raw-arg", {})


def test_arm64_needs_no_btf() -> None:
    assert choose("arm64", 3) == ("raw", {})


@pytest.mark.parametrize("args", [2, 3])
def test_svm_without_module_btf_falls_back_to_the_record(tracefs: Path, args: int) -> None:
    """No kernel passes the direction of an MSR access to the tracepoint."""
    mount(tracefs, X64_FORMAT)
    assert choose("svm", args, {}) == (
        "classic",
        {"REC_EXIT_REASON": 8, "REC_ISA": 24, "REC_INFO1": 32},
    )


def test_arm64_record_offsets_are_those_of_the_format_file(tracefs: Path) -> None:
    mount(tracefs, ARM64_FORMAT)
    offsets = worker.record_offsets(probes("arm64")[1].record)
    assert offsets == {"REC_RET": 8, "REC_ESR_EC": 12}


def test_the_error_has_a_reason_for_every_rejected_probe(tracefs: Path) -> None:
    assert not tracefs.exists()
    with pytest.raises(Refusal) as caught:
        choose("vmx", 2)
    assert caught.value.answer["error"] == "UnsupportedHostError"
    assert caught.value.answer["message"] == (
        "this kernel offers no way to read exits: raw-cast: the kernel has no BTF; "
        "raw-btf: the kernel has no BTF; "
        "raw-arg: kvm_exit has 2 arguments here, not 3; "
        "classic: tracefs is not mounted (mount -t tracefs nodev /sys/kernel/tracing)"
    )


def test_the_record_of_another_architecture_is_rejected(tracefs: Path) -> None:
    mount(tracefs, X64_FORMAT)
    with pytest.raises(worker.Unavailable, match="the kvm_exit record has no field ret, esr_ec"):
        worker.record_offsets(probes("arm64")[1].record)


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("raise ImportError('no good')", "bcc cannot be imported", "apt install python3-bpfcc"),
        ("raise OSError('libbcc.so.0: gone')", "libbcc.so.0: gone", "apt install python3-bpfcc"),
        ("VERSION = 1", "is another project's bcc", "pip uninstall bcc"),
    ],
)
def test_an_unusable_bcc_is_an_error_with_a_hint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, message: str, hint: str
) -> None:
    (tmp_path / "bcc.py").write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    sys.modules.pop("bcc", None)
    with pytest.raises(LoaderUnavailable) as caught:
        compiled.import_bcc()
    sys.modules.pop("bcc", None)
    assert message in caught.value.answer["unavailable"]
    assert hint in caught.value.answer["hint"]
