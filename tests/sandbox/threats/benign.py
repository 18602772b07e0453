"""What must keep working: the jobs that the sandbox is there for."""

import os
import sys

from support import run_named


def train_one_batch(arena):
    """A small CNN, one step."""
    import torch
    from torch import nn

    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.LazyLinear(4))
    loss = nn.functional.cross_entropy(model(torch.randn(4, 3, 8, 8)), torch.tensor([0, 1, 2, 3]))
    optimizer = torch.optim.AdamW(model.parameters())
    loss.backward()
    optimizer.step()
    torch.save({"model": model.state_dict()}, "model.pt")
    print("WORKS", torch.isfinite(loss).item())


def load_data_with_workers(arena):
    """A DataLoader with two processes and shared memory."""
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    data = TensorDataset(torch.arange(64.0).reshape(32, 2))
    total = sum(float(batch[0].sum()) for batch in DataLoader(data, batch_size=4, num_workers=2))
    print("WORKS", total == 2016.0)


def _reduce(rank, port):
    import torch
    import torch.distributed as dist

    dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    value = torch.ones(1) * (rank + 1)
    dist.all_reduce(value)
    with open(f"rank-{rank}", "w") as file:
        file.write(str(value.item()))
    sys.stdout.flush()
    os._exit(0)


def spawn_two_ranks(arena):
    """gloo between processes that torch.multiprocessing started."""
    import torch.multiprocessing as mp

    mp.spawn(_reduce, args=(29511,), nprocs=2)
    print("WORKS", all(open(f"rank-{rank}").read() == "3.0" for rank in range(2)))


def run_torchrun(arena):
    """The real launcher, judged by what the ranks wrote."""
    import subprocess

    with open("ranks.py", "w") as file:
        file.write(
            "import os, torch, torch.distributed as dist\n"
            "dist.init_process_group('gloo')\n"
            "v = torch.ones(1); dist.all_reduce(v)\n"
            "open('done-' + os.environ['RANK'], 'w').write(str(v.item()))\n"
            "os._exit(0)\n"
        )
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "ranks.py"]
    subprocess.run(command, check=False, timeout=60)
    print("WORKS", all(open(f"done-{rank}").read() == "2.0" for rank in range(2)))


def leave_outputs_and_a_status(arena):
    """Files in folders, and an exit status of its own."""
    os.makedirs("out/deep")
    with open("out/deep/metrics.json", "w") as file:
        file.write('{"loss": 0.5}')
    print("WORKS", True, flush=True)
    sys.exit(7)


def use_the_everyday_library(arena):
    """Threads, subprocesses, temporary files, a local server, sqlite, locks, users."""
    import getpass
    import http.server
    import multiprocessing
    import sqlite3
    import subprocess
    import tempfile
    import threading
    import urllib.request

    with tempfile.NamedTemporaryFile() as file, multiprocessing.Pool(2) as pool:
        file.write(b"x")
        squares = pool.map(abs, [-1, -2])
    server = http.server.ThreadingHTTPServer(("localhost", 0), http.server.SimpleHTTPRequestHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    page = urllib.request.urlopen(f"http://localhost:{server.server_port}/").status
    shell = subprocess.run("echo hi | tr a-z A-Z", shell=True, capture_output=True, text=True, check=True).stdout
    rows = sqlite3.connect("db.sqlite").execute("select 1").fetchall()
    user = getpass.getuser(), os.path.expanduser("~"), os.cpu_count()
    print("WORKS", squares == [1, 2] and page == 200 and shell == "HI\n" and rows == [(1,)] and all(user))


if __name__ == "__main__":
    run_named(globals())
