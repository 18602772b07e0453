"""What the tensors of a loss or a metric look like: candidates, ordered by what names, documentation and code say."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass, replace
from typing import Any

from . import roles
from .contract import Spec, is_embedding, is_prediction, is_target
from .pairing import Pair, pairs
from .source import Source


@dataclass(frozen=True)
class Layout:
    """One way in which a prediction and its truth go together.

    Attributes:
        name: The family.
        pred: Shape and role of the prediction.
        target: Shape and role of the truth.
        words: Patterns in the name of the target that speak for it.
        code: Patterns in its code that speak for it.
    """

    name: str
    pred: tuple[tuple[Any, ...], str]
    target: tuple[tuple[Any, ...], str]
    words: str = ""
    code: str = ""


_LABEL_CODE = r"cross_entropy|nll_loss|one_hot|\.long\(\)|gather\(|ignore_index|num_classes"
LAYOUTS = (
    Layout(
        "classes",
        (("B", "C"), "logits"),
        (("B",), "labels"),
        (r"cross|focal|smooth|(?<!gaussian_)(?<!poisson_)nll|classif|^ce|" r"accura|f1|precis|recall|top"),
        _LABEL_CODE,
    ),
    Layout(
        "pixels",
        (("B", "C", "H", "W"), "logits"),
        (("B", "H", "W"), "labels"),
        r"dice|tversky|lov|seg|jaccard|region|bound|pixel|ohem|iou|mask",
        (r"permute\(0, 2, 3, 1\)|dim=\(?2, ?3|dim=\(0, 2, 3\)|H, W|h, w|" r"height, width|flatten\(2\)"),
    ),
    Layout(
        "tokens",
        (("B", "T", "C"), "logits"),
        (("B", "T"), "labels"),
        r"token|lm|language|seq|causal|perplex",
        r"\[\.\.\., ?:-1|size\(-1\)|shift|\(1, 2\)|transpose\(1, ?2\)",
    ),
    Layout(
        "pixels1",
        (("B", "C", "H", "W"), "logits"),
        (("B", 1, "H", "W"), "labels"),
        r"dice|tversky|seg",
        r"to_onehot_y|\[:, 0\]|squeeze\(1\)",
    ),
    Layout(
        "onehot",
        (("B", "C", "H", "W"), "logits"),
        (("B", "C", "H", "W"), "onehot"),
        r"dice|tversky|seg|jaccard",
        r"dim=\(?2, ?3",
    ),
    Layout(
        "voxels", (("B", "C", 6, "H", "W"), "logits"), (("B", 6, "H", "W"), "labels"), r"3d|voxel|volum", r"\(2, 3, 4\)"
    ),
    Layout(
        "multilabel",
        (("B", "C"), "logits"),
        (("B", "C"), "multihot"),
        r"bce|binary|multi_?label|sigmoid|asymm",
        r"with_logits|logsigmoid|sigmoid\(",
    ),
    Layout(
        "binary",
        (("B",), "logits"),
        (("B",), "multihot"),
        r"bce|binary|hinge|average_precision|auroc|(?<![a-z])auc(?![a-z])",
        r"with_logits|logsigmoid|sigmoid\(",
    ),
    Layout(
        "binary-map",
        (("B", 1, "H", "W"), "logits"),
        (("B", 1, "H", "W"), "multihot"),
        r"binary.*(dice|seg|iou)|(dice|seg|iou|mask).*binary",
        r"sigmoid\(",
    ),
    Layout(
        "binary-squeezed",
        (("B", 1, "H", "W"), "logits"),
        (("B", "H", "W"), "multihot"),
        r"binary",
        r"squeeze\(1\)|unsqueeze\(1\)",
    ),
    Layout(
        "binary-plane",
        (("B", "H", "W"), "logits"),
        (("B", "H", "W"), "multihot"),
        r"binary|hinge",
        r"sigmoid\(",
    ),
    Layout(
        "binary-probs",
        (("B", "C"), "unit"),
        (("B", "C"), "multihot"),
        r"prob",
        r"binary_cross_entropy\(|torch\.log\((1|p)|\.log\(\)",
    ),
    Layout(
        "distill", (("B", "C"), "logits"), (("B", "C"), "logits"), r"distill|kd|kl|student|teacher", r"teacher|kl_div"
    ),
    Layout(
        "regression",
        (("B", "D"), "real"),
        (("B", "D"), "real"),
        (r"gaussian|laplace|mse|l1|l2|mae|huber|charb|rmse|smooth_?l1|log_?cosh|" r"quantile|pinball|regress|mape"),
        r"\.abs\(\)|- ?(self\.)?(target|y|gt)|mse_loss|l1_loss|\.pow\(2\)|\.square\(",
    ),
    Layout("counts", (("B", "D"), "real"), (("B", "D"), "counts"), r"poisson|count", r"poisson"),
    Layout(
        "images",
        (("B", 3, 32, 32), "unit"),
        (("B", 3, 32, 32), "unit"),
        r"ssim|psnr|percept|image|charb|gradient|edge|total_?var|restor",
        r"conv2d|avg_pool|window",
    ),
    Layout("boxes", (("N", 4), "boxes"), (("N", 4), "boxes"), r"box|iou", r"x1|xyxy|unbind\(|\[\.\.\., ?2"),
    Layout(
        "embeddings",
        (("N", "D"), "real"),
        (("N",), "ids"),
        r"contrast|supcon|triplet|metric|arc|proxy|center|margin",
        r"normalize|matmul|\.t\(\)|\.T\b|cdist",
    ),
    Layout(
        "pair",
        (("N", "D"), "real"),
        (("N", "D"), "pair"),
        r"info_?nce|nt_?xent|simclr|clip|barlow|vicreg|byol|simsiam|contrast|cosine",
        r"normalize|\.t\(\)|\.T\b",
    ),
    Layout("signs", (("B",), "real"), (("B",), "signs"), r"hinge|margin|rank", r"target \*|\* target|y \*"),
)
HARD = (
    Layout(
        "pixels-hard",
        (("B", "H", "W"), "labels"),
        (("B", "H", "W"), "labels"),
        r"iou|dice|seg|jaccard|confus",
        r"bincount|num_classes",
    ),
    Layout(
        "classes-hard",
        (("B",), "labels"),
        (("B",), "labels"),
        r"accura|f1|precis|recall|kappa|confus",
        r"bincount|num_classes|==",
    ),
    Layout(
        "binary-hard",
        (("B",), "multihot"),
        (("B",), "multihot"),
        r"binary|f1|precis|recall|sensitiv|specific",
        r"\w\.bool\(\)|== ?1\b|== ?0\b|logical_and|\* ?\(1 - |~\w",
    ),
)
"""Predictions that are labels already, which only metrics take."""
FAMILIES = {layout.name: layout for layout in LAYOUTS}
INDEXED = ("classes", "pixels", "tokens", "pixels1", "voxels")
BINARY = ("multilabel", "binary", "binary-map", "binary-squeezed", "binary-plane", "onehot", "binary-probs")
PER_SAMPLE = (*INDEXED, *BINARY, "regression", "images", "distill", "signs")


def family_of(pred: Spec | None, target: Spec | None) -> str:
    """The family that two given inputs belong to; empty if none."""
    if pred is None or target is None:
        return ""
    roles = (_role_class(pred.role), target.role)
    rank = (len(pred.shape), len(target.shape))
    if target.role == "labels" and pred.role == "real":
        return "embeddings" if rank == (2, 1) and is_embedding(pred.name) else ""
    if target.role == "labels":
        if rank[1] >= rank[0]:
            return "pixels1" if rank == (4, 4) else ""
        return {2: "classes", 3: "tokens", 4: "pixels", 5: "voxels"}.get(rank[0], "")
    if target.role in ("multihot", "boolmask", "unit") and roles[0] == "scores":
        if pred.role == "unit" and target.role == "unit":
            return "images"
        return {
            1: "binary",
            2: "multilabel",
            3: "binary-plane",
            4: "binary-map" if rank == (4, 4) else "binary-squeezed",
        }.get(rank[0], "")
    for layout in LAYOUTS:
        if layout.target[1] == target.role and _role_class(layout.pred[1]) == roles[0]:
            return layout.name
    return "regression" if roles == ("real", "real") else ""


def _role_class(role: str) -> str:
    return "scores" if role in ("logits", "unit", "probs", "logprobs") else role


@dataclass(frozen=True)
class Guess:
    """A candidate for all inputs of a call, and how much speaks for it."""

    family: str
    specs: tuple[Spec, ...]
    score: float
    pairs: tuple[Pair, ...] = ()


def guesses(
    parameters: list[inspect.Parameter], name: str, source: Source, layouts: tuple[Layout, ...] = LAYOUTS
) -> list[Guess]:
    """Candidates for the inputs of a call, the likeliest first.

    Args:
        parameters: What the call takes and must be given.
        name: The name of the class or function.
        source: Its text.
        layouts: What to try.
    """
    names = [p.name for p in parameters]
    documented = documented_shapes(parameters, source)
    special = _special(names, name, source, documented)
    if special is not None:
        return [special]
    several = _all_documented(names, documented) if len(names) > 3 else None
    parts = None if several else _of_parts(names, source, documented)
    if parts is not None:
        return [parts]
    found = [
        _with_extras(layout, names, documented, _score(layout, name, names, source, documented)) for layout in layouts
    ]
    found.sort(key=lambda guess: -guess.score)
    if documented:
        given = _from_documents(names, documented, name, source)
        found = ([given] if given else []) + found
    return [other for guess in ([several] if several else []) + found for other in _variants(guess, documented)]


def _special(names: list[str], name: str, source: Source, documented: dict[str, Any]) -> Guess | None:
    """Families that names alone betray, in the documented shapes."""
    found = roles.special(names, name, source.code(), f"{name} {source.docs()}".lower())
    if found is not None:
        family, specs = found
        kept = ("ctc", "critics", "moments", "ordinal")
        shaped = [
            replace(s, shape=documented[s.name][0]) if s.name in documented and family not in kept else s for s in specs
        ]
        return Guess(family, tuple(shaped), 9)
    joined = " ".join(names).lower()
    real = ("N", "D")
    signed = re.match(
        r"(x|input|emb\w*?|feat\w*?|out\w*?)_?1 (x|input|emb\w*?|feat\w*?|out\w*?)_?2 (target|y|labels?)$", joined
    )
    if signed and len(names) == 3:
        shape = ("N",) if "rank" in name.lower() else real
        return Guess(
            "signed-pair",
            (Spec(names[0], shape, "real"), Spec(names[1], shape, "real"), Spec(names[2], ("N",), "signs")),
            9,
        )
    if len(names) == 1:
        return Guess("single", (Spec(names[0], ("B", "D"), "real"),), 1)
    if not names:
        return Guess("none", (), 1)
    return None


def _of_parts(names: list[str], source: Source, documented: dict[str, Any]) -> Guess | None:
    """The inputs of a loss of several parts: fields of dictionaries, or more than one pair that the code compares."""
    fields = any(map(roles.is_field, names))
    found = pairs(source.node_in_focus() or source.tree, list(dict.fromkeys(n.split(".")[0] for n in names)))
    found = [pair for pair in found if pair.pred in names and pair.target in names]
    if not found or not (fields or (len(names) >= 4 and len(found) >= 2)):
        return None
    family = {"binary": "multilabel", "indexed": "classes"}.get(found[0].kind, found[0].kind)
    return Guess(family, tuple(roles.compared(names, found, documented)), 9, tuple(found))


def _variants(guess: Guess, documented: dict[str, Any]) -> list[Guess]:
    """A candidate, and the same with its masks and weights in other shapes that nothing documents."""
    if len(guess.specs) < 3:
        return [guess]
    found = []
    for choice in range(5):
        specs = [*guess.specs[:2]]
        for spec in guess.specs[2:]:
            options = [spec] if spec.name in documented else roles.alternatives(spec, guess.specs[0].shape)
            specs.append(options[min(choice, len(options) - 1)])
        found.append(replace(guess, specs=tuple(specs)))
    return list(dict.fromkeys(found))


_VIEWS = re.compile(
    r"^((z|h|p|q|x|f|emb|view|out|feat\w*|proj\w*|embeddings?)_?(1|a|i)|first(_\w+)?|queries|query)$", re.I
)


def _score(layout: Layout, name: str, names: list[str], source: Source, documented: dict[str, Any]) -> float:
    code = source.code()
    score = 2.0 if layout.words and re.search(layout.words, _snake(name)) else 0.0
    score += 1.0 if layout.code and re.search(layout.code, code) else 0.0
    unpacked = unpacked_rank(code, names)
    if unpacked:
        score += 3.0 if unpacked == len(layout.pred[0]) else -2.0
    first, second = names[0], names[1]
    if is_embedding(first) and is_target(second):
        score += 4.0 if layout.name == "embeddings" else 0.0
    elif _VIEWS.match(first) or re.search(r"image.*text|query.*key", f"{first} {second}"):
        score += 4.0 if layout.name == "pair" else 0.0
    elif "teacher" in second or "teacher" in first:
        score += 4.0 if layout.name == "distill" else 0.0
    elif layout.name in ("embeddings", "pair", "boxes"):
        score -= 1.0
    if "box" in first or "box" in second:
        score += 4.0 if layout.name == "boxes" else 0.0
    if re.search(r"labels?$|mask", second) and layout.target[1] == "labels":
        score += 0.5
    if "mask" in second and len(layout.target[0]) >= 3:
        score += 0.5
    return score + _score_of_pred(layout, first)


def _score_of_pred(layout: Layout, name: str) -> float:
    """What a prediction's name says: scores are no decisions, and probabilities lie between 0 and 1."""
    if re.search(r"prob|score|logit|conf", name) and layout.pred[1] in ("labels", "multihot"):
        return -4.0
    return 2.0 if re.search(r"prob", name) and layout.pred[1] == "unit" else 0.0


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def unpacked_rank(code: str, names: list[str]) -> int:
    """The number of dimensions that the code unpacks a prediction into, as in `b, c, h, w = logits.shape`."""
    for left, name in re.findall(r"^\s*([\w, *]+?)\s*=\s*(\w+)\.(?:shape|size\(\))\s*$", code, re.M):
        if name == names[0] and "," in left and "*" not in left:
            return int(left.count(",")) + 1
    return 0


_ENTRY = r"(?:[A-Za-z]\w*|\d+)(?:\s*[-+*/]{1,2}\s*\w+)?"
_SHAPE = re.compile(rf"[(\[]\s*{_ENTRY}(?:\s*[,x]\s*{_ENTRY})*\s*,?\s*[)\]]")
_WORDS = {
    "B": r"batch(_?size)?|bs|bsz|batches",
    "C": r"(num_?|n_?)?(class(es)?|labels)|vocab(_?size)?|ncls|num_?cls",
    "T": r"(forecast_?)?horizon|pred_?len|look_?back|frames|"
    r"seq(_?len(gth)?)?|sequence(_length)?|length|time(_?steps?)?|steps|t(_?max)?|max_len",
    "H": r"height",
    "W": r"width",
    "D": r"(embed(ding)?_?|hidden_?|feat(ure)?_?|model_?)?(dims?|size)|features?|channels|d_model|(n_)?mels|embed",
    "Q": r"(n_?|num_?)?quantiles?",
}
"""Words that documented shapes use in place of a symbol."""


_CODE = re.compile(r"^\s*(def|class|return|if|for|assert)\b|^\s*[\w.\[\], ]+[-+*/|&]?=[^=]|>>>|=\s*[\w.]+\(")


def documented_shapes(parameters: list[inspect.Parameter], source: Source) -> dict[str, Any]:
    """Shapes that the documentation or jaxtyping annotations state for parameters: name -> (shape, line)."""
    found: dict[str, Any] = {}
    body = source.body()
    for parameter in parameters:
        annotated = re.search(r"\[.*?Tensor,\s*[\"']([^\"']+)[\"']\s*\]", str(parameter.annotation))
        if annotated:
            found[parameter.name] = (tuple(annotated.group(1).upper().split()), str(parameter.annotation))
            continue
        stem = parameter.name.split("_")[0]
        shared = sum(other.name.split("_")[0] == stem for other in parameters) > 1
        for name in (parameter.name, stem) if shared else (parameter.name,):
            stated = _stated_shape(name, body)
            if stated is not None:
                found[parameter.name] = stated
                break
    return found


def _stated_shape(name: str, body: str) -> tuple[tuple[str, ...], str] | None:
    """The shape that a comment or a line of documentation gives after a name, and the line."""
    for line in re.findall(rf"^.*\b{re.escape(name)}\b.*$", body, re.M):
        line = line.split("#", 1)[1] if "#" in line else line
        parts = re.split(rf"\b{re.escape(name)}\b", line, maxsplit=1)
        shape = _shape_in(parts[1]) if len(parts) > 1 else None
        if shape and not _CODE.search(line):
            return shape, line
    return None


def _shape_in(text: str) -> tuple[str, ...] | None:
    for match in _SHAPE.finditer(text):
        parts = [p.strip() for p in re.split(r",|\sx\s", match.group(0).strip("()[] ")) if p.strip()]
        if len(parts) == 1 and " x " not in text and re.fullmatch(r"[A-Z]( ?x ?\w)+", parts[0]):
            parts = parts[0].split("x")
        symbols = [_symbol(part) for part in parts]
        wordy = any(not re.fullmatch(r"[A-Z]\w?|\d+|[a-z]", part) for part in parts)
        if all(symbols) and (not wordy or symbols[0] in ("B", "N")):
            return tuple(symbols)
    return None


def _symbol(part: str) -> str:
    """A documented entry as a symbol, a number or arithmetic on them; empty if it is a plain word."""
    if re.fullmatch(r"[A-Z]\w?|\d+|[bchwntdk]", part):
        return part.upper()
    if re.fullmatch(r"[A-Z]\s*([-+*]|//)\s*\d+", part):
        return part
    return next((symbol for symbol, words in _WORDS.items() if re.fullmatch(words, part.lower())), "")


_INDICES = r"int64|long|class ind|indices|class label"
_INTEGERS = r"\bintegers?\b|\bint\b|(?<!soft )(?<!soft-)\blabels?\b"
_ZERO_ONE = r"\{0, ?1\}"


def _documented_special(names: list[str], documented: dict[str, Any], name: str, source: Source) -> Layout | None:
    """Layouts that the documented shapes and words settle at once: boxes, quantiles, binary decisions."""
    pred, line = documented[names[0]]
    target, target_line = documented[names[1]]
    about = " ".join([name, *names, source.docs()]).lower()
    words, target_words = _words_after(names[0], line, names), _words_after(names[1], target_line, names)
    if len(pred) == 2 and pred[1] == "4" and target == pred and re.search(r"box|iou(?![rs])", about):
        return replace(FAMILIES["boxes"], pred=(pred, "boxes"), target=(target, "boxes"))
    continuous = re.search(r"quantile|pinball|regress", about) and "C" not in pred and not is_embedding(names[0])
    if continuous and target == pred[:-1] and not re.search(f"{_INDICES}|{_INTEGERS}", target_words):
        return Layout("quantiles", ((*pred[:-1], "Q"), "real"), (target, "real"))
    decided = words if _shape_in(words.upper()) else target_words
    if pred == target and re.search(_ZERO_ONE, decided) and re.search(_ZERO_ONE, target_words):
        return replace(HARD[-1], pred=(pred, "multihot"), target=(target, "multihot"))
    return None


def _target_role(line: str, words: str) -> str:
    """What a documented line makes of the truth, of as many dimensions as the prediction; empty if it says nothing."""
    if re.search(_INDICES, line):
        return "labels"
    if re.search(r"one[- ]?hot", line):
        return "onehot"
    if re.search(r"binary|\{0, ?1\}|0/1|0 or 1|multi-?hot|\bin 0, 1\b", line):
        return "multihot"
    return "labels" if re.search(_INTEGERS, words) else ""


def _words_after(name: str, line: str, names: list[str]) -> str:
    """What a line says after a name, up to the next name, in lower case."""
    others = "|".join(re.escape(other) for other in names if other != name)
    return re.split(rf"\b(?:{others})\b", re.split(rf"\b{re.escape(name)}\b", line, maxsplit=1)[-1])[0].lower()


def _from_documents(names: list[str], documented: dict[str, Any], name: str, source: Source) -> Guess | None:
    """The inputs as the documentation states them, if it states prediction and truth."""
    if names[0] not in documented or names[1] not in documented:
        return None
    pred_shape, pred_line = documented[names[0]]
    target_shape, target_line = documented[names[1]]
    special = _documented_special(names, documented, name, source)
    if special is not None:
        return _with_extras(special, names, documented, 8.0)
    fewer = len(target_shape) < len(pred_shape)
    target_role = "labels" if fewer else _target_role(target_line.lower(), _words_after(names[1], target_line, names))
    if not fewer and not target_role and _is_regression(pred_shape, name, source):
        shaped = Layout("regression", (pred_shape, "real"), (target_shape, "real"))
        return _with_extras(shaped, names, documented, 8.0)
    candidates = [la for la in LAYOUTS if len(la.pred[0]) == len(pred_shape) and len(la.target[0]) == len(target_shape)]
    if target_role == "labels" and is_embedding(names[0]):
        target_role = "ids"
    if target_role:
        candidates = [layout for layout in candidates if layout.target[1] == target_role]
    if not candidates:
        return None
    if _VIEWS.match(names[0]):
        candidates = [layout for layout in candidates if layout.name == "pair"] or candidates
    best = max(candidates, key=lambda layout: _score(layout, name, names, source, documented))
    role = "unit" if re.search(r"probabilit", pred_line.lower()) and best.pred[1] == "logits" else best.pred[1]
    shaped = replace(best, pred=(pred_shape, role), target=(target_shape, target_role or best.target[1]))
    return _with_extras(shaped, names, documented, 8.0)


def _is_regression(pred: tuple[str, ...], name: str, source: Source) -> bool:
    """Whether a loss of two inputs of one shape compares numbers: by its name, else by its code."""
    layout = FAMILIES["regression"]
    if pred[0] not in ("B", "T") or "C" in pred or (len(pred) == 4 and pred[1] in ("1", "3")):
        return False
    binary = re.search(r"sigmoid|bce|binary_cross|dice|focal|one_hot", source.code(), re.I)
    return bool(re.search(layout.words, _snake(name)) or (re.search(layout.code, source.code()) and not binary))


def _all_documented(names: list[str], documented: dict[str, Any]) -> Guess | None:
    """The inputs of a loss of several outputs, if the documentation states every shape and one pair is classed."""
    if any(name not in documented for name in names):
        return None
    specs = {name: _stated(name, documented, names) for name in names}
    pred = next((spec for name, spec in specs.items() if is_prediction(name)), None)
    target = next((spec for name, spec in specs.items() if is_target(name)), None)
    family = family_of(pred, target)
    return Guess(family, tuple(specs.values()), 9.0) if family else None


def _stated(name: str, documented: dict[str, Any], names: list[str]) -> Spec:
    """One input by its documented shape and the words that follow its name."""
    shape, line = documented[name]
    words = _words_after(name, line, names)
    binary = re.search(rf"one[- ]?hot|binary|multi-?hot|{_ZERO_ONE}", words)
    if is_target(name) and (re.search(_INDICES, words) or (re.search(_INTEGERS, words) and not binary)):
        return Spec(name, shape, "labels")
    if "box" in name:
        return Spec(name, shape, "boxes")
    if is_prediction(name) and "C" in shape:
        return Spec(name, shape, "logits")
    return roles.extra(name, shape, shape, shape)


def _with_extras(layout: Layout, names: list[str], documented: dict[str, Any], score: float) -> Guess:
    """Specs for the two main inputs and whatever else the call must be given."""
    specs = [Spec(names[0], *layout.pred), Spec(names[1], *layout.target)]
    if is_target(names[0]) and is_prediction(names[1]) and not is_prediction(names[0]):
        specs = [Spec(names[0], *layout.target), Spec(names[1], *layout.pred)]
    for name in names[2:]:
        stated = documented[name][0] if name in documented else None
        specs.append(roles.extra(name, layout.pred[0], layout.target[0], stated))
    return Guess(layout.name, tuple(specs), score)
