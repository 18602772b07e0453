"""`make conformance`: the server against the official MCP suite, the inspector's lint and the TypeScript clients.

Nothing is expected to fail: there is no list of known failures. Node, the suite and the clients come from npm with
exact versions (`package.json`, `package-lock.json`) into `node_modules` beside this file.
"""

import argparse
import contextlib
import hashlib
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

HERE = Path(__file__).resolve().parent
MODULES = HERE / "node_modules"
BIN = MODULES / ".bin"
REVISIONS = ("2025-11-25", "2026-07-28")
CLIENTS = {"sdk-v1": "sdk 1.32", "legacy": "client 2.4, 2025-11-25", "modern": "client 2.4, 2026-07-28"}
# A tool that needs no argument and reports progress.
SESSION_TOOL = "describe_environment"
STEP_TIMEOUT_S = 120
INSTALL_TIMEOUT_S = 240


@dataclass(frozen=True)
class Result:
    """One row of the table."""

    part: str
    name: str
    passed: int
    failed: int
    detail: str = ""


def install() -> None:
    """Install what `package-lock.json` pins, unless it is there already. A slow registry gets three tries."""
    stamp = MODULES / ".installed"
    wanted = hashlib.sha256((HERE / "package-lock.json").read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted:
        return
    if shutil.which("npm") is None:
        sys.exit("npm is not on the PATH: install Node.js 18 or newer; it fetches the pinned Node 24 itself.")
    command = ["npm", "ci", "--prefer-offline", "--no-audit", "--no-fund", "--loglevel=error", "--fetch-retries=5"]
    for attempt in (1, 2, 3):
        print(f"Installing the suite and the clients (try {attempt}) ...", flush=True)
        with contextlib.suppress(subprocess.TimeoutExpired):
            if run(command, timeout_s=INSTALL_TIMEOUT_S, stream=True).returncode == 0:
                stamp.write_text(wanted)
                return
    sys.exit("npm could not install what tests/conformance/package-lock.json pins.")


def run(
    command: list[str], timeout_s: float = STEP_TIMEOUT_S, stream: bool = False
) -> subprocess.CompletedProcess[str]:
    """Run `command` here with the pinned Node first on the PATH, and leave nothing of it behind."""
    env = os.environ | {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", "NO_COLOR": "1"}
    pipe = None if stream else subprocess.PIPE
    with running(command, env=env, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True, cwd=HERE) as process:
        out, err = process.communicate(timeout=timeout_s)
        return subprocess.CompletedProcess(command, process.returncode, out, err)


@contextlib.contextmanager
def running(command: list[str], **options: object) -> Iterator[subprocess.Popen]:
    """Start `command` in a session of its own, and kill what is left of the session at the end."""
    process = subprocess.Popen(command, start_new_session=True, **options)
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextlib.contextmanager
def http_server(serve: list[str]) -> Iterator[str]:
    """Serve over HTTP with the suite's fixtures, and yield the URL once the port answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [*serve, "--http", "--conformance-fixtures", "--port", str(port)]
    with tempfile.TemporaryFile("w+") as log, running(command, stdout=log, stderr=log) as server:
        deadline = time.monotonic() + 30
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            if server.poll() is not None or time.monotonic() > deadline:
                log.seek(0)
                sys.exit(f"{shlex.join(command)} does not serve:\n{log.read()[-4000:]}")
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}/mcp"


def suite(url: str, revision: str) -> Iterator[Result]:
    """Run what `revision` requires of a server; a required scenario that left no result has failed."""
    part = f"suite {revision}"
    requirements = MODULES / "@modelcontextprotocol/conformance/requirements" / f"{revision}.yaml"
    required = yaml.safe_load(requirements.read_text())["server"]
    with tempfile.TemporaryDirectory() as directory:
        done = run(["conformance", "server", "--url", url, "--requirements", revision, "-o", directory])
        failed = 0
        for scenario in required:
            reports = sorted(Path(directory).glob(f"server-{scenario}-20*/checks.json"))
            result = judge(part, scenario, json.loads(reports[-1].read_text()) if reports else [])
            failed += result.failed
            yield result
    if done.returncode != 0 and not failed:
        yield Result(part, "exit status", 0, 1, (done.stdout + done.stderr)[-2000:])


def judge(part: str, scenario: str, checks: list[dict[str, str]]) -> Result:
    """Count a scenario's checks. One that passed nothing has failed, even where it only skipped."""
    bad = [check for check in checks if check["status"] == "FAILURE"]
    passed = sum(check["status"] == "SUCCESS" for check in checks)
    detail = "; ".join(f"{check['id']}: {check.get('errorMessage', '')}" for check in bad)
    if not passed and not bad:
        return Result(part, scenario, 0, 1, "nothing was checked")
    return Result(part, scenario, passed, len(bad), detail)


def lint(serve: list[str]) -> Iterator[Result]:
    """Hold the schemas of the real tools against the inspector's portability rules, in both eras."""
    for era in ("legacy", "modern"):
        command = ["mcp-inspector", "--cli", *serve, "--method", "tools/list", "--strict", "--protocol-era", era]
        done = run(command)
        names = [tool["name"] for tool in json.loads(done.stdout)["tools"]] if done.returncode == 0 else []
        ok = done.returncode == 0 and bool(names)
        yield Result("inspector", f"strict lint, {era}", ok, not ok, "" if ok else (done.stderr or done.stdout)[-2000:])


def session(kind: str, serve: list[str]) -> Iterator[Result]:
    """Hold a whole session over stdio with one of the TypeScript clients."""
    done = run(["node", "session.mjs", kind, SESSION_TOOL, *serve])
    checks = [json.loads(line) for line in done.stdout.splitlines()]
    for check in checks:
        yield Result(CLIENTS[kind], check["name"], check["ok"], not check["ok"], "" if check["ok"] else check["detail"])
    if not checks or (done.returncode != 0 and all(check["ok"] for check in checks)):
        yield Result(CLIENTS[kind], "exit status", 0, 1, f"{done.returncode}: {done.stderr[-2000:]}")


def attempt(part: str, results: Callable[[], Iterator[Result]]) -> list[Result]:
    """Collect `results`; a step that takes too long or breaks off is a failure like any other."""
    collected: list[Result] = []
    try:
        for result in results():
            collected.append(result)
            if result.failed:
                print(f"  FAILED  {part}: {result.name}: {result.detail}", flush=True)
    except (subprocess.TimeoutExpired, json.JSONDecodeError) as error:
        collected.append(Result(part, "completion", 0, 1, str(error)))
        print(f"  FAILED  {part}: {error}", flush=True)
    passed, failed = totals(collected)
    print(f"  {part:<28} {len(collected):>3} steps  {passed:>4} passed  {failed:>3} failed", flush=True)
    return collected


def totals(results: list[Result]) -> tuple[int, int]:
    """Return how many checks passed and failed."""
    return sum(result.passed for result in results), sum(result.failed for result in results)


def main() -> int:
    """Run everything and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default = shlex.join([str(Path(sys.executable).with_name("dlcoder")), "serve"])
    parser.add_argument("--serve", default=default, type=shlex.split, help="the command that serves (%(default)s)")
    serve = parser.parse_args().serve
    # A stop from outside unwinds like an error, so that the server and the clients go too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    install()
    results: list[Result] = []
    with tempfile.TemporaryDirectory() as home:
        os.environ["HOME"] = home  # The inspector keeps a catalog there.
        with http_server(serve) as url:
            for revision in REVISIONS:
                results += attempt(f"suite {revision}", lambda revision=revision: suite(url, revision))
        results += attempt("inspector", lambda: lint(serve))
        for kind, title in CLIENTS.items():
            results += attempt(title, lambda kind=kind: session(kind, serve))
    passed, failed = totals(results)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
