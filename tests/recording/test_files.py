"""What was written stays readable: killed at any byte, the disk full, two writers, moved away."""

from __future__ import annotations

import io
import os
import re
import resource
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import attrs
import pytest
import zstandard

from kstats.errors import MissingLibraryError, RecordingError
from kstats.model import Sample
from kstats.recording import (
    Clock,
    Header,
    Machine,
    Recording,
    Rotation,
    Writer,
    encode,
    files,
    read,
)
from kstats.recording.header import IsaTable
from kstats.recording.writer import older
from tests.recording.samples import HEADER
from tests.samples import MOMENT, sample

NAMES = ("x.jsonl", "x.jsonl.zst")
named = pytest.mark.parametrize("name", NAMES)


def numbered(n: int) -> Sample:
    """A sample that can be told from others."""
    return attrs.evolve(sample({("vmx", 48): {0: n}}, entries={0: n}), time=MOMENT + n)


def write(path: Path, *numbers: int, rotation: Rotation | None = None) -> None:
    with Writer(path, HEADER, rotation) as writer:
        for n in numbers:
            writer.write(numbered(n))


def numbers_in(path: Path) -> list[int]:
    """The numbers of the samples that can be read."""
    with read(path) as recording:
        return [found.entries.get(0, 0) for found in recording]


def tail(path: Path) -> str | None:
    with read(path) as recording:
        list(recording)
        return recording.tail


@named
def test_a_sample_can_be_read_as_soon_as_it_is_written(tmp_path: Path, name: str) -> None:
    with Writer(tmp_path / name, HEADER) as writer:
        for n in range(1, 4):
            writer.write(numbered(n))
            assert numbers_in(tmp_path / name) == list(range(1, n + 1))
            assert writer.samples == n
            assert writer.size == (tmp_path / name).stat().st_size


@named
def test_cut_off_at_any_byte_all_whole_samples_are_read_and_the_rest_is_told(
    tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    sizes = {}
    with Writer(path, HEADER) as writer:
        sizes[writer.size] = 0
        for n in range(1, 4):
            writer.write(numbered(n))
            sizes[writer.size] = n
    data = path.read_bytes()
    for size in range(min(sizes), len(data)):
        path.write_bytes(data[:size])
        whole = max(n for end, n in sizes.items() if end <= size)
        got = numbers_in(path)
        # A line of which only the line feed is missing is whole, too.
        assert got in ([*range(1, whole + 1)], [*range(1, whole + 2)])
        if size not in sizes and len(got) == whole:
            line = whole + 2
            assert tail(path) == f"ends in the middle of line {line}; all lines before are complete"
        if size in sizes:
            assert tail(path) is None


@named
def test_cut_off_at_any_byte_it_can_be_continued(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    write(path, 1, 2)
    begun = path.stat().st_size
    write(path, 3)
    data = path.read_bytes()
    for size in [*range(begun, len(data)), 5]:
        path.write_bytes(data[:size])
        write(path, 4)
        assert numbers_in(path)[-1] == 4
        assert tail(path) is None
        assert size == 5 or numbers_in(path)[:2] == [1, 2]


@named
def test_zeros_at_the_end_are_removed(tmp_path: Path, name: str) -> None:
    """A power failure leaves them where the file system wrote the size but not the data."""
    path = tmp_path / name
    write(path, 1, 2)
    with path.open("ab") as file:
        file.write(bytes(5000))
    assert numbers_in(path) == [1, 2]
    assert tail(path) == "ends in the middle of line 4; all lines before are complete"
    with Writer(path, HEADER) as writer:
        assert writer.removed == 5000
        writer.write(numbered(3))
    assert numbers_in(path) == [1, 2, 3]


def test_unwritten_frames_at_the_end_are_removed(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl.zst"
    sizes = []
    with Writer(path, HEADER) as writer:
        for n in range(1, 9):
            writer.write(numbered(n))
            sizes.append(writer.size)
    data = path.read_bytes()
    head = sizes[4] + 20  # of the frame; the sizes of those after it cannot be followed
    path.write_bytes(data[:head] + bytes(len(data) - head))
    with Writer(path, HEADER) as writer:
        assert writer.removed == len(data) - sizes[4]
        writer.write(numbered(9))
    assert numbers_in(path) == [1, 2, 3, 4, 5, 9]
    path.write_bytes(data[:-2] + bytes(2))  # only a checksum is missing
    with Writer(path, HEADER) as writer:
        assert writer.removed == len(data) - sizes[6]


@named
def test_damage_costs_no_sample_after_the_next_key_line(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever byte is damaged, in a header of a frame, in its size, in its checksum."""
    monkeypatch.setattr(encode, "KEY_EVERY", 30)
    path = tmp_path / name
    ends = []
    with Writer(path, HEADER) as writer:
        for n in range(1, 80):
            writer.write(numbered(n))
            ends.append(writer.size)
    data = path.read_bytes()
    for at in range(ends[9], ends[10]):
        path.write_bytes(data[:at] + bytes([data[at] ^ 0x14]) + data[at + 1 :])
        found: list[int] = []
        lines = []
        try:
            with read(path) as recording:
                found.extend(one.entries.get(0, 0) for one in recording)
        except RecordingError as error:
            lines.append(error.line)
        assert set(lines) <= {12, 13}
        assert found[:10] == list(range(1, 11))
        assert set(range(31, 80)) <= set(found)


@named
def test_a_line_that_is_too_long_is_left_out(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / name
    write(path, 1)
    data = path.read_bytes()
    write(path, 2)
    long = b"x" * 5_000_000 + b"\n"
    long = zstandard.compress(long) if name.endswith("zst") else long
    path.write_bytes(data + long + path.read_bytes()[len(data) :])
    monkeypatch.setattr(files, "LONGEST_LINE", 1_000_000)
    with read(path) as recording:
        samples = iter(recording)
        assert [next(samples).entries[0] for _ in range(2)] == [1, 2]
        with pytest.raises(RecordingError, match="line 3: longer than 0 MiB; this line was left"):
            next(samples)


def test_frames_within_frames_take_linear_time(tmp_path: Path) -> None:
    """Each fails late, and another one begins in it."""
    write(tmp_path / "x.jsonl.zst", 1)
    raw_block = (100_000 << 3).to_bytes(3, "little")
    hostile = (files.MAGIC + b"\x00\x58" + raw_block) * 100_000
    read_bytes = 0

    class Counted(io.BytesIO):
        def read1(self, size: int | None = -1, /) -> bytes:
            nonlocal read_bytes
            data = super().read1(size)
            read_bytes += len(data)
            return data

    fed = 0
    original = files._Slices.next

    def counting(slices: files._Slices) -> bytes:
        nonlocal fed
        data = original(slices)
        fed += len(data)
        return data

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files._Slices, "next", counting)
        data = (tmp_path / "x.jsonl.zst").read_bytes() + hostile
        with pytest.raises(RecordingError, match="damaged"):
            list(Recording("hostile", Counted(data)))
    assert read_bytes == len(data) - 4
    assert fed < 2.5 * len(data) + (2 << 20)


@named
def test_a_killed_writer_leaves_all_that_it_wrote(tmp_path: Path, name: str) -> None:
    code = (
        "import os, sys, signal, itertools\n"
        "from tests.recording.test_files import *\n"
        "with Writer(sys.argv[1], HEADER) as writer:\n"
        "    for n in range(1, 51):\n"
        "        writer.write(numbered(n))\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / name],
        cwd=Path(__file__).parents[2],
        check=False,
        timeout=120,
    )
    assert done.returncode == -signal.SIGKILL
    assert numbers_in(tmp_path / name) == list(range(1, 51))


@contextmanager
def room(size: int) -> Iterator[None]:
    """No file may grow beyond ``size`` bytes, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


@named
@pytest.mark.parametrize("spare", [1, 60, 200])
def test_a_full_disk_loses_nothing_that_was_written(tmp_path: Path, name: str, spare: int) -> None:
    path = tmp_path / name
    with Writer(path, HEADER) as writer:
        writer.write(numbered(1))
        size = writer.size
        with room(size + spare), pytest.raises(RecordingError, match="File too large"):
            list(map(writer.write, map(numbered, range(2, 9))))
        whole = numbers_in(path)
        assert whole == list(range(1, len(whole) + 1))
        assert tail(path) is None
        writer.write(numbered(9))  # there is room again
    assert numbers_in(path) == [*whole, 9]


def test_a_device_that_is_full_is_told() -> None:
    with pytest.raises(RecordingError, match="/dev/full: No space left on device"):
        Writer("/dev/full", HEADER)


@named
def test_a_second_writer_is_refused(tmp_path: Path, name: str) -> None:
    with Writer(tmp_path / name, HEADER) as first:
        first.write(numbered(1))
        with pytest.raises(RecordingError, match="another process is recording to this file"):
            Writer(tmp_path / name, HEADER)
        first.write(numbered(2))
    assert numbers_in(tmp_path / name) == [1, 2]


@named
@pytest.mark.parametrize("content", [b"important\n", b"important", b"\0" * 100_000, b"{}\n"])
def test_what_is_no_recording_is_left_alone(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(RecordingError, match="file exists: not a"):
        Writer(path, HEADER)
    assert path.read_bytes() == content


@named
@pytest.mark.parametrize(
    "other",
    [
        attrs.evolve(HEADER, host=Machine(name="db")),
        attrs.evolve(HEADER, arch="arm64"),
        attrs.evolve(HEADER, isas=(IsaTable("svm", "AMD SVM", 1, ""),)),
    ],
    ids=["host", "arch", "isa"],
)
def test_a_recording_of_another_host_is_left_alone(
    tmp_path: Path, name: str, other: Header
) -> None:
    write(tmp_path / name, 1)
    there = (tmp_path / name).read_bytes()
    with pytest.raises(RecordingError, match="it is a recording of web"):
        Writer(tmp_path / name, other)
    assert (tmp_path / name).read_bytes() == there


@named
def test_moved_away_another_takes_its_place(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with Writer(path, HEADER) as writer:
        writer.write(numbered(1))
        path.rename(tmp_path / f"old.{name}")
        writer.write(numbered(2))
        path.unlink()
        writer.write(numbered(3))
    assert numbers_in(tmp_path / f"old.{name}") == [1]
    assert numbers_in(path) == [3]


@named
def test_emptied_it_begins_anew(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with Writer(path, HEADER) as writer:
        writer.write(numbered(1))
        os.truncate(path, 0)
        writer.write(numbered(2))
    assert numbers_in(path) == [2]


def test_changed_by_somebody_else_it_is_let_go(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    with Writer(path, HEADER) as writer:
        path.write_text(path.read_text() + "note to self\n")
        with pytest.raises(RecordingError, match="another process changed the file"):
            writer.write(numbered(1))


@named
def test_size_begins_new_files(tmp_path: Path, name: str) -> None:
    write(tmp_path / name, *range(1, 41), rotation=Rotation(size=1000))
    files = sorted(tmp_path.iterdir(), key=lambda path: numbers_in(path)[0])
    assert len(files) > 3
    assert [n for path in files for n in numbers_in(path)] == list(range(1, 41))
    assert all(1000 <= path.stat().st_size < 2000 for path in files[:-1])
    assert files[-1] == tmp_path / name


@named
def test_time_begins_new_files_at_whole_multiples(tmp_path: Path, name: str) -> None:
    write(tmp_path / name, *range(1, 41), rotation=Rotation(seconds=10))
    files = sorted(tmp_path.iterdir(), key=lambda path: numbers_in(path)[0])
    assert [numbers_in(path)[0] for path in files] == [1, 10, 20, 30, 40]


def test_older_files_are_named_by_their_time_and_only_some_are_kept(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl.zst.bak").touch()
    (tmp_path / "y.20260131T120009Z.jsonl.zst").touch()
    write(tmp_path / "x.jsonl.zst", *range(1, 41), rotation=Rotation(seconds=10, keep=2))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "x.20260131T120029Z-3.jsonl.zst",
        "x.20260131T120039Z-4.jsonl.zst",
        "x.jsonl.zst",
        "x.jsonl.zst.bak",
        "y.20260131T120009Z.jsonl.zst",
    ]


def test_a_file_that_cannot_be_renamed_is_told_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    path = tmp_path / "x.jsonl"
    with Writer(path, HEADER) as writer:
        writer.write(numbered(1))
        writer.turn()
        monkeypatch.setattr(Path, "rename", denied)
        with pytest.raises(RecordingError, match="no new file can take its place: Permission"):
            writer.write(numbered(2))
    assert numbers_in(path) == [1]


@named
def test_rotation_does_not_let_another_writer_in(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that opens the file at any moment of the rotation does not stop the first."""
    path = tmp_path / name
    rename = Path.rename
    others: list[Writer] = []

    def try_to_write() -> None:
        with suppress(RecordingError):
            others.append(Writer(path, HEADER))

    def watched(self: Path, target: Path) -> Path:
        try_to_write()
        renamed = rename(self, target)
        try_to_write()
        return renamed

    with Writer(path, HEADER) as writer:
        writer.write(numbered(1))
        writer.turn()
        monkeypatch.setattr(Path, "rename", watched)
        writer.write(numbered(2))
        monkeypatch.undo()
        writer.write(numbered(3))
        for other in others:
            with pytest.raises(RecordingError, match="another process is recording"):
                other.write(numbered(9))
        writer.write(numbered(4))
    assert numbers_in(path) == [2, 3, 4]


def test_a_rotated_file_passes_on_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    with Writer(path, HEADER) as writer:
        path.chmod(0o640)
        writer.write(numbered(1))
        writer.turn()
        writer.write(numbered(2))
    assert [stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()] == [0o640] * 2


def test_files_of_the_same_second_do_not_take_each_others_place(tmp_path: Path) -> None:
    with Writer(tmp_path / "x.jsonl", HEADER) as writer:
        for _ in range(3):
            writer.write(numbered(1))
            writer.turn()
        writer.write(numbered(1))
    assert len(list(tmp_path.iterdir())) == 4


def test_a_clock_that_is_set_back_begins_a_new_file_and_loses_nothing(tmp_path: Path) -> None:
    write(tmp_path / "x.jsonl", 50, 51, 7, 8, 52, rotation=Rotation(seconds=10))
    assert sorted(n for path in tmp_path.iterdir() for n in numbers_in(path)) == [7, 8, 50, 51, 52]


@pytest.mark.parametrize(
    "numbers", [[1] * 12, [4000, 4001, 4002, 1, 2, 3, 4, 5]], ids=["in one second", "set back"]
)
def test_the_files_written_last_are_kept(tmp_path: Path, numbers: list[int]) -> None:
    with Writer(tmp_path / "x.jsonl", HEADER, Rotation(size=1, keep=2)) as writer:
        for i, n in enumerate(numbers):
            writer.write(attrs.evolve(numbered(n), entries={0: i}))
    left = sorted(n for path in tmp_path.iterdir() for n in numbers_in(path))
    assert left == list(range(len(numbers)))[-3:]


def test_no_file_is_deleted_before_there_are_too_many(tmp_path: Path) -> None:
    write(tmp_path / "x.jsonl", *range(1, 6), rotation=Rotation(size=1, keep=6))
    assert len(list(tmp_path.iterdir())) == 5


def test_names_with_dots_keep_them() -> None:
    assert (
        older(Path("/a/web.example.jsonl.zst"), 0, 7).name
        == "web.example.19700101T000000Z-7.jsonl.zst"
    )


def test_a_recording_goes_through_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader, writer = os.pipe()
    path = Path(f"/dev/fd/{writer}")
    with Writer(path, HEADER, Rotation(size=1)) as through:
        through.write(numbered(1))
        through.write(numbered(2))
    os.close(writer)
    with os.fdopen(reader, "rb") as file:
        assert len(list(Recording("pipe", file))) == 2


@named
def test_a_sample_is_shown_as_soon_as_it_comes_through_a_pipe(tmp_path: Path, name: str) -> None:
    write(tmp_path / name, 1)
    reader, writer = os.pipe()
    os.write(writer, (tmp_path / name).read_bytes())
    with os.fdopen(reader, "rb") as file:
        samples = iter(Recording("pipe", file))
        assert next(samples) is not None  # while the other end is open
        os.close(writer)
        assert next(samples, None) is None


def test_cut_off_before_a_line_is_complete_it_is_not_empty(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl.zst"
    write(path, 1)
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(RecordingError, match="truncated in the first line"):
        read(path)


@named
def test_header_is_of_the_session_that_is_read(tmp_path: Path, name: str) -> None:
    write(tmp_path / name, 1)
    later = attrs.evolve(HEADER, clock=Clock(9.0, 9.0))
    with Writer(tmp_path / name, later) as writer:
        writer.write(numbered(2))
    with read(tmp_path / name) as recording:
        assert [recording.header.clock.time for _ in recording] == [1.5, 9.0]


def test_what_cannot_be_opened_is_told(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match=r"x\.jsonl: No such file or directory"):
        read(tmp_path / "x.jsonl")
    with pytest.raises(RecordingError, match="no file given"):
        read("")
    with pytest.raises(RecordingError, match="Is a directory"):
        Writer(tmp_path, HEADER)
    with pytest.raises(RecordingError, match="No such file or directory"):
        Writer(tmp_path / "no" / "x.jsonl", HEADER)


def test_a_missing_library_is_reported_with_what_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "x.jsonl.zst", 1)
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(MissingLibraryError, match="zstandard") as caught:
        read(tmp_path / "x.jsonl.zst")
    assert re.search(r"apt install python3-\w+, or pip install", caught.value.hint)
    with pytest.raises(MissingLibraryError, match="zstandard"):
        Writer(tmp_path / "x.jsonl.zst", HEADER)


def test_closing_twice_is_fine(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "x.jsonl", HEADER)
    recording = read(tmp_path / "x.jsonl")
    for opened in (writer, writer, recording, recording):
        opened.close()


def test_other_compressors_frames_are_read(tmp_path: Path) -> None:
    """As of the zstd program: all in one frame that does not tell its size."""
    write(tmp_path / "x.jsonl", 1, 2, 3)
    compressor = zstandard.ZstdCompressor().compressobj()
    packed = compressor.compress((tmp_path / "x.jsonl").read_bytes()) + compressor.flush()
    (tmp_path / "renamed").write_bytes(packed)
    assert numbers_in(tmp_path / "renamed") == [1, 2, 3]
    (tmp_path / "x.jsonl.zst").write_bytes(packed)
    write(tmp_path / "x.jsonl.zst", 4)
    assert numbers_in(tmp_path / "x.jsonl.zst") == [1, 2, 3, 4]


def test_files_are_private_also_after_rotation(tmp_path: Path) -> None:
    """They contain the names of VMs."""
    write(tmp_path / "x.jsonl", 1, 2, rotation=Rotation(size=1))
    modes = [stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()]
    assert modes == [0o600, 0o600]
