"""Where rows of numbers come from."""

from typing import TYPE_CHECKING

from dlcoder.scaffold.sample_tables import sample_arrays, sample_tables
from dlcoder.scaffold.task import Setting, Source
from dlcoder.scaffold.tasks.image_sources import root

if TYPE_CHECKING:
    from dlcoder.scaffold.choices import Choices

_NAMES = "tuple[str, ...]"


def _csv(choices: "Choices") -> tuple[Setting, ...]:
    return (
        root(choices, "The folder that holds train.csv and val.csv, whose first line names the columns."),
        Setting("features", (), "Columns that are known; none for all that are no targets.", type=_NAMES),
        Setting("targets", (), "Columns to predict; none for the last.", type=_NAMES),
    )


def _numpy(choices: "Choices") -> tuple[Setting, ...]:
    return (
        root(choices, "The folder that holds train_inputs.npy, train_targets.npy, val_inputs.npy, val_targets.npy."),
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
