"""Rules of signs: what is minimized must get smaller as the model gets better."""

import ast
import re
from collections.abc import Iterator

from dlcoder.review.rule import Found, replace, rule
from dlcoder.review.source import Function, Source, attribute, last_word, same

_OVERLAP = re.compile(r"dice|iou|jaccard|tversky|ssim", re.IGNORECASE)
_APART = re.compile(r"neg|dissim|distance|orthogon|diversity|repel|decorrelat|separat|contrast|advers", re.IGNORECASE)


def score_as_loss(source: Source) -> Iterator[Found]:
    """A score that is minimized.

    Why: An overlap or a similarity grows as the model gets better: minimized, it teaches the model to miss.
    Fix: Return 1 minus the score.
    Bad:
        class DiceLoss:
            def forward(self, p, t):
                return 2 * (p * t).sum() / (p.sum() + t.sum() + 1e-6)
    Good:
        class DiceLoss:
            def forward(self, p, t):
                return 1 - 2 * (p * t).sum() / (p.sum() + t.sum() + 1e-6)
    """
    for function in source.functions:
        name = _name_of_loss(source, function)
        if not name or _APART.search(name):
            continue
        returned = [node.value for node in source.within(function) if isinstance(node, ast.Return) and node.value]
        if len(returned) == 1 and _is_score(source, returned[0], name) and not _turns(source, function):
            yield Found(returned[0], f"{name} grows as the model gets better")


def _name_of_loss(source: Source, function: Function) -> str:
    """What a loss is called: the function itself, or the class whose forward it is."""
    owner = source.owner(function)
    name = owner.name if owner is not None and function.name in ("forward", "__call__") else function.name
    return name if re.search(r"(?i)loss$", name) else ""


def _is_score(source: Source, value: ast.expr, name: str) -> bool:
    """Whether a value is an overlap, by its form and its name, or a similarity."""
    value = _averaged(source, source.origin(value))
    if isinstance(value, ast.BinOp) and isinstance(value.op, ast.Div):
        return bool(_OVERLAP.search(name))
    return isinstance(value, ast.Call) and source.called(value).endswith("functional.cosine_similarity")


def _averaged(source: Source, value: ast.expr) -> ast.expr:
    while isinstance(value, ast.Call) and attribute(value) in ("mean", "sum"):
        value = source.origin(value.func.value) if isinstance(value.func, ast.Attribute) else value
    return value


def _turns(source: Source, function: Function) -> bool:
    """Whether anything in a function is subtracted or negated."""
    for node in source.within(function):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub) and isinstance(node.left, ast.Constant):
            return True
        negated = isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub)
        if negated and isinstance(node, ast.UnaryOp) and not isinstance(node.operand, ast.Constant):
            return True
        if isinstance(node, ast.Call) and last_word(node.func) in ("log", "rsub", "neg"):
            return True
    return False


def divergence_is_negative(source: Source) -> Iterator[Found]:
    """A divergence with the wrong sign.

    Why: 1 + log_var - mu^2 - exp(log_var) is never positive: half its sum, added to the loss, rewards the posterior for
    leaving the prior, without bound.
    Fix: Multiply by -0.5.
    Bad:
        import torch
        def loss(error, mu, logvar):
            kl = 0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
            return error + kl
    Good:
        import torch
        def loss(error, mu, logvar):
            kl = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
            return error + kl
    Reference: https://arxiv.org/abs/1312.6114
    """
    for node in source.nodes:
        if not (isinstance(node, ast.Assign) and re.search(r"(?i)kl", last_word(node.targets[0]))):
            continue
        name, value = last_word(node.targets[0]), node.value
        if isinstance(value, ast.BinOp) and isinstance(value.op, ast.Mult) and isinstance(value.left, ast.Constant):
            inside = re.sub(r"\s|torch\.|\(", "", source.code(value.right))
            subtracted = re.search(rf"-\s*([\w.]+\s*\*\s*)?{name}\b", source.text_around(node))
            if re.match(r"(sum|mean)?1(\.0?)?\+\w*log_?(var|sigma)\w*-", inside) and not subtracted:
                fixed = replace(source, value.left, f"-{source.code(value.left)}")
                yield Found(node, f"{name} is negative, and is minimized", (fixed,))


def policy_descends(source: Source) -> Iterator[Found]:
    """A policy that unlearns what was rewarded.

    Why: The policy gradient ascends: minimized as it is, log-probability times return makes good actions rarer.
    Fix: Put a minus before it.
    Bad:
        def policy_loss(log_probs, returns):
            loss = (log_probs * returns).mean()
            return loss
    Good:
        def policy_loss(log_probs, returns):
            loss = -(log_probs * returns).mean()
            return loss
    """
    for node in source.nodes:
        if not isinstance(node, ast.Assign | ast.Return) or node.value is None:
            continue
        named = last_word(node.targets[0]) if isinstance(node, ast.Assign) else getattr(source.scope(node), "name", "")
        if "loss" not in named.lower():
            continue
        value = node.value
        product = _averaged(source, value)
        if isinstance(product, ast.BinOp) and isinstance(product.op, ast.Mult):
            words = [last_word(product.left).lower(), last_word(product.right).lower()]
            chosen = any(re.search(r"log_?p(rob)?s?(_|$)|logprobs?", word) for word in words)
            rewarded = any(re.match(r"(adv|return|reward|reinforce)", word) for word in words)
            if chosen and rewarded:
                yield Found(
                    node, "it makes rewarded actions rarer", (replace(source, value, f"-{source.code(value)}"),)
                )


def margin_turned_round(source: Source) -> Iterator[Found]:
    """A triplet that pulls the wrong way.

    Why: The distance to the positive must be smaller: relu(negative - positive + margin) brings negatives closer.
    Fix: relu(positive - negative + margin), of distances.
    Bad:
        import torch
        def triplet(dist_pos, dist_neg, margin):
            return torch.relu(dist_neg - dist_pos + margin).mean()
    Good:
        import torch
        def triplet(dist_pos, dist_neg, margin):
            return torch.relu(dist_pos - dist_neg + margin).mean()
    Reference: https://docs.pytorch.org/docs/stable/generated/torch.nn.TripletMarginLoss.html
    """
    distance = r"(?i)(d|dist|distance)_?"
    for node in source.nodes:
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub):
            left, right = last_word(node.left), last_word(node.right)
            apart = re.fullmatch(rf"{distance}(a?n|neg|negative)s?|(neg|negative)_?{distance[4:]}s?", left)
            close = re.fullmatch(rf"{distance}(a?p|pos|positive)s?|(pos|positive)_?{distance[4:]}s?", right)
            around = source.parent(node)
            if apart and close and isinstance(around, ast.BinOp) and isinstance(around.op, ast.Add):
                fixed = replace(source, node, f"{right} - {left}")
                yield Found(node, f"it makes {left} small and {right} large", (fixed,))


def future_where_it_ended(source: Source) -> Iterator[Found]:
    """A return that goes on where the episode has ended.

    Why: The value of the next state counts while the episode goes on: multiplied by `done` it counts at the end only.
    Fix: Multiply by 1 - done.
    Bad:
        def target(reward, done, gamma, value):
            return reward + gamma * value * done
    Good:
        def target(reward, done, gamma, value):
            return reward + gamma * value * (1 - done)
    """
    for node in source.nodes:
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
            factors = _factors(node)
            names = [last_word(each).lower() for each in factors]
            ended = next(
                (each for each in factors if re.fullmatch(r"dones?|terminals?|terminated", last_word(each))), None
            )
            if ended is not None and any(name.startswith("gamma") or name == "discount" for name in names):
                text = source.code(ended)
                yield Found(node, f"it counts where {text} is 1", (replace(source, ended, f"(1 - {text})"),))


def _factors(value: ast.expr) -> list[ast.expr]:
    if isinstance(value, ast.BinOp) and isinstance(value.op, ast.Mult):
        return _factors(value.left) + _factors(value.right)
    return [value]


def mixed_with_itself(source: Source) -> Iterator[Found]:
    """A mixture of a thing with itself.

    Why: lam * f(y) + (1 - lam) * f(y) is f(y): the images are mixed, and the labels are those of one of them.
    Fix: Take the second term of the other labels.
    Bad:
        def loss(criterion, out, y, y_other, lam):
            return lam * criterion(out, y) + (1 - lam) * criterion(out, y)
    Good:
        def loss(criterion, out, y, y_other, lam):
            return lam * criterion(out, y) + (1 - lam) * criterion(out, y_other)
    Reference: https://arxiv.org/abs/1710.09412
    """
    for node in source.nodes:
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            left, right = _factors(node.left), _factors(node.right)
            if len(left) == len(right) == 2:
                weighted = any(_rests(each, other) for each in left for other in right)
                shared = [each for each in left if isinstance(each, ast.Call | ast.Name | ast.Subscript)]
                if weighted and any(same(each, other) for each in shared for other in right):
                    yield Found(node, "both terms are the same")


def _rests(part: ast.expr, other: ast.expr) -> bool:
    """Whether one of two weights is 1 minus the other."""
    rest = other if isinstance(other, ast.BinOp) else part
    of = part if rest is other else other
    if not (isinstance(rest, ast.BinOp) and isinstance(rest.op, ast.Sub) and isinstance(rest.left, ast.Constant)):
        return False
    return rest.left.value == 1 and same(rest.right, of)


RULES = [
    rule(find)
    for find in (
        score_as_loss,
        divergence_is_negative,
        policy_descends,
        margin_turned_round,
        future_where_it_ended,
        mixed_with_itself,
    )
]
