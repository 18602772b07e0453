"""Requests in which every two values of two options meet."""

import itertools
from typing import Any

Request = dict[str, Any]
Options = dict[str, list[Request]]

TASKS: list[Request] = [
    {"task": "classification", "data": {"source": "image_folder"}, "model": {"family": "vit"}},
    {"task": "classification", "model": {"family": "convnext"}, "data": {"image_size": 64}},
    {"task": "classification", "data": {"multi_label": True}},
    {"task": "classification", "model": {"family": "mlp"}},
    {"task": "detection"},
    {"task": "segmentation"},
    {"task": "segmentation", "model": {"family": "deeplabv3_plus"}},
    {"task": "segmentation", "model": {"family": "segformer"}},
    {"task": "regression"},
    {"task": "generation", "model": {"family": "gpt"}},
    {"task": "generation"},
    {"task": "generation", "model": {"family": "vae"}},
    {"task": "generation", "model": {"family": "dcgan"}},
    {"task": "self_supervised"},
    {"task": "self_supervised", "model": {"family": "dino"}},
    {"task": "self_supervised", "data": {"source": "image_folder"}, "model": {"family": "mae"}},
]
"""What a project may be for, by the network where there are several."""

OF_ANY_TASK: Options = {
    "precision": [{"precision": value} for value in ("fp32", "bf16", "fp16")],
    "ema": [{"train": {"ema": value}} for value in (True, False)],
    "optimizer": [{"train": {"optimizer": value}} for value in ("adamw", "sgd")],
    "schedule": [{"train": {"schedule": value}} for value in ("cosine", "constant", "wsd", "step")],
    "clip": [{"train": {"max_grad_norm": value}} for value in (0, 1)],
    "config": [{"config": value} for value in ("yaml", "toml", "argparse", "dataclass")],
    "framework": [{"framework": value} for value in ("pytorch", "lightning", "accelerate")],
    "strategy": [{"train": {"strategy": value}} for value in ("ddp", "fsdp", "backoff")],
    "loggers": [{"loggers": value} for value in ([], ["tensorboard"])],
    "recompute": [{"train": {"gradient_checkpointing": value}} for value in (False, True)],
    "launcher": [{"launcher": value} for value in ("torchrun", "srun", "sbatch")],
    "reproducible": [{"reproducible": value} for value in (True, False)],
}
OF_CLASSIFICATION: Options = {
    "data": [
        {"data": {"source": "synthetic"}},
        {"data": {"source": "image_folder"}},
        {"data": {"source": "image_folder", "classes": ["a dog", "b's", 'c "q"'], "root": "../images, all"}},
        {"data": {"source": "image_folder", "num_classes": 12}},
        {"data": {"source": "image_folder", "cache": "disk"}},
        {"data": {"source": "webdataset"}},
    ],
    "augmentation": [{"data": {"augmentation": value}} for value in ("none", "light", "strong")],
    "size": [{"data": {"image_size": value}} for value in (32, 96)],
    "model": [{"model": {"family": value}} for value in ("small_cnn", "resnet")],
    "depth": [{"model": {"size": value}} for value in ("tiny", "base")],
    "metric": [{"metric": value} for value in ("accuracy", "macro_f1")],
    **OF_ANY_TASK,
}
OF_TASKS: Options = {
    "task": TASKS,
    "size": [{"model": {"size": value}} for value in ("tiny", "large")],
    **OF_ANY_TASK,
    "compile": [{"train": {"compile": value}} for value in (False, True)],
}


def merge(parts: list[Request]) -> Request:
    """One request that asks for all that several ask for."""
    merged: Request = {}
    for part in parts:
        for key, value in part.items():
            merged[key] = {**merged.get(key, {}), **value} if isinstance(value, dict) else value
    return merged


def covering(options: Options) -> list[Request]:
    """Few requests in which every two values of two options meet that are not refused together."""
    values = list(options.values())
    return [possible(merge([values[column][number] for column, number in enumerate(row)])) for row in rows(options)]


def possible(request: Request) -> Request:
    """A request without what is refused."""
    needed = {"dino": {"ema": True, "strategy": "ddp"}, "dcgan": {"strategy": "ddp"}}
    family = request.get("model", {}).get("family")
    if family in needed:
        request = merge([request, {"train": needed[family]}])
    if request.get("task") == "self_supervised" and family is None and request["train"]["strategy"] == "backoff":
        request = merge([request, {"train": {"strategy": "ddp"}}])
    if (
        request["framework"] == "lightning"
        and request["train"]["strategy"] == "fsdp"
        and request["precision"] == "fp16"
    ):
        request = merge([request, {"precision": "bf16"}])
    return request


def rows(options: Options) -> list[tuple[int, ...]]:
    """The numbers of the values in each of the requests, chosen greedily."""
    counts = [len(values) for values in options.values()]
    columns = range(len(counts))
    missing = {
        (a, x, b, y) for a, b in itertools.combinations(columns, 2) for x in range(counts[a]) for y in range(counts[b])
    }
    found = []
    while missing:
        a, x, b, y = min(missing)
        row = {a: x, b: y}
        for column in columns:
            if column not in row:
                row[column] = max(
                    range(counts[column]),
                    key=lambda value: sum(
                        (min(c, column), *((row[c], column, value) if c < column else (value, c, row[c]))) in missing
                        for c in row
                    ),
                )
        missing -= {(c, row[c], d, row[d]) for c, d in itertools.combinations(columns, 2)}
        found.append(tuple(row[column] for column in columns))
    return found
