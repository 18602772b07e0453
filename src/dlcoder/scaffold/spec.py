"""What a caller may ask of a project: every choice, typed, with only the task required.

Bounds are checked here and not part of the schema, which every session of a client pays for.
"""

import re
from typing import Annotated, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

Task = Literal["classification", "detection", "segmentation", "regression", "generation", "self_supervised"]
Source = Literal[
    "synthetic", "image_folder", "csv", "segmentation_pairs", "coco", "text", "tokens", "numpy", "webdataset"
]
Family = Literal[
    "small_cnn",
    "resnet",
    "convnext",
    "vit",
    "unet",
    "deeplabv3_plus",
    "segformer",
    "fcos",
    "mlp",
    "gpt",
    "ddpm_unet",
    "vae",
    "dcgan",
    "simclr",
    "dino",
    "mae",
]
Size = Literal["tiny", "small", "base", "large"]
Number = TypeVar("Number", int, float)


def _within(low: float, high: float) -> AfterValidator:
    def check(value: Number) -> Number:
        if not low <= value <= high:
            raise ValueError(f"must be from {low:g} to {high:g}, is {value:g}")
        return value

    return AfterValidator(check)


def _class_name(name: str) -> str:
    if not name.strip() or name in (".", "..") or "/" in name or "\0" in name or len(name) > 100:
        raise ValueError(f"{name!r} cannot be a class: it must be able to name a folder")
    return name


def _package_name(name: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,49}", name):
        raise ValueError(f"{name!r} cannot be a package: lower-case letters, digits and underscores, at most 50")
    return name


def _short(text: str) -> str:
    if len(text) > 500:
        raise ValueError("must be at most 500 characters")
    return text


def _several(classes: list[str]) -> list[str]:
    if not 2 <= len(classes) <= 20000:
        raise ValueError(f"must be 2 to 20000 names, are {len(classes)}")
    return classes


def _once(names: list[Number]) -> list[Number]:
    return list(dict.fromkeys(names))


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class DataSpec(_Part):
    """Where samples come from and how they are treated."""

    source: Source | None = Field(default=None, description="Default: synthetic.")
    root: str | None = Field(default=None, description="Folder or file. Default: data.")
    classes: Annotated[list[Annotated[str, AfterValidator(_class_name)]], AfterValidator(_several)] | None = Field(
        default=None, description="In the order of labels."
    )
    num_classes: Annotated[int, _within(2, 20000)] | None = Field(
        default=None, description="Where names do not matter."
    )
    multi_label: bool = Field(default=False, description="Classification: any number of classes a sample.")
    image_size: Annotated[int, _within(8, 1024)] | None = Field(default=None, description="Height and width, pixels.")
    length: Annotated[int, _within(2, 65536)] | None = Field(default=None, description="Tokens in a sequence.")
    augmentation: Literal["none", "light", "strong"] | None = Field(
        default=None, description="light: move, flip; strong: also jitter, erasing."
    )
    cache: Literal["none", "memory", "disk"] = Field(default="none", description="Of decoded images.")
    workers: Annotated[int, _within(0, 64)] | None = Field(default=None, description="Loader processes a rank.")


class ModelSpec(_Part):
    """What is trained."""

    family: Family | None = Field(default=None, description="One that fits the task.")
    size: Size | None = Field(default=None, description="Default: small.")


class TrainSpec(_Part):
    """How it is trained."""

    epochs: Annotated[int, _within(1, 100000)] | None = Field(default=None, description="Passes over the data.")
    batch_size: Annotated[int, _within(2, 65536)] | None = Field(default=None, description="Samples a pass and rank.")
    accumulation: Annotated[int, _within(1, 4096)] = Field(default=1, description="Passes a step.")
    optimizer: Literal["adamw", "sgd"] = Field(default="adamw", description="sgd: Nesterov.")
    schedule: Literal["cosine", "constant", "linear", "inverse_sqrt", "wsd", "step"] = Field(
        default="cosine", description="After a warm-up."
    )
    lr: Annotated[float, _within(1e-12, 100)] | None = Field(default=None, description="Peak.")
    weight_decay: Annotated[float, _within(0, 10)] | None = Field(default=None, description="Of weights alone.")
    max_grad_norm: Annotated[float, _within(0, 1e9)] | None = Field(default=None, description="0: no clipping.")
    label_smoothing: Annotated[float, _within(0, 0.99)] = Field(default=0.0, description="Of one class a sample.")
    ema: bool = Field(default=True, description="Evaluate averaged weights.")
    gradient_checkpointing: bool = Field(default=False, description="Less memory, slower.")
    compile: bool = Field(default=False, description="torch.compile.")
    sync_bn: bool = Field(default=False, description="Batch norm over all ranks.")
    strategy: Literal["ddp", "fsdp", "backoff"] = Field(
        default="ddp", description="fsdp: large models; backoff: splits on OOM."
    )


class ProjectSpec(_Part):
    """A project. Only `task` is required; what is left out gets a default that the answer lists with its reason."""

    task: Task = Field(description="generation: images, or text with model.family gpt.")
    name: Annotated[str, AfterValidator(_package_name)] | None = Field(
        default=None, description="Of the package. Default: from path."
    )
    goal: Annotated[str, AfterValidator(_short)] | None = Field(
        default=None, description="The user's hope, in words; answered with what can be promised."
    )
    data: DataSpec = Field(default_factory=DataSpec, description="The data.")
    model: ModelSpec = Field(default_factory=ModelSpec, description="The network.")
    train: TrainSpec = Field(default_factory=TrainSpec, description="The training.")
    metric: str | None = Field(default=None, description="Chooses the best checkpoint.")
    framework: Literal["pytorch", "lightning", "accelerate"] = Field(
        default="pytorch", description="pytorch: torchrun."
    )
    config: Literal["yaml", "toml", "argparse", "dataclass"] = Field(
        default="yaml", description="Form of the settings; argparse: JSON and flags."
    )
    launcher: Literal["torchrun", "srun", "sbatch"] = Field(
        default="torchrun", description="For several nodes; sbatch requeues itself."
    )
    layout: Literal["package", "flat"] = Field(default="package", description="flat: no package.")
    loggers: Annotated[list[Literal["tensorboard", "wandb"]], AfterValidator(_once)] = Field(
        default=[], description="Beside JSONL."
    )
    precision: Literal["fp32", "bf16", "fp16"] | None = Field(
        default=None, description="Default: bf16; fp32 for device cpu."
    )
    gpu_memory_gb: Annotated[float, _within(1, 1000)] | None = Field(
        default=None, description="Of one GPU: a batch that does not fit is refused."
    )
    device: Literal["auto", "cuda", "cpu"] = Field(default="auto", description="What it will train on.")
    reproducible: bool = Field(default=True, description="Resume bit for bit on GPUs too.")
    seed: Annotated[int, _within(0, 2**32 - 1)] = Field(default=0, description="Of everything random.")
