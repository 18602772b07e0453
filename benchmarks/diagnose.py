#!/usr/bin/env python3
"""How fast `diagnose` reads, against a search for the same messages, in one run.

    python benchmarks/diagnose.py [--mb 1000] [--ranks 64]

Writes the logs of a multi-rank job (healthy output, one rank that runs out of memory, effects on the others) into a
temporary
folder and measures: the whole diagnosis of the folder against `rg -f` (else `grep -F -f`) with the same literals on one
thread; the peak memory; the same for a quarter of the size, to show that time grows linearly; and a pasted log of 200
lines.
"""

import argparse
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LINES = (
    "{{'loss': {loss:.4f}, 'grad_norm': {norm:.4f}, 'learning_rate': 3.0e-05, 'epoch': {epoch:.2f}}}",
    " iteration {step:8d}/  500000 | elapsed time per iteration (ms): {ms:.1f} | lm loss: {loss:.6E} | grad "
    "norm: {norm:.3f} |",
    "05/20 10:11:{second:02d} - mmengine - INFO - Epoch(train) [1][{step:5d}/90000]  lr: 1e-4  time: 0.4  loss: "
    "{loss:.4f}",
    "node-0:4001:4001 [0] NCCL INFO Channel 0{digit}/08 :    0   1   2   3   4   5   6   7",
)
CAUSE = """Traceback (most recent call last):
  File "/srv/train.py", line 88, in main
    out = model(batch)
  File "/srv/net.py", line 31, in forward
    x = torch.cat([up, skip], dim=1)
torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.25 GiB. GPU 0 has a total capacity of 23.64 GiB of \
which 1.02 GiB is free. Of the allocated memory 21.88 GiB is allocated by PyTorch, and 270.10 MiB is reserved by \
PyTorch but unallocated.
"""
EFFECT = (
    "[rank{rank}]:[E520 11:42:28.858931807 ProcessGroupNCCL.cpp:632] [Rank {rank}] Watchdog caught collective "
    "operation timeout: "
    "WorkNCCL(SeqNum=812, OpType=ALLREDUCE, NumelIn=26214400, NumelOut=26214400, Timeout(ms)=600000) ran for "
    "600029 milliseconds\n"
)


def write(folder, megabytes, ranks):
    """Write the logs of a job: one block of lines, repeated, so that writing takes little time."""
    rng = random.Random(0)
    block = ""
    while len(block) < 1_000_000:
        values = {"loss": 2 + rng.random(), "norm": rng.random(), "epoch": rng.random(), "step": rng.randrange(90000)}
        values |= {"ms": rng.random() * 900, "second": rng.randrange(60), "digit": rng.randrange(8)}
        block += rng.choice(LINES).format(**values) + "\n"
    for rank in range(ranks):
        with (folder / f"rank_{rank}.log").open("w", encoding="utf-8") as out:
            for _ in range(max(megabytes // ranks, 1)):
                out.write(block)
            out.write(CAUSE if rank == ranks // 2 else EFFECT.format(rank=rank))
    return sum(path.stat().st_size for path in folder.iterdir())


def child(folder):
    """Diagnose in this process and print seconds, peak memory in MB and the answer."""
    from dlcoder.diagnosis.diagnose import diagnose

    diagnose(log="RuntimeError: warm up\n" * 200)
    start = time.perf_counter()
    found = diagnose(paths=[Path(folder)])
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    best = found.hypotheses[0]
    print(seconds, peak, best.cause, best.evidence[0].source)


def measure(folder):
    """Seconds and peak memory of a diagnosis in a process of its own."""
    done = subprocess.run(
        [sys.executable, __file__, "--child", str(folder)], capture_output=True, text=True, check=True
    )
    seconds, peak, cause, source = done.stdout.split()
    if (cause, source) != ("oom-activations", next(p.name for p in folder.iterdir() if CAUSE[:60] in tail(p))):
        raise SystemExit(f"wrong answer: {cause} in {source}")
    return float(seconds), float(peak)


def tail(path):
    """The last two kilobytes of a file."""
    with path.open("rb") as file:
        file.seek(max(path.stat().st_size - 2000, 0))
        return file.read().decode("utf-8", "replace")


def peer(folder, patterns):
    """Seconds that the search tool takes for the same literals, and its name."""
    tool = "rg" if shutil.which("rg") else "grep"
    command = ["rg", "-j1", "-i", "-F", "-c", "-f"] if tool == "rg" else ["grep", "-r", "-i", "-F", "-c", "-f"]
    start = time.perf_counter()
    subprocess.run([*command, str(patterns), str(folder)], stdout=subprocess.DEVNULL, check=False)
    return time.perf_counter() - start, " ".join(command[:-2])


def pasted():
    """Median milliseconds of a pasted log of 200 lines, warm."""
    from dlcoder.diagnosis.diagnose import diagnose

    lines = [LINES[2].format(second=i % 60, step=i, loss=2 - i / 200) for i in range(190)] + CAUSE.splitlines()
    log = "\n".join(lines)
    diagnose(log=log)
    times = []
    for _ in range(9):
        start = time.perf_counter()
        diagnose(log=log)
        times.append((time.perf_counter() - start) * 1e3)
    return statistics.median(times)


def main():
    """Print every figure with its bar."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mb", type=int, default=1000)
    parser.add_argument("--ranks", type=int, default=64)
    parser.add_argument("--child")
    args = parser.parse_args()
    if args.child:
        return child(args.child)
    from dlcoder.diagnosis.matcher import locator

    with tempfile.TemporaryDirectory() as scratch:
        patterns = Path(scratch) / "patterns.txt"
        patterns.write_text("\n".join(locator().literals) + "\n", encoding="utf-8")
        results = []
        for share in (4, 1):
            folder = Path(scratch) / f"logs{share}"
            folder.mkdir()
            size = write(folder, args.mb // share, args.ranks)
            peer(folder, patterns)
            search, name = peer(folder, patterns)
            seconds, peak = measure(folder)
            results.append((size, seconds, peak, search))
            shutil.rmtree(folder)
    (small, small_seconds, _, _), (size, seconds, peak, search) = results
    count = len(locator().literals)
    print(
        f"{size / 1e6:.0f} MB in {args.ranks} files: {seconds:.2f} s, {size / 1e6 / seconds:.0f} MB/s, peak "
        f"{peak:.0f} MB (bar 300)"
    )
    print(f"{name} with the same {count} literals: {search:.2f} s; ratio {seconds / search:.2f} (bar 2.0)")
    print(
        f"time per byte at {size / 1e6:.0f} MB / at {small / 1e6:.0f} MB: "
        f"{(seconds / size) / (small_seconds / small):.2f} (linear: 1)"
    )
    print(f"pasted log of 200 lines: {pasted():.1f} ms (bar 30)")
    return None


if __name__ == "__main__":
    main()
