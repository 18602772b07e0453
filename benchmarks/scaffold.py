"""How fast a project is made, against copier and cookiecutter rendering as many files, and against a bare torchrun.

    python benchmarks/scaffold.py [--rounds 5]

Rows: a project rendered and written by a process of its own, and within a process that has done it before; and a
project scaffolded with its smoke validation, against copier followed by a bare `torchrun` of the same script. The
templates of the peers are the very files of our project, with the package's name left open in their text and paths.
Every process finds its modules compiled, as where all are installed: the first round, which is not measured, does it.
"""

import argparse
import asyncio
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from cookiecutter.main import cookiecutter
from copier import run_copy

from dlcoder.scaffold.choices import decide
from dlcoder.scaffold.project import project_files, scaffold_project
from dlcoder.scaffold.spec import ProjectSpec

BOUNDS = {"one process a project": 0.5, "within a process": 0.5, "proved": 1.0}
PACKAGE = "shapes_demo"
SPEC = ProjectSpec.model_validate({"task": "classification", "name": PACKAGE})
BIN = Path(sys.executable).parent
_folders = iter(range(10**6))
_compiled = tempfile.TemporaryDirectory(prefix="compiled-")


def seconds(work: Callable[[], object]) -> float:
    """How long something takes."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def write_peers_templates(files: dict[str, bytes], root: Path) -> tuple[Path, Path]:
    """The project as a template of copier and as one of cookiecutter."""
    copier, cookie = root / "copier", root / "cookiecutter"
    (copier / "template").mkdir(parents=True)
    (copier / "copier.yml").write_text("_subdirectory: template\npackage: {type: str, default: shapes_demo}\n")
    (cookie / "{{cookiecutter.package}}").mkdir(parents=True)
    (cookie / "cookiecutter.json").write_text('{"package": "shapes_demo"}')
    for path, content in files.items():
        if path.startswith(".dlcoder"):
            continue
        for folder, variable, suffix in (
            (copier / "template", "package", ".jinja"),
            (cookie / "{{cookiecutter.package}}", "cookiecutter.package", ""),
        ):
            target = folder / path.replace(PACKAGE, "{{" + variable + "}}")
            target.parent.mkdir(parents=True, exist_ok=True)
            text = content.decode().replace("{{", "{ {").replace("{%", "{ %").replace("{#", "{ #")
            target = target.with_name(target.name + suffix)
            target.write_text(text.replace(PACKAGE, "{{ " + variable + " }}"))
    return copier, cookie


def fresh(root: Path) -> Path:
    """A path that does not exist."""
    return root / f"out{next(_folders)}"


def run(*command: str, cwd: Path | None = None) -> None:
    """Run a command to its success."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPYCACHEPREFIX": _compiled.name}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    result = subprocess.run(command, cwd=cwd, capture_output=True, text=True, env=environment, check=False)
    if result.returncode not in (0, -6):  # torchrun's ranks may abort after they have finished
        raise SystemExit(f"{' '.join(command)} failed:\n{result.stdout}{result.stderr}")


def compare(name: str, rounds: int, ours: Callable[[], object], *peers: Callable[[], object]) -> bool:
    """Measure in turns, print the ratio of our median to that of the fastest peer; whether it keeps the bound."""
    times: list[list[float]] = [[] for _ in range(1 + len(peers))]
    for work, found in zip((ours, *peers), times, strict=True):
        work()  # once unmeasured: caches of files and of bytecode
        found.clear()
    for _ in range(rounds):
        for work, found in zip((ours, *peers), times, strict=True):
            found.append(seconds(work))
    own, *others = map(statistics.median, times)
    ratio = own / min(others)
    kept = ratio <= BOUNDS[name]
    told = "  ".join(f"{value:6.3f} s" for value in others)
    verdict = f"ratio {ratio:5.2f}  bound {BOUNDS[name]:.2f}  {'ok' if kept else 'MISSED'}"
    print(f"{name:22} ours {own:6.3f} s  peers {told}  {verdict}", flush=True)
    return kept


def main(rounds: int) -> int:
    """Measure all rows; return the exit status."""
    files = project_files(SPEC, decide(SPEC, PACKAGE))
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        copier, cookie = write_peers_templates(files, root)
        print(f"{len(files)} files")
        ours = [str(BIN / "dlcoder"), "scaffold", "--task", "classification", "--name", PACKAGE, "--validate"]
        kept = compare(
            "one process a project",
            rounds,
            lambda: run(*ours, "none", str(fresh(root))),
            lambda: run(str(BIN / "cookiecutter"), "--no-input", str(cookie), "-o", str(fresh(root))),
            lambda: run(str(BIN / "copier"), "copy", "--defaults", "--trust", "-q", str(copier), str(fresh(root))),
        )
        kept &= compare(
            "within a process",
            rounds,
            lambda: asyncio.run(scaffold_project(fresh(root), SPEC, validate="none")),
            lambda: cookiecutter(str(cookie), no_input=True, output_dir=str(fresh(root))),
            lambda: run_copy(str(copier), str(fresh(root)), defaults=True, quiet=True),
        )
        kept &= compare("proved", max(1, rounds // 2), lambda: proved(root), lambda: bare(root, copier))
    return 0 if kept else 1


def proved(root: Path) -> None:
    """Scaffold with the smoke validation."""
    asyncio.run(scaffold_project(fresh(root), SPEC, validate="smoke"))


def bare(root: Path, copier: Path) -> None:
    """What one would do by hand: render, then run the script once under torchrun."""
    target = fresh(root)
    run(str(BIN / "copier"), "copy", "--defaults", "--trust", "-q", str(copier), str(target))
    launch = [str(BIN / "torchrun"), "--standalone", "--nproc-per-node", "2", "train.py"]
    run(*launch, "--config", "configs/smoke.yaml", "--run-dir", "runs/smoke", cwd=target)
    shutil.rmtree(target)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    sys.exit(main(parser.parse_args().rounds))
