"""What a loss compares, by which sign the best is chosen, and which options are an option at all."""

import pytest
import torch

from dlcoder.sandbox.harness.project.judge_best import choices
from dlcoder.sandbox.harness.project.judge_loop import judge_validation
from dlcoder.sandbox.harness.project.knobs import Knob, is_read, shapes_training
from dlcoder.sandbox.harness.project.likeness import is_alike, signature
from dlcoder.sandbox.harness.project.runs import Event, Result
from dlcoder.sandbox.harness.project.watch_targets import ahead

IDS = torch.arange(24).reshape(2, 12)
STOPPED = {"e": "stop", "reason": "steps", "step": 48}


def result(root, *events: Event) -> Result:
    made = Result("plain", root)
    made.ranks, made.codes = [list(events)], [0]
    return made


@pytest.mark.parametrize(
    ("target", "offset"),
    [
        (IDS[:, 1:], 1),
        (IDS[:, 1:].reshape(-1), 1),
        (IDS, 0),
        (torch.cat([IDS[:, 2:], torch.full((2, 2), -100)], 1).flatten(), 2),
        (torch.where(torch.rand(2, 12) < 0.9, -100, IDS), None),
        (IDS % 3, None),
        (torch.tensor([0, 1]), None),
    ],
)
def test_tokens_are_found_as_far_ahead_as_they_are(target, offset):
    assert ahead(IDS, target) == offset


def test_tokens_are_found_where_time_comes_first():
    assert ahead(IDS.t()[:-1], IDS.t()[1:].reshape(-1)) == 1


@pytest.mark.parametrize(
    "right",
    [
        "if loss < best_loss:\n    best_loss = loss",
        "if self.best < metrics['iou']:\n    self.best = metrics['iou']",
        "if acc <= best:\n    waited += 1\nelse:\n    best = acc",
        "best_val_loss = min(losses['val'], best_val_loss)",
        "stop = EarlyStopping(monitor='val_loss')",
        "score = recall(model, loader)\nif score > best:\n    best = score",
        "plateau = ReduceLROnPlateau(optimizer, mode='max')\nplateau.step(accuracy)",
        "args = TrainingArguments(metric_for_best_model='f1', greater_is_better=True)",
    ],
)
def test_a_sign_that_is_right_is_read_and_its_opposite_is_wrong(right):
    turned = right
    for a, b in (
        ("<", ">") if "<" in right else (">", "<"),
        ("min(", "max("),
        ("'max'", "'min'"),
        ("'val_loss'", "'val_acc'"),
        ("=True", "=False"),
    ):
        turned = turned.replace(a, b)
    [(_, _, better, taken)] = choices(right)
    assert better == taken
    [(_, _, better, taken)] = choices(turned)
    assert better != taken


@pytest.mark.parametrize(
    "unknown", ["if score_ > best:\n    best = score_", "if -loss > best:\n    best = -loss", "a < b"]
)
def test_a_value_whose_name_says_nothing_is_not_judged(unknown):
    assert list(choices(unknown)) == []


def evaluated(root, seen: list[str], whole: str = "b") -> str:
    common = {"e": "fwd", "cls": "Net", "trained": True, "layers": 1, "site": "train.py:1"}
    learning = {**common, "grad": True, "train": True, "layers_eval": 0, "rows": list("abcdefgh"), "input": "a"}
    judging = {**common, "grad": False, "train": False, "layers_eval": 1, "rows": seen, "input": whole}
    return judge_validation(result(root, learning, {"e": "bwd"}, judging), None)["status"]


def test_samples_are_known_again_in_programs_without_a_loader(tmp_path):
    assert evaluated(tmp_path, list("ABCDEFGH")) == "pass"
    assert evaluated(tmp_path, list("abcdEFGH")) == "fail"
    assert evaluated(tmp_path, list("abcdefgh"), whole="a") == "pass", "a graph is read whole, and masked"


def test_a_file_of_held_out_data_that_nobody_opens_is_named(tmp_path):
    for name in ("train.bin", "val.bin"):
        (tmp_path / name).touch()
    judging = {"e": "fwd", "cls": "Net", "trained": True, "grad": False, "train": False, "layers": 0, "site": ""}
    opened = [{"e": "read", "path": f"{name}.bin", "site": "train.py:3"} for name in ("train", "val")]
    assert judge_validation(result(tmp_path, judging, *opened), None)["status"] == "pass"
    verdict = judge_validation(result(tmp_path, judging, opened[0]), None)
    assert verdict["measured"] == "val.bin is never read"
    assert "train.py:3" in verdict["fix"]


def test_an_option_that_is_read_after_the_run_was_stopped_is_not_called_unread(tmp_path):
    (tmp_path / "train.py").write_text("parser.add_argument('--save-model')\nif args.save_model: save()\n")
    option = {"flags": ["--save-model"], "dest": "save_model", "kind": "_StoreTrueAction", "type": None}
    knob = Knob("--save-model", "save_model", False, "", "", option)
    final = {"e": "final", "reads": {"argparse": ["lr"]}}
    assert is_read(knob, result(tmp_path, final, STOPPED)) is None
    assert is_read(knob, result(tmp_path, final, {"e": "end", "code": 0})) is False
    assert not shapes_training(knob)


def test_file_names_that_differ_from_run_to_run_are_no_effect_of_an_option(tmp_path):
    first, second = (
        result(tmp_path, {"e": "write", "path": f"log.{number}.txt"}, {"e": "end", "code": 0}) for number in (17, 94)
    )
    events, _ = signature(first)
    assert is_alike(second, events, None)


def test_far_values_are_tried_where_the_next_ones_do_not_show():
    values = {"int": 500, "float": 5.0}
    knobs = [Knob(f"--{kind}", kind, value, "", "", None) for kind, value in values.items()]
    assert [knob.extreme() for knob in knobs] == [62, 0.005]
    assert Knob("--epochs", "epochs", 90, "", "", None).other() == 1, "a longer run would be stopped alike"
