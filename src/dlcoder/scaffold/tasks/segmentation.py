"""Each pixel has one class."""

from typing import TYPE_CHECKING

from dlcoder.scaffold.sample_images import masked_images
from dlcoder.scaffold.task import Family, Metric, Setting, Source, Task
from dlcoder.scaffold.tasks.image_networks import DEPTH, RESNET_SETTINGS, RESNET_SIZES
from dlcoder.scaffold.tasks.image_sources import IMAGES, generated, named_classes, num_classes, root
from dlcoder.scaffold.tasks.losses import PLAIN_CROSS_ENTROPY

if TYPE_CHECKING:
    from dlcoder.scaffold.choices import Choices

_CLASSES = "len(data.classes)"
_NETWORKS = {
    "unet": Family(
        "unet",
        "UNet",
        "U-Net",
        settings={"width": "Channels of the first level; each of the four next has twice as many."},
        sizes={"tiny": {"width": 8}, "small": {"width": 32}, "base": {"width": 64}, "large": {"width": 96}},
        smoke={"width": 8},
        data=_CLASSES,
        multiple_of=16,
        smoke_size=32,
    ),
    "deeplabv3_plus": Family(
        "deeplabv3_plus",
        "DeepLabV3Plus",
        "DeepLabV3+",
        settings={**RESNET_SETTINGS, "channels": "Channels of the decoder."},
        sizes={name: {**size, "channels": 64 if name == "tiny" else 256} for name, size in RESNET_SIZES.items()},
        smoke={"depth": 18, "width": 8, "channels": 16},
        data=_CLASSES,
        types={"depth": DEPTH},
        smoke_size=64,
    ),
    "segformer": Family(
        "segformer",
        "SegFormer",
        "SegFormer",
        settings={
            "widths": "Channels of each stage.",
            "depths": "Blocks of each stage.",
            "decoder_width": "Channels of the decoder.",
        },
        sizes={
            "tiny": {"widths": (16, 32, 64, 128), "depths": (1, 1, 1, 1), "decoder_width": 64},
            "small": {"widths": (32, 64, 160, 256), "depths": (2, 2, 2, 2), "decoder_width": 256},
            "base": {"widths": (64, 128, 320, 512), "depths": (3, 4, 6, 3), "decoder_width": 256},
            "large": {"widths": (64, 128, 320, 512), "depths": (3, 6, 40, 3), "decoder_width": 768},
        },
        smoke={"widths": (8, 16, 40, 64), "depths": (1, 1, 1, 1), "decoder_width": 16},
        data=_CLASSES,
        types={"widths": "tuple[int, int, int, int]", "depths": "tuple[int, int, int, int]"},
        multiple_of=32,
        smoke_size=64,
    ),
}


def _synthetic(choices: "Choices") -> tuple[Setting, ...]:
    return (num_classes(choices, smoke=4), *generated(choices))


def _pairs(choices: "Choices") -> tuple[Setting, ...]:
    return (
        root(choices, "The folder of images and masks."),
        Setting(
            "layout",
            "folders",
            "How they are stored: folders of images and masks, or like VOC or Cityscapes.",
            smoke="folders",
            type='Literal["folders", "voc", "cityscapes"]',
        ),
        *named_classes(choices, "classes there are", ("ground", "square")),
    )


def _settings(choices: "Choices") -> tuple[Setting, ...]:
    return (Setting("dice_weight", 1.0, "Weight of the Dice loss beside the cross entropy; 0 for none."),)


def _default_family(image_size: int) -> tuple[str, str]:
    return "unet", "The baseline of segmentation: few choices, exact borders, any image size."


SEGMENTATION = Task(
    words="Semantic segmentation",
    noun="segmentation model",
    objective=("segmentation", "Segmentation"),
    evaluator=("evaluate_segmentation", "evaluate_segmentation"),
    arguments=f"num_classes={_CLASSES}",
    log=("loss_cross_entropy", "loss_dice", "metric_pixel_accuracy"),
    metrics={
        "mean_iou": Metric("The convention of Cityscapes and ADE20K: all classes count alike."),
        "mean_dice": Metric("The convention of medical images."),
        "pixel_accuracy": Metric("Fair where classes are about equally frequent."),
    },
    families=_NETWORKS,
    default_family=_default_family,
    sources={
        "synthetic": Source("synthetic_segmentation", "SyntheticSegmentation", _synthetic, "synthetic.py.j2"),
        "segmentation_pairs": Source(
            "segmentation_pairs",
            "SegmentationPairs",
            _pairs,
            "segmentation_pairs.py.j2",
            layout=(
                "Images go into `{root}/train/images/` and `{root}/val/images/`, masks of the same names into `masks/` "
                "beside them, as PNG with a label a pixel and 255 where none counts, names of classes, one a line, "
                "into `{root}/classes.txt`. For Pascal VOC or Cityscapes as downloaded set `data.layout`."
            ),
            extra=IMAGES,
            decodes=True,
            files=masked_images,
            found="The lines of ROOT/classes.txt.",
        ),
    },
    results="segmentation.py.j2",
    picture="masks.png",
    objective_settings=_settings,
    batch_size=16,
    augments=True,
    augment=("augment_mask", "MaskAugment"),
    bindings={"CrossEntropyLoss": PLAIN_CROSS_ENTROPY},
    classes=5,
)
