"""Counts the bytes that one training step of a scaffolded project needs: python memory_probe.py REQUEST.

Runs in the sandbox, in the project's directory, with torch and the project alone. Nothing is computed: fake tensors
have shapes and types, so a step of any size takes a second and no memory. What needs real values is run with a few
samples, and the rest follows from a straight line. Prints one line of JSON, bytes by what they are for.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import json
import sys
import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter, tree_map
from torch.utils.weak import WeakIdKeyDictionary

_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}
_FEW, _MORE = 2, 4

Objective = Callable[[nn.Module, Any], "dict[str, Tensor]"]
Player = tuple[nn.Module, Objective, torch.optim.Optimizer]


class LiveBytes(TorchDispatchMode):
    """Follows the tensors that operations make until nothing holds them any more.

    Attributes:
        live: Their bytes now.
        peak: The most that they were.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.live = self.peak = 0
        self._known = WeakIdKeyDictionary()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run an operation, and count what it makes."""
        out = func(*args, **(kwargs or {}))
        for tensor in tree_iter(out):
            if isinstance(tensor, Tensor):
                self._count(tensor)
        return out

    def _count(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        if storage not in self._known:
            size = storage.nbytes()
            self._known[storage] = size
            self.live += size
            self.peak = max(self.peak, self.live)
            weakref.finalize(storage, self._forget, size)

    def _forget(self, size: int) -> None:
        self.live -= size


def main(request: dict[str, Any]) -> dict[str, int]:
    """Return bytes: `weights`, `gradients`, `optimizer`, `average`, `activations`, and their `peak`."""
    try:
        from torch._subclasses.fake_tensor import FakeTensorMode

        fake = FakeTensorMode()
        return measure(request, request["batch_size"], fake, fake.from_tensor)
    except Exception as error:
        print(f"fake tensors do not do: {type(error).__name__}: {error}", file=sys.stderr)
    small, large = (measure(request, size, nullcontext()) for size in (_FEW, _MORE))
    factor = (request["batch_size"] - _FEW) / (_MORE - _FEW)
    return {name: round(small[name] + factor * (large[name] - small[name])) for name in small}


def measure(
    request: dict[str, Any],
    batch_size: int,
    mode: AbstractContextManager[Any],
    convert: Callable[[Tensor], Tensor] = lambda tensor: tensor,
) -> dict[str, int]:
    """Count the bytes of the second step: the first leaves the optimizer's state behind."""
    project = Project(request)
    batch = tree_map(lambda t: convert(t) if isinstance(t, Tensor) else t, project.batch(batch_size))
    counter = LiveBytes()
    with mode, counter:
        players, average = project.players()
        project.step(players, batch)
        counter.peak = counter.live
        gradients = project.step(players, batch)
    weights = _bytes(t for model, *_ in players for t in [*model.parameters(), *model.buffers()])
    states = [values for *_, optimizer in players for values in optimizer.state.values()]
    state = _bytes(t for values in states for t in values.values() if isinstance(t, Tensor))
    averaged = _bytes([*average.parameters(), *average.buffers()]) if average is not None else 0
    peak = counter.peak + _bytes(t for t in tree_iter(batch) if isinstance(t, Tensor))
    return {
        "weights": weights,
        "gradients": gradients,
        "optimizer": state,
        "average": averaged,
        "activations": max(0, peak - weights - gradients - state - averaged),
        "peak": peak,
    }


def _bytes(tensors: Any) -> int:
    return sum({id(t.untyped_storage()): t.untyped_storage().nbytes() for t in tensors}.values())


class Project:
    """The parts of the project in the working directory, at the size of its default settings."""

    def __init__(self, request: dict[str, Any]) -> None:
        sys.path.insert(0, "")
        package = request["package"]
        self.request = request
        self.build: Any = importlib.import_module(f"{package}.build")
        self.settings: Any = importlib.import_module(f"{package}.settings").Settings()
        self.world: Any = importlib.import_module(f"{package}.utils.distributed").join_world()
        samples = dataclasses.replace(self.settings.data, **request["data"])
        self.data = self.build.build_datasets(samples)[0]
        self.samples = samples

    def batch(self, size: int) -> Any:
        """A batch of `size` samples, made by repeating a few."""
        few = dataclasses.replace(self.samples, batch_size=2, workers=0)
        loader, _ = self.build.build_train_loader(self.data, few, seed=0, world=self.world)
        batch = next(iter(loader))
        return tree_map(lambda t: t[torch.arange(size) % len(t)] if isinstance(t, Tensor) and t.ndim else t, batch)

    def players(self) -> tuple[list[Player], nn.Module | None]:
        """The networks in the order of their updates, with what they are updated by; and the averaged weights."""
        build, settings = self.build, self.settings
        model = self.model()
        if hasattr(build, "build_teacher"):
            teacher = build.build_teacher(model, settings, total_updates=1)
            return [(model, build.build_objective(teacher), self.optimizer(model))], teacher.module
        average = self.model() if self.request["ema"] else None
        if hasattr(build, "build_discriminator"):
            opponent = build.build_discriminator(settings, self.data).train()
            of_opponent, objective = build.build_objectives(model, opponent, settings)
            first = opponent, of_opponent, self.optimizer(opponent)
            return [first, (model, objective, self.optimizer(model))], average
        return [(model, _call(build.build_objective, settings.train), self.optimizer(model))], average

    def model(self) -> nn.Module:
        """The model with fresh weights."""
        model: nn.Module = _call(self.build.build_model, self.settings.model, self.data)
        return model.train()

    def optimizer(self, model: nn.Module) -> torch.optim.Optimizer:
        """The optimizer that the project trains with."""
        trained = [p for p in model.parameters() if p.requires_grad]
        if self.request["optimizer"] == "sgd":
            return torch.optim.SGD(trained, lr=1e-3, momentum=0.9, nesterov=True)
        return torch.optim.AdamW(trained, lr=1e-3)

    def step(self, players: list[Player], batch: Any) -> int:
        """Update each network once; return the bytes of the largest gradient."""
        gradients = 0
        for model, objective, optimizer in players:
            self._backward(model, objective, batch)
            optimizer.step()
            gradients = max(gradients, _bytes(p.grad for p in model.parameters() if p.grad is not None))
            optimizer.zero_grad()
        return gradients

    def _backward(self, model: nn.Module, objective: Objective, batch: Any) -> None:
        dtype = _DTYPES.get(self.request["precision"])
        with torch.autocast("cpu", dtype=dtype, enabled=dtype is not None):
            sums = objective(model, batch)
        loss = sum(value for name, value in sums.items() if name.startswith("loss_"))
        assert isinstance(loss, Tensor)
        loss.backward()


def _call(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function with as many of the arguments as it takes."""
    return function(*arguments[: len(inspect.signature(function).parameters)])


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]))))
