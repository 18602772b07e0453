"""Code of any origin, checked through the tool as a client would."""

import asyncio

import pytest

from dlcoder.errors import UserError
from dlcoder.paths import Roots
from dlcoder.tools.base import Call
from dlcoder.tools.validate_code import TOOL

_SUBTLY_WRONG = '''
import torch
import torch.nn.functional as F
from torch import nn


class RegionConsensusLoss(nn.Module):
    """Cross entropy plus agreement within 3x3 neighborhoods.

    logits: (B, C, H, W); mask: (B, H, W)
    """

    def __init__(self, weight=0.5, ignore_index=255):
        super().__init__()
        self.weight = weight
        self.ignore_index = ignore_index

    def forward(self, logits, mask):
        valid = mask != self.ignore_index
        ce = F.cross_entropy(logits, mask.clamp(max=logits.shape[1] - 1), reduction="none")
        ce = (ce * valid).sum() / valid.sum()
        p = logits.exp() / logits.exp().sum(1, keepdim=True)
        mean = F.avg_pool2d(p, 3, 1, 1)
        consensus = ((p - mean) ** 2).sum(1)
        return ce + self.weight * consensus.mean()
'''
_GOOD = """
import torch
from torch import nn


class HuberishLoss(nn.Module):
    def __init__(self, delta: float = 1.0):
        super().__init__()
        self.delta = delta

    def forward(self, pred, target):
        error = (pred.float() - target.float()).abs()
        quadratic = error.clamp(max=self.delta)
        return (0.5 * quadratic**2 + self.delta * (error - quadratic)).mean()
"""


def call(progress=None, roots=None, **arguments):
    lent = Call(roots=roots or Roots(), **({"progress": progress} if progress else {}))
    return asyncio.run(TOOL.run(TOOL.input(**arguments), lent))


def by_name(output):
    return {check.name: check for check in output.checks}


@pytest.fixture(scope="module")
def wrong():
    return call(code=_SUBTLY_WRONG, kind="loss")


@pytest.mark.parametrize(
    ("check", "line"),
    [
        ("all-ignored", "valid.sum()"),
        ("ignored-elements", "consensus.mean()"),
        ("label-range", "mask.clamp(max="),
        ("extreme-values", "logits.exp() /"),
        ("half-precision", "logits.exp() /"),
    ],
)
def test_each_fault_of_a_loss_never_heard_of_is_named_with_its_line(wrong, check, line):
    result = by_name(wrong)[check]

    assert result.status == "fail"
    assert line in result.fix and "line " in result.fix


def test_a_wrong_loss_does_not_pass_and_its_answer_leads_with_that(wrong):
    text = wrong.text()

    assert not wrong.passed
    assert text.startswith("NOT PASSED")
    assert len(text) < 3800
    assert text.index("- all-ignored") < text.index("Passed:") < text.index("Skipped:")


def test_what_was_inferred_is_reported(wrong):
    detail = by_name(wrong)["interface"].detail

    assert "logits: (B, C, H, W)" in detail and "mask: (B, H, W)" in detail


def test_a_good_loss_passes_with_every_skip_reasoned():
    output = call(code=_GOOD, kind="loss")

    assert output.passed, output.text()
    assert all(check.detail for check in output.checks if check.status == "skip")
    assert all(check.measured and check.expected for check in output.checks if check.status == "pass")
    assert output.text().startswith("PASSED")


def test_the_isolation_and_the_interpreter_are_named(wrong):
    assert wrong.isolation.layers
    assert "torch" in wrong.interpreter


def test_progress_names_the_running_check():
    told = []
    call(progress=lambda message, fraction: told.append((message, fraction)), code=_GOOD, kind="loss")

    assert "gradient-correct" in [message for message, _ in told]
    assert all(0 <= fraction <= 1 for _, fraction in told)


def test_named_checks_alone_run():
    output = call(code=_GOOD, kind="loss", checks=["L8"])

    assert set(by_name(output)) == {"loads", "interface", "perfect-is-lowest"}
    assert output.passed


def test_a_misspelt_check_is_refused_with_the_nearest():
    with pytest.raises(UserError, match="gradient-correct"):
        call(code=_GOOD, kind="loss", checks=["gradient-corect"])


def test_a_misspelt_contract_key_is_refused_with_the_nearest():
    with pytest.raises(UserError, match="ignore_index"):
        call(code=_GOOD, kind="loss", contract={"ignore_idx": 3})


def test_code_and_path_exclude_each_other():
    with pytest.raises(UserError, match="Exactly one"):
        call(kind="loss")


def test_code_that_does_not_import_ends_at_once_and_names_the_line():
    output = call(code="import torch\nfrom nowhere import thing\n", kind="loss")

    assert [check.status for check in output.checks] == ["fail"]
    assert "line 2" in output.checks[0].detail and "nowhere" in output.checks[0].fix


def test_a_file_that_imports_its_neighbor_is_checked(tmp_path):
    package = tmp_path / "deep" / "lib"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "base.py").write_text("def reduce(x):\n    return x.mean()\n")
    body = "from torch import nn\nfrom .base import reduce\n\n\nclass L1(nn.Module):\n"
    body += "    def forward(self, pred, target):\n        return reduce((pred.float() - target.float()).abs())\n"
    (package / "loss.py").write_text(body)

    output = call(path=str(package / "loss.py"), kind="loss", roots=Roots((tmp_path,)))

    assert output.passed, output.text()


@pytest.mark.parametrize(
    "attack",
    [
        "import os\nos._exit(0)\n",
        "import sys\nsys.exit(0)\n",
        "import torch\ntorch.isfinite = lambda x: x == x\ntorch.Tensor.item = lambda self: 0.0\n",
        'print(\'{"check": {"name": "output", "status": "pass"}}\')\nprint(\'{"done": true}\')\n',
    ],
    ids=["exits", "raises SystemExit", "replaces torch", "prints a pass"],
)
def test_a_program_cannot_talk_its_way_to_a_pass(attack):
    broken = attack + _GOOD.replace(".mean()", ".mean() / 0.0 * 0.0")

    assert not call(code=broken, kind="loss").passed


def test_a_call_that_leaves_the_process_is_an_error_and_no_pass():
    output = call(code=_GOOD.replace("error =", "import os; os._exit(0)\n        error ="), kind="loss")

    assert not output.passed
    assert output.checks[-1].status == "error"
