"""Numbers from numbers."""

from typing import TYPE_CHECKING

from dlcoder.scaffold.task import Metric, Setting, Source, Task
from dlcoder.scaffold.tasks.image_sources import generated
from dlcoder.scaffold.tasks.mlp import default_family, mlp
from dlcoder.scaffold.tasks.table_sources import CSV_TABLE, NUMPY

if TYPE_CHECKING:
    from dlcoder.scaffold.choices import Choices


def _synthetic(choices: "Choices") -> tuple[Setting, ...]:
    return (
        Setting("num_features", 16, "Columns that are known, F."),
        Setting("num_targets", 1, "Columns to predict, T."),
        *generated(choices, noise=0.1),
    )


def _settings(choices: "Choices") -> tuple[Setting, ...]:
    return (Setting("beta", 1.0, "The error up to which the loss is quadratic; beyond, outliers pull no harder."),)


REGRESSION = Task(
    words="Regression",
    noun="regression model",
    objective=("regression", "Regression"),
    evaluator=("evaluate_regression", "evaluate_regression"),
    arguments="num_targets=data.num_targets",
    log=("loss_smooth_l1", "metric_mae"),
    metrics={
        "rmse": Metric("Large errors weigh more.", lower_is_better=True),
        "mae": Metric("Outliers weigh no more than their size.", lower_is_better=True),
        "r2": Metric("The part of the variance that is explained."),
    },
    families={"mlp": mlp("data.num_targets")},
    default_family=default_family,
    sources={
        "synthetic": Source(
            "synthetic_regression",
            "SyntheticRegression",
            _synthetic,
            "synthetic_regression.py.j2",
            images=False,
        ),
        "csv": CSV_TABLE,
        "numpy": NUMPY,
    },
    results="regression.py.j2",
    picture="predictions.png",
    objective_settings=_settings,
    batch_size=128,
)
