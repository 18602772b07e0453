"""Start launch scripts for real, with stand-ins for Slurm and for the program, and print what they did.

    python launchers.py LAUNCHER FILE...

The FILEs lie in scripts/; the last is started. torchrun is the real one. Prints an object of facts: `syntax` by file,
and for each start its `status`, what it `said`, and the `ranks` that ran: their variables and arguments.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

TASKS = 2
PROGRAM = """
import json, os, signal, sys, time
names = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
facts = {name: os.environ.get(name) for name in names}
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
with open(f"started/{os.environ['RANK']}.new", "w") as file:
    json.dump({**facts, "arguments": sys.argv[1:]}, file)
os.rename(file.name, file.name[:-4])
if os.environ["PROOF"] == "wait":
    time.sleep(60)
sys.exit(int(os.environ["PROOF"] == "fail"))
"""
SRUN = f"""
import os, subprocess, sys
words = sys.argv[1:]
while words[0].startswith("--"):
    del words[0]
tasks = []
for number in range({TASKS}):
    ids = {{"SLURM_PROCID": number, "SLURM_LOCALID": number, "SLURM_NTASKS": {TASKS}, "SLURM_NNODES": 1}}
    ids["SLURM_STEP_NODELIST"] = "node[1]"
    tasks.append(subprocess.Popen(["bash", *words], env={{**os.environ, **{{k: str(v) for k, v in ids.items()}}}}))
open("pids", "w").write(" ".join(str(task.pid) for task in tasks))
sys.exit(max(task.wait() for task in tasks))
"""
SCONTROL = """
import sys
print("127.0.0.1\\n127.0.0.2") if sys.argv[1] == "show" else open("queue", "a").write(" ".join(sys.argv[1:]))
"""
SCANCEL = """
import os, signal, sys
assert sys.argv[1] == "--signal=TERM"
[os.kill(int(pid), signal.SIGTERM) for pid in open("pids").read().split()]
"""
TORCHRUN = "from torch.distributed.run import main\nmain()"


def main() -> None:
    """Start the launcher that the command line names in every way there is."""
    launcher, program, *files = sys.argv[1:]
    _lay_out(program)
    script = f"scripts/{files[-1]}"
    facts: dict[str, Any] = {"syntax": {name: _bash("-n", f"scripts/{name}") for name in files}}
    facts |= {"torchrun": _torchrun, "srun": _srun, "sbatch": _sbatch}[launcher](script)
    print(json.dumps(facts))


def _lay_out(program: str) -> None:
    """Put the program and the stand-ins where the scripts look for them."""
    stand_ins = {"srun": SRUN, "scontrol": SCONTROL, "scancel": SCANCEL, "torchrun": TORCHRUN}
    for name, code in stand_ins.items():
        _write(Path("bin", name), f"#!{sys.executable}\n{code}")
    _write(Path("bin", "python"), f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    _write(Path(program), PROGRAM)
    os.environ["PATH"] = f"{Path('bin').resolve()}:{os.environ['PATH']}"
    os.environ["SLURM_JOB_ID"] = "4242"


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


def _bash(*words: str) -> dict[str, Any]:
    done = subprocess.run(["bash", *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return {"status": done.returncode, "said": done.stdout[-500:]}


def _start(script: str, proof: str, **variables: str) -> "subprocess.Popen[str]":
    Path("started").mkdir(exist_ok=True)
    for old in Path("started").iterdir():
        old.unlink()
    words = ["bash", script, "--config", "a file"]
    environment = {**os.environ, "PROOF": proof, **variables}
    return subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def _end(*started: "subprocess.Popen[str]") -> dict[str, Any]:
    said = "".join(process.communicate()[0] for process in started)
    ranks = [json.loads(file.read_text()) for file in sorted(Path("started").iterdir())]
    return {"status": max(process.returncode for process in started), "said": said[-1500:], "ranks": ranks}


def _torchrun(script: str) -> dict[str, Any]:
    facts = {"one_node": _end(_start(script, "end", PROCESSES="2"))}
    facts["alone"] = _end(_start(script, "end", NODES="2"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        meeting = {"MASTER": "127.0.0.1", "PORT": str(free.getsockname()[1]), "NODES": "2", "PROCESSES": "1"}
    facts["two_nodes"] = _end(*[_start(script, "end", **meeting) for _ in range(2)])
    return facts


def _srun(script: str) -> dict[str, Any]:
    _write(Path("step"), f'exec srun --nodes=1 {script} "$@"\n')
    return {"tasks": _end(_start("step", "end")), "alone": _end(_start(script, "end"))}


def _sbatch(script: str) -> dict[str, Any]:
    job = _start(script, "wait")
    for _ in range(200):
        if len(list(Path("started").glob("[0-9]"))) == TASKS and Path("pids").exists():
            break
        time.sleep(0.05)
    job.send_signal(signal.SIGUSR1)
    facts = {"limit": {**_end(job), "queue": _queue()}}
    facts["again"] = {**_end(_start(script, "end")), "queue": _queue()}
    facts["failed"] = {**_end(_start(script, "fail")), "queue": _queue()}
    return facts


def _queue() -> str:
    """What the job asked of the queue since this was last looked at."""
    queue = Path("queue")
    if not queue.exists():
        return ""
    asked = queue.read_text()
    queue.unlink()
    return asked


if __name__ == "__main__":
    main()
