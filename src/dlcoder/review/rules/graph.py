"""Rules of the graph: what the gradient flows through, and what keeps it alive."""

import ast
import re
from collections.abc import Iterator

from dlcoder.review.rule import Edit, Found, give, replace, rule
from dlcoder.review.source import Function, Source, argument, attribute, keyword, last_word, receiver, unpacks
from dlcoder.review.training import contributing, trainings, without_gradient

_LOSS = re.compile(r"(^|_)(loss|losses)(_|\d|$)", re.IGNORECASE)
_RECORD = re.compile(
    r"(^|_)(val|valid|validation|test|eval|best|last|prev|old|total|sum|running|avg|mean|epoch|min|hist|history|log|"
    r"train|smooth|moving|curr|meter|fn|func|weight|scale|name|type|scaler|mask|file|path)s?(_|$)",
    re.IGNORECASE,
)


def loss_not_wired(source: Source) -> Iterator[Found]:
    """A loss that no gradient comes from.

    Why: It is computed, perhaps even logged, and never becomes part of what is differentiated: the model is not trained
    on it.
    Fix: Add it to the loss that backward is called on, or remove it.
    Bad:
        def train(model, loader, optimizer, criterion, consistency):
            for x, y in loader:
                optimizer.zero_grad()
                out = model(x)
                loss = criterion(out, y)
                aux_loss = consistency(out, x)
                loss.backward()
                optimizer.step()
                print(loss.item(), aux_loss.item())
    Good:
        def train(model, loader, optimizer, criterion, consistency):
            for x, y in loader:
                optimizer.zero_grad()
                out = model(x)
                loss = criterion(out, y)
                aux_loss = consistency(out, x)
                (loss + aux_loss).backward()
                optimizer.step()
                print(loss.item(), aux_loss.item())
    """
    for scope in source.functions:
        differentiated = [each.loss for each in trainings(source) if each.scope is scope]
        if not differentiated or any(node for node in source.within(scope) if isinstance(node, ast.Yield)):
            continue
        reached = contributing(source, scope, differentiated + _handed_on(source, scope))
        for node in source.within(scope):
            if not (isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name)):
                continue
            name = node.targets[0].id
            if not (_LOSS.search(name) or _is_criterion(node.value)) or _RECORD.search(name) or name in reached:
                continue
            if _is_computed(source, node.value) and not without_gradient(source, node):
                yield Found(node, f"{name} does not reach the loss of line {differentiated[0].lineno}")
        yield from _parts_left_out(source, scope, differentiated)
    yield from _left_behind(source)


def _is_criterion(value: ast.expr) -> bool:
    """Whether a value is what a loss function returns, by its name."""
    named = re.compile(r"^(ce|bce|mse|l1|dice|focal|kl)$|criterion$|^crit$|(^|_)loss(_fn|_func)?$|cross_entropy")
    return isinstance(value, ast.Call) and bool(named.search(last_word(value.func)))


def _parts_left_out(source: Source, scope: Function, differentiated: list[ast.expr]) -> Iterator[Found]:
    """Losses that a function of the file returns by name, where only some of them are differentiated."""
    for loss in differentiated:
        part = _value(source, loss)
        if not (isinstance(part, ast.Subscript) and isinstance(part.value, ast.Name)):
            continue
        name = part.value.id
        made = source.origin(part.value)
        keys = _keys(source, last_word(made.func)) if isinstance(made, ast.Call) else set()
        parts = [node for node in source.within(scope) if isinstance(node, ast.Subscript)]
        read = {
            node.slice.value for node in parts if last_word(node.value) == name and isinstance(node.slice, ast.Constant)
        }
        summed = re.search(rf"sum\(.*\b{name}\b|\+= .*\b{name}\b|return {name}\b", source.code(scope))
        left = sorted(keys - read)
        if read and left and not summed:
            yield Found(source.statement(part), f"{', '.join(left)} of {name} is never differentiated")


def _value(source: Source, loss: ast.expr) -> ast.expr:
    """What a loss was last assigned."""
    if isinstance(loss, ast.Name):
        for node in source.within(source.scope(loss)):
            if isinstance(node, ast.Assign) and last_word(node.targets[0]) == loss.id:
                return node.value
    return loss


def _keys(source: Source, function: str) -> set[str]:
    """The names under which a function of the file returns losses."""
    keys = set()
    for each in source.functions:
        if each.name == function and "loss" in function:
            for node in source.within(each):
                if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Subscript):
                    keys |= {node.targets[0].slice.value} if isinstance(node.targets[0].slice, ast.Constant) else set()
                elif isinstance(node, ast.Return) and isinstance(node.value, ast.Dict):
                    keys |= {key.value for key in node.value.keys if isinstance(key, ast.Constant)}
    return {key for key in keys if isinstance(key, str) and not re.search(r"acc|metric|total|iou|n_|num", key)}


def _left_behind(source: Source) -> Iterator[Found]:
    """Losses that a function computes and does not use, where it returns another."""
    for scope in source.functions:
        returned = [node.value for node in source.within(scope) if isinstance(node, ast.Return) and node.value]
        if not any(_LOSS.search(last_word(each)) for value in returned for each in ast.walk(value)):
            continue
        read = {
            node.id
            for node in ast.walk(scope)
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and not _is_recorded(source, node)
        }
        for node in source.within(scope):
            if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
                name = node.targets[0].id
                counts = _LOSS.search(name) and not _RECORD.search(name) and name not in read
                if counts and _is_computed(source, node.value) and not without_gradient(source, node):
                    yield Found(node, f"{name} is not part of what {scope.name} returns")


def _is_recorded(source: Source, name: ast.Name) -> bool:
    """Whether a use of a variable only records its value: `loss.item()`, `loss.detach()`, `float(loss)`."""
    around, statement = source.parent(name), source.statement(name)
    target = statement.targets[0] if isinstance(statement, ast.Assign) else getattr(statement, "target", None)
    if isinstance(target, ast.Name):  # a sum of losses, which may well be what the function is for
        return False
    if isinstance(around, ast.Attribute):
        return around.attr in ("item", "detach")
    return isinstance(around, ast.Call) and last_word(around.func) in ("float", "print")


def _handed_on(source: Source, scope: Function) -> list[ast.expr]:
    """What leaves a function otherwise: returned, kept, or given to a function that may differentiate it."""
    found: list[ast.expr] = []
    for node in source.within(scope):
        if isinstance(node, ast.Return) and node.value is not None and not _is_number(node.value):
            found.append(node.value)
        elif isinstance(node, ast.Assign) and any(
            isinstance(each, ast.Attribute | ast.Subscript) for each in node.targets
        ):
            if not _is_number(node.value):
                found.append(node.value)
        elif isinstance(node, ast.Call) and source.called(node).endswith("autograd.grad"):
            found += node.args
    return found


def _is_number(node: ast.expr) -> bool:
    """Whether an expression only records values: `loss.item()`, `float(loss)`, `{"aux": aux.item()}`."""
    if isinstance(node, ast.Dict):
        return all(_is_number(value) for value in node.values)
    if isinstance(node, ast.Tuple | ast.List):
        return all(_is_number(value) for value in node.elts)
    if isinstance(node, ast.BinOp):
        return _is_number(node.left) and _is_number(node.right)
    return (
        isinstance(node, ast.Call)
        and (attribute(node) in ("item", "tolist", "numpy") or last_word(node.func) == "float")
    ) or isinstance(node, ast.Constant)


def _is_computed(source: Source, value: ast.expr) -> bool:
    """Whether a value is the result of a computation on tensors, as far as the form tells."""
    if isinstance(value, ast.BinOp):
        return _is_computed(source, value.left) or _is_computed(source, value.right)
    if not isinstance(value, ast.Call) or not (value.args or value.keywords):
        return False
    name = source.called(value)
    is_class = last_word(value.func)[:1].isupper()
    makes = name.startswith(("torch.zeros", "torch.tensor", "torch.ones")) or name in (
        "float",
        "sum",
        "len",
        "dict",
        "list",
    )
    return not is_class and not makes and attribute(value) not in ("item", "get", "pop", "reduce", "gather")


def trained_without_graph(source: Source) -> Iterator[Found]:
    """A loss computed where no graph is recorded.

    Why: backward raises, or with requires_grad_() on the loss runs through nothing: no weight gets a gradient.
    Fix: Take the forward pass out of no_grad.
    Bad:
        import torch
        def train(model, loader, optimizer, criterion):
            for x, y in loader:
                optimizer.zero_grad()
                with torch.no_grad():
                    out = model(x)
                loss = criterion(out, y).requires_grad_()
                loss.backward()
                optimizer.step()
    Good:
        import torch
        def train(model, loader, optimizer, criterion):
            for x, y in loader:
                optimizer.zero_grad()
                out = model(x)
                loss = criterion(out, y)
                loss.backward()
                optimizer.step()
    """
    for each in trainings(source):
        reached = contributing(source, each.scope, [each.loss])
        for node in source.within(each.region):
            forced = isinstance(node, ast.Call) and attribute(node) == "requires_grad_"
            if forced and isinstance(node, ast.Call) and _is_loss_of(source, node, reached):
                yield Found(node, "a loss that needs requires_grad_() has no graph: no gradient reaches the model")
            if (
                isinstance(node, ast.Assign | ast.AnnAssign)
                and isinstance(node.value, ast.Call)
                and _starts_a_graph(source, node.value)
                and any(_LOSS.search(name) for name in _assigned(node) & reached)
            ):
                yield Found(node, "a new tensor has no graph: no gradient reaches the model")
    for call in source.calls:
        numbers = {attribute(each) for given in call.args for each in ast.walk(given) if isinstance(each, ast.Call)}
        if _starts_a_graph(source, call) and numbers & {"item", "tolist", "numpy"}:
            yield Found(source.statement(call), "a new tensor has no graph: no gradient reaches the model")


def _is_loss_of(source: Source, call: ast.Call, reached: set[str]) -> bool:
    on = receiver(call)
    if isinstance(on, ast.Name):
        return on.id in reached and bool(_LOSS.search(on.id))
    statement = source.statement(call)
    return isinstance(statement, ast.Assign) and any(_LOSS.search(name) for name in _assigned(statement) & reached)


def _assigned(node: ast.Assign | ast.AnnAssign) -> set[str]:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return {target.id for target in targets if isinstance(target, ast.Name)}


def _starts_a_graph(source: Source, call: ast.Call) -> bool:
    """Whether a call makes a new tensor that wants a gradient."""
    given = keyword(call, "requires_grad")
    makes = source.called(call) in ("torch.tensor", "torch.autograd.Variable")
    return makes and isinstance(given, ast.Constant) and given.value is True


def item_in_loss(source: Source) -> Iterator[Found]:
    """A term of the loss that was cut off from the graph.

    Why: `.item()`, `float()` and `.detach()` give a constant: the term shows in the logs, and has no gradient.
    Fix: Add the tensor itself.
    Bad:
        def train(model, loader, optimizer, criterion, penalty):
            for x, y in loader:
                optimizer.zero_grad()
                aux = penalty(model)
                loss = criterion(model(x), y) + aux.item()
                loss.backward()
                optimizer.step()
    Good:
        def train(model, loader, optimizer, criterion, penalty):
            for x, y in loader:
                optimizer.zero_grad()
                aux = penalty(model)
                loss = criterion(model(x), y) + aux
                loss.backward()
                optimizer.step()
    """
    for each in trainings(source):
        reached = contributing(source, each.scope, [each.loss])
        for node in source.within(each.scope):
            if not isinstance(node, ast.Assign) or not any(_LOSS.search(name) for name in _assigned(node) & reached):
                continue
            for part in _terms(node.value):
                if isinstance(part, ast.Call) and attribute(part) in ("item", "detach") and not part.args:
                    inner = source.code(receiver(part))
                    yield Found(part, f"{inner} enters the loss as a constant", (replace(source, part, inner),))


def _terms(value: ast.expr) -> list[ast.expr]:
    """The terms of a sum, without their constant factors."""
    if isinstance(value, ast.BinOp) and isinstance(value.op, ast.Add | ast.Sub):
        return _terms(value.left) + _terms(value.right)
    if isinstance(value, ast.BinOp) and isinstance(value.op, ast.Mult):
        factors = [value.left, value.right]
        tensors = [each for each in factors if not isinstance(each, ast.Constant | ast.Name | ast.Attribute)]
        return tensors if len(tensors) == 1 and len(factors) == 2 else []
    return [value]


def graph_kept(source: Source) -> Iterator[Found]:
    """A loss that is kept with its graph.

    Why: Every batch's activations stay in memory until the sum or list is let go: memory grows until it runs out.
    Fix: Keep loss.detach(), or loss.item() where a wait for the GPU does not matter.
    Bad:
        def train(model, loader, optimizer, criterion):
            total = 0
            for x, y in loader:
                optimizer.zero_grad()
                loss = criterion(model(x), y)
                loss.backward()
                optimizer.step()
                total += loss
            return total / len(loader)
    Good:
        def train(model, loader, optimizer, criterion):
            total = 0
            for x, y in loader:
                optimizer.zero_grad()
                loss = criterion(model(x), y)
                loss.backward()
                optimizer.step()
                total += loss.detach()
            return total / len(loader)
    Reference: https://docs.pytorch.org/docs/stable/notes/faq.html
    """
    for each in trainings(source):
        if not isinstance(each.loss, ast.Name) or each.region is each.scope:
            continue
        reached = contributing(source, each.scope, [each.loss])
        for node in source.within(each.region):
            kept = _kept(node)
            if kept is None:
                continue
            into, value = kept
            if last_word(into) and last_word(into) not in reached:
                for name in _loss_in(value, each.loss.id):
                    edits: tuple[Edit, ...] = (replace(source, name, f"{name.id}.detach()"),)
                    yield Found(name, f"{last_word(into)} keeps {name.id} with its graph, batch after batch", edits)


def _kept(node: ast.AST) -> tuple[ast.expr, ast.expr] | None:
    """Where a statement gathers a value over the iterations, and the value."""
    if isinstance(node, ast.AugAssign) and isinstance(node.op, ast.Add):
        return node.target, node.value
    if isinstance(node, ast.Call) and attribute(node) == "append" and len(node.args) == 1:
        return receiver(node), node.args[0]
    if isinstance(node, ast.Assign) and isinstance(node.value, ast.BinOp) and isinstance(node.value.op, ast.Add):
        for this, other in ((node.value.left, node.value.right), (node.value.right, node.value.left)):
            if last_word(this) and last_word(this) == last_word(node.targets[0]):
                return node.targets[0], other
    return None


def _loss_in(value: ast.expr, loss: str) -> list[ast.Name]:
    """The loss itself, or the loss times a number."""
    parts = [value.left, value.right] if isinstance(value, ast.BinOp) else [value]
    return [part for part in parts if isinstance(part, ast.Name) and part.id == loss]


def argmax_in_loss(source: Source) -> Iterator[Found]:
    """A loss of predictions instead of scores.

    Why: argmax and rounding have no gradient: backward raises, or what is left of the loss trains nothing.
    Fix: Compute the loss of the logits; take argmax for metrics only.
    Bad:
        import torch.nn.functional as F
        def loss(model, x, y):
            return F.mse_loss(model(x).argmax(dim=1).float(), y.float())
    Good:
        import torch.nn.functional as F
        def loss(model, x, y):
            return F.cross_entropy(model(x), y)
    """
    for call in source.calls:
        name = source.called(call)
        if not (name.startswith("torch.nn.functional.") and name.endswith(("_loss", "cross_entropy", "_logits"))):
            continue
        first = argument(call, 0, "input")
        value = source.origin(first) if first is not None else None
        if isinstance(value, ast.Call) and (
            attribute(value) in ("argmax", "round") or source.called(value) in ("torch.argmax", "torch.round")
        ):
            yield Found(value, f"{last_word(call.func)} of {attribute(value)} has no gradient")


def penalty_without_graph(source: Source) -> Iterator[Found]:
    """A gradient penalty that has no gradient.

    Why: Without create_graph the gradient is a constant: the penalty shows in the loss, and changes no weight.
    Fix: Pass create_graph=True.
    Bad:
        import torch
        def gradient_penalty(critic, x):
            x = x.requires_grad_(True)
            gradient = torch.autograd.grad(critic(x).sum(), x)[0]
            return ((gradient.flatten(1).norm(2, dim=1) - 1) ** 2).mean()
    Good:
        import torch
        def gradient_penalty(critic, x):
            x = x.requires_grad_(True)
            gradient = torch.autograd.grad(critic(x).sum(), x, create_graph=True)[0]
            return ((gradient.flatten(1).norm(2, dim=1) - 1) ** 2).mean()
    Reference: https://arxiv.org/abs/1704.00028
    """
    for call in source.calls:
        scope = source.scope(call)
        if source.called(call) != "torch.autograd.grad" or not isinstance(scope, Function) or unpacks(call):
            continue
        penalizes = re.search(r"penalty|(^|_)gp(_|$)|(^|_)r1(_|$)", scope.name)
        if penalizes and keyword(call, "create_graph") is None:
            yield Found(call, "its result is a constant", (give(source, call, "create_graph=True"),))


RULES = [
    rule(find)
    for find in (
        loss_not_wired,
        trained_without_graph,
        item_in_loss,
        graph_kept,
        argmax_in_loss,
        penalty_without_graph,
    )
]
