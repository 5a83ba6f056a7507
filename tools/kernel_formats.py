"""Extract events/kvm/kvm_exit/format of Debian's kernels to tests/data/formats.

apt downloads each kernel package into a temporary directory, from the mirror that this machine's
apt uses. The description of the tracepoint is extracted from the package:

- amd64: the symbols ``print_fmt_kvm_exit`` and ``trace_event_fields_kvm_exit`` of ``kvm.ko`` have
  the names and the fields of the record;
- arm64: KVM is built in and the image has no symbols. The format string is found by its first
  words, and the fields are omitted.

The tracepoint's ID is omitted: the kernel assigns it at boot. Downloads about 2 GB, one package
at a time; needs the network, apt, pyelftools, and a Debian-like machine.
"""

from __future__ import annotations

import argparse
import gzip
import io
import lzma
import os
import re
import struct
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
from elftools.elf.elffile import ELFFile

if TYPE_CHECKING:
    from collections.abc import Iterator

OUT = Path(__file__).parent.parent / "tests" / "data" / "formats"
SUITES = ("bullseye", "bookworm", "bookworm-backports", "trixie", "trixie-backports", "sid")
MEMBERS = {"amd64": r"/arch/x86/kvm/kvm\.ko(\.\w+)?$", "arm64": r"/vmlinuz(-[^/]*)?$"}
# Since 6.19, a kernel is split into several packages; the first one here that exists has the file.
# If the archive has dropped that one, the other exists and does not have the file.
PARTS = {"amd64": ("modules", "image"), "arm64": ("binary", "image")}

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
APT_CONF = """\
Dir::State "{root}/state";
Dir::State::status "{root}/status";
Dir::Cache "{root}/cache";
Dir::Etc::SourceList "{root}/sources.list";
Dir::Etc::SourceParts "/dev/null";
APT::Architecture "{deb_arch}";
APT::Architectures {{ "{deb_arch}"; }};
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::Check-Valid-Until "false";
"""

COMMON_FIELDS = (
    ("unsigned short", "common_type", 2, 0),
    ("unsigned char", "common_flags", 1, 0),
    ("unsigned char", "common_preempt_count", 1, 0),
    ("int", "common_pid", 4, 1),
)


def mirror() -> str:
    """Return the Debian mirror that this machine's apt uses."""
    words = ["apt-get", "indextargets", "--format", "$(SITE) $(RELEASE) $(COMPONENT)"]
    words += ["Origin: Debian", "Created-By: Packages"]
    targets = subprocess.run(words, check=True, capture_output=True, text=True).stdout
    for target in targets.splitlines():
        site, release, component = target.split()
        if component == "main" and not release.endswith("-security"):
            return site
    sys.exit("apt has no Debian mirror: run apt-get update first")


@attrs.frozen
class Apt:
    """A private apt for one suite and architecture, in the directory ``root``."""

    root: Path
    suite: str
    deb_arch: str

    def prepare(self, site: str) -> None:
        """Download the suite's package lists."""
        for name in ("state/lists/partial", "cache/archives/partial"):
            (self.root / name).mkdir(parents=True)
        (self.root / "status").touch()
        source = f"deb [signed-by={KEYRING}] {site} {self.suite} main\n"
        (self.root / "sources.list").write_text(source)
        conf = APT_CONF.format(root=self.root, deb_arch=self.deb_arch)
        (self.root / "apt.conf").write_text(conf)
        self._run("apt-get", "update", "-qq")

    def kernels(self) -> dict[str, str]:
        """Return the package of the newest kernel of each ``major.minor``."""
        pattern = rf"linux-(image|modules|binary)-(\d+\.\d+)\.(\d[^-]*(-\d+)?)-{self.deb_arch}"
        found: dict[str, tuple[list[int], int, str]] = {}
        for package in self._run("apt-cache", "pkgnames", "linux-").split():
            match = re.fullmatch(pattern, package)
            if match is None or match[1] not in PARTS[self.deb_arch]:
                continue
            rank = [int(number) for number in re.findall(r"\d+", match[3])]
            part = -PARTS[self.deb_arch].index(match[1])
            found[match[2]] = max(found.get(match[2], ([], 0, "")), (rank, part, package))
        return {version: package for version, (_, _, package) in sorted(found.items())}

    def names(self, prefix: str, pattern: str) -> list[str]:
        """Return the first group of ``pattern`` in each package name that matches it."""
        packages = self._run("apt-cache", "pkgnames", prefix).split()
        return [found[1] for name in packages if (found := re.fullmatch(pattern, name))]

    def unpack(self, package: str, folder: Path) -> None:
        """Download a package and unpack it into ``folder``."""
        deb = self._fetch(package)
        subprocess.run(["dpkg-deb", "-x", deb, folder], check=True)
        deb.unlink()

    def open_package(self, package: str) -> bytes | None:
        """Return the package's file that has the format (``MEMBERS``), decompressed; or None."""
        deb = self._fetch(package)
        tree = subprocess.run(["dpkg-deb", "--fsys-tarfile", deb], check=True, capture_output=True)
        deb.unlink()
        with tarfile.open(fileobj=io.BytesIO(tree.stdout)) as tar:
            for member in tar:
                if member.isfile() and re.search(MEMBERS[self.deb_arch], member.name):
                    content = tar.extractfile(member)
                    return unpacked(content.read()) if content else None
        return None

    def _fetch(self, package: str) -> Path:
        self._run("apt-get", "download", "-qq", package)
        (deb,) = self.root.glob("*.deb")
        return deb

    def _run(self, *words: str) -> str:
        env = os.environ | {"APT_CONFIG": str(self.root / "apt.conf")}
        done = subprocess.run(
            words, check=True, cwd=self.root, env=env, stdout=subprocess.PIPE, text=True
        )
        return done.stdout


def unpacked(data: bytes) -> bytes:
    """Decompress a module or kernel image."""
    if data[:2] == b"MZ" and data[4:8] == b"zimg":  # EFI zboot, arm64's since 6.1
        start, size = struct.unpack_from("<II", data, 8)
        return unpacked(data[start : start + size])
    if data[:2] == b"\x1f\x8b":
        with gzip.open(io.BytesIO(data)) as stream:
            return stream.read()
    if data[:6] == b"\xfd7zXZ\0":
        return lzma.decompress(data)
    if data[:4] == b"\x28\xb5\x2f\xfd":
        return subprocess.run(["zstd", "-dcq"], input=data, check=True, capture_output=True).stdout
    return data


class Module:
    """The data symbols of a relocatable x86-64 kernel module."""

    def __init__(self, image: bytes) -> None:
        self._elf = ELFFile(io.BytesIO(image))
        self._symbols: Any = self._elf.get_section_by_name(".symtab")

    def data(self, symbol: str) -> bytes:
        """Return the symbol's bytes in the file, before relocation."""
        entry, section = self._find(symbol)
        start = entry["st_value"]
        content: bytes = section.data()
        return content[start : start + entry["st_size"]]

    def strings(self, symbol: str) -> dict[int, str]:
        """Return the strings that a symbol's pointers refer to: {offset in the symbol: string}."""
        entry, section = self._find(symbol)
        start, end = entry["st_value"], entry["st_value"] + entry["st_size"]
        relocations: Any = self._elf.get_section_by_name(f".rela{section.name}")
        return {
            rela["r_offset"] - start: self._string(rela)
            for rela in relocations.iter_relocations()
            if start <= rela["r_offset"] < end
        }

    def _find(self, symbol: str) -> Any:
        (entry,) = self._symbols.get_symbol_by_name(symbol)
        return entry, self._elf.get_section(entry["st_shndx"])

    def _string(self, rela: Any) -> str:
        entry = self._symbols.get_symbol(rela["r_info_sym"])
        content: bytes = self._elf.get_section(entry["st_shndx"]).data()
        start = entry["st_value"] + rela["r_addend"]
        return content[start : content.index(b"\0", start)].decode()


def record_fields(module: Module) -> Iterator[str]:
    """Yield the lines of the record's fields (trace_event_fields in linux/trace_events.h)."""
    offset = 0
    for ctype, name, size, signed in COMMON_FIELDS:
        yield field_line(ctype, name, offset, size, signed)
        offset += size
    yield ""
    symbol = "trace_event_fields_kvm_exit"
    data, strings = module.data(symbol), module.strings(symbol)
    starts = sorted(strings)[::2]
    for start in starts:  # type, name: pointers; size, align, is_signed, ...: 32 bits each
        size, align, flags = struct.unpack_from("<3I", data, start + 16)
        offset = -(-offset // align) * align
        yield field_line(strings[start], strings[start + 8], offset, size, flags & 1)
        offset += size


def field_line(ctype: str, name: str, offset: int, size: int, signed: int) -> str:
    """Return the line of a field as the kernel prints it."""
    return f"\tfield:{ctype} {name};\toffset:{offset};\tsize:{size};\tsigned:{signed};"


def amd64_format(package: str, image: bytes) -> str:
    """Return the format file of an x86-64 kernel, from its kvm.ko."""
    module = Module(image)
    fmt = module.data("print_fmt_kvm_exit").rstrip(b"\0").decode()
    head = f"# {package}: no ID, which is given at boot\nname: kvm_exit\nformat:\n"
    return head + "\n".join(record_fields(module)) + f"\n\nprint fmt: {fmt}\n"


def arm64_format(package: str, image: bytes) -> str:
    """Return the format file of an arm64 kernel, from its image; it has only the names."""
    start = image.index(b'"%s: HSR_EC: 0x%04x (%s), PC: 0x%016lx"')
    fmt = image[start : image.index(b"\0", start)].decode()
    return f"# {package}: no ID, no fields\nname: kvm_exit\n\nprint fmt: {fmt}\n"


def main() -> None:
    """Write the format file of every kernel."""
    parser = argparse.ArgumentParser(description="Extract kvm_exit's format from Debian kernels.")
    parser.add_argument("--suite", choices=SUITES, action="append")
    parser.add_argument("--arch", choices=tuple(MEMBERS), action="append")
    parser.add_argument("--out", type=Path, default=OUT)
    args = parser.parse_args()
    formats = {"amd64": amd64_format, "arm64": arm64_format}
    site = mirror()
    for suite in args.suite or SUITES:
        for deb_arch in args.arch or MEMBERS:
            with tempfile.TemporaryDirectory() as root:
                apt = Apt(Path(root), suite, deb_arch)
                apt.prepare(site)
                for version, package in apt.kernels().items():
                    image = apt.open_package(package)
                    if image is None:
                        print(f"{package}: no longer in the archive", flush=True)
                        continue
                    path = args.out / f"{suite}-{version}-{deb_arch}.format"
                    path.write_text(formats[deb_arch](package, image))
                    print(path.name, package, flush=True)


if __name__ == "__main__":
    main()
