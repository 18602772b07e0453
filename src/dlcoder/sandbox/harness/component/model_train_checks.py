"""Checks of a model's parameters, state, precision and of whether it can learn."""

from __future__ import annotations

import copy
import io
import math
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import judge
from .call import flat_outputs, signature_of
from .core import Broken, Measured, Skip, reseed
from .descend import adam
from .loss_checks import on_one_device
from .loss_step_checks import unregistered
from .model import GRAPH, ModelCase, wake
from .model_checks import check


@check("registration")
def registration(case: ModelCase) -> Measured:
    """No parameter or module hides in a list, dict or tuple."""
    model = case.fresh()
    known = {id(value) for value in [*model.parameters(), *model.buffers(), *model.modules()]}
    for owner in model.modules():
        for name, value in vars(owner).items():
            if (name.startswith("_") and name in ("_parameters", "_buffers", "_modules")) or isinstance(value, str):
                continue
            for hidden in _hidden(value, 0):
                if id(hidden) not in known and not _allowed(hidden):
                    line = case.source.point(rf"self\.{name}\b.*=", rf"self\.{name}\.append", rf"\b{name}\b")
                    kind = "ModuleList" if isinstance(hidden, nn.Module) else "ParameterList"
                    raise Broken(
                        f"self.{name} holds an unregistered {type(hidden).__name__}",
                        "registered",
                        "It is not moved, saved or given to the optimizer.",
                        f"Use nn.{kind} (or register_buffer for a constant) at {line}.",
                    )
    unregistered(case, model)
    return Measured(f"{sum(1 for _ in model.parameters())} parameters", "all registered")


def _hidden(value: Any, depth: int) -> Iterator[Any]:
    if isinstance(value, (nn.Module, nn.Parameter)):
        yield value
    elif isinstance(value, (list, tuple, set)) and depth < 3:
        for item in list(value)[:200]:
            yield from _hidden(item, depth + 1)
    elif isinstance(value, dict) and depth < 3:
        for item in list(value.values())[:200]:
            yield from _hidden(item, depth + 1)


def _allowed(value: Any) -> bool:
    return (
        isinstance(value, nn.Module)
        and not any(True for _ in value.parameters())
        and not any(True for _ in value.buffers())
    )


@check("gradients")
def gradients(case: ModelCase) -> Measured:
    """Every trainable parameter has a gradient, and after an update none is exactly zero."""
    model = _train_model(case)
    inputs = case.inputs()
    trainable = {name: p for name, p in model.named_parameters() if p.requires_grad}
    if not trainable:
        raise Skip("it has no trainable parameter")
    live: set[str] = set()
    missing = set(trainable)
    for step in range(3):
        reseed(step)
        loss = _any_loss(case.graph_outputs(model, inputs))
        if not loss.requires_grad:
            where = case.source.point(r"no_grad|inference_mode|\.detach\(\)|\.data\b|argmax|\.item\(")
            raise Broken(
                "no graph", "a graph", "The output is cut off from the parameters.", f"Remove the cut at {where}."
            )
        for (name, parameter), gradient in zip(trainable.items(), judge.gradients(loss, list(trainable.values()))):
            if gradient is not None and not judge.finite(gradient):
                where = case.source.point(r"sqrt|norm|log|/|\*\*|softmax")
                raise Broken(f"{name}: nan or inf", "finite", "A gradient is not finite.", f"Guard {where}.")
            missing.discard(name) if gradient is not None else None
            if gradient is not None and judge.max_abs(gradient) > 0:
                live.add(name)
                with torch.no_grad():
                    parameter.sub_(0.05 * gradient)
        if len(live) == len(trainable):
            return Measured(f"{len(live)} of {len(trainable)} parameters", "every one")
    allowed = set(case.contract.get("unused_parameters") or ())
    recurrent = tuple(f"{n}." for n, m in model.named_modules() if isinstance(m, nn.RNNBase))
    dead = [name for name in trainable if name not in live and not any(name.startswith(a) for a in allowed)]
    # The backward half of a recurrent layer makes one step from a zero state where only its last output is read.
    dead = [n for n in dead if n in missing or "weight_hh" not in n or not n.startswith(recurrent or ("weight",))]
    if not dead:
        return Measured(f"{len(live)} of {len(trainable)} parameters", "every one but those stated as unused")
    raise _dead(case, dead, missing)


def _dead(case: ModelCase, dead: list[str], missing: set[str]) -> Broken:
    attribute = dead[0].split(".")[0]
    line = case.source.point(rf"self\.{attribute}\s*[:=]", rf"\b{attribute}\b")
    cut = case.source.first(r"no_grad|inference_mode|\.detach\(\)|\.data\b")
    hint = f" or remove the cut at {case.source.quote(cut)}" if cut else ""
    what = "get no gradient" if missing else "have a zero gradient"
    return Broken(
        f"{len(dead)} parameters {what}: {', '.join(dead[:4])}",
        "a gradient for every parameter",
        "They never learn; DistributedDataParallel stops on parameters without a gradient.",
        f"Use {attribute} in forward{hint}, or drop it ({line}); contract.unused_parameters excuses names.",
    )


def _train_model(case: ModelCase) -> nn.Module:
    model = case.fresh().train()
    return model


def _any_loss(outputs: list[Tensor]) -> Tensor:
    """A scalar that depends on every element of every output."""
    total = torch.zeros(())
    for index, value in enumerate(outputs):
        if not value.is_floating_point():
            continue
        weights = torch.randn(value.shape, generator=torch.Generator().manual_seed(index), dtype=torch.float32)
        total = total + (value.float() * weights).mean() + 0.5 * value.float().square().mean()
    return total


@check("state-dict")
def state_dict(case: ModelCase) -> Measured:
    """What is saved and loaded into a new model gives the same output."""
    model = case.fresh()
    with torch.no_grad():
        generator = torch.Generator().manual_seed(9)
        for parameter in model.parameters():
            if parameter.is_floating_point():
                parameter.add_(0.02 * torch.randn(parameter.shape, generator=generator).to(parameter.dtype))
    buffer = io.BytesIO()
    torch.save(model.state_dict(), buffer)
    buffer.seek(0)
    state = torch.load(buffer, weights_only=True)
    reseed(1234)
    other = case.fresh() if isinstance(case.builder.target, nn.Module) else case.builder.construct()
    try:
        other.load_state_dict(state, strict=True)
    except RuntimeError as error:
        why = "A new model refuses the saved state."
        raise Broken(str(error), "strict loading", why, "Create every parameter and buffer in __init__.") from error
    inputs = case.inputs()
    gap = max(
        judge.distance(a, b) for a, b in zip(case.outputs(model.eval(), inputs), case.outputs(other.eval(), inputs))
    )
    if gap <= 1e-5 * case.scale(case.outputs(model, inputs)):
        return Measured(f"{len(state)} entries, outputs differ by {gap:.1g}", "equal outputs")
    if not case.contract.get("stochastic") and _random_in_eval(case):
        raise Skip("it is random in eval mode (see eval-deterministic)")
    where = case.source.point(
        r"persistent=False", r"self\.\w+\s*=\s*(\[|\{|torch\.(rand|randn|empty|zeros|ones))", r"randn|rand\("
    )
    raise Broken(
        f"outputs differ by {gap:.3g}",
        "equal outputs",
        "Something that decides the output is not in the state dict: a reloaded model is another model.",
        f"Register it as a parameter or persistent buffer at {where}.",
    )


def _random_in_eval(case: ModelCase) -> bool:
    inputs = case.inputs()
    with torch.no_grad():
        first = case.graph_outputs(case.evaluated, inputs)
        second = case.graph_outputs(case.evaluated, inputs)
    return any(judge.distance(a, b) > 0 for a, b in zip(first, second))


@check("seeded")
def seeded(case: ModelCase) -> Measured:
    """Two models from one seed are equal."""
    first, second = case.fresh().state_dict(), case.fresh().state_dict()
    for name, value in first.items():
        if not judge.identical(value, second[name]):
            where = case.source.point(r"Generator\(|\.seed\(\)|urandom|time\(\)|default_rng|randn|uniform_|normal_")
            raise Broken(
                f"{name} differs",
                "equal",
                "One seed builds two different models.",
                f"Draw from torch's generator at {where}.",
            )
    return Measured(f"{len(first)} entries equal", "equal")


@check("eval-stateless")
def eval_stateless(case: ModelCase) -> Measured:
    """Eval leaves the state alone, train moves batch statistics, neither changes the mode."""
    inputs = case.inputs()
    for mode in (False, True):
        model = case.fresh().train(mode)
        before = {name: value.clone() for name, value in model.state_dict().items() if isinstance(value, Tensor)}
        try:
            with torch.no_grad():
                case.call(model, inputs)
        except ValueError:
            continue
        if model.training is not mode:
            where = case.source.point(r"self\.(eval|train)\(", r"\.eval\(\)|\.train\(")
            raise Broken(
                "forward changes the mode",
                "train and eval stay",
                "Dropout and norms switch silently.",
                f"Remove {where}.",
            )
        changed = [
            name
            for name, value in model.state_dict().items()
            if name in before and not judge.identical(value, before[name])
        ]
        if changed and not mode:
            where = case.source.point(
                r"training=True|batch_norm\(", rf"{changed[0].split('.')[-1]}", r"running|momentum"
            )
            why = "A call in eval mode changes the model: validation leaks into it."
            raise Broken(
                f"{', '.join(changed[:3])} changed", "unchanged", why, f"Update only `if self.training` at {where}."
            )
        if mode:
            _statistics_follow(case, model, changed)
    return Measured("no change in eval", "no change in eval")


def _statistics_follow(case: ModelCase, model: nn.Module, changed: list[str]) -> None:
    for name, module in model.named_modules():
        if (
            not isinstance(module, nn.modules.batchnorm._BatchNorm)
            or not module.track_running_stats
            or not module.training
        ):
            continue
        if f"{name}.num_batches_tracked" in changed and f"{name}.running_mean" not in changed and module.momentum == 0:
            where = case.source.point(r"momentum", r"BatchNorm")
            raise Broken(
                "running_mean stays", "it follows", "Batch statistics never move: eval is wrong.", f"Correct {where}."
            )


@check("train-batch-of-one")
def train_batch_of_one(case: ModelCase) -> Measured:
    """One sample in train mode."""
    if any(re.match(GRAPH, spec.name) for spec in case.specs):
        raise Skip("nodes of one graph are no batch of samples")
    model = case.fresh().train()
    inputs = {name: value[:1] if value.dim() else value for name, value in case.inputs().items()}
    try:
        found = case.outputs(model, inputs)
    except ValueError as error:
        if "more than 1 value" in str(error):
            raise Skip("BatchNorm refuses a single value per channel: use drop_last=True or GroupNorm") from error
        raise
    except RuntimeError as error:
        line = case.source.raised_at(error) or "the call"
        fix = f"No squeeze() without a dimension, no fixed batch size, at {line}."
        raise Broken(str(error), "no exception", f"One sample raises at {line}.", fix) from error
    if not all(judge.finite(value) for value in found):
        where = case.source.point(r"std|var|norm|/")
        raise Broken("nan or inf", "finite", "One sample in train mode gives a non-finite output.", f"Guard {where}.")
    return Measured("finite", "finite, or refused by BatchNorm")


def _class_output(case: ModelCase, model: nn.Module) -> Tensor | None:
    value = case.graph_outputs(model, case.inputs(B=8))[0]
    return value if value.dim() == 2 and 2 <= value.shape[1] <= 1000 and value.shape[0] == 8 else None


@check("initial-loss")
def initial_loss(case: ModelCase) -> Measured:
    """Cross entropy at the start against ln C."""
    classes = case.builder.arguments.get("num_classes") or case.builder.default("num_classes")
    classes = case.contract.get("num_classes", classes) or case.builder.arguments.get("vocab_size")
    found = case.outputs(case.fresh().eval(), case.inputs())[0]
    if not isinstance(classes, int) and case.main.role == "tokens" and found.dim() == 3 and case.main.high is not None:
        classes = int(case.main.high)
    if not isinstance(classes, int) or classes < 2 or classes not in found.shape[1:]:
        raise Skip("no number of classes in the contract or the constructor")
    dim = 1 if found.shape[1] == classes else found.dim() - 1
    log_probs = torch.log_softmax(found.double(), dim=dim)
    value, theory = judge.number(-log_probs.mean()), math.log(classes)
    bound = max(1.0, theory)
    if value - theory <= bound:
        return Measured(f"{value:.3f}", f"ln {classes} = {theory:.3f}, at most {bound:.2f} more")
    where = case.source.point(r"normal_\(|uniform_\(|std=|init\.|randn", r"(head|fc|classifier|out)\w*\s*=\s*nn\.")
    why = "The untrained model is confidently wrong: the first steps only undo the initialisation."
    raise Broken(f"{value:.3f}", f"about ln {classes} = {theory:.3f}", why, f"Initialise smaller at {where}.")


@check("signal")
def signal(case: ModelCase) -> Measured:
    """The size of outputs and gradients for unit inputs."""
    model = _train_model(case)
    reseed()
    outputs = case.graph_outputs(model, case.inputs())
    size = case.scale(outputs)
    trainable = [p for p in model.parameters() if p.requires_grad]
    largest = 0.0
    loss = _any_loss(outputs)
    if trainable and loss.requires_grad:
        found = [g for g in judge.gradients(loss, trainable) if g is not None]
        largest = max([judge.max_abs(g) for g in found] + [0.0])
    if size < 1e4 and largest < 1e5:
        return Measured(f"max |output| {size:.3g}, max |grad| {largest:.3g}", "< 1e4 and < 1e5")
    where = case.source.point(r"init|normal_|std|\*\*|\bx \* |scale", r"for .* in self")
    raise Broken(
        f"max |output| {size:.3g}, max |grad| {largest:.3g}",
        "< 1e4 and < 1e5",
        "The signal explodes through the layers.",
        f"Scale the initialisation or the residual at {where}.",
    )


_SIZES = (
    r"in_ch|channels|classes|labels|dim$|_dim|hidden|width|embd|d_model|depth|layers?$|blocks$|heads?$|vocab|features|"
    r"kernel|expansion|ratio|rank$"
)


@check("parameters-count")
def parameters_count(case: ModelCase) -> Measured:
    """Every number in the constructor changes the state or some output."""
    started = time.perf_counter()
    _fingerprint(case, case.fresh())
    if time.perf_counter() - started > 0.3:
        raise Skip("too large to build again for every argument")
    tried = []
    for name, parameter in case.builder.parameters.items():
        default = case.builder.default(name)
        if isinstance(default, bool) or not isinstance(default, (int, float)):
            continue
        if isinstance(default, int) and not re.search(_SIZES, name):
            continue
        verdict = _matters(case, name, default)
        if verdict is None:
            continue
        tried.append(name)
        if (
            not verdict
            and not case.source.conditional(name)
            and not case.source.mentions((f"{name} is unused", f"{name}: unused", f"{name}: deprecated"))
        ):
            line = case.source.point(rf"self\.\w*{name}\w*\s*=", rf"\b{name}\b")
            raise Broken(
                f"{name} has no effect",
                "another model or output",
                f"The model is the same for every value of {name} that was tried (default {parameter.default!r}).",
                f"Use {name} where it belongs, or drop it (see {line}).",
            )
    if not tried:
        raise Skip("no number in the constructor to vary")
    return Measured(", ".join(tried), "each changes something")


def _matters(case: ModelCase, name: str, default: Any) -> bool | None:
    if isinstance(default, int):
        trials: list[Any] = [default + 1, default * 2, max(default // 2, 1)]
    else:
        trials = [0.5 if default != 0.5 else 0.25, 0.9, default + 1.0]
    base = _fingerprint(case, case.fresh())
    accepted = False
    for trial in trials:
        reseed()
        try:
            other = case.fresh(**{name: trial})
        except Exception:
            continue
        if _shapes(other) != base[0]:
            return True
        try:
            print_ = _fingerprint(case, other)
        except Exception:
            return True
        accepted = True
        if len(print_[1]) != len(base[1]) or any(judge.distance(a, b) > 0 for a, b in zip(print_[1], base[1])):
            return True
    return False if accepted else None


def _shapes(model: nn.Module) -> list[Any]:
    return [(name, tuple(value.shape)) for name, value in model.state_dict().items() if isinstance(value, Tensor)]


def _fingerprint(case: ModelCase, model: nn.Module) -> tuple[list[Any], list[Tensor]]:
    """Shapes of the state, the state itself, and outputs in train and eval mode."""
    values = [value.clone() for value in model.state_dict().values() if isinstance(value, Tensor)]
    wake(model)
    for mode in (True, False):
        reseed()
        values += case.outputs(model.train(mode), case.inputs())
    values += [value.clone() for value in model.state_dict().values() if isinstance(value, Tensor)]
    return _shapes(model), values


@check("parameter-count")
def parameter_count(case: ModelCase) -> Measured:
    """The number of parameters against the contract's."""
    stated = case.contract.get("parameters")
    if stated is None:
        raise Skip("contract.parameters does not state it")
    count = sum(p.numel() for p in case.fresh().parameters())
    if abs(count - int(stated)) <= 0.01 * int(stated):
        return Measured(f"{count:,}", f"{int(stated):,} within 1%")
    why = "The architecture differs from the stated one."
    raise Broken(f"{count:,}", f"{int(stated):,} within 1%", why, "Compare widths, depth, biases and tied weights.")


@contextmanager
def _autocast() -> Iterator[None]:
    """Autocast as on a GPU: the fast path of attention in evaluation mode does not know that of the CPU (torch 2.4)."""
    enabled = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(enabled)


@check("autocast")
def autocast(case: ModelCase) -> Measured:
    """Outputs under bfloat16 autocast."""
    inputs = case.inputs()
    base, other = (case.outputs(case.evaluated, inputs, seed) for seed in (0, 1))
    with _autocast():
        got = case.outputs(case.evaluated, inputs)
    worst = 0.0
    for a, again, b in zip(base, other, got):
        if not judge.finite(b):
            why = "Under autocast the output is not finite."
            where = case.source.point(r"masked_fill|-1e\d|finfo|exp\(|/")
            raise Broken("nan or inf", "finite", why, f"Use a bound that bfloat16 holds at {where}.")
        if not torch.equal(a, again):
            continue  # it depends on chance, and another precision may draw other numbers
        norm = math.sqrt(judge.dot(a, a)) or 1.0
        gap = judge.wide(a) - judge.wide(b)
        worst = max(worst, math.sqrt(judge.dot(gap, gap)) / norm)
    if worst < 0.1:
        return Measured(f"relative error {worst:.2g}", "< 10%")
    where = case.source.point(r"exp\(|cumsum|\*\*|var|norm")
    raise Broken(f"relative error {worst:.2g}", "< 10%", "bfloat16 changes the output.", f"Compute {where} in float32.")


@check("device")
def device(case: ModelCase) -> Measured:
    """On the meta device, a tensor that stays behind is refused as on a GPU."""
    model = copy.deepcopy(case.evaluated).to("meta")
    inputs = {name: value.to("meta") for name, value in case.inputs().items()}

    def call() -> None:
        with torch.no_grad():
            case.call(model, inputs)

    on_one_device(case.source, call)
    return Measured("all tensors moved", "no tensor left on the CPU")


@check("overfits")
def overfits(case: ModelCase) -> Measured:
    """Adam on one batch with random labels."""
    if len(case.specs) != 1 or case.main.role == "tokens":
        raise Skip("applies to classifiers of one floating input")
    probe = case.fresh().train()
    _no_dropout(probe)
    started = time.perf_counter()
    found = _class_output(case, probe)
    if found is None or not found.requires_grad:
        raise Skip("its output is no (batch, classes)")
    if time.perf_counter() - started > 0.15:
        raise Skip("too large to train here")
    labels = torch.arange(8) % found.shape[1]
    first, best, falling = 0.0, math.inf, False
    for rate in (3e-3, 3e-2):
        losses = _train(case, labels, rate)
        first, falling = losses[0], losses[-1] < 0.97 * losses[len(losses) * 2 // 3]
        best = min(best, losses[-1])
        if best < 0.35 * first:
            return Measured(f"loss {first:.3f} to {best:.3f} in {len(losses)} steps", "below 35% of the start")
    if falling:
        raise Skip(f"still falling after the steps that were tried ({first:.3f} to {best:.3f})")
    where = case.source.point(r"[sS]oftmax|[sS]igmoid|[tT]anh", r"no_grad|detach", r"\.mean\(|pool", r"return")
    raise Broken(
        f"loss {first:.3f} to {best:.3f}",
        "below 35% of the start",
        "It cannot even learn eight samples by heart.",
        f"Look for a squashed output or a cut path at {where}.",
    )


def _no_dropout(model: nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, nn.modules.dropout._DropoutNd):
            module.p = 0.0


def _train(case: ModelCase, labels: Tensor, rate: float) -> list[float]:
    model = case.fresh().train()
    _no_dropout(model)
    inputs = case.inputs(B=8)
    parameters = [p for p in model.parameters() if p.requires_grad]

    def loss() -> Tensor:
        return F.cross_entropy(case.graph_outputs(model, inputs)[0].float(), labels)

    return adam(loss, parameters, rate, steps=45)


@check("boxes")
def boxes(case: ModelCase) -> Measured:
    """A train step of a detector on images without a box, with one, with one outside."""
    signature = signature_of(case.fresh())
    if "targets" not in (signature.parameters if signature else ()) or not case.source.first(r"[\"']boxes[\"']"):
        raise Skip("not a detector that takes targets with boxes")
    inside, outside = torch.tensor([[2.0, 3.0, 12.0, 11.0]]), torch.tensor([[500.0, 500.0, 540.0, 530.0]])
    tries = {"one box": inside, "no box": torch.zeros(0, 4), "a box outside the image": outside}
    if _detector_loss(case, inside.repeat(3, 1)) is None:
        raise Skip("its targets are not dicts of boxes and labels")
    for when, given in tries.items():
        model, loss = _detector_loss(case, given) or (None, None)
        if model is None or loss is None or not loss.requires_grad:
            continue
        slopes = judge.gradients(loss, [p for p in model.parameters() if p.requires_grad])
        if not judge.finite(loss) or not all(judge.finite(slope) for slope in slopes if slope is not None):
            line = case.source.point(r"\.mean\(", r"/ |log|sqrt", r"boxes")
            why = f"For images with {when} the loss is not finite: one such batch ends the training."
            raise Broken(f"{judge.number(loss):.4g}", "finite", why, f"Divide by max(boxes, 1) at {line}.")
    return Measured("one, no and outside boxes", "finite value and gradient")


def _detector_loss(case: ModelCase, given: Tensor) -> tuple[nn.Module, Tensor] | None:
    """A model in train mode and the sum of its losses; None if it does not take or give them that way."""
    images = case.inputs()[case.main.name]
    targets = [{"boxes": given.clone(), "labels": torch.ones(len(given), dtype=torch.int64)} for _ in images]
    model = case.fresh().train()
    reseed()
    if len(given) == 3:
        try:
            losses = model(images, targets)
        except Exception:
            return None
    else:
        losses = model(images, targets)
    values = [value for value in flat_outputs(losses) if value.dim() == 0]
    return (model, torch.stack(values).sum()) if values else None


@check("compile")
def compile_(case: ModelCase) -> Measured:
    """torch.compile gives the eager output."""
    inputs = case.inputs()
    base = case.outputs(case.evaluated, inputs)
    compiled: Any = torch.compile(case.fresh().eval(), backend="aot_eager")
    with torch.no_grad():
        got = case.graph_outputs(compiled, inputs)
    gap = max(judge.distance(a, b) for a, b in zip(base, got))
    if gap <= 1e-4 * case.scale(base):
        return Measured(f"difference {gap:.1g}", "<= 1e-4 relative")
    raise Broken(
        f"difference {gap:.3g}", "<= 1e-4 relative", "The compiled output differs.", "Remove Python state from forward."
    )


@check("cuda")
def cuda(case: ModelCase) -> Measured:
    """The output on the GPU."""
    if not torch.cuda.is_available():
        raise Skip("no CUDA device in this run")
    base = case.outputs(case.evaluated, case.inputs())
    got = case.outputs(copy.deepcopy(case.evaluated).cuda(), {n: v.cuda() for n, v in case.inputs().items()})
    gap = max(judge.distance(a, b.cpu()) for a, b in zip(base, got))
    if gap <= 1e-2 * case.scale(base):
        return Measured(f"difference {gap:.1g}", "<= 1e-2 relative")
    raise Broken(
        f"difference {gap:.3g}", "<= 1e-2 relative", "The GPU computes something else.", "Check constants' device."
    )
