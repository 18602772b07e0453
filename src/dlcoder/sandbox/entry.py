"""How a training project is started: what it declares, what its files say, what convention suggests."""

import ast
import re
import shlex
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dlcoder.errors import UserError
from dlcoder.paths import own_files

NAMES = ("train.py", "main.py", "run.py", "pretrain.py", "finetune.py", "train_ddp.py", "run_train.py", "training.py")
FOLDERS = (".", "scripts", "src", "tools", "bin", "examples", "experiments")
SKIPPED = {".git", ".venv", "venv", "env", "node_modules", "site-packages", "build", "dist", "tests", "test", "docs"}
_TRAINS = re.compile(r"\.backward\(|\.fit\(|\.train\(\)|Trainer\(|import_module|def train|\btrain\w*\(|fit\(|\boptim\b")
_RELATIVE = re.compile(r"^\s*from\s+\.", re.MULTILINE)
_MAIN = re.compile(r"__name__\s*==\s*['\"]__main__['\"]")
_LAUNCH = re.compile(
    r"(?:^|[\s`$;&(])(?:python3?|torchrun|accelerate\s+launch|\$\(PYTHON\)|uv run(?:\s+python)?)\s+([^\n`|;&>#]+)"
)
_HOW = (
    'Name it in pyproject.toml:\n[tool.dlcoder.smoke]\nentry = "train.py"  # or module = "package.train"\n'
    'args = ["--max-steps", "8"]  # a run that is small and ends by itself'
)


@dataclass(frozen=True)
class Entry:
    """A command that trains.

    Attributes:
        path: The script, relative to the project; empty where `module` is run.
        module: A module as `python -m` would run it.
        args: Its arguments.
        resume: Arguments of a run that goes on from a checkpoint; `None` where the project does not say.
        env: Added to the environment.
        declared: Whether the project declares all this itself.
        found: How it was found, for the report.
        settings: Everything under [tool.dlcoder.smoke].
        others: Scripts that train as well and were not chosen.
    """

    path: str = ""
    module: str = ""
    args: tuple[str, ...] = ()
    resume: tuple[str, ...] | None = None
    env: tuple[tuple[str, str], ...] = ()
    declared: bool = False
    found: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    others: tuple[str, ...] = ()

    def __str__(self) -> str:
        return shlex.join(["python", *(["-m", self.module] if self.module else [self.path]), *self.args])


def find_entry(project: Path) -> Entry:
    """Find how `project` is trained.

    The order: `[tool.dlcoder.smoke]` in pyproject.toml; a command in its Makefile or README that names a training
    script; a script with a usual name; the only script that trains.

    Raises:
        UserError: Nothing was found, several scripts are as likely, or what is declared does not exist.
    """
    declared = _declared(project)
    if declared is not None:
        return declared
    scripts = list(_scripts(project))
    usual = [p for name in NAMES for p in scripts if p.name == name]
    hinted = _hinted(project, scripts)
    for path in _ranked(usual, project):
        args = hinted.get(path, ())
        found = "by its name" + (", arguments from the README" if args else "")
        return _entry(path, project, args, found, scripts)
    for path, args in hinted.items():
        return _entry(path, project, args, "a command in the README or Makefile", scripts)
    if len(scripts) == 1:
        return _entry(scripts[0], project, (), "the only script that trains", scripts)
    if scripts:
        names = ", ".join(str(p.relative_to(project)) for p in scripts[:6])
        raise UserError(f"{len(scripts)} scripts of {project.name} may be its training ({names}).", _HOW)
    raise UserError(f"No training script was found in {project}.", _HOW)


def _entry(path: Path, project: Path, args: tuple[str, ...], found: str, scripts: list[Path]) -> Entry:
    """How a script is run: as a module where it imports its neighbors by relative names."""
    inside = path.relative_to(project)
    others = tuple(str(p.relative_to(project)) for p in scripts if p != path and p.name in NAMES)
    if _RELATIVE.search(path.read_text("utf-8", "replace")) and len(inside.parts) > 1:
        parts = inside.parts[inside.parts[0] == "src" :]
        module = ".".join(parts).removesuffix(".py").removesuffix(".__main__")
        return Entry(module=module, args=args, found=found, others=others)
    return Entry(path=str(inside), args=args, found=found, others=others)


def _declared(project: Path) -> Entry | None:
    file = project / "pyproject.toml"
    if not file.is_file():
        return None
    try:
        settings = tomllib.loads(file.read_text("utf-8")).get("tool", {}).get("dlcoder", {}).get("smoke")
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"pyproject.toml cannot be read: {error}.", "Correct it.") from None
    if not isinstance(settings, dict):
        return None
    entry = str(settings.get("entry", ""))
    module = str(settings.get("module", ""))
    if not entry and not module:
        guess = find_entry_by_convention(project)
        entry = guess.path
    if entry and not (project / entry).is_file():
        raise UserError(f"[tool.dlcoder.smoke] names the entry {entry!r}, which does not exist.", _HOW)
    if entry and not (project / entry).resolve().is_relative_to(project.resolve()):
        raise UserError(f"[tool.dlcoder.smoke] names the entry {entry!r}, outside the project.", _HOW)
    resume = settings.get("resume")
    return Entry(
        path="" if module else entry,
        module=module,
        args=_words(settings.get("args", [])),
        resume=_words(resume) if resume is not None else None,
        env=tuple((str(k), str(v)) for k, v in dict(settings.get("env", {})).items()),
        declared=True,
        found="[tool.dlcoder.smoke]",
        settings=settings,
    )


def find_entry_by_convention(project: Path) -> Entry:
    """The script with a usual name, for a project that declares arguments only."""
    for path in _ranked([p for name in NAMES for p in _scripts(project) if p.name == name], project):
        return Entry(path=str(path.relative_to(project)))
    raise UserError(f"[tool.dlcoder.smoke] of {project.name} names no entry.", _HOW)


def _words(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        return tuple(shlex.split(value))
    if isinstance(value, list):
        return tuple(map(str, value))
    raise UserError(f"[tool.dlcoder.smoke] holds {value!r} where a list of arguments belongs.", _HOW)


def _scripts(project: Path) -> Iterator[Path]:
    """Python files that look like programs that train, in a fixed order."""
    for path in sorted(own_files(project, {".py"})):
        inside = path.relative_to(project).parts
        if len(inside) > 4 or SKIPPED & set(inside[:-1]) or path.name.startswith(("test_", "conftest")):
            continue
        text = path.read_text("utf-8", "replace")
        if _TRAINS.search(text) and (_MAIN.search(text) or _runs_at_top_level(text)):
            yield path


def _runs_at_top_level(text: str) -> bool:
    """Whether a file does something when it is started: loops, calls or assignments that call, outside functions."""
    try:
        body = ast.parse(text).body
    except SyntaxError:
        return False
    return any(isinstance(node, ast.For | ast.While | ast.With) for node in body) or any(
        isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) for node in body
    )


def _ranked(paths: list[Path], project: Path) -> list[Path]:
    """The nearest to the top first; of equals, the more usual name."""
    return sorted(dict.fromkeys(paths), key=lambda p: (len(p.relative_to(project).parts), NAMES.index(p.name)))


def _hinted(project: Path, scripts: list[Path]) -> dict[Path, tuple[str, ...]]:
    """Scripts that the README or the Makefile starts, with the arguments they give them."""
    found: dict[Path, tuple[str, ...]] = {}
    for name in ("Makefile", "README.md", "README.rst", "README", "README.txt"):
        file = project / name
        if not file.is_file():
            continue
        for match in _LAUNCH.finditer(file.read_text("utf-8", "replace")):
            try:
                words = shlex.split(match.group(1))
            except ValueError:
                continue
            for position, word in enumerate(words):
                before = words[position - 1] if position else ""
                path = _named(project, word, before == "-m")
                if path in scripts and path is not None:
                    found.setdefault(path, _plain(words[position + 1 :]))
                    break
    return found


def _named(project: Path, word: str, module: bool) -> Path | None:
    """The file that a word of a command names: a script, or a module after -m."""
    if not module:
        return (project / word).resolve() if word.endswith(".py") else None
    places = [base / word.replace(".", "/") for base in (project, project / "src")]
    files = [file for p in places for file in (p.with_name(p.name + ".py"), p / "__main__.py")]
    return next((file.resolve() for file in files if file.is_file()), None)


def _plain(words: list[str]) -> tuple[str, ...]:
    """Arguments that can be passed as they are: nothing after a placeholder."""
    kept: list[str] = []
    for word in words:
        if re.search(r"[<>{}\[\]$*]|\.\.\.|^\\$|/path/", word):
            while kept and kept[-1].startswith("-"):
                kept.pop()
            break
        kept.append(word)
    return tuple(kept)
