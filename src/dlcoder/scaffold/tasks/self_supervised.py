"""Features of images, learned without labels."""

from typing import TYPE_CHECKING

from dlcoder.scaffold.task import Family, Metric, Setting, Task
from dlcoder.scaffold.tasks.image_networks import DEPTH, RESNET_SETTINGS, RESNET_SIZES, VIT_SETTINGS, VIT_SIZES
from dlcoder.scaffold.tasks.image_sources import IMAGE_FOLDER, SYNTHETIC_IMAGES
from dlcoder.templates.bindings import Default

if TYPE_CHECKING:
    from dlcoder.scaffold.choices import Choices

_SOURCES = {"synthetic": SYNTHETIC_IMAGES, "image_folder": IMAGE_FOLDER}
_METRICS = {"knn_accuracy": Metric("Needs no training: how often the nearest images have the same label.")}


def _temperature(choices: "Choices") -> tuple[Setting, ...]:
    return (Setting("temperature", 0.1, "Divides the cosines: the lower, the more the hardest pairs count."),)


SIMCLR = Task(
    words="Self-supervised learning by contrast (SimCLR)",
    noun="SimCLR encoder",
    objective=("contrastive", "Contrastive"),
    evaluator=("evaluate_features", "evaluate_features"),
    log=("loss_contrastive",),
    metrics=_METRICS,
    families={
        "simclr": Family(
            "simclr",
            "SimCLR",
            "residual network below a projection head",
            settings={**RESNET_SETTINGS, "projection": "Numbers in a projection."},
            sizes={name: {**size, "projection": 128} for name, size in RESNET_SIZES.items()},
            smoke={"depth": 18, "width": 8, "projection": 8},
            types={"depth": DEPTH},
            small_images=True,
            smoke_size=64,
        ),
    },
    default_family=lambda _: ("simclr", "Simple, and good with large batches."),
    sources=_SOURCES,
    results="features.py.j2",
    picture="neighbors.png",
    objective_settings=_temperature,
    classes=10,
    augments=True,
    views=("two_views", "TwoViews", ""),
    batch_size=256,
    epochs=(20, 200),
)


def _crops(choices: "Choices") -> tuple[Setting, ...]:
    # To the size of a global crop as 96 pixels to 224.
    size = max(8, round(choices.image_size * 3 / 7 / 8) * 8)
    # Smaller than the images of the smoke run, and large enough for the last level to have two pixels.
    smoke = 12 if choices.small_images else 40
    return (
        Setting("local_crops", 6, "Small crops of an image, which the student alone sees.", smoke=2),
        Setting("local_size", size, "Their height and width; `image_size` is that of the two large ones.", smoke),
    )


def _teacher(choices: "Choices") -> tuple[Setting, ...]:
    return (
        Setting(
            "teacher_momentum", 0.996, "How slowly the teacher follows at first; faster in runs below 5,000 steps."
        ),
        Setting("teacher_temperature", 0.07, "What its outputs are divided by in the end, from 0.04 at the start."),
    )


DINO = Task(
    words="Self-supervised learning by self-distillation (DINO)",
    noun="DINO encoder",
    objective=("self_distillation", "SelfDistillation"),
    evaluator=("evaluate_features", "evaluate_features"),
    log=("loss_distillation",),
    metrics=_METRICS,
    families={
        "dino": Family(
            "dino",
            "DINO",
            "residual network below a head of prototypes",
            settings={
                **RESNET_SETTINGS,
                "prototypes": "Outputs of the head: more than there are kinds of images.",
                "hidden": "Width of the head's layers; its bottleneck has an eighth of that.",
            },
            sizes={
                name: {
                    **size,
                    "prototypes": 1024 if name == "tiny" else 4096,
                    "hidden": 512 if name == "tiny" else 2048,
                }
                for name, size in RESNET_SIZES.items()
            },
            smoke={"depth": 18, "width": 8, "prototypes": 32, "hidden": 64},
            types={"depth": DEPTH},
            small_images=True,
            smoke_size=64,
        ),
    },
    default_family=lambda _: ("dino", "Features that tell kinds of images apart, without negatives or large batches."),
    sources=_SOURCES,
    results="features.py.j2",
    picture="neighbors.png",
    objective_settings=_teacher,
    data_settings=_crops,
    classes=10,
    augments=True,
    views=(
        "multi_crop",
        "MultiCrop",
        ", global_size=settings.image_size, local_crops=settings.local_crops, local_size=settings.local_size",
    ),
    # A crop is a shift already.
    bindings={"RandomAugment": {"shift": Default("0.0")}},
    training="teacher",
    batch_size=64,
    epochs=(20, 100),
)
MAE = Task(
    words="Self-supervised learning by masking (MAE)",
    noun="masked autoencoder",
    objective=("masked_autoencoding", "MaskedAutoencoding"),
    evaluator=("evaluate_features", "evaluate_features"),
    log=("loss_reconstruction",),
    metrics=_METRICS,
    families={
        "mae": Family(
            "mae",
            "MAE",
            "vision transformer that fills in hidden patches",
            settings={
                **VIT_SETTINGS,
                "decoder_width": "Numbers in a token of the decoder.",
                "decoder_layers": "Blocks of the decoder.",
                "decoder_heads": "Attention heads of the decoder.",
                "mask_ratio": "The part of the patches that is hidden.",
            },
            sizes={
                name: {
                    **size,
                    "patch_size": 4 if name == "tiny" else 16,
                    "decoder_width": 128 if name == "tiny" else 512,
                    "decoder_layers": 2 if name == "tiny" else 8,
                    "decoder_heads": 4 if name == "tiny" else 16,
                    "mask_ratio": 0.75,
                }
                for name, size in VIT_SIZES.items()
            },
            smoke={
                "patch_size": 4,
                "width": 16,
                "layers": 1,
                "heads": 2,
                "decoder_width": 16,
                "decoder_layers": 1,
                "decoder_heads": 2,
                "mask_ratio": 0.75,
            },
            data="image_size=data.image_size",
            multiple_of=16,
        ),
    },
    default_family=lambda _: ("mae", "Cheap to train, and good with small batches."),
    sources=_SOURCES,
    results="features.py.j2",
    picture="neighbors.png",
    classes=10,
    augments=True,
    batch_size=128,
    epochs=(40, 400),
)
