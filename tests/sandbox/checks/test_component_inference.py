"""What a component takes is found out from its names, its documentation and by trying."""

import pytest
import torch

from dlcoder.sandbox.harness.component import main
from dlcoder.sandbox.harness.component.contract import Contract, read_spec
from dlcoder.sandbox.harness.component.source import Source


def run(code, kind, contract=None, checks=("interface",)):
    frames = []
    request = {"component": kind, "code": code, "filename": "code.py", "contract": contract or {}, "checks": checks}
    main(request, frames.append)
    assert frames[-1] == {"done": True}
    return {frame["check"]["name"]: frame["check"] for frame in frames if "check" in frame}


def loss(signature, body, doc=""):
    return (
        "import torch\nimport torch.nn.functional as F\nfrom torch import nn\n\n\n"
        f'def some_loss({signature}):\n    """{doc}"""\n    {body}\n'
    )


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (loss("logits, target", "return F.cross_entropy(logits, target)"), "logits: (B, C) logits; target: (B) labels"),
        (
            loss("logits, mask", "b, c, h, w = logits.shape\n    return F.cross_entropy(logits, mask)"),
            "mask: (B, H, W) labels",
        ),
        (loss("pred, target", "return F.mse_loss(pred, target)", "pred: (B, D), target: (B, D)"), "pred: (B, D) real"),
        (
            loss("logits, targets", "return F.binary_cross_entropy_with_logits(logits, targets)"),
            "targets: (B, C) multihot",
        ),
        (
            loss("anchor, positive, negative", "return F.triplet_margin_loss(anchor, positive, negative)"),
            "anchor: (N, D)",
        ),
        (
            loss("z1, z2", "return F.cross_entropy(z1 @ z2.T, torch.arange(len(z1)))"),
            "z2: (N, D) pair",
        ),
        (
            loss("mu, logvar", "return (mu**2 + logvar.exp() - 1 - logvar).sum(1).mean() / 2"),
            "logvar: (B, D) real",
        ),
    ],
)
def test_the_inputs_of_a_loss_are_inferred(code, words):
    checks = run(code, "loss")

    assert checks["interface"]["status"] == "pass"
    assert words in checks["interface"]["detail"]


def test_the_contract_overrides_what_would_be_inferred():
    code = loss("a, b", "return F.cross_entropy(a, b)")
    contract = {
        "inputs": {"a": {"shape": "B, C, H, W"}, "b": {"shape": ["B", "H", "W"], "dtype": "int64", "range": [0, "C"]}},
        "sizes": {"C": 3},
    }

    assert run(code, "loss", contract)["interface"]["detail"] == "Everything as the contract states it."


def test_an_input_that_cannot_be_guessed_is_asked_for_with_the_line_that_raised():
    code = loss("spline, knots", "return torch.linalg.cholesky(spline[:, :3, :3, 0, 0, 0]).sum()")
    result = run(code, "loss")["interface"]

    assert result["status"] == "fail"
    assert "contract.inputs" in result["fix"] and "line 8" in result["fix"]


def test_a_dataclass_of_settings_is_built_for_a_model():
    code = (
        "from dataclasses import dataclass\nfrom torch import nn\n\n\n@dataclass\nclass Config:\n    dim: int\n"
        "    depth: int = 2\n\n\nclass Net(nn.Module):\n    def __init__(self, config: Config):\n"
        "        super().__init__()\n        self.layers = nn.Sequential(*[nn.Linear(config.dim, config.dim)] * 1)\n\n"
        "    def forward(self, x):\n        return self.layers(x)\n"
    )

    assert "Config(dim=16" in run(code, "model")["interface"]["detail"]


def test_shapes_hold_symbols_and_arithmetic():
    contract = Contract.read({"sizes": {"H": 32}, "num_classes": 7})

    assert contract.shape(("B", "C", "H//4", 3)) == (4, 7, 8, 3)


def test_a_shape_cannot_hold_code():
    with pytest.raises(ValueError, match="arithmetic"):
        Contract.read({}).shape(["__import__('os').system('true')"])


@pytest.mark.parametrize(
    ("name", "value", "role"),
    [
        ("mask", {"shape": ["B"], "dtype": "int64", "range": [0, "C"]}, "labels"),
        ("input_ids", {"shape": ["B", "T"], "dtype": "int64", "range": [0, 50]}, "tokens"),
        ("target", {"shape": ["B"], "values": [0, 1]}, "multihot"),
        ("image", {"shape": ["B"], "range": [0, 1]}, "unit"),
        ("boxes", {"shape": ["N", 4]}, "boxes"),
        ("logits", ["B", "C"], "logits"),
    ],
)
def test_the_role_of_a_stated_input_follows_from_dtype_range_and_name(name, value, role):
    assert read_spec(name, value).role == role


def test_the_line_of_an_exception_is_the_users_not_the_librarys():
    text = "import torch\n\n\ndef f(x):\n    return x.view(-1, 7)\n"
    source = Source("code.py", text)
    space = {}
    exec(compile(text, "code.py", "exec"), space)
    with pytest.raises(RuntimeError) as caught:
        space["f"](torch.zeros(3))

    assert source.raised_at(caught.value) == "line 5 (`return x.view(-1, 7)`)"


def test_comments_and_docstrings_are_no_code_to_blame():
    source = Source("code.py", '"""x.detach()"""\n# y.detach()\nz = a.detach()\n')

    assert source.first(r"detach") == 3


def test_a_running_average_is_known_for_what_it_is():
    code = (
        "class AverageMeter:\n    def __init__(self):\n        self.sum = self.count = self.avg = 0\n"
        "    def update(self, val, n=1):\n        self.sum += val * n\n        self.count += n\n"
        "        self.avg = self.sum / self.count\n"
    )

    assert run(code, "metric", checks=("accumulation",))["accumulation"]["status"] == "pass"
    assert run(code.replace("val * n", "val"), "metric", checks=("accumulation",))["accumulation"]["status"] == "fail"


def test_a_detached_coefficient_is_taken_for_deliberate_and_a_detached_term_is_not():
    header = "import torch\n\n\ndef weighted_mse_loss(pred, target):\n    error = (pred - target) ** 2\n"
    factor = header + "    return ((-error).exp().detach() * error).mean()\n"
    term = header + "    return (error + error.detach() * 0 + (pred - target).abs().detach()).mean()\n"

    assert run(factor, "loss", checks=("gradient-correct",))["gradient-correct"]["status"] == "skip"
    assert run(term, "loss", checks=("gradient-flows",))["gradient-flows"]["status"] == "pass"


def test_a_loss_of_several_documented_outputs_gets_each_input_as_documented():
    code = loss(
        "logits, boxes, labels, target_boxes",
        "return F.cross_entropy(logits, labels) + F.smooth_l1_loss(boxes, target_boxes)",
        "logits: (B, C), boxes: (B, 4), labels: (B,) long, target_boxes: (B, 4)",
    )

    found = run(code, "loss")["interface"]

    assert (
        "logits: (B, C) logits; boxes: (B, 4) boxes; labels: (B) labels; target_boxes: (B, 4) boxes" in found["detail"]
    )


def test_elements_that_a_mask_leaves_out_need_not_be_learned():
    code = loss(
        "logits, labels, attention_mask",
        "each = F.cross_entropy(logits.transpose(1, 2), labels, reduction='none')\n"
        "    return (each * attention_mask).sum() / attention_mask.sum().clamp(min=1)",
        "logits (B, T, V), labels (B, T) int64, attention_mask (B, T) of 0/1.",
    )

    assert run(code, "loss", checks=("learns-target",))["learns-target"]["status"] == "pass"


@pytest.mark.parametrize(
    ("label", "inferred"),
    [
        ("target != 255", True),
        ("target == -100", True),
        ("target != VOID", True),
        ("target != 7", False),
    ],
)
def test_a_label_that_the_code_compares_the_target_with_is_ignored(label, inferred):
    body = f"keep = ({label})\n    return (logits.logsumexp(1)[keep]).mean()"
    code = loss("logits, target", body, "logits: (B, C, H, W), target: (B, H, W)") + "\n\nVOID = 255\n"

    assert ("ignore_index" in run(code, "loss")["interface"]["detail"]) is inferred


def test_a_label_that_the_code_refuses_is_not_ignored():
    body = "if (target == 255).any():\n        raise ValueError\n    return F.cross_entropy(logits, target)"
    code = loss("logits, target", body, "logits: (B, C), target: (B)")

    assert "ignore_index" not in run(code, "loss")["interface"]["detail"]


@pytest.mark.parametrize(
    ("words", "mask"),
    [
        ("mask: (B, T) bool, True where valid", "~mask"),
        ("mask: (B, T) bool, True = padding", "mask"),
        ("", "mask"),
        ("", "mask == 0"),
    ],
)
def test_a_mask_of_a_model_is_read_as_documented_or_as_it_works(words, mask):
    code = (
        "import torch\nfrom torch import nn\n\n\nclass Pool(nn.Module):\n"
        "    def __init__(self):\n        super().__init__()\n        self.head = nn.Linear(16, 3)\n\n"
        f'    def forward(self, x, mask):\n        """x: (B, T, 16). {words}"""\n'
        f"        scores = x.sum(-1).masked_fill({mask}, float('-inf'))\n"
        "        return self.head((scores.softmax(-1).unsqueeze(-1) * x).sum(1))\n"
    )

    found = run(code, "model", checks=("output", "padding"))

    assert {check["status"] for check in found.values()} == {"pass"}, found


def test_a_failed_check_comes_with_what_went_in_and_came_out():
    code = loss("logits, target", "return F.cross_entropy(logits, target, ignore_index=255)", "(B, C), (B)")
    frames = []

    main({"component": "loss", "code": code, "filename": "code.py", "checks": ["all-ignored"]}, frames.append)

    [failed] = [frame for frame in frames if "tensors" in frame]
    shown = {entry["tensor"]: entry for entry in failed["tensors"]}
    assert failed["check"]["name"] == "all-ignored"
    assert shown["output 0"]["nonfinite"] == 1
    assert shown["input target"]["mean"] == 255
    assert {"shape", "dtype", "min", "max", "std"} <= shown["input logits"].keys()


@pytest.mark.parametrize(
    ("kind", "name", "doc", "body", "words"),
    [
        (
            "loss",
            "giou_loss",
            "pred (N, 4), target (N, 4)",
            "return F.l1_loss(pred, target)",
            "pred: (N, 4) boxes; target: (N, 4) boxes",
        ),
        (
            "loss",
            "pinball_loss",
            "pred (B, Q), target (B)",
            "e = target[:, None] - pred\n    return (e * torch.where(e > 0, 0.9, -0.1)).mean()",
            "pred: (B, Q) real; target: (B) real",
        ),
        (
            "metric",
            "f1",
            "pred (N) in {0, 1}, target (N) in {0, 1}",
            "return 2 * (pred * target).sum() / (pred + target).sum()",
            "pred: (N) multihot; target: (N) multihot",
        ),
    ],
)
def test_documented_boxes_quantiles_and_decisions_are_no_real_numbers_classes_and_logits(kind, name, doc, body, words):
    code = loss("pred, target", body, doc).replace("some_loss", name)

    assert words in run(code, kind)["interface"]["detail"]


def test_the_symbol_q_counts_the_quantiles_of_the_constructor():
    code = (
        "import torch\nfrom torch import nn\n\n\nclass QuantileLoss(nn.Module):\n"
        "    def __init__(self, quantiles=(0.1, 0.5, 0.9)):\n        super().__init__()\n"
        "        self.register_buffer('q', torch.tensor(quantiles))\n\n    def forward(self, pred, target):\n"
        '        """pred (B, Q), target (B)."""\n        e = target[:, None] - pred\n'
        "        return torch.maximum(self.q * e, (self.q - 1) * e).mean()\n"
    )

    checks = run(code, "loss", checks=())
    assert "pred: (B, Q) real" in checks["interface"]["detail"]
    assert not [check for check in checks.values() if check["status"] in ("fail", "error")]


def test_integer_targets_of_several_outputs_are_labels():
    code = loss(
        "cls_logits, box_pred, cls_target, box_target",
        "return F.cross_entropy(cls_logits, cls_target) + F.l1_loss(box_pred, box_target)",
        "cls_logits (B, C), box_pred (B, 4), cls_target (B) integer, box_target (B, 4)",
    )

    assert "cls_target: (B) labels" in run(code, "loss")["interface"]["detail"]
