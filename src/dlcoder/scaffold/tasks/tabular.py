"""Each row of a table has one class."""

from dataclasses import replace

from dlcoder.scaffold.tasks.classification import CLASSIFICATION
from dlcoder.scaffold.tasks.mlp import default_family, mlp
from dlcoder.scaffold.tasks.table_sources import CSV_CLASSES, NUMPY_CLASSES, SYNTHETIC_TABLE

TABULAR = replace(
    CLASSIFICATION,
    words="Classification of tables",
    families={"mlp": mlp("len(data.classes)")},
    default_family=default_family,
    sources={"synthetic": SYNTHETIC_TABLE, "csv": CSV_CLASSES, "numpy": NUMPY_CLASSES},
    augments=False,
    batch_size=128,
)
