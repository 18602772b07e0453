"""Watches checkpoints, written files and the command line."""

from __future__ import annotations

import argparse
import dataclasses
import functools
import io
import os
import signal
import sys
from pathlib import Path
from typing import Any

import torch

from .observe import Observer

_CHECKPOINTS = (".ckpt", ".pt", ".pth", ".tar", ".bin", ".pkl")
_DATA = (".bin", ".csv", ".tsv", ".txt", ".npy", ".npz", ".pt", ".pth", ".jsonl", ".parquet", ".pkl", ".h5", ".idx")


class FileWatch:
    """Writes `save`, `rename`, `load`, `write`, `options` and `state` events."""

    def __init__(self, observer: Observer) -> None:
        self.o = observer
        self.seen: set[tuple[str, bool]] = set()
        self.saved_at = 0
        self.saves = 0
        self.reads: dict[str, set[str]] = {}
        self.given: dict[str, set[str]] = {}
        self.options_seen = False
        self.in_memory: list[str] = []
        """The keys of a checkpoint that was saved into memory and has not reached a file."""

    def install(self) -> None:
        """Patch torch.save and torch.load, argparse and dataclasses, and listen to files being opened."""
        self._wrap_checkpoints()
        self._wrap_states()
        self._wrap_argparse()
        self._wrap_click()
        self._wrap_dataclasses()
        sys.addaudithook(self._audit)
        if self.o.options.kill_after:
            self.o.step_written.append(self._kill_after_save)
        if self.o.options.term_at:
            self.o.step_written.append(self._terminate)

    def _wrap_checkpoints(self) -> None:
        save, load, replace, rename = torch.save, torch.load, os.replace, os.rename

        def watched_save(obj: Any, f: Any, *args: Any, **kwargs: Any) -> Any:
            if self.o.options.tear_save and self.saves + 1 == self.o.options.tear_save and self.o.steps:
                self._die_in_save(save, obj, f)
            result = save(obj, f, *args, **kwargs)
            path = f if isinstance(f, (str, os.PathLike)) else getattr(f, "name", "")
            keys = [str(k) for k in obj][:40] if isinstance(obj, dict) else [type(obj).__name__]
            if self.o.trace.mine and path:
                self._saved(str(path) if isinstance(path, (str, os.PathLike)) else "", keys)
            elif self.o.trace.mine and isinstance(obj, dict):
                # A framework may write the bytes by itself; torch, too, saves in memory what goes to other ranks.
                self.in_memory = keys
            return result

        def watched_load(f: Any, *args: Any, **kwargs: Any) -> Any:
            path = f if isinstance(f, (str, os.PathLike)) else getattr(f, "name", "")
            self.o.trace.write("load", path=str(path), step=self.o.steps, site=self.o.trace.site())
            return load(f, *args, **kwargs)

        def moved(original: Any) -> Any:
            def move(src: Any, dst: Any, **kwargs: Any) -> None:
                original(src, dst, **kwargs)
                pair = [_absolute(os.fspath(p)) if isinstance(p, (str, os.PathLike)) else "" for p in (src, dst)]
                self._from_memory(pair[1])
                self.o.trace.write("rename", src=pair[0], dst=pair[1], step=self.o.steps)

            return move

        torch.save, torch.load = watched_save, watched_load
        os.replace, os.rename = moved(replace), moved(rename)

    def _saved(self, path: str, keys: list[str]) -> None:
        self.saves += self.o.steps > 0
        if self.saves == self.o.options.kill_save and not self.saved_at:
            self.saved_at = self.o.steps
        full = _absolute(path) if path else ""
        self.o.trace.write("save", path=full, keys=keys, step=self.o.steps, site=self.o.trace.site())

    def _from_memory(self, path: str) -> None:
        """A checkpoint that was saved into memory reaches its file."""
        if self.in_memory and path.endswith(_CHECKPOINTS) and path.startswith(self.o.trace.root):
            keys, self.in_memory = self.in_memory, []
            self._saved(path, keys)

    def _wrap_states(self) -> None:
        scaler = getattr(torch.amp, "GradScaler", None) or torch.cuda.amp.GradScaler
        for cls, label in ((torch.optim.Optimizer, "optimizer"), (scaler, "scaler")):
            for name in ("state_dict", "load_state_dict"):
                self._count(cls, name, label)
        base = getattr(torch.optim.lr_scheduler, "LRScheduler", None)
        if base is not None:
            self._count(base, "state_dict", "scheduler")
            self._count(base, "load_state_dict", "scheduler")

    def _count(self, cls: Any, name: str, label: str) -> None:
        original = getattr(cls, name)

        def method(this: Any, *args: Any, **kwargs: Any) -> Any:
            if not self.o.asleep:
                self.o.trace.write("state", of=label, what=name, step=self.o.steps)
            return original(this, *args, **kwargs)

        method.__name__ = name
        setattr(cls, name, method)

    def _kill_after_save(self) -> None:
        """Die as a lost machine does, once training has gone on past a checkpoint."""
        if self.saved_at and self.o.steps - self.saved_at >= self.o.options.kill_after:
            os.kill(os.getpid(), signal.SIGKILL)

    def _die_in_save(self, save: Any, obj: Any, f: Any) -> None:
        """Die as a machine does that is lost while it writes: half of the file is there."""
        path = f if isinstance(f, (str, os.PathLike)) else getattr(f, "name", "")
        if not path or not self.o.trace.mine:
            return
        content = io.BytesIO()
        save(obj, content)
        half = content.getvalue()[: content.tell() // 2]
        if hasattr(f, "write"):
            f.write(half)
            f.flush()
        else:
            Path(f).write_bytes(half)
        self.o.trace.write("torn", path=_absolute(str(path)), site=self.o.trace.site())
        os.kill(os.getpid(), signal.SIGKILL)

    def _terminate(self) -> None:
        """Preempt the process, as a scheduler does, if it has said what it does then."""
        if self.o.steps == self.o.options.term_at and callable(signal.getsignal(signal.SIGTERM)):
            self.o.trace.write("sigterm", step=self.o.steps)
            os.kill(os.getpid(), signal.SIGTERM)

    def _audit(self, event: str, args: Any) -> None:
        if event != "open" or self.o.busy or not args or not isinstance(args[0], (str, bytes)):
            return
        mode, flags = args[1], args[2]
        writes = (isinstance(mode, str) and any(c in mode for c in "wax+")) or (
            mode is None and isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR)
        )
        path = _absolute(os.fsdecode(args[0]))
        if writes and self.o.trace.mine:
            self._from_memory(path)
        config = not writes and path.endswith((".yaml", ".yml", ".json", ".toml"))
        if (
            not (writes or config or path.endswith(_DATA))
            or not path.startswith(self.o.trace.root)
            or "__pycache__" in path
        ):
            return
        if (path, bool(writes)) not in self.seen:
            self.seen.add((path, bool(writes)))
            kind = "write" if writes else "config" if config else "read"
            self.o.trace.write(kind, path=path[len(self.o.trace.root) :], site=self.o.trace.site(2))

    # -- options -----

    def _wrap_argparse(self) -> None:
        original = argparse.ArgumentParser.parse_known_args

        def parse(parser: Any, args: Any = None, namespace: Any = None) -> Any:
            result, extra = original(parser, args, namespace)
            # Hydra's own flags; the program's options are in its configuration files.
            caller = sys._getframe(1).f_back if sys._getframe(1).f_code.co_name == "parse_args" else sys._getframe(1)
            foreign = caller is not None and str(caller.f_globals.get("__name__")).startswith("hydra.")
            if not self.options_seen and self.o.trace.mine and not foreign:
                self.options_seen = True
                own = type(parser) is argparse.ArgumentParser
                self.o.trace.write("options", own=own, options=[_option(a, result) for a in parser._actions])
                result = self._watch_reads(result)
            return result, extra

        setattr(argparse.ArgumentParser, "parse_known_args", parse)  # noqa: B010

    def _wrap_click(self) -> None:
        click = sys.modules.get("click")
        if click is None:
            return
        original = click.Command.invoke

        def invoke(command: Any, ctx: Any) -> Any:
            if not self.options_seen and self.o.trace.mine and not isinstance(command, click.Group):
                self.options_seen = True
                options = [
                    _click_option(p, ctx.params.get(p.name)) for p in command.params if isinstance(p, click.Option)
                ]
                self.o.trace.write("options", own=True, options=options)
            return original(command, ctx)

        click.Command.invoke = invoke

    def _watch_reads(self, namespace: Any) -> Any:
        if type(namespace) is not argparse.Namespace:
            return namespace
        reads = self.reads.setdefault("argparse", set())

        class Namespace(argparse.Namespace):
            def __getattribute__(self, name: str) -> Any:
                reads.add(name)
                return super().__getattribute__(name)

        namespace.__class__ = Namespace
        return namespace

    def _wrap_dataclasses(self) -> None:
        original = dataclasses.dataclass

        def dataclass(cls: Any = None, **kwargs: Any) -> Any:
            def decorate(target: Any) -> Any:
                file = getattr(sys.modules.get(target.__module__), "__file__", "") or ""
                own = file.startswith(self.o.trace.root) or target.__module__ == "__main__"
                if own:
                    _change_defaults(target, self.o.options.defaults)
                made = original(target, **kwargs)
                if own:
                    self._watch_fields(made)
                return made

            return decorate if cls is None else decorate(cls)

        setattr(dataclasses, "dataclass", dataclass)  # noqa: B010

    def _watch_fields(self, cls: Any) -> None:
        reads = self.reads.setdefault(cls.__name__, set())
        # What a library's class, or another one of the project's, declares is not declared here.
        fields = [f for f in dataclasses.fields(cls) if f.name in vars(cls).get("__annotations__", {})]
        names = {f.name for f in fields}
        original = cls.__getattribute__
        self._watch_construction(cls, [f.name for f in dataclasses.fields(cls) if f.init])

        def getattribute(this: Any, name: str) -> Any:
            if name in names and name not in reads:
                caller = sys._getframe(1).f_code.co_filename
                if caller.startswith(self.o.trace.root) and sys._getframe(1).f_code.co_name != "__post_init__":
                    reads.add(name)
            return original(this, name)

        try:
            cls.__getattribute__ = getattribute
            simple = {f.name: f.default for f in fields if isinstance(f.default, (bool, int, float, str))}
            self.o.trace.write("dataclass", cls=cls.__name__, fields=sorted(names), defaults=simple)
        except (AttributeError, TypeError):
            self.reads.pop(cls.__name__)

    def _watch_construction(self, cls: Any, names: list[str]) -> None:
        """Note which fields every construction gives a value: their defaults are no options."""
        original, given = cls.__init__, self.given

        def init(this: Any, *args: Any, **kwargs: Any) -> None:
            # A library that reads the command line into the class (tyro) gives all fields, from their defaults.
            own = sys._getframe(1).f_code.co_filename.startswith(self.o.trace.root)
            now = {*names[: len(args)], *kwargs} if own else set()
            given[cls.__name__] = given.get(cls.__name__, now) & now
            original(this, *args, **kwargs)

        functools.update_wrapper(init, original)
        cls.__init__ = init

    def summary(self) -> dict[str, Any]:
        """Which options the program read, and which defaults it never used."""
        return {
            "reads": {k: sorted(v) for k, v in self.reads.items()},
            "given": {k: sorted(v) for k, v in self.given.items()},
        }


def _change_defaults(cls: Any, defaults: dict[str, Any]) -> None:
    """Give fields of a class that is about to become a data class other defaults."""
    for key, value in defaults.items():
        owner, _, name = key.rpartition(".")
        if owner == cls.__name__ and name in vars(cls):
            given = vars(cls)[name]
            if isinstance(given, dataclasses.Field):
                given.default = value
            else:
                setattr(cls, name, value)


def _absolute(path: Any) -> str:
    """A path without `..` and links left as they are, as the program named it."""
    return str(Path.cwd() / os.path.normpath(str(path)))


def _option(action: Any, namespace: Any) -> dict[str, Any]:
    value = getattr(namespace, action.dest, None)
    return {
        "flags": list(action.option_strings),
        "dest": action.dest,
        "kind": type(action).__name__,
        "nargs": action.nargs if isinstance(action.nargs, (int, str, type(None))) else str(action.nargs),
        "type": getattr(action.type, "__name__", None) if action.type else None,
        "choices": [str(c) for c in action.choices] if isinstance(action.choices, (list, tuple, set)) else None,
        "value": value if isinstance(value, (int, float, str, bool, type(None))) else repr(value),
    }


def _click_option(option: Any, value: Any) -> dict[str, Any]:
    """An option of click in argparse's terms."""
    kind = "_StoreAction"
    if option.is_flag:
        kind = "BooleanOptionalAction" if option.secondary_opts else "_StoreTrueAction"
    choices = getattr(option.type, "choices", None)
    return {
        "flags": [*option.opts, *option.secondary_opts],
        "dest": option.name,
        "kind": kind,
        "nargs": None if option.nargs == 1 and not option.multiple else "*",
        "type": {"integer": "int", "float": "float"}.get(option.type.name),
        "choices": [str(c) for c in choices] if choices else None,
        "value": value if isinstance(value, (int, float, str, bool, type(None))) else str(value),
    }
