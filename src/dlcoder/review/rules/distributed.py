"""Rules of several processes: who takes part in a collective, who writes, and in which order things are wrapped."""

import ast
import re
from collections.abc import Iterator

from dlcoder.review.rule import Found, rule
from dlcoder.review.source import Function, Loop, Source, argument, attribute, keyword, last_word, receiver
from dlcoder.review.training import contributing, is_optimizer_step, trainings

_COLLECTIVES = {
    "all_reduce", "all_gather", "all_gather_object", "all_gather_into_tensor", "broadcast", "broadcast_object_list",
    "reduce", "gather", "gather_object", "reduce_scatter", "reduce_scatter_tensor", "scatter", "all_to_all", "barrier",
}  # fmt: skip
_RANK = re.compile(r"rank|is_main|master|is_root|main_process|is_chief", re.IGNORECASE)


def collective_on_one_rank(source: Source) -> Iterator[Found]:
    """A collective that not all ranks take part in.

    Why: The ranks that get there wait for the others, which never come: the run hangs until the watchdog ends it.
    Fix: Call it on all ranks, and let only one use the result.
    Bad:
        import torch.distributed as dist
        def log(loss, rank):
            if rank == 0:
                dist.all_reduce(loss)
                print(loss.item())
    Good:
        import torch.distributed as dist
        def log(loss, rank):
            dist.all_reduce(loss)
            if rank == 0:
                print(loss.item())
    Reference: https://docs.pytorch.org/docs/stable/distributed.html#collective-functions
    """
    for call in source.calls:
        if not _is_collective(source, call):
            continue
        kind = source.called(call).rpartition(".")[2]
        if keyword(call, "group") is not None:
            continue
        condition = _one_rank_only(source, call)
        if condition is not None and not _taken_elsewhere(source, call, kind):
            yield Found(call, f"only ranks with `{source.code(condition.test)}` get to {kind}")


def collective_behind_one_rank(source: Source) -> Iterator[Found]:
    """A function with a collective, called on one rank.

    Why: The rank that calls it waits in the collective for the others, which never come.
    Fix: Call it on all ranks, and let only one use the result.
    Bad:
        import torch.distributed as dist
        def evaluate(model, loader, total):
            dist.all_reduce(total)
            return total
        def fit(model, loader, total, rank):
            if rank == 0:
                print(evaluate(model, loader, total))
    Good:
        import torch.distributed as dist
        def evaluate(model, loader, total):
            dist.all_reduce(total)
            return total
        def fit(model, loader, total, rank):
            score = evaluate(model, loader, total)
            if rank == 0:
                print(score)
    """
    collective = {
        function.name: source.called(call).rpartition(".")[2]
        for function in source.functions
        for call in source.calls_in(function)
        if _is_collective(source, call) and _one_rank_only(source, call) is None
    }
    for call in source.calls:
        kind = collective.get(last_word(call.func))
        if kind is None:
            continue
        condition = _one_rank_only(source, call)
        same_function = [other for other in source.calls if last_word(other.func) == last_word(call.func)]
        if condition is not None and len(same_function) == 1:
            yield Found(call, f"only ranks with `{source.code(condition.test)}` get to its {kind}")


def _is_collective(source: Source, call: ast.Call) -> bool:
    name = source.called(call)
    return name.startswith("torch.distributed.") and name.rpartition(".")[2] in _COLLECTIVES


def _one_rank_only(source: Source, call: ast.Call) -> ast.If | ast.IfExp | None:
    """The `if` that lets some ranks through to a call: around it, or before it with a return."""
    scope = source.scope(call)
    inner: ast.AST = call
    for outer in source.parents(call):
        if outer is scope:
            break
        if isinstance(outer, ast.If | ast.IfExp) and inner is not outer.test and _is_about_rank(source, outer.test):
            return outer
        inner = outer
    for node in getattr(scope, "body", []):
        if node.lineno >= call.lineno:
            break
        if isinstance(node, ast.If) and _is_about_rank(source, node.test) and not node.orelse:
            if isinstance(node.body[-1], ast.Return):
                return node
    return None


def _is_about_rank(source: Source, test: ast.expr) -> bool:
    words = [last_word(node) for node in ast.walk(test)]
    if any(re.search("initialized|available|only", word) for word in words) or not any(
        _RANK.search(word) for word in words
    ):
        return False
    # `world_size > 1` and `rank is not None` are the same on all ranks.
    for node in ast.walk(test):
        if isinstance(node, ast.Compare) and any(_RANK.search(last_word(each)) for each in ast.walk(node)):
            right = node.comparators[0]
            if isinstance(right, ast.Constant) and (right.value is None or right.value == -1):
                return False
    return not any("local_rank" in word for word in words)


def _taken_elsewhere(source: Source, call: ast.Call, kind: str) -> bool:
    """Whether the other ranks get to a collective of the same kind on another way."""
    same_kind = [
        other
        for other in source.calls_in(source.scope(call))
        if other is not call and source.called(other).rpartition(".")[2] == kind
    ]
    return any(_one_rank_only(source, other) is not None for other in same_kind)


def written_by_every_rank(source: Source) -> Iterator[Found]:
    """A file that every rank writes.

    Why: Ranks overwrite each other's checkpoint while it is being written: it is now and then damaged.
    Fix: Write on rank 0 only; load on all, with map_location.
    Bad:
        import torch
        import torch.distributed as dist
        def main(model):
            dist.init_process_group("gloo")
            torch.save(model.state_dict(), "model.pt")
    Good:
        import torch
        import torch.distributed as dist
        def main(model):
            dist.init_process_group("gloo")
            if dist.get_rank() == 0:
                torch.save(model.state_dict(), "model.pt")
    Reference: https://docs.pytorch.org/tutorials/intermediate/ddp_tutorial.html#save-and-load-checkpoints
    """
    if not any(source.called(call).endswith("init_process_group") for call in source.calls):
        return
    for call in source.calls:
        if source.called(call) == "torch.save" and not _guarded(source, call) and not _per_rank(source, call):
            yield Found(call, "every rank writes it")


def _guarded(source: Source, node: ast.AST, depth: int = 4) -> bool:
    """Whether a call is reached by one rank only, in its function or in all places that call it."""
    for outer in source.parents(node):
        if isinstance(outer, ast.If | ast.IfExp) and any(
            _RANK.search(last_word(word)) for word in ast.walk(outer.test)
        ):
            return True
    scope = source.scope(node)
    if not isinstance(scope, Function) or not depth:
        return False
    for each in scope.body:
        if isinstance(each, ast.If) and any(_RANK.search(last_word(word)) for word in ast.walk(each.test)):
            if isinstance(each.body[-1], ast.Return):
                return True
    if any(_RANK.search(last_word(word)) for decorator in scope.decorator_list for word in ast.walk(decorator)):
        return True
    callers = [call for call in source.calls if last_word(call.func) == scope.name and source.scope(call) is not scope]
    return bool(callers) and all(_guarded(source, call, depth - 1) for call in callers)


def _per_rank(source: Source, call: ast.Call) -> bool:
    """Whether the file's name holds the rank, or the file is no shared one."""
    into = source.origin(call.args[1]) if len(call.args) > 1 else call
    in_memory = isinstance(into, ast.Call) and source.called(into).endswith(("BytesIO", "TemporaryFile", "mktemp"))
    return in_memory or any(_RANK.search(last_word(word)) for given in call.args[1:] for word in ast.walk(given))


def skipped_by_one_rank(source: Source) -> Iterator[Found]:
    """A batch that one rank skips.

    Why: The others wait in backward for the gradients of the rank that went on to its next batch: the run hangs, or
    mixes the gradients of different batches.
    Fix: Let all ranks agree first: all_reduce the flag, then skip on every rank.
    Bad:
        import torch
        from torch.nn.parallel import DistributedDataParallel
        def train(model, loader, sampler, optimizer, criterion):
            model = DistributedDataParallel(model)
            for x, y in loader:
                loss = criterion(model(x), y)
                if torch.isnan(loss):
                    continue
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    Good:
        import torch
        import torch.distributed as dist
        from torch.nn.parallel import DistributedDataParallel
        def train(model, loader, sampler, optimizer, criterion):
            model = DistributedDataParallel(model)
            for x, y in loader:
                loss = criterion(model(x), y)
                bad = torch.isnan(loss).float()
                dist.all_reduce(bad)
                if bad > 0:
                    continue
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
    """
    wraps = any(source.called(call).endswith(("DistributedDataParallel", "fully_shard")) for call in source.calls)
    for each in trainings(source) if wraps else ():
        for node in source.within(each.region):
            if not isinstance(node, ast.If) or not any(isinstance(last, ast.Continue) for last in node.body):
                continue
            called = {last_word(call.func) for call in ast.walk(node.test) if isinstance(call, ast.Call)}
            agreed = re.search(r"all_reduce|all_gather|gather\(", source.text_around(each.backward))
            if called & {"isnan", "isinf", "isfinite"} and not agreed and node.lineno < each.backward.lineno:
                yield Found(node, "each rank decides for itself")


def optimizer_before_sharding(source: Source) -> Iterator[Found]:
    """An optimizer of parameters that are then replaced.

    Why: Sharding makes new parameters: the optimizer goes on stepping the old ones, and the model is never trained.
    Fix: Build the optimizer after the model is sharded.
    Bad:
        import torch
        from torch.distributed.fsdp import fully_shard
        def build(model):
            optimizer = torch.optim.AdamW(model.parameters())
            fully_shard(model)
            return model, optimizer
    Good:
        import torch
        from torch.distributed.fsdp import fully_shard
        def build(model):
            fully_shard(model)
            optimizer = torch.optim.AdamW(model.parameters())
            return model, optimizer
    Reference: https://docs.pytorch.org/docs/stable/distributed.fsdp.fully_shard.html
    """
    for shard in source.calls:
        if source.called(shard).endswith(("fully_shard", "FullyShardedDataParallel", ".FSDP")):
            for made in source.calls_in(source.scope(shard)):
                name = source.called(made)
                is_optimizer = name.startswith("torch.optim.") and name.rpartition(".")[2][:1].isupper()
                if is_optimizer and "lr_scheduler" not in name and made.lineno < shard.lineno:
                    yield Found(made, f"line {shard.lineno} replaces the parameters that it holds")


def ranks_not_synchronized(source: Source) -> Iterator[Found]:
    """Ranks that train models of their own.

    Why: Nothing averages the gradients: each process trains alone on its share of the data, and only one is kept.
    Fix: Wrap the model in DistributedDataParallel, or shard it with fully_shard.
    Bad:
        import torch.distributed as dist
        def main(model, loader, optimizer, criterion):
            dist.init_process_group("gloo")
            for x, y in loader:
                optimizer.zero_grad()
                criterion(model(x), y).backward()
                optimizer.step()
    Good:
        import torch.distributed as dist
        from torch.nn.parallel import DistributedDataParallel
        def main(model, loader, optimizer, criterion):
            dist.init_process_group("gloo")
            model = DistributedDataParallel(model)
            for x, y in loader:
                optimizer.zero_grad()
                criterion(model(x), y).backward()
                optimizer.step()
    Reference: https://docs.pytorch.org/tutorials/intermediate/ddp_tutorial.html
    """
    joins = any(source.called(call).endswith("init_process_group") for call in source.calls)
    synchronizes = (
        r"DistributedDataParallel\(|\bDDP\(|FullyShard|FSDP|fully_shard|all_reduce|reduce_scatter|deepspeed|"
        r"horovod|parallelize|\.prepare\(|average_grad"
    )
    if joins and not source.mentions(synchronizes):
        for each in trainings(source):
            if not each.engine:
                yield Found(each.backward, "nothing averages its gradients over the ranks")
                return


def ddp_bypassed(source: Source) -> Iterator[Found]:
    """A forward pass around DistributedDataParallel.

    Why: The wrapper's forward prepares the averaging of gradients; called on the module inside, ranks drift apart.
    Fix: Call the wrapped model.
    Bad:
        from torch.nn.parallel import DistributedDataParallel
        def train(net, loader, optimizer, criterion):
            model = DistributedDataParallel(net)
            for x, y in loader:
                optimizer.zero_grad()
                loss = criterion(net(x), y)
                loss.backward()
                optimizer.step()
    Good:
        from torch.nn.parallel import DistributedDataParallel
        def train(net, loader, optimizer, criterion):
            model = DistributedDataParallel(net)
            for x, y in loader:
                optimizer.zero_grad()
                loss = criterion(model(x), y)
                loss.backward()
                optimizer.step()
    Reference: https://docs.pytorch.org/docs/stable/notes/ddp.html
    """
    wrapped = dict(_wrapped(source))
    for each in trainings(source):
        called = {last_word(call.func) for call in source.calls_in(each.scope)}
        for call in each.calls:
            inner = last_word(call.func)
            if call.lineno > each.backward.lineno or not call.args:
                continue
            if inner and wrapped.get(inner, inner) not in {inner, *called}:
                yield Found(call, f"the gradients of {inner} are averaged only if {wrapped[inner]} is called")
            elif attribute(call) == "module" and last_word(receiver(call)) in wrapped.values():
                yield Found(call, f"it calls the module inside {last_word(receiver(call))}")


def _wrapped(source: Source) -> Iterator[tuple[str, str]]:
    """The names of models that are wrapped for data parallelism, and of their wrappers."""
    for node in source.nodes:
        if isinstance(node, ast.Assign):
            value = node.value.body if isinstance(node.value, ast.IfExp) else node.value
            if isinstance(value, ast.Call) and value.args and source.called(value).endswith("DistributedDataParallel"):
                yield last_word(value.args[0]), last_word(node.targets[0])


def loss_divided_by_world_size(source: Source) -> Iterator[Found]:
    """A loss averaged over the ranks twice.

    Why: DistributedDataParallel averages the gradients already: with N GPUs the gradient is N times too small.
    Fix: Leave the division out; the mean over the samples of this rank is right.
    Bad:
        from torch.nn.parallel import DistributedDataParallel
        def train(net, loader, optimizer, criterion, world_size):
            model = DistributedDataParallel(net)
            for x, y in loader:
                optimizer.zero_grad()
                loss = criterion(model(x), y) / world_size
                loss.backward()
                optimizer.step()
    Good:
        from torch.nn.parallel import DistributedDataParallel
        def train(net, loader, optimizer, criterion, world_size):
            model = DistributedDataParallel(net)
            for x, y in loader:
                optimizer.zero_grad()
                loss = criterion(model(x), y)
                loss.backward()
                optimizer.step()
    Reference: https://docs.pytorch.org/docs/stable/generated/torch.nn.parallel.DistributedDataParallel.html
    """
    if not any(True for _ in _wrapped(source)):
        return
    for each in trainings(source):
        reached = contributing(source, each.scope, [each.loss])
        # Sums divided by a global count need the world size as a factor.
        sums = isinstance(each.scope, Function) and re.search(r"\bsum\b", source.code(each.scope))
        for node in source.within(each.region):
            value = node.value if isinstance(node, ast.Assign | ast.AugAssign) else None
            if value is None or sums or not _targets(node) & reached:
                continue
            for division in _divisions(node):
                if re.search(r"world_size|num_gpus|n_gpu|nprocs|get_world_size", source.code(division)):
                    yield Found(division, "data parallelism averages over the ranks already")


def _targets(node: ast.AST) -> set[str]:
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return {last_word(target) for target in targets if target is not None}


def _divisions(node: ast.AST) -> Iterator[ast.expr]:
    """What a statement divides by."""
    if isinstance(node, ast.AugAssign) and isinstance(node.op, ast.Div):
        yield node.value
    for each in ast.walk(node):
        if isinstance(each, ast.BinOp) and isinstance(each.op, ast.Div):
            yield each.right


def gathered_without_gradient(source: Source) -> Iterator[Found]:
    """A loss over gathered features that trains one side only.

    Why: all_gather fills plain buffers: no gradient flows into them, not even for the rank's own samples.
    Fix: Put the rank's own features back, buffers[rank] = features, or gather with torch.distributed.nn.
    Bad:
        import torch
        import torch.distributed as dist
        import torch.nn.functional as F
        def loss(images, texts, targets):
            buffers = [torch.zeros_like(texts) for _ in range(dist.get_world_size())]
            dist.all_gather(buffers, texts)
            return F.cross_entropy(images @ torch.cat(buffers).t(), targets)
    Good:
        import torch
        import torch.distributed as dist
        import torch.nn.functional as F
        def loss(images, texts, targets):
            buffers = [torch.zeros_like(texts) for _ in range(dist.get_world_size())]
            dist.all_gather(buffers, texts)
            buffers[dist.get_rank()] = texts
            return F.cross_entropy(images @ torch.cat(buffers).t(), targets)
    """
    for function in source.functions:
        text = source.code(function)
        loses = "functional.cross_entropy" in {source.called(call)[-24:] for call in source.calls_in(function)}
        if not (loses or "loss" in function.name) or re.search(r"no_grad|\.detach\(\)|metric|accuracy", text):
            continue
        for call in source.calls_in(function):
            into = argument(call, 0, "tensor_list") if source.called(call).endswith("distributed.all_gather") else None
            if into is None or "distributed.nn" in source.called(call):
                continue
            restored = re.search(rf"\b{source.code(into)}\[[^\]]*\]\s*=[^=]", text)
            joined = re.search(rf"cat\(\s*(tuple\()?{source.code(into)}\b", text)
            if joined and not restored:
                yield Found(call, f"no gradient flows through {source.code(into)}")


def gradients_summed(source: Source) -> Iterator[Found]:
    """Gradients that are summed over the ranks.

    Why: all_reduce sums by default: with N ranks the gradient is N times that of one, and so is SGD's step.
    Fix: Divide by the number of ranks, or reduce with ReduceOp.AVG.
    Bad:
        import torch.distributed as dist
        def average(model):
            for parameter in model.parameters():
                dist.all_reduce(parameter.grad)
    Good:
        import torch.distributed as dist
        def average(model):
            for parameter in model.parameters():
                dist.all_reduce(parameter.grad)
                parameter.grad /= dist.get_world_size()
    Reference: https://docs.pytorch.org/tutorials/intermediate/dist_tuto.html
    """
    for call in source.calls:
        if not (_is_collective(source, call) and attribute(call) == "all_reduce" and call.args):
            continue
        over_parameters = any(
            "parameters" in ast.dump(outer.iter) for outer in source.parents(call) if isinstance(outer, ast.For)
        )
        if not over_parameters or not any(last_word(word) == "grad" for word in ast.walk(call.args[0])):
            continue
        averages = re.search(r"AVG|world_size|nprocs|num_replicas", source.code(source.statement(call))) or any(
            isinstance(node, ast.AugAssign | ast.BinOp) and isinstance(node.op, ast.Div)
            for node in source.within(source.scope(call))
        )
        divides = any(attribute(other) in ("div_", "div", "mul_") for other in source.calls_in(source.scope(call)))
        if not averages and not divides:
            yield Found(call, "it sums the gradients of all ranks, and nothing divides them")


def exception_swallowed(source: Source) -> Iterator[Found]:
    """A failing step that is passed over.

    Why: A failed backward or step leaves half-updated state; with several ranks the others wait for it in their next
    collective, and the run hangs far from the error.
    Fix: Let it raise, or handle the one exception that you expect, on all ranks alike.
    Bad:
        def train(model, loader, optimizer, criterion):
            for x, y in loader:
                optimizer.zero_grad()
                try:
                    criterion(model(x), y).backward()
                    optimizer.step()
                except Exception:
                    continue
    Good:
        def train(model, loader, optimizer, criterion):
            for x, y in loader:
                optimizer.zero_grad()
                criterion(model(x), y).backward()
                optimizer.step()
    """
    for node in source.nodes:
        if not isinstance(node, ast.Try) or not any(
            isinstance(call, ast.Call) and (attribute(call) == "backward" or is_optimizer_step(source, call))
            for statement in node.body
            for call in ast.walk(statement)
        ):
            continue
        for handler in node.handlers:
            kinds = [last_word(word) for word in ast.walk(handler.type)] if handler.type else [""]
            broad = any(
                kind in ("", "Exception", "BaseException", "RuntimeError") for kind in kinds if kind is not None
            )
            ends = any(isinstance(each, ast.Raise | ast.Return | ast.Break) for each in ast.walk(handler))
            ends = ends or "exit" in ast.dump(handler) or "out of memory" in ast.dump(handler)
            if broad and not ends and any(isinstance(outer, Loop) for outer in source.parents(node)):
                yield Found(handler.body[0], "the training goes on as if the step had worked")


RULES = [
    rule(find)
    for find in (
        collective_on_one_rank,
        collective_behind_one_rank,
        written_by_every_rank,
        skipped_by_one_rank,
        ranks_not_synchronized,
        ddp_bypassed,
        loss_divided_by_world_size,
        gathered_without_gradient,
        gradients_summed,
        exception_swallowed,
        optimizer_before_sharding,
    )
]
