"""Every rule sees the fault that its documentation shows, and nothing else."""

import ast
import time
from pathlib import Path

import pytest
from faulty_code import FAULTY
from sound_code import SOUND

from dlcoder.errors import UserError
from dlcoder.review.catalogue import catalogue
from dlcoder.review.review import corrected, diff, review

ROOT = Path(__file__).parents[2]
RULES = list(catalogue().values())
CORRECTING = [rule for rule in RULES if any(finding.edits for finding in review(rule.bad))]
# Code that people rely on, and that was read: whatever is found in it is listed here, with the rule.
GOOD = [
    *sorted((ROOT / "src/dlcoder/templates/components").rglob("*.py")),
    *sorted((ROOT / "tests/mutation/originals").rglob("*.py")),
    *sorted((ROOT / "tests/sandbox/smoke/projects").rglob("*.py")),
]


def rules_of(text: str) -> set[str]:
    return {finding.rule.name for finding in review(text)}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_the_bad_example_has_this_fault_and_no_other(rule):
    assert rules_of(rule.bad) == {rule.name}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_the_good_example_has_no_fault(rule):
    assert rules_of(rule.good) == set()


@pytest.mark.parametrize("rule", CORRECTING, ids=lambda rule: rule.name)
def test_a_correction_is_python_and_takes_the_fault_away(rule):
    fixed = corrected(rule.bad)
    ast.parse(fixed)
    assert rules_of(fixed) == set()


def test_every_rule_is_documented():
    for rule in RULES:
        assert len(rule.title) > 10 and len(rule.why) > 20 and len(rule.fix) > 10, rule.name
        assert rule.reference == "" or rule.reference.startswith("https://"), rule.name


def test_good_code_is_not_accused():
    texts = {path: path.read_text() for path in GOOD}
    projects = {path.parents[1] if path.parent.name == "seg" else path.parent for path in GOOD}
    around = {folder: "\n".join(text for path, text in texts.items() if folder in path.parents) for folder in projects}
    accused = [
        f"{path.relative_to(ROOT)}:{finding.line}: {finding.rule.name}: {finding.message}"
        for path, text in texts.items()
        for finding in review(text, path.name, next(around[each] for each in path.parents if each in around))
    ]
    assert accused == []
    assert len(texts) > 100


def test_a_comment_silences_one_rule_on_its_line():
    line = "import torch\nstate = torch.load('a.pt', weights_only=False)"
    assert rules_of(line) == {"unsafe-load"}
    assert rules_of(f"{line}  # dlcoder: ignore[unsafe-load]") == set()
    assert rules_of(f"{line}  # dlcoder: ignore") == set()
    assert rules_of(f"{line}  # dlcoder: ignore[log-of-softmax]") == {"unsafe-load"}


def test_what_one_file_sets_up_another_may_use():
    script = next(rule for rule in RULES if rule.name == "option-never-read").bad
    assert [finding.line for finding in review(script)] == [5]
    assert review(script, "train.py", f"{script}\ndef schedule(args):\n    return args.warmup_steps\n") == []


def test_names_are_followed_through_imports_variables_and_models():
    through_a_model = """
import torch.nn as layers
from torch.nn import CrossEntropyLoss as Criterion

class Net(layers.Module):
    def __init__(self):
        super().__init__()
        self.head = layers.Sequential(layers.Linear(4, 3), layers.Softmax(dim=1))

    def forward(self, x):
        out = self.head(x)
        return out

criterion = Criterion()
network = Net().to("cuda")

def loss(x, y):
    scores = network(x)
    return criterion(scores, y)
"""
    (finding,) = review(through_a_model)
    assert finding.rule.name == "double-softmax" and finding.line == 8
    assert review(through_a_model.replace(", layers.Softmax(dim=1)", "")) == []


def test_corrections_keep_what_they_do_not_concern():
    code = '''"""Doc."""
from torch import nn  # the layers

# A comment with ünïcode before the fault.
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.ünits = [nn.Linear(2, 2)]  # kept
'''
    fixed = corrected(code)
    assert fixed == code.replace("[nn.Linear(2, 2)]", "nn.ModuleList([nn.Linear(2, 2)])").replace(
        '"""Doc."""\n', '"""Doc."""\nimport torch\n'
    ) or fixed == code.replace("[nn.Linear(2, 2)]", "nn.ModuleList([nn.Linear(2, 2)])")
    patch = diff(code, fixed, "net.py")
    assert patch.startswith("--- a/net.py\n+++ b/net.py\n") and "+        self.ünits = nn.ModuleList(" in patch


@pytest.mark.parametrize("text", ["def f(:\n", "\0", "x = (" * 5000 + ")" * 5000, "x = " + "+".join(["1"] * 20000)])
def test_what_cannot_be_read_is_refused_or_read_at_once(text):
    start = time.perf_counter()
    try:
        assert review(text) == []
    except UserError as error:
        assert error.next_step
    assert time.perf_counter() - start < 5


@pytest.mark.parametrize(("rule", "code"), FAULTY, ids=lambda value: value if "\n" not in value else "")
def test_faults_are_seen_in_whatever_style(rule, code):
    assert rule in rules_of(code)


@pytest.mark.parametrize("code", SOUND)
def test_sound_code_that_resembles_faults_is_left_alone(code):
    assert rules_of(code) == set()


def test_what_all_files_say_is_looked_up_once():
    around = "\n".join(f"def part_{index}(x):\n    return x" for index in range(200_000))
    begin = time.process_time()
    for _ in range(20):
        review("def f(x):\n    return x", "f.py", around)
    assert time.process_time() - begin < 3
