"""What the train loop of a generated project costs, as a ratio to a bare loop written by hand, in turns in one run.

    python benchmarks/train_loop.py [--rounds N]

Exits 1 if the bound does not hold. Both train the same small convolutional network on the same generated images, with
AdamW, a cosine schedule and clipping, and look at the loss of each step. The generated loop also counts samples
exactly, guards against losses that are not finite, listens for SIGTERM and logs ten fields for each step. Evaluation
and checkpoints, which are no part of a step, are left out of both.
"""

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import chdir
from importlib import import_module
from pathlib import Path
from typing import Any

from dlcoder.scaffold.project import scaffold_project
from dlcoder.scaffold.spec import ProjectSpec

BOUND = 1.03
STEPS = 20
BATCH = 32
SPEC = ProjectSpec.model_validate(
    {
        "task": "classification",
        "data": {"num_classes": 10, "augmentation": "none", "workers": 0},
        "model": {"family": "small_cnn"},
        "train": {"batch_size": BATCH, "ema": False},
        "device": "cpu",
    }
)


def generated(folder: Path) -> Callable[[], None]:
    """Return what trains an epoch by a project's own loop."""
    project = folder / "waves"
    asyncio.run(scaffold_project(project, SPEC, validate="none"))
    sys.path.insert(0, str(project))
    train = import_module("train")
    settings = import_module("waves.settings").Settings()
    settings.data.train_samples = STEPS * BATCH
    settings.deterministic = False
    world = import_module("waves.utils.distributed").join_world()
    data = import_module("waves.build").build_datasets(settings.data)
    trainer = train.build_trainer(settings, *data, folder, world)
    trainer.evaluate = lambda: {"metric_accuracy": 0.0}
    trainer.checkpointer.save = lambda *names: None
    trainer.epochs = 0

    def epoch() -> None:
        trainer.epochs += 1
        assert trainer.fit()

    return epoch


def bare() -> Callable[[], None]:
    """Return what trains an epoch by a loop with nothing around it."""
    import torch
    from torch.utils.data import DataLoader

    build, settings = import_module("waves.build"), import_module("waves.settings").Settings()
    settings.data.train_samples = STEPS * BATCH
    data, _ = build.build_datasets(settings.data)
    model = build.build_model(settings.model, data)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 1000)
    loader: Any = DataLoader(data, batch_size=BATCH, shuffle=True)

    def epoch() -> None:
        for images, labels in loader:
            loss = torch.nn.functional.cross_entropy(model(images), labels)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            optimizer.step()
            optimizer.zero_grad()
            schedule.step()
            loss.item()

    return epoch


def measure(ours: Callable[[], None], theirs: Callable[[], None], rounds: int) -> list[tuple[float, float]]:
    """Return the seconds of both for each round, which one of them begins in turns."""
    found = []
    for number in range(rounds):
        seconds: dict[Callable[[], None], float] = {}
        for loop in (ours, theirs) if number % 2 else (theirs, ours):
            started = time.perf_counter()
            loop()
            seconds[loop] = time.perf_counter() - started
        found.append((seconds[ours], seconds[theirs]))
    return found


def main() -> int:
    """Measure, print and return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        loops = generated(Path(folder)), bare()
        measure(*loops, 1)
        found = measure(*loops, rounds)
    ours, theirs = (statistics.median(times) / STEPS * 1000 for times in zip(*found, strict=True))
    # Neighbors in time see the same load: their ratio says more than that of the medians.
    ratio = statistics.median(ours / theirs for ours, theirs in found)
    print(f"{rounds} rounds of {STEPS} steps    ms a step, median")
    print(f"generated loop        {ours:8.1f}")
    print(f"bare loop             {theirs:8.1f}")
    print(f"ratio {ratio:.3f}; bound {BOUND}: {'holds' if ratio <= BOUND else 'BROKEN'}")
    return 0 if ratio <= BOUND else 1


if __name__ == "__main__":
    sys.exit(main())
