"""Which files a project consists of: components with their bindings, and project templates."""

from dataclasses import dataclass

from dlcoder.scaffold.choices import Choices
from dlcoder.scaffold.config_forms import FORMS
from dlcoder.scaffold.launchers import LAUNCHERS
from dlcoder.templates.bindings import Bindings, Default, Fixed, Present

_AMP = {"fp32": "None", "bf16": "torch.bfloat16", "fp16": "torch.float16"}
_MODELS = {"small_cnn": "SmallCNN", "resnet": "ResNet"}
_DATASETS = {"synthetic": ("synthetic_images", "SyntheticImages"), "image_folder": ("image_folder", "ImageFolder")}

ROLES = {
    "train.py": "entry: training",
    "evaluate.py": "entry: evaluation",
    "README.md": "documentation",
    "pyproject.toml": "packaging",
    "configs": "settings",
    "scripts": "launcher",
    "tests": "test",
    ".dlcoder": "record",
    ".gitignore": "packaging",
}


@dataclass(frozen=True)
class Plan:
    """What to render.

    Attributes:
        package: The package that components go into.
        bindings: What is known about options of components.
        templates: Project templates by the path of the file that they make.
        context: The variables of project templates.
    """

    package: str
    bindings: Bindings
    templates: dict[str, str]
    context: dict[str, object]


def plan(choices: Choices) -> Plan:
    """Plan the files of a project. Which components it needs follows from what its files import."""
    package = choices.package
    module, dataset = _DATASETS[choices.source]
    return Plan(
        package=package,
        bindings=_bindings(choices),
        templates={
            "README.md": "README.md.j2",
            "pyproject.toml": "pyproject.toml.j2",
            ".gitignore": "gitignore.j2",
            "train.py": "train.py.j2",
            "evaluate.py": "evaluate.py.j2",
            "configs/default.yaml": "configs/default.yaml.j2",
            "configs/smoke.yaml": "configs/smoke.yaml.j2",
            **{f"scripts/{name}": f"scripts/{name}.j2" for name in LAUNCHERS[choices.launcher].scripts},
            f"{package}/settings.py": "package/settings.py.j2",
            f"{package}/build.py": "package/build.py.j2",
            "tests/conftest.py": "tests/conftest.py.j2",
            "tests/test_settings_files.py": "tests/test_settings_files.py.j2",
            "tests/test_training.py": "tests/test_training.py.j2",
        },
        context={
            "c": choices,
            "form": FORMS[choices.config],
            "launch": LAUNCHERS[choices.launcher],
            "p": package,
            "Model": _MODELS[choices.family],
            "Data": dataset,
            "data_module": module,
            "title": package.replace("_", " ").capitalize(),
            "model_words": "residual network" if choices.family == "resnet" else "small convolutional network",
        },
    )


def _bindings(choices: Choices) -> Bindings:
    amp = Fixed(_AMP[choices.precision])
    strong, augmented = choices.augmentation == "strong", choices.augmentation != "none"
    return {
        "CrossEntropyLoss": {"reduction": Fixed('"sum"'), "z_loss": Fixed("None")},
        "TrainStep": {
            "amp_dtype": amp,
            "scaler": Present() if choices.precision == "fp16" else Fixed("None"),
            "ema": Present() if choices.ema else Fixed("None"),
        },
        "evaluate_classifier": {"amp_dtype": amp},
        "ResNet": {"small_images": Fixed(str(choices.small_images))},
        "ResumableBatchSampler": {"with_epoch": Fixed(str(augmented))},
        "RandomAugment": {
            "jitter": Default("0.4") if strong else Fixed("0.0"),
            "erase": Default("0.25") if strong else Fixed("0.0"),
        },
    }


def role_of(path: str, package: str) -> str:
    """What a file of the project is for."""
    if "/sample_images/" in path:
        return "sample data"
    top, *rest = path.split("/")
    if top == package:
        return {"losses": "loss", "models": "model", "datasets": "data", "metrics": "metric"}.get(
            rest[0] if len(rest) > 1 else "", rest[0] if len(rest) > 1 else "package"
        )
    return ROLES.get(top, "file")
