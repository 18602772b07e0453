"""Which files a project consists of: components with their bindings, and project templates."""

from dataclasses import dataclass

from dlcoder.scaffold.choices import Choices
from dlcoder.scaffold.config_forms import FORMS
from dlcoder.scaffold.contradictions import BATCH_NORM
from dlcoder.scaffold.frameworks import FRAMEWORKS
from dlcoder.scaffold.launchers import LAUNCHERS, script, script_name
from dlcoder.scaffold.loggers import LOGGERS
from dlcoder.scaffold.schedules import SCHEDULES
from dlcoder.scaffold.schedules import bindings as schedule_bindings
from dlcoder.scaffold.task import Setting
from dlcoder.scaffold.tasks.table import TASKS
from dlcoder.templates.bindings import Binding, Bindings, Default, Fixed, Present

PARTS = {"data": "Where samples come from.", "model": "What is trained.", "train": "How it is trained."}
"""What the parts of the settings are, in their order."""
STRATEGIES = {"fsdp": "utils.sharded", "backoff": "utils.replicas"}
"""What stands in for `utils.parallel`, with the same functions, by strategy."""
_AMP = {"fp32": "None", "bf16": "torch.bfloat16", "fp16": "torch.float16"}

_WITHOUT_MASKS: Bindings = {
    "read_pixels": {"mode": Fixed('"RGB"')},
    "resize": {"labels": Fixed("False")},
    "square": {"labels": Fixed("False")},
}
"""What functions that also serve label maps are left with where there are none."""

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
        scripts: Launchers by the path of the file that they are.
        context: The variables of project templates.
        instead: Components that others stand in for, with the same functions, as `kind.name` to `kind.name`.
    """

    package: str
    bindings: Bindings
    templates: dict[str, str]
    scripts: dict[str, str]
    context: dict[str, object]
    instead: dict[str, str]


def plan(choices: Choices) -> Plan:
    """Plan the files of a project. Which components it needs follows from what its files import."""
    package, task = choices.package, TASKS[choices.task]
    return Plan(
        package=package,
        bindings=_bindings(choices),
        templates={
            "README.md": "README.md.j2",
            "pyproject.toml": "pyproject.toml.j2",
            ".gitignore": "gitignore.j2",
            "train.py": FRAMEWORKS[choices.framework].train,
            "evaluate.py": f"results/{task.results}",
            "configs/default.yaml": "configs/default.yaml.j2",
            "configs/smoke.yaml": "configs/smoke.yaml.j2",
            f"{package}/settings.py": "package/settings.py.j2",
            f"{package}/build.py": "package/build.py.j2",
            "tests/conftest.py": "tests/conftest.py.j2",
            "tests/test_settings_files.py": "tests/test_settings_files.py.j2",
            "tests/test_training.py": "tests/test_training.py.j2",
        },
        scripts=_scripts(choices),
        context=_context(choices),
        instead={"utils.parallel": STRATEGIES[choices.strategy]} if choices.strategy in STRATEGIES else {},
    )


def _scripts(choices: Choices) -> dict[str, str]:
    config = f"configs/default.{FORMS[choices.config].suffix}"
    values = {"job_name": choices.package, "cpus": choices.workers + 2, "config": config}
    return {f"scripts/{script_name(name)}": script(name, values) for name in LAUNCHERS[choices.launcher].scripts}


def _context(choices: Choices) -> dict[str, object]:
    task = TASKS[choices.task]
    family, source = task.families[choices.family], task.sources[choices.source]
    return {
        "c": choices,
        "task": task,
        "family": family,
        "source": source,
        "Data": source.symbol,
        "augmented": _augmented(choices),
        "run_settings": (
            Setting("seed", choices.seed, "Of weights, order, augmentation and dropout."),
            Setting(
                "deterministic", choices.reproducible, "Equal runs give equal bits, at some cost in speed on GPUs."
            ),
            Setting("profile", 0, "Steps to profile, into RUN/profile, with memory if it runs out; 0: none."),
        ),
        "settings": {
            "data": data_settings(choices),
            "model": model_settings(choices),
            "train": train_settings(choices),
        },
        "meaning_of": PARTS,
        "settings_file": f"{choices.package}/settings.py",
        "batch_norm": choices.family in BATCH_NORM,
        "objective_settings": task.objective_settings(choices),
        "schedule": SCHEDULES[choices.schedule],
        "framework": FRAMEWORKS[choices.framework],
        "form": FORMS[choices.config],
        "launch": LAUNCHERS[choices.launcher],
        "loggers": {name: LOGGERS[name] for name in choices.loggers},
        "flat": choices.layout == "flat",
        "p": choices.package,
        "title": choices.package.replace("_", " ").capitalize(),
    }


def _augmented(choices: Choices) -> bool:
    return TASKS[choices.task].augments and choices.augmentation != "none"


def data_settings(choices: Choices) -> list[Setting]:
    """The settings below `data`."""
    task = TASKS[choices.task]
    source, family = task.sources[choices.source], task.families[choices.family]
    settings = [*source.settings(choices)]
    if source.images:
        smoke = 16 if family.small_images and choices.small_images else family.smoke_size
        settings.append(Setting("image_size", choices.image_size, "Height and width in pixels.", smoke=smoke))
    if choices.cache == "disk":
        meaning = "Folder of decoded images; those of other data or settings do no harm."
        settings.append(Setting("cache", "cache", meaning, smoke="runs/cache"))
    settings += task.data_settings(choices)
    settings.append(Setting("batch_size", choices.batch_size, "Samples in a micro-batch of one process.", smoke=5))
    meaning = "Loader processes of each process; raise it while time_data is not near 0."
    return [*settings, Setting("workers", choices.workers, meaning, smoke=0)]


def model_settings(choices: Choices) -> tuple[Setting, ...]:
    """The settings below `model`."""
    return TASKS[choices.task].families[choices.family].of_size(choices.size)


def train_settings(choices: Choices) -> list[Setting]:
    """The settings below `train`."""
    clip = choices.max_grad_norm or float("inf")
    schedule = SCHEDULES[choices.schedule]
    unlimited = "; .inf for no clipping" if choices.max_grad_norm == 0 else ""
    settings = [
        Setting("epochs", choices.epochs, "Passes over the training data. The schedule ends with the last.", smoke=2),
        Setting("accumulate", choices.accumulation, "Micro-batches in an optimizer step.", smoke=3),
        Setting("lr", choices.lr, "Peak learning rate. It is not scaled by the number of processes."),
        Setting("warmup", 0.05, f"The part of all steps in which the rate rises. Then it {schedule.words}."),
        *schedule.settings,
        Setting("weight_decay", choices.weight_decay, "Decay of weights; biases and norms have none."),
    ]
    if choices.optimizer == "sgd":
        settings.append(Setting("momentum", 0.9, "Nesterov momentum."))
    settings.append(Setting("max_grad_norm", clip, f"The norm that the gradient is clipped to{unlimited}."))
    task = TASKS[choices.task]
    settings += task.objective_settings(choices)
    if choices.compile:
        meaning = "Backend of torch.compile; aot_eager needs no C++ compiler, but is no faster."
        backends = 'Literal["inductor", "aot_eager", "none"]'
        settings.append(Setting("compile", "inductor", meaning, smoke="aot_eager", type=backends))
    if choices.ema and task.training != "teacher":
        span = "Of the averaged weights that are evaluated: they span 1 / (1 - decay) steps."
        settings.append(Setting("ema_decay", 0.999, span))
    meaning = "Steps between checkpoints within an epoch: what a kill can cost."
    settings.append(Setting("save_every", 500, meaning, smoke=2))
    if "wandb" in choices.loggers:
        sending = "When records are sent; offline: by `wandb sync`, later."
        modes = 'Literal["online", "offline", "disabled"]'
        settings.append(Setting("wandb", "online", sending, smoke="offline", type=modes))
    return settings


def _bindings(choices: Choices) -> Bindings:
    task = TASKS[choices.task]
    family, source = task.families[choices.family], task.sources[choices.source]
    amp = Fixed(_AMP[choices.precision])
    strong = choices.augmentation == "strong"
    model: dict[str, Binding] = dict(family.bindings)
    if family.small_images:
        model["small_images"] = Fixed(str(choices.small_images))
    ema: dict[str, Binding] = {"ema": Present() if choices.ema else Fixed("None")}
    backoff: dict[str, Binding] = {"backoff": Present() if choices.strategy == "backoff" else Fixed("None")}
    # Of two networks that are trained in turn, one is averaged.
    ema_of_step = {} if choices.ema and task.training == "adversarial" else ema
    return {
        "TrainStep": {
            "amp_dtype": amp,
            "scaler": Present() if choices.precision == "fp16" else Fixed("None"),
            **ema_of_step,
            **backoff,
        },
        "AccelerateStep": {**ema_of_step, **backoff, "sharded": Fixed(str(choices.strategy == "fsdp"))},
        "TrainModule": {**ema_of_step, **backoff},
        "AdversarialModule": ema,
        "Trainer": {"lower_is_better": Fixed(str(task.metrics[choices.metric].lower_is_better))},
        "EvaluateAndSave": {"lower_is_better": Fixed(str(task.metrics[choices.metric].lower_is_better))},
        "WarmupSchedule": schedule_bindings(choices.schedule),
        **_parallelism(choices.strategy, amp),
        "compile_in_place": {"recomputes": Fixed(str(choices.gradient_checkpointing))},
        "predict": {"amp_dtype": amp},
        "objective_means": {"amp_dtype": amp},
        task.evaluator[1]: {"amp_dtype": amp},
        family.symbol: model,
        "ResumableBatchSampler": {"with_epoch": Fixed(str(_augmented(choices)))},
        **({} if choices.task == "segmentation" else _WITHOUT_MASKS),
        "DiskCache": {"transform": Fixed("None")},
        "MemoryCache": {"transform": Fixed("None")},
        "WebdatasetShards": {} if _augmented(choices) else {"augment": Fixed("None")},
        "MaskAugment": {"jitter": Default("0.4") if strong else Fixed("0.0")},
        "BoxAugment": {"jitter": Default("0.4") if strong else Fixed("0.0")},
        **task.bindings,
        **source.bindings,
        "RandomAugment": {
            "jitter": Default("0.4") if strong else Fixed("0.0"),
            "erase": Default("0.25") if strong else Fixed("0.0"),
            **task.bindings.get("RandomAugment", {}),
        },
    }


def _parallelism(strategy: str, amp: Binding) -> Bindings:
    """What is known of the module that a strategy takes for its parallelism."""
    if strategy not in STRATEGIES:
        # No network of the catalogue leaves parameters out.
        return {"parallelize": {"find_unused_parameters": Fixed("False"), "bucket_cap_mb": Fixed("None")}}
    # Tests that look at a rank's gradients while they are averaged need the usual module.
    unusual: Bindings = {"parallel": {"parallelize": Fixed("None")}}
    return {**unusual, "parallelize": {"dtype": amp}} if strategy == "fsdp" and amp == Fixed("None") else unusual


def role_of(path: str, package: str) -> str:
    """What a file of the project is for."""
    if "/sample_data/" in path:
        return "sample data"
    top, *rest = path.removeprefix(f"{package}/").split("/")
    kinds = {"losses": "loss", "models": "model", "datasets": "data", "metrics": "metric"}
    kinds |= {"engine": "engine", "utils": "utils"}
    if rest and top in kinds:
        return kinds[top]
    return ROLES.get(top, "package" if path.endswith(".py") else "file")
