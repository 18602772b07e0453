"""Where rows of numbers come from."""

from typing import TYPE_CHECKING

from dlcoder.scaffold.sample_tables import CLASSES, labeled_arrays, labeled_tables, sample_arrays, sample_tables
from dlcoder.scaffold.task import Setting, Source
from dlcoder.scaffold.tasks.image_sources import generated, named_classes, num_classes, root

if TYPE_CHECKING:
    from dlcoder.scaffold.choices import Choices

_NAMES = "tuple[str, ...]"


def _csv(choices: "Choices") -> tuple[Setting, ...]:
    return (
        root(choices, "Holds train.csv and val.csv, whose first line names the columns."),
        Setting("features", (), "Columns that are known; none for all that are no targets.", type=_NAMES),
        Setting("targets", (), "Columns to predict; none for the last.", type=_NAMES),
    )


def _numpy(choices: "Choices") -> tuple[Setting, ...]:
    return (root(choices, "Holds inputs and targets: train_inputs.npy, val_targets.npy and so on."),)


def _csv_classes(choices: "Choices") -> tuple[Setting, ...]:
    return (
        root(choices, "Holds train.csv and val.csv, whose first line names the columns."),
        Setting("features", (), "Columns that are known; none for all but the target.", type=_NAMES),
        Setting("target", "", "The column of the class; empty for the last."),
        *named_classes(choices, "classes are expected in train.csv", CLASSES),
    )


def _numpy_classes(choices: "Choices") -> tuple[Setting, ...]:
    return (
        root(choices, "Holds inputs and labels: train_inputs.npy, val_labels.npy and so on."),
        *named_classes(choices, "classes are expected in train_labels.npy", CLASSES),
    )


def _synthetic(choices: "Choices") -> tuple[Setting, ...]:
    return (
        Setting("num_features", 16, "Columns that are known, F."),
        num_classes(choices),
        *generated(choices),
    )


CSV_TABLE = Source(
    "csv_table",
    "CsvTable",
    _csv,
    "csv_table.py.j2",
    layout=(
        "Tables of numbers go into `{root}/train.csv` and `{root}/val.csv`; `data.targets` names the columns to "
        "predict, by default the last. Errors are in standard deviations of the training targets."
    ),
    files=sample_tables,
    images=False,
)
NUMPY = Source(
    "numpy_arrays",
    "NumpyArrays",
    _numpy,
    "numpy_arrays.py.j2",
    layout=(
        "Arrays of rows, standardized, go into `{root}/train_inputs.npy` and `{root}/train_targets.npy`, and those of "
        "validation into `val_inputs.npy` and `val_targets.npy` beside them."
    ),
    files=sample_arrays,
    images=False,
)
SYNTHETIC_TABLE = Source("synthetic_table", "SyntheticTable", _synthetic, "synthetic_table.py.j2", images=False)
CSV_CLASSES = Source(
    "csv_classes",
    "CsvClasses",
    _csv_classes,
    "csv_classes.py.j2",
    layout=(
        "Tables go into `{root}/train.csv` and `{root}/val.csv`: columns of numbers, and one that names a class, by "
        "default the last; `data.target` names another."
    ),
    files=labeled_tables,
    images=False,
    found="The values of the target in ROOT/train.csv, in alphabetical order.",
)
NUMPY_CLASSES = Source(
    "numpy_classes",
    "NumpyClasses",
    _numpy_classes,
    "numpy_classes.py.j2",
    layout=(
        "Arrays of rows, standardized, go into `{root}/train_inputs.npy` and `{root}/val_inputs.npy`, their labels, "
        "integers from 0, into `train_labels.npy` and `val_labels.npy` beside them."
    ),
    files=labeled_arrays,
    images=False,
    found="The labels in ROOT/train_labels.npy: 0 to the largest.",
)
