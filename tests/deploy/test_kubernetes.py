"""The manifest for Kubernetes: valid for old and new clusters, and least privilege."""

from __future__ import annotations

from typing import Any

import kubernetes_validate
import pytest
import yaml

import kstats
from kstats.cli import exporter
from lab.payload import ROOT

VERSIONS = ("1.25", kubernetes_validate.latest_version())


def manifests() -> dict[str, dict[str, Any]]:
    text = (ROOT / "deploy/kubernetes/daemonset.yaml").read_text(encoding="utf-8")
    return {manifest["kind"]: manifest for manifest in yaml.safe_load_all(text)}


def pod() -> dict[str, Any]:
    spec: dict[str, Any] = manifests()["DaemonSet"]["spec"]["template"]["spec"]
    return spec


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", ["Namespace", "DaemonSet"])
def test_manifest_is_valid(kind: str, version: str) -> None:
    kubernetes_validate.validate(manifests()[kind], version, strict=True)


def test_the_schema_rejects_what_it_does_not_know() -> None:
    manifest = manifests()["DaemonSet"]
    manifest["spec"]["template"]["spec"]["hostPid"] = True
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(manifest, VERSIONS[-1], strict=True)


def test_pod_sees_the_processes_of_its_node_and_has_two_capabilities() -> None:
    (container,) = pod()["containers"]
    security = container["securityContext"]
    assert pod()["hostPID"] is True
    assert security["capabilities"] == {"drop": ["ALL"], "add": ["BPF", "PERFMON"]}
    assert security["readOnlyRootFilesystem"] is True
    assert security["allowPrivilegeEscalation"] is False


def test_container_runs_the_exporter_of_this_version() -> None:
    (container,) = pod()["containers"]
    command, *words = container["args"]
    assert command == "exporter"
    wanted = exporter.parser().parse(words, exporter.ExporterOptions)
    (port,) = container["ports"]
    assert wanted.listen == [f"0.0.0.0:{port['containerPort']}"]
    assert container["image"] == f"kstats:{kstats.__version__}"
