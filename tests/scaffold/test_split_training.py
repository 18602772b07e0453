"""Projects that split batches when memory runs out on one rank train what those with enough of it train."""

import subprocess
import textwrap
from pathlib import Path

import pytest
import torch
from projects import PYTHON, QUICK, write_project
from test_exact_resume import trace
from test_sharded_training import free_ports

from dlcoder.scaffold.frameworks import FRAMEWORKS

RUNS = """
    import os, sys, torch, numpy, yaml, accelerate, lightning.pytorch

    def rank(number, port, project):
        os.environ.update(RANK=str(number), LOCAL_RANK=str(number), WORLD_SIZE="2", LOCAL_WORLD_SIZE="2",
                          MASTER_ADDR="127.0.0.1", MASTER_PORT=port)
        os.chdir(project)
        sys.path.insert(0, project)
        import train
        from waves.engine.classification import Classification
        call = Classification.__call__
        def fits_three(self, model, batch):
            if number == 1 and len(batch[0]) > 3 and "ddp" not in project:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return call(self, model, batch)
        Classification.__call__ = fits_three
        settings = ["train.epochs=1", "train.accumulate=2", "data.train_samples=30", "data.val_samples=9"]
        os._exit(train.main(["--config", "configs/smoke.yaml", "--run-dir", "runs/whole", "--set", *settings]))

    for port, project in zip(sys.argv[1].split(","), sys.argv[2:], strict=True):
        ranks = []
        for number in range(2):
            if not (child := os.fork()):
                try:
                    rank(number, port, project)
                except BaseException:
                    sys.excepthook(*sys.exc_info())
                    os._exit(1)
            ranks.append(child)
        ended = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in ranks]
        assert ended == [0, 0], (project, ended)
"""
"""One process imports everything and forks both ranks of each run."""


@pytest.fixture(scope="module")
def projects(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One that does not split, and one of each framework that does; all have run."""
    folder = tmp_path_factory.mktemp("split")
    names = {"ddp": ("pytorch", "ddp")} | {name: (name, "backoff") for name in FRAMEWORKS}
    made = {}
    for name, (framework, strategy) in names.items():
        made[name] = write_project(
            folder / name / "waves",
            model={"family": "vit", "size": "tiny"},
            precision="fp32",
            framework=framework,
            # Adam would blow up the differences of gradients that are nearly 0.
            train={"strategy": strategy, "optimizer": "sgd"},
        )
    command = [PYTHON, "-c", textwrap.dedent(RUNS), free_ports(len(made)), *map(str, made.values())]
    done = subprocess.run(command, env=QUICK, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return made


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_pieces_of_batches_are_the_update_of_whole_ones(projects: dict[str, Path], name: str) -> None:
    split, whole = (projects[project] / "runs/whole" for project in (name, "ddp"))
    for log in ("metrics.jsonl", "eval.jsonl"):
        for record, expected in zip(trace(split, log), trace(whole, log), strict=True):
            assert record == pytest.approx(expected, rel=1e-4, abs=1e-6)
    saved = [torch.load(folder / "checkpoints/last.pt")["parts"] for folder in (split, whole)]
    assert saved[0]["backoff"]["pieces"] == 2
    torch.testing.assert_close(saved[0]["model"], saved[1]["model"], rtol=1e-4, atol=1e-5)
