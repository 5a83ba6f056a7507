"""The newest texts of tools that are scripts, unmodified, from the distribution that has them.

bcc's kvmexit is that of Debian's unstable branch; kvm_stat is part of the kernel's source, and no
package of Debian has it by itself.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from lab.hosts import cache
from lab.hosts.build.apt import Apt

_KVMEXIT = ("sid", "bpfcc-tools", ("python3", "python3-bpfcc", "python3-netaddr"))
_KVM_STAT = ("bookworm", "linux-source-6.1", ("binutils", "xz-utils"))
_SECONDS = 600
_REASONS_OF_AMD = 0x404


def folder() -> Path:
    """Return a folder with `kvmexit` and `kvm_stat`, and their packages in `versions`."""
    return cache.entry("rivals", cache.key(_KVMEXIT, _KVM_STAT), _fetch)


def kvmexit_program(head: str, reason: str) -> str:
    """Return the BPF program of kvmexit, to run at another event.

    ``head`` is the head of its function, and ``reason`` the C expression that is the exit reason.
    """
    whole = (folder() / "kvmexit").read_text(encoding="utf-8")
    found: str = re.findall(r'bpf_text = """(.*?)"""', whole, re.DOTALL)[0]
    for old, new in (
        ("#include <linux/delay.h>", "#include <linux/types.h>"),
        ("TRACEPOINT_PROBE(kvm, kvm_exit)", head),
        ("args->exit_reason", reason),
        # The script itself replaces these two; it does so with the highest of AMD's reasons.
        ("REASON_NUM", f"{_REASONS_OF_AMD}"),
        ("THREAD_FILTER", "0"),
    ):
        if old not in found:
            raise ValueError(f"kvmexit has no {old}: it is of another version than expected")
        found = found.replace(old, new)
    return found


def _fetch(target: Path) -> None:
    kvmexit, kvm_stat = _package(*_KVMEXIT), _package(*_KVM_STAT)
    _extract(kvmexit, "./usr/sbin/kvmexit-bpfcc", target / "kvmexit")
    source = target / "source.tar.xz"
    _extract(kvm_stat, "./usr/src/linux-source-6.1.tar.xz", source)
    script = "linux-source-6.1/tools/kvm/kvm_stat/kvm_stat"
    (target / "kvm_stat").write_bytes(_output("tar", "-xOf", str(source), script))
    source.unlink()
    versions = [_output("dpkg-deb", "-W", str(package)) for package in (kvmexit, kvm_stat)]
    (target / "versions").write_bytes(b"".join(versions).replace(b"\t", b" "))


def _package(suite: str, name: str, installed: tuple[str, ...]) -> Path:
    """Download a package without those that are installed where its scripts run."""
    (path,) = Apt(cache.directory() / "packages", suite, "amd64").fetch([name], without=installed)
    return path


def _extract(package: Path, name: str, to: Path) -> None:
    command = 'dpkg-deb --fsys-tarfile "$0" | tar -xO "$1" >"$2"'
    _output("bash", "-o", "pipefail", "-c", command, str(package), name, str(to))


def _output(*words: str) -> bytes:
    return subprocess.run(words, capture_output=True, check=True, timeout=_SECONDS).stdout
