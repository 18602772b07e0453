"""From a request to the frames of a report: load, settle what the component takes, run the battery of its kind."""

from __future__ import annotations

import time
from importlib import import_module
from typing import Any, Callable

from .build import Builder
from .contract import Contract
from .core import Broken, Emit, frame
from .load import find, load, locate

# kind -> (module, class of the case, modules that register checks)
_KINDS: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "loss": (
        "loss",
        "LossCase",
        (
            "loss_checks",
            "loss_target_checks",
            "loss_option_checks",
            "loss_family_checks",
            "loss_relation_checks",
            "loss_step_checks",
        ),
    ),
    "model": ("model", "ModelCase", ("model_checks", "model_flow_checks", "model_train_checks")),
    "dataset": ("dataset", "DatasetCase", ("dataset_checks", "dataset_more_checks", "dataset_batch_checks")),
    "metric": ("metric", "MetricCase", ("metric_checks", "metric_value_checks")),
    "optimizer": ("optimizer", "OptimizerCase", ("optimizer_checks",)),
}


def main(request: dict[str, Any], emit: Emit) -> None:
    """Run the battery; every check ends as one frame, `{"done": true}` ends all."""
    deadline = time.monotonic() + float(request.get("budget_s") or 45.0)
    case = _prepared(request, emit)
    if case is not None:
        battery = import_module("." + _KINDS[request["component"]][2][0], __package__).BATTERY
        for name in _KINDS[request["component"]][2][1:]:
            import_module("." + name, __package__)
        battery.run(case, emit, request.get("checks") or (), deadline)
    emit({"done": True})


def _prepared(request: dict[str, Any], emit: Emit) -> Any:
    """The loaded component as a case, or None if it cannot be used; both ends are reported."""
    module_name, class_name, _ = _KINDS[request["component"]]
    kind = import_module("." + module_name, __package__)
    contract = Contract.read(request.get("contract") or {})
    emit({"running": "loads", "fraction": 0.0})
    loaded = _step("loads", emit, lambda: load(request))
    if loaded is None:
        return None
    module, source = loaded
    emit(frame("loads", "pass", "imported", "no exception", "The code imports."))
    emit({"running": "interface", "fraction": 0.0})

    def settle() -> Any:
        target = find(module, source, contract.get("target"), kind.suits)
        where = locate(target, source)
        case = getattr(kind, class_name)(
            Builder(target, contract, where, module, request["component"] != "loss"), contract, where
        )
        try:
            case.prepare()
        except (Broken, KeyboardInterrupt):
            raise
        except Exception as error:
            line = where.raised_at(error)
            if line is None:
                raise
            message = f"{type(error).__name__}: {error}"
            fix = f"Correct {line}, or state other arguments in contract.init."
            raise Broken(message, "it can be built", f"Raised at {line}.", fix) from error
        return case

    case = _step("interface", emit, settle)
    if case is not None:
        name = getattr(case.builder.target, "__name__", "the component")
        assumed = "; ".join(contract.assumptions)
        detail = f"Assumed: {assumed}." if assumed else "Everything as the contract states it."
        emit(frame("interface", "pass", name, "can be built and called", detail))
    return case


def _step(name: str, emit: Emit, work: Callable[[], Any]) -> Any:
    """Run one preparing step; its failure is that check's result."""
    try:
        return work()
    except Broken as broken:
        emit(frame(name, "fail", broken.measured, broken.expected, broken.why, broken.fix))
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:
        emit(frame(name, "error", f"{type(error).__name__}: {error}", "", "This step could not finish.", ""))
    return None
