"""Where labeled images come from."""

from typing import TYPE_CHECKING

from dlcoder.scaffold.sample_images import CLASSES, flagged_images, listed_images, sample_images
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


def named_classes(choices: "Choices", expected: str, names: tuple[str, ...] = CLASSES) -> tuple[Setting, ...]:
    """The settings of classes that files name; `names` are those of the sample data."""
    if choices.classes:
        meaning = "Names of the classes, in the order of their labels."
        return (Setting("classes", tuple(choices.classes), meaning, smoke=names, type="tuple[str, ...]"),)
    if choices.num_classes:
        meaning = f"How many {expected}: a missing one is noticed."
        return (Setting("num_classes", choices.num_classes, meaning, smoke=len(names)),)
    return ()


def _image_folder(choices: "Choices") -> tuple[Setting, ...]:
    meaning = "The folder that holds train/<class>/*.jpg and val/<class>/*.jpg."
    return (root(choices, meaning), *named_classes(choices, "folders are expected in train/"))


def _csv_images(choices: "Choices") -> tuple[Setting, ...]:
    meaning = "The folder that holds train.csv and val.csv, and that paths in them begin at."
    return (root(choices, meaning), *named_classes(choices, "classes are expected in train.csv"))


SYNTHETIC_IMAGES = Source("synthetic_images", "SyntheticImages", _synthetic, "synthetic.py.j2")
IMAGE_FOLDER = Source(
    "image_folder",
    "ImageFolder",
    _image_folder,
    "image_folder.py.j2",
    layout="Images go into `{root}/train/<class>/` and `{root}/val/<class>/`.",
    extra=IMAGES,
    files=sample_images,
    found="The folders in ROOT/train, in alphabetical order.",
)
CSV_IMAGES = Source(
    "csv_images",
    "CsvImages",
    _csv_images,
    "csv_images.py.j2",
    layout="Images go below `{root}`; `{root}/train.csv` and `{root}/val.csv` list them: `path,label`.",
    extra=IMAGES,
    files=listed_images,
    found="The labels in ROOT/train.csv, in alphabetical order.",
)
CSV_MULTILABEL = Source(
    "csv_images",
    "CsvImages",
    _csv_images,
    "csv_images.py.j2",
    layout=(
        "Images go below `{root}`; `{root}/train.csv` and `{root}/val.csv` list them: a column `path`, and one of 0 "
        "and 1 for each class."
    ),
    extra=IMAGES,
    files=flagged_images,
    found="The columns of ROOT/train.csv.",
)
