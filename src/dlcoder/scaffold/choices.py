"""From a request to a decision on everything: each default with its reason."""

import keyword
import re
import sys
from dataclasses import dataclass, field

from dlcoder.errors import UserError
from dlcoder.scaffold.assumptions import Assumption, Assumptions
from dlcoder.scaffold.contradictions import refuse_contradictions, refuse_idle_options
from dlcoder.scaffold.spec import ProjectSpec
from dlcoder.scaffold.task import Source, Task
from dlcoder.scaffold.tasks.table import TASKS, meant

_TAKEN = {"torch", "numpy", "yaml", "pil", "pytest", "train", "evaluate", "tests", "configs", "scripts", "runs", "data"}
SMALL_IMAGE = 64
"""Pixels up to which a network must not shrink an image at once."""


@dataclass(frozen=True)
class Choices:
    """Everything decided. `task` is the name in the table of tasks; other fields have the meaning of the spec's."""

    package: str
    task: str
    source: str
    root: str
    classes: list[str] | None
    num_classes: int | None
    image_size: int
    length: int
    augmentation: str
    cache: str
    workers: int
    family: str
    size: str
    epochs: int
    batch_size: int
    accumulation: int
    optimizer: str
    schedule: str
    lr: float
    weight_decay: float
    max_grad_norm: float
    label_smoothing: float
    ema: bool
    gradient_checkpointing: bool
    compile: bool
    sync_bn: bool
    strategy: str
    metric: str
    framework: str
    layout: str
    config: str
    launcher: str
    loggers: tuple[str, ...]
    precision: str
    device: str
    reproducible: bool
    seed: int
    assumptions: list[Assumption] = field(default_factory=list, compare=False)

    @property
    def small_images(self) -> bool:
        """Whether images are so small that a network must not shrink them at once."""
        return self.image_size <= SMALL_IMAGE


def decide(spec: ProjectSpec, folder_name: str) -> Choices:
    """Settle every choice.

    Args:
        spec: The request.
        folder_name: The name of the project's folder, from which the package's name follows by default.

    Raises:
        UserError: Two fields contradict each other.
    """
    name = meant(spec)
    task = TASKS[name]
    refuse_contradictions(spec, task)
    assumed = Assumptions(spec)
    data, train = spec.data, spec.train
    reason = "No data was named: these are generated, and learnable."
    source_name = assumed("data.source", data.source, "synthetic", reason)
    source = task.sources[source_name]
    image_size = _image_size(spec, task, source, assumed)
    family = assumed("model.family", spec.model.family, *task.default_family(image_size))
    refuse_idle_options(spec, family, source)
    size = assumed("model.size", spec.model.size, "small", "The smallest that is worth comparing with; grow it later.")
    epochs = task.epochs[0 if source.synthetic else 1]
    usual = f"Usual for {train.optimizer}"
    batch = "Fits GPUs of 8 GB with this model and size."
    clip = "Above ordinary norms: it catches outliers only."
    decay = task.weight_decay[train.optimizer]
    deterministic = "Debugging and comparing come first; false is faster on GPUs."
    metric = next(iter(task.metrics))
    return Choices(
        package=_package(spec, folder_name, assumed),
        task=name,
        source=source_name,
        root=data.root or "data",
        classes=data.classes,
        num_classes=_num_classes(spec, task, source, assumed),
        image_size=image_size,
        length=_length(spec, task, assumed),
        augmentation=_augmentation(spec, task, source, assumed),
        cache=data.cache,
        workers=assumed(
            "data.workers", data.workers, 2 if source.synthetic else 4, "Raise it while time_data is not near 0."
        ),
        family=family,
        size=size,
        epochs=assumed("train.epochs", train.epochs, epochs, "A start; the schedule follows it."),
        batch_size=assumed("train.batch_size", train.batch_size, task.batch_size, batch),
        accumulation=train.accumulation,
        optimizer=train.optimizer,
        schedule=train.schedule,
        lr=assumed(
            "train.lr",
            train.lr,
            task.lr[train.optimizer],
            f"{usual}; tune it first, and again with the global batch size.",
        ),
        weight_decay=assumed("train.weight_decay", train.weight_decay, decay, f"{usual}."),
        max_grad_norm=assumed("train.max_grad_norm", train.max_grad_norm, 5.0, clip),
        label_smoothing=train.label_smoothing,
        gradient_checkpointing=train.gradient_checkpointing,
        compile=train.compile,
        sync_bn=train.sync_bn,
        strategy=train.strategy,
        ema=assumed.note_unless_given("train.ema", train.ema, "Steadier and mostly better than the last weights."),
        metric=assumed("metric", spec.metric, metric, task.metrics[metric].reason),
        framework=spec.framework,
        layout=spec.layout,
        config=spec.config,
        launcher=spec.launcher,
        loggers=tuple(spec.loggers),
        precision=_precision(spec, assumed),
        device=spec.device,
        reproducible=assumed.note_unless_given("reproducible", spec.reproducible, deterministic),
        seed=spec.seed,
        assumptions=assumed.notes,
    )


def _image_size(spec: ProjectSpec, task: Task, source: Source, assumed: Assumptions) -> int:
    if not source.images:
        return 0
    generated, usual = task.image_sizes
    if source.synthetic:
        reason = "Enough for what is generated, and fast."
        return int(assumed("data.image_size", spec.data.image_size, generated, reason))
    return int(assumed("data.image_size", spec.data.image_size, usual, "Usual for photographs."))


def _length(spec: ProjectSpec, task: Task, assumed: Assumptions) -> int:
    if not task.sequences:
        return 0
    return int(assumed("data.length", spec.data.length, 128, "Enough to see that context helps, and fast."))


def _augmentation(spec: ProjectSpec, task: Task, source: Source, assumed: Assumptions) -> str:
    if not (task.augments and source.images):
        return "none"
    if task.views:
        reason = "Views must differ in all that does not matter."
        return str(assumed("data.augmentation", spec.data.augmentation, "strong", reason))
    reason = "Right for most images; a mirrored digit or sign is another class."
    return str(assumed("data.augmentation", spec.data.augmentation, "light", reason))


def _num_classes(spec: ProjectSpec, task: Task, source: Source, assumed: Assumptions) -> int | None:
    data = spec.data
    if not task.classes:
        return None
    if data.classes is not None:
        return len(data.classes)
    if data.num_classes is not None:
        return data.num_classes
    if source.found:
        assumed.note("data.classes", "as found", source.found)
        return None
    count = task.classes
    reason = "As in most small benchmarks." if source.synthetic else "The files do not tell: correct it."
    assumed.note("data.num_classes", count, reason)
    return count


def _package(spec: ProjectSpec, folder_name: str, assumed: Assumptions) -> str:
    if spec.name is not None:
        if _is_taken(spec.name):
            raise UserError(f"A package named {spec.name!r} would hide another module.", "Choose another name.")
        return spec.name
    name = re.sub(r"[^a-z0-9]+", "_", folder_name.lower()).strip("_")[:50] or "project"
    if not name[0].isalpha():
        name = f"project_{name}"
    if _is_taken(name):
        name = f"{name}_project"
    assumed.note("name", name, "From the folder's name.")
    return name


def _is_taken(name: str) -> bool:
    return name in _TAKEN or name in sys.stdlib_module_names or keyword.iskeyword(name)


def _precision(spec: ProjectSpec, assumed: Assumptions) -> str:
    if spec.device == "cpu":
        return str(assumed("precision", spec.precision, "fp32", "Fastest and exact on most CPUs."))
    return str(
        assumed(
            "precision", spec.precision, "bf16", "Fast without loss scaling, on GPUs since 2020; fp16 for older ones."
        )
    )
