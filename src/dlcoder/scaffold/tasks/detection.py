"""Boxes around objects, and their classes."""

from typing import TYPE_CHECKING

from dlcoder.scaffold.sample_images import boxed_images
from dlcoder.scaffold.task import Family, Metric, Setting, Source, Task
from dlcoder.scaffold.tasks.image_networks import DEPTH, RESNET_SETTINGS, RESNET_SIZES
from dlcoder.scaffold.tasks.image_sources import IMAGES, generated, named_classes, num_classes, root

if TYPE_CHECKING:
    from dlcoder.scaffold.choices import Choices

FCOS = Family(
    "fcos",
    "FCOS",
    "FCOS detector over a residual network",
    settings={
        **RESNET_SETTINGS,
        "channels": "Channels of the pyramid and the heads, a multiple of 8.",
        "head_depth": "Convolutions of each head before its outputs.",
    },
    sizes={
        name: {**size, "channels": 64 if name == "tiny" else 256, "head_depth": 2 if name == "tiny" else 4}
        for name, size in RESNET_SIZES.items()
    },
    smoke={"depth": 18, "width": 8, "channels": 16, "head_depth": 1},
    data="len(data.classes)",
    types={"depth": DEPTH},
    smoke_size=96,
)


def _synthetic(choices: "Choices") -> tuple[Setting, ...]:
    return (num_classes(choices, smoke=3), *generated(choices, noise=0.5))


def _coco(choices: "Choices") -> tuple[Setting, ...]:
    settings = [root(choices, "The folder that holds images and annotations.")]
    for split, words in (("train", "training"), ("val", "validation")):
        annotations = f"annotations/instances_{split}2017.json"
        settings.append(Setting(f"{split}_images", f"{split}2017", f"The folder of {words} images, below root."))
        settings.append(Setting(f"{split}_annotations", annotations, "Their annotations, below root."))
    names = ("red", "green")
    return (*settings, *named_classes(choices, "categories are expected in the annotations", names))


def _default_family(image_size: int) -> tuple[str, str]:
    return "fcos", "No anchors to tune, and close to the best of one-stage detectors."


DETECTION = Task(
    words="Object detection",
    noun="detector",
    objective=("detection", "Detection"),
    evaluator=("evaluate_detector", "evaluate_detector"),
    log=("loss_class", "loss_box", "loss_centerness"),
    metrics={
        "map": Metric("The convention of COCO: it rewards boxes that fit closely."),
        "map_50": Metric("Finding objects counts, exact boxes less."),
        "map_75": Metric("Only boxes that fit closely count."),
    },
    families={"fcos": FCOS},
    default_family=_default_family,
    sources={
        "synthetic": Source(
            "synthetic_detection", "SyntheticDetection", _synthetic, "synthetic.py.j2", collate="pad_boxes"
        ),
        "coco": Source(
            "coco_detection",
            "CocoDetection",
            _coco,
            "coco_detection.py.j2",
            layout=(
                "Images go into `{root}/train2017` and `{root}/val2017`, their annotations in the format of COCO into "
                "`{root}/annotations/instances_train2017.json` and `instances_val2017.json`; the settings below `data` "
                "name other places."
            ),
            extra=IMAGES,
            decodes=True,
            collate="pad_boxes",
            files=boxed_images,
            found="The categories of the annotations, in the order of their ids.",
        ),
    },
    results="detection.py.j2",
    picture="boxes.png",
    classes=3,
    batch_size=16,
    augments=True,
    augment=("augment_boxes", "BoxAugment"),
    image_sizes=(96, 512),
)
