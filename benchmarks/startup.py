"""How fast and how small `dlcoder serve` starts, against an empty MCP server measured in the same run.

An MCP client starts the server with a time limit and pays for it in every session, so the tools must cost nothing
until they are called. Measured from spawn to the reply to `initialize`, over stdio, in interleaved rounds:

- time: the ratio of the medians, at most 1.10. Where a noisy machine spoils it, the ratio of the minima and the ratio
  of the CPU time used until the reply decide instead, and both must hold.
- memory: the ratio of the resident sets after the reply, at most 1.15.

    python benchmarks/startup.py [--rounds 15]
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

TIME_BOUND = 1.10
MEMORY_BOUND = 1.15
WARM_UP_ROUNDS = 2
REPLY_TIMEOUT_S = 60

EMPTY_SERVER = """\
from mcp.server.mcpserver import MCPServer

MCPServer("empty", version="1").run("stdio")
"""
INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-11-25",
        "capabilities": {},
        "clientInfo": {"name": "startup", "version": "1"},
    },
}


@dataclass(frozen=True)
class Start:
    """One start: wall and CPU milliseconds until the reply, and resident MiB right after it."""

    wall_ms: float
    cpu_ms: float
    memory_mib: float


@dataclass(frozen=True)
class Ratios:
    """What dlcoder costs for each unit that the empty server costs."""

    median: float
    minimum: float
    cpu: float
    memory: float

    @property
    def fast(self) -> bool:
        """Whether the time bound holds: by the medians, or by what a busy machine cannot inflate."""
        return self.median <= TIME_BOUND or max(self.minimum, self.cpu) <= TIME_BOUND

    @property
    def small(self) -> bool:
        """Whether the memory bound holds."""
        return self.memory <= MEMORY_BOUND


def start(command: list[str]) -> Start:
    """Spawn `command`, wait for its reply to `initialize`, look at its costs and let it end."""
    request = json.dumps(INITIALIZE).encode() + b"\n"
    begin = time.perf_counter()
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as server:
        try:
            server.stdin.write(request)
            server.stdin.flush()
            reply = server.stdout.readline()
            wall_ms = (time.perf_counter() - begin) * 1000
            if "result" not in json.loads(reply or b"{}"):
                sys.exit(f"{command} answered {reply[:500]!r} to initialize.")
            cpu_ms, memory_mib = costs(server.pid)
            server.stdin.close()
            server.wait(REPLY_TIMEOUT_S)
        finally:
            server.kill()
    return Start(wall_ms, cpu_ms, memory_mib)


def costs(pid: int) -> tuple[float, float]:
    """Return the CPU milliseconds that a process has used (with its reaped children), and its resident MiB."""
    # The name in field 2 may hold blanks: count from its closing parenthesis.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ticks = sum(int(field) for field in fields[11:15])
    resident_pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return ticks * 1000 / os.sysconf("SC_CLK_TCK"), resident_pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def compare(ours: list[Start], empty: list[Start]) -> Ratios:
    """Reduce the rounds to ratios."""

    def medians(field: str) -> float:
        over, under = ([getattr(start, field) for start in side] for side in (ours, empty))
        return statistics.median(over) / statistics.median(under)

    minimum = min(start.wall_ms for start in ours) / min(start.wall_ms for start in empty)
    return Ratios(medians("wall_ms"), minimum, medians("cpu_ms"), medians("memory_mib"))


def measure(ours: list[str], empty: list[str], rounds: int) -> tuple[list[Start], list[Start]]:
    """Start both in turn, changing which one goes first, so that a slow moment hits both."""
    results: tuple[list[Start], list[Start]] = ([], [])
    for number in range(rounds + WARM_UP_ROUNDS):
        order = (0, 1) if number % 2 else (1, 0)
        for which in order:
            taken = start((ours, empty)[which])
            if number >= WARM_UP_ROUNDS:
                results[which].append(taken)
    return results


def report(ours: list[Start], empty: list[Start], ratios: Ratios) -> str:
    """Lay out what was measured and what it was held against."""

    def row(name: str, starts: list[Start]) -> str:
        wall = [start.wall_ms for start in starts]
        cpu, memory = (statistics.median(getattr(start, f) for start in starts) for f in ("cpu_ms", "memory_mib"))
        return f"{name:<14} {statistics.median(wall):8.0f} {min(wall):8.0f} {cpu:8.0f} {memory:10.1f}"

    lines = [
        f"{len(ours)} rounds      median ms   min ms   CPU ms   resident MiB",
        row("dlcoder serve", ours),
        row("empty server", empty),
        f"time   {ratios.median:.3f} by medians, {ratios.minimum:.3f} by minima, {ratios.cpu:.3f} by CPU;"
        f" bound {TIME_BOUND:.2f}: {'holds' if ratios.fast else 'BROKEN'}",
        f"memory {ratios.memory:.3f}; bound {MEMORY_BOUND:.2f}: {'holds' if ratios.small else 'BROKEN'}",
    ]
    return "\n".join(lines)


def main() -> int:
    """Measure, print and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    ours = [str(Path(sys.executable).with_name("dlcoder")), "serve"]
    with tempfile.TemporaryDirectory() as directory:
        script = Path(directory) / "empty_server.py"
        script.write_text(EMPTY_SERVER)
        results = measure(ours, [sys.executable, str(script)], rounds)
    ratios = compare(*results)
    print(report(*results, ratios))
    return 0 if ratios.fast and ratios.small else 1


if __name__ == "__main__":
    sys.exit(main())
