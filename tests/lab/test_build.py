"""Test building packages, kernels and images, without network and emulator."""

from __future__ import annotations

import gzip
import lzma
import struct
import subprocess
from pathlib import Path

import pytest

from lab.hosts.build import apt, compression, image, kernel
from lab.hosts.build.run import which
from lab.hosts.errors import BuildError

PLAN = """\
Reading package lists...
Inst libc6 (2.36-9+deb12u9 Debian:12.11/oldstable [arm64]) []
Inst libcrypt1 (1:4.4.33-2 Debian:12.11/oldstable [arm64])
Inst python3-attr (22.2.0-1 Debian:12.11/oldstable [all])
Conf libc6 (2.36-9+deb12u9 Debian:12.11/oldstable [arm64])
"""
TARGETS = """\
Other|Other|main|http://mirror.example/other/
Debian|Debian-Security|main|http://mirror.example/security/
Debian|Debian|contrib|http://mirror.example/contrib/
Debian|Debian|main|http://mirror.example/debian/
"""


def test_the_archives_to_unpack_are_those_of_the_plan(tmp_path: Path) -> None:
    names = [
        "libc6_2.36-9+deb12u9_arm64",
        "libcrypt1_1%3a4.4.33-2_arm64",
        "python3-attr_22.2.0-1_all",
    ]
    (tmp_path / "archives").mkdir()
    for name in names:
        (tmp_path / f"archives/{name}.deb").touch()
    planned = apt.Apt(tmp_path, "bookworm", "arm64")._planned(PLAN)
    assert [path.stem for path in planned] == names


def test_an_archive_that_was_not_downloaded_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="libc6_2"):
        list(apt.Apt(tmp_path, "bookworm", "arm64")._planned(PLAN))


def test_the_mirror_is_that_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KSTATS_HOSTS_MIRROR", raising=False)
    monkeypatch.setattr(apt, "run", lambda *_args, **_options: TARGETS)
    assert apt.mirror() == "http://mirror.example/debian/"


def test_without_a_mirror_a_variable_names_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KSTATS_HOSTS_MIRROR", raising=False)
    monkeypatch.setattr(apt, "run", lambda *_args, **_options: TARGETS.splitlines()[0])
    with pytest.raises(BuildError) as caught:
        apt.mirror()
    assert "KSTATS_HOSTS_MIRROR" in caught.value.hint
    monkeypatch.setenv("KSTATS_HOSTS_MIRROR", "http://mirror.example/named/")
    assert apt.mirror() == "http://mirror.example/named/"


@pytest.mark.parametrize("pack", [lzma.compress, gzip.compress, bytes])
def test_compressed_data_is_decompressed_and_other_data_kept(pack: type[bytes]) -> None:
    assert compression.decompress(pack(b"contents")) == b"contents"


def test_damaged_data_is_an_error() -> None:
    with pytest.raises(BuildError):
        compression.decompress(lzma.compress(bytes(1000))[:-20])


def test_the_elf_file_in_a_bzimage_is_found() -> None:
    setup, before, payload = 3, 40, lzma.compress(b"\x7fELF")
    wrapped = bytearray((setup + 1) * 512 + before) + payload + struct.pack("<I", 4)
    wrapped[0x1F1] = setup
    wrapped[0x202:0x206] = b"HdrS"
    struct.pack_into("<II", wrapped, 0x248, before, len(payload) + 4)
    assert compression.unwrap(bytes(wrapped)) == b"\x7fELF"


def test_another_kernel_is_only_decompressed() -> None:
    assert compression.unwrap(gzip.compress(bytes(1000))) == bytes(1000)


def test_modules_come_with_their_dependencies(tmp_path: Path) -> None:
    (tmp_path / "modules.dep").write_text(
        "kernel/kvm/kvm-amd.ko.xz: kernel/kvm/kvm.ko.xz kernel/ccp.ko.xz\n"
        "kernel/kvm/kvm.ko.xz:\n"
        "kernel/ccp.ko.xz:\n"
        "kernel/sound/snd.ko.xz:\n"
    )
    assert list(kernel._closure(tmp_path)) == [
        "kernel/ccp.ko.xz",
        "kernel/kvm/kvm-amd.ko.xz",
        "kernel/kvm/kvm.ko.xz",
    ]


def test_an_image_has_the_files_and_a_size_for_bochs(tmp_path: Path) -> None:
    (tmp_path / "tree/sub").mkdir(parents=True)
    (tmp_path / "tree/sub/file").write_text("contents")
    target = tmp_path / "image"
    image.make_image(tmp_path / "tree", target, label="kstats-payload", minimum=20 << 20)
    assert target.stat().st_size % image.CYLINDER == 0
    assert target.stat().st_size >= 20 << 20
    assert b"kstats-payload" in target.read_bytes()[1024:2048]
    listed = subprocess.run(
        [which("debugfs") or "debugfs", "-R", "cat /sub/file", target],
        capture_output=True,
        check=True,
    )
    assert listed.stdout == b"contents"
