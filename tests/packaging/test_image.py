"""The image of deploy/Containerfile, built upon a clean system in place of a registry's image."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from lab import trees
from lab.payload import ROOT

pytestmark = pytest.mark.install

SUITE = "trixie"
BASE = "localhost/clean"
IMAGE = "localhost/kstats"


class Buildah:
    """buildah with storage of its own, and without a network."""

    def __init__(self, storage: Path) -> None:
        self._command = [
            *("unshare", "--net", "buildah", "--storage-driver", "vfs"),
            *("--root", str(storage / "root"), "--runroot", str(storage / "run")),
        ]

    def run(self, *words: str | Path) -> str:
        """Run a command of buildah; return what it prints."""
        done = subprocess.run(
            [*self._command, *words],
            capture_output=True,
            text=True,
            timeout=trees.SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()


@pytest.fixture(scope="module")
def buildah(packages: Path, depends: str) -> Iterator[Buildah]:
    """Yield a buildah that has the image."""
    with tempfile.TemporaryDirectory() as storage:
        buildah = Buildah(Path(storage))
        base = buildah.run("from", "scratch")
        buildah.run("add", "--quiet", base, trees.tree(SUITE, depends), "/")
        buildah.run("commit", "--quiet", "--rm", base, BASE)
        buildah.run(
            *("build", "--isolation", "chroot", "--tag", IMAGE, "--pull-never"),
            *("--build-arg", f"BASE={BASE}", "--build-arg", "PACKAGES="),
            *("--file", ROOT / "deploy/Containerfile", packages),
        )
        yield buildah


def test_image_runs_kstats_and_has_no_packages(buildah: Buildah) -> None:
    container = buildah.run("from", "--pull-never", IMAGE)
    command = "kstats explain vmx:48 && ls /"
    shown = buildah.run("run", "--isolation", "chroot", container, "--", "sh", "-c", command)
    assert shown.startswith("EPT_VIOLATION  Intel VMX, vmx:48")
    assert "usr" in shown.splitlines()
    assert "packages" not in shown.splitlines()


def test_image_runs_what_the_manifest_runs(buildah: Buildah) -> None:
    config = json.loads(buildah.run("inspect", "--type", "image", IMAGE))["OCIv1"]["config"]
    manifest = (ROOT / "deploy/kubernetes/daemonset.yaml").read_text(encoding="utf-8")
    (container,) = list(yaml.safe_load_all(manifest))[-1]["spec"]["template"]["spec"]["containers"]
    assert config["Entrypoint"] == ["kstats"]
    assert config["Cmd"] == container["args"]
