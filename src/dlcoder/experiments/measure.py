"""How long a step of a dlcoder project takes, found out by running it in the sandbox for a moment."""

import re
import tempfile
from pathlib import Path
from statistics import median

from dlcoder.errors import UserError
from dlcoder.experiments.baseline import Baseline
from dlcoder.experiments.jsonl_logs import read_jsonl
from dlcoder.experiments.planning import Measured
from dlcoder.progress import Progress

_SECONDS = 25.0
_WARM_UP = 3
"""Steps that are left out at the start: they compile, tune kernels and start workers."""
_LEAST = 3
_STEPS = re.compile(r"step \d+/(\d+)")
_SKIPPED = (".git", ".venv", "venv", "runs", "node_modules", "__pycache__")


async def measure_step(baseline: Baseline, progress: Progress) -> Measured | None:
    """Run the baseline's own settings for some seconds.

    Returns:
        What a step takes; None where none could be run, for want of torch, of data or of time.
    """
    from dlcoder.sandbox.interpreters import find_interpreter
    from dlcoder.sandbox.runner import Job, Limits, run

    assert baseline.project is not None
    progress("running some steps of the baseline", 0.1)
    with tempfile.TemporaryDirectory(prefix="dlcoder-plan-") as folder:
        staged = Path(folder) / "project"
        _copy(baseline.project, staged)
        argv = baseline.words({}, {"seed": "0", "run_dir": "plan-run"})
        gpu = Path("/dev/nvidiactl").exists()
        limits = Limits(timeout_s=_SECONDS, memory_mb=16384, processes=512, disk_mb=4096, output_bytes=16 << 20)
        try:
            interpreter = await find_interpreter(None, baseline.project)
            outcome = await run(Job(argv=tuple(argv), workdir=staged, gpu=gpu, limits=limits), interpreter)
        except UserError:
            return None
        if outcome.workdir is None or not (outcome.workdir / "plan-run" / "metrics.jsonl").is_file():
            return None
        rows = read_jsonl(outcome.workdir / "plan-run" / "metrics.jsonl")
        printed = outcome.output_path.read_text("utf-8", "replace")
    times = [row["time_iter"] for row in rows if isinstance(row.get("time_iter"), float)][_WARM_UP:]
    if len(times) < _LEAST:
        return None
    found = _STEPS.findall(printed)
    where = "one GPU" if gpu else "the CPU"
    source = f"the median of {len(times)} steps of the baseline, run in the sandbox on {where} here"
    return Measured(median(times), int(found[-1]) if found else None, source)


def _copy(project: Path, staged: Path) -> None:
    import shutil

    shutil.copytree(project, staged, ignore=shutil.ignore_patterns(*_SKIPPED), symlinks=True)
