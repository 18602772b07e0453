"""What a task is: its data, networks, parts and metrics, with the reason for each default.

A new task is one record in `tasks/`, and its components. Nothing in a record depends on a framework, on the form of
the settings or on how a run is started: those have tables of their own (`config_forms`, `launchers`), and meet the task
in the generated `build.py` only, which every framework's `train.py` calls.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from dlcoder.templates.bindings import Binding

if TYPE_CHECKING:
    from dlcoder.scaffold.choices import Choices

_SAME = object()


@dataclass(frozen=True)
class Setting:
    """One setting of a generated project.

    Attributes:
        name: Its name, below `data`, `model` or `train`.
        value: Its default, in the code and in the default file.
        meaning: The sentence beside it.
        smoke: Its value in the smoke run, where that is another.
        type: Its type as source, where that of the value does not say it.
    """

    name: str
    value: Any
    meaning: str
    smoke: Any = _SAME
    type: str = ""

    @property
    def annotation(self) -> str:
        """The type, as source."""
        return self.type or type(self.value).__name__

    @property
    def in_smoke(self) -> bool:
        """Whether the smoke run sets it."""
        return self.smoke is not _SAME


@dataclass(frozen=True)
class Family:
    """A network.

    Attributes:
        module: Its component, in models.
        symbol: The class.
        words: What the README calls it.
        settings: Its settings, which are keyword arguments of the class, by name: what each means.
        sizes: Their values by size.
        smoke: Their values in the smoke run.
        data: The arguments that follow from the training set, as source in which that is `data`.
        types: The types that values do not say.
        small_images: Whether the class has that option, which the image size decides.
        bindings: What is known about other options of the class.
        multiple_of: What the sides of its images must be a multiple of, in pixels.
        smoke_size: The image size of the smoke run. No level may shrink it to one pixel: of such convolutions torch
            computes wrong gradients in bfloat16 on CPUs.
    """

    module: str
    symbol: str
    words: str
    settings: Mapping[str, str]
    sizes: Mapping[str, Mapping[str, Any]]
    smoke: Mapping[str, Any]
    data: str = ""
    types: Mapping[str, str] = field(default_factory=dict)
    small_images: bool = False
    bindings: Mapping[str, Binding] = field(default_factory=dict)
    multiple_of: int = 1
    smoke_size: int = 16

    def of_size(self, size: str) -> tuple[Setting, ...]:
        """The settings with the values of a size."""
        return tuple(
            Setting(name, value, self.settings[name], self.smoke[name], self.types.get(name, ""))
            for name, value in self.sizes[size].items()
        )

    @property
    def call(self) -> str:
        """The expression that builds it from `data` and `settings`."""
        arguments = [self.data] if self.data else []
        return f"{self.symbol}({', '.join([*arguments, *(f'{name}=settings.{name}' for name in self.settings)])})"


@dataclass(frozen=True)
class Source:
    """Where samples come from.

    Attributes:
        module: The component, in datasets.
        symbol: The class.
        settings: Its settings for what was chosen; those of all sources are added to them.
        template: The body of `build_datasets`, in templates/project/sources.
        layout: What must be where; empty where nothing is read.
        extra: The extra of the project that it needs, and the packages.
        stream: What reads it from start to end, in datasets, and the class; None where samples are drawn at random.
        collate: The function that makes a batch of samples, where they cannot just be stacked.
        files: A few files to prove the project with, by their path in tests/sample_data; none where nothing is read.
        images: Whether a sample has an image.
        decodes: Whether it is read from a file of its own, which a cache can spare.
        found: Where names of classes are found that the request does not tell; empty where it must, or needs not.
        text: The expression of the text of `row`, tokens (L,), where there is one.
        bindings: What is known about options of its components.
    """

    module: str
    symbol: str
    settings: Callable[["Choices"], tuple[Setting, ...]]
    template: str
    layout: str = ""
    extra: tuple[str, ...] | None = None
    stream: tuple[str, str] | None = None
    collate: str = ""
    files: Callable[[], dict[str, bytes]] = dict
    images: bool = True
    decodes: bool = False
    found: str = ""
    text: str = ""
    bindings: Mapping[str, Mapping[str, Binding]] = field(default_factory=dict)

    @property
    def synthetic(self) -> bool:
        """Whether samples are made rather than read."""
        return not self.layout


@dataclass(frozen=True)
class Metric:
    """What the best checkpoint is chosen by.

    Attributes:
        reason: When it is the right one.
        lower_is_better: As of errors.
    """

    reason: str
    lower_is_better: bool = False


@dataclass(frozen=True)
class Task:
    """What a model is trained for.

    Attributes:
        words: What README and packaging call it.
        noun: What is trained: "Train a <noun>."
        objective: Its component in engine, and the class, or the opponent's and its own.
        evaluator: Its component in engine, and the function.
        log: The names that a step's record has because of the task.
        metrics: The first is the default.
        families: Networks by the word of the spec; `default_family` says which for what.
        sources: By the word of the spec.
        results: What `evaluate.py` writes, in templates/project/results, and the picture's file name.
        arguments: What the evaluator is told beside model, batches and world, as source in which `data` is the set.
        objective_settings: Settings below `train` that are arguments of the objective, teacher or opponent.
        data_settings: Settings below `data` whatever the source.
        bindings: What is known about options of its components.
        augments: Whether training images can be changed at random.
        augment: What changes them, in datasets, and the class.
        views: The component in datasets, the class and further arguments where a sample is several views of an image:
            without augmentation there is nothing to learn.
        training: By one loss; with a teacher, which the averaged weights are; or against an opponent, in turn.
        classes: How many classes there are by default; 0 where a task has none.
        sequences: Whether a sample is a sequence of tokens.
        label_smoothing: Whether targets can be smoothed.
        batch_size: Samples in a micro-batch, by default.
        image_sizes: Height and width of generated images, and of others, by default.
        epochs: Epochs on data that are generated, and on others.
        lr: The peak learning rate with AdamW, and with SGD.
        weight_decay: With AdamW, and with SGD.
    """

    words: str
    noun: str
    objective: tuple[str, str]
    evaluator: tuple[str, str]
    log: tuple[str, ...]
    metrics: Mapping[str, Metric]
    families: Mapping[str, Family]
    sources: Mapping[str, Source]
    results: str
    picture: str
    default_family: Callable[[int], tuple[str, str]]
    arguments: str = ""
    objective_settings: Callable[["Choices"], tuple[Setting, ...]] = lambda _: ()
    data_settings: Callable[["Choices"], tuple[Setting, ...]] = lambda _: ()
    bindings: Mapping[str, Mapping[str, Binding]] = field(default_factory=dict)
    augments: bool = False
    augment: tuple[str, str] = ("augment", "RandomAugment")
    views: tuple[str, str, str] | None = None
    training: Literal["loss", "teacher", "adversarial"] = "loss"
    classes: int = 0
    sequences: bool = False
    label_smoothing: bool = False
    batch_size: int = 64
    image_sizes: tuple[int, int] = (32, 224)
    epochs: tuple[int, int] = (10, 30)
    lr: Mapping[str, float] = field(default_factory=lambda: {"adamw": 1e-3, "sgd": 0.1})
    weight_decay: Mapping[str, float] = field(default_factory=lambda: {"adamw": 0.05, "sgd": 5e-4})

    @property
    def augmented(self) -> tuple[str, str]:
        """What makes a dataset one of augmented samples, in datasets, and the class."""
        if self.views:
            return self.views[:2]
        return ("augmented", "Augmented") if self.augment[0] == "augment" else ("augmented_pairs", "AugmentedPairs")
