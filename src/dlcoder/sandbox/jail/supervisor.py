"""Watches one run from outside: starts it behind its walls, holds it to its limits, ends it, brings its files back.

A process of its own for every run, with one thread. Whoever asked for the run holds one end of its control stream: when
that closes, however it closes, the run dies and everything of it is removed.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import struct
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from . import cgroups, collect, init, kernel, launch, meter, wire
from .frames import FrameReader

Request = dict[str, Any]
_HEAD = struct.Struct("!cI")
_TICK_METERED_S, _TICK_S, _SAMPLE_S = 0.05, 0.02, 0.25
_OWN_TASKS = 2  # bubblewrap (or our first stage) and process 1 count as well
_READY_S = 20.0
_MOST_FILES = 300_000


class CancelledRunError(Exception):
    """Whoever asked for the run does not want it any more, or is gone."""


class RefusedRunError(Exception):
    """The run cannot start as asked; the text says why."""


def main(control: int, warm: Callable[[init.Config, int], int] | None = None) -> None:
    """Serve the one request that comes over the socket `control`, report over it, and leave nothing behind."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)
    with contextlib.suppress(CancelledRunError, EOFError, OSError):
        with os.fdopen(os.dup(control), "rb", buffering=0) as stream:
            request = json.loads(_read_request(stream))
        sender = Sender(control)
        try:
            Supervision(request, sender, warm).run()
        except (CancelledRunError, EOFError):
            raise
        except Exception:
            import traceback  # costs milliseconds that only this case should pay

            sender.put(b"E", json.dumps({"status": "error", "reason": traceback.format_exc()}).encode())
            sender.flush(1.0)


def _read_request(stream: Any) -> bytes:
    head = _exactly(stream, 4)
    return _exactly(stream, struct.unpack("!I", head)[0])


def _exactly(stream: Any, count: int) -> bytes:
    parts = []
    while count:
        part = stream.read(count)
        if not part:
            raise EOFError
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


class Sender:
    """Messages to whoever asked, kept here while they cannot be taken."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._waiting: deque[bytes] = deque()
        os.set_blocking(descriptor, False)

    def put(self, kind: bytes, body: bytes) -> None:
        """Queue a message and send what can be sent."""
        self._waiting.append(_HEAD.pack(kind, len(body)) + body)
        self.push()

    @property
    def pending(self) -> bool:
        """Whether something waits to be sent."""
        return bool(self._waiting)

    def push(self) -> None:
        """Send what can be sent without waiting."""
        while self._waiting:
            data = self._waiting.popleft()
            try:
                sent = os.write(self.descriptor, data)
            except BlockingIOError:
                sent = 0
            except OSError as error:
                raise CancelledRunError from error
            if sent < len(data):
                self._waiting.appendleft(data[sent:])
                return

    def flush(self, patience_s: float) -> None:
        """Send all of it, unless the other side stops taking any."""
        deadline = time.monotonic() + patience_s
        while self._waiting and time.monotonic() < deadline:
            select.select([], [self.descriptor], [], 0.1)
            self.push()


class Supervision:
    """One run, from its request to its report."""

    def __init__(self, request: Request, sender: Sender, warm: Callable[[init.Config, int], int] | None) -> None:
        self.request = request
        self.limits = request["limits"]
        self.control = sender.descriptor
        self.sender = sender
        self.warm = warm
        self.begin = time.monotonic()
        self.started = 0.0
        self.strike: tuple[str, str] | None = None  # which limit, and its value for a reader
        self.struck_at = 0.0
        self.output_bytes = 0
        self.peak_memory = self.peak_tasks = self.peak_disk = 0
        self.exit: dict[str, Any] | None = None
        self.layers: list[str] = []
        self.folders: list[int] = []
        self.group = cgroups.Cgroup({}, unified=False)
        self.child = 0
        self.keepers: set[int] = set()
        self.sock: socket.socket | None = None
        self.readers: dict[int, FrameReader] = {}
        self.output = -1
        self.next_sample = 0.0
        # A warm run begins as a copy of us, and shares those pages until it writes to them.
        self.shared = meter.own_resident() if warm is not None else 0
        self.counted = self.counted_at = 0
        self.tick = 0.0
        self.tail = b""

    def run(self) -> None:
        """Start, watch, end, collect, report."""
        report: dict[str, Any]
        try:
            try:
                self._start()
            except (RefusedRunError, OSError, collect.TooLargeError) as error:
                self._end()
                report = {"status": "error", "refused": True, "reason": self._explain(error)}
            else:
                self._watch()
                self._end()
                report = self._report()
            self.group.remove()
            self.sender.put(b"E", json.dumps(report).encode())
            self.sender.flush(5.0)
        finally:
            self._end()
            self.group.remove()

    # -- start ---------------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        cgroups.sweep()
        self.group = cgroups.create(f"{os.getpid()}-{os.urandom(3).hex()}")
        memory = self.limits["memory_bytes"]
        with contextlib.suppress(OSError):
            self.group.set_limits(memory, self.limits["processes"] + _OWN_TASKS)
        key = os.urandom(32)
        channels = self._open_channels(key)
        self.output, output_write = os.pipe()
        ours, theirs = socket.socketpair()
        self.sock = ours
        config = self._config(channels)
        self.child = launch.start(self.request, config, theirs, output_write, self.group, self.warm)
        os.close(output_write)
        theirs.close()
        for descriptors in channels:
            for descriptor in descriptors:
                os.close(descriptor)
        wire.send(ours, config)
        _, self.folders = self._answer("ready")
        # Ourselves, bubblewrap (or our first stage) and process 1: what descends from them is the program.
        self.keepers = {os.getpid(), *meter.descendants(self.child)}
        self._fill()
        wire.send(ours, {"go": True})
        answer, _ = self._answer("layers")
        self.layers = self._name_layers(answer["layers"])
        self.started = time.monotonic()
        self.sender.put(b"S", json.dumps({"layers": self.layers}).encode())

    def _open_channels(self, key: bytes) -> list[tuple[int, int]]:
        """For every rank of a harness run: a file to read its request from, and the pipe for its messages."""
        if self.request["harness"] is None:
            return []
        channels = []
        for rank in range(self.request["nproc"]):
            reader, writer = os.pipe()
            os.set_blocking(reader, False)
            self.readers[reader] = FrameReader(key, rank)
            header = {"key": key.hex(), "frames": writer, "rank": rank}
            header["request"] = json.loads(self.request["harness"])
            file = os.memfd_create("request")
            with os.fdopen(os.dup(file), "wb") as body:
                body.write(json.dumps(header).encode())
            os.lseek(file, 0, os.SEEK_SET)
            channels.append((file, writer))
        return channels

    def _config(self, channels: list[tuple[int, int]]) -> init.Config:
        request, limits = self.request, self.limits
        memory = limits["memory_bytes"]
        metered = self.group.limits_memory
        gpu = request["gpu"]
        return {
            "namespaces": request["mode"] != "plain",
            "private": request["private"],
            "drop_to": request["drop_to"],
            "landlock": request["landlock"],
            "seccomp": request["seccomp"],
            "metered": metered,
            "readable": request["readable"],
            "writable": request["writable"],
            "file_bytes": max(limits["disk_bytes"], limits["shm_bytes"]),
            "rlimit_nproc": launch.process_ceiling(limits["processes"], request),
            "rlimit_data": -1 if metered or gpu else memory + (1 << 30),
            "rlimit_cpu": int(limits["timeout_s"] * (os.cpu_count() or 1)) + 5,
            "memlock": -1 if gpu else 8 << 20,
            "argv": request["argv"],
            "env": request["env"],
            "nproc": request["nproc"],
            "channels": channels,
            "code_home": request["code_home"],
        }

    def _answer(self, wanted: str) -> tuple[dict[str, Any], list[int]]:
        """The next message of process 1, which must be `wanted`."""
        assert self.sock is not None
        deadline = time.monotonic() + _READY_S
        while True:
            readable, _, _ = select.select([self.sock.fileno(), self.control, self.output], [], [], 0.2)
            if self.control in readable:
                self._hear_control()
            if self.output in readable:
                self.tail += os.read(self.output, 65536)
            if self.sock.fileno() in readable:
                break
            if time.monotonic() > deadline:
                raise RefusedRunError("the sandbox did not come up within 20 s")
        try:
            message, descriptors = wire.receive(self.sock)
        except (EOFError, OSError):
            raise RefusedRunError("the sandbox could not be set up") from None
        if wanted not in message:
            raise RefusedRunError(f"the sandbox could not be set up: {message.get('error', message)}")
        return message, descriptors

    def _fill(self) -> None:
        source = self.request["workdir"]
        target = f"/proc/self/fd/{self.folders[0]}" if self.folders else self.request["plain_work"]
        drop_to = self.request["drop_to"]
        owner = (drop_to, drop_to) if drop_to else None
        if source is not None:
            collect.copy_in(source, target, self.limits["disk_bytes"], owner, self._tick_copy)
        if owner and not self.folders:
            os.chown(target, *owner)

    def _name_layers(self, inner: list[str]) -> list[str]:
        group = ["cgroup"] if self.group.folders else []
        outer = ["namespaces"] if self.request["mode"] != "plain" else []
        ordered = [*outer, *(name for name in inner if name != "rlimits"), *group, "rlimits", "watchdog"]
        missing = [name for name in self.request["require"] if name not in ordered]
        if missing:
            raise RefusedRunError(f"required layers are missing: {', '.join(missing)}")
        return ordered

    # -- watch ---------------------------------------------------------------------------------------------------------

    def _watch(self) -> None:
        assert self.sock is not None
        poller = select.poll()
        for descriptor in (self.control, self.output, self.sock.fileno(), *self.readers):
            poller.register(descriptor, select.POLLIN)
        self.tick = _TICK_METERED_S if self.group.limits_memory else _TICK_S
        deadline = self.started + self.limits["timeout_s"]
        self.next_sample = self.started + _SAMPLE_S
        next_look = 0.0
        while self.exit is None and self.strike is None:
            poller.modify(self.control, select.POLLIN | (select.POLLOUT if self.sender.pending else 0))
            pause = max(0.0, min(deadline, next_look) - time.monotonic())
            for descriptor, event in poller.poll(pause * 1000):
                self._hear(descriptor, event, poller)
            now = time.monotonic()
            if now >= deadline and self.exit is None:
                self._hit("timeout", f"wall time {self.limits['timeout_s']:g} s")
            elif now >= next_look:
                self._look()
                next_look = time.monotonic() + self.tick

    def _hear(self, descriptor: int, event: int, poller: select.poll) -> None:
        assert self.sock is not None
        if descriptor == self.control and event == select.POLLOUT:
            self.sender.push()
        elif descriptor == self.control:
            self._hear_control()
        elif descriptor == self.output:
            if not self._read_output():
                poller.unregister(descriptor)
        elif descriptor == self.sock.fileno():
            self._hear_end()
        elif not self._read_frames(descriptor):
            poller.unregister(descriptor)

    def _hear_control(self) -> None:
        """Anything on the control stream after the request, its end above all, is the wish to stop."""
        raise CancelledRunError

    def _hear_end(self) -> None:
        assert self.sock is not None
        try:
            message, _ = wire.receive(self.sock)
            self.exit = message.get("exit") or {"error": message.get("error", "the sandbox broke")}
        except (EOFError, OSError):
            self.exit = {"error": "the sandbox ended before the program did"}

    def _read_output(self) -> bool:
        data = os.read(self.output, 65536)
        room = self.limits["output_bytes"] - self.output_bytes
        self.output_bytes += len(data)
        if data[:room]:
            self.tail = (self.tail + data[:room])[-4096:]
            self.sender.put(b"O", data[:room])
        if len(data) > room:
            self._hit("output", f"output {_size(self.limits['output_bytes'])}")
        return bool(data)

    def _read_frames(self, descriptor: int) -> bool:
        try:
            data = os.read(descriptor, 1 << 20)
        except BlockingIOError:
            return True
        reader = self.readers[descriptor]
        rank = list(self.readers).index(descriptor)
        for frame in reader.feed(data):
            if self.request["nproc"] > 1:
                frame["rank"] = rank
            self.sender.put(b"F", json.dumps(frame).encode())
        return bool(data)

    def _hit(self, name: str, value: str) -> None:
        if self.strike is None:
            self.strike = (name, value)
            self.struck_at = time.monotonic() - self.started

    def _look(self) -> None:
        """Compare what is used with what may be."""
        limits = self.limits
        spaces = [meter.space(folder) for folder in self.folders]
        held = sum(space.used for space in spaces)
        self.peak_disk = max(self.peak_disk, held)
        reading = meter.read(os.getpid(), self.keepers)
        tasks = reading.tasks
        self.peak_tasks = max(self.peak_tasks, tasks)
        if self.group.memory_struck():
            self._hit("memory", f"memory {_size(limits['memory_bytes'])}")
        if self.group.processes_struck() or tasks > limits["processes"]:
            self._hit("processes", f"processes {limits['processes']}")
        for path, space in zip(self.request["private"], spaces):
            if space.full or space.files > _MOST_FILES:
                self._hit("disk", f"disk {_size(space.size)} ({path})")
        if not self.folders and self.request["plain_work"]:
            self._look_at_folder(limits["disk_bytes"])
        if self.strike is None:
            self._look_at_memory(reading, held)

    def _look_at_memory(self, reading: meter.Reading, held: int) -> None:
        limit = self.limits["memory_bytes"]
        now = time.monotonic()
        at_least = reading.largest - self.shared + held
        if self.group.limits_memory:
            self.peak_memory = max(self.peak_memory, self.group.peak_memory())
            return
        if at_least > limit:
            self.peak_memory = max(self.peak_memory, at_least)
            self._hit("memory", f"memory {_size(limit)}")
            return
        self.tick = _TICK_S if at_least < limit // 3 else _TICK_S / 4
        # Counting shared pages once takes time. In between, what has come since is taken to be shared by nobody.
        estimate = self.counted + max(0, reading.resident - self.counted_at) + held
        self.peak_memory = max(self.peak_memory, at_least)
        if estimate <= limit and now < self.next_sample:
            return
        self.counted, self.counted_at = meter.proportional(reading.pids), reading.resident
        used = self.counted + held
        if used > limit:
            # What lies in a private file system and is mapped, too, was counted twice.
            used -= meter.mapped_from(reading.pids, {os.fstat(folder).st_dev for folder in self.folders})
            if used > limit:
                self._hit("memory", f"memory {_size(limit)}")
        self.peak_memory = max(self.peak_memory, used)
        self.next_sample = now + max(_SAMPLE_S, 20 * (time.monotonic() - now))

    def _look_at_folder(self, limit: int) -> None:
        used = meter.folder_bytes(self.request["plain_work"], limit)
        self.peak_disk = max(self.peak_disk, used)
        if used > limit:
            self._hit("disk", f"disk {_size(limit)}")

    def _tick_copy(self) -> None:
        readable, _, _ = select.select([self.control], [], [], 0)
        if readable:
            self._hear_control()

    # -- end -----------------------------------------------------------------------------------------------------------

    def _end(self) -> None:
        """Kill what is left; return when nothing is."""
        if self.child:
            launch.kill_tree(self.group)
            self.child = 0

    def _report(self) -> dict[str, Any]:
        self._drain()
        self._late_strikes()
        report: dict[str, Any] = {"layers": self.layers, "usage": self._usage(), "harvest": self._harvest()}
        if self.strike is not None:
            name, value = self.strike
            code = 124 if name == "timeout" else 120
            text = f"killed: {value} limit at {self.struck_at:.1f} s"
            report.update(status="timeout" if name == "timeout" else "limit", exit_code=code, limit=text, name=name)
        elif self.exit is not None and "code" in self.exit:
            report.update(status="exited", exit_code=self.exit["code"], ranks=self.exit["ranks"], limit="")
        else:
            report.update(status="error", exit_code=1, limit="", reason=(self.exit or {}).get("error", "unknown"))
        tampered = next((reader.tampered for reader in self.readers.values() if reader.tampered), "")
        complete = bool(self.readers) and all(reader.complete for reader in self.readers.values())
        report.update(complete=complete and not tampered, tampered=tampered)
        return report

    def _drain(self) -> None:
        """Read what was written before the end. Nobody writes any more, so this ends."""
        os.set_blocking(self.output, False)
        with contextlib.suppress(BlockingIOError):
            while self.strike is None and self._read_output():
                pass
        for descriptor, reader in self.readers.items():
            while select.select([descriptor], [], [], 0)[0] and self._read_frames(descriptor):
                pass
            reader.close()

    def _late_strikes(self) -> None:
        """Recognise a limit that the program ran into between two looks."""
        if self.strike is not None:
            return
        self.struck_at = time.monotonic() - self.started
        if self.group.memory_struck():
            self._hit("memory", f"memory {_size(self.limits['memory_bytes'])}")
        elif self.group.processes_struck():
            self._hit("processes", f"processes {self.limits['processes']}")
        elif (self.exit or {}).get("code"):
            self._explain_failure()

    def _explain_failure(self) -> None:
        """A program that failed because it was refused something says so in its last lines."""
        text = self.tail.decode("utf-8", "replace")
        spaces = [meter.space(folder) for folder in self.folders]
        for path, space in zip(self.request["private"], spaces):
            if space.full:
                self._hit("disk", f"disk {_size(space.size)} ({path})")
        refused = ("MemoryError", "can't allocate memory", "Cannot allocate memory", "bad_alloc", "out of memory")
        if not self.group.limits_memory and any(word in text for word in refused):
            self._hit("memory", f"memory {_size(self.limits['memory_bytes'])}")
        if "Resource temporarily unavailable" in text or "can't start new thread" in text:
            self._hit("processes", f"processes {self.limits['processes']}")
        if "File too large" in text or "No space left on device" in text:
            self._hit("disk", f"disk {_size(self.limits['disk_bytes'])}")

    def _usage(self) -> dict[str, float]:
        return {
            "wall_s": round((self.struck_at if self.strike else time.monotonic() - self.started), 3),
            "cpu_s": round((self.exit or {}).get("cpu", 0.0), 3),
            "memory_mb": round(self.peak_memory / (1 << 20), 1),
            "processes": max(self.peak_tasks, 1),
            "disk_mb": round(self.peak_disk / (1 << 20), 3),
            "output_bytes": min(self.output_bytes, self.limits["output_bytes"]),
        }

    def _harvest(self) -> dict[str, Any]:
        target = self.request["collect_to"]
        if target is None:
            return {}
        source = self.folders[0] if self.folders else os.open(self.request["plain_work"], os.O_RDONLY | os.O_DIRECTORY)
        result = collect.harvest(source, target, self.limits["disk_bytes"], self._tick_copy)
        return {"files": result.files, "bytes": result.size, "left": result.left}

    def _explain(self, error: Exception) -> str:
        if isinstance(error, collect.TooLargeError):
            return (
                f"the work directory holds more than the {_size(self.limits['disk_bytes'])} that the disk limit allows"
            )
        with contextlib.suppress(OSError):
            os.set_blocking(self.output, False)
            self.tail += os.read(self.output, 65536)
        said = self.tail.decode("utf-8", "replace").strip()
        return f"{error}" + (f" ({said[-500:]})" if said else "")


def _size(count: int) -> str:
    """A byte count for a reader: "4.0 GiB", "300.0 MiB"."""
    for unit, factor in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if count >= factor:
            return f"{count / factor:.1f} {unit}"
    return f"{count} bytes"
