"""Checks of a model's output: shape, determinism, independence of samples, causality."""

from __future__ import annotations

import re
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import judge
from .call import signature_of
from .core import Battery, Broken, Measured, Skip, reseed
from .model import Inputs, ModelCase
from .trace import divergence, nonfinite_line, traced
from .values import MASK_ROLES, as_mask

BATTERY: Battery[ModelCase] = Battery("model")
check = BATTERY.check


@check("output")
def output(case: ModelCase) -> Measured:
    """Finite outputs of the declared shape, in both modes."""
    inputs = case.inputs()
    found = case.outputs(case.evaluated, inputs)
    for mode, model in (("eval", case.evaluated), ("train", case.fresh().train())):
        try:
            values = case.outputs(model, inputs)
        except ValueError as error:
            if "more than 1 value" in str(error):
                continue
            raise
        if not all(judge.finite(value) for value in values):
            where = nonfinite_line(case.source, lambda m=model: case.call(m, inputs))  # type: ignore[misc]
            where = where or case.source.point(r"softmax|/|sqrt|log|masked_fill")
            raise Broken("nan or inf", "finite", f"In {mode} mode the output is not finite.", f"Correct {where}.")
    shapes = ", ".join(str(tuple(value.shape)) for value in found[:4])
    _declared_shape(case, found)
    return Measured(shapes, "finite, of the declared shape" if case.contract.get("output") else "finite")


def _declared_shape(case: ModelCase, found: list[Tensor]) -> None:
    declared = case.contract.get("output")
    shape = declared.get("shape") if isinstance(declared, dict) else declared
    head = case.source.point(
        r"(head|fc|classifier|out\w*|proj\w*)\s*=\s*nn\.", r"nn\.Linear|nn\.Conv2d\(.*1\)", r"return"
    )
    if isinstance(shape, (list, tuple)):
        wanted = case.contract.shape(shape)
        if tuple(found[0].shape) != wanted:
            raise Broken(
                f"{tuple(found[0].shape)}", f"{wanted}", "The output has another shape than stated.", f"Check {head}."
            )
        return
    for name in ("num_classes", "n_classes", "num_labels", "vocab_size"):
        value = case.builder.arguments.get(name)
        if name == "vocab_size" and (found[0].dim() != 3 or "num_classes" in case.builder.arguments):
            continue
        if isinstance(value, int) and value not in [s for o in found for s in o.shape]:
            why = f"No dimension of the output is {name}={value}."
            raise Broken(str(tuple(found[0].shape)), f"a dimension of {value}", why, f"Check {head}.")


@check("inputs-untouched")
def inputs_untouched(case: ModelCase) -> Measured:
    """No input changes, in either mode."""
    for model in (case.evaluated, case.fresh().train()):
        inputs = case.inputs()
        before = {name: value.clone() for name, value in inputs.items()}
        with torch.no_grad():
            try:
                case.call(model, inputs)
            except ValueError:
                continue
        changed = [name for name in inputs if not judge.identical(inputs[name], before[name])]
        if changed:
            again = {name: value.clone() for name, value in before.items()}
            with torch.no_grad():
                trace = traced(case.source, lambda m=model, a=again: case.call(m, a), tuple(again.values()))  # type: ignore[misc]
            where = (
                case.source.quote(trace.written) if trace.written else case.source.point(r"inplace=True|\w_\(|[-+*/]=")
            )
            raise Broken(
                f"{', '.join(changed)} changed",
                "unchanged",
                "The caller's tensor is written to: a second use of the batch sees other values.",
                f"Write out of place at {where}: y = x + ..., or inplace=False on the first activation.",
            )
    return Measured("unchanged", "unchanged")


@check("eval-deterministic")
def eval_deterministic(case: ModelCase) -> Measured:
    """Two calls in eval mode, with the random generator moving on."""
    inputs = case.inputs()
    model = case.evaluated
    gap = _two_calls(case, model, inputs)
    if gap == 0:
        return Measured("equal", "equal")
    if case.contract.get("stochastic"):
        raise Skip("the contract says that it draws random numbers")
    if not _drops(case, model, inputs) and _samples(case):
        raise Skip("it samples by design")
    where = _drawing_line(case, inputs) or case.source.point(
        r"F\.dropout\((?!.*training\s*=\s*self\.training)", r"training=True", r"\brand|bernoulli", r"self\.\w+ ="
    )
    raise Broken(
        f"outputs differ by {gap:.3g}",
        "equal",
        "The model is random in eval mode.",
        f"Switch it off in eval at {where}: training=self.training, or nn.Dropout, or `if self.training:`.",
    )


def _drawing_line(case: ModelCase, inputs: Inputs) -> str:
    """The first line that draws random numbers in eval mode."""
    with torch.no_grad():
        trace = traced(case.source, lambda: case.call(case.evaluated, inputs))
    draws = [
        line
        for name, line in trace.calls
        if line and re.search(r"rand|dropout|bernoulli|normal_|uniform_|multinomial", name)
    ]
    return case.source.quote(draws[0]) if draws else ""


def _two_calls(case: ModelCase, model: Any, inputs: Inputs) -> float:
    reseed(1)
    with torch.no_grad():
        first = case.graph_outputs(model, inputs)
        second = case.graph_outputs(model, inputs)
    return max([judge.distance(a, b) for a, b in zip(first, second)] + [0.0])


def _drops(case: ModelCase, model: Any, inputs: Inputs) -> bool:
    """Whether the randomness vanishes with functional dropout."""
    saved = F.dropout
    F.dropout = lambda x, *args, **kwargs: x
    try:
        return _two_calls(case, model, inputs) == 0
    finally:
        F.dropout = saved


def _samples(case: ModelCase) -> bool:
    name = case.builder.target.__name__ if hasattr(case.builder.target, "__name__") else ""
    generative = re.search(r"vae|variational|diffusion|noise|sampl|stochastic|bayes|mae|mask|gumbel|flow", name, re.I)
    gaussian = case.source.first(r"randn|normal_|rsample|\.sample\(")
    return bool(generative or (gaussian and case.source.mentions(("sampl", "noise", "reparam", "random"))))


@check("inputs-count")
def inputs_count(case: ModelCase) -> Measured:
    """Another value of any input gives another output."""
    inputs = case.inputs()
    base = case.outputs(case.evaluated, inputs)
    for spec in case.specs:
        if not any(_moves(case, base, inputs, spec.name, seed) for seed in (51, 52)):
            line = case.source.point(rf"def forward\b.*\b{spec.name}\b", rf"\b{spec.name}\b")
            raise Broken(
                f"{spec.name} changes nothing",
                "another output",
                f"The output is the same for another {spec.name}.",
                f"Use {spec.name} in forward ({line}).",
            )
    return Measured(f"{len(case.specs)} inputs count", "every input changes the output")


def _moves(case: ModelCase, base: list[Tensor], inputs: Inputs, name: str, seed: int) -> bool:
    other = case.inputs(seed)[name]
    if case.spec(name).role == "lengths":
        other = (inputs[name] - 1).clamp(min=1)
    if judge.identical(other, inputs[name]):
        other = 1 - other if other.dtype == torch.int64 else (~other if other.dtype == torch.bool else other)
    got = case.outputs(case.evaluated, {**inputs, name: other})
    return any(judge.distance(a, b) > 0 for a, b in zip(base, got)) or len(base) != len(got)


@check("batch-independence")
def batch_independence(case: ModelCase) -> Measured:
    """Changing one sample leaves the outputs of the others."""
    inputs = case.inputs()
    base = case.outputs(case.evaluated, inputs)
    chosen = case.batched(base)
    other = case.inputs(77)
    mixed = {}
    for name, value in inputs.items():
        mixed[name] = value.clone()
        if value.shape[0] == case.batch:
            # Far from what it was: a mean over the batch shows even where a layer damps it.
            far = case.spec(name).role == "real" and value.is_floating_point()
            mixed[name][0] = other[name][0] * 3 + 1 if far else other[name][0]
    got = case.outputs(case.evaluated, mixed)
    gap = max(judge.distance(base[i][1:], got[i][1:]) for i in chosen)
    gap = max(gap, _reordered(case, inputs, base, chosen))
    if gap <= 1e-4 * case.scale(base):
        return Measured(f"others move by {gap:.1g}", "<= 1e-4 relative")
    where = _mixing_line(case, inputs, mixed) or case.source.point(
        r"(mean|sum|std|var|max|softmax|norm|cat|cumsum)\(.*(dim|axis)\s*=\s*\(?0\b",
        r"\.(mean|std|var)\(0",
        r"track_running_stats=False|batch_norm\(",
        r"batch_first",
        r"(?<!\()\b(view|reshape)\(",
        r"transpose|permute|\.roll\(",
    )
    raise Broken(
        f"other samples move by {gap:.3g}",
        "0",
        "In eval mode a sample's output depends on the other samples of the batch.",
        f"Keep the batch dimension apart at {where}.",
    )


def _mixing_line(case: ModelCase, inputs: Inputs, mixed: Inputs) -> str:
    """The first call after which a sample that was left alone differs."""
    size = case.batch

    def tells(a: Tensor, b: Tensor) -> bool:
        if not a.is_floating_point() or not a.dim() or a.shape[0] % size or a.shape[0] == 0:
            return False
        each = a.shape[0] // size
        return judge.distance(a[each:], b[each:]) > 1e-5 * (1 + judge.max_abs(a))

    def run(given: Inputs) -> None:
        with torch.no_grad():
            case.call(case.evaluated, {name: value.clone() for name, value in given.items()})

    return divergence(case.source, lambda: run(inputs), lambda: run(mixed), tells)


def _reordered(case: ModelCase, inputs: Inputs, base: list[Tensor], chosen: list[int]) -> float:
    """How far outputs move when the samples change places: each must follow its sample."""
    order = torch.roll(torch.arange(case.batch), 1)
    moved = {n: v[order] if v.dim() and v.shape[0] == case.batch else v for n, v in inputs.items()}
    got = case.outputs(case.evaluated, moved)
    drew = torch.get_rng_state()
    reseed()
    if not torch.equal(drew, torch.get_rng_state()):
        return 0.0  # noise is drawn by place, not by sample
    if [value.shape for value in got] != [value.shape for value in base]:
        return 0.0
    return max(judge.distance(base[i][order], got[i]) for i in chosen)


@check("batch-size")
def batch_size(case: ModelCase) -> Measured:
    """A sample alone gives what it gives in the batch."""
    inputs = case.inputs()
    base = case.outputs(case.evaluated, inputs)
    chosen = case.batched(base)
    if any(value.shape[0] != case.batch for value in inputs.values()):
        raise Skip("not every input has the batch as its first dimension")
    if _two_calls(case, case.evaluated, inputs) > 0:
        raise Skip("it is random in eval mode (see eval-deterministic)")
    try:
        alone = case.outputs(case.evaluated, {name: value[:1] for name, value in inputs.items()})
    except Exception as error:
        line = case.source.raised_at(error) or "the call"
        fix = (
            f"Take the batch size from x.shape[0] instead of a constant, and no squeeze() without a dimension ({line})."
        )
        raise Broken(
            f"{type(error).__name__}: {error}", "no exception", f"A batch of one raises at {line}.", fix
        ) from error
    where = case.source.point(r"squeeze\(\)", r"\.mean\(0|dim=0", r"view\(|reshape\(")
    for i in chosen:
        if tuple(alone[i].shape) != (1, *base[i].shape[1:]):
            fix = f"Name the dimension at {where}."
            raise Broken(
                str(tuple(alone[i].shape)), str((1, *base[i].shape[1:])), "A batch of one loses its batch.", fix
            )
    gap = max(judge.distance(base[i][:1], alone[i]) for i in chosen)
    if gap <= 1e-4 * case.scale(base):
        return Measured(f"difference {gap:.1g}", "<= 1e-4 relative")
    why = "A sample alone gives another output than in the batch."
    raise Broken(f"difference {gap:.3g}", "0", why, f"Keep the batch dimension apart at {where}.")


@check("sizes")
def sizes(case: ModelCase) -> Measured:
    """Images that are larger and not square."""
    shape = case.contract.shape(case.main.shape)
    if len(shape) != 4 or len(case.specs) != 1:
        raise Skip("not a model of one batch of images")
    height, width = shape[2], shape[3]
    base = _shape_at(case, height, width)
    square = _shape_at(case, height * 2, width * 2)
    wide = _shape_at(case, height, width * 2)
    if base is None or square is None:
        raise Skip("it takes one size only" if wide is None else "it takes no larger size")
    where = case.source.point(r"\.shape|size\(|permute|transpose|view\(|reshape\(", r"interpolate|Upsample")
    fix = f"Keep height and width apart, in this order, at {where}."
    if wide is None:
        raise Broken(
            f"({height * 2}, {width * 2}) works, ({height}, {width * 2}) raises", "both work", "Only squares work.", fix
        )
    expected = tuple(b if s == b else (b if i == len(base) - 2 else s) for i, (b, s) in enumerate(zip(base, square)))
    flat_grows = len(base) < 4 and square != base
    if wide != expected and not flat_grows and len(base) == len(wide):
        raise Broken(str(wide), str(expected), "The output of a wide image has the wrong shape.", fix)
    return Measured(f"{base}, {square}, {wide}", "shapes follow the input")


def _shape_at(case: ModelCase, height: int, width: int) -> tuple[int, ...] | None:
    batch, channels = case.contract.shape(case.main.shape)[:2]
    image = torch.randn(batch, channels, height, width, generator=torch.Generator().manual_seed(2))
    try:
        found = case.outputs(case.evaluated, {case.main.name: image})
    except Exception:
        return None
    return tuple(found[0].shape)


def _is_causal(case: ModelCase) -> bool:
    stated = case.contract.get("causal")
    if stated is not None:
        return bool(stated)
    name = getattr(case.builder.target, "__name__", "")
    if re.search(r"gpt|causal|decoder_?only|autoregress|CausalLM|(?<!Masked)LM$|language_?model", name, re.I):
        return True
    said = case.source.docs_in_focus().lower()
    if re.search(
        r"\bcausal (temporal|conv|self-attention|language|transformer|network|model|decoder)", said
    ) and not re.search(r"(non|not|optional\w*)[ -]causal", said):
        return True
    pattern = r"[Cc]ausal_?[Cc]onv\w*\(|is_causal=True|causal=True|\btril\(|\btriu\(|generate_square_subsequent_mask"
    text = case.source.code() if case.source.file != case.builder.module.__dict__.get("__file__") else case.source.text
    return bool(re.search(pattern, text)) or _predicts_tokens(case)


_BOTH_WAYS = r"bert|mlm|mask|pad|encoder|bidirect|diffus|denois|tagg|token_?class|\bner\b|ctc|infill|electra"


def _predicts_tokens(case: ModelCase) -> bool:
    """Whether it scores, at every position of its one input of tokens, the tokens of the same vocabulary."""
    if len(case.specs) != 1 or case.main.role != "tokens" or re.search(_BOTH_WAYS, case.source.text, re.I):
        return False
    found = case.outputs(case.evaluated, case.inputs())[0]
    attends = case.source.first(r"attention|softmax|Transformer|Attention")
    return bool(attends) and found.dim() == 3 and found.shape[-1] == int(case.main.high or 0)


_DECODED = r"(^|_)(tgt|trg|target|targets|decoder\w*|dec|y)(_|$)"
"""Names of the sequence that a model of two sequences writes."""


@check("causal")
def causal(case: ModelCase) -> Measured:
    """Changing a later position leaves the outputs before it."""
    if not _is_causal(case):
        raise Skip("not a causal sequence model (contract.causal says so)")
    inputs = case.inputs()
    base = case.outputs(case.evaluated, inputs)[0]
    if not case.is_sequence():
        return _causal_in_time(case, inputs, base)
    written = [spec for spec in case.specs if re.search(_DECODED, spec.name) and spec.shape == case.main.shape]
    spec = written[-1] if written else case.main
    length = inputs[spec.name].shape[1]
    if base.dim() < 2 or base.shape[1] != length:
        raise Skip("its output has no position for each input position")
    worst, at = 0.0, 0
    for position in range(1, length):
        mixed = inputs[spec.name].clone()
        mixed[:, position] = case.inputs(99)[spec.name][:, position]
        if mixed.dtype == torch.int64:
            mixed[:, position] = (inputs[spec.name][:, position] + 1) % int(spec.high or 2)
        got = case.outputs(case.evaluated, {**inputs, spec.name: mixed})[0]
        gap = judge.distance(base[:, :position], got[:, :position])
        if gap > worst:
            worst, at = gap, position
    if worst <= 1e-5 * case.scale([base]):
        return Measured(f"earlier outputs move by {worst:.1g}", "0")
    where = case.source.point(r"tril|triu|is_causal|causal|masked_fill|mask", r"softmax|attention", r"[Cc]onv1d")
    raise Broken(
        f"position {at} changes earlier outputs by {worst:.3g}",
        "0",
        "A position sees later ones: training looks excellent and generation fails.",
        f"Mask what lies after the diagonal, no more and no less, at {where}.",
    )


def _causal_in_time(case: ModelCase, inputs: Inputs, base: Tensor) -> Measured:
    """The same for signals (B, C, T), whose last dimension is time."""
    signal = inputs[case.main.name]
    length = signal.shape[-1]
    if signal.dim() != 3 or not signal.is_floating_point() or base.dim() < 2 or base.shape[-1] != length:
        raise Skip("its output has no position for each input position")
    worst, at = 0.0, 0
    for position in range(1, length, max(length // 8, 1)):
        mixed = signal.clone()
        mixed[..., position] += 1
        got = case.outputs(case.evaluated, {**inputs, case.main.name: mixed})[0]
        gap = judge.distance(base[..., :position], got[..., :position])
        worst, at = max((worst, at), (gap, position))
    if worst <= 1e-5 * case.scale([base]):
        return Measured(f"earlier outputs move by {worst:.1g}", "0")
    where = case.source.point(r"\bpad\(", r"padding", r"[Cc]onv1d")
    why = "A step sees later ones: training looks excellent and forecasts fail."
    raise Broken(f"step {at} changes earlier outputs by {worst:.3g}", "0", why, f"Pad on the left only, at {where}.")


@check("labels-apart")
def labels_apart(case: ModelCase) -> Measured:
    """Labels that are given for the loss do not show in the outputs."""
    signature = signature_of(case.evaluated)
    known = {spec.name for spec in case.specs}
    optional = [p.name for p in (signature.parameters.values() if signature else ()) if p.default is None]
    name = next((n for n in optional if n in ("labels", "targets", "label", "target") and n not in known), None)
    if name is None:
        raise Skip("it takes no labels for a loss")
    inputs = case.inputs()
    plain = case.outputs(case.evaluated, inputs)
    found = _with_labels(case, name, inputs, plain)
    if found is None:
        raise Skip(f"{name} of no usual shape are accepted")
    same = [value for value in found if value.dim() and any(v.shape == value.shape for v in plain)]
    gap = min((judge.distance(a, b) for a in same[:1] for b in plain if a.shape == b.shape), default=0.0)
    if gap <= 1e-5 * case.scale(plain):
        return Measured(f"outputs move by {gap:.1g}", "0 with and without labels")
    line = case.source.point(rf"\b{name}\b(?! is)(?!\s*[:=])")
    why = f"The outputs differ when {name} are passed: the answer leaks into what predicts it."
    raise Broken(f"outputs move by {gap:.3g}", "0", why, f"Use {name} for the loss only, at {line}.")


def _with_labels(case: ModelCase, name: str, inputs: Inputs, plain: list[Tensor]) -> list[Tensor] | None:
    """The outputs with labels of the first shape that is accepted."""
    main = inputs[case.main.name]
    for shape in (main.shape[:1], main.shape[:2], (main.shape[0], *main.shape[2:])):
        try:
            return case.outputs(case.evaluated, {**inputs, name: torch.ones(shape, dtype=torch.int64)})
        except Exception:
            continue
    return None


@check("padding")
def padding(case: ModelCase) -> Measured:
    """Changing padded positions leaves the outputs at the others."""
    name, role = _mask_input(case)
    if name is None or not case.is_sequence():
        raise Skip("it takes no padding mask")
    base, gap = _padding_influence(case, name, role)
    if gap > 1e-4 * case.scale([base]) and role.startswith("maybe_"):
        base, gap = min((base, gap), _padding_influence(case, name, "turned_" + role), key=lambda found: found[1])
    if gap <= 1e-4 * case.scale([base]):
        return Measured(f"valid outputs move by {gap:.1g}", "0")
    where = case.source.point(rf"\b{name}\b(?!\s*[:=])", r"masked_fill|mask", r"\.mean\(", r"attention")
    meaning = "True marks padding" if role.endswith("pad_true") else "1 marks tokens to keep"
    meaning = "steps that count" if role == "lengths" else meaning
    raise Broken(
        f"valid outputs move by {gap:.3g}",
        "0",
        f"Padded positions have an influence ({name}: {meaning}).",
        f"Apply {name} to attention and pooling, the right way round, at {where}.",
    )


def _padding_influence(case: ModelCase, name: str, role: str) -> tuple[Tensor, float]:
    """The outputs that count, and how far other inputs at padded positions move them."""
    inputs = case.inputs()
    tokens = inputs[case.main.name]
    keep = torch.ones(tokens.shape[:2], dtype=torch.bool)
    keep[:, -(tokens.shape[1] // 3) :] = False
    mask = as_mask(role.replace("turned_", ""), ~keep if role.startswith("turned_") else keep)
    if role == "lengths":
        mask = torch.full_like(inputs[name], int(keep[0].sum()))
    if name in inputs and mask.shape != inputs[name].shape:
        raise Skip(f"{name} has no entry for each position")
    base_inputs = {**inputs, name: mask}
    other = torch.where(keep if tokens.dim() == 2 else keep.unsqueeze(-1), tokens, case.inputs(88)[case.main.name])
    base = case.outputs(case.evaluated, base_inputs)[0]
    got = case.outputs(case.evaluated, {**base_inputs, case.main.name: other})[0]
    if base.dim() >= 2 and tuple(base.shape[:2]) == tuple(tokens.shape[:2]):
        base, got = base[keep], got[keep]
    return base, judge.distance(base, got)


def _mask_input(case: ModelCase) -> tuple[str | None, str]:
    for spec in case.specs:
        # Beyond its length a convolution may see what a mask between its layers would hide: not judged.
        lengths = spec.role == "lengths" and not any(isinstance(m, nn.Conv1d) for m in case.evaluated.modules())
        if spec.role in MASK_ROLES or lengths:
            return spec.name, spec.role
    signature = signature_of(case.evaluated)
    for name in signature.parameters if signature else ():
        if re.search(r"key_padding_mask|padding_mask|pad_mask", name):
            return name, "pad_true"
        if name == "attention_mask":
            return name, "keep_one"
    return None, ""


@check("logits")
def logits(case: ModelCase) -> Measured:
    """Rows that sum to one are probabilities."""
    stated = str(case.contract.get("output") or "").lower()
    if "prob" in stated:
        raise Skip("the contract says that it returns probabilities")
    found = case.outputs(case.evaluated, case.inputs())[0]
    if found.dim() < 2 or found.shape[1] < 2:
        raise Skip("the output has no dimension of classes")
    for dim, label in ((1, "log-"), (found.dim() - 1, "log-"), (1, ""), (found.dim() - 1, "")):
        if found.shape[dim] < 2:
            continue
        mass = (found.exp() if label else found).sum(dim=dim)
        low = 0.0 if label else judge.number(found.min())
        if judge.distance(mass, torch.ones_like(mass)) < 1e-4 and low >= 0:
            if case.source.mentions(("probabilit", "log-prob", "log prob", "softmaxed", "distribution")) or label:
                raise Skip(f"it returns {label}probabilities, as documented")
            where = case.source.point(r"[sS]oftmax\(", r"return")
            raise Broken(
                "rows sum to 1",
                "logits",
                "The output is a softmax: cross_entropy applies its own, and the gradient dies.",
                f"Return the logits at {where}; state contract.output='probabilities' if that is meant.",
            )
    for mass, what in ((found.exp().sum(dim=0), "log-softmax"), (found.sum(dim=0), "softmax")):
        if found.shape[0] > 1 and judge.distance(mass, torch.ones_like(mass)) < 1e-4:
            where = case.source.point(r"[sS]oftmax\(.*(0|dim)", r"[sS]oftmax\(")
            why = "The output is normalized over the samples (or nodes) instead of the classes."
            raise Broken(f"{what} over dimension 0", "over the classes", why, f"dim=-1, or none, at {where}.")
    _takes_both_signs(case)
    return Measured("rows do not sum to 1, both signs occur", "logits")


_NOT_NEGATIVE = ("non-negative", "nonnegative", "positive", "count", "rate", "depth", "features", "probabilit", "relu")


def _takes_both_signs(case: ModelCase) -> None:
    """Hold the scores of a model that is known to give scores against being cut off at zero."""
    classes = [case.builder.default(name) for name in ("num_classes", "n_classes", "num_labels", "vocab_size")]
    found = [case.outputs(case.evaluated, case.inputs(seed))[0] for seed in (1, 2, 3)]
    scores = found[0].shape[1] in classes or found[0].shape[-1] in classes
    scores = scores or case.source.mentions(("logit", "real-valued")) or case.contract.get("output") == "logits"
    if not scores or case.source.mentions(_NOT_NEGATIVE):
        return
    lowest = min(judge.number(value.min()) for value in found)
    zeros = sum(judge.total(value == 0) for value in found) / sum(value.numel() for value in found)
    if lowest == 0 and zeros > (0.1 if found[0].numel() < 64 else 0.001):
        where = case.source.point(r"return.*(relu|ReLU)", r"[rR]e[lL][uU]|clamp", r"return")
        raise Broken(
            f"never negative, {zeros:.0%} exactly 0",
            "logits of both signs",
            "An activation after the head cuts scores off at 0: no gradient flows there, and no class is ruled out.",
            f"Return the last linear layer's output at {where}.",
        )


@check("memory-layout")
def memory_layout(case: ModelCase) -> Measured:
    """Transposed and channels_last inputs."""
    inputs = case.inputs()
    if _two_calls(case, case.evaluated, inputs) > 0:
        raise Skip("it draws random numbers, in the order in which elements lie in memory")
    base = case.outputs(case.evaluated, inputs)
    strided = {n: v.transpose(0, -1).contiguous().transpose(0, -1) if v.dim() > 1 else v for n, v in inputs.items()}
    tries = [("transposed", strided)]
    if any(value.dim() == 4 for value in inputs.values()):
        last = {n: v.contiguous(memory_format=torch.channels_last) if v.dim() == 4 else v for n, v in inputs.items()}
        tries.append(("channels_last", last))
    worst = 0.0
    for label, given in tries:
        reseed()
        with torch.no_grad():
            got = case.graph_outputs(case.evaluated, given)
        gap = max(judge.distance(a, b) for a, b in zip(base, got))
        if gap > 1e-3 * case.scale(base):
            where = case.source.point(r"view\(|as_strided")
            raise Broken(
                f"differs by {gap:.3g}", "equal", f"{label} inputs give another output.", f"Use reshape at {where}."
            )
        worst = max(worst, gap)
    return Measured(f"difference {worst:.1g}", "<= 1e-3 relative")
