"""Each image has one class."""

from typing import TYPE_CHECKING

from dlcoder.scaffold.task import Metric, Setting, Task
from dlcoder.scaffold.tasks.image_networks import CLASSIFIERS
from dlcoder.scaffold.tasks.image_sources import CSV_IMAGES, IMAGE_FOLDER, NUMPY_IMAGES, SYNTHETIC_IMAGES, WEBDATASET
from dlcoder.scaffold.tasks.losses import SUMMED_CROSS_ENTROPY

if TYPE_CHECKING:
    from dlcoder.scaffold.choices import Choices


def _settings(choices: "Choices") -> tuple[Setting, ...]:
    meaning = "Probability mass that goes evenly to all classes."
    return (Setting("label_smoothing", choices.label_smoothing, meaning),)


def default_family(image_size: int) -> tuple[str, str]:
    """The network to begin with, and why."""
    if image_size <= 64:
        return "small_cnn", "The baseline to beat on small images."
    return "resnet", "A strong baseline that trains anywhere."


CLASSIFICATION = Task(
    words="Image classification",
    noun="classifier",
    objective=("classification", "Classification"),
    evaluator=("evaluate_classifier", "evaluate_classifier"),
    arguments="num_classes=len(data.classes)",
    log=("loss_cross_entropy", "metric_accuracy"),
    metrics={
        "accuracy": Metric("Fair where classes are about equally frequent."),
        "balanced_accuracy": Metric("All classes count alike, however rare."),
        "macro_f1": Metric("All classes count alike, and false alarms too."),
    },
    families=CLASSIFIERS,
    default_family=default_family,
    sources={
        "synthetic": SYNTHETIC_IMAGES,
        "image_folder": IMAGE_FOLDER,
        "csv": CSV_IMAGES,
        "numpy": NUMPY_IMAGES,
        "webdataset": WEBDATASET,
    },
    results="classification.py.j2",
    picture="confusion_matrix.png",
    objective_settings=_settings,
    bindings={"CrossEntropyLoss": SUMMED_CROSS_ENTROPY},
    augments=True,
    classes=10,
    label_smoothing=True,
)
