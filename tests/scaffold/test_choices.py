"""What is left open is settled with a reason; what contradicts itself is refused."""

from typing import Any

import pytest
from projects import choices, spec
from pydantic import ValidationError

from dlcoder.errors import UserError
from dlcoder.scaffold.spec import DataSpec, ModelSpec, ProjectSpec, TrainSpec


def assumed(**fields: Any) -> dict[str, str]:
    return {assumption.field: assumption.value for assumption in choices(**fields).assumptions}


def test_the_task_alone_is_enough_and_all_else_is_assumed_with_a_reason() -> None:
    notes = choices().assumptions
    assert {"data.source", "model.family", "train.lr", "precision", "metric", "name"} <= {n.field for n in notes}
    assert all(note.reason.endswith(".") and note.value for note in notes)


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"data": {"image_size": 64}}, "data.image_size"),
        ({"data": {"augmentation": "light"}}, "data.augmentation"),
        ({"train": {"ema": True}}, "train.ema"),
        ({"train": {"lr": 0.3}}, "train.lr"),
        ({"precision": "bf16"}, "precision"),
        ({"data": {"classes": ["a", "b"]}}, "data.num_classes"),
    ],
)
def test_what_is_given_is_not_assumed(fields: dict[str, Any], name: str) -> None:
    assert name in assumed()
    assert name not in assumed(**fields)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"device": "cpu", "precision": "fp16"}, "precision"),
        ({"data": {"classes": ["a", "b"], "num_classes": 3}}, "data.num_classes"),
        ({"data": {"classes": ["a", "b", "a"]}}, "'a' twice"),
        ({"data": {"source": "synthetic", "root": "images"}}, "data.source"),
        ({"name": "torch"}, "name"),
        ({"name": "json"}, "name"),
        ({"task": "segmentation", "model": {"family": "mlp"}}, "unet or deeplabv3_plus"),
        ({"task": "segmentation", "metric": "perplexity"}, "mean_iou"),
        ({"task": "segmentation", "data": {"multi_label": True}}, "data.multi_label"),
        ({"task": "regression", "data": {"source": "image_folder"}}, "data.source"),
        ({"task": "regression", "data": {"image_size": 32}}, "data.image_size"),
        ({"task": "regression", "data": {"num_classes": 3}}, "data.num_classes"),
        ({"task": "generation", "train": {"label_smoothing": 0.1}}, "train.label_smoothing"),
        ({"task": "segmentation", "model": {"family": "unet"}, "data": {"image_size": 40}}, "data.image_size to 32"),
        ({"data": {"length": 32}}, "data.length"),
        ({"data": {"cache": "disk"}}, "data.cache"),
        ({"data": {"source": "image_folder"}, "model": {"family": "mlp"}}, "synthetic or csv or numpy"),
        ({"task": "generation", "model": {"family": "dcgan"}, "data": {"image_size": 40}}, "data.image_size to 32"),
        ({"task": "self_supervised", "model": {"family": "dino"}, "train": {"ema": False}}, "train.ema"),
        ({"task": "generation", "model": {"family": "dcgan"}, "train": {"strategy": "fsdp"}}, "train.strategy to ddp"),
        ({"task": "generation", "data": {"augmentation": "strong"}}, "data.augmentation"),
        (
            {"task": "self_supervised", "model": {"family": "dino"}, "data": {"augmentation": "none"}},
            "data.augmentation",
        ),
    ],
)
def test_a_contradiction_is_refused_with_the_field_to_change(fields: dict[str, Any], named: str) -> None:
    with pytest.raises(UserError) as caught:
        choices(**fields)
    assert named in str(caught.value)


@pytest.mark.parametrize(
    ("folder", "package"),
    [
        ("Bird Watch-2", "bird_watch_2"),
        ("2birds", "project_2birds"),
        ("torch", "torch_project"),
        ("tests", "tests_project"),
        ("json", "json_project"),
        ("class", "class_project"),
        ("日本", "project"),
        ("__", "project"),
    ],
)
def test_any_folder_gives_a_package_that_hides_nothing(folder: str, package: str) -> None:
    assert choices(folder).package == package


@pytest.mark.parametrize(
    "goal", ["at least 99% accuracy, guaranteed", "accuracy >= 0.95", "beat SOTA", "tell birds apart"]
)
def test_a_goal_is_answered_with_what_can_be_promised(goal: str) -> None:
    note = next(n for n in choices(goal=goal).assumptions if n.field == "goal")
    assert "promised" in note.reason
    assert note.reason.startswith("No score") == (goal != "tell birds apart")


@pytest.mark.parametrize("part", [ProjectSpec, DataSpec, ModelSpec, TrainSpec])
def test_every_field_is_documented_and_unknown_ones_are_refused(part: type[Any]) -> None:
    schema = part.model_json_schema()
    assert all(field.get("description") for field in schema["properties"].values())
    assert schema["additionalProperties"] is False


def test_only_the_task_is_required() -> None:
    assert ProjectSpec.model_json_schema()["required"] == ["task"]
    with pytest.raises(ValidationError, match="task"):
        ProjectSpec.model_validate({})


def test_a_task_that_there_is_not_is_refused() -> None:
    with pytest.raises(ValidationError, match="Input should be"):
        spec(task="cooking")


@pytest.mark.parametrize("name", ["a/b", "..", " ", "x" * 101])
def test_a_class_that_cannot_name_a_folder_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="cannot be a class"):
        spec(data={"source": "image_folder", "classes": ["a", name]})
