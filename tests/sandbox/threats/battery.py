"""Runs every hostile, runaway and benign program in the sandbox and judges each from outside.

    python battery.py [--warm] [--only NAME,...] [--json]

It prints one line a program and exits 1 if one escaped or a benign one does not work. `test_battery.py` runs it
as root and as an ordinary user, cold and warm.
"""

import argparse
import ast
import asyncio
import base64
import contextlib
import ctypes
import json
import os
import secrets
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from dlcoder.sandbox import workers
from dlcoder.sandbox.interpreters import Interpreter, find_interpreter
from dlcoder.sandbox.jail import meter
from dlcoder.sandbox.runner import Job, Limits, Outcome, run

HERE = Path(__file__).parent
FAMILIES = ("kernel", "network", "processes", "resources", "secrets_", "files", "benign")
LIMITS = Limits(timeout_s=10, memory_mb=256, processes=48, disk_mb=32, output_bytes=200_000)
BENIGN_LIMITS = Limits(timeout_s=100, memory_mb=2000, processes=128, disk_mb=64)

# What must strike, where something must.
STRIKES = {
    "fork_bomb": {"processes"},
    "fork_tree": {"processes"},
    "thread_bomb": {"processes"},
    "make_zombies": {"processes"},
    "ignore_signals_and_spin": {"timeout"},
    "hang_in_native_code": {"timeout"},
    "stop_itself": {"timeout"},
    "stop_everything": {"timeout"},
    "stall_the_end": {"timeout"},
    "spin_in_all_threads": {"timeout"},
    "use_the_processor_for_ever": {"timeout"},
    "sleep_for_ever": {"timeout"},
    "fill_the_heap": {"memory"},
    "allocate_at_once": {"memory"},
    "fill_in_many_children": {"memory"},
    "fill_shared_memory": {"memory"},
    "fill_dev_shm": {"memory", "disk"},
    "fill_tmp": {"disk"},
    "fill_the_work_directory": {"disk"},
    "reserve_the_disk": {"disk"},
    "flood_the_output": {"output"},
    "print_one_long_line": {"output"},
}
STATUS = {"exit_by_every_status": 137, "crash": 139, "dump_core": 134, "claim_success": 3}
BENIGN_STATUS = {"leave_outputs_and_a_status": 7}
# Alone on the machine, as far as this battery goes: the meter must know whom it measures.
HEAVY = {name for name, strikes in STRIKES.items() if strikes & {"processes", "memory", "disk"}} | {
    "fork_and_die_quickly",
    "fill_anonymous_files",
    "fill_system_v_segments",
    "fill_socket_buffers",
    "fill_pipes",
}
HANGS = {name for name, strikes in STRIKES.items() if strikes == {"timeout"}}


def programs() -> dict[str, str]:
    """Every program by its name, with its family."""
    found = {}
    for family in FAMILIES:
        tree = ast.parse((HERE / f"{family}.py").read_text())
        for node in tree.body:
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                found[node.name] = family
    return found


@dataclass
class Verdict:
    """What became of one program: `escapes` says what went through the walls."""

    name: str
    family: str
    outcome: str = ""
    seconds: float = 0.0
    escapes: list[str] = field(default_factory=list)


class Arena:
    """What the programs are after, and what watches whether they get it."""

    def __init__(self) -> None:
        self.base = Path(tempfile.mkdtemp(prefix="arena-"))
        self.token = secrets.token_hex(12)
        self.canaries = {
            name: f"canary{secrets.token_hex(10)}" for name in ("ssh", "aws", "project", "env", "key", "old")
        }
        self.caught: list[str] = []
        self.home, self.project, self.program = (self.base / name for name in ("home", "neighbour", "program"))
        self._make_files()
        self._listen()
        os.environ.update(
            {"SECRET_API_KEY": self.canaries["env"], "HOME": str(self.home), "PYTHONSTARTUP": "/nonexistent"}
        )
        self.victim = subprocess.Popen(["sleep", "3000"], env={"VICTIM_SECRET": self.canaries["env"]})
        self.held = os.open(self.home / ".ssh/id_ed25519", os.O_RDONLY)
        os.set_inheritable(self.held, True)
        self._add_key()
        self.before = self.fingerprint()

    def _make_files(self) -> None:
        for folder in (self.home / ".ssh", self.home / ".aws", self.home / ".cache/huggingface", self.project):
            folder.mkdir(parents=True)
        (self.home / ".ssh/id_ed25519").write_text(self.canaries["ssh"])
        (self.home / ".aws/credentials").write_text(self.canaries["aws"])
        (self.home / ".netrc").write_text(self.canaries["aws"])
        (self.home / ".cache/huggingface/token").write_text(self.canaries["aws"])
        (self.project / "secret.py").write_text(self.canaries["project"])
        (self.project / ".env").write_text(self.canaries["project"])
        self.program.mkdir()
        for family in (*FAMILIES, "support"):
            shutil.copy(HERE / f"{family}.py", self.program)
        self.litter = [Path("/tmp/left-in-tmp"), Path("/dev/shm/left-in-shm")]
        for path in self.litter:
            with contextlib.suppress(OSError):
                path.write_text(self.canaries["old"])

    def _listen(self) -> None:
        self.tcp = socket.create_server(("0.0.0.0", 0))
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(("0.0.0.0", 0))
        self.unix = socket.socket(socket.AF_UNIX)
        self.unix.bind(str(self.base / "service.sock"))
        (self.base / "service.sock").chmod(0o777)
        self.abstract = socket.socket(socket.AF_UNIX)
        self.abstract.bind("\0" + self.token)
        self.datagram = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.datagram.bind("\0" + self.token + "-datagram")
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.free = probe.getsockname()[1]
        for server, name in ((self.tcp, "tcp"), (self.unix, "unix"), (self.abstract, "abstract")):
            if server is not self.tcp:
                server.listen()
            threading.Thread(target=self._accept, args=(server, name), daemon=True).start()
        for server, name in ((self.udp, "udp"), (self.datagram, "abstract datagram")):
            threading.Thread(target=self._take, args=(server, name), daemon=True).start()
        threading.Thread(target=self._visit, daemon=True).start()

    def _accept(self, server: socket.socket, name: str) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = server.accept()
                self.caught.append(f"{name} listener was reached")
                connection.close()

    def _take(self, server: socket.socket, name: str) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(4096):
                self.caught.append(f"{name} listener got {data[:20]!r}")

    def _visit(self) -> None:
        """Come to whoever listens where only a sandboxed program would."""
        with contextlib.suppress(OSError):
            while True:
                time.sleep(0.1)
                with contextlib.suppress(ConnectionError, TimeoutError):
                    socket.create_connection(("127.0.0.1", self.free), timeout=0.2).close()
                    self.caught.append("a program listens on the host's loopback")

    def _add_key(self) -> None:
        libc = ctypes.CDLL(None)
        libc.syscall(250, 1, None)  # a session keyring of our own, so that none of the user's is touched
        value = self.canaries["key"].encode()
        libc.syscall(248, b"user", self.token.encode(), value, len(value), -3)

    def as_json(self, report: Path) -> str:
        addresses = {info[4][0] for info in _addresses()}
        facts = {
            **{"token": self.token, "home": str(self.home), "project": str(self.project), "key": self.token},
            **{"tcp": self.tcp.getsockname()[1], "udp": self.udp.getsockname()[1], "free": self.free},
            **{"unix": str(self.base / "service.sock"), "abstract": self.token, "victim": self.victim.pid},
            **{"judge": os.getpid(), "hostname": socket.gethostname(), "addresses": sorted(addresses)},
            **{"bait": str(self.base / "bait"), "report": str(report), "visible": []},
            **{"memory_mb": LIMITS.memory_mb, "disk_mb": LIMITS.disk_mb},
        }
        return json.dumps(facts)

    def fingerprint(self) -> dict[str, str]:
        """Everything that no program may change."""
        facts = {}
        for folder in (self.home, self.project, self.program):
            for path in sorted(folder.rglob("*")):
                status = path.lstat()
                content = path.read_bytes() if path.is_file() else b""
                facts[str(path)] = f"{stat.filemode(status.st_mode)} {status.st_nlink} {hash(content)}"
        prefix = Path(sys.prefix)
        for folder in (*prefix.glob("lib/python3*/site-packages"), prefix / "bin", Path(os.__file__).parent):
            facts[str(folder)] = str(folder.stat().st_mtime_ns)
        facts["mounts"] = str(len(Path("/proc/self/mountinfo").read_text().splitlines()))
        facts["hostname"] = socket.gethostname()
        facts["segments"] = str(len(Path("/proc/sysvipc/shm").read_text().splitlines()))
        return facts

    def damage(self) -> list[str]:
        """What has changed outside."""
        found, self.caught = self.caught, []
        now = self.fingerprint()
        found += [
            f"changed: {key}" for key in sorted(set(now) | set(self.before)) if now.get(key) != self.before.get(key)
        ]
        self.before = now
        if (
            self.victim.poll() is not None
            or "T" in Path(f"/proc/{self.victim.pid}/stat").read_text().split(") ")[1][:1]
        ):
            found.append("the victim was killed or stopped")
        if (self.base / "report.json").exists():
            found.append("the report was written from inside")
        if (self.base / "bait").exists():
            found.append("the bait was taken: outputs were executed")
        return found

    def leaks(self, data: bytes) -> list[str]:
        """Which secrets are in `data`, in any of the usual disguises."""
        found = []
        for name, canary in self.canaries.items():
            plain = canary.encode()
            disguises = (plain, plain[::-1], plain.hex().encode(), base64.b64encode(plain)[:-4])
            shifted = [base64.b64encode(b"x" * shift + plain)[4:-4] for shift in (1, 2)]
            if any(disguise in data for disguise in (*disguises, *shifted)):
                found.append(f"leaked: {name}")
        return found

    def close(self) -> None:
        self.victim.kill()
        self.victim.wait()
        for server in (self.tcp, self.udp, self.unix, self.abstract, self.datagram):
            server.close()
        os.close(self.held)
        for path in self.litter:
            with contextlib.suppress(OSError):
                path.unlink()
        shutil.rmtree(self.base, ignore_errors=True)


def _addresses() -> list[tuple]:
    with contextlib.suppress(OSError):
        return socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)
    return []


class Meter(threading.Thread):
    """Peaks of what our descendants use, without the warm workers."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.memory = self.tasks = 0
        self.running = True

    def run(self) -> None:
        known = {os.getpid(), *workers.process_ids()}
        while self.running:
            reading = meter.read(os.getpid(), known)
            self.tasks = max(self.tasks, reading.tasks)
            self.memory = max(self.memory, meter.proportional(reading.pids) + _private_files(reading.pids))
            time.sleep(0.03)


def _private_files(pids: list[int]) -> int:
    """Bytes in the private file systems of the newest process that shows its root."""
    for pid in reversed(pids):
        with contextlib.suppress(OSError):
            if not os.path.isdir(f"/proc/{pid}/root/box"):
                continue
            spaces = [os.statvfs(f"/proc/{pid}/root{path}") for path in ("/box", "/tmp", "/dev/shm")]
            return sum((space.f_blocks - space.f_bfree) * space.f_frsize for space in spaces)
    return 0


async def judge(name: str, family: str, arena: Arena, interpreter: Interpreter, warm: bool) -> Verdict:
    """Run one program and look at what it did."""
    benign = family == "benign"
    limits = BENIGN_LIMITS if benign else LIMITS
    if name in HANGS:
        limits = Limits(1.0, limits.memory_mb, limits.processes, limits.disk_mb, limits.output_bytes)
    program = arena.program / f"{family}.py"
    facts = json.loads(arena.as_json(arena.base / "report.json"))
    facts["program"] = str(program)
    job = Job(("python", str(program), name, json.dumps(facts)), read_only=(arena.program,), limits=limits, warm=warm)
    watch = Meter() if name in HEAVY else None
    if watch:
        watch.start()
    begin = time.monotonic()
    outcome = await run(job, interpreter)
    seconds = time.monotonic() - begin
    if watch:
        watch.running = False
        watch.join()
    verdict = Verdict(name, family, outcome.struck or f"{outcome.status} {outcome.exit_code}", seconds)
    verdict.escapes = [*_judge_outcome(name, benign, outcome), *_judge_traces(arena, outcome, limits)]
    # A watchdog comes late, by how much depends on the machine; a warm run shares what its worker had before.
    slack = (64 if "cgroup" in outcome.layers else 550) + (320 if warm else 0)
    if watch and watch.memory >> 20 > limits.memory_mb + slack:
        verdict.escapes.append(f"used {watch.memory >> 20} MiB")
    if watch and watch.tasks > limits.processes + 25:
        verdict.escapes.append(f"had {watch.tasks} tasks")
    if outcome.usage.wall_s > limits.timeout_s + 1 or (not warm and seconds > limits.timeout_s + 6):
        verdict.escapes.append(f"took {seconds:.1f} s")
    return verdict


def _judge_outcome(name: str, benign: bool, outcome: Outcome) -> list[str]:
    found = [line for line in outcome.output.splitlines() if line.startswith("PWNED")]
    if outcome.status == "error":
        found.append(f"the sandbox broke: {outcome.reason}")
    if benign:
        if "WORKS True" not in outcome.output or outcome.exit_code != BENIGN_STATUS.get(name, 0):
            found.append(f"does not work: {outcome.exit_code} {outcome.limit} {outcome.output[-1500:]}")
        return found
    if name in STRIKES and outcome.struck not in STRIKES[name]:
        found.append(
            f"expected {STRIKES[name]} to strike, got {outcome.status} {outcome.exit_code} {outcome.output[-300:]}"
        )
    if name in STATUS and outcome.exit_code != STATUS[name]:
        found.append(f"status {outcome.exit_code} instead of {STATUS[name]} {outcome.output[-200:]}")
    needed = {"namespaces", "landlock", "seccomp", "rlimits", "watchdog"}
    if not needed <= set(outcome.layers):
        found.append(f"layers {outcome.layers}")
    return found


def _judge_traces(arena: Arena, outcome: Outcome, limits: Limits) -> list[str]:
    found = arena.leaks(outcome.output_path.read_bytes())
    if outcome.output_path.stat().st_size > limits.output_bytes:
        found.append("more output than allowed")
    total = 0
    for path in outcome.workdir.rglob("*"):
        status = path.lstat()
        if stat.S_ISDIR(status.st_mode) and stat.S_IMODE(status.st_mode) == 0o755:
            continue
        total += status.st_size
        if not stat.S_ISREG(status.st_mode) or stat.S_IMODE(status.st_mode) != 0o644 or status.st_nlink != 1:
            found.append(f"collected {path.name!r} as {stat.filemode(status.st_mode)} with {status.st_nlink} names")
        elif status.st_size < 1 << 22:
            found += arena.leaks(path.read_bytes())
        if not path.name.isprintable():
            found.append(f"collected a name like {path.name!r}")
    if total > limits.disk_mb << 20:
        found.append(f"collected {total >> 20} MiB")
    return found


def survivors(token: str) -> list[str]:
    """Processes that are left of the runs: ours, or anybody's with our token on the command line."""
    known = {os.getpid(), *workers.process_ids()}
    found = []
    for pid in set(meter.descendants(os.getpid())) | {int(name) for name in os.listdir("/proc") if name.isdigit()}:
        with contextlib.suppress(OSError):
            words = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            ours = pid in meter.descendants(os.getpid())
            if pid not in known and words and "sleep 3000" not in words and (ours or token in words):
                found.append(f"{pid}: {words[:100]}")
    return found


async def main(only: set[str], warm: bool) -> list[Verdict]:
    """Run all programs, the light ones three at a time."""
    arena = Arena()
    verdicts: list[Verdict] = []
    try:
        interpreter = await find_interpreter(None, None)
        if warm:
            await workers.warm_up(interpreter)
        chosen = {name: family for name, family in programs().items() if not only or name in only}
        gate = asyncio.Semaphore(3)

        async def light(name: str, family: str) -> None:
            async with gate:
                verdicts.append(await judge(name, family, arena, interpreter, warm))

        await asyncio.gather(*(light(n, f) for n, f in chosen.items() if n not in HEAVY))
        _add_damage(verdicts, arena, "the light programs")
        for name in sorted(HEAVY & set(chosen)):
            verdicts.append(await judge(name, chosen[name], arena, interpreter, warm))
        _add_damage(verdicts, arena, "the heavy programs")
    finally:
        arena.close()
        workers.stop_all()
    return verdicts


def _add_damage(verdicts: list[Verdict], arena: Arena, whose: str) -> None:
    time.sleep(0.3)
    found = [*arena.damage(), *(f"still runs: {process}" for process in survivors(arena.token))]
    left = [str(p) for root in Path("/sys/fs/cgroup").glob("*") for p in root.glob(f"**/dlcoder-{os.getpid()}*")]
    verdicts.append(Verdict(f"({whose})", "all", "checked", 0.0, found + [f"cgroup left: {path}" for path in left]))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--warm", action="store_true")
    parser.add_argument("--only", default="")
    parser.add_argument("--json", action="store_true", help="print the verdicts as JSON, on the last line")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    results = asyncio.run(main(set(filter(None, arguments.only.split(","))), arguments.warm))
    for result in results:
        print(
            f"{'ESCAPED' if result.escapes else 'ok':8} {result.name:40} {result.outcome:12} {result.seconds:5.2f} s",
            *result.escapes,
        )
    bad = [result for result in results if result.escapes]
    print(f"{len(results)} verdicts, {len(bad)} escapes")
    if arguments.json:
        print(json.dumps([vars(result) for result in results]))
    sys.exit(bool(bad))
