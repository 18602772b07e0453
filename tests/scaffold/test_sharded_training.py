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

RUNS = """
    import os, signal, sys, torch, numpy, yaml, torch.distributed.fsdp

    def rank(number, port, project, folder, stop):
        os.environ.update(RANK=str(number), LOCAL_RANK=str(number), WORLD_SIZE="2", MASTER_ADDR="127.0.0.1",
                          MASTER_PORT=port)
        os.chdir(project)
        sys.path.insert(0, project)
        import train
        from waves.engine.train_step import TrainStep
        if stop:
            update = TrainStep.__call__
            def update_then_stop(self, window):
                os.kill(os.getpid(), signal.SIGTERM)
                return update(self, window)
            TrainStep.__call__ = update_then_stop
        settings = ["train.save_every=3", "train.accumulate=2", "data.train_samples=48", "data.val_samples=17"]
        os._exit(train.main(["--config", "configs/smoke.yaml", "--run-dir", folder, "--resume", "--set", *settings]))

    ports = iter(sys.argv[1].split(","))
    sharded, ddp = sys.argv[2:]
    runs = ((ddp, "ddp", 0, 0), (sharded, "whole", 0, 0), (sharded, "resumed", 1, 143), (sharded, "resumed", 0, 0))
    for project, folder, stop, status in runs:
        port = next(ports)
        ranks = []
        for number in range(2):
            if not (child := os.fork()):
                rank(number, port, project, f"runs/{folder}", stop)
            ranks.append(child)
        ended = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in ranks]
        assert ended == [status] * 2, (folder, ended)
"""
"""One process imports torch and forks both ranks of each run: a sharded one is stopped after its first step."""


def free_ports(count: int) -> str:
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = ",".join(str(server.getsockname()[1]) for server in held)
    for server in held:
        server.close()
    return ports


def test_a_sharded_model_trains_as_a_replicated_one_and_goes_on_exactly(tmp_path: Path) -> None:
    fields: dict[str, Any] = {"model": {"family": "vit", "size": "tiny"}, "precision": "fp32"}
    sharded, ddp = (
        write_project(tmp_path / strategy / "waves", **fields, train={"strategy": strategy})
        for strategy in ("fsdp", "ddp")
    )
    command = [PYTHON, "-c", textwrap.dedent(RUNS), free_ports(4), str(sharded), str(ddp)]
    done = subprocess.run(command, env=QUICK, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    folders = {name: sharded / "runs" / name for name in ("whole", "resumed")} | {"ddp": ddp / "runs/ddp"}
    for log in ("metrics.jsonl", "eval.jsonl"):
        records = {name: trace(folder, log) for name, folder in folders.items()}
        assert records["resumed"] == records["whole"]
        for record, expected in zip(records["whole"], records["ddp"], strict=True):
            assert record == pytest.approx(expected, rel=1e-4, abs=1e-6)
    saved = {name: torch.load(folder / "checkpoints/last.pt")["parts"] for name, folder in folders.items()}
    for part in ("model", "optimizer", "ema"):
        whole, resumed, replicated = (flat(saved[name][part]) for name in ("whole", "resumed", "ddp"))
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
        ({"framework": "lightning", "train": {"strategy": "fsdp"}}, "Set framework to pytorch"),
        ({"framework": "accelerate", "train": {"strategy": "backoff"}}, "Set framework to pytorch"),
        ({"train": {"strategy": "backoff", "sync_bn": True}}, "Set train.sync_bn to false"),
        ({"task": "self_supervised", "train": {"strategy": "backoff"}}, "model.family to mae"),
    ],
)
def test_a_strategy_is_refused_where_it_cannot_work(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        choices(**fields)
