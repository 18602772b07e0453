"""Requests that cannot be met: refused with the field to change."""

from collections.abc import Iterable

from dlcoder.errors import UserError
from dlcoder.scaffold.spec import ProjectSpec
from dlcoder.scaffold.task import Source, Task


def refuse_contradictions(spec: ProjectSpec, task: Task) -> None:
    """Refuse what cannot be.

    Raises:
        UserError: A value does not go with the task, or two fields contradict each other.
    """
    _refuse_foreign_values(spec, task)
    _refuse_unused_fields(spec, task)
    _refuse_contradicting_data(spec)
    _refuse_image_size(spec, task)
    if task.views and spec.data.augmentation == "none":
        raise UserError(
            "data.augmentation is none, and without it all views of an image are the same.",
            "Set data.augmentation to strong or light, or model.family to mae.",
        )
    if spec.task == "generation" and spec.data.augmentation == "strong":
        raise UserError(
            "data.augmentation is strong, and what it does to images would come back in those that are generated.",
            "Set data.augmentation to light, which mirrors them, or to none.",
        )
    if task.training == "teacher" and not spec.train.ema:
        raise UserError(
            "train.ema is false, and the teacher is the average of the student's weights.",
            "Leave train.ema out, or set model.family to simclr or mae.",
        )
    _refuse_strategy(spec, task)
    if spec.device == "cpu" and spec.precision == "fp16":
        raise UserError(
            "precision fp16 is for GPUs, and device is cpu.", "Set precision to bf16 or fp32, or device to cuda."
        )


BATCH_NORM = {"small_cnn", "resnet", "unet", "deeplabv3_plus", "segformer", "fcos", "simclr", "dino", "dcgan"}
"""The families that have batch norm."""


def refuse_idle_options(spec: ProjectSpec, family: str, source: Source) -> None:
    """Refuse options that there would be nothing for.

    Raises:
        UserError: `family`, which may not have been asked for by name, has no batch norm to share, or `source` has no
            images to decode.
    """
    if spec.data.cache != "none" and not source.decodes:
        raise UserError(
            "data.cache would spare nothing: there are no image files to decode.",
            "Leave it out.",
        )
    if not spec.train.sync_bn:
        return
    if family not in BATCH_NORM:
        raise UserError(f"train.sync_bn would change nothing: {family} has no batch norm.", "Leave it out.")
    if spec.device == "cpu":
        raise UserError("train.sync_bn is for GPUs, and device is cpu.", "Leave it out, or set device to cuda.")


def _refuse_strategy(spec: ProjectSpec, task: Task) -> None:
    strategy = spec.train.strategy
    if strategy == "fsdp" and spec.framework == "lightning" and spec.precision == "fp16":
        raise UserError(
            "precision is fp16, and Lightning scales no loss where train.strategy fsdp shards the model.",
            "Set precision to bf16, or framework to pytorch.",
        )
    if strategy != "ddp" and task.training != "loss":
        raise UserError(
            f"train.strategy {strategy} is for one network with one loss, and here two are trained or compared.",
            "Set train.strategy to ddp.",
        )
    if strategy != "backoff":
        return
    if spec.train.sync_bn:
        raise UserError(
            "train.sync_bn lets ranks wait for each other in every layer; with train.strategy backoff one may fail.",
            "Set train.sync_bn to false, or train.strategy to ddp.",
        )
    if task.views:
        raise UserError(
            "train.strategy backoff splits batches, and the images of a batch are what a contrastive loss compares.",
            "Set train.strategy to ddp, or model.family to mae.",
        )


def _refuse_foreign_values(spec: ProjectSpec, task: Task) -> None:
    """Values that are those of other tasks."""
    given: list[tuple[str, str | None, Iterable[str]]] = [
        ("data.source", spec.data.source, task.sources),
        ("model.family", spec.model.family, task.families),
        ("metric", spec.metric, task.metrics),
    ]
    for field, value, known in given:
        if value is not None and value not in known:
            raise UserError(
                f"{field} {value!r} does not go with {task.words.lower()}.", f"Set {field} to {' or '.join(known)}."
            )


def _refuse_unused_fields(spec: ProjectSpec, task: Task) -> None:
    """Fields that would change nothing."""
    images = any(source.images for source in task.sources.values())
    unused = {
        "data.image_size": spec.data.image_size is not None and not images,
        "data.length": spec.data.length is not None and not task.sequences,
        "data.classes": spec.data.classes is not None and not task.classes,
        "data.num_classes": spec.data.num_classes is not None and not task.classes,
        "data.multi_label": spec.data.multi_label and spec.task != "classification",
        "data.augmentation": spec.data.augmentation not in (None, "none") and not task.augments,
        "train.label_smoothing": spec.train.label_smoothing > 0 and not task.label_smoothing,
    }
    for field, is_unused in unused.items():
        if is_unused:
            raise UserError(f"{field} would change nothing: the task is {task.words.lower()}.", "Leave it out.")


def _refuse_contradicting_data(spec: ProjectSpec) -> None:
    data = spec.data
    if data.classes is not None:
        if len(set(data.classes)) < len(data.classes):
            twice = next(name for name in data.classes if data.classes.count(name) > 1)
            raise UserError(f"data.classes names {twice!r} twice.", "Give every class one name.")
        if data.num_classes not in (None, len(data.classes)):
            raise UserError(
                f"data.num_classes is {data.num_classes}, and data.classes has {len(data.classes)} names.",
                "Leave data.num_classes out, or correct data.classes.",
            )
    if data.source in (None, "synthetic") and data.root is not None:
        raise UserError(
            f"data.root is {data.root!r}, and data.source is synthetic, which reads no files.",
            "Set data.source to what the files are, or leave data.root out.",
        )


def _refuse_image_size(spec: ProjectSpec, task: Task) -> None:
    if spec.model.family is None or spec.data.image_size is None:
        return
    multiple = task.families[spec.model.family].multiple_of
    if spec.data.image_size % multiple:
        nearest = max(multiple, round(spec.data.image_size / multiple) * multiple)
        raise UserError(
            f"{spec.model.family} needs sides that are multiples of {multiple}, and data.image_size is "
            f"{spec.data.image_size}.",
            f"Set data.image_size to {nearest}.",
        )
