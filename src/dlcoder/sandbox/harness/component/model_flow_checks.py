"""Checks of what flows through a model: gradients back to the input, attention weights, context, codes."""

from __future__ import annotations

import ast
import re
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from . import judge
from .core import Broken, Measured, Skip, reseed
from .model import ModelCase
from .model_checks import check
from .source import Source
from .trace import tensors

_QUANTIZES = r"quanti[sz]|codebook|\bvq\b|vq_?vae|straight.?through|binari[sz]"
_HELD = r"h|hx|cx|hidden\w*|state\w*|mem\w*|cache\w*|prev\w*|running\w*|ema\w*|queue\w*|target\w*|teacher\w*|coords?\w*|ref\w*|anchor\w*|box\w*|\w*_init|mean|std|scale|norm"  # noqa: E501
"""Names of what is cut off from the graph on purpose: states carried on, references refined, statistics."""


@check("input-gradient")
def input_gradient(case: ModelCase) -> Measured:
    """What the output does when input and weights move, by autograd and by differences; the way through a quantizer."""
    if re.search(_QUANTIZES, f"{case.builder.target.__name__} {case.source.code()}", re.I):
        return _through_quantizer(case)
    line = case.source.first(r"\.detach\(\)|\.data\b(?!\.)")
    if line is None:
        raise Skip("nothing in the code cuts a graph")
    if _on_purpose(case.source, line):
        raise Skip(f"a part is held constant on purpose at {case.source.quote(line)}")
    worst = (0.0, 0.0)
    for seed in (1, 2, 3):
        pair = _slopes(case, seed)
        if abs(pair[0] - pair[1]) > abs(worst[0] - worst[1]):
            worst = pair
    auto, numeric = worst
    if abs(numeric - auto) > 0.03 * max(abs(numeric), abs(auto)) + 1e-7:
        where = case.source.quote(line)
        why = (
            "Part of the output's dependence on the input is cut off from the graph: what lies before never learns it."
        )
        fix = f"Remove the detach at {where}, or say in a comment there why the part is held constant."
        raise Broken(f"slope {auto:.4g} by autograd, {numeric:.4g} by differences", "equal", why, fix)
    return Measured(f"{auto:.4g} by autograd, {numeric:.4g} by differences", "equal")


def _on_purpose(source: Source, line: int) -> bool:
    """Whether a comment, the documentation or the name of what is detached says why."""
    nearby = "\n".join(source.lines[max(line - 3, 0) : line])
    if re.search(r"#.*(detach|stop|grad|constant|frozen|truncat|no.?back)", nearby, re.I):
        return True
    if source.mentions(("detach", "stop-grad", "stop grad", "no gradient", "frozen", "truncated")):
        return True
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Attribute) and node.attr in ("detach", "data") and node.lineno == line:
            name = ast.unparse(node.value).split("(")[0].split(".")[-1]
            if isinstance(node.value, ast.BinOp) or (re.fullmatch(_HELD, name) and not _every_turn(source, line, name)):
                return True
    return source.is_called_constant(line)


def _every_turn(source: Source, line: int, name: str) -> bool:
    """Whether a recurrent state is cut off in every turn of a loop: then no gradient passes from step to step."""
    if not re.fullmatch(r"h|hx|cx|hidden\w*|state\w*|mem\w*", name):
        return False
    for node in ast.walk(source.tree):
        if isinstance(node, (ast.For, ast.While)):
            direct = [part for part in node.body if isinstance(part, ast.Assign) and part.lineno == line]
            if direct:
                return True
    return False


def _slopes(case: ModelCase, seed: int) -> tuple[float, float]:
    """Directional derivatives of the outputs that have the batch as first dimension, in float64."""
    model = case.fresh().eval().double()
    inputs = {n: v.double() if v.is_floating_point() else v for n, v in case.inputs(seed).items()}
    generator = torch.Generator().manual_seed(seed)
    real = [v for n, v in inputs.items() if v.is_floating_point() and case.spec(n).role == "real"]
    leaves = [*(p for p in model.parameters() if p.requires_grad), *(v.requires_grad_() for v in real)]
    ways = [torch.randn(leaf.shape, generator=generator, dtype=torch.float64) for leaf in leaves]

    def total() -> Tensor:
        reseed()
        found = case.graph_outputs(model, inputs)
        kept = [f for f in found if f.dim() and f.requires_grad and f.shape[0] == case.batch]
        weights = torch.Generator().manual_seed(0)
        parts = [(f * torch.randn(f.shape, generator=weights, dtype=f.dtype)).sum() for f in kept]
        return torch.stack(parts).sum() if parts else torch.zeros((), dtype=torch.float64)

    value = total()
    gradients = judge.gradients(value, leaves) if value.requires_grad else []
    auto = sum(judge.dot(g, way) for g, way in zip(gradients, ways) if g is not None)
    step, ends = 1e-5, []
    for move in (step, -2 * step):
        with torch.no_grad():
            for leaf, way in zip(leaves, ways):
                leaf.add_(way, alpha=move)
        ends.append(judge.number(total()))
    return auto, (ends[0] - ends[1]) / (2 * step)


def _through_quantizer(case: ModelCase) -> Measured:
    """Gradients pass the rounding, some term reaches the input, and the nearest code is the one that is taken."""
    model = case.fresh().train()
    inputs = case.inputs()
    leaf = inputs[case.main.name].clone().requires_grad_()
    reseed()
    found = [f for f in case.graph_outputs(model, {**inputs, case.main.name: leaf}) if f.requires_grad]
    if not found or any(not p.requires_grad for p in model.parameters()):
        raise Skip("nothing that is trained comes out, or a part is frozen")
    line = case.source.point(r"\.detach\(\)", r"argmin|argmax|round\(|sign\(", r"embedding|codebook")
    maps = [f for f in found if f.dim() > 1]
    for group, what in ((maps, "quantized output"), ([f for f in found if f.dim() == 0], "loss")):
        total = sum((f.sum() for f in group), torch.zeros(()))
        slope = torch.autograd.grad(total, [leaf], allow_unused=True, retain_graph=True)[0] if group else None
        reached = slope is not None and judge.max_abs(slope) > 0
        if group and not reached:
            why = f"No gradient passes from the {what} to what is quantized: the encoder before it never learns."
            fix = "z_q = z + (z_q - z).detach()" if group is maps else "beta * mse(z, z_q.detach())"
            raise Broken(f"no gradient from the {what}", "a gradient", why, f"{fix}, see {line}.")
    _nearest(case, model)
    return Measured("gradients pass", "a gradient from output and loss to the input")


def _nearest(case: ModelCase, model: nn.Module) -> None:
    """Where the codes that were chosen come out, they must lie nearer than codes do on average."""
    inputs = case.inputs()
    vectors = inputs[case.main.name]
    with torch.no_grad():
        found = tensors(case.call(model.eval(), inputs))
    books = [p for p in [*model.parameters(), *model.buffers()] if p.dim() == 2 and p.shape[1] == vectors.shape[-1]]
    count = vectors.numel() // vectors.shape[-1]
    codes = [f for f in found if f.dtype == torch.int64 and f.numel() == count]
    if len(books) != 1 or len(codes) != 1 or int(codes[0].max()) >= len(books[0]):
        return
    flat, book = judge.wide(vectors).reshape(count, -1), judge.wide(books[0])
    chosen = book[codes[0].flatten()]
    far = judge.number((flat[:, None] - book[None]).norm(dim=-1).mean())
    near = judge.number((flat - chosen).norm(dim=-1).mean())
    alike = judge.number(torch.cosine_similarity(flat, chosen, dim=-1).mean())
    usual = judge.number(torch.cosine_similarity(flat[:, None], book[None], dim=-1).mean())
    if near >= far and alike <= usual:
        line = case.source.point(r"argmin|argmax|topk|min\(|max\(")
        why = "The code that is taken lies further from the vector than codes do on average."
        raise Broken(
            f"distance {near:.4g}, {far:.4g} on average", "the nearest", why, f"argmin of the distances, {line}."
        )


@check("attention")
def attention(case: ModelCase) -> Measured:
    """Weights sum to one over what they weigh, and attention alone has no idea of order."""
    products = _Products(case.source)
    with torch.no_grad(), products:
        case.call(case.evaluated, case.inputs())
    if products.wrong:
        line, dim, rank = products.wrong
        why = "The weights that multiply the values sum to one over another dimension than the keys."
        fix = f"softmax(dim=-1), over the keys, at {case.source.quote(line)}."
        raise Broken(f"softmax over dimension {dim} of {rank}", f"{rank - 1}", why, fix)
    seen = _permuted(case)
    if not seen and not products.weights:
        raise Skip("no attention written out in the code")
    return Measured("over the keys", "weights sum to one over the keys")


class _Products(TorchFunctionMode):
    """Follows similarities of two activations to their softmax, and that to the product with the values."""

    def __init__(self, source: Source) -> None:
        super().__init__()
        self.source = source
        self.kept: list[Tensor] = []
        self.scores: set[int] = set()
        self.weights: dict[int, tuple[int, int]] = {}
        self.wrong: tuple[int, int, int] | None = None

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run the call, and note what it makes of what is followed."""
        result = func(*args, **(kwargs or {}))
        if isinstance(result, Tensor):
            with torch._C.DisableTorchFunction():
                self._follow(getattr(func, "__name__", ""), tensors(args), args, kwargs or {}, result)
        return result

    def _follow(self, name: str, given: list[Tensor], args: Any, kwargs: Any, result: Tensor) -> None:
        line = self.source.running_line()
        if line is None:
            return
        if name in _MULTIPLIES:
            for place, operand in enumerate(given if len(given) == 2 else ()):
                weighed = self.weights.get(id(operand))
                if weighed and self.wrong is None and not _sums_over(name, args, place, weighed[1], operand.dim()):
                    self.wrong = (weighed[0], weighed[1], operand.dim())
            if len(given) == 2 and result.dim() >= 3 and not any(isinstance(g, nn.Parameter) for g in given):
                self._note(result, self.scores.add)
        elif name == "softmax" and given and id(given[0]) in self.scores:
            dim = kwargs.get("dim", args[1] if len(args) > 1 else None)
            if isinstance(dim, int):
                self._note(result, lambda key: self.weights.__setitem__(key, (line, dim % result.dim())))
        elif given and id(given[0]) in self.scores and given[0].shape == result.shape:
            self._note(result, self.scores.add)
        elif given and id(given[0]) in self.weights and name in _KEEPS:
            found = self.weights[id(given[0])]
            self._note(result, lambda key: self.weights.__setitem__(key, found))

    def _note(self, tensor: Tensor, add: Any) -> None:
        self.kept.append(tensor)  # alive, so that its id is its own
        add(id(tensor))


def _sums_over(name: str, args: Any, place: int, dim: int, rank: int) -> bool:
    """Whether a product sums over that dimension of its first or second factor; true where that is not known."""
    if name != "einsum":
        return place == 1 or dim == rank - 1
    equation = str(args[0]).replace(" ", "")
    if "->" not in equation or "." in equation:
        return True
    factors, result = equation.split("->")
    parts = factors.split(",")
    return place >= len(parts) or len(parts[place]) != rank or parts[place][dim] not in result


_MULTIPLIES = ("matmul", "__matmul__", "bmm", "einsum")
_KEEPS = ("dropout", "to", "type_as", "float", "half", "contiguous", "type", "nan_to_num")
_ORDERED = r"causal|tril|triu|rope|rotary|freqs|\bpos|_pos|position|rel_|relative|conv|alibi|cumsum|arange|pool|window|shift|rnn|lstm|gru|h, ?w|height"  # noqa: E501


def _permuted(case: ModelCase) -> int:
    """How many attention modules of the code were held against giving permuted outputs for permuted tokens."""
    calls: dict[str, tuple[nn.Module, Tensor, Tensor]] = {}
    hooks = []
    for name, module in case.evaluated.named_modules():
        kind = type(module)
        if kind.__module__ == case.builder.module.__name__ and re.search(r"attn|attention", kind.__name__, re.I):
            hooks.append(module.register_forward_hook(_recorder(calls, name)))
    try:
        with torch.no_grad():
            case.call(case.evaluated, case.inputs())
    finally:
        for hook in hooks:
            hook.remove()
    for name, (module, given, plain) in calls.items():
        text = ast.unparse(case.source.node(type(module).__name__) or ast.parse(""))
        if re.search(_ORDERED, text, re.I) or any(True for _ in module.parameters(recurse=False)):
            continue
        order = torch.randperm(given.shape[1], generator=torch.Generator().manual_seed(3))
        with torch.no_grad():
            moved = tensors(module(given[:, order]))[0]
        gap = judge.distance(moved, plain[:, order])
        if gap > 1e-3 * max(judge.max_abs(plain), 1e-6):
            node = case.source.node(type(module).__name__)
            lines = range(node.lineno, (node.end_lineno or node.lineno) + 1)
            places = [n for n in lines if re.search(r"reshape\(|view\(|flatten\(", case.source.lines[n - 1])]
            where = case.source.quote(places[-1] if places else node.lineno)
            why = f"{name or type(module).__name__} depends on the order of tokens: heads and tokens are mixed."
            fix = f"transpose(1, 2) from (B, heads, N, d) to (B, N, heads, d) before the reshape at {where}."
            raise Broken(f"moves by {gap:.3g}", "0", why, fix)
    return len(calls)


def _recorder(calls: dict[str, Any], name: str) -> Any:
    def record(module: nn.Module, given: tuple[Any, ...], result: Any) -> None:
        found = tensors(result)
        plain = len(given) == 1 and isinstance(given[0], Tensor) and given[0].dim() == 3 and given[0].shape[1] > 3
        if plain and found and found[0].shape[:2] == given[0].shape[:2] and given[0].is_floating_point():
            calls.setdefault(name, (module, given[0].clone(), found[0].clone()))

    return record


@check("context")
def context(case: ModelCase) -> Measured:
    """An output changes with at least one input at another position."""
    if not case.is_sequence() or not case.source.first(r"attention|softmax|LSTM|GRU|RNN|Transformer|Attention"):
        raise Skip("not a sequence model with attention or recurrence")
    if any(spec.shape == case.main.shape for spec in case.specs[1:]):
        raise Skip("its positions may see those of another input alone")
    inputs = case.inputs()
    base = case.outputs(case.evaluated, inputs)[0]
    main = inputs[case.main.name]
    if base.dim() < 3 or base.shape[:2] != main.shape[:2] or main.shape[1] < 3:
        raise Skip("its output has no position for each input position")
    for position in (0, main.shape[1] - 1):
        mixed = main.clone()
        mixed[:, position] = case.inputs(99)[case.main.name][:, position]
        if mixed.dtype == torch.int64:
            mixed[:, position] = (main[:, position] + 1) % int(case.main.high or 2)
        got = case.outputs(case.evaluated, {**inputs, case.main.name: mixed})[0]
        others = [n for n in range(main.shape[1]) if n != position]
        if judge.distance(base[:, others], got[:, others]) > 0:
            return Measured("positions see each other", "positions see each other")
    line = case.source.point(r"scaled_dot_product|softmax|attention", r"transpose|permute|view\(|reshape\(")
    why = "No position sees another: attention runs over something else than the sequence."
    fix = f"(B, heads, T, d) for q, k and v, so that T is the dimension before the last, at {line}."
    raise Broken("no influence", "an influence", why, fix)


@check("order")
def order(case: ModelCase) -> Measured:
    """A cloud of points (or another set) in another order gives the same output, or the same in that order."""
    points = case.inputs()[case.main.name]
    words = r"point_?net|point_?cloud|deep_?sets?|set_?transformer|\bdgcnn\b|permutation.?invarian"
    if points.dim() != 3 or not re.search(words, f"{case.builder.target.__name__} {case.source.docs()}", re.I):
        raise Skip("not a model of sets of points by name")
    base = case.outputs(case.evaluated, case.inputs())[0]
    axis = 2 if points.shape[1] <= 6 < points.shape[2] else 1
    places = torch.randperm(points.shape[axis], generator=torch.Generator().manual_seed(3))
    moved = case.outputs(case.evaluated, {**case.inputs(), case.main.name: points.index_select(axis, places)})[0]
    same = [base] + [base.index_select(d, places) for d in range(1, base.dim()) if base.shape[d] == len(places)]
    gap = min(judge.distance(each, moved) for each in same)
    if gap <= 1e-3 * case.scale([base]):
        return Measured(f"moves by {gap:.1g}", "0 for points in another order")
    line = case.source.point(r"reshape\(|view\(", r"\.max\(|\.mean\(|amax", r"return")
    why = "Points in another order give another output: coordinates and points are mixed up."
    raise Broken(
        f"moves by {gap:.3g}", "0", why, f"transpose(1, 2), not reshape, and a pool over the points, at {line}."
    )
