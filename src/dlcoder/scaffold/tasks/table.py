"""All tasks, and which of them a request means."""

from typing import TYPE_CHECKING

from dlcoder.scaffold.task import Task
from dlcoder.scaffold.tasks.classification import CLASSIFICATION
from dlcoder.scaffold.tasks.detection import DETECTION
from dlcoder.scaffold.tasks.image_generation import DIFFUSION, GAN, VAE
from dlcoder.scaffold.tasks.language_modeling import LANGUAGE_MODELING
from dlcoder.scaffold.tasks.multilabel import MULTILABEL
from dlcoder.scaffold.tasks.regression import REGRESSION
from dlcoder.scaffold.tasks.segmentation import SEGMENTATION
from dlcoder.scaffold.tasks.self_supervised import DINO, MAE, SIMCLR
from dlcoder.scaffold.tasks.tabular import TABULAR

if TYPE_CHECKING:
    from dlcoder.scaffold.spec import ProjectSpec

TASKS: dict[str, Task] = {
    "classification": CLASSIFICATION,
    "multilabel": MULTILABEL,
    "tabular": TABULAR,
    "detection": DETECTION,
    "segmentation": SEGMENTATION,
    "regression": REGRESSION,
    "language_modeling": LANGUAGE_MODELING,
    "diffusion": DIFFUSION,
    "vae": VAE,
    "gan": GAN,
    "simclr": SIMCLR,
    "dino": DINO,
    "mae": MAE,
}


_METHODS = {
    "classification": ("classification", "tabular"),
    "generation": ("diffusion", "vae", "gan", "language_modeling"),
    "self_supervised": ("simclr", "dino", "mae"),
}
"""The tasks that one word of the spec may mean, the usual first."""


def meant(spec: "ProjectSpec") -> str:
    """The name of the task that a request means: networks and data tell the methods of one purpose apart."""
    if spec.data.multi_label and spec.task == "classification":
        return "multilabel"
    methods = _METHODS.get(spec.task, (spec.task,))
    fitting = [name for name in methods if spec.model.family is None or spec.model.family in TASKS[name].families]
    fitting = fitting or list(methods)
    if spec.data.length is not None:
        fitting = [name for name in fitting if TASKS[name].sequences] or fitting
    return fitting[0]
