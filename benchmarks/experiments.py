"""A thousand runs of 10,000 steps: the time and the memory to summarize them, and the ratio to only reading the bytes.

`python benchmarks/experiments.py [RUNS]`; fails above 10 s of CPU or 1 GB for a thousand runs. Files are
links to a few distinct logs, so that the disk holds megabytes; every one is read anew.
"""

import json
import os
import random
import resource
import sys
import tempfile
import time
from pathlib import Path

from dlcoder.experiments.summary import summarize

STEPS, DISTINCT, LIMIT_S, LIMIT_MB = 10_000, 20, 10.0, 1000


def write_log(path: Path, seed: int) -> None:
    """One log as training programs write it."""
    draw = random.Random(seed)
    with path.open("w") as file:
        for step in range(STEPS):
            row = {
                "step": step,
                "loss": 2 / (step + 1) + draw.random(),
                "lr": 0.001,
                "time_iter": 0.1,
                "max_mem": 900.0,
            }
            if step % 100 == 99:
                row["val_acc"] = 0.7 + draw.random() / 10
            file.write(json.dumps(row) + "\n")


def main() -> int:
    """Measure, print, judge."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        for index in range(DISTINCT):
            write_log(root / f"log{index}", index)
        for index in range(count):
            folder = root / "runs" / f"arm{index % 10}_s{index // 10}"
            folder.mkdir(parents=True)
            os.link(root / f"log{index % DISTINCT}", folder / "metrics.jsonl")
        started = time.perf_counter()
        size = sum(len(path.read_bytes()) for path in (root / "runs").glob("*/metrics.jsonl"))
        floor = time.perf_counter() - started
        started = time.process_time()
        summary = summarize([root / "runs"], None, "val_acc")
        took = time.process_time() - started
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    what = f"{summary.runs} runs of {STEPS} steps, {size / 1e6:.0f} MB"
    print(f"{what}: {took:.1f} s of CPU, {memory:.0f} MB, {took / floor:.1f} x reading")
    return int(took > LIMIT_S * count / 1000 or memory > LIMIT_MB)


if __name__ == "__main__":
    sys.exit(main())
