"""What every sidecar promises is true of its component."""

import ast
import importlib
import inspect
import math
import re
import sys
from typing import Any

import anyio
import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from dlcoder.progress import silent
from dlcoder.sandbox.validate import validate_code
from dlcoder.scaffold.component import render_component
from dlcoder.templates.catalogue import FOLDER, Component, TensorSpec, catalogue

COMPONENTS = {name: component for name, component in catalogue().items() if component.is_module}
CALLED = [c for c in COMPONENTS.values() if c.example is not None and c.inputs and c.kind in ("losses", "models")]
MODELS = [c for c in CALLED if c.kind == "models"]
LOSSES = [c for c in CALLED if c.kind == "losses"]
WAITS = ("_local_scalar_dense", "nonzero", "masked_select", "equal.default", "unique")
"""Operations whose result the processor must wait for, in parts of their names."""


LINKED = [
    pytest.param(c, name, dim, id=f"{c.id}-{name}-{dim}")
    for c in LOSSES
    for name, spec in c.inputs.items()
    for dim, letter in enumerate(spec.shape)
    # A game has no need for as many generated as real samples.
    if c.id != "losses/gan" and any(letter in other.shape for n, other in c.inputs.items() if n != name)
]
"""A loss, and a dimension of an input that must be as long as one of another input."""

MEETING = re.compile("torch.distributed|import gather_pair")
"""What is in a loss that looks at other ranks: these are tried on real ones."""

CLASS_LABELS = [
    pytest.param(c, name, id=c.id)
    for c in LOSSES
    for name, spec in c.inputs.items()
    # To these, labels are names, of which only the equal ones matter, or masks; FCOS has a file of its own.
    if spec.dtype == "int64" and spec.range and not re.search("contrastive|triplet|boundary|mae_|fcos", c.id)
]


class Waits(TorchDispatchMode):
    """Collects the operations that would make a GPU's processor wait."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        by_mask = "aten.index" in str(func) and any(getattr(i, "dtype", None) == torch.bool for i in args[1])
        if by_mask or any(word in str(func) for word in WAITS):
            self.found.append(str(func))
        return func(*args, **(kwargs or {}))


def symbol(component: Component) -> Any:
    module = importlib.import_module(f"dlcoder.templates.components.{component.id.replace('/', '.')}")
    return getattr(module, component.symbol)


def sizes(component: Component, batch: int | None = None) -> dict[str, int]:
    assert component.example is not None
    letters = component.example.sizes
    return {**letters, "B": batch} if batch is not None and "B" in letters else letters


def resolve(value: Any, letters: dict[str, int]) -> Any:
    """Letters are sizes, and {tensor: [...]} is a tensor."""
    if isinstance(value, dict) and "tensor" in value:
        return torch.tensor(value["tensor"])
    if isinstance(value, list):
        return [resolve(item, letters) for item in value]
    return letters.get(value, value) if isinstance(value, str) else value


def build(component: Component, batch: int | None = None) -> Any:
    """A small one, and a function stays as it is."""
    assert component.example is not None
    target = symbol(component)
    args = {name: resolve(value, sizes(component, batch)) for name, value in component.example.args.items()}
    torch.manual_seed(0)
    return target(**args) if inspect.isclass(target) else lambda **inputs: target(**inputs, **args)


def tensor(spec: TensorSpec, letters: dict[str, int]) -> Tensor:
    shape = [int(resolve(size, letters)) for size in spec.shape]
    low, high = (float(resolve(bound, letters)) for bound in spec.range or (0, 2))
    dtype = getattr(torch, spec.dtype)
    if not dtype.is_floating_point:
        return torch.randint(int(low), int(high), shape).to(dtype)
    if spec.values:
        return torch.tensor(spec.values)[torch.randint(len(spec.values), shape)]
    if spec.layout == "xyxy":
        corner = 20 * torch.rand(*shape[:-1], 2)
        return torch.cat([corner, corner + 2 + 10 * torch.rand(*shape[:-1], 2)], dim=-1)
    return torch.randn(shape) if spec.range is None else torch.rand(shape) * (high - low) + low


def inputs(component: Component, batch: int | None = None) -> dict[str, Tensor]:
    torch.manual_seed(1)
    return {name: tensor(spec, sizes(component, batch)) for name, spec in component.inputs.items()}


def call(component: Component, values: dict[str, Tensor], batch: int | None = None, *, train: bool = True) -> Tensor:
    target = build(component, batch)
    if isinstance(target, torch.nn.Module):
        target.train(train)
    return first_of(target(**values))


def first_of(output: Any) -> Tensor:
    """The tensor that comes back, or the first of several."""
    tensor = output[0] if isinstance(output, tuple) else output
    assert isinstance(tensor, Tensor)
    return tensor


def named(component: Component) -> str:
    return component.id


def test_every_component_has_a_sidecar_and_every_sidecar_a_component() -> None:
    files = {f.relative_to(FOLDER).with_suffix("").as_posix() for f in FOLDER.glob("*/*.py") if f.stem != "__init__"}
    assert files == set(COMPONENTS)


def test_symbols_are_unique() -> None:
    """Bindings name options by symbol; of the forms of settings a project has one, and so of those of parallelism."""
    one_of = ("utils/settings_", "utils/shard", "utils/replicas")
    symbols = [c.symbol for c in COMPONENTS.values() if not c.id.startswith(one_of)]
    assert len(symbols) == len(set(symbols))


@pytest.mark.parametrize("component", COMPONENTS.values(), ids=named)
def test_the_sidecar_knows_the_parameters(component: Component) -> None:
    parameters = inspect.signature(symbol(component)).parameters
    if inspect.isclass(symbol(component)):
        assert set(component.params) == {name for name in parameters if name not in ("args", "kwargs")}
    else:
        assert set(component.params) <= set(parameters)
    for name, record in component.params.items():
        assert record.required == (parameters[name].default is inspect.Parameter.empty), name
        assert record.meaning.endswith(".")


@pytest.mark.parametrize("component", COMPONENTS.values(), ids=named)
def test_it_needs_what_it_says(component: Component) -> None:
    modules_of = {"pillow": "PIL", "pyyaml": "yaml"}
    required = {re.split(r"[<>=!\[ ]", package)[0] for package in component.requires}
    allowed = {"torch", "numpy", "dlcoder", *(modules_of.get(p, p.replace("-", "_")) for p in required)}
    allowed |= sys.stdlib_module_names
    for node in ast.walk(ast.parse(component.path.read_text())):
        modules = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        modules += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        for module in modules:
            top = module.split(".")[0]
            assert top in allowed, module
            assert module.startswith("dlcoder.templates.components.") or top != "dlcoder"


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("component", CALLED, ids=named)
def test_the_output_has_the_promised_shape_and_is_finite(component: Component, batch: int) -> None:
    """B is the letter of a batch that may be of any size; others, such as N of a contrastive loss, need several."""
    output = call(component, inputs(component, batch), batch, train=component.kind == "losses")
    assert output.isfinite().all()
    promised = component.contract.output
    if promised is not None:
        assert list(output.shape) == [resolve(size, sizes(component, batch)) for size in promised.shape]
        assert output.dtype == getattr(torch, promised.dtype)


@pytest.mark.parametrize("component", [c for c in CALLED if c.kind == "losses"], ids=named)
def test_a_loss_has_a_finite_gradient(component: Component) -> None:
    values = inputs(component)
    first = next(name for name, value in values.items() if value.is_floating_point())
    values[first].requires_grad_()
    call(component, values).sum().backward()
    gradient = values[first].grad
    assert gradient is not None
    assert gradient.isfinite().all()
    assert gradient.any()


@pytest.mark.parametrize("component", MODELS, ids=named)
def test_every_parameter_of_a_model_gets_a_gradient(component: Component) -> None:
    model = build(component)
    output = model(**inputs(component))
    outputs = output if isinstance(output, tuple) else (output,)
    sum(t.square().sum() for t in outputs if t.requires_grad).backward()
    without = [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert not without


@pytest.mark.parametrize("component", [c for c in CALLED if c.contract.at_init], ids=named)
def test_the_value_before_learning_is_the_theory_s(component: Component) -> None:
    promised = component.contract.at_init
    assert promised is not None
    values = inputs(component)
    for name, filler in promised.given.items():
        values[name] = getattr(torch, f"{filler}_like")(values[name])
    letters: dict[str, Any] = {**sizes(component), "log": math.log}
    expected = eval(str(promised.value), {"__builtins__": {}}, letters)  # a formula of our own sidecars
    assert float(call(component, values)) == pytest.approx(expected, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("component", [c for c in MODELS if "batch_independence" in c.contract.invariants], ids=named)
def test_samples_of_a_batch_do_not_see_each_other_in_evaluation(component: Component) -> None:
    model = build(component).eval()
    values = inputs(component, 2)
    both = first_of(model(**values))
    first = first_of(model(**{name: value[:1] for name, value in values.items()}))
    torch.testing.assert_close(both[:1], first, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("component", CALLED, ids=named)
def test_a_step_never_waits_for_the_device(component: Component) -> None:
    target, values = build(component), inputs(component)
    with Waits() as waits:
        output = first_of(target(**values))
        if output.requires_grad:
            output.sum().backward()
    assert waits.found == []


@pytest.mark.parametrize("component", CALLED, ids=named)
def test_it_compiles_without_a_graph_break_to_the_same_value(component: Component) -> None:
    torch._dynamo.reset()
    target, values = build(component), inputs(component)
    if isinstance(target, torch.nn.Module):
        target.eval()
    compiled = torch.compile(target, fullgraph=True, backend="eager")
    torch.manual_seed(2)
    expected = first_of(target(**values))
    torch.manual_seed(2)
    torch.testing.assert_close(first_of(compiled(**values)), expected)


@pytest.mark.parametrize("component", [c for c in LOSSES if "B" in sizes(c)], ids=named)
def test_a_loss_of_no_samples_is_zero_or_refused(component: Component) -> None:
    values = {name: v.requires_grad_() if v.is_floating_point() else v for name, v in inputs(component, 0).items()}
    try:
        value = call(component, values, 0)
    except ValueError as refused:
        assert str(refused)
    else:
        value.backward()
        assert value == 0


@pytest.mark.parametrize(("component", "name", "dim"), LINKED)
def test_inputs_that_do_not_fit_are_refused_rather_than_broadcast(component: Component, name: str, dim: int) -> None:
    values = inputs(component)
    values[name] = values[name].narrow(dim, 0, 1)
    with pytest.raises((ValueError, RuntimeError, IndexError)):
        call(component, values)


@pytest.mark.parametrize("component", [c for c in LOSSES if not MEETING.search(c.path.read_text())], ids=named)
def test_the_mean_over_equal_ranks_is_the_loss_of_all_samples_or_the_sidecar_speaks_of_the_batch(
    component: Component,
) -> None:
    """Data parallelism averages over ranks. Targets are the same on both, so that equally many samples count."""
    letters = sizes(component)
    batch = "B" if "B" in letters else "N"
    axis = {name: spec.shape.index(batch) for name, spec in component.inputs.items() if batch in spec.shape}
    torch.manual_seed(1)
    first = {name: tensor(spec, letters) for name, spec in component.inputs.items()}
    predicted = next(name for name, value in first.items() if value.is_floating_point())
    second = {**first, predicted: tensor(component.inputs[predicted], letters)}
    both = {name: torch.cat([v, second[name]], axis[name]) if name in axis else v for name, v in first.items()}
    apart = (call(component, first) + call(component, second)) / 2
    alike = torch.allclose(apart, call(component, both), rtol=1e-4, atol=1e-6)
    assert alike != ("batch" in (component.contract.reduction or ""))


@pytest.mark.parametrize("component", LOSSES, ids=named)
def test_a_loss_computes_in_single_precision_under_autocast(component: Component) -> None:
    values = inputs(component)
    expected = call(component, values)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = call(component, values)
    assert found.dtype == torch.float32
    # What projects hidden states to logits is left to autocast.
    within = 1e-2 if component.id == "losses/next_token" else 1e-6
    torch.testing.assert_close(found, expected, rtol=within, atol=within)


@pytest.mark.parametrize("wrong", ["high", -7])
@pytest.mark.parametrize(("component", "name"), CLASS_LABELS)
def test_a_label_that_is_no_class_is_refused(component: Component, name: str, wrong: str | int) -> None:
    values = inputs(component)
    spec = component.inputs[name]
    assert spec.range is not None
    values[name].view(-1)[0] = int(resolve(spec.range[1], sizes(component))) if wrong == "high" else wrong
    with pytest.raises((RuntimeError, IndexError)):
        call(component, values)


def test_every_rendered_component_passes_its_battery() -> None:
    """As `render_template` hands it out, in the sandbox."""
    failed: dict[str, list[str]] = {}

    async def check(component: Component, limit: anyio.Semaphore) -> None:
        rendered = render_component(component, {})
        proof = rendered.proof()
        if proof is None:
            return
        async with limit:
            kind, contract = proof
            report = await validate_code(rendered.proved, None, kind, contract, None, None, "cpu", silent)
        if not report.passed:
            failed[component.id] = [f"{c.name}: {c.measured}" for c in report.checks if c.status in ("fail", "error")]

    async def check_all() -> None:
        limit = anyio.Semaphore(2)
        async with anyio.create_task_group() as group:
            for component in COMPONENTS.values():
                if component.kind in ("losses", "models", "metrics", "datasets"):
                    group.start_soon(check, component, limit)

    anyio.run(check_all)
    assert failed == {}
