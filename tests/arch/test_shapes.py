"""The exports for other tools have the contents of the tables."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from kstats import arch as arches
from kstats.arch import lookup, shapes
from kstats.arch.base import Category, Isa

ISAS = lookup.isas()


def schema() -> dict[str, Any]:
    text = (files("kstats.arch") / "arch.schema.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    Draft202012Validator.check_schema(loaded)
    return loaded


@pytest.mark.parametrize("arch", arches.arches(), ids=lambda arch: arch.name)
def test_json_matches_its_schema(arch: arches.Arch) -> None:
    shaped = json.loads(json.dumps(shapes.arch_object(arch, arch.isas)))
    Draft202012Validator(schema()).validate(shaped)
    back = {
        (isa["isa"], r["qualifier"] << 32 | r["code"]): r["reason"]
        for isa in shaped["isas"]
        for r in isa["reasons"]
    }
    known = {(i.name, code): r.name for i in arch.isas for code, r in i.reasons.items()}
    assert back == known


def test_the_schema_has_every_category_and_rejects_other_values() -> None:
    reason = shapes.reason_object(ISAS[0], ISAS[0].reasons[0])
    validator = Draft202012Validator({"$ref": "#/$defs/reason", "$defs": schema()["$defs"]})
    for category in Category:
        validator.validate(reason | {"category": str(category)})
    for wrong in ({"code": -1}, {"category": "else"}, {"causes": "none"}, {"more": 1}):
        assert not validator.is_valid(reason | wrong)


def test_advice_of_a_qualified_reason_is_that_of_its_base() -> None:
    vmx = arches.isa("vmx")
    failed = vmx.reason(0x8000_0021)
    assert failed.name == "INVALID_STATE+FAILED_VMENTRY"
    assert failed.advice is vmx.reasons[33].advice
    assert failed.advice.remedies


def decoded(config: Any, key: int) -> str:
    """Decode a key as ebpf_exporter does: with its decoders ``uint`` and ``static_map``."""
    (counter,) = config["metrics"]["counters"]
    (label,) = counter["labels"]
    number, names = label["decoders"]
    assert (label["size"], number) == (8, {"name": "uint"})
    assert names["name"] == "static_map"
    assert names["allow_unknown"] is True
    text = str(key)
    return str(names["static_map"].get(text, text))


@pytest.mark.parametrize("isa", ISAS, ids=lambda isa: isa.name)
def test_ebpf_exporter_decodes_every_code(isa: Isa) -> None:
    config = yaml.safe_load(shapes.ebpf_exporter(isa))
    for code, reason in isa.reasons.items():
        assert decoded(config, code) == reason.name
    assert decoded(config, 0x3FF) == "1023"


@pytest.mark.parametrize("isa", ISAS, ids=lambda isa: isa.name)
def test_bpftrace_names_every_code(isa: Isa) -> None:
    """Whether it runs and counts is tested in the emulated hosts."""
    entries = re.findall(
        r'^  @names\[\(uint64\)(\d+)\] = "(.*)";$', shapes.bpftrace(isa), re.MULTILINE
    )
    assert {int(code): name for code, name in entries} == {
        code: reason.name for code, reason in isa.reasons.items()
    }


def test_bpftrace_needs_an_event() -> None:
    with pytest.raises(ValueError, match="no bpftrace script for vmx"):
        shapes.bpftrace(ISAS[0]._replace(event=None))
