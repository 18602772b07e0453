"""Where labeled images come from."""

from typing import TYPE_CHECKING

from dlcoder.scaffold.sample_images import sample_images
from dlcoder.scaffold.task import Setting, Source

if TYPE_CHECKING:
    from dlcoder.scaffold.choices import Choices

IMAGES = ("images", "pillow")


def root(choices: "Choices", meaning: str) -> Setting:
    """The setting of a folder or file that data are read from."""
    return Setting("root", choices.root, meaning, smoke="tests/sample_data")


def generated(choices: "Choices", noise: float = 1.0) -> tuple[Setting, ...]:
    """The settings of data that are made rather than read."""
    return (
        Setting("train_samples", 4096, "Generated for training.", smoke=85),
        Setting("val_samples", 1024, "Generated for validation, with another seed.", smoke=33),
        Setting("noise", noise, "Standard deviation of the noise, where the signal's is about 1."),
    )


def num_classes(choices: "Choices", smoke: int = 5) -> Setting:
    """The setting of how many classes there are."""
    count = choices.num_classes or 10
    return Setting("num_classes", count, "The number of classes, C.", smoke=min(count, smoke))


def _synthetic(choices: "Choices") -> tuple[Setting, ...]:
    return (num_classes(choices), *generated(choices))


def _image_folder(choices: "Choices") -> tuple[Setting, ...]:
    settings = [root(choices, "The folder that holds train/<class>/*.jpg and val/<class>/*.jpg.")]
    if choices.classes:
        meaning = "Names of the classes, in the order of their labels."
        names = tuple(choices.classes)
        settings.append(Setting("classes", names, meaning, smoke=("stripes", "waves"), type="tuple[str, ...]"))
    elif choices.num_classes:
        meaning = "How many folders are expected in train/: a missing one is noticed."
        settings.append(Setting("num_classes", choices.num_classes, meaning, smoke=2))
    return tuple(settings)


SYNTHETIC_IMAGES = Source("synthetic_images", "SyntheticImages", _synthetic, "synthetic.py.j2")
IMAGE_FOLDER = Source(
    "image_folder",
    "ImageFolder",
    _image_folder,
    "image_folder.py.j2",
    layout="Images go into `{root}/train/<class>/` and `{root}/val/<class>/`.",
    extra=IMAGES,
    files=sample_images,
)
