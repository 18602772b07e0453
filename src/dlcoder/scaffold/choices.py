"""From a request to a decision on everything: defaults with their reasons, contradictions refused."""

import keyword
import re
import sys
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, Field

from dlcoder.errors import UserError
from dlcoder.scaffold.spec import ProjectSpec
from dlcoder.scaffold.tasks.table import TASKS

_TAKEN = {"torch", "numpy", "yaml", "pil", "pytest", "train", "evaluate", "tests", "configs", "scripts", "runs", "data"}
SMALL_IMAGE = 64
"""Pixels up to which a network must not shrink an image at once."""


class Assumption(BaseModel):
    """Something the request left open."""

    field: str = Field(description="The field of the spec that settles it.")
    value: str
    reason: str


@dataclass(frozen=True)
class Choices:
    """Everything decided. Fields have the meaning of the spec's fields of the same name."""

    package: str
    task: str
    source: str
    root: str
    classes: list[str] | None
    num_classes: int | None
    image_size: int
    augmentation: str
    workers: int
    family: str
    size: str
    epochs: int
    batch_size: int
    accumulation: int
    optimizer: str
    lr: float
    weight_decay: float
    max_grad_norm: float
    label_smoothing: float
    ema: bool
    metric: str
    framework: str
    config: str
    launcher: str
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
    _refuse_contradictions(spec)
    assumed = _Assumptions(spec)
    task = TASKS[spec.task]
    data, train = spec.data, spec.train
    synthetic = data.source == "synthetic"
    assumed.note_unless_given("data.source", data.source, "No data was named: these are generated, and learnable.")
    image_size = assumed(
        "data.image_size",
        data.image_size,
        32 if synthetic else 224,
        "Enough for the generated patterns, and fast." if synthetic else "What networks for photographs are used to.",
    )
    family = assumed("model.family", spec.model.family, *task.default_family(image_size))
    size = assumed("model.size", spec.model.size, "small", "The smallest that is worth comparing with; grow it later.")
    metric = next(iter(task.metrics))
    adamw = train.optimizer == "adamw"
    return Choices(
        package=_package(spec, folder_name, assumed),
        task=spec.task,
        source=data.source,
        root=data.root or "data",
        classes=data.classes,
        num_classes=_num_classes(spec, assumed),
        image_size=image_size,
        augmentation=assumed.note_unless_given(
            "data.augmentation", data.augmentation, "Right for most images; a mirrored digit or sign is another class."
        ),
        workers=assumed("data.workers", data.workers, 2 if synthetic else 4, "Raise it while time_data is not near 0."),
        family=family,
        size=size,
        epochs=assumed("train.epochs", train.epochs, 10 if synthetic else 30, "A start; the schedule follows it."),
        batch_size=assumed("train.batch_size", train.batch_size, 64, "Fits GPUs of 8 GB with this model and size."),
        accumulation=train.accumulation,
        optimizer=train.optimizer,
        lr=assumed(
            "train.lr",
            train.lr,
            1e-3 if adamw else 0.1,
            f"Usual for {train.optimizer}; tune it first, and again with the global batch size.",
        ),
        weight_decay=assumed(
            "train.weight_decay", train.weight_decay, 0.05 if adamw else 5e-4, f"Usual for {train.optimizer}."
        ),
        max_grad_norm=assumed(
            "train.max_grad_norm", train.max_grad_norm, 5.0, "Above ordinary norms: it catches outliers only."
        ),
        label_smoothing=train.label_smoothing,
        ema=assumed.note_unless_given("train.ema", train.ema, "Steadier and mostly better than the last weights."),
        metric=assumed("metric", spec.metric, metric, task.metrics[metric].reason),
        framework=spec.framework,
        config=spec.config,
        launcher=spec.launcher,
        precision=_precision(spec, assumed),
        device=spec.device,
        reproducible=assumed.note_unless_given(
            "reproducible", spec.reproducible, "Debugging and comparing come first; false is faster on GPUs."
        ),
        seed=spec.seed,
        assumptions=assumed.notes,
    )


class _Assumptions:
    """Fills gaps, and takes a note of each."""

    def __init__(self, spec: ProjectSpec) -> None:
        self.spec = spec
        self.notes: list[Assumption] = []
        if spec.goal:
            self.note("goal", spec.goal, _promise(spec.goal))

    def __call__(self, name: str, given: Any, default: Any, reason: str) -> Any:
        if given is not None:
            return given
        self.note(name, default, reason)
        return default

    def note_unless_given(self, name: str, value: Any, reason: str) -> Any:
        """For a field that has its default in the spec itself."""
        part: BaseModel = self.spec
        *outer, last = name.split(".")
        for key in outer:
            part = getattr(part, key)
        if last not in part.model_fields_set:
            self.note(name, value, reason)
        return value

    def note(self, name: str, value: Any, reason: str) -> None:
        shown = str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else value
        self.notes.append(Assumption(field=name, value=str(shown), reason=reason))


def _refuse_contradictions(spec: ProjectSpec) -> None:
    data = spec.data
    if spec.device == "cpu" and spec.precision == "fp16":
        raise UserError(
            "precision fp16 is for GPUs, and device is cpu.", "Set precision to bf16 or fp32, or device to cuda."
        )
    if data.classes is not None:
        if len(set(data.classes)) < len(data.classes):
            twice = next(name for name in data.classes if data.classes.count(name) > 1)
            raise UserError(f"data.classes names {twice!r} twice.", "Give every class one name.")
        if data.num_classes not in (None, len(data.classes)):
            raise UserError(
                f"data.num_classes is {data.num_classes}, and data.classes has {len(data.classes)} names.",
                "Leave data.num_classes out, or correct data.classes.",
            )
    if data.source == "synthetic" and data.root is not None:
        raise UserError(
            f"data.root is {data.root!r}, and data.source is synthetic, which reads no files.",
            "Set data.source to image_folder, or leave data.root out.",
        )


def _package(spec: ProjectSpec, folder_name: str, assumed: _Assumptions) -> str:
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


def _num_classes(spec: ProjectSpec, assumed: _Assumptions) -> int | None:
    data = spec.data
    if data.classes is not None:
        return len(data.classes)
    if data.num_classes is not None:
        return data.num_classes
    if data.source == "image_folder":
        assumed.note("data.classes", "as found", "The folders in ROOT/train, in alphabetical order.")
        return None
    assumed.note("data.num_classes", 10, "As in most small benchmarks.")
    return 10


def _precision(spec: ProjectSpec, assumed: _Assumptions) -> str:
    if spec.device == "cpu":
        return str(assumed("precision", spec.precision, "fp32", "Fastest and exact on most CPUs."))
    return str(
        assumed(
            "precision", spec.precision, "bf16", "Fast without loss scaling, on GPUs since 2020; fp16 for older ones."
        )
    )


def _promise(goal: str) -> str:
    wants_score = re.search(
        r"guarant|at least|must reach|\d\s*%|[≥>]=?\s*\d|sota|state.of.the.art", goal, re.IGNORECASE
    )
    promised = "promised are code that ran its checks here, exact resume, and metrics exact on any number of processes"
    if wants_score:
        return f"No score can be promised before training on your data; {promised}."
    return f"Not a setting; {promised}."
