"""What isolation costs, as ratios to the same work outside any sandbox, measured in turns in one run.

    python benchmarks/sandbox.py [--repeat N]

Exits 1 if a bound does not hold. The rows: one batch of a small CNN forked from the warm worker, against a fresh
`python`; a step of DDP on two warm ranks, against `torchrun`; the batch in a cold sandbox, against a fresh `python`.
"""

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from dlcoder.sandbox import workers
from dlcoder.sandbox.interpreters import Interpreter, find_interpreter
from dlcoder.sandbox.runner import Job, run

ONE_BATCH = """
import torch
from torch import nn

model = nn.Sequential(
    nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.AdaptiveAvgPool2d(1),
    nn.Flatten(), nn.Linear(32, 10),
)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
loss = nn.functional.cross_entropy(model(torch.randn(8, 3, 32, 32)), torch.randint(0, 10, (8,)))
loss.backward()
optimizer.step()
assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())
print("SENTINEL", flush=True)
"""
TWO_RANKS = """
import os
import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

dist.init_process_group("gloo")
torch.manual_seed(dist.get_rank())
model = DistributedDataParallel(nn.Linear(8, 4))
model(torch.randn(4, 8)).sum().backward()
gradient = model.module.weight.grad.clone()
dist.all_reduce(gradient)
assert torch.allclose(gradient, 2 * model.module.weight.grad)
dist.barrier()
print("SENTINEL", flush=True)
os._exit(0)
"""
# The bound of each row: sandboxed over bare.
BOUNDS = {"warm, one batch": 0.10, "warm, two ranks": 0.08, "cold, one batch": 1.10}


def bare(command: list[str], sentinels: int) -> float:
    """Seconds that a command takes outside; torchrun may crash after success, so the sentinel decides."""
    begin = time.perf_counter()
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    result = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    seconds = time.perf_counter() - begin
    if result.stdout.count("SENTINEL") != sentinels:
        raise SystemExit(f"{' '.join(command)} failed outside the sandbox:\n{result.stdout}{result.stderr}")
    return seconds


async def sandboxed(job: Job, interpreter: Interpreter, sentinels: int) -> float:
    """Seconds that a job takes in the sandbox, its clean-up included."""
    begin = time.perf_counter()
    outcome = await run(job, interpreter)
    seconds = time.perf_counter() - begin
    if outcome.output.count("SENTINEL") != sentinels or outcome.exit_code != 0:
        raise SystemExit(f"{job.argv} failed in the sandbox: {outcome}")
    if not {"namespaces", "landlock", "seccomp"} <= set(outcome.layers):
        raise SystemExit(f"not fully isolated: {outcome.layers}")
    return seconds


async def compare(
    name: str, repeat: int, outside: Callable[[], float], inside: Callable[[], Awaitable[float]], turns: int = 1
) -> bool:
    """Measure both in turns and print the ratio of their medians; return whether it keeps the bound."""
    slow, fast = [], []
    for _ in range(repeat):
        slow.append(await asyncio.to_thread(outside))
        fast += [await inside() for _ in range(turns)]
    ratio = statistics.median(fast) / statistics.median(slow)
    good = ratio <= BOUNDS[name]
    print(
        f"{name:16}  sandbox {statistics.median(fast):6.3f} s  bare {statistics.median(slow):6.3f} s  "
        f"ratio {ratio:5.3f}  bound {BOUNDS[name]:4.2f}  {'ok' if good else 'MISSED'}",
        flush=True,
    )
    return good


async def main(repeat: int) -> int:
    """Measure all rows; return the exit status."""
    interpreter = await find_interpreter(None, None)
    python = str(interpreter.path)
    with tempfile.TemporaryDirectory() as folder:
        batch, ranks = Path(folder) / "batch.py", Path(folder) / "ranks.py"
        batch.write_text(ONE_BATCH)
        ranks.write_text(TWO_RANKS)
        await workers.warm_up(interpreter)
        warm = Job(("python", str(batch)), warm=True, collect=False)
        cold = Job(("python", str(batch)), collect=False)
        pair = Job(("python", str(ranks)), warm=True, collect=False, nproc=2)
        torchrun = [python, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(ranks)]
        await sandboxed(warm, interpreter, 1)
        kept = [
            await compare(
                "warm, one batch",
                repeat,
                lambda: bare([python, str(batch)], 1),
                lambda: sandboxed(warm, interpreter, 1),
                3,
            ),
            await compare(
                "warm, two ranks",
                max(3, repeat // 2),
                lambda: bare(torchrun, 2),
                lambda: sandboxed(pair, interpreter, 2),
                3,
            ),
            await compare(
                "cold, one batch",
                repeat,
                lambda: bare([python, str(batch)], 1),
                lambda: sandboxed(cold, interpreter, 1),
            ),
        ]
    workers.stop_all()
    return 0 if all(kept) else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=7, help="how often each row is measured")
    sys.exit(asyncio.run(main(parser.parse_args().repeat)))
