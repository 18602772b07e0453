"""Boxes around objects, and their classes."""

from typing import TYPE_CHECKING

from dlcoder.scaffold.task import Family, Metric, Setting, Source, Task
from dlcoder.scaffold.tasks.image_networks import DEPTH, RESNET_SETTINGS, RESNET_SIZES
from dlcoder.scaffold.tasks.image_sources import generated, num_classes

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
    },
    results="detection.py.j2",
    picture="boxes.png",
    classes=3,
    batch_size=16,
    image_sizes=(96, 512),
)
