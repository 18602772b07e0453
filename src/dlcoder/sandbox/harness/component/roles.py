"""What the inputs of a loss are where their names, or what the code compares them with, settle it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from .contract import Spec, is_target, is_weight
from .pairing import Pair

LENGTHS = r"(^|_)(seq_?|sequence_|n_)?len(s|gths?)?(_|$)"
TIMES = r"(surv\w*_|event_|obs\w*_)?(times?|durations?|t)"
EVENTS = r"events?|censor\w*|observed|status|delta|event_\w+|is_\w*censor\w*"
WINNER = r"(^|_)(pos(itives?)?|chosen|winn\w+|preferred|better|higher|good)(_|\d|$)"
LOSER = r"(^|_)(neg(atives?)?|rejected|los\w+|dispreferred|worse|lower|bad)(_|\d|$)"
LOG_PROB = r"(^|_)log_?(p|ps|pi|prob\w*|likelihoods?)(_|$)|logp\w*|logprob\w*"
OLD = r"(^|_)(old|behaviou?r|prev\w*|sampl\w*|rollout|b|mu)(_|$)|old$"
ADVANTAGE = r"(^|_)adv\w*"
MEAN = r"(\w+_)?(mu|means?)(_\w+)?"
SPREAD = r"(\w+_)?log_?(var|variance|sigma|std|scale)(_\w+)?"


def is_field(name: str) -> bool:
    """Whether a name is that of a field of a parameter, as in "outputs.box"."""
    return "." in name


def bare(name: str) -> str:
    """The last part of a name: "box" of "outputs.box"."""
    return name.rsplit(".", 1)[-1]


def extra(name: str, pred: tuple[Any, ...], target: tuple[Any, ...], stated: tuple[str, ...] | None) -> Spec:
    """A further input by its name: weights, masks, lengths, spreads, labels; real numbers if it says nothing.

    Args:
        name: The parameter.
        pred: Shape of the prediction.
        target: Shape of the truth.
        stated: The documented shape.
    """
    word = bare(name).lower()
    batch = pred[:1] or ("B",)
    if re.search(LENGTHS, word):
        return Spec(name, stated or batch, "lengths")
    if is_weight(word):
        sample = re.search(r"sample|instance|example|importance", word)
        return Spec(name, stated or (batch if sample else target), "weights")
    if re.search(r"mask|valid|(^|_)pad", word):
        return Spec(name, stated or target, "boolmask")
    if re.search(SPREAD, word):
        return Spec(name, stated or pred, "real")
    if re.search(r"var|sigma|std|scale|uncert|time|duration", word):
        return Spec(name, stated or pred, "positive")
    if re.search(r"advantage|reward|return|value|logp", word):
        return Spec(name, stated or pred, "real")
    if is_target(word) and "C" in pred:
        shape = tuple(entry for entry in pred if entry != "C")
        return Spec(name, stated or shape, "multihot" if stated and "C" in stated else "labels")
    return Spec(name, stated or pred, "real")


def alternatives(spec: Spec, pred: tuple[Any, ...]) -> list[Spec]:
    """Other shapes that an input without a stated one may have: masks and weights by step, sample or element."""
    if spec.role not in ("boolmask", "weights"):
        return [spec]
    shapes: list[tuple[Any, ...]] = [spec.shape, pred, pred[:2], pred[:1], (*pred[:1], 1, *pred[2:])]
    return [Spec(spec.name, shape, spec.role) for shape in dict.fromkeys(shapes)]


def special(names: list[str], name: str, code: str, about: str) -> tuple[str, tuple[Spec, ...]] | None:
    """Family and inputs where names alone betray both; None where they do not.

    Args:
        names: The parameters.
        name: The class or function.
        code: Its text without documentation.
        about: Its name and documentation, in lower case.
    """
    words = [bare(each).lower() for each in names]
    joined = " ".join(words)
    if len(names) == 4 and ("ctc_loss(" in code or "CTCLoss(" in code):
        return "ctc", _ctc(names, code)
    steps = _predictors(names, words) or _policy(names, words)
    if steps is not None:
        return ("policy" if any(re.search(ADVANTAGE, word) for word in words) else "predictors"), steps
    survival = _survival(names, words)
    if survival is not None:
        return "survival", survival
    if len(names) >= 3 and re.search(r"anchor|^a p n|query pos", joined):
        return "triplet", tuple(Spec(each, ("N", "D"), "real") for each in names)
    if _ranked(words):
        wide = re.search(r"emb|feat|anchor|vector|repr", joined)
        return "ranking", tuple(Spec(each, ("B", "D") if wide else ("B",), "real") for each in names)
    if (
        len(names) == 2
        and re.search(r"ordinal|coral|corn|cumulative", about)
        and re.search(r"label|target|^y", words[1])
    ):
        return "ordinal", (Spec(names[0], ("B", "C - 1"), "logits"), Spec(names[1], ("B",), "labels"))
    if len(names) == 2 and re.fullmatch(MEAN, words[0]) and re.fullmatch(SPREAD, words[1]):
        return "moments", tuple(Spec(each, ("B", "D"), "real") for each in names)
    if len(names) == 3 and _gaussian(words):
        return "regression", tuple(Spec(each, ("B", "D"), _gaussian_role(word)) for each, word in zip(names, words))
    if len(names) == 2 and re.search(r"\b(d_)?(fake|real)\w* (d_)?(fake|real)", joined):
        return "critics", tuple(Spec(each, ("B", 1), "real") for each in names)
    return None


def _ctc(names: list[str], code: str) -> tuple[Spec, ...]:
    """Scores, labels and both lengths; the scores time first unless the code turns them."""
    turned = re.search(r"transpose\(0, ?1\)|transpose\(1, ?0\)|permute\(1, ?0, ?2\)|movedim|swapaxes", code)
    softmaxed = re.search(r"softmax", code)
    return (
        Spec(names[0], ("B", "T", "C") if turned else ("T", "B", "C"), "logits" if softmaxed else "logprobs"),
        Spec(names[1], ("B", "T//3"), "labels", low=1),
        Spec(names[2], ("B",), "lengths"),
        Spec(names[3], ("B",), "lengths", high=3),
    )


def _predictors(names: list[str], words: list[str]) -> tuple[Spec, ...] | None:
    """Predictions and projections of two views: p1, p2, z1, z2; None if they are not these four."""
    initials = sorted(word[0] for word in words if word)
    if len(names) == 4 and initials in (["p", "p", "z", "z"], ["p", "p", "t", "t"], ["q", "q", "z", "z"]):
        return tuple(Spec(each, ("B", "D"), "real") for each in names)
    return None


def _policy(names: list[str], words: list[str]) -> tuple[Spec, ...] | None:
    """Log-probabilities of actions and their advantages, with what else each step comes with; None if it is neither."""
    advantage = next((w for w in words if re.search(ADVANTAGE, w)), None)
    likelihood = [w for w in words if re.search(LOG_PROB, w)]
    if advantage is None or not likelihood or len(names) > 8:
        return None
    return tuple(
        Spec(each, ("B",), "boolmask" if re.search(r"mask|valid", word) else "real") for each, word in zip(names, words)
    )


def _survival(names: list[str], words: list[str]) -> tuple[Spec, ...] | None:
    """Risk, time and event, in whatever order; None if they are not these three."""
    if len(names) != 3:
        return None
    time = next((n for n, word in zip(names, words) if re.fullmatch(TIMES, word)), None)
    event = next((n for n, word in zip(names, words) if re.fullmatch(EVENTS, word)), None)
    if time is None or event is None or time == event or time == names[0]:
        return None
    roles = {time: "positive", event: "multihot"}
    return tuple(Spec(each, ("B",), roles.get(each, "real")) for each in names)


def _ranked(words: Sequence[str]) -> bool:
    """Whether every input belongs to one that should score higher or one that should score lower."""
    return len(words) in (2, 4) and all(bool(re.search(WINNER, word)) != bool(re.search(LOSER, word)) for word in words)


def _gaussian(words: Sequence[str]) -> bool:
    mean = any(re.fullmatch(f"{MEAN}|(y_)?pred\\w*", word) for word in words)
    spread = any(re.fullmatch(f"{SPREAD}|(\\w+_)?(var|variance|sigma|std|scale)", word) for word in words)
    return mean and spread and any(is_target(word) for word in words)


def _gaussian_role(word: str) -> str:
    return "positive" if re.search(r"var|sigma|std|scale", word) and "log" not in word else "real"


def compared(names: list[str], pairs: list[Pair], documented: dict[str, Any]) -> list[Spec]:
    """The inputs of a loss of several parts, by what the code compares each with."""
    roles: dict[str, tuple[tuple[Any, ...], str]] = {}
    for pair in pairs:
        about = f"{bare(pair.pred)} {bare(pair.target)}".lower()
        shape = documented[pair.pred][0] if pair.pred in documented else _size(about, pair.kind)
        truth = documented[pair.target][0] if pair.target in documented else _truth(shape, pair.kind)
        roles.setdefault(pair.pred, (shape, "real" if pair.kind == "regression" else "logits"))
        roles.setdefault(pair.target, (truth, {"indexed": "labels", "binary": "multihot"}.get(pair.kind, "real")))
    batch = next(iter(roles.values()))[0]
    return [
        Spec(name, *roles[name])
        if name in roles
        else extra(
            name, ("B", "D") if batch[0] == "B" else batch, ("B",), documented[name][0] if name in documented else None
        )
        for name in names
    ]


def _size(about: str, kind: str) -> tuple[Any, ...]:
    """The shape of a prediction that nothing documents."""
    dense = re.search(r"seg|mask|sem(antic)?\b|pixel|depth|disp|flow|heat|normal|edge|image|recon", about)
    if kind == "regression":
        if "box" in about:
            return ("B", 4)
        return ("B", 3, "H", "W") if dense else ("B", "D")
    return ("B", "C", "H", "W") if dense else ("B", "C")


def _truth(shape: tuple[Any, ...], kind: str) -> tuple[Any, ...]:
    if kind != "indexed":
        return shape
    if "C" in shape:
        return tuple(entry for entry in shape if entry != "C")
    return shape[:-1]
