"""A component on its own: bound, renamed, complete, and as good as the original."""

import subprocess
import sys

import anyio
import pytest
import torch

from dlcoder.errors import UserError
from dlcoder.scaffold.catalogue_entry import render_entry
from dlcoder.scaffold.component import find_component, render_component
from dlcoder.templates.catalogue import catalogue
from dlcoder.templates.components.losses.dice_cross_entropy import DiceCrossEntropyLoss
from dlcoder.tools.base import Call
from dlcoder.tools.list_templates import TOOL as LIST
from dlcoder.tools.render_template import TOOL as RENDER


def load(code: str) -> dict:
    namespace: dict = {"__name__": "rendered"}
    exec(compile(code, "rendered.py", "exec"), namespace)
    return namespace


@pytest.fixture(scope="module")
def rendered():
    return {name: render_entry(each, {}) for name, each in catalogue().items() if each.kind != "launchers"}


def test_every_component_stands_alone_and_defines_its_symbol(rendered):
    for name, component in rendered.items():
        assert "dlcoder" not in component.code, name
        assert component.symbol in load(component.code), name


def test_every_rendered_file_is_formatted_and_lint_clean(rendered, tmp_path):
    for name, component in rendered.items():
        (tmp_path / f"{name.replace('/', '_')}.py").write_text(component.code)
    for command in (["format", "--check"], ["check", "--select", "F,E,B,UP", "--ignore", "E501"]):
        result = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--isolated", "--target-version", "py310", str(tmp_path)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == 0, result.stdout


def test_a_switch_is_decided_and_its_other_branches_are_gone():
    code = render_component(find_component("losses/box_iou"), {"kind": "giou"}).code
    assert "_aspect_penalty" not in code
    assert "self.kind" not in code
    box = torch.tensor([[0.0, 0, 2, 2]])
    loss = load(code)["BoxIoULoss"]()
    torch.testing.assert_close(loss(box, box + 2), torch.tensor(1 + 8 / 16))


def test_a_number_becomes_the_default():
    rendered = render_component(find_component("losses/focal"), {"gamma": 0.5, "ignore_index": 255})
    assert "gamma: float = 0.5" in rendered.code
    assert rendered.params == {"gamma": 0.5, "alpha": None, "ignore_index": 255}
    assert load(rendered.code)["FocalLoss"]().ignore_index == 255


def test_siblings_come_along_and_compute_the_same():
    rendered = render_component(find_component("losses/dice_cross_entropy"), {"ce_weight": 2.0})
    logits, target = torch.randn(2, 3, 4, 4), torch.randint(0, 3, (2, 4, 4))
    expected = DiceCrossEntropyLoss(ce_weight=2.0)(logits, target)
    torch.testing.assert_close(load(rendered.code)["DiceCrossEntropyLoss"]()(logits, target), expected)


def test_another_name_renames_the_class_and_the_file():
    rendered = render_component(find_component("losses/dice"), {}, "OrganDice")
    assert rendered.filename == "organ_dice.py"
    assert "class OrganDice(nn.Module)" in rendered.code
    assert "DiceLoss" not in rendered.code
    assert rendered.usage.startswith("from organ_dice import OrganDice\nloss = OrganDice()")


def test_a_required_parameter_shows_in_the_usage():
    assert "ViT(num_classes=...)" in render_component(find_component("models/vit"), {}).usage


@pytest.mark.parametrize(
    ("template", "params", "name", "message"),
    [
        ("losses/dicee", {}, None, "losses/dice"),
        ("losses/focal", {"gama": 1}, None, "gamma"),
        ("losses/focal", {"gamma": "2"}, None, r"must be float, not '2'"),
        ("losses/focal", {"gamma": True}, None, "must be float"),
        ("losses/focal", {"alpha": ["a"]}, None, r"must be Sequence\[float\] \| None"),
        ("losses/dice", {"ignore_index": None}, None, "must be int, not None"),
        ("losses/box_iou", {"kind": "eiou"}, None, "'iou', 'giou', 'diou', 'ciou'"),
        ("models/resnet", {"depth": 20}, None, "18, 34, 50, 101"),
        ("models/convnext", {"depths": [1, 1]}, None, r"tuple\[int, int, int, int\]"),
        ("losses/diffusion", {"alpha_bar": 1}, None, "Pass it where DiffusionLoss is built"),
        ("datasets/image_folder", {"root": "/data"}, None, "Give it where ImageFolder is built"),
        ("fcos", {}, None, "losses/fcos or models/fcos"),
        ("loss/dice", {}, None, "losses/dice"),
        ("losses/focal", {}, "class", "cannot be the name"),
        ("losses/focal", {}, "print", "cannot be the name"),
        ("losses/focal", {}, "1x", "identifier"),
        ("losses/focal", {}, "Tensor", "another"),
    ],
)
def test_a_request_that_cannot_be_met_says_what_to_do(template, params, name, message):
    with pytest.raises(UserError, match=message):
        render_component(find_component(template), params, name)


@pytest.mark.parametrize("name", ["dice", "Dice", "losses/Dice", "DiceLoss", "dlcoder://templates/losses/dice"])
def test_any_name_that_is_clear_is_enough(name):
    assert find_component(name).id == "losses/dice"


def test_a_list_becomes_the_default_and_the_example_follows():
    rendered = render_component(find_component("losses/cross_entropy"), {"class_weights": [1, 2.5]})
    loss = load(rendered.code)["CrossEntropyLoss"]()
    torch.testing.assert_close(loss.class_weights, torch.tensor([1, 2.5]))
    assert rendered.proof()[1]["sizes"]["C"] == 2


def test_what_is_bound_is_what_the_proof_states():
    kind, contract = render_component(
        find_component("models/resnet"), {"num_classes": 10, "depth": 34, "small_images": True}
    ).proof()
    assert (kind, contract["sizes"]["C"], contract["init"]) == ("model", 10, {"width": 8})
    summed = render_component(find_component("losses/cross_entropy"), {"reduction": "sum"})
    assert summed.proof()[1]["reduction"] == "sum"


def test_a_class_may_be_named_like_a_function():
    assert "loss = dice_loss()" in render_component(find_component("losses/dice"), {}, "dice_loss").usage


def test_an_example_knows_the_name_and_what_was_settled():
    rendered = render_component(find_component("datasets/mixup"), {"num_classes": 7}, "Blend")
    _, contract = rendered.proof()
    assert "mix = Blend()" in rendered.proved
    assert "MixUp(" not in rendered.proved
    example = load(rendered.proved)[contract["target"]]()
    _, labels = example[0]
    assert labels.shape == (4, 7)


def test_the_tool_hands_over_a_component_that_has_run():
    arguments = RENDER.input.model_validate({"template": "losses/dice", "params": {"smooth": 1.0}})
    answer = anyio.run(RENDER.run, arguments, Call())
    assert answer.validation.passed
    assert {"ignored-elements", "gradient-correct"} <= {c.name for c in answer.validation.checks if c.status == "pass"}
    assert "Proved on cpu" in answer.text()


def test_a_component_that_was_not_run_does_not_claim_it():
    arguments = RENDER.input.model_validate({"template": "losses/dice", "validate": False})
    answer = anyio.run(RENDER.run, arguments, Call())
    assert answer.validation is None
    assert "Not run" in answer.text()


@pytest.mark.parametrize(
    ("arguments", "expected", "absent"),
    [
        ({"query": "imbalanced segmentation"}, "losses/dice", "losses/dpo"),
        ({"kind": "models", "query": "diffusion"}, "models/dit", "losses/diffusion"),
        ({"kind": "metrics"}, "metrics/average_precision", "losses/dice"),
    ],
)
def test_the_catalogue_is_searched_by_kind_and_words(arguments, expected, absent):
    answer = anyio.run(LIST.run, LIST.input.model_validate(arguments), Call())
    names = [item.id for item in answer.templates]
    assert expected in names
    assert absent not in names


def test_nothing_found_says_how_to_see_everything():
    answer = anyio.run(LIST.run, LIST.input.model_validate({"query": "quantum"}), Call())
    assert "Leave out" in answer.text()
