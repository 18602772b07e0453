"""Checks of what a loss relates: winners and losers, teacher and student, thresholds, lengths, classes and options."""

from __future__ import annotations

import ast
import inspect
import re
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from . import judge, roles, values
from .call import signature_of
from .contract import Spec
from .core import Broken, Measured, Skip
from .layouts import BINARY, INDEXED
from .loss import Inputs, LossCase
from .loss_checks import check
from .loss_target_checks import must_be_finite


@check("own-parameters")
def own_parameters(case: LossCase) -> Measured:
    """A gradient for every parameter that the loss itself learns."""
    module = case.fresh()
    learned = dict(module.named_parameters()) if isinstance(module, nn.Module) else {}
    learned = {name: p for name, p in learned.items() if p.requires_grad}
    if not learned:
        raise Skip("it learns no parameters of its own")
    left = dict(learned)
    for seed in (1, 2, 3):
        value = case.loss(case.inputs(seed), module)
        if not value.requires_grad:
            break
        slopes = torch.autograd.grad(value, list(left.values()), allow_unused=True)
        found = {name for name, g in zip(left, slopes) if g is not None and judge.max_abs(g) > 0}
        left = {name: p for name, p in left.items() if name not in found}
        if not left:
            return Measured(f"{len(learned)} learned", "a gradient for each")
    name = next(iter(left))
    line = case.source.point(
        rf"self\.{name.split('.')[0]}\b(?!\s*[:=]).*(detach|data|no_grad|item)",
        rf"self\.{name.split('.')[0]}\b(?!\s*=)",
    )
    why = f"{name} is a parameter of the loss, and no gradient reaches it: it stays as it was initialised."
    raise Broken(
        f"no gradient for {name}", "a gradient", why, f"Use {name} without detach at {line}, or register a buffer."
    )


@check("ranking")
def ranking(case: LossCase) -> Measured:
    """Which way the loss pushes what should score higher and what should score lower; for triplets, the nearer."""
    case.require("ranking", "triplet")
    line = case.source.point(r"margin", r"relu|clamp|logsigmoid|softplus", r"return")
    inputs = case.inputs()
    if case.family == "triplet":
        anchor, positive, negative = list(inputs)[:3]
        far = inputs[negative] * 3
        right = case.value({**inputs, positive: inputs[anchor] + 0.01 * inputs[positive], negative: far})
        wrong = case.value({**inputs, positive: far, negative: inputs[anchor] + 0.01 * inputs[negative]})
        if right < wrong:
            _needs_margin(case, inputs, anchor, positive, negative)
            return Measured(f"{right:.4g} with the positive at the anchor, {wrong:.4g} with the negative", "lower")
        why = "A positive at the anchor costs no less than a negative there: the two are exchanged."
        raise Broken(
            f"{right:.4g} and {wrong:.4g}",
            "lower with the positive at the anchor",
            why,
            f"d(a, p) - d(a, n) + margin at {line}.",
        )
    if inputs[case.pred].dim() != 1:
        raise Skip("not scores of single items")
    pushes = {}
    for name in inputs:
        slope = [case.value_and_grad(case.inputs(seed), None, name)[1] for seed in (1, 2, 3)]
        pushes[name] = sum(judge.total(s) for s in slope if s is not None)
    policy = {n: p for n, p in pushes.items() if not re.search(r"ref|old|frozen|base", n)}
    for name, push in policy.items():
        up = bool(re.search(roles.WINNER, roles.bare(name).lower()))
        if (push > 1e-9 and up) or (push < -1e-9 and not up):
            way = "down" if up else "up"
            why = f"Descending the loss moves {name} {way}, which its name says should go the other way."
            raise Broken(
                f"summed gradient {push:.3g} for {name}", "< 0" if up else "> 0", why, f"Turn the sign at {line}."
            )
    _against_reference(pushes, line)
    _stops_at_margin(case, line)
    return Measured(", ".join(f"{n} {p:.3g}" for n, p in pushes.items()), "winners rise, losers fall")


def _against_reference(pushes: dict[str, float], line: str) -> None:
    """What the reference policy says of the winner counts against it: only what is better than before is rewarded."""
    for name, push in pushes.items():
        up = bool(re.search(roles.WINNER, roles.bare(name).lower()))
        if re.search(r"(^|_)(ref|reference)(_|$)", name) and (push < -1e-9 if up else push > 1e-9):
            why = f"{name} works as the policy's own does: the reference is added where it should be taken away."
            fix = f"beta * ((policy_w - policy_l) - (ref_w - ref_l)) at {line}."
            raise Broken(f"summed gradient {push:.3g} for {name}", "> 0" if up else "< 0", why, fix)


def _needs_margin(case: LossCase, inputs: Inputs, anchor: str, positive: str, negative: str) -> None:
    """A hinge must still cost something where both distances are equal."""
    module = case.with_argument(r"margin|alpha|m", 0.5)
    if module is None or not case.source.first(r"relu|clamp|max\("):
        return
    same = {**inputs, positive: inputs[anchor] + 0.1, negative: inputs[anchor] + 0.1}
    if case.value(same, module) <= 0:
        line = case.source.point(r"margin(?!\s*[:=])", r"relu|clamp")
        why = "Positive and negative at equal distance cost nothing: the margin works the wrong way round."
        raise Broken(
            "0 at equal distances with margin 0.5",
            "> 0",
            why,
            f"Add the margin: d(a, p) - d(a, n) + margin, at {line}.",
        )


def _stops_at_margin(case: LossCase, line: str) -> None:
    """A margin loss costs nothing, not less than nothing, once the order is right beyond the margin."""
    if "margin" not in case.builder.parameters and case.call_default("margin") is None:
        return
    inputs = {
        n: torch.full_like(v, 100.0 if re.search(roles.WINNER, n.lower()) else -100.0) for n, v in case.inputs().items()
    }
    value = case.value(inputs)
    if value < -1e-3:
        why = "A pair in the right order beyond the margin is still rewarded: scores grow without end."
        raise Broken(f"{value:.4g}", ">= 0", why, f"clamp(min=0) or relu at {line}.")


@check("distillation")
def distillation(case: LossCase) -> Measured:
    """The divergence from the teacher alone: least where they agree, and of the size that temperature 1 gives."""
    case.require("distill")
    module, inputs = _without_labels(case)
    student, teacher = inputs[case.pred], inputs[case.target]
    agree = {**inputs, case.pred: teacher.clone()}
    _, slope = case.value_and_grad(agree, module)
    _, usual = case.value_and_grad(inputs, module)
    if slope is None or usual is None or judge.max_abs(usual) == 0:
        raise Skip("no gradient from the teacher to the student")
    line = case.source.point(r"kl_div", r"log_softmax|softmax", r"return")
    if judge.max_abs(slope) > 0.02 * judge.max_abs(usual):
        why = "A student that equals its teacher is still pushed away."
        fix = f"kl_div(log_softmax(student / T), softmax(teacher / T)), log-probabilities first, one T, at {line}."
        raise Broken(
            f"max |grad| {judge.max_abs(slope):.3g} where they agree ({judge.max_abs(usual):.3g} elsewhere)",
            "0",
            why,
            fix,
        )
    _right_way_round(case)
    return _divergence_size(case, module, inputs, student, teacher)


def _right_way_round(case: LossCase) -> None:
    """kl_div takes the student's log-probabilities first: the other way round, it is another divergence."""
    if re.search(r"reverse|symmetric|jensen|jsd|mode.?seeking", case.source.text, re.I):
        return
    for node in ast.walk(case.source.node_in_focus() or case.source.tree):
        if isinstance(node, ast.Call) and len(node.args) >= 2:
            first, second = (ast.unparse(argument) for argument in node.args[:2])
            turned = case.target in first and case.pred not in first and case.pred in second
            if turned and "log_softmax" in first and "log" not in re.sub(r"logits?", "", second):
                line = case.source.quote(node.lineno)
                why = (
                    "kl_div(input, target) is KL(target || input): this one weighs errors by the student's own belief."
                )
                fix = f"kl_div(log_softmax(student / T), softmax(teacher / T)) at {line}; say 'reverse KL' if meant."
                raise Broken("KL(student || teacher)", "KL(teacher || student)", why, fix)


def _without_labels(case: LossCase) -> tuple[Any, Inputs]:
    """The loss at a setting, and inputs, where only the teacher counts.

    Raises:
        Skip: There is none.
    """
    others = [s.name for s in case.specs if s.name not in (case.pred, case.target)]
    names = [n for n in case.builder.parameters if re.search(r"alpha|lam|weight|ratio|beta|coef", n)]
    tries: list[Any] = [None, *(m for n in names for v in (1.0, 0.0) if (m := case.with_argument(n, v)) is not None)]
    if not case.builder.is_class:
        tries += [m for v in (1.0, 0.0) if (m := case.with_argument(r"alpha|lam\w*|\w*weight", v)) is not None]
    inputs, other = case.inputs(), case.inputs(40)
    for module in tries:
        first = case.value(inputs, module)
        apart = all(judge.close(first, case.value({**inputs, n: other[n]}, module), 1e-6, 1e-8) for n in others)
        if apart and not judge.close(
            first, case.value({**inputs, case.target: other[case.target]}, module), 1e-6, 1e-8
        ):
            return module, inputs
    raise Skip("no setting at which only the teacher counts")


def _divergence_size(case: LossCase, module: Any, inputs: Inputs, student: Tensor, teacher: Tensor) -> Measured:
    """Name the two classic factors, 1 / C and 1 / T^2, where the value is exactly off by one of them."""
    value = case.value(inputs, module)
    warmth = next((float(t) for t in (_number(case, n) for n in ("temperature", "T", "tau", "temp", "t")) if t), 1.0)
    p, q = (judge.wide(x / warmth).softmax(-1) for x in (teacher, student))
    if student.dim() != 2 or not case.source.first(r"kl_div|KLDivLoss"):
        return Measured(f"{value:.4g}", "least where student and teacher agree")
    theory = judge.number((p * (p.log() - q.log())).sum(-1).mean()) * warmth**2
    line = case.source.point(r"kl_div|KLDivLoss")
    for factor, why, fix in (
        (1 / student.shape[-1], "kl_div averages over classes as well as samples.", "reduction='batchmean'"),
        (1 / warmth**2, "Its gradient shrinks with 1 / T^2 against the other terms.", "times temperature ** 2"),
        (
            1 / warmth**2 / student.shape[-1],
            "kl_div averages over classes, and T^2 is missing.",
            "reduction='batchmean', times temperature ** 2",
        ),
    ):
        if factor < 0.99 and judge.close(value, theory * factor, 1e-4, 0):
            raise Broken(f"{value:.4g}", f"{theory:.4g} = T^2 KL(teacher || student)", why, f"{fix} at {line}.")
    return Measured(f"{value:.4g}", "least where student and teacher agree")


def _number(case: LossCase, name: str) -> float | None:
    value = case.builder.default(name) if case.builder.is_class else case.call_default(name)
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


@check("thresholds")
def thresholds(case: LossCase) -> Measured:
    """Which thresholds a label pushes up: exactly those below it, or, counted the other way, exactly the rest."""
    case.require("ordinal")
    inputs = case.inputs(B=case.contract.sizes["C"])
    labels = torch.arange(len(inputs[case.target]))
    flat = {**inputs, case.target: labels, case.pred: torch.zeros_like(inputs[case.pred])}
    gradient = case.value_and_grad(flat)[1]
    if gradient is None:
        raise Skip("no gradient")
    below = torch.arange(gradient.shape[1])[None] < labels[:, None]
    push = torch.sign(gradient)
    if bool(((push == torch.where(below, -1, 1)) | (push == 0)).all()) or bool(
        ((push == torch.where(below, 1, -1)) | (push == 0)).all()
    ):
        return Measured("each label's own", "threshold k separates label > k from the rest")
    row = int(((push != torch.where(below, -1, 1)) & (push != 0)).any(dim=1).float().argmax())
    line = case.source.point(r"[<>]=?", r"arange", r"return")
    why = f"Label {row} pushes the wrong thresholds: with C - 1 of them, number k asks whether the label is above k."
    raise Broken(
        f"label {row}: {(push[row] < 0).sum().item()} pushed up",
        f"{row}",
        why,
        f"labels[:, None] > arange(C - 1), at {line}.",
    )


@check("survival")
def survival(case: LossCase) -> Measured:
    """A risk that rises as times fall costs less than the opposite; no event costs nothing infinite."""
    case.require("survival")
    if case.inputs()[case.pred].numel() != len(case.inputs()[case.pred]):
        raise Skip("more than one risk a sample")
    inputs = case.inputs(B=12)
    time = next(s.name for s in case.specs if s.role == "positive")
    event = next(s.name for s in case.specs if s.role == "multihot")
    inputs[time] = torch.linspace(1, 9, 12)[torch.randperm(12, generator=torch.Generator().manual_seed(1))]
    none = {**inputs, event: torch.zeros_like(inputs[event])}
    value, gradient = case.value_and_grad(none)
    must_be_finite(case, none, value, gradient, "a batch without an event")
    wide = {**inputs, case.pred: inputs[case.pred] * 300}
    value, gradient = case.value_and_grad(wide)
    must_be_finite(case, wide, value, gradient, "risks of a few hundred")
    seen = {**inputs, event: torch.ones_like(inputs[event])}
    right = case.value({**seen, case.pred: (5 - inputs[time]).reshape(inputs[case.pred].shape)})
    wrong = case.value({**seen, case.pred: (inputs[time] - 5).reshape(inputs[case.pred].shape)})
    if right < wrong or case.source.mentions(("log survival time", "predicted time", "log-time")):
        return Measured(f"{right:.4g} for risks that fall with time, {wrong:.4g} for rising ones", "lower")
    line = case.source.point(r"sort", r"cumsum|logcumsumexp", r"return")
    why = (
        "A high risk of those who live longest costs less: the risk set is taken at the wrong end, or a sign is turned."
    )
    raise Broken(
        f"{right:.4g} and {wrong:.4g}",
        "lower where risk falls with time",
        why,
        f"Sort by time, descending, before the cumulative sum, at {line}.",
    )


class _Softmaxes(TorchFunctionMode):
    """Notes softmax calls on user lines over another dimension than the classes of a prediction."""

    def __init__(self, case: LossCase, shape: torch.Size, dim: int) -> None:
        super().__init__()
        self.case, self.shape, self.dim = case, shape, dim % len(shape)
        self.wrong: tuple[int, int] | None = None

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        if name in ("softmax", "log_softmax") and self.wrong is None and args and isinstance(args[0], Tensor):
            dim = kwargs.get("dim", args[1] if len(args) > 1 else None)
            line = self.case.source.running_line()
            if isinstance(dim, int) and args[0].shape == self.shape and dim % len(self.shape) != self.dim and line:
                self.wrong = (line, dim)
        return func(*args, **kwargs)


@check("class-dimension")
def class_dimension(case: LossCase) -> Measured:
    """Softmax is taken over the dimension of the classes."""
    case.require(*INDEXED, "onehot", "distill")
    inputs = case.inputs()
    shape = inputs[case.pred].shape
    if len(set(shape)) < len(shape) or case.spec(case.pred).role != "logits":
        raise Skip("not logits in which each dimension has a size of its own")
    if case.source.mentions(("spatial softmax", "over pixels", "over positions", "over the batch", "channel-wise")):
        raise Skip("documented over another dimension")
    dim = -1 if case.family == "distill" else case.class_dim
    if case.family == "distill" and len(shape) > 2:
        raise Skip("teacher's maps may be compared over space")
    mode = _Softmaxes(case, shape, dim)
    with mode:
        case.raw(inputs)
    if mode.wrong is None:
        return Measured(f"dimension {dim % len(shape)}", "the classes'")
    line, taken = mode.wrong
    why = f"The probabilities add up to 1 over dimension {taken % len(shape)} of {case.pred}, not over its classes."
    fix = f"dim={dim} at {case.source.quote(line)}."
    raise Broken(f"dim={taken} of shape {tuple(shape)}", f"dim={dim % len(shape)}", why, fix)


@check("rows-normalized")
def rows_normalized(case: LossCase) -> Measured:
    """The length of a single embedding does not count where the code normalizes them."""
    case.require("pair", "embeddings")
    if not case.source.first(r"normalize\(") or case.source.first(r"\.norm\(|center|queue|magnitude"):
        raise Skip("it does not normalize embeddings")
    inputs = case.inputs()
    pred = inputs[case.pred]
    scaled = {**inputs, case.pred: pred * torch.linspace(0.5, 3, len(pred))[:, None]}
    first, second = case.value(inputs, case.fresh()), case.value(scaled, case.fresh())
    if judge.close(first, second, 1e-3, 1e-5):
        return Measured(f"{first:.5g} and {second:.5g}", "equal for embeddings of any length")
    line = case.source.point(r"normalize\(")
    why = "The code normalizes, and the length of an embedding still changes the loss: it is not done for each row."
    raise Broken(f"{first:.5g}, then {second:.5g} for rescaled rows", "equal", why, f"normalize(x, dim=-1) at {line}.")


@check("margin")
def margin(case: LossCase) -> Measured:
    """A larger margin costs more."""
    case.require("embeddings", "triplet", "ranking")
    if case.is_called(r"circle"):
        raise Skip("its margin works on both sides")
    modules = [case.with_argument(r"margin|m", value) for value in (0.1, 0.4)]
    if None in modules:
        raise Skip("it takes no margin")
    draws = [case.inputs(seed) for seed in (1, 2, 3)]
    small, large = (sum(case.value(inputs, module) for inputs in draws) for module in modules)
    if large > small - 1e-6 * abs(small):
        return Measured(f"{small:.4g} at 0.1, {large:.4g} at 0.4", "rising with the margin")
    line = case.source.point(r"margin(?!\s*[:=])", r"\bm\b", r"return")
    why = "A larger margin makes the task easier: it is added where it should be taken away, or for the wrong class."
    raise Broken(
        f"{small:.4g} at 0.1, {large:.4g} at 0.4", "rising with the margin", why, f"Correct the margin at {line}."
    )


@check("both-ways")
def both_ways(case: LossCase) -> Measured:
    """The two sides of a symmetric loss can be exchanged."""
    case.require("pair")
    if not case.is_called(r"clip|nt_?xent|simclr|vic_?reg|barlow|symmetric") and not case.source.mentions(
        ("symmetric", "both directions")
    ):
        raise Skip("not a loss that is symmetric by name")
    inputs = case.inputs()
    inputs[case.target] = case.inputs(5)[case.pred]  # matched pairs cost next to nothing either way
    swapped = {**inputs, case.pred: inputs[case.target], case.target: inputs[case.pred]}
    first, second = case.value(inputs, case.fresh()), case.value(swapped, case.fresh())
    if judge.close(first, second, 1e-3, 1e-5):
        for name in (case.pred, case.target):
            slope = case.value_and_grad(inputs, case.fresh(), name)[1]
            if (slope is None or judge.max_abs(slope) == 0) and not case.source.mentions(("stop", "detach")):
                where = case.source.point(rf"{name}.*detach|{name}.*no_grad", r"detach|no_grad", rf"\b{name}\b")
                why = f"Both sides cost alike, but no gradient reaches {name}: only one of them is trained."
                raise Broken(f"no gradient for {name}", "a gradient", why, f"Keep the graph at {where}.")
        return Measured(f"{first:.5g} both ways", "equal")
    line = case.source.point(
        r"cross_entropy\(.*cross_entropy\(", r"\.t\(\)|\.T\b|transpose", rf"\b{case.target}\b.*std|var", r"return"
    )
    why = f"Exchanging {case.pred} and {case.target} changes the value: one direction or side is used twice."
    raise Broken(f"{first:.5g} and {second:.5g} exchanged", "equal", why, f"Use both directions once each, at {line}.")


@check("hard-examples")
def hard_examples(case: LossCase) -> Measured:
    """Mining keeps the hardest element."""
    case.require(*INDEXED, *BINARY)
    if not case.is_called(r"ohem|hard|boot_?strap|top_?k"):
        raise Skip("it mines no hard examples, by name")
    inputs = case.perfect(case.inputs(), 3.0)
    worst = case.perfect(case.inputs(), 3.0, shift=1)[case.pred]
    spot = (0,) * inputs[case.target].dim()
    where = torch.zeros(inputs[case.target].shape, dtype=torch.bool)
    where[spot] = True
    mask = where.unsqueeze(case.class_dim).expand(worst.shape) if case.family in INDEXED else where.expand(worst.shape)
    given = {**inputs, case.pred: torch.where(mask, worst, inputs[case.pred])}
    gradient = case.value_and_grad(given)[1]
    if gradient is not None and judge.max_abs(gradient * mask) > 0:
        return Measured("a gradient", "a gradient for the only wrong element")
    line = case.source.point(r"topk|sort|[<>]", r"return")
    raise Broken(
        "no gradient",
        "a gradient for the only wrong element",
        "The hardest element is left out, easy ones are kept.",
        f"Keep losses above the threshold (largest=True) at {line}.",
    )


_OPTIONS = r"mask|valid|weight|(^|_)len(gth)?s?$|(^|_)pad"


@check("optional-inputs")
def optional_inputs(case: LossCase) -> Measured:
    """Optional weights, masks and lengths of the call: accepted, counted, and neutral where they say nothing."""
    tried = []
    for parameter in _options(case):
        spec = _option(case, parameter)
        if spec is None:
            continue
        tried.append(parameter.name)
        _counts(case, spec)
    if not tried:
        raise Skip("the call has no optional weight, mask or lengths")
    return Measured(", ".join(tried), "each is accepted and changes the value")


def _options(case: LossCase) -> list[inspect.Parameter]:
    signature = signature_of(case.module)
    known = {spec.name for spec in case.specs}
    return [
        p
        for p in (signature.parameters.values() if signature else ())
        if p.default is None
        and p.name not in known
        and re.search(_OPTIONS, p.name)
        and not re.search(r"class|pos_", p.name)
    ]


def _option(case: LossCase, parameter: inspect.Parameter) -> Spec | None:
    """The first likely shape and role under which the call takes it; None if it takes none of them."""
    if not case.target or case.family not in (*INDEXED, *BINARY, "regression", "images"):
        return None
    pred, target = case.spec(case.pred).shape, case.spec(case.target).shape
    base = roles.extra(parameter.name, pred, target, None)
    if base.role == "weights" and target == pred[:1] and "class" in case.source.docs():
        return None  # one weight a class, as likely as one a sample
    for spec in roles.alternatives(base, pred):
        if case.attempt(lambda s=spec: case.value(_given(case, s))) is not None:  # type: ignore[misc]
            return spec
    return None


def _given(case: LossCase, spec: Spec, seed: int = 1) -> Inputs:
    generator = torch.Generator().manual_seed(seed + 77)
    return {**case.inputs(seed), spec.name: values.make(spec, case.contract, generator)}


def _counts(case: LossCase, spec: Spec) -> None:
    """Hold an optional input against having an effect, and weights against being a mean."""
    plain = case.value(case.inputs())
    given = _given(case, spec)
    line = case.source.point(rf"\b{spec.name}\b(?!\s*[:,)=]| is)", rf"\b{spec.name}\b")
    drawn = [
        case.value({**given, spec.name: values.make(spec, case.contract, torch.Generator().manual_seed(seed))})
        for seed in (5, 6)
    ]
    if all(judge.close(plain, value, 1e-6, 1e-8) for value in [case.value(given), *drawn]):
        raise Broken(
            "no effect",
            "an effect",
            f"The loss is the same with {spec.name} and without.",
            f"Use {spec.name} at {line}.",
        )
    if spec.role == "weights" and case.reduction not in ("sum", "none"):
        ones = {**given, spec.name: torch.ones_like(given[spec.name])}
        one = case.value(ones)
        count = ones[spec.name].numel()
        if judge.close(one, plain * count, 1e-4, 0) and count > 1 and not judge.close(plain, 0, 0, 1e-6):
            why = f"{spec.name} of 1 everywhere multiplies the mean by {count}: the weighted loss is a sum."
            raise Broken(
                f"{one:.5g} with ones, {plain:.5g} without", "equal", why, f"Divide by {spec.name}.sum() at {line}."
            )
