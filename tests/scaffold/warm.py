"""A process with torch imported that forks for each run: a cold start takes longer than most of them."""

import json
import subprocess
import textwrap
from pathlib import Path

from projects import PYTHON, QUICK

SERVE = """
    import json, os, sys, traceback, matplotlib.pyplot, numpy, pytest, torch, yaml

    def run(job):
        output = os.open(job["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(output, 1), os.dup2(output, 2)
        os.chdir(job["folder"])
        sys.path.insert(0, job["folder"])
        try:
            exec(job["code"], {"__name__": "__main__"})
        except SystemExit as stop:
            return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
        except BaseException:
            traceback.print_exc()
            return 1
        return 0

    for line in sys.stdin:
        if not (child := os.fork()):
            code = run(json.loads(line))
            sys.stdout.flush(), sys.stderr.flush()
            os._exit(code)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Warm:
    """Runs code in forks of one process; to be closed."""

    def __init__(self) -> None:
        command = [PYTHON, "-c", textwrap.dedent(SERVE)]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, env=QUICK, stdin=pipe, stdout=pipe, text=True)
        assert self.process.stdin is not None and self.process.stdout is not None
        self.to, self.answers = self.process.stdin, self.process.stdout

    def run(self, code: str, folder: Path) -> tuple[int, str]:
        """Run code in a folder; returns its exit status and what it printed."""
        output = folder.with_suffix(".output")
        job = {"code": textwrap.dedent(code), "folder": str(folder), "output": str(output)}
        print(json.dumps(job), file=self.to, flush=True)
        return int(self.answers.readline()), output.read_text()

    def close(self) -> None:
        self.to.close()
        self.process.wait(timeout=60)
        self.answers.close()
