"""Each image has any number of classes."""

from typing import TYPE_CHECKING

from dlcoder.scaffold.task import Metric, Setting, Source, Task
from dlcoder.scaffold.tasks.classification import default_family
from dlcoder.scaffold.tasks.image_networks import CLASSIFIERS
from dlcoder.scaffold.tasks.image_sources import CSV_MULTILABEL, generated, num_classes
from dlcoder.templates.bindings import Fixed

if TYPE_CHECKING:
    from dlcoder.scaffold.choices import Choices


def _synthetic(choices: "Choices") -> tuple[Setting, ...]:
    return (num_classes(choices), *generated(choices))


MULTILABEL = Task(
    words="Multi-label image classification",
    noun="multi-label classifier",
    objective=("multilabel", "MultiLabel"),
    evaluator=("evaluate_multilabel", "evaluate_multilabel"),
    arguments="num_classes=len(data.classes)",
    log=("loss_cross_entropy", "metric_label_accuracy"),
    metrics={
        "macro_f1": Metric("All classes count alike, however rare."),
        "micro_f1": Metric("All labels count alike: frequent classes decide."),
    },
    families=CLASSIFIERS,
    default_family=default_family,
    sources={
        "synthetic": Source("synthetic_multilabel", "SyntheticMultiLabel", _synthetic, "synthetic.py.j2"),
        "csv": CSV_MULTILABEL,
    },
    results="multilabel.py.j2",
    picture="classes.png",
    bindings={"BinaryCrossEntropyLoss": {"reduction": Fixed('"sum"'), "pos_weight": Fixed("None")}},
    augments=True,
    classes=10,
)
