"""Published losses, models, metrics and training pieces, and what is known to be wrong with some of them.

`python tests/mutation/published_components.py` runs them all outside the sandbox (they are libraries of ours) and
prints what the checks say.
"""

import json
import os
import sys
import warnings
from dataclasses import dataclass, field
from typing import Any

_SEG = {
    "input": {"shape": ["B", "C", "H", "W"], "role": "logits"},
    "target": {"shape": ["B", "H", "W"], "dtype": "int64"},
}
_MAPS = {
    "input": {"shape": ["B", "C", "H", "W"], "role": "logits"},
    "target": {"shape": ["B", 1, "H", "W"], "dtype": "int64"},
}
_TOKENS = {"input_ids": {"shape": ["B", "T"], "dtype": "int64", "range": [0, 40], "role": "tokens"}}
_IMAGE = {"img": {"shape": ["B", 3, 16, 16], "range": [0, 1]}}
_SOFTMAX = {"to_onehot_y": True, "softmax": True}

_NAN = "cross entropy over no valid element is 0 / 0 in torch (pytorch#70348)"
_HALF = "sums of more than 65,504 pixels overflow in float16 (MONAI computes in the input's type)"
_SUM = "MONAI's 'sum' averages over the pixels first"
_GAMMA = "gamma below 1 has an infinite slope where p_t is 1"
_RISES = "a cosine that is not cut off rises again past its last step (pytorch#65342)"


@dataclass(frozen=True)
class Published:
    """A component of a library.

    Attributes:
        kind: Its kind.
        code: What a user would write to have it.
        contract: What he would say about it.
        known: Checks that fail for a reason, which is given.
    """

    kind: str
    code: str
    contract: dict[str, Any]
    known: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.code.split()[1]} {self.contract['target']}"


def _of(kind: str, module: str, name: str, known: dict[str, str] | None = None, **contract: Any) -> Published:
    return Published(kind, f"from {module} import {name}", {"target": name, **contract}, known or {})


def _transformer(config: str, model: str, arguments: str, **contract: Any) -> Published:
    build = f"def build_{model}():\n    return {model}({config}({arguments}))\n"
    code = f"from transformers import {config}, {model}\n\n\n{build}"
    return Published("model", code, {"target": f"build_{model}", **contract})


_TORCH = [
    _of("loss", "torch.nn", "CrossEntropyLoss", {"all-ignored": _NAN}),
    _of("loss", "torch.nn", "CrossEntropyLoss", {"all-ignored": _NAN}, inputs=_SEG, ignore_index=255),
    _of("loss", "torch.nn", "NLLLoss", {"all-ignored": _NAN}),
    _of("loss", "torch.nn", "BCEWithLogitsLoss"),
    _of("loss", "torch.nn", "BCELoss", inputs={
        "input": {"shape": ["B", "C"], "range": [0, 1]}, "target": {"shape": ["B", "C"], "values": [0, 1]}}),
    _of("loss", "torch.nn", "MSELoss"),
    _of("loss", "torch.nn", "L1Loss"),
    _of("loss", "torch.nn", "SmoothL1Loss"),
    _of("loss", "torch.nn", "HuberLoss"),
    _of("loss", "torch.nn", "TripletMarginLoss"),
    _of("loss", "torch.nn", "MultiLabelSoftMarginLoss"),
    _of("loss", "torch.nn", "MultiMarginLoss"),
    _of("loss", "torch.nn", "SoftMarginLoss"),
    _of("loss", "torch.nn", "PoissonNLLLoss"),
    _of("loss", "torch.nn", "GaussianNLLLoss"),
    _of("loss", "torch.nn", "CosineEmbeddingLoss"),
    _of("loss", "torch.nn", "KLDivLoss", init={"reduction": "batchmean"}, inputs={
        "input": {"shape": ["B", "C"], "role": "logprobs"}, "target": {"shape": ["B", "C"], "role": "probs"}}),
    _of("model", "torch.nn", "LSTM", init={"input_size": 8, "hidden_size": 16, "batch_first": True}),
    _of("model", "torch.nn", "TransformerEncoderLayer", init={"d_model": 16, "nhead": 2, "batch_first": True}),
    _of("model", "torch.nn", "MultiheadAttention", init={"embed_dim": 16, "num_heads": 2, "batch_first": True}, inputs={
        "query": {"shape": ["B", "T", 16]}, "key": {"shape": ["B", "T", 16]}, "value": {"shape": ["B", "T", 16]}}),
    _of("optimizer", "torch.optim", "AdamW"),
    _of("optimizer", "torch.optim", "SGD", init={"lr": 0.1}),
    _of("optimizer", "torch.optim", "RMSprop"),
    _of("optimizer", "torch.optim", "Adagrad"),
    _of("optimizer", "torch.optim.lr_scheduler", "CosineAnnealingLR", {"schedule-end": _RISES}),
    _of("optimizer", "torch.optim.lr_scheduler", "OneCycleLR"),
    _of("optimizer", "torch.optim.lr_scheduler", "StepLR", init={"step_size": 5}),
    _of("optimizer", "torch.optim.swa_utils", "AveragedModel"),
    _of("dataset", "torch.utils.data", "DistributedSampler"),
]  # fmt: skip
_MONAI = [
    _of("loss", "monai.losses", "DiceLoss", {"half-precision": _HALF}, init=_SOFTMAX),
    _of("loss", "monai.losses", "DiceCELoss", {"half-precision": _HALF}, init=_SOFTMAX),
    _of("loss", "monai.losses", "GeneralizedDiceLoss", {"half-precision": _HALF}, init=_SOFTMAX),
    _of("loss", "monai.losses", "TverskyLoss", init=_SOFTMAX),
    _of("loss", "monai.losses", "FocalLoss", {"reduction-modes": _SUM, "extreme-values": _GAMMA},
        init={"to_onehot_y": True, "use_softmax": True}, inputs=_MAPS),
    _of("loss", "monai.losses", "DiceFocalLoss", {"half-precision": _HALF}, init=_SOFTMAX),
    _of("loss", "monai.losses", "SSIMLoss", init={"spatial_dims": 2}),
    _of("loss", "monai.losses", "ContrastiveLoss"),
    _of("loss", "monai.losses", "BarlowTwinsLoss"),
    _of("model", "monai.networks.nets", "UNet", init={
        "spatial_dims": 2, "in_channels": 3, "out_channels": 5, "channels": [8, 16, 32], "strides": [2, 2]}),
    _of("model", "monai.networks.nets", "BasicUNet", init={
        "spatial_dims": 2, "in_channels": 3, "out_channels": 5, "features": [8, 8, 16, 16, 32, 8]}),
    _of("model", "monai.networks.nets", "SegResNet", init={
        "spatial_dims": 2, "init_filters": 8, "in_channels": 3, "out_channels": 5}),
    _of("model", "monai.networks.nets", "AttentionUnet", init={
        "spatial_dims": 2, "in_channels": 3, "out_channels": 5, "channels": [8, 16, 32], "strides": [2, 2]}),
    _of("model", "monai.networks.nets", "DynUNet", init={
        "spatial_dims": 2, "in_channels": 3, "out_channels": 5, "kernel_size": [3, 3, 3], "strides": [1, 2, 2],
        "upsample_kernel_size": [2, 2], "filters": [8, 16, 16]}),
]  # fmt: skip
_KORNIA = [
    _of("loss", "kornia.losses", "FocalLoss", {"ignored-divisor": "kornia divides by all pixels, the ignored ones too"},
        init={"alpha": 0.5, "reduction": "mean"}),
    _of("loss", "kornia.losses", "DiceLoss"),
    _of("loss", "kornia.losses", "TverskyLoss", init={"alpha": 0.5, "beta": 0.5}),
    _of("loss", "kornia.losses", "LovaszSoftmaxLoss"),
    _of("loss", "kornia.losses", "SSIMLoss", init={"window_size": 5}),
    _of("loss", "kornia.losses", "CharbonnierLoss", init={"reduction": "mean"}),
    _of("loss", "kornia.losses", "CauchyLoss", init={"reduction": "mean"}),
    _of("loss", "kornia.losses", "BinaryFocalLossWithLogits", init={"alpha": 0.5, "reduction": "mean"}),
    _of("loss", "kornia.losses", "TotalVariation", reduction="none", inputs=_IMAGE),
]  # fmt: skip
_PML = [
    _of("loss", "pytorch_metric_learning.losses", name)
    for name in (
        "NTXentLoss",
        "SupConLoss",
        "TripletMarginLoss",
        "ContrastiveLoss",
        "MultiSimilarityLoss",
        "CircleLoss",
    )
] + [
    _of("loss", "pytorch_metric_learning.losses", name, init={"num_classes": 5, "embedding_size": 16})
    for name in ("ArcFaceLoss", "ProxyNCALoss")
]
_TRANSFORMERS = [
    _transformer("GPT2Config", "GPT2LMHeadModel",
                 "vocab_size=40, n_positions=16, n_embd=32, n_layer=2, n_head=2, bos_token_id=1, eos_token_id=2",
                 causal=True, inputs=_TOKENS),
    _transformer("LlamaConfig", "LlamaForCausalLM",
                 "vocab_size=40, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2",
                 causal=True, inputs=_TOKENS),
    _transformer("BertConfig", "BertForSequenceClassification",
                 "vocab_size=40, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64, "
                 "max_position_embeddings=16, num_labels=5", inputs=_TOKENS),
    _transformer("ViTConfig", "ViTForImageClassification",
                 "image_size=32, patch_size=8, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, "
                 "intermediate_size=64, num_labels=5", inputs={"pixel_values": {"shape": ["B", 3, 32, 32]}}),
    _transformer("SegformerConfig", "SegformerForSemanticSegmentation",
                 "hidden_sizes=[8, 16, 16, 32], depths=[1, 1, 1, 1], num_attention_heads=[1, 1, 2, 2], "
                 "decoder_hidden_size=16, num_labels=5", inputs={"pixel_values": {"shape": ["B", 3, 64, 64]}}),
    _transformer("DistilBertConfig", "DistilBertModel",
                 "vocab_size=40, dim=32, n_layers=2, n_heads=2, hidden_dim=64, max_position_embeddings=16"),
    _transformer("ResNetConfig", "ResNetForImageClassification",
                 "embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type='basic', num_labels=5"),
    _of("optimizer", "transformers", "get_cosine_schedule_with_warmup", {"schedule-end": _RISES}),
    _of("optimizer", "transformers", "get_linear_schedule_with_warmup"),
]  # fmt: skip
_TORCHMETRICS = [
    _of("loss", "torchmetrics.functional.image", "total_variation", inputs=_IMAGE),
    _of("metric", "torchmetrics.classification", "MulticlassAccuracy", init={"num_classes": 5}),
    _of("metric", "torchmetrics.classification", "MulticlassJaccardIndex", init={"num_classes": 5}),
    _of("metric", "torchmetrics.classification", "MulticlassF1Score", init={"num_classes": 5}),
    _of("metric", "torchmetrics.classification", "MulticlassConfusionMatrix", init={"num_classes": 5}),
    _of("metric", "torchmetrics.classification", "BinaryAccuracy"),
    _of("metric", "torchmetrics.classification", "BinaryAUROC"),
    _of("metric", "torchmetrics", "MeanSquaredError"),
    _of("metric", "torchmetrics.image", "PeakSignalNoiseRatio"),
    _of("metric", "torchmetrics.text", "Perplexity"),
    _of("metric", "torchmetrics.regression", "PearsonCorrCoef",
        inputs={"preds": {"shape": ["B"]}, "target": {"shape": ["B"]}}),
]  # fmt: skip
LIBRARIES = {
    "torch": _TORCH,
    "monai": _MONAI,
    "kornia": _KORNIA,
    "pytorch_metric_learning": _PML,
    "transformers": _TRANSFORMERS,
    "torchmetrics": _TORCHMETRICS,
}
"""The components of every library, by the name that it is imported by."""


def accused(library: str) -> dict[str, dict[str, str]]:
    """What the checks find wrong with each component of a library: name -> check -> what was measured.

    Runs in this process, which should end afterwards: the harness changes what it runs in.
    """
    from dlcoder.sandbox.harness.component import main as harness

    found = {}
    for number, item in enumerate(LIBRARIES[library]):
        frames: list[dict[str, Any]] = []
        request = {"component": item.kind, "code": item.code, "contract": item.contract, "filename": "code.py"}
        harness(request, frames.append)
        checks = [frame["check"] for frame in frames if "check" in frame]
        bad = {check["name"]: check["measured"] for check in checks if check["status"] in ("fail", "error")}
        if not any(check["status"] == "pass" and check["name"] not in ("loads", "interface") for check in checks):
            bad.setdefault("nothing", "no check passed")
        found[f"{number} {item}"] = bad
    return found


def main() -> int:
    """Check the libraries that are named (all of them by default) and print the findings as JSON lines."""
    warnings.simplefilter("ignore")
    unexpected = 0
    for library in sys.argv[1:] or LIBRARIES:
        for (name, bad), item in zip(accused(library).items(), LIBRARIES[library], strict=True):
            unexpected += sum(check not in item.known for check in bad)
            print(json.dumps({"library": library, "component": name, "found": bad, "known": item.known}), flush=True)
    return int(unexpected > 0)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.exit(main())
