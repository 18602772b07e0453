"""Every task in every framework, form of settings and source, proved in the sandbox; and what each task learns.

    python tests/scaffold/matrix.py [--tasks NAME ...] [--frameworks NAME ...] [--configs NAME ...] [--no-smoke]

Prints Markdown, a row as soon as it is known, and exits 1 if one failed. All of it takes an hour or two on two cores.
"""

import argparse
import asyncio
import itertools
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from options import TASKS, Request, merge
from projects import PYTHON, QUICK, spec, write_project

from dlcoder.errors import UserError
from dlcoder.scaffold.project import scaffold_project
from dlcoder.scaffold.tasks.table import TASKS as TABLE
from dlcoder.scaffold.tasks.table import meant

FRAMEWORKS = ("pytorch", "lightning", "accelerate")
CONFIGS = ("yaml", "toml", "argparse", "dataclass")
QUICKLY = (
    "train.epochs=6 train.accumulate=1 data.val_samples=128 data.batch_size=32 train.save_every=1000 "
    "train.max_grad_norm=10"
)


@dataclass(frozen=True)
class Lesson:
    """What a tiny network of a task must learn from a signal, and cannot learn from noise.

    Attributes:
        request: The project.
        settings: What is set for the training.
        signal: The noise of data that can be learned.
        noise: The noise that drowns it.
        metric: What is measured.
        bar: What the signal must reach, and the noise must not; a metric that falls is better below it.
    """

    request: Request
    settings: str
    signal: float
    noise: float
    metric: str
    bar: float


LESSONS = {
    "segmentation": Lesson(
        {"task": "segmentation"},
        "train.lr=0.01 data.train_samples=320 data.num_classes=4 data.batch_size=16",
        1.0, 1000.0, "mean_iou", 0.6,
    ),
    "regression": Lesson(
        {"task": "regression"},
        "train.lr=0.01 data.train_samples=2048 train.epochs=20 model.width=64 model.depth=2 data.num_features=4 "
        "model.dropout=0.0",
        0.1, 1000.0, "r2", 0.7,
    ),
    "tabular": Lesson(
        {"task": "classification", "model": {"family": "mlp"}},
        "train.lr=0.01 data.train_samples=960 data.num_classes=4",
        1.0, 1000.0, "accuracy", 0.6,
    ),
    "multilabel": Lesson(
        {"task": "classification", "data": {"multi_label": True}},
        "train.lr=0.01 data.train_samples=960 data.num_classes=4",
        0.5, 1000.0, "macro_f1", 0.5,
    ),
    "text": Lesson(
        {"task": "generation", "model": {"family": "gpt"}},
        "train.lr=0.01 data.train_samples=960 data.vocab_size=8 data.length=32 model.width=64 model.heads=4 "
        "model.layers=2 model.kv_heads=4 model.dropout=0.0",
        0.0, 1.0, "accuracy", 0.6,
    ),
    "detection": Lesson(
        {"task": "detection"},
        "train.lr=0.003 data.train_samples=320 train.epochs=8 data.batch_size=8 data.image_size=96 data.num_classes=2 "
        "model.width=16 model.channels=32",
        0.2, 1000.0, "map_50", 0.4,
    ),
    "vae": Lesson(
        {"task": "generation", "model": {"family": "vae"}},
        "train.lr=0.003 data.train_samples=960 train.epochs=10 data.image_size=16 model.latent_dim=16 model.width=16 "
        "data.num_classes=4",
        0.1, 1000.0, "reconstruction_error", 0.4,
    ),
    "simclr": Lesson(
        {"task": "self_supervised"},
        "train.lr=0.003 data.train_samples=640 train.epochs=6 data.image_size=16 data.batch_size=64 data.num_classes=4",
        1.0, 1000.0, "knn_accuracy", 0.5,
    ),
}  # fmt: skip


def requests(tasks: list[str], frameworks: list[str], configs: list[str]) -> Iterator[tuple[str, Request]]:
    """The product, each with a name for its row."""
    for task, framework, config in itertools.product(TASKS, frameworks, configs):
        name = meant(spec(**task))
        if tasks and name not in tasks:
            continue
        for source in TABLE[name].sources:
            request = merge([task, {"data": {"source": source}, "framework": framework, "config": config}])
            family = request.get("model", {}).get("family", "default")
            yield f"{name} | {family} | {framework} | {config} | {source}", request


def smoke(request: Request, path: Path) -> str:
    """Scaffold a project with its smoke validation; return "ok", or what went wrong."""
    try:
        asyncio.run(scaffold_project(path, spec(**request), validate="smoke"))
    except UserError as error:
        return " ".join(str(error).split())[:200].replace("|", "/")
    return "ok"


def learned(lesson: Lesson, path: Path) -> tuple[float, float]:
    """What the metric is at the end on data with a signal, and on noise."""
    project = write_project(path, precision="fp32", **lesson.request)
    return _train(project, lesson, lesson.signal), _train(project, lesson, lesson.noise)


def _train(project: Path, lesson: Lesson, noise: float) -> float:
    command = [PYTHON, "train.py", "--config", "configs/smoke.yaml", "--run-dir", f"runs/{noise}", "--set"]
    settings = [*QUICKLY.split(), *lesson.settings.split(), f"data.noise={noise}"]
    subprocess.run([*command, *settings], cwd=project, env=QUICK, capture_output=True, check=True, timeout=900)
    lines = (project / f"runs/{noise}/eval.jsonl").read_text().splitlines()
    value: float = json.loads(lines[-1])[f"metric_{lesson.metric}"]
    return value


def passes(lesson: Lesson, signal: float, noise: float) -> bool:
    """Whether the signal is above the bar and the noise below it, or the other way round where less is better."""
    falls = TABLE[meant(spec(**lesson.request))].metrics[lesson.metric].lower_is_better
    return signal < lesson.bar < noise if falls else noise < lesson.bar < signal


def main(given: Any) -> int:
    """Print the tables; return the exit status."""
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        if given.smoke:
            print("| task | network | framework | settings | source | smoke | seconds |\n|---|---|---|---|---|---|---|")
            for number, (name, request) in enumerate(requests(given.tasks, given.frameworks, given.configs)):
                begin = time.perf_counter()
                verdict = smoke(request, Path(folder) / f"project_{number}")
                failed += verdict != "ok"
                print(f"| {name} | {verdict} | {time.perf_counter() - begin:.0f} |", flush=True)
        if given.learn:
            print("\n| task | metric | signal | noise | bar | |\n|---|---|---|---|---|---|")
            for name, lesson in LESSONS.items():
                if given.tasks and name not in given.tasks:
                    continue
                signal, noise = learned(lesson, Path(folder) / f"lesson_{name}")
                good = passes(lesson, signal, noise)
                failed += not good
                verdict = "learned" if good else "FAILED"
                print(
                    f"| {name} | {lesson.metric} | {signal:.3f} | {noise:.3f} | {lesson.bar} | {verdict} |", flush=True
                )
    return int(failed > 0)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="*", default=[])
    parser.add_argument("--frameworks", nargs="*", default=FRAMEWORKS)
    parser.add_argument("--configs", nargs="*", default=CONFIGS)
    parser.add_argument("--learn", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--smoke", action=argparse.BooleanOptionalAction, default=True)
    sys.exit(main(parser.parse_args()))
