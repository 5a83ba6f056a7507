"""Test commands and files in a host, and how failures, timeouts and lost hosts differ."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.hosts import (
    CommandError,
    CommandTimeoutError,
    Host,
    HostLostError,
    RequestError,
    channel,
    command,
)
from tests.lab.fake import FakeHost

FOREVER = "echo going; exec sleep 100"


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    with FakeHost() as fake:
        yield fake.host()


@pytest.fixture
def fake() -> Iterator[FakeHost]:
    with FakeHost() as one:
        yield one


def test_a_booted_host_reports_kernel_and_uptime(host: Host) -> None:
    assert host.kernel == os.uname().release
    assert host.uptime > 0


def test_outputs_and_status_are_kept_apart(host: Host) -> None:
    result = host.run("echo out; echo err >&2; exit 3")
    assert (result.status, result.stdout, result.stderr) == (3, "out\n", "err\n")


def test_words_are_not_parsed_by_a_shell(host: Host) -> None:
    assert host.run(["printf", "%s|", "a b", "$HOME", "*"]).stdout == "a b|$HOME|*|"


def test_the_caller_sets_environment_directory_and_input(host: Host, tmp_path: Path) -> None:
    result = host.run(
        "cat; pwd; echo $NAME", env={"NAME": "value"}, cwd=str(tmp_path), stdin=b"input\n"
    )
    assert result.stdout == f"input\n{tmp_path}\nvalue\n"


def test_without_input_a_command_reads_nothing(host: Host) -> None:
    assert host.run(["cat"]).stdout == ""


def test_a_missing_program_is_status_127(host: Host) -> None:
    result = host.run(["no-such-program"])
    assert result.status == 127
    assert result.stderr == "no-such-program: No such file or directory\n"


def test_a_file_that_is_not_executable_is_status_126(host: Host, tmp_path: Path) -> None:
    (tmp_path / "file").touch(mode=0o644)
    assert host.run([str(tmp_path / "file")]).status == 126


def test_a_signal_is_a_negative_status(host: Host) -> None:
    assert host.run("kill -TERM $$").status == -signal.SIGTERM


def test_a_pipe_that_nobody_reads_ends_its_writer(host: Host) -> None:
    assert host.run("yes | head -n 1").stdout == "y\n"


def test_check_raises_the_status_and_the_output(host: Host) -> None:
    assert host.run("true").check().status == 0
    with pytest.raises(CommandError, match="status 4: echo why >&2; exit 4") as caught:
        host.run("echo why >&2; exit 4").check()
    assert caught.value.stderr == "why\n"


def test_bytes_that_are_not_text_are_kept(host: Host) -> None:
    every = bytes(range(256)) * 500
    result = host.run(["cat"], stdin=every)
    assert result.stdout.encode(errors="surrogateescape") == every


def test_output_is_passed_on_as_it_comes(host: Host) -> None:
    pieces = []
    host.run(
        "echo one; sleep 0.1; echo two >&2", sink=lambda name, data: pieces.append((name, data))
    )
    assert pieces == [("stdout", b"one\n"), ("stderr", b"two\n")]


def test_a_child_that_keeps_the_pipe_open_is_not_waited_for(host: Host) -> None:
    assert host.run("sleep 3600 & echo done").stdout == "done\n"


def test_a_child_that_never_stops_writing_is_not_waited_for(host: Host) -> None:
    assert host.run("yes & sleep 0.1; exit 6").status == 6


def test_all_of_a_long_output_arrives(host: Host) -> None:
    assert len(host.run("head -c 1000000 /dev/zero").stdout) == 1_000_000


def test_commands_run_in_parallel(host: Host) -> None:
    with host.start(FOREVER) as first, host.start(FOREVER) as second:
        first.wait_output("going")
        second.wait_output("going")
        assert host.run("echo third").stdout == "third\n"
        assert first.stop().status == -signal.SIGINT
        assert second.stop(signal.SIGTERM).status == -signal.SIGTERM


def test_a_signal_reaches_all_of_a_pipeline(host: Host) -> None:
    with host.start("echo going; sleep 100 | sleep 100") as running:
        running.wait_output("going")
        assert running.stop(signal.SIGTERM).status == -signal.SIGTERM


def test_a_command_may_handle_its_signal(host: Host) -> None:
    with host.start("trap 'echo bye; exit 0' INT; echo going; while :; do sleep 0.01; done") as it:
        it.wait_output("going")
        result = it.stop()
    assert (result.status, result.stdout) == (0, "going\nbye\n")


def test_stopping_an_ended_command_returns_its_result(host: Host) -> None:
    with host.start("exit 5") as running:
        assert running.wait().status == 5
        assert running.stop().status == 5


def test_leaving_a_command_kills_it(host: Host) -> None:
    with host.start(FOREVER) as running:
        pass
    assert running.status == -signal.SIGKILL


def test_an_error_of_another_command_kills_a_command(host: Host) -> None:
    running = host.start(FOREVER)
    with pytest.raises(CommandError), running:
        host.run("exit 1").check()
    assert running.wait(timeout=60).status == -signal.SIGKILL


def test_waiting_for_text_that_does_not_come_is_an_error(host: Host) -> None:
    with host.start("echo other") as running, pytest.raises(CommandError, match="other"):
        running.wait_output("word")


def test_a_command_can_run_at_a_terminal(host: Host) -> None:
    with host.start("tty; stty size; read line; echo =$line=", terminal=(33, 77)) as running:
        running.wait_output("33 77")
        running.enter(b"typed\n")
        result = running.wait()
    assert result.stdout.startswith("/dev/pts/")
    assert "=typed=" in result.stdout


def test_files_are_copied_unchanged(host: Host, tmp_path: Path) -> None:
    data = os.urandom(100_000)
    path = tmp_path / "new" / "file"
    host.put(str(path), data, mode=0o700)
    assert path.read_bytes() == data
    assert path.stat().st_mode & 0o777 == 0o700
    assert host.get(str(path)) == data


def test_an_empty_file_is_copied(host: Host, tmp_path: Path) -> None:
    path = tmp_path / "empty"
    path.write_text("not so empty")
    host.put(str(path), b"")
    assert path.read_bytes() == host.get(str(path)) == b""


def test_a_file_that_cannot_be_read_or_written_is_an_error(host: Host, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"get .*/absent: .*No such file"):
        host.get(str(tmp_path / "absent"))
    with pytest.raises(RequestError, match=r"put .*: .*Is a directory"):
        host.put(str(tmp_path), b"")
    assert host.run("true").status == 0


def test_a_slow_command_is_killed_and_the_host_still_works(host: Host) -> None:
    begun = time.monotonic()
    running = host.start(FOREVER)
    running.wait_output("going")
    with pytest.raises(CommandTimeoutError) as caught:
        running.wait(timeout=0.3)
    assert caught.value.stdout == "going\n"
    assert caught.value.command == FOREVER
    assert 0.3 <= caught.value.seconds <= time.monotonic() - begun
    assert host.run("echo still here").stdout == "still here\n"


def test_a_command_that_ignores_signals_is_killed(host: Host) -> None:
    with pytest.raises(CommandTimeoutError):
        host.run("trap '' INT TERM; while :; do sleep 0.01; done", timeout=0.2)


@pytest.mark.parametrize("spoilt", [b"", b"\n", b"{}\n", b"\x01"], ids=repr)
def test_a_damaged_request_is_repeated_and_done_once(
    fake: FakeHost, spoilt: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = fake.host()
    write, spoils = os.write, iter([spoilt])

    def spoiling(fd: int, data: bytes) -> int:
        if fd == fake.channel._fd and (instead := next(spoils, None)) is not None:
            write(fd, instead + bytes(data)[len(instead) + 1 :])
            return len(data)
        return write(fd, data)

    monkeypatch.setattr(channel, "REPEAT_SECONDS", 0.1)
    monkeypatch.setattr(os, "write", spoiling)
    assert host.run(f"echo once >> {tmp_path}/said").status == 0
    assert (tmp_path / "said").read_text() == "once\n"


def test_a_host_that_ends_is_lost_at_once(fake: FakeHost) -> None:
    running = fake.host().start(FOREVER)
    running.wait_output("going")
    fake.signal(signal.SIGKILL)
    with pytest.raises(HostLostError) as caught:
        running.wait()
    assert caught.value.reason == "the machine stopped"
    assert caught.value.log == "last words"
    assert "host fake lost: the machine stopped" in str(caught.value)
    assert "last words" in str(caught.value)


def test_a_lost_host_stays_lost(fake: FakeHost) -> None:
    host = fake.host()
    fake.signal(signal.SIGKILL)
    for _ in range(2):
        with pytest.raises(HostLostError, match="the machine stopped"):
            host.run("true")
    host.close()


def test_a_host_that_cannot_kill_a_command_is_lost(
    fake: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "KILL_SECONDS", 0.2)
    running = fake.host().start(FOREVER)
    running.wait_output("going")
    fake.signal(signal.SIGSTOP)
    with pytest.raises(HostLostError, match="could not kill"):
        running.wait(timeout=0.2)
    assert fake.process.poll() == -signal.SIGKILL


def test_a_host_is_lost_at_its_deadline() -> None:
    with FakeHost(deadline=0.5) as fake, pytest.raises(HostLostError, match="its deadline passed"):
        fake.host().run(FOREVER)


def test_a_host_that_does_not_answer_is_lost() -> None:
    silent = [sys.executable, "-c", "import time; time.sleep(100)"]
    with FakeHost(silent) as fake, pytest.raises(HostLostError, match=r"no answer within 0\.2 s"):
        fake.host(boot_deadline=0.2)


def test_a_host_that_sends_garbage_is_lost() -> None:
    babble = "import os, sys, time; os.write(int(sys.argv[1][3:]), b'?\\n'); time.sleep(100)"
    with (
        FakeHost([sys.executable, "-c", babble]) as fake,
        pytest.raises(HostLostError, match="garbage on the channel"),
    ):
        fake.host()


def test_a_closed_host_is_lost(fake: FakeHost) -> None:
    host = fake.host()
    host.close()
    with pytest.raises(HostLostError, match="it was closed"):
        host.run("true")
    assert fake.process.poll() is not None


def test_an_interrupted_test_ends_its_host() -> None:
    fake = FakeHost()
    with pytest.raises(KeyboardInterrupt), fake.host() as host, host.start(FOREVER):
        raise KeyboardInterrupt
    assert fake.process.poll() is not None
