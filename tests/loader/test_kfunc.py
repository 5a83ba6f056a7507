"""Direct loads: the kernel function call that bcc cannot compile, and kernels without it."""

from __future__ import annotations

from pathlib import Path

import pytest

from kstats.collector.percpu import PER_CPU
from kstats.errors import LoadError
from kstats.loader import kfunc, syscall, worker
from kstats.loader.btf import NoBtfError
from kstats.loader.wire import Probe
from tests.collector.native import NATIVE, target

FUNCTION = 81234


class NoBtf:
    """The BTF of a kernel without the function."""

    def function(self, name: str) -> int:
        """Raise NoBtfError."""
        raise NoBtfError(f"BTF has no function {name}")


class Btf(NoBtf):
    """BTF that has every name, with numbers that mean something else to the kernel."""

    def function(self, name: str) -> int:
        """Return a number that is not a function."""
        assert name == "bpf_rdonly_cast"
        return 1

    def struct(self, name: str) -> int:
        """Return a number that is not a struct."""
        assert name
        return 1


def test_only_calls_with_the_functions_number_are_rewritten() -> None:
    load, other, ours = (
        syscall.instruction(0xB7, 2, 0, FUNCTION),
        syscall.instruction(0x85, 0, 0, 14),
        syscall.instruction(0x85, 0, 0, FUNCTION),
    )
    kernels = syscall.instruction(0x85, 0x20, 0, FUNCTION)
    assert kfunc.relocate(load + ours + other + ours, FUNCTION) == load + kernels + other + kernels


def test_a_kernel_without_the_function_is_an_error() -> None:
    with pytest.raises(kfunc.NoCastError, match="BTF has no function bpf_rdonly_cast"):
        kfunc.numbers(NoBtf())  # type: ignore[arg-type]


def probe(name: str, *, direct: bool) -> Probe:
    """Return a probe as the worker reads it."""
    return Probe(name, "raw", name.upper(), args=2, btf=[], direct=direct, record=[])


def test_without_direct_loads_the_next_probe_is_used_and_the_reason_reported() -> None:
    probes = [probe("loads", direct=True), probe("calls", direct=False)]
    chosen, numbers, rejected = worker.choose(probes, 2, NoBtf)  # type: ignore[arg-type]
    assert (chosen.name, numbers) == ("calls", {})
    assert rejected == [["loads", "BTF has no function bpf_rdonly_cast"]]


@pytest.mark.root
def test_the_error_quotes_a_verifier_that_rejects_the_call() -> None:
    with pytest.raises(kfunc.NoCastError, match=r"refuses calls of bpf_rdonly_cast: .*btf"):
        kfunc.numbers(Btf())  # type: ignore[arg-type]


@pytest.mark.root
def test_the_verifiers_complaint_is_reported(tmp_path: Path) -> None:
    assert NATIVE.bpf
    text = NATIVE.bpf.read_text(encoding="utf-8")
    file = tmp_path / "broken.c"
    file.write_text(text.replace("return DECODED;", "return bpf_override_return(ctx, 0);"))
    broken = target(NATIVE._replace(bpf=file))
    with pytest.raises(LoadError, match="could not be loaded: on_exit: ") as caught:
        broken.load(PER_CPU)
    assert "cannot use helper bpf_override_return" in caught.value.complaint
