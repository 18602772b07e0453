"""A compiled model trains as one that is not, to weights of the same names, and goes on exactly."""

import subprocess
import textwrap
from pathlib import Path

import pytest
import torch
from projects import PYTHON, QUICK, choices, write_project
from test_exact_resume import trace

from dlcoder.errors import UserError

RUNS = """
    import os, signal, sys, torch, numpy, yaml, torch._dynamo, torch._functorch.aot_autograd

    def run(folder, *more, stop=False):
        if not (child := os.fork()):
            import train
            from waves.engine.train_step import TrainStep
            if stop:
                update = TrainStep.__call__
                def update_then_stop(self, window):
                    os.kill(os.getpid(), signal.SIGTERM)
                    return update(self, window)
                TrainStep.__call__ = update_then_stop
            settings = ["train.epochs=1", "data.train_samples=28", "data.val_samples=17", *more]
            code = train.main(["--config", "configs/smoke.yaml", "--run-dir", folder, "--resume", "--set", *settings])
            if "train.compile=none" not in more:
                assert torch._dynamo.utils.counters["stats"]["unique_graphs"] >= 1, "nothing was compiled"
            os._exit(code)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    os.chdir(sys.argv[1])
    sys.path.insert(0, sys.argv[1])
    assert run("runs/plain", "train.compile=none") == 0 and run("runs/whole") == 0
    assert run("runs/resumed", stop=True) == 143 and run("runs/resumed") == 0
"""
"""One process imports torch and forks for each run. Batches have two sizes, and a run is stopped between them."""


def test_a_compiled_model_trains_as_one_that_is_not_and_goes_on_exactly(tmp_path: Path) -> None:
    train = {"compile": True, "gradient_checkpointing": True}
    project = write_project(tmp_path / "waves", model={"size": "tiny"}, precision="fp32", train=train)
    command = [PYTHON, "-c", textwrap.dedent(RUNS), str(project)]
    done = subprocess.run(command, env=QUICK, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    folders = {name: project / "runs" / name for name in ("plain", "whole", "resumed")}
    records = {name: trace(folder) for name, folder in folders.items()}
    assert records["resumed"] == records["whole"]
    for record, expected in zip(records["whole"], records["plain"], strict=True):
        assert record == pytest.approx(expected, rel=1e-4, abs=1e-6)
    saved = {name: torch.load(folder / "checkpoints/last.pt")["parts"] for name, folder in folders.items()}
    for whole, resumed, plain in (
        [saved[name]["model"] for name in ("whole", "resumed", "plain")],
        [saved[name]["ema"]["module"] for name in ("whole", "resumed", "plain")],
    ):
        assert list(whole) == list(plain), "a trace of the compiler is in the names"
        assert all(torch.equal(whole[name], resumed[name]) for name in whole)
        torch.testing.assert_close(whole, plain, rtol=1e-4, atol=1e-5)


def test_what_is_compiled_as_a_whole_is_not_sharded_block_by_block() -> None:
    with pytest.raises(UserError, match=r"Leave train\.compile out"):
        choices(train={"compile": True, "strategy": "fsdp"})
