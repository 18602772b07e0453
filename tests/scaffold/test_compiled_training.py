"""A compiled model trains as one that is not, to weights of the same names, and goes on exactly."""

import subprocess
import textwrap
from pathlib import Path
from typing import Any

import pytest
import torch
from projects import PYTHON, QUICK, write_project
from test_exact_resume import trace

RUNS = """
    import os, signal, sys, torch, numpy, yaml, torch._dynamo, torch._functorch.aot_autograd

    def run(project, folder, *more, stop=False):
        if not (child := os.fork()):
            os.chdir(project)
            sys.path.insert(0, project)
            import train
            if stop:
                from waves.engine.train_step import TrainStep
                update = TrainStep.__call__
                def update_then_stop(self, window):
                    os.kill(os.getpid(), signal.SIGTERM)
                    return update(self, window)
                TrainStep.__call__ = update_then_stop
            settings = ["train.epochs=1", "data.train_samples=28", "data.val_samples=17", *more]
            code = train.main(["--config", "configs/smoke.yaml", "--run-dir", folder, "--resume", "--set", *settings])
            if "train.compile=none" not in more:
                assert torch._dynamo.utils.counters["stats"]["unique_graphs"] >= 1, "nothing was compiled"
                assert not torch._dynamo.utils.counters["graph_break"]
            os._exit(code)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    classifier, gan = sys.argv[1:]
    for project in (classifier, gan):
        assert run(project, "runs/plain", "train.compile=none") == 0 and run(project, "runs/whole") == 0
    assert run(classifier, "runs/resumed", stop=True) == 143 and run(classifier, "runs/resumed") == 0
"""
"""One process imports torch and forks for each run. Batches have two sizes, and a run is stopped between them."""


@pytest.fixture(scope="module")
def projects(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A classifier, which also recomputes its blocks, and a GAN by Lightning; both have run."""
    folder = tmp_path_factory.mktemp("compiled")
    train = {"compile": True, "gradient_checkpointing": True}
    fields: dict[str, Any] = {"precision": "fp32", "model": {"size": "tiny"}}
    classifier = write_project(folder / "classifier/waves", **fields, train=train)
    fields |= {"task": "generation", "model": {"family": "dcgan", "size": "tiny"}}
    gan = write_project(folder / "gan/waves", **fields, framework="lightning", train={"compile": True, "ema": False})
    command = [PYTHON, "-c", textwrap.dedent(RUNS), str(classifier), str(gan)]
    done = subprocess.run(command, env=QUICK, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return classifier, gan


def test_a_compiled_model_trains_as_one_that_is_not_and_goes_on_exactly(projects: tuple[Path, Path]) -> None:
    project, _ = projects
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


def test_a_gan_with_a_compiled_generator_trains_as_any_other(projects: tuple[Path, Path]) -> None:
    _, project = projects
    plain, compiled = (trace(project / "runs" / name) for name in ("plain", "whole"))
    for record, expected in zip(compiled, plain, strict=True):
        assert record == pytest.approx(expected, rel=1e-4, abs=1e-6)
