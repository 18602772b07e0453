"""Notices user code that reaches for its judge: functions replaced, frames climbed, memory searched.

Code and checks share a process, so a determined program can still win against this; whatever a person or a language
model would do to make a check pass by another way than being right is seen, and the run fails for it.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
import types
from typing import Any, Callable

_WATCHED = (
    *("builtins", "math", "json", "time", "os", "random", "copy", "torch", "torch.nn", "torch.nn.functional"),
    *("torch.linalg", "torch.autograd", "torch.testing", "torch.func", "torch.utils.data", "torch.optim"),
)
_CLASSES = ("torch.Tensor", "torch.nn.Module", "torch.optim.Optimizer", "torch.autograd.Function")
_REACHING = frozenset(
    (
        *("sys._getframe", "sys._current_frames", "sys.settrace", "sys.setprofile", "sys.monitoring.register_callback"),
        *("gc.get_objects", "gc.get_referrers", "gc.get_referents", "ctypes.string_at", "ctypes.PyObj_FromPtr"),
    )
)
_FRAMES = frozenset(("tb_frame", "gi_frame", "cr_frame", "ag_frame"))
_FRAME_HELPERS = frozenset(("currentframe", "stack", "getouterframes"))
_FUNCTIONS = (types.FunctionType, types.BuiltinFunctionType, type)


class Guard:
    """Remembers what there is before user code comes, and says what has changed since.

    Attributes:
        reached: The first attempt to reach into the harness that was seen, in words; empty if there was none.
    """

    def __init__(self) -> None:
        self.reached = ""
        self._kept: list[tuple[str, Any, dict[str, Any]]] = []
        self._own: tuple[str, ...] = ()
        self._looking = False

    def arm(self, kind: str) -> None:
        """Import all of the harness that a request of `kind` may need, and remember everything."""
        import_all(kind)
        names = [name for name in sys.modules if name == "harness" or name.startswith("harness.")]
        for name in (*_WATCHED, *names):
            module = sys.modules.get(name)
            if module is not None:
                self._keep(name, module)
        for name in _CLASSES:
            module_name, _, attribute = name.rpartition(".")
            owner = getattr(sys.modules.get(module_name), attribute, None)
            if owner is not None:
                self._keep(name, owner)
        self._own = tuple({sys.prefix, sys.base_prefix, __file__.rpartition("/")[0], "<frozen", "<string>"})
        sys.addaudithook(self._listen)

    def changed(self) -> str:
        """What was replaced since `arm`, or how the harness was reached for; empty if nothing."""
        if self.reached:
            return self.reached
        for name, owner, kept in self._kept:
            now = vars(owner)
            for key, value in kept.items():
                if now.get(key) is not value:
                    return f"it replaced {name}.{key}"
            if isinstance(owner, type):
                hiding = _hiding(owner, kept)
                if hiding:
                    return f"it replaced {name}.{hiding}"
        return ""

    def _keep(self, name: str, owner: Any) -> None:
        self._kept.append((name, owner, {k: v for k, v in vars(owner).items() if isinstance(v, _FUNCTIONS)}))

    def _listen(self, event: str, arguments: tuple[Any, ...]) -> None:
        """See an audit event; only those that user code itself raises count."""
        if event == "object.__getattr__":
            if arguments[1] not in _FRAMES:
                return
        elif event == "open":
            if not (isinstance(arguments[0], str) and arguments[0].startswith("/proc/") and "/mem" in arguments[0]):
                return
        elif event not in _REACHING:
            return
        if self._looking or self.reached:
            return
        self._looking = True
        try:
            self._judge(event, sys._getframe(1))
        finally:
            self._looking = False

    def _judge(self, event: str, frame: types.FrameType | None) -> None:
        if frame is not None and frame.f_code.co_name in _FRAME_HELPERS and "inspect" in frame.f_code.co_filename:
            while frame is not None and "inspect" in frame.f_code.co_filename:
                frame = frame.f_back
        if frame is not None and not frame.f_code.co_filename.startswith(self._own):
            where = f"{frame.f_code.co_filename.rpartition('/')[2]}:{frame.f_lineno}"
            self.reached = f"it looked into the frames or memory of its judge ({event}, {where})"


def _hiding(owner: type, kept: dict[str, Any]) -> str:
    """An attribute of a class that was put over the one of its base since."""
    for key in vars(owner):
        if key not in kept and any(key in vars(base) for base in owner.__mro__[1:-1]):
            value = vars(owner)[key]
            if isinstance(value, types.FunctionType) and not value.__module__.startswith(("torch", "harness")):
                return key
    return ""


def import_all(kind: str) -> None:
    """Import every module of the harness that a request of `kind` may need."""
    package = importlib.import_module("harness." + kind)
    for found in pkgutil.iter_modules(package.__path__):
        if not found.name.endswith("_main"):
            importlib.import_module(f"harness.{kind}.{found.name}")


def counted(guard: Guard, send: Callable[[dict[str, Any]], None], stop: Callable[[], None]) -> Callable[..., None]:
    """Wrap the function that sends a message: before each, see that nothing was tampered with.

    Args:
        guard: Armed.
        send: Sends a message.
        stop: Says the last word and leaves the process, for a run that has failed by tampering.
    """
    changed = guard.changed

    def emit(frame: dict[str, Any]) -> None:
        what = changed()
        if what:
            send({"check": _failure(what)})
            send({"done": True})
            stop()
        send(frame)

    return emit


def _failure(what: str) -> dict[str, str]:
    return {
        "name": "integrity",
        "status": "fail",
        "measured": what,
        "expected": "the code leaves its judge alone",
        "detail": f"The code interferes with the checks: {what}. Nothing that it passed counts.",
        "fix": "Remove what replaces library functions or inspects its callers.",
    }
