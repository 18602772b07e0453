"""All tasks, and which of them a request means."""

from typing import TYPE_CHECKING

from dlcoder.scaffold.task import Task
from dlcoder.scaffold.tasks.classification import CLASSIFICATION
from dlcoder.scaffold.tasks.detection import DETECTION
from dlcoder.scaffold.tasks.language_modeling import LANGUAGE_MODELING
from dlcoder.scaffold.tasks.multilabel import MULTILABEL
from dlcoder.scaffold.tasks.regression import REGRESSION
from dlcoder.scaffold.tasks.segmentation import SEGMENTATION

if TYPE_CHECKING:
    from dlcoder.scaffold.spec import ProjectSpec

TASKS: dict[str, Task] = {
    "classification": CLASSIFICATION,
    "multilabel": MULTILABEL,
    "detection": DETECTION,
    "segmentation": SEGMENTATION,
    "regression": REGRESSION,
    "language_modeling": LANGUAGE_MODELING,
}


def meant(spec: "ProjectSpec") -> str:
    """The name of the task that a request means: networks and data decide what is generated."""
    if spec.task == "classification":
        return "multilabel" if spec.data.multi_label else "classification"
    if spec.task == "generation":
        return "language_modeling"
    return spec.task
