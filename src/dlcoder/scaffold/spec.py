"""What a caller may ask of a project: every choice, typed, with only the task required."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

# What a request may name some day, so that the refusal can say "not yet" rather than "unknown".
_PLANNED: dict[str, tuple[str, ...]] = {
    "task": ("detection", "segmentation", "generation", "self_supervised", "regression"),
    "source": ("csv", "segmentation_pairs", "coco", "text", "tokens", "webdataset", "numpy"),
    "framework": ("lightning",),
    "layout": ("flat",),
}

Task = Literal["classification"]
Source = Literal["synthetic", "image_folder"]
Family = Literal["small_cnn", "resnet"]
Size = Literal["tiny", "small", "base", "large"]
Precision = Literal["fp32", "bf16", "fp16"]
Augmentation = Literal["none", "light", "strong"]
Metric = Literal["accuracy", "balanced_accuracy", "macro_f1"]


def _class_name(name: str) -> str:
    if not name.strip() or name in (".", "..") or "/" in name or "\0" in name or len(name) > 100:
        raise ValueError(f"{name!r} cannot be a class: it must be able to name a folder")
    return name


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _name_what_is_planned(cls, values: Any) -> Any:
        """Tell a value that is not supported yet from one that makes no sense."""
        if isinstance(values, dict):
            for field, planned in _PLANNED.items():
                if field in cls.model_fields and values.get(field) in planned:
                    supported = cls.model_json_schema()["properties"][field]
                    options = supported.get("enum") or [supported.get("const")]
                    raise ValueError(
                        f"{field} {values[field]!r} is not supported yet; supported: {', '.join(map(str, options))}"
                    )
        return values


class DataSpec(_Part):
    """Where samples come from and how they are treated."""

    source: Source = Field(
        default="synthetic",
        description="synthetic: learnable images, made on the fly. image_folder: ROOT/{train,val}/<class>/*.jpg.",
    )
    root: str | None = Field(default=None, description="The folder with the data, for image_folder. Default: data.")
    classes: list[Annotated[str, AfterValidator(_class_name)]] | None = Field(
        default=None, min_length=2, max_length=20000, description="Names of the classes, in the order of their labels."
    )
    num_classes: int | None = Field(
        default=None, ge=2, le=20000, description="Number of classes, where names do not matter."
    )
    image_size: int | None = Field(
        default=None, ge=8, le=1024, description="Height and width of the model's input in pixels."
    )
    augmentation: Augmentation = Field(
        default="light", description="none; light: shift and flip; strong: also jitter and erasing."
    )
    workers: int | None = Field(default=None, ge=0, le=64, description="Loader processes for each training process.")


class ModelSpec(_Part):
    """What is trained."""

    family: Family | None = Field(default=None, description="small_cnn for small images; resnet for any.")
    size: Size | None = Field(
        default=None, description="resnet: tiny = 18 layers and few channels, small = 18, base = 50, large = 101."
    )


class TrainSpec(_Part):
    """How it is trained."""

    epochs: int | None = Field(default=None, ge=1, le=100000, description="Passes over the training data.")
    batch_size: int | None = Field(
        default=None, ge=2, le=65536, description="Samples in one forward pass of one process."
    )
    accumulation: int = Field(default=1, ge=1, le=4096, description="Forward passes for one optimizer step.")
    optimizer: Literal["adamw", "sgd"] = Field(default="adamw", description="sgd has Nesterov momentum.")
    lr: float | None = Field(default=None, gt=0, le=100, description="Peak learning rate.")
    weight_decay: float | None = Field(
        default=None, ge=0, le=10, description="Decay of weights, not of biases and norms."
    )
    max_grad_norm: float | None = Field(
        default=None, ge=0, description="Norm that the gradient is clipped to; 0 for no clipping."
    )
    label_smoothing: float = Field(default=0.0, ge=0, lt=1, description="Probability mass spread over all classes.")
    ema: bool = Field(default=True, description="Evaluate an exponential moving average of the weights.")


class ProjectSpec(_Part):
    """A project. Only `task` is required; what is left out gets a default that the answer lists with its reason."""

    task: Task = Field(description="What the model does.")
    name: str | None = Field(
        default=None,
        pattern=r"^[a-z][a-z0-9_]*$",
        max_length=50,
        description="Name of the Python package. Default: from path.",
    )
    goal: str | None = Field(
        default=None,
        max_length=500,
        description="What is hoped for, in the user's words. Answered with what can be promised.",
    )
    data: DataSpec = Field(default_factory=DataSpec, description="The data: source, classes, size, augmentation.")
    model: ModelSpec = Field(default_factory=ModelSpec, description="The network: family and size.")
    train: TrainSpec = Field(default_factory=TrainSpec, description="Optimizer, schedule, batch, averaging.")
    metric: Metric | None = Field(default=None, description="Chooses the best checkpoint. Default: accuracy.")
    framework: Literal["pytorch", "accelerate"] = Field(
        default="pytorch", description="pytorch: plain loop, DDP through torchrun."
    )
    config: Literal["yaml", "toml", "argparse", "dataclass"] = Field(
        default="yaml", description="Form of the settings files; argparse: JSON and flags."
    )
    launcher: Literal["torchrun", "srun", "sbatch"] = Field(
        default="torchrun", description="What starts several nodes; sbatch: a Slurm job that requeues itself."
    )
    layout: Literal["package"] = Field(default="package", description="package: modules in a package beside train.py.")
    precision: Precision | None = Field(default=None, description="Default: bf16, or fp32 for device cpu.")
    device: Literal["auto", "cuda", "cpu"] = Field(default="auto", description="What the project is meant to train on.")
    reproducible: bool = Field(
        default=True,
        description="Deterministic kernels: a resumed run equals an uninterrupted one bit for bit on GPUs too.",
    )
    seed: int = Field(default=0, ge=0, lt=2**32, description="Seed of everything random.")
