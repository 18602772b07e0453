"""Projects that shard their model over ranks train what other projects train, and go on exactly."""

import socket
import subprocess
import textwrap
from pathlib import Path
from typing import Any

import pytest
import torch
from projects import PYTHON, QUICK, choices, write_project
from test_exact_resume import trace

from dlcoder.errors import UserError
from dlcoder.scaffold.frameworks import FRAMEWORKS

RUNS = """
    import os, signal, sys, torch, numpy, yaml, torch.distributed.fsdp, torch._dynamo, torch._functorch.aot_autograd
    import accelerate, lightning.pytorch

    def rank(number, port, project, folder, stop):
        os.environ.update(RANK=str(number), LOCAL_RANK=str(number), WORLD_SIZE="2", LOCAL_WORLD_SIZE="2",
                          MASTER_ADDR="127.0.0.1", MASTER_PORT=port)
        os.chdir(project)
        sys.path.insert(0, project)
        import train
        from waves.utils.jsonl import JsonlLog
        if stop:
            write = JsonlLog.write
            def write_then_stop(self, entry):
                write(self, entry)
                os.kill(os.getpid(), signal.SIGTERM)
            JsonlLog.write = write_then_stop
        settings = ["train.epochs=1", "train.accumulate=2", "data.train_samples=30", "data.val_samples=9"]
        code = train.main(["--config", "configs/smoke.yaml", "--run-dir", folder, "--resume", "--set", *settings])
        compiled = torch._dynamo.utils.counters["stats"]["unique_graphs"]
        assert compiled == (1 if "/pytorch/" in project else 0), f"{compiled} graphs of blocks that are alike"
        os._exit(code)

    ports = iter(sys.argv[1].split(","))
    ddp, *sharded = sys.argv[2:]
    runs = [(ddp, "whole", 0, 0)]
    for project in sharded:
        runs += [(project, "whole", 0, 0), (project, "resumed", 1, 143), (project, "resumed", 0, 0)]
    for project, folder, stop, status in runs:
        port = next(ports)
        ranks = []
        for number in range(2):
            if not (child := os.fork()):
                try:
                    rank(number, port, project, f"runs/{folder}", stop)
                except BaseException:
                    sys.excepthook(*sys.exc_info())
                    os._exit(1)
            ranks.append(child)
        ended = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in ranks]
        assert ended == [status] * 2, (project, folder, ended)
"""
"""One process imports everything and forks both ranks of each run: sharded ones are stopped after their first step."""


def free_ports(count: int) -> str:
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = ",".join(str(server.getsockname()[1]) for server in held)
    for server in held:
        server.close()
    return ports


@pytest.fixture(scope="module")
def projects(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One that replicates the model, and one of each framework that shards it, or also compiles; all have run."""
    folder = tmp_path_factory.mktemp("sharded")
    fields: dict[str, Any] = {"model": {"family": "vit", "size": "tiny"}, "precision": "fp32"}
    made = {"ddp": write_project(folder / "ddp/waves", **fields)}
    for name in FRAMEWORKS:
        train = {"strategy": "fsdp", "compile": name == "pytorch"}
        made[name] = write_project(folder / name / "waves", **fields, framework=name, train=train)
    command = [PYTHON, "-c", textwrap.dedent(RUNS), free_ports(10), *map(str, made.values())]
    done = subprocess.run(command, env=QUICK, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return made


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_a_sharded_model_trains_as_a_replicated_one_and_goes_on_exactly(projects: dict[str, Path], name: str) -> None:
    runs = projects[name] / "runs"
    folders = {"whole": runs / "whole", "resumed": runs / "resumed", "ddp": projects["ddp"] / "runs/whole"}
    for log in ("metrics.jsonl", "eval.jsonl"):
        records = {run: trace(folder, log) for run, folder in folders.items()}
        assert records["resumed"] == records["whole"]
        for record, expected in zip(records["whole"], records["ddp"], strict=True):
            assert record == pytest.approx(expected, rel=1e-4, abs=1e-6)
    saved = {run: torch.load(folder / "checkpoints/last.pt")["parts"] for run, folder in folders.items()}
    for part in ("model", "optimizer", "ema"):
        whole, resumed, replicated = (flat(saved[run][part]) for run in ("whole", "resumed", "ddp"))
        assert list(whole) == list(resumed) == list(replicated)
        assert all(torch.equal(whole[name], resumed[name]) for name in whole)
        torch.testing.assert_close(whole, replicated, rtol=1e-4, atol=1e-5)


def flat(state: dict[Any, Any], prefix: str = "") -> dict[str, torch.Tensor]:
    """The tensors of a nested state, by their paths."""
    found: dict[str, torch.Tensor] = {}
    for key, value in state.items():
        if isinstance(value, dict):
            found |= flat(value, f"{prefix}{key}.")
        elif isinstance(value, torch.Tensor):
            found[f"{prefix}{key}"] = value
    return found


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"framework": "lightning", "precision": "fp16", "train": {"strategy": "fsdp"}}, "Set precision to bf16"),
        ({"train": {"strategy": "backoff", "sync_bn": True}}, "Set train.sync_bn to false"),
        ({"task": "self_supervised", "train": {"strategy": "backoff"}}, "model.family to mae"),
    ],
)
def test_a_strategy_is_refused_where_it_cannot_work(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        choices(**fields)
