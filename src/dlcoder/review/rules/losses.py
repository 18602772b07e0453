"""Rules of losses: what they are given, and what they are averaged over."""

import ast
import re
from collections.abc import Iterator

from dlcoder.review.rule import Edit, Found, give, replace, rule
from dlcoder.review.source import Source, argument, attribute, keyword, last_word, receiver, unpacks

_CROSS_ENTROPY = ("functional.cross_entropy", "nn.CrossEntropyLoss")
_WITH_LOGITS = ("functional.binary_cross_entropy_with_logits", "nn.BCEWithLogitsLoss", "sigmoid_focal_loss")
_NLL = ("functional.nll_loss", "nn.NLLLoss")
_KL = ("functional.kl_div", "nn.KLDivLoss")
_SOFTMAX = ("functional.softmax", "torch.softmax", "nn.Softmax")
_LOG_SOFTMAX = ("functional.log_softmax", "torch.log_softmax", "nn.LogSoftmax")
_SIGMOID = ("torch.sigmoid", "functional.sigmoid", "nn.Sigmoid")
_MASK = re.compile(r"mask|valid", re.IGNORECASE)


def _is(source: Source, node: ast.AST, *names: str) -> bool:
    """Whether an expression calls one of `names`: a function, a method of the last word, or a module of that class."""
    if not isinstance(node, ast.Call):
        return False
    name = source.called(node)
    if name.endswith(names):
        return True
    if isinstance(node.func, ast.Attribute) and not name.startswith(("torch.", "numpy.", "scipy.")):
        functions = {each.rpartition(".")[2] for each in names if each.rpartition(".")[2].islower()}
        if node.func.attr in functions and last_word(node.func.value) not in ("self", "F", "nn", "losses", "metrics"):
            return True
    if isinstance(node.func, ast.Call):
        return source.called(node.func).endswith(names)
    return source.is_a(node.func, *names)


def _given(source: Source, *losses: str) -> Iterator[tuple[ast.Call, ast.expr]]:
    """Calls of a loss, with what they are given first."""
    for call in source.calls:
        if _is(source, call, *losses):
            first = argument(call, 0, "input", "logits", "inputs")
            if first is not None:
                yield call, first


def _argument_of(node: ast.Call) -> ast.expr | None:
    """What an activation is applied to: `x` of `softmax(x)`, `x.softmax(1)` and `nn.Softmax(1)(x)`."""
    name = last_word(node.func)
    if isinstance(node.func, ast.Attribute) and name in ("softmax", "sigmoid", "log_softmax"):
        base = node.func.value
        if last_word(base) not in ("torch", "F", "functional", "nn"):
            return base
    return argument(node, 0, "input")


def _model_ends_in(source: Source, value: ast.AST, *activations: str) -> ast.expr | None:
    """The activation that a model of this file ends in, where `value` is the output of such a model."""
    for end in _ends(source, value):
        if _is(source, end, *activations) or source.called(end).endswith(activations):
            return end
    return None


def _ends(source: Source, value: ast.AST, depth: int = 3) -> Iterator[ast.Call]:
    """What the output of a model of this file comes from: the calls that its forward returns, and their last layers."""
    if not isinstance(value, ast.Call) or not depth:
        return
    if (last := _last_layer(source, value.func, source.tree)) is not None:
        yield last
    for owner in _models(source, value):
        forward = source.method(owner, "forward")
        for node in source.within(forward) if forward else ():
            end = source.origin(node.value) if isinstance(node, ast.Return) and node.value else None
            if isinstance(end, ast.Call):
                yield end
                if (last := _last_layer(source, end.func, owner)) is not None:
                    yield last
                yield from _ends(source, end, depth - 1)


def _models(source: Source, call: ast.Call) -> list[ast.ClassDef]:
    """The classes of the file that a call may be of: a module itself, what a variable holds, or the only model."""
    if last_word(call.func) == "self":
        owner = source.owner(call)
        return [owner] if owner else []
    made = source.made_by(call.func)
    models = [owner for owner in source.classes.values() if source.is_module(owner)]
    if made:
        return [owner for owner in source.classes.values() if owner.name in made]
    given = re.search(r"(^|_)(model|net|network|classifier)$", last_word(call.func))
    return models if given and len(models) == 1 else []


def _last_layer(source: Source, module: ast.AST, within: ast.AST) -> ast.Call | None:
    """The last layer of a sequence that a name stands for, or the one layer that it stands for."""
    for node in ast.walk(within):
        if (
            isinstance(node, ast.Assign)
            and last_word(node.targets[0]) == last_word(module)
            and isinstance(node.value, ast.Call)
        ):
            if not source.called(node.value).endswith("nn.Sequential"):
                return node.value
            if node.value.args and isinstance(node.value.args[-1], ast.Call):
                return node.value.args[-1]
    return None


def _activated(source: Source, losses: tuple[str, ...], activations: tuple[str, ...], told: str) -> Iterator[Found]:
    for call, first in _given(source, *losses):
        value = source.origin(first)
        loss = last_word(call.func) or "the loss"
        if _is(source, value, *activations):
            inner = _argument_of(value) if isinstance(value, ast.Call) else None
            # Where the activation has a name of its own, something else may use it.
            direct = value is first and inner is not None
            edits = (replace(source, first, source.code(inner)),) if direct and inner is not None else ()
            yield Found(value, f"{told} {loss}, which applies its own", edits)
        elif (end := _model_ends_in(source, value, *activations)) is not None:
            yield Found(end, f"the model ends in it, and {loss} (line {call.lineno}) applies its own")


def double_softmax(source: Source) -> Iterator[Found]:
    """A softmax below cross entropy.

    Why: Cross entropy applies log-softmax itself. On top of a softmax the logits lie in [0, 1]: gradients are tiny, the
    loss cannot fall below log(1 + (C - 1) / e), and nothing crashes.
    Fix: Pass the logits; apply softmax only where probabilities are read.
    Bad:
        import torch.nn.functional as F
        def loss(model, x, y):
            return F.cross_entropy(F.softmax(model(x), dim=1), y)
    Good:
        import torch.nn.functional as F
        def loss(model, x, y):
            return F.cross_entropy(model(x), y)
    Reference: https://docs.pytorch.org/docs/stable/generated/torch.nn.CrossEntropyLoss.html
    """
    yield from _activated(source, _CROSS_ENTROPY, (*_SOFTMAX, *_LOG_SOFTMAX), "softmax before")


def sigmoid_before_logits(source: Source) -> Iterator[Found]:
    """A sigmoid below a loss on logits.

    Why: The loss applies a sigmoid itself. Squashed twice, every probability lies in [0.5, 0.73]: negatives can never
    be learned.
    Fix: Pass the logits.
    Bad:
        import torch
        from torch import nn
        criterion = nn.BCEWithLogitsLoss()
        def loss(model, x, y):
            return criterion(torch.sigmoid(model(x)), y)
    Good:
        import torch
        from torch import nn
        criterion = nn.BCEWithLogitsLoss()
        def loss(model, x, y):
            return criterion(model(x), y)
    Reference: https://docs.pytorch.org/docs/stable/generated/torch.nn.BCEWithLogitsLoss.html
    """
    yield from _activated(source, _WITH_LOGITS, _SIGMOID, "sigmoid before")


def probabilities_to_nll(source: Source) -> Iterator[Found]:
    """Probabilities where log-probabilities belong.

    Why: NLL and KL divergence take log-probabilities. Given probabilities, their gradient does not lead to the target.
    Fix: Use log_softmax in the place of softmax.
    Bad:
        import torch.nn.functional as F
        def loss(x, y):
            return F.nll_loss(F.softmax(x, dim=1), y)
    Good:
        import torch.nn.functional as F
        def loss(x, y):
            return F.nll_loss(F.log_softmax(x, dim=1), y)
    Reference: https://docs.pytorch.org/docs/stable/generated/torch.nn.KLDivLoss.html
    """
    for call, first in _given(source, *_NLL, *_KL):
        value = source.origin(first)
        if _is(source, value, *_SOFTMAX):
            assert isinstance(value, ast.Call)
            edits: tuple[Edit, ...] = ()
            if isinstance(value.func, ast.Name | ast.Attribute) and last_word(value.func) == "softmax":
                head = source.code(value.func).removesuffix("softmax")
                edits = (replace(source, value.func, f"{head}log_softmax"),)
            yield Found(value, f"{last_word(call.func)} is given probabilities, and expects their logarithm", edits)


def nll_of_logits(source: Source) -> Iterator[Found]:
    """Logits where log-probabilities belong.

    Why: NLL picks the target's value and negates it. Of logits, it falls without bound as all
    of them grow.
    Fix: Use cross entropy, or log_softmax before.
    Bad:
        import torch.nn.functional as F
        from torch import nn
        model = nn.Sequential(nn.Flatten(), nn.Linear(8, 3))
        def loss(x, y):
            return F.nll_loss(model(x), y)
    Good:
        import torch.nn.functional as F
        from torch import nn
        model = nn.Sequential(nn.Flatten(), nn.Linear(8, 3))
        def loss(x, y):
            return F.cross_entropy(model(x), y)
    Reference: https://docs.pytorch.org/docs/stable/generated/torch.nn.NLLLoss.html
    """
    for call, first in _given(source, *_NLL):
        ends = list(_ends(source, source.origin(first)))
        if ends and source.called(ends[-1]).endswith("nn.Linear"):
            yield Found(call, "it is given the output of a linear layer")


def log_of_softmax(source: Source) -> Iterator[Found]:
    """The logarithm of a softmax or sigmoid.

    Why: Once a probability rounds to 0 the logarithm is -inf and the gradient NaN: early in float16, later in float32.
    Fix: Use log_softmax, logsigmoid, or a loss that takes logits.
    Bad:
        import torch
        def loss(x, y):
            return -torch.log(torch.softmax(x, dim=1)).gather(1, y[:, None]).mean()
    Good:
        import torch
        def loss(x, y):
            return -torch.log_softmax(x, dim=1).gather(1, y[:, None]).mean()
    Reference: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.log_softmax.html
    """
    for call in source.calls:
        if not (source.called(call) == "torch.log" or (attribute(call) == "log" and not call.args)):
            continue
        inside = call.args[0] if call.args else getattr(call.func, "value", None)
        if inside is None:
            continue
        squashed = source.origin(inside)
        for names, stable in ((_SOFTMAX, "log_softmax"), (_SIGMOID, "logsigmoid")):
            if isinstance(squashed, ast.Call) and _is(source, squashed, *names):
                yield Found(
                    call,
                    f"log of {names[0].rpartition('.')[2]} is -inf where the probability rounds to 0",
                    _stable(source, call, squashed, stable) if squashed is inside else (),
                )


def _stable(source: Source, call: ast.Call, inside: ast.Call, name: str) -> tuple[Edit, ...]:
    value = _argument_of(inside)
    if value is None or isinstance(inside.func, ast.Call):
        return ()
    rest = [source.code(each) for each in inside.args if each is not value]
    rest += [
        source.code(each.value) if each.arg is None else f"{each.arg}={source.code(each.value)}"
        for each in inside.keywords
        if each.arg != "input"
    ]
    text = f"torch.nn.functional.{name}({', '.join([source.code(value), *rest])})"
    return (replace(source, call, text, "torch"),)


def mean_over_mask(source: Source) -> Iterator[Found]:
    """A masked mean that divides by everything.

    Why: Elements that are masked out still count in the divisor: the more padding a batch has, the smaller its loss and
    its gradient.
    Fix: Divide the sum by the number of elements that count.
    Bad:
        def loss(error, mask):
            return (error * mask).mean()
    Good:
        def loss(error, mask):
            return (error * mask).sum() / mask.sum().clamp(min=1)
    Reference: https://huggingface.co/blog/gradient_accumulation
    """
    for call in source.calls:
        if attribute(call) != "mean" and source.called(call) != "torch.mean":
            continue
        function = source.called(call) == "torch.mean"
        inside = call.args[0] if function and call.args else getattr(call.func, "value", None)
        if inside is None or (mask := _masked_by(source, inside)) is None:
            continue
        over_all = len(call.args) == function and not call.keywords
        if over_all or _is_of_tokens(mask, argument(call, int(function), "dim")):
            text = source.code(inside)
            whole = text if isinstance(inside, ast.Name) or text.startswith("(") else f"({text})"
            fixed = f"{whole}.sum() / {source.code(mask)}.sum().clamp(min=1)"
            yield Found(
                call,
                f"the mean divides by all elements, also by those that {source.code(mask)} leaves out",
                (replace(source, call, fixed),) if isinstance(mask, ast.Name) and over_all else (),
            )
    for node in source.nodes:
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div) and isinstance(node.right, ast.Call):
            counts_all = attribute(node.right) in ("numel", "nelement")
            if counts_all and isinstance(node.left, ast.Call) and attribute(node.left) == "sum":
                if (mask := _masked_by(source, receiver(node.left))) is not None:
                    yield Found(node, f"it divides by all elements, also by those that {source.code(mask)} leaves out")


def _masked_by(source: Source, value: ast.expr) -> ast.expr | None:
    """The mask that a value was multiplied by."""
    product = source.origin(value)
    if isinstance(product, ast.BinOp) and isinstance(product.op, ast.Mult):
        masks = (each for each in (product.right, product.left) if _MASK.search(last_word(_plain(each))))
        return next(masks, None)
    return None


def _is_of_tokens(mask: ast.expr, axis: ast.expr | None) -> bool:
    """Whether a mean over axis 1 pools tokens that a mask (B, L, 1) has left out."""
    over = isinstance(axis, ast.Constant) and axis.value == 1
    widened = re.search(r"unsqueeze\(\s*(dim=)?(-1|2)\)|\[(:, :|\.\.\.), None\]", ast.unparse(mask))
    return over and bool(widened)


def _plain(node: ast.AST) -> ast.AST:
    """`mask` for `mask.float()` and `mask[..., None]`."""
    while isinstance(node, ast.Call | ast.Subscript):
        if isinstance(node, ast.Subscript):
            node = node.value
        elif isinstance(node.func, ast.Attribute):
            node = node.func.value
        else:
            break
    return node


def division_by_empty_mask(source: Source) -> Iterator[Found]:
    """A division by a count that can be zero.

    Why: A crop without a valid pixel, or a batch of padding, gives 0 / 0 = NaN, and one such batch ends the training.
    Fix: Divide by the count clamped to at least 1.
    Bad:
        def loss(error, mask):
            return (error * mask).sum() / mask.sum()
    Good:
        def loss(error, mask):
            return (error * mask).sum() / mask.sum().clamp(min=1)
    """
    for node in source.nodes:
        if not (isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div) and isinstance(node.right, ast.Call)):
            continue
        count = node.right
        if attribute(count) == "sum" and not count.args and not count.keywords:
            counted = getattr(count.func, "value", None)
            if counted is not None and _MASK.search(last_word(_plain(counted))) and _is_sum(node.left):
                if _is_guarded(source, node, last_word(_plain(counted))):
                    continue
                yield Found(
                    node,
                    f"0 / 0 = NaN for a batch in which {source.code(counted)} holds nothing",
                    (replace(source, count, f"{source.code(count)}.clamp(min=1)"),),
                )


def _is_sum(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and attribute(node) == "sum"


def _is_guarded(source: Source, node: ast.AST, name: str) -> bool:
    """Whether an `if` about the mask stands around or above the division, in its function."""
    tests = [
        each.test for each in source.within(source.scope(node)) if isinstance(each, ast.If | ast.IfExp | ast.Assert)
    ]
    return any(last_word(word) == name for test in tests for word in ast.walk(test))


def logarithm_as_target(source: Source) -> Iterator[Found]:
    """Log-probabilities where probabilities belong.

    Why: kl_div takes the target as probabilities. Given their logarithm, all weights are negative: the gradient points
    away from the teacher.
    Fix: Pass log_target=True, or probabilities.
    Bad:
        import torch.nn.functional as F
        def loss(student, teacher):
            return F.kl_div(F.log_softmax(student, -1), F.log_softmax(teacher, -1), reduction="batchmean")
    Good:
        import torch.nn.functional as F
        def loss(student, teacher):
            target = F.log_softmax(teacher, -1)
            return F.kl_div(F.log_softmax(student, -1), target, reduction="batchmean", log_target=True)
    Reference: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.kl_div.html
    """
    for call in source.calls:
        target = argument(call, 1, "target") if source.called(call).endswith("functional.kl_div") else None
        if target is not None and keyword(call, "log_target") is None and not unpacks(call):
            if _is(source, source.origin(target), *_LOG_SOFTMAX):
                yield Found(call, "its target is a logarithm", (give(source, call, "log_target=True"),))


def kl_div_mean(source: Source) -> Iterator[Found]:
    """A Kullback-Leibler divergence averaged over elements.

    Why: The divergence is a sum over classes, averaged over samples: reduction='batchmean'. The default 'mean' also
    divides by the number of classes, so that its weight beside other losses vanishes.
    Fix: Pass reduction='batchmean', or 'sum' or 'none' if that is meant.
    Bad:
        import torch.nn.functional as F
        def loss(student, teacher):
            return F.kl_div(F.log_softmax(student, -1), F.softmax(teacher, -1))
    Good:
        import torch.nn.functional as F
        def loss(student, teacher):
            return F.kl_div(F.log_softmax(student, -1), F.softmax(teacher, -1), reduction="batchmean")
    Reference: https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.kl_div.html
    """
    for call in source.calls:
        if source.called(call).endswith(_KL):
            if keyword(call, "reduction") is None and not unpacks(call):
                yield Found(
                    call,
                    "the default averages over elements, classes included: C times too small",
                    (give(source, call, 'reduction="batchmean"'),),
                )


RULES = [
    rule(find)
    for find in (
        double_softmax,
        sigmoid_before_logits,
        probabilities_to_nll,
        nll_of_logits,
        log_of_softmax,
        mean_over_mask,
        division_by_empty_mask,
        logarithm_as_target,
        kl_div_mean,
    )
]
