"""A Python program run in an interpreter that is up already, as much like `python program` as can be."""

from __future__ import annotations

import atexit
import contextlib
import importlib.machinery
import io
import json
import os
import random
import runpy
import sys
import tempfile
import threading
import traceback
import types
from typing import Any

from . import init

_HERE = os.path.dirname(__file__)


def run(config: init.Config, rank: int) -> int:
    """Run rank `rank` of a request: its program or dlcoder's harness. Return the exit status."""
    _freshen(init.environment(config, rank))
    if config["channels"]:
        channel = importlib.import_module("harness.channel")  # the worker has it already
        with open(0, "rb", closefd=False) as stream:
            header = json.loads(stream.read())
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.close(null)
        sys.argv = ["-c"]
        sys.path.insert(0, config["code_home"])
        return int(channel.serve(header))
    return _finish(_main(config["argv"]))


def _freshen(env: dict[str, str]) -> None:
    """Make what a new process would find: environment, streams, random state, thread count."""
    os.environ.clear()
    os.environ.update(env)
    tempfile.tempdir = None
    random.seed()
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed()
    sys.stdin = io.TextIOWrapper(io.FileIO(0, "rb", closefd=False), encoding="utf-8")
    for name, descriptor in (("stdout", 1), ("stderr", 2)):
        raw = io.FileIO(descriptor, "wb", closefd=False)
        stream = io.TextIOWrapper(raw, encoding="utf-8", errors="backslashreplace", write_through=True)
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    threads = env.get("OMP_NUM_THREADS", "1")
    if threads.isdigit() and threads != "1" and "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(int(threads))


def _main(argv: list[str]) -> int:
    """Run `python ...` as given; return the status that Python would exit with."""
    words = argv[1:]
    while words and words[0] in ("-u", "-B", "-s", "-E"):
        words.pop(0)
    try:
        if words[:1] == ["-c"]:
            _run_text(words[1], ["-c", *words[2:]])
        elif words[:1] == ["-m"]:
            sys.argv = ["-m", *words[2:]]
            sys.path.insert(0, os.getcwd())
            runpy.run_module(words[1], run_name="__main__", alter_sys=True)
        else:
            _run_file(words[0], words)
    except SystemExit as error:
        return _status(error.code)
    except KeyboardInterrupt:
        return 130
    except BaseException as error:
        _show(error)
        return 1
    return 0


def _run_text(text: str, argv: list[str]) -> None:
    sys.argv = argv
    sys.path.insert(0, "")
    exec(compile(text, "<string>", "exec"), _main_module(None).__dict__)


def _run_file(path: str, argv: list[str]) -> None:
    sys.argv = argv
    try:
        with open(path, "rb") as file:
            source = file.read()
    except OSError as error:
        print(f"{sys.executable}: can't open file {path!r}: [Errno {error.errno}] {error.strerror}", file=sys.stderr)
        raise SystemExit(2) from None
    sys.path.insert(0, os.path.dirname(os.path.realpath(path)))
    exec(compile(source, path, "exec"), _main_module(path).__dict__)


def _main_module(path: str | None) -> types.ModuleType:
    module = types.ModuleType("__main__")
    module.__dict__["__builtins__"] = sys.modules["builtins"]
    if path is not None:
        module.__file__ = path
        module.__loader__ = importlib.machinery.SourceFileLoader("__main__", path)
    sys.modules["__main__"] = module
    return module


def _status(code: Any) -> int:
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF
    print(code, file=sys.stderr)
    return 1


def _show(error: BaseException) -> None:
    """Print an exception as Python would, without the frames that brought the program here."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(_HERE):
        trace = trace.tb_next
    try:
        sys.excepthook(type(error), error.with_traceback(trace), trace)
    except BaseException:
        traceback.print_exc()


def _finish(status: int) -> int:
    """What Python does on its way out: wait for threads, call what asked to be called, flush."""
    with contextlib.suppress(BaseException):
        threading._shutdown()  # type: ignore[attr-defined]
    with contextlib.suppress(BaseException):
        atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    return status
