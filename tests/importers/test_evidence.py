"""Which ISA a file is of, and how much of it was understood."""

from __future__ import annotations

import io

import pytest

from kstats.arch import lookup
from kstats.importers import Decoded, UnrecognizedError, decode
from kstats.importers.evidence import Clue, Fit, by_name, choose
from kstats.views.exits import count_by

ISAS = lookup.isas()


def decoded(text: str, isa: str | None = None) -> tuple[Decoded, dict[str, int]]:
    """Return what a file contains, and its exits by reason."""
    found = decode(io.BytesIO(text.encode()), isa=isa)
    (sample,) = found
    return found, {str(reason): n for (reason,), n in count_by(sample, ("reason",)).items()}


@pytest.mark.parametrize(
    ("text", "isa", "counts"),
    [
        # UNKNOWN is a name only on ARM64, but here it is what a tool prints for nameless codes.
        ("HLT 10\nUNKNOWN 3\n", "vmx", {"HLT": 10, "?": 3}),
        ("UNKNOWN 3\nHLT 10\nNPF 1\n", "svm", {"hlt": 10, "npf": 1, "?": 3}),
        ("UNKNOWN 3\nWFx 10\n", "arm64", {"WFx": 10, "UNKNOWN": 3}),
        ("hlt 5\ncpuid 5\nept_violation 11\n", "vmx", {"HLT": 5, "CPUID": 5, "EPT_VIOLATION": 11}),
        ("0 1\nsvm:0x72 1\n", "svm", {"read_cr0": 1, "cpuid": 1}),
    ],
)
def test_the_isa_is_the_one_that_explains_most(text: str, isa: str, counts: dict[str, int]) -> None:
    found, by_reason = decoded(text)
    assert found.isa == isa
    assert by_reason == counts
    assert found.problems.count == 0


def test_a_guess_is_reported() -> None:
    found, _ = decoded("HLT 10\nCPUID 3\n")
    assert found.isa == "vmx"
    (note,) = found.problems.notes()
    assert note == (
        "the ISA is a guess: vmx, by the spelling of names that svm also has; --isa overrides it"
    )
    assert decoded("HLT 10\nCPUID 3\n", isa="vmx")[0].problems.notes() == ()


def test_unknown_names_and_ties_do_not_decide() -> None:
    assert choose(ISAS, []) is None
    assert choose(ISAS, [by_name(ISAS, "UNKNOWN", 5), by_name(ISAS, "nonsense")]) is None
    assert choose(ISAS, [Clue({"vmx": Fit.EXACT}), Clue({"svm": Fit.EXACT})]) is None
    with pytest.raises(UnrecognizedError, match="cannot detect the ISA"):
        decoded("UNKNOWN 5\n")


def test_a_large_share_that_is_not_understood_is_reported_first() -> None:
    found, by_reason = decoded("EPT_VIOLATION 90\nEPT_NONSENSE 10\n")
    assert by_reason == {"EPT_VIOLATION": 90}
    assert found.shortfall == (
        "10 of 100 exits were not understood and are not counted;"
        " the first is line 2: EPT_NONSENSE 10"
    )


def test_a_small_share_is_only_a_note() -> None:
    found, _ = decoded("EPT_VIOLATION 95\nEPT_NONSENSE 5\n")
    assert found.shortfall == ""
    assert found.problems.notes() == (
        "1 line was not understood and not counted; the first is line 2: EPT_NONSENSE 5",
    )


def test_certain_exits_of_one_isa_decide_at_once() -> None:
    """A live trace is shown as it comes."""
    clues = iter([Clue({"svm": Fit.CERTAIN, "vmx": Fit.KNOWN})] * 20)
    choice = choose(ISAS, clues)
    assert choice is not None
    assert choice.isa.name == "svm"
    assert len(list(clues)) == 12
