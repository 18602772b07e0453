"""What a tiny network of each task must learn from a signal, and cannot learn without it.

Every lesson is a project with the settings of its smoke run, but for those here, trained twice. A settled bar tells
learning from what looks like it: the same training must stay on the other side of it, once the signal is gone.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from options import Request
from projects import spec, write_project
from warm import Warm

from dlcoder.scaffold.tasks.table import TASKS as TABLE
from dlcoder.scaffold.tasks.table import meant

DROWNED = "data.noise=1000.0"
"""The control where a network is told what to find: under this noise, labels are as good as random."""
FROZEN = "train.lr=0.0 train.epochs=1"
"""The control where it is not: what fresh weights achieve. Their features are of some use already."""
QUICKLY = (
    "train.epochs=6 train.accumulate=1 data.val_samples=128 data.batch_size=32 train.save_every=1000 "
    "train.max_grad_norm=10"
)


@dataclass(frozen=True)
class Lesson:
    """What can be learned, and how it is seen.

    Attributes:
        request: The project.
        settings: What is set for the training.
        metric: What is measured.
        bar: What it must reach; a metric that falls must get below it.
        control: What is set for a training that must not reach it.
    """

    request: Request
    settings: str
    metric: str
    bar: float
    control: str = DROWNED

    @property
    def falls(self) -> bool:
        """Whether less is better."""
        return TABLE[meant(spec(**self.request))].metrics[self.metric].lower_is_better

    def passed(self, reached: float) -> bool:
        """Whether a value is on the right side of the bar."""
        return reached < self.bar if self.falls else reached > self.bar


LESSONS = {
    "classification": Lesson(
        {"task": "classification"},
        "train.lr=0.01 data.train_samples=640 data.num_classes=4 data.noise=1.0",
        "accuracy", 0.6,
    ),
    "multilabel": Lesson(
        {"task": "classification", "data": {"multi_label": True}},
        "train.lr=0.01 data.train_samples=960 data.num_classes=4 data.noise=0.5",
        "macro_f1", 0.5,
    ),
    "detection": Lesson(
        {"task": "detection"},
        "train.lr=0.003 data.train_samples=320 train.epochs=5 data.batch_size=8 data.image_size=96 data.num_classes=2 "
        "model.width=16 model.channels=32 data.noise=0.2",
        "map_50", 0.4,
    ),
    "segmentation": Lesson(
        {"task": "segmentation"},
        "train.lr=0.01 data.train_samples=320 data.num_classes=4 data.batch_size=16 data.noise=1.0",
        "mean_iou", 0.6,
    ),
    "regression": Lesson(
        {"task": "regression"},
        "train.lr=0.01 data.train_samples=2048 train.epochs=20 model.width=64 model.depth=2 data.num_features=4 "
        "model.dropout=0.0 data.noise=0.1",
        "r2", 0.7,
    ),
    "text": Lesson(
        {"task": "generation", "model": {"family": "gpt"}},
        "train.lr=0.01 data.train_samples=960 data.vocab_size=8 data.length=32 model.width=64 model.heads=4 "
        "model.layers=2 model.kv_heads=4 model.dropout=0.0 data.noise=0.0",
        "accuracy", 0.6, "data.noise=1.0",
    ),
    "diffusion": Lesson(
        {"task": "generation"},
        "train.lr=0.002 data.train_samples=320 data.image_size=16 data.num_classes=4 data.noise=0.1 model.dropout=0.0",
        "denoising_error", 0.15,
    ),
    "vae": Lesson(
        {"task": "generation", "model": {"family": "vae"}},
        "train.lr=0.003 data.train_samples=960 train.epochs=10 data.image_size=16 model.latent_dim=16 model.width=16 "
        "data.num_classes=4 data.noise=0.1",
        "reconstruction_error", 0.4,
    ),
    # White noise is at 6.5 from the images, the images of one class at 5.8, and fresh weights at 13.
    "gan": Lesson(
        {"task": "generation", "model": {"family": "dcgan"}},
        "train.lr=0.002 data.train_samples=960 train.epochs=10 data.image_size=16 data.num_classes=2 data.noise=0.1 "
        "model.width=16 model.noise_dim=16",
        "frechet_distance", 3.5, FROZEN,
    ),
    "simclr": Lesson(
        {"task": "self_supervised"},
        "train.lr=0.003 data.train_samples=640 train.epochs=8 data.image_size=16 data.batch_size=64 data.num_classes=4 "
        "data.noise=0.7 data.val_samples=256",
        "knn_accuracy", 0.85, FROZEN,
    ),
    "dino": Lesson(
        {"task": "self_supervised", "model": {"family": "dino"}},
        "train.lr=0.005 data.train_samples=640 train.epochs=6 data.image_size=16 data.local_size=8 data.local_crops=4 "
        "data.batch_size=64 data.num_classes=4 data.noise=0.7 data.val_samples=256 model.prototypes=64",
        "knn_accuracy", 0.82, FROZEN,
    ),
    "mae": Lesson(
        {"task": "self_supervised", "model": {"family": "mae"}},
        "train.lr=0.003 data.train_samples=640 train.epochs=15 data.image_size=16 data.num_classes=4 data.noise=1.5 "
        "model.width=64 model.layers=2 model.heads=4 model.decoder_width=32",
        "knn_accuracy", 0.7, FROZEN,
    ),
    "tabular": Lesson(
        {"task": "classification", "model": {"family": "mlp"}},
        "train.lr=0.01 data.train_samples=960 data.num_classes=4 data.noise=1.0",
        "accuracy", 0.6,
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """What a training came to.

    Attributes:
        metric: At its end.
        seconds: Of processor time, of one core.
    """

    metric: float
    seconds: float


def learned(lesson: Lesson, path: Path, warm: Warm) -> tuple[Outcome, Outcome]:
    """What comes of the training with the signal, and of the control."""
    project = write_project(path, precision="fp32", **lesson.request)
    return _train(project, lesson, warm), _train(project, lesson, warm, *lesson.control.split())


def _train(project: Path, lesson: Lesson, warm: Warm, *control: str) -> Outcome:
    run = f"runs/{'control' if control else 'signal'}"
    settings = [*QUICKLY.split(), *lesson.settings.split(), *control]
    arguments = ["--config", "configs/smoke.yaml", "--run-dir", run, "--set", *settings]
    train = f"import time, train; assert train.main({arguments}) == 0; print(time.process_time())"
    code, output = warm.run(train, project)
    assert code == 0, output[-3000:]
    lines = (project / run / "eval.jsonl").read_text().splitlines()
    return Outcome(json.loads(lines[-1])[f"metric_{lesson.metric}"], float(output.splitlines()[-1]))
