import asyncio
import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dlcoder.errors import UserError
from dlcoder.sandbox import layers, workers
from dlcoder.sandbox.interpreters import find_interpreter
from dlcoder.sandbox.runner import Job, Limits, Outcome, run

MARK = "dlcoder-isolation-test"


def start(job: Job) -> Outcome:
    async def main() -> Outcome:
        return await run(job, await find_interpreter(None, None))

    return asyncio.run(main())


def python(code: str, **options) -> Outcome:
    return start(Job(("python", "-c", code), **options))


def processes_with(word: str) -> list[str]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if word.encode() in words and int(folder.name) != os.getpid():
            found.append(words.decode("utf-8", "replace"))
    return found


def wait_until(condition, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return condition()


def test_an_outcome_says_status_layers_usage_and_output():
    outcome = python("import sys; print('hello'); sys.exit(7)")
    assert (outcome.status, outcome.exit_code, outcome.struck) == ("exited", 7, "")
    assert outcome.output == "hello\n"
    assert {"namespaces", "landlock", "seccomp", "rlimits"} <= set(outcome.layers)
    assert outcome.usage.wall_s > 0 and outcome.usage.output_bytes == 6


@pytest.mark.parametrize(
    ("code", "limits", "struck", "text"),
    [
        ("while True: pass", Limits(timeout_s=0.5), "timeout", "killed: wall time 0.5 s limit at 0.5 s"),
        ("x = [b'x' * 2**20 for _ in range(900)]", Limits(memory_mb=200), "memory", "killed: memory 200.0 MiB limit"),
        ("open('f', 'wb').write(b'x' * 2**25)", Limits(disk_mb=8), "disk", "killed: disk 8.0 MiB"),
        ("while True: print('x' * 999)", Limits(output_bytes=5000), "output", "killed: output 4.9 KiB limit"),
        (
            "import threading, time\nfor _ in range(99): threading.Thread(target=time.sleep, args=(3,)).start()",
            Limits(processes=20),
            "processes",
            "killed: processes 20 limit",
        ),
    ],
)
def test_a_limit_that_strikes_is_named_with_its_value_and_time(code, limits, struck, text):
    outcome = python(code, limits=limits)
    assert outcome.struck == struck
    assert outcome.limit.startswith(text)
    assert outcome.exit_code == (124 if struck == "timeout" else 120)


def test_a_cancelled_run_is_dead_within_a_second():
    async def main() -> float:
        interpreter = await find_interpreter(None, None)
        job = Job(("python", "-c", f"import os, time; os.fork(); os.setsid(); time.sleep(60)  # {MARK}-cancel"))
        task = asyncio.create_task(run(job, interpreter))
        while len(processes_with(f"{MARK}-cancel")) < 2:
            await asyncio.sleep(0.02)
        begin = time.monotonic()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        while processes_with(f"{MARK}-cancel"):
            await asyncio.sleep(0.01)
        return time.monotonic() - begin

    assert asyncio.run(asyncio.wait_for(main(), 30)) < 1.0


@pytest.mark.parametrize("warm", [False, True])
def test_a_killed_server_leaves_no_process_and_no_cgroup(warm):
    code = f"import os, time; os.fork() and os.write(1, b'up\\n'); time.sleep(60)  # {MARK}-orphan"
    command = [sys.executable, "-m", "dlcoder.sandbox.cli", "run", *(["--warm"] if warm else []), "--", "python", "-c"]
    server = subprocess.Popen([*command, code], stdout=subprocess.PIPE)
    try:
        assert server.stdout.readline() == b"up\n"
        tree = _descendants(server.pid)
    finally:
        server.kill()
        server.wait()
    assert len(tree) >= 3
    assert wait_until(lambda: not [pid for pid in tree if _alive(pid)], 2), [_words(pid) for pid in tree if _alive(pid)]
    assert not processes_with(f"{MARK}-orphan")
    owned = [f"dlcoder-{pid}-" for pid in tree]
    groups = [p.name for p in Path("/sys/fs/cgroup").glob("**/dlcoder-*-*")]
    assert not [name for name in groups if name.startswith(tuple(owned))]


def _descendants(pid: int) -> set[int]:
    found, queue = set(), [pid]
    while queue:
        for task in Path(f"/proc/{queue.pop()}/task").glob("*/children"):
            queue += [int(word) for word in task.read_text().split()]
        found |= set(queue)
    return found


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except OSError:
        return False


def _words(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_command_kills_everything(number):
    code = f"import time; print('up', flush=True); time.sleep(60)  # {MARK}-signal"
    command = [sys.executable, "-m", "dlcoder.sandbox.cli", "run", "--", "python", "-c", code]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"up\n"
    process.send_signal(number)
    assert process.wait(timeout=3) == 128 + number
    assert wait_until(lambda: not processes_with(f"{MARK}-signal"), 1)


def test_the_command_reports_from_outside_and_collects_plain_data(tmp_path):
    work = tmp_path / "work"
    work.mkdir()
    (work / "prog.py").write_text(
        "import os, sys\n"
        "os.makedirs('out'); open('out/a.txt', 'w').write('data'); os.chmod('out/a.txt', 0o4777)\n"
        "os.symlink('/etc/passwd', 'link'); os.mkfifo('pipe'); os.link('out/a.txt', 'second')\n"
        "open('report.json', 'w').write('{\"status\": \"passed\"}')\n"
        "sys.exit(5)\n"
    )
    report = work / "report.json"
    command = [sys.executable, "-m", "dlcoder.sandbox.cli", "run", "--workdir", str(work), "--report", str(report)]
    result = subprocess.run([*command, "--", "python", "prog.py"], capture_output=True, text=True, check=False)
    assert result.returncode == 5, result.stderr
    record = json.loads(report.read_text())
    assert (record["status"], record["exit_code"], record["limit_struck"]) == ("exited", 5, None)
    assert record["not_collected"] == {"link": 1, "special file": 1, "file with several names": 2}
    assert sorted(path.name for path in work.rglob("*")) == ["out", "prog.py", "report.json"]


def test_the_work_directory_is_copied_without_keys_and_environments(tmp_path):
    for name in (".env", ".git/config", ".venv/pyvenv.cfg", "src/keep.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("secret")
    code = "import os; print(sorted(os.listdir('.')), os.listdir('src')); open('src/keep.py', 'w').write('changed')"
    outcome = python(code, workdir=tmp_path)
    assert outcome.output == "['src'] ['keep.py']\n"
    assert (tmp_path / "src/keep.py").read_text() == "secret"
    assert (outcome.workdir / "src/keep.py").read_text() == "changed"


def test_host_paths_of_the_work_directory_lead_to_the_copy(tmp_path):
    (tmp_path / "prog.py").write_text("import sys; print(open(sys.argv[1]).read(), open(sys.argv[2][7:]).read())")
    (tmp_path / "data").write_text("here")
    argv = ("python", str(tmp_path / "prog.py"), str(tmp_path / "data"), f"--data={tmp_path}/data")
    outcome = start(Job(argv, workdir=tmp_path))
    outcome_by_alias = python(f"print(open({str(tmp_path / 'data')!r}).read())", workdir=tmp_path)
    assert outcome.output == "here here\n"
    assert outcome_by_alias.output == "here\n"


def test_a_missing_layer_refuses_the_run_and_says_why(monkeypatch):
    machine = asyncio.run(layers.survey(again=True))
    none = tuple(dataclasses.replace(layer, available=False, detail="gone") for layer in machine.layers)
    monkeypatch.setattr(layers, "_found", dataclasses.replace(machine, layers=none, mode="plain"))
    with pytest.raises(UserError, match="namespaces"):
        python("print(1)")
    with pytest.raises(UserError, match="seccomp: gone"):
        python("print(1)", require=("seccomp",), allow_weaker=True)
    assert python("print(1)", allow_weaker=True).layers == ("rlimits", "watchdog") or os.geteuid() == 0


def test_an_unknown_layer_is_refused():
    with pytest.raises(UserError, match="moat"):
        python("print(1)", require=("moat",))


def test_without_namespaces_landlock_and_seccomp_hold(monkeypatch):
    machine = asyncio.run(layers.survey(again=True))
    fewer = tuple(dataclasses.replace(x, available=x.available and x.name != "namespaces") for x in machine.layers)
    monkeypatch.setattr(layers, "_found", dataclasses.replace(machine, layers=fewer, mode="plain"))
    code = (
        "import os, socket, time\n"
        "for action in (lambda: open('/etc/passwd'), lambda: open('/tmp/dlcoder-out', 'w'), socket.socket,\n"
        "               lambda: os.listdir('/var')):\n"
        "    try: action(); print('PWNED')\n"
        "    except OSError as error: print(type(error).__name__)\n"
        "open('out', 'w').write('x')\n"
        "if os.fork() == 0:\n    os.setsid(); time.sleep(30)\n"
    )
    outcome = python(code)
    assert outcome.output == "PermissionError\n" * 4
    assert "namespaces" not in outcome.layers
    assert [path.name for path in outcome.workdir.iterdir()] == ["out"]


def test_namespaces_without_bubblewrap_do_as_well(monkeypatch):
    machine = asyncio.run(layers.survey(again=True))
    monkeypatch.setattr(layers, "_found", dataclasses.replace(machine, mode="native", bubblewrap=""))
    outcome = python("import os; print(os.listdir('/tmp'), os.path.exists('/root/.bashrc'), os.getcwd())")
    assert outcome.output.endswith("False /box\n")
    assert "namespaces" in outcome.layers


@pytest.mark.parametrize("path", ["/", "/proc", "~"])
def test_what_holds_the_home_directory_is_not_shown(path):
    with pytest.raises(UserError, match="must not be visible"):
        python("print(1)", read_only=(Path(path).expanduser(),))


def test_a_work_directory_larger_than_the_disk_is_refused(tmp_path):
    (tmp_path / "big").write_bytes(b"x" * (3 << 20))
    with pytest.raises(UserError, match="disk limit"):
        python("print(1)", workdir=tmp_path, limits=Limits(disk_mb=2))


POISON = """
import os, sys, builtins, json, torch
torch.nn.Linear.forward = lambda self, x: x * float('nan')
torch.set_default_dtype(torch.float64)
torch.manual_seed(999)
builtins.len = lambda x: 42
json.loads = lambda *a, **k: 'poisoned'
sys.modules['math'] = None
sys.path.insert(0, '/poisoned')
os.environ['POISON'] = 'yes'
os.chdir('/tmp')
os.umask(0)
for folder in ('/tmp', '/dev/shm', '/box'):
    open(folder + '/poison', 'w').write('x')
print('poisoned')
"""
LOOK = """
import json, math, os, sys, torch
print(torch.nn.Linear(1, 1)(torch.ones(1, 1)).isfinite().item(), torch.get_default_dtype(), len([1]), json.loads('1'))
print(math.pi > 3, '/poisoned' in sys.path, os.environ.get('POISON'), os.getcwd(), torch.initial_seed() == 999)
print([os.path.exists(f + '/poison') for f in ('/tmp', '/dev/shm', '/box')], 'SECRET_TOKEN' in os.environ)
"""


def test_a_poisoned_warm_run_leaves_the_next_one_clean(monkeypatch):
    monkeypatch.setenv("SECRET_TOKEN", "x")
    assert python(POISON, warm=True).output == "poisoned\n"
    clean = python(LOOK, warm=True)
    assert clean.output == ("True torch.float32 1 1\nTrue False None /box False\n[False, False, False] False\n"), (
        clean.output
    )


def test_a_worker_is_replaced_when_packages_change_and_ends_with_its_pool(monkeypatch):
    async def main() -> tuple[list[int], list[int], list[int]]:
        interpreter = await find_interpreter(None, None)
        await workers.warm_up(interpreter)
        first = workers.process_ids()
        await workers.warm_up(interpreter)
        same = workers.process_ids()
        monkeypatch.setattr(workers, "_stamp", lambda _: (1,))
        await workers.warm_up(interpreter)
        return first, same, workers.process_ids()

    first, same, other = asyncio.run(main())
    assert first == same and first != other
    assert not _alive(first[0])
    workers.stop_all()
    assert not _alive(other[0])


def test_a_killed_worker_is_replaced():
    python("print(1)", warm=True)
    os.kill(workers.process_ids()[0], signal.SIGKILL)
    assert python("print(2)", warm=True).output == "2\n"


def test_warm_ranks_talk_over_their_own_loopback():
    code = (
        "import os, torch, torch.distributed as dist\n"
        "dist.init_process_group('gloo'); v = torch.ones(1); dist.all_reduce(v)\n"
        "os.write(1, f'sum {v.item()}\\n'.encode()); os._exit(0)\n"
    )
    outcome = python(code, warm=True, nproc=2)
    assert [line for line in outcome.output.splitlines() if line.startswith("sum")] == ["sum 2.0", "sum 2.0"]


def test_one_rank_that_crashes_ends_all():
    code = "import os, sys, time; sys.exit(3) if os.environ['RANK'] == '1' else time.sleep(60)"
    begin = time.monotonic()
    assert python(code, warm=True, nproc=2).exit_code == 3
    assert time.monotonic() - begin < 20


@pytest.mark.parametrize("words", [("-c", "import sys; print(sys.argv)", "a"), ("-m", "json.tool", "--help")])
def test_a_warm_program_behaves_as_a_cold_one(words):
    cold, warm = (start(Job(("python", *words), warm=heat)) for heat in (False, True))
    assert cold.exit_code == warm.exit_code == 0
    assert cold.output.splitlines()[-1] == warm.output.splitlines()[-1]


@pytest.mark.parametrize("code", ["raise ValueError('no')", "import sys; sys.exit('words')", "import os; os._exit(9)"])
def test_a_warm_failure_has_the_status_of_a_cold_one(code):
    cold, warm = (python(code, warm=heat) for heat in (False, True))
    assert cold.exit_code == warm.exit_code
    assert cold.output.splitlines()[-1:] == warm.output.splitlines()[-1:]
