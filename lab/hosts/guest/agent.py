"""The agent: the first process of an emulated host, which runs commands and copies files.

Both sides send JSON, one object a line, over a channel of their own; the console is never parsed.
Bytes are sent in base64, as `data`. The agent imports only a few modules of the standard library,
because importing is slow on an emulated CPU.

A serial line of a busy emulator may lose or change bytes. Therefore each request starts with a
checksum and has a sequence number, `seq`. The agent drops damaged requests and confirms the others;
the harness repeats unconfirmed requests; the agent ignores a request that it has received before.

Requests (harness to host); `id` is the conversation that they open or belong to:
    {"op": "start", "id", "argv", "env", "cwd", "data": stdin or null, "size": [rows, columns]
     of a terminal to run it at, or null for pipes}
    {"op": "signal", "id", "signal"}      to the process group of a running command
    {"op": "input", "id", "data"}         input for a command that runs at a terminal
    {"op": "put", "id", "path", "data", "append", "mode"}
    {"op": "get", "id", "path"}

Events (host to harness):
    {"event": "ready", "kernel", "uptime"}
    {"event": "received", "seq"}          confirms a request
    {"event": "started", "id", "pid"}
    {"event": "stdout" or "stderr", "id", "data"}
    {"event": "data", "id", "data"}       a piece of the requested file
    {"event": "done", "id", "status"}     of a command: exit status, or minus the signal's number
    {"event": "error", "id", "text"}      the request failed
"""

from __future__ import annotations

import binascii
import fcntl
import json
import os
import select
import signal
import struct
import sys
import termios
import tty

TYPE_CHECKING = False
if TYPE_CHECKING:  # importing typing is slow
    from typing import Any

    Message = dict[str, Any]

CHUNK = 16384
PIPE_SIZE = 65536
PORT_16450 = 2  # linux/serial_core.h
PORTS = "/sys/class/virtio-ports"


def encode(message: Message) -> bytes:
    """Return a message as a line; values of type bytes become base64."""
    plain = {
        name: binascii.b2a_base64(value, newline=False).decode()
        if isinstance(value, bytes)
        else value
        for name, value in message.items()
    }
    return json.dumps(plain, separators=(",", ":")).encode() + b"\n"


def seal(line: bytes) -> bytes:
    """Return a line with its checksum in front."""
    return b"%08x %b" % (binascii.crc32(line), line)


class Lines:
    """Splits a stream of bytes into messages; pieces of it may end anywhere.

    With `sealed`, lines with a wrong checksum are dropped.
    """

    def __init__(self, *, sealed: bool = False) -> None:
        self._rest = b""
        self._sealed = sealed

    def feed(self, piece: bytes) -> list[Message]:
        """Return the messages that this piece completes, with `data` as bytes.

        Raises:
            ValueError: A line is not a message.
        """
        *lines, self._rest = (self._rest + piece).split(b"\n")
        if self._sealed:
            lines = [line[9:] for line in lines if line + b"\n" == seal(line[9:] + b"\n")]
        return [self._decode(line) for line in lines if line.strip()]

    @staticmethod
    def _decode(line: bytes) -> Message:
        message = json.loads(line)
        if not isinstance(message, dict):
            raise ValueError(f"not a message: {line[:80]!r}")  # noqa: TRY004 - as json.loads does
        if isinstance(message.get("data"), str):
            message["data"] = binascii.a2b_base64(message["data"])
        return message


class Job:
    """A running command: its process, and our ends of its output pipes."""

    def __init__(
        self, number: int, pid: int, outputs: dict[int, str], terminal: int | None
    ) -> None:
        self.number = number
        self.pid = pid
        self.outputs = outputs  # file descriptor -> name of the event
        self.terminal = terminal


def _prepare(fds: tuple[int, ...], say_prepared: int) -> None:
    """Set up the child for its command, then report that it can be signalled as one."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # which Python handles
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # which Python ignores
    for number, fd in enumerate(fds):
        os.dup2(fd, number)
    if os.isatty(0):
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    os.write(say_prepared, b"!")


def _execute(argv: list[str], env: dict[str, str], cwd: str | None) -> None:
    """Become the command; called in the child, never returns."""
    status = 127
    try:
        os.chdir(cwd or "/")
        os.execvpe(argv[0], argv, {**os.environ, **env})  # noqa: S606 - the purpose of the agent
    except OSError as error:
        status = 126 if isinstance(error, PermissionError) else 127
        os.write(2, f"{argv[0]}: {error.strerror}\n".encode())
    finally:
        os._exit(status)


class Agent:
    """Serves one channel until it is closed."""

    def __init__(self, channel: int) -> None:
        self._channel = channel
        self._jobs: dict[int, Job] = {}
        self._received: set[int] = set()
        self._poll = select.poll()
        self._poll.register(channel, select.POLLIN)
        self._woken, wake = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._poll.register(self._woken, select.POLLIN)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)

    def serve(self) -> None:
        """Answer requests until the channel ends."""
        with open("/proc/uptime") as file:  # noqa: PTH123 - pathlib is slow to import
            uptime = float(file.read().split()[0])
        self._send(event="ready", kernel=os.uname().release, uptime=uptime)
        lines = Lines(sealed=True)
        while True:
            for fd, _ in self._poll.poll():
                if fd == self._channel:
                    piece = os.read(fd, CHUNK)
                    if not piece:
                        return
                    for message in lines.feed(piece):
                        self._receive(message)
                elif fd == self._woken:
                    os.read(fd, CHUNK)
                    self._reap()
                else:
                    self._forward(fd)

    def _send(self, **message: Any) -> None:
        line = memoryview(encode(message))
        while line:
            line = line[os.write(self._channel, line) :]

    def _receive(self, request: Message) -> None:
        number = request["seq"]
        self._send(event="received", seq=number)
        if number not in self._received:
            self._received.add(number)
            self._answer(request)

    def _answer(self, request: Message) -> None:
        number = request.get("id")
        try:
            getattr(self, "_op_" + request["op"])(request)
        except (OSError, KeyError, AttributeError) as error:
            self._send(event="error", id=number, text=str(error))

    def _op_start(self, request: Message) -> None:
        size, data = request.get("size"), request.get("data")
        if size:
            ours, end = os.openpty()
            fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
            outputs, fds = {ours: "stdout"}, (end, end, end)
        else:
            out, out_end = os.pipe2(os.O_CLOEXEC)
            err, err_end = os.pipe2(os.O_CLOEXEC)
            outputs, fds = {out: "stdout", err: "stderr"}, (_input(data), out_end, err_end)
        prepared, say_prepared = os.pipe2(os.O_CLOEXEC)
        pid = os.fork()
        if pid == 0:
            _prepare(fds, say_prepared)
            _execute(request["argv"], request.get("env") or {}, request.get("cwd"))
        for fd in {*fds, say_prepared}:
            os.close(fd)
        os.read(prepared, 1)
        os.close(prepared)
        for fd in outputs:
            os.set_blocking(fd, False)
            self._poll.register(fd, select.POLLIN)
        job = Job(request["id"], pid, outputs, min(outputs) if size else None)
        self._jobs[job.number] = job
        self._send(event="started", id=job.number, pid=pid)

    def _op_signal(self, request: Message) -> None:
        job = self._jobs.get(request["id"])
        if job:  # it may have ended meanwhile
            os.killpg(job.pid, request["signal"])

    def _op_input(self, request: Message) -> None:
        job = self._jobs.get(request["id"])
        if job and job.terminal is not None:
            os.write(job.terminal, request["data"])

    def _op_put(self, request: Message) -> None:
        path = request["path"]
        os.makedirs(os.path.dirname(path) or "/", exist_ok=True)  # noqa: PTH103, PTH120
        flags = os.O_WRONLY | os.O_CREAT | (os.O_APPEND if request["append"] else os.O_TRUNC)
        with open(os.open(path, flags, request["mode"]), "wb") as file:  # noqa: PTH123
            file.write(request["data"])
        self._send(event="done", id=request["id"], status=0)

    def _op_get(self, request: Message) -> None:
        fd = os.open(request["path"], os.O_RDONLY)
        try:
            while piece := os.read(fd, CHUNK):
                self._send(event="data", id=request["id"], data=piece)
        finally:
            os.close(fd)
        self._send(event="done", id=request["id"], status=0)

    def _forward(self, fd: int) -> None:
        """Send available output of a command."""
        job = next((job for job in self._jobs.values() if fd in job.outputs), None)
        if job is None:  # it ended in the same round of poll
            return
        try:
            piece = os.read(fd, CHUNK)
        except BlockingIOError:
            return
        except OSError:  # a terminal fails with EIO at the end of file
            piece = b""
        if piece:
            self._send(event=job.outputs[fd], id=job.number, data=piece)
        else:
            self._close(job, fd)

    def _close(self, job: Job, fd: int) -> None:
        self._poll.unregister(fd)
        os.close(fd)
        del job.outputs[fd]

    def _reap(self) -> None:
        """Collect ended processes: our commands and, as the first process, all orphans."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            for job in [job for job in self._jobs.values() if job.pid == pid]:
                self._end(job, os.waitstatus_to_exitcode(status))

    def _end(self, job: Job, status: int) -> None:
        # Send what is left in the pipes; do not wait for children that hold them open.
        for fd in list(job.outputs):
            for _ in range(PIPE_SIZE // CHUNK):
                if fd in job.outputs:
                    self._forward(fd)
            if fd in job.outputs:
                self._close(job, fd)
        del self._jobs[job.number]
        self._send(event="done", id=job.number, status=status)


def _input(data: bytes | None) -> int:
    if data is None:
        return os.open(os.devnull, os.O_RDONLY)
    fd = os.memfd_create("stdin")
    os.write(fd, data)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def open_channel(name: str) -> int:
    """Open the channel: `virtio:NAME` (a virtio-serial port), `fd:N`, or a serial line's device."""
    kind, _, rest = name.partition(":")
    if kind == "fd":
        os.set_inheritable(int(rest), False)  # noqa: FBT003 - the standard library's signature
        return int(rest)
    if kind == "virtio":
        # Without udev a port has no name in /dev.
        for port in os.listdir(PORTS):  # noqa: PTH208 - pathlib is slow to import
            with open(f"{PORTS}/{port}/name") as file:  # noqa: PTH123 - pathlib is slow to import
                if file.read().strip() == rest:
                    return os.open(f"/dev/{port}", os.O_RDWR)
        raise FileNotFoundError(f"no virtio port named {rest}")
    _disable_buffer(name)
    fd = os.open(name, os.O_RDWR | os.O_NOCTTY)
    tty.setraw(fd)
    mode = termios.tcgetattr(fd)
    mode[tty.ISPEED] = mode[tty.OSPEED] = termios.B115200
    termios.tcsetattr(fd, termios.TCSANOW, mode)
    return fd


def _disable_buffer(name: str) -> None:
    """Make the driver treat a serial port as a 16450, which has no FIFO.

    An emulated port without a FIFO accepts a byte only after the previous one was read; with a
    FIFO it accepts all bytes, and a busy host loses some.
    """
    fd = os.open(name, os.O_RDWR | os.O_NOCTTY)
    # struct serial_struct: the first field is the type, the sixth the size of the FIFO.
    settings = bytearray(72)
    fcntl.ioctl(fd, termios.TIOCGSERIAL, settings)
    struct.pack_into("i", settings, 0, PORT_16450)
    struct.pack_into("i", settings, 20, 1)
    fcntl.ioctl(fd, termios.TIOCSSERIAL, bytes(settings))
    os.close(fd)  # the new type takes effect at the next open


if __name__ == "__main__":
    Agent(open_channel(sys.argv[1])).serve()
