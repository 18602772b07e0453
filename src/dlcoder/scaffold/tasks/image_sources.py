"""Where labeled images come from."""

from typing import TYPE_CHECKING

from dlcoder.scaffold.sample_images import (
    CLASSES,
    flagged_images,
    listed_images,
    sample_images,
    sharded_images,
    stacked_images,
)
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
    meaning = "Holds train.csv and val.csv, and is what paths in them begin at."
    return (root(choices, meaning), *named_classes(choices, "classes are expected in train.csv"))


def _numpy_images(choices: "Choices") -> tuple[Setting, ...]:
    meaning = "Holds images and labels: train_images.npy, val_labels.npy and so on."
    return (root(choices, meaning), *named_classes(choices, "classes are expected in train_labels.npy"))


def _webdataset(choices: "Choices") -> tuple[Setting, ...]:
    return (
        root(choices, "The folder, or the address, that holds the shards."),
        Setting("train_shards", "train-*.tar", "Tar files for training, below root; {000..127} means several."),
        Setting("val_shards", "val-*.tar", "Those for validation."),
        Setting("train_samples", 0, "Samples in the training shards together.", smoke=20),
        *named_classes(choices, "classes there are"),
    )


SYNTHETIC_IMAGES = Source("synthetic_images", "SyntheticImages", _synthetic, "synthetic.py.j2")
IMAGE_FOLDER = Source(
    "image_folder",
    "ImageFolder",
    _image_folder,
    "image_folder.py.j2",
    layout="Images go into `{root}/train/<class>/` and `{root}/val/<class>/`.",
    extra=IMAGES,
    decodes=True,
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
    decodes=True,
    files=listed_images,
    found="The labels in ROOT/train.csv, in alphabetical order.",
)
NUMPY_IMAGES = Source(
    "numpy_images",
    "NumpyImages",
    _numpy_images,
    "numpy_classes.py.j2",
    layout=(
        "Arrays of images (N, H, W, 3) or (N, H, W), uint8, go into `{root}/train_images.npy` and "
        "`{root}/val_images.npy`, their labels, integers from 0, into `train_labels.npy` and `val_labels.npy` beside "
        "them."
    ),
    files=stacked_images,
    found="The labels in ROOT/train_labels.npy: 0 to the largest.",
)
WEBDATASET = Source(
    "shard_list",
    "ShardList",
    _webdataset,
    "webdataset.py.j2",
    layout=(
        "Shards go into `{root}/train-*.tar` and `{root}/val-*.tar`; of each sample they hold an image (`0001.jpg`) "
        "and its label, an integer from 0 (`0001.cls`). `data.train_samples` has to say how many samples those of "
        "training hold. Make them a multiple of processes x `data.workers`."
    ),
    extra=("webdataset", "webdataset>=1.0", "pillow"),
    stream=("webdataset_shards", "WebdatasetShards"),
    files=sharded_images,
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
    decodes=True,
    files=flagged_images,
    found="The columns of ROOT/train.csv.",
)
