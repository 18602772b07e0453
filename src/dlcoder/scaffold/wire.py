"""Put a component into a project that dlcoder need not have made: its file, the export and a test, in its style."""

import ast
import difflib
import re
from dataclasses import dataclass, field
from pathlib import Path

from dlcoder.errors import UserError
from dlcoder.scaffold.component import Rendered
from dlcoder.scaffold.style import Style, style_of
from dlcoder.scaffold.tidy import tidy
from dlcoder.templates.specialize import COMPONENTS

_ALSO_CALLED = {
    "losses": ("losses", "loss", "criterions", "criteria"),
    "models": ("models", "model", "networks", "nets", "modeling"),
    "datasets": ("datasets", "dataset", "data"),
    "metrics": ("metrics", "metric", "evaluation"),
    "engine": ("engine", "training", "trainer", "core"),
    "utils": ("utils", "util", "common", "helpers"),
}
SCRIPTS = "scripts"
_TESTS = Path(__file__).parent.parent / "templates" / "tests"


@dataclass(frozen=True)
class Wiring:
    """What adding a component changes in a project.

    Attributes:
        root: The project.
        files: New contents, by path relative to the project.
        module: What to import the component from.
        notes: What was not done, and why.
    """

    root: Path
    files: dict[str, str]
    module: str
    notes: list[str] = field(default_factory=list)

    def diff(self) -> str:
        """The change as a patch."""
        parts: list[str] = []
        for path, text in self.files.items():
            old = (self.root / path).read_text(encoding="utf-8") if (self.root / path).exists() else ""
            names = (f"a/{path}" if old else "/dev/null", f"b/{path}")
            parts += difflib.unified_diff(old.splitlines(keepends=True), text.splitlines(keepends=True), *names)
        return "".join(line if line.endswith("\n") else f"{line}\n" for line in parts)


def wire(rendered: Rendered, root: Path) -> Wiring:
    """Plan how a component goes into a project.

    Args:
        rendered: The component.
        root: The project's directory; resolved.

    Raises:
        UserError: It is no directory, or holds another file of that name.
    """
    if not root.is_dir():
        raise UserError(f"{root} is no directory.", "Name the directory of the project.")
    style = style_of(root)
    component = rendered.component
    folder = _folder(root, style, component.kind)
    path = folder / rendered.filename
    module = _module(folder, rendered.filename)
    notes: list[str] = []
    added = {str(path): rendered.code, **_beside(root, rendered, module)}
    if (root / path).exists():
        raise UserError(
            f"{path} exists already, and nothing was changed.", "Pass `name` to give the component another name."
        )
    if component.is_module:
        added |= _test(root, rendered, module, notes)
    first_party = (style.import_name or module).partition(".")[0]
    look = (f"line-length={style.line_length}", f'format.quote-style="{style.quotes}"')
    # What was there before keeps its form: only what is new is formatted.
    files = tidy(added, first_party, look)
    if component.is_module:
        files |= _export(root, style, folder, rendered)
    return Wiring(root, files, module, notes)


def _beside(root: Path, rendered: Rendered, module: str) -> dict[str, str]:
    """The further files that a component needs, but for those that are there as they should be.

    Raises:
        UserError: There is another file of that name.
    """
    files = {}
    for path, text in rendered.beside(module).items():
        if not (root / path).exists():
            files[path] = text
        elif (root / path).read_text(encoding="utf-8", errors="replace") != text:
            raise UserError(f"{path} exists already, and holds something else.", "Move it, or add this without `path`.")
    return files


def _folder(root: Path, style: Style, kind: str) -> Path:
    """Where the project keeps such components, else a new folder of the kind's own name in its package."""
    if kind == "launchers":
        return Path(SCRIPTS)
    if kind == "configs":
        return style.package
    for name in _ALSO_CALLED[kind]:
        if (root / style.package / name).is_dir():
            return style.package / name
    has_package = style.package != Path()
    return style.package / kind if has_package else Path()


def _module(folder: Path, filename: str) -> str:
    parts = [part for part in folder.parts if part != "src"]
    return ".".join([*parts, filename.removesuffix(".py")])


def _export(root: Path, style: Style, folder: Path, rendered: Rendered) -> dict[str, str]:
    """The folder's `__init__.py` with the component, if the others are imported there; a new one for a new folder."""
    path = folder / "__init__.py"
    if folder == Path():
        return {}
    if not (root / path).exists():
        return {str(path): f'"""{rendered.component.kind.capitalize()}."""\n'} if style.package != Path() else {}
    text = (root / path).read_text(encoding="utf-8")
    try:
        imports = [node for node in ast.parse(text).body if isinstance(node, ast.ImportFrom)]
    except SyntaxError:
        imports = []
    if not imports:
        return {}
    name, module = rendered.symbol, rendered.filename.removesuffix(".py")
    relative = any(node.level for node in imports)
    source = f".{module}" if relative else _module(folder, rendered.filename)
    lines = text.splitlines(keepends=True)
    after = imports[-1].end_lineno or imports[-1].lineno
    lines.insert(after, f"from {source} import {name}\n")
    quote = '"' if style.quotes == "double" else "'"
    return {str(path): _listed("".join(lines), f"{quote}{name}{quote}")}


def _listed(text: str, name: str) -> str:
    """The text with a name at the end of its `__all__`, if it has one."""
    found = re.search(r"__all__\s*(?::[^=]*)?=\s*[\[(](.*?)([\])])", text, re.DOTALL)
    if not found:
        return text
    names = found[1]
    on_lines = "\n" in names
    kept = names.rstrip().rstrip(",")
    indent = re.search(r"\n([ \t]+)", names)
    added = f"{kept},\n{indent[1] if indent else '    '}{name},\n" if on_lines else f"{kept}, {name}" if kept else name
    return text[: found.start(1)] + added + text[found.start(2) :]


def _test(root: Path, rendered: Rendered, module: str, notes: list[str]) -> dict[str, str]:
    """The component's own test for the project's tests; where that cannot be, a note says why."""
    kind, name = rendered.component.id.split("/")
    source = _TESTS / kind / f"test_{name}.py"
    folder = next((each for each in ("tests", "test") if (root / each).is_dir()), None)
    if folder is None:
        notes.append("No test was added: the project has no tests folder.")
        return {}
    text = source.read_text(encoding="utf-8") if source.is_file() else ""
    others = [found for found in re.findall(rf"from {re.escape(COMPONENTS)}\.(\S+)", text) if found != f"{kind}.{name}"]
    bound = rendered.params != {n: p.default for n, p in rendered.component.params.items() if not p.required}
    if not text or others or bound:
        reason = "its parameters were bound" if bound else "it is tested only together with others"
        notes.append(f"No test was added: {reason}. validate_code on the file repeats the checks.")
        return {}
    text = text.replace(f"{COMPONENTS}.{kind}.{name}", module)
    path = f"{folder}/test_{rendered.filename}"
    if (root / path).exists():
        notes.append(f"No test was added: {path} exists already.")
        return {}
    return {path: re.sub(rf"\b{rendered.component.symbol}\b", rendered.symbol, text)}


def write(wiring: Wiring) -> list[str]:
    """Write the planned files, each whole or not at all; return their paths.

    Raises:
        UserError: A file cannot be written.
    """
    for path, text in wiring.files.items():
        target = wiring.root / path
        partial = target.with_name(f".{target.name}.partial")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            partial.write_text(text, encoding="utf-8")
            if target.exists():
                partial.chmod(target.stat().st_mode & 0o777)
            elif path.startswith(f"{SCRIPTS}/"):
                partial.chmod(0o755)
            partial.replace(target)
        except OSError as error:
            partial.unlink(missing_ok=True)
            raise UserError(f"{path} cannot be written ({error.strerror}).", "Make it writable.") from error
    return list(wiring.files)
