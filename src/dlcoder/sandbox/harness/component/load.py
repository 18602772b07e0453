"""Loading the user's code and choosing what in it is checked."""

from __future__ import annotations

import ast
import importlib
import inspect
import linecache
import sys
import types
from pathlib import Path
from typing import Any, Callable

from .core import Broken
from .source import Source

MODULE = "candidate"


def load(request: dict[str, Any]) -> tuple[types.ModuleType, Source]:
    """Import the code of a request: a text, or a file with the directory that its imports start from.

    Raises:
        Broken: The code does not import.
    """
    for directory in reversed(request.get("sys_path") or []):
        sys.path.insert(0, directory)
    file = str(request.get("filename") or "code.py")
    text = request["code"] if request.get("code") is not None else Path(file).read_text(encoding="utf-8")
    source = Source(file, text)
    try:
        return _execute(request.get("module") or MODULE, file, text), source
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:
        raise _load_error(error, source) from error


def _execute(name: str, file: str, text: str) -> types.ModuleType:
    if name != MODULE:
        return importlib.import_module(name)
    linecache.cache[file] = (len(text), None, text.splitlines(True), file)
    module = types.ModuleType(MODULE)
    module.__file__ = file
    # Registered, so that dataclasses, pickle and data loader workers find the classes by name.
    sys.modules[MODULE] = module
    exec(compile(text, file, "exec", dont_inherit=True), module.__dict__)
    return module


def _load_error(error: BaseException, source: Source) -> Broken:
    message = f"{type(error).__name__}: {error}"
    where = source.raised_at(error) or "the import"
    if isinstance(error, ModuleNotFoundError):
        fix = f"Install {error.name!r} into the interpreter that was used, or drop the import at {where}."
    elif isinstance(error, SyntaxError):
        fix = f"Correct the syntax at {where}."
    else:
        fix = f"Correct {where}; importing a component must have no side effects that can fail."
    return Broken(message, "the code imports", f"Raised at {where}.", fix)


def find(module: types.ModuleType, source: Source, name: str | None, suits: Callable[[Any], float]) -> Any:
    """The class or function to check: the named one, else the public one of this module that suits best.

    Args:
        module: The imported code.
        source: Its text.
        name: What the contract names, if it does.
        suits: Scores a candidate; 0 or less rules it out.

    Raises:
        Broken: There is no such name, or nothing that suits.
    """
    if name:
        found: Any = module
        for part in name.split("."):
            if not hasattr(found, part):
                known = [n for n, value in vars(module).items() if not n.startswith("_") and callable(value)]
                fix = f"Set contract.target to one of: {', '.join(known[:12])}."
                raise Broken(f"no {name!r}", "the target exists", f"The code defines no {name!r}.", fix)
            found = getattr(found, part)
        return found
    own = [value for key, value in vars(module).items() if _is_own(key, value, module)]
    scored = sorted(((suits(value) - _used(value, source), index) for index, value in enumerate(own)), reverse=True)
    if not scored or scored[0][0] <= 0:
        raise Broken(
            f"{len(own)} definitions",
            "a class or function of this kind",
            "Nothing in the code looks like what was asked for.",
            "Name the class or function in contract.target, and its kind in `kind`.",
        )
    return own[scored[0][1]]


def _used(value: Any, source: Source) -> float:
    """Nearly one point for a definition that another class in the file uses: it is a part, not the whole."""
    name = value.__name__
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ClassDef) and node.name != name:
            inside = [*node.body, *node.bases]
            if any(isinstance(n, ast.Name) and n.id == name for part in inside for n in ast.walk(part)):
                return 0.9
        if isinstance(node, ast.Call) and any(isinstance(arg, ast.Name) and arg.id == name for arg in node.args):
            return 0.9
    return 0.0


def _is_own(key: str, value: Any, module: types.ModuleType) -> bool:
    named = inspect.isclass(value) or inspect.isfunction(value)
    return named and not key.startswith("_") and getattr(value, "__module__", None) == module.__name__


def locate(target: Any, source: Source) -> Source:
    """The source that defines the target: the user's file, or the library's from which he takes it."""
    name = getattr(target, "__name__", type(target).__name__)
    if source.node(name) is None:
        try:
            file = inspect.getsourcefile(
                target if inspect.isclass(target) or inspect.isfunction(target) else type(target)
            )
            if file and file != source.file and Path(file).is_file():
                source.files.add(file)
                elsewhere = Source(file, Path(file).read_text(encoding="utf-8"))
                elsewhere.files |= source.files
                source = elsewhere
        except (TypeError, OSError):
            pass
    source.focus(name)
    return source
