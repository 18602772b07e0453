"""Where a file computes gradients and applies them: what the rules of train loops look at."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache

from dlcoder.review.source import Function, Loop, Source, argument, attribute, last_word, receiver

_ENGINES = re.compile(r"accelerator|fabric|engine", re.IGNORECASE)
_NO_GRAD = ("no_grad", "inference_mode")
_ENGINE_MAKERS = ("Accelerator", "Fabric", "deepspeed.initialize")


@dataclass(frozen=True)
class Training:
    """A call of `backward`, and the loop (or function) in which its gradients are applied.

    Attributes:
        source: The file.
        backward: The call that computes the gradients.
        loss: What is differentiated.
        region: The smallest loop around it in which an optimizer steps, else the innermost loop, else the function.
    """

    source: Source
    backward: ast.Call
    loss: ast.expr
    region: ast.AST

    @property
    def scope(self) -> Function | ast.Module:
        """The function that trains."""
        return self.source.scope(self.backward)

    @cached_property
    def calls(self) -> list[ast.Call]:
        """The calls of the region in the order of the text."""
        return self.source.calls_in(self.region)

    @property
    def engine(self) -> bool:
        """Whether a library's engine runs the backward pass, and thus knows what is done to the loss."""
        return is_engine(self.source, self.backward)

    @cached_property
    def steps(self) -> list[ast.Call]:
        """The steps of optimizers, through a gradient scaler or not, else the calls of functions that step."""
        direct = [call for call in self.calls if is_optimizer_step(self.source, call)]
        return direct or [call for call in self.calls if _leads_to_step(self.source, call)]

    @cached_property
    def scheduler_steps(self) -> list[ast.Call]:
        """The steps of learning rate schedules."""
        return [call for call in self.calls if attribute(call) == "step" and is_scheduler(self.source, receiver(call))]

    @cached_property
    def zero_grads(self) -> list[ast.Call]:
        """Where gradients are cleared."""
        return [call for call in self.calls if attribute(call) == "zero_grad"]

    @cached_property
    def clips(self) -> list[ast.Call]:
        """Where gradients are clipped."""
        return [call for call in self.calls if self.source.called(call).split(".")[-1].startswith("clip_grad_")]

    @cached_property
    def window(self) -> tuple[ast.If, ast.expr] | None:
        """The `if` that lets the optimizer step every so many micro-batches, and that number."""
        for step in self.steps:
            for outer in self.source.parents(step):
                if outer is self.region:
                    break
                if isinstance(outer, ast.If) and not self.source.inside(self.backward, outer):
                    for node in ast.walk(self.source.origin(outer.test)):
                        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod):
                            return outer, node.right
        return None

    @property
    def micro_batches(self) -> ast.expr | None:
        """How many backward passes an update has: of a window, or of a loop inside the region."""
        if self.window:
            return self.window[1]
        for outer in self.source.parents(self.backward):
            if outer is self.region:
                break
            if isinstance(outer, ast.For) and isinstance(outer.iter, ast.Call) and len(outer.iter.args) == 1:
                number = outer.iter.args[0]
                if self.source.called(outer.iter) == "range" and re.search("accum|micro", last_word(number)):
                    return number
        return None

    def alongside(self, one: ast.AST, other: ast.AST) -> bool:
        """Whether two calls are statements of the same block."""
        source = self.source
        return source.parent(source.statement(one)) is source.parent(source.statement(other))


@lru_cache(maxsize=16)
def trainings(source: Source) -> list[Training]:
    """Every call of `backward` that trains something."""
    return list(_find_trainings(source))


def _find_trainings(source: Source) -> Iterator[Training]:
    for call in source.calls:
        if attribute(call) == "backward" and not _is_autograd_function(source, call):
            loss = _loss(source, call)
            if loss is not None:
                yield Training(source, call, loss, _region(source, call))


def is_optimizer_step(source: Source, call: ast.Call) -> bool:
    """Whether a call lets an optimizer change the weights."""
    if attribute(call) != "step":
        return False
    return is_optimizer(source, receiver(call)) or is_scaler(source, receiver(call))


def _leads_to_step(source: Source, call: ast.Call) -> bool:
    """Whether a call is of a function of the file that lets an optimizer step, on gradients that it did not compute."""
    for function in source.functions:
        if function.name == last_word(call.func):
            inner = source.calls_in(function)
            if any(is_optimizer_step(source, each) for each in inner):
                return not any(attribute(each) == "backward" for each in inner)
    return False


def is_optimizer(source: Source, node: ast.AST) -> bool:
    """Whether a variable holds an optimizer, by what made it or by its name."""
    if any(made.startswith("torch.optim.") and "lr_scheduler" not in made for made in source.made_by(node)):
        return True
    word = last_word(node).lower()
    return bool(re.search(r"optim|^opt|_opt\b", word)) and "sched" not in word


def is_scheduler(source: Source, node: ast.AST) -> bool:
    """Whether a variable holds a learning rate schedule, by what made it or by its name."""
    if any("lr_scheduler" in made or re.search(r"get_.*schedule", made) for made in source.made_by(node)):
        return True
    return "sched" in last_word(node).lower()


def is_scaler(source: Source, node: ast.AST) -> bool:
    """Whether a variable holds a gradient scaler."""
    return any(made.endswith("GradScaler") for made in source.made_by(node)) or last_word(node).endswith("scaler")


def is_engine(source: Source, call: ast.Call) -> bool:
    """Whether a method is one of Accelerate, Fabric or DeepSpeed."""
    on = receiver(call)
    return source.is_a(on, *_ENGINE_MAKERS) or bool(_ENGINES.search(last_word(on)))


def _loss(source: Source, call: ast.Call) -> ast.expr | None:
    on = receiver(call)
    if source.called(call) == "torch.autograd.backward":
        return argument(call, 0, "tensors")
    if last_word(on) in source.imported:
        return None
    if is_engine(source, call) or last_word(on) == "self":
        return argument(call, 0, "loss")
    if isinstance(on, ast.Call) and attribute(on) == "scale" and on.args:
        return on.args[0]
    return on


def _region(source: Source, call: ast.Call) -> ast.AST:
    scope = source.scope(call)
    loops = []
    for outer in source.parents(call):
        if outer is scope:
            break
        if isinstance(outer, Loop):
            loops.append(outer)
    for loop in loops:
        calls = source.calls_in(loop)
        if any(is_optimizer_step(source, each) or _leads_to_step(source, each) for each in calls):
            return loop
    return loops[0] if loops else scope


def _is_autograd_function(source: Source, call: ast.Call) -> bool:
    scope = source.scope(call)
    return isinstance(scope, Function) and scope.name == "backward"


def epochs_around(training: Training) -> ast.AST:
    """The outermost loop of the function around a training region, else the region itself."""
    outermost: ast.AST = training.region
    for outer in training.source.parents(training.region):
        if outer is training.scope:
            break
        if isinstance(outer, Loop):
            outermost = outer
    return outermost


def contributing(source: Source, scope: ast.AST, sinks: list[ast.expr]) -> set[str]:
    """The variables of a function that the values of `sinks` are computed from."""
    names = {node.id for sink in sinks for node in ast.walk(sink) if isinstance(node, ast.Name)}
    assignments = [
        node
        for node in source.within(scope)
        if isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign | ast.NamedExpr) and node.value is not None
    ]
    while True:
        new = {
            node.id
            for each in assignments
            if _targets(each) & names and each.value is not None
            for node in ast.walk(each.value)
            if isinstance(node, ast.Name)
        } | {
            # losses.append(loss); total = sum(losses)
            node.id
            for call in source.calls_in(scope)
            if attribute(call) in ("append", "extend", "update", "add") and last_word(receiver(call)) in names
            for given in call.args
            for node in ast.walk(given)
            if isinstance(node, ast.Name)
        }
        if new <= names:
            return names
        names |= new


def _targets(node: ast.stmt | ast.NamedExpr) -> set[str]:
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return {
        name.id for target in targets if target is not None for name in ast.walk(target) if isinstance(name, ast.Name)
    }


def without_gradient(source: Source, node: ast.AST) -> bool:
    """Whether a statement stands in `with torch.no_grad()`, or in a function so decorated."""
    for outer in source.parents(node):
        items = outer.items if isinstance(outer, ast.With) else []
        expressions: list[ast.expr] = [item.context_expr for item in items]
        expressions += outer.decorator_list if isinstance(outer, Function) else []
        for each in expressions:
            called = each.func if isinstance(each, ast.Call) else each
            if source.dotted(called).endswith(_NO_GRAD):
                return True
    return False
