"""The machinery of a battery: what a check is, how it ends, and the loop that runs all of them."""

from __future__ import annotations

import random
import time
import traceback
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Generic, TypeVar

import torch

from . import judge
from .catalogue import CHECKS, Entry
from .source import Source, clip
from .trace import tensors

_HERE = str(Path(__file__).parent)
Emit = Callable[[dict[str, Any]], None]
Context = TypeVar("Context", bound="Subject")


@dataclass(frozen=True)
class Measured:
    """How a check that holds ends: what was found, and the bound."""

    value: str
    bound: str
    note: str = ""


class Skip(Exception):  # noqa: N818
    """Ends a check that does not apply; the message is the reason."""


class Broken(Exception):  # noqa: N818
    """Ends a check that found a fault.

    Args:
        measured: The value found.
        expected: The bound it broke.
        why: What that means.
        fix: What to change, in the names and lines of the user's code.
    """

    def __init__(self, measured: str, expected: str, why: str, fix: str) -> None:
        super().__init__(why)
        self.measured = measured
        self.expected = expected
        self.why = why
        self.fix = fix


class Subject:
    """What every check of any kind can ask: the user's source, for the lines that advice names.

    Attributes:
        source: The source.
    """

    source: Source
    _seen: dict[str, torch.Tensor]

    @property
    def seen(self) -> dict[str, torch.Tensor]:
        """What the component was last given and gave back, by name."""
        if not hasattr(self, "_seen"):
            self._seen = {}
        return self._seen

    def note(self, what: str, values: Any) -> None:
        """Remember the tensors of a call, in place of those of the call before."""
        named = values.items() if isinstance(values, dict) else enumerate(tensors(values))
        for name in [name for name in self.seen if name.startswith(what)]:
            del self.seen[name]
        found = {f"{what} {name}": value for name, value in named if isinstance(value, torch.Tensor)}
        self.seen.update(dict(list(found.items())[:8]))


@dataclass(frozen=True)
class Check(Generic[Context]):
    """One check: its entry in the catalogue (what it proves, its price, the mutant that it kills) and its code."""

    entry: Entry
    run: Callable[[Context], Measured]


class Battery(Generic[Context]):
    """The checks of one kind, in the order of the catalogue (cheap ones first)."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._code: dict[str, Callable[[Context], Measured]] = {}

    def check(self, name: str) -> Callable[[Callable[[Context], Measured]], Callable[[Context], Measured]]:
        """Register the code of the check called `name`."""

        def register(function: Callable[[Context], Measured]) -> Callable[[Context], Measured]:
            self._code[name] = function
            return function

        return register

    def checks(self) -> list[Check[Context]]:
        """Every check of this kind; one without code is a bug of dlcoder and raises KeyError."""
        return [Check(entry, self._code[entry.name]) for entry in CHECKS[self.kind] if entry.name in self._code]

    def run(self, subject: Context, emit: Emit, wanted: Iterable[str], deadline: float) -> None:
        """Run the checks in order, a fatal failure ending the rest as skipped.

        Args:
            subject: What is checked.
            emit: Takes a frame for each check as it starts and as it ends.
            wanted: Names or ids to run; empty for all but those that must be asked for.
            deadline: `time.monotonic()` after which the remaining checks are skipped.
        """
        chosen = [check for check in self.checks() if _is_wanted(check.entry, set(wanted))]
        stopped = ""
        for index, check in enumerate(chosen):
            if not stopped and time.monotonic() > deadline:
                stopped = "the time for this battery was used up"
            if stopped:
                emit(frame(check.entry.name, "skip", detail=stopped))
                continue
            emit({"running": check.entry.name, "fraction": index / len(chosen)})
            subject.seen.clear()
            result = attempt(check, subject)
            failed = result["status"] == "fail" and subject.seen
            emit({"check": result, "tensors": described(subject.seen)} if failed else {"check": result})
            if check.entry.fatal and result["status"] in ("fail", "error"):
                stopped = f"not run: {check.entry.name} failed"


def described(seen: dict[str, torch.Tensor]) -> list[dict[str, Any]]:
    """Shape, type, range, mean, deviation and the number of values that are not finite, for each tensor."""
    found = []
    for name, value in seen.items():
        entry: dict[str, Any] = {"tensor": name, "shape": list(value.shape), "dtype": str(value.dtype)[6:]}
        if not value.is_meta and value.numel() and not value.is_complex():
            wide = judge.wide(value).cpu().flatten()
            good = wide[torch.isfinite(wide)]
            entry["nonfinite"] = wide.numel() - good.numel()
            if good.numel():
                numbers = (good.min(), good.max(), good.mean(), good.std(unbiased=False))
                entry |= dict(zip(("min", "max", "mean", "std"), (float(f"{n.item():.5g}") for n in numbers)))
        found.append(entry)
    return found


def _is_wanted(entry: Entry, wanted: set[str]) -> bool:
    if wanted:
        return entry.name in wanted or entry.id in wanted or entry.fatal
    return not entry.on_request


def frame(name: str, status: str, measured: str = "", expected: str = "", detail: str = "", fix: str = "") -> Any:
    """One frame of the report."""
    return {"check": _result(name, status, measured, expected, detail, fix)}


def _result(name: str, status: str, measured: str, expected: str, detail: str, fix: str) -> dict[str, str]:
    return {
        "name": name,
        "status": status,
        "measured": clip(measured, 200),
        "expected": clip(expected, 200),
        "detail": clip(detail, 900),
        "fix": clip(fix, 600),
    }


def reseed(seed: int = 0) -> None:
    """Make everything that draws from a global generator start anew."""
    random.seed(seed)
    torch.manual_seed(seed)


def attempt(check: Check[Any], subject: Any) -> dict[str, str]:
    """Run one check; whatever the user's code does ends as a result."""
    entry = check.entry
    reseed()
    try:
        measured = check.run(subject)
    except Skip as skip:
        return _result(entry.name, "skip", "", "", str(skip), "")
    except Broken as broken:
        return _result(entry.name, "fail", broken.measured, broken.expected, broken.why, broken.fix)
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:
        return _raised(entry, error, subject.source)
    note = f"{entry.proves} {measured.note}".strip()
    return _result(entry.name, "pass", measured.value, measured.bound, note, "")


def _raised(entry: Entry, error: BaseException, source: Source) -> dict[str, str]:
    """An exception that leaves the user's code is a failure of it; one of the harness's own is an error."""
    message = f"{type(error).__name__}: {clip(str(error), 300)}"
    line = source.raised_at(error)
    if line is None:
        last = traceback.extract_tb(error.__traceback__)[-1]
        if not last.filename.startswith(_HERE) and _HERE not in last.filename:
            where = f"{last.filename.rsplit('/', 1)[-1]} line {last.lineno} (`{clip(last.line or '', 100)}`)"
            return _result(entry.name, "fail", message, "no exception", f"Raised at {where}.", "Avoid or handle it.")
        where = f"{last.filename.rsplit('/', 1)[-1]}:{last.lineno}"
        return _result(entry.name, "error", message, "", f"The check itself could not finish ({where}).", "")
    fix = f"Make {line} hold for the inputs of this check: {entry.proves[0].lower()}{entry.proves[1:]}"
    return _result(entry.name, "fail", message, "no exception", f"Raised at {line}.", fix)
