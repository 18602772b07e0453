"""Every option gives a project that is clean, complete and runs: all pairs of option values are covered."""

import ast
import itertools
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from options import OF_CLASSIFICATION, OF_TASKS, Options, covering, rows
from projects import PYTHON, QUICK, choices, write_project
from ruff import find_ruff_bin

from dlcoder.scaffold.plan import plan
from dlcoder.scaffold.render import render


@pytest.fixture(scope="module")
def classifiers(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("pairwise")
    requests = covering(OF_CLASSIFICATION)
    return [write_project(folder / f"project_{number}", **request) for number, request in enumerate(requests)]


@pytest.fixture(scope="module")
def projects(classifiers: list[Path], tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("tasks")
    requests = covering(OF_TASKS)
    return [
        *classifiers,
        *(write_project(folder / f"task_{number}", **request) for number, request in enumerate(requests)),
    ]


def sources(project: Path) -> dict[str, str]:
    return {file.relative_to(project).as_posix(): file.read_text() for file in sorted(project.rglob("*.py"))}


def ruff(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [find_ruff_bin(), *arguments, "--no-cache"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("options", [OF_CLASSIFICATION, OF_TASKS], ids=["classification", "tasks"])
def test_all_pairs_of_values_are_covered(options: Options) -> None:
    for (a, first), (b, second) in itertools.combinations(enumerate(options.values()), 2):
        met = {(row[a], row[b]) for row in rows(options)}
        assert len(met) == len(first) * len(second)


def test_the_code_is_formatted_and_lint_clean(projects: list[Path]) -> None:
    for project in projects:
        for arguments in (["check", "--isolated", "--select", "F,E,B,UP,I"], ["check"], ["format", "--check"]):
            done = ruff(*arguments, folder=project)
            assert done.returncode == 0, done.stdout


def test_nothing_of_the_templates_is_left(projects: list[Path]) -> None:
    for project in projects:
        for file in project.rglob("*"):
            if file.is_file() and file.suffix not in (".png", ".tar", ".zip", ".json"):
                found = re.search(r"\{\{ | \}\}|\{%|%\}|dlcoder\.templates|# needs:|jinja|TODO", file.read_text())
                assert not found, f"{file}: {found}"


SHARED_FILES = ("ViT",)
"""A masked autoencoder takes the blocks of this file, which is handed out whole."""


def test_every_file_name_and_setting_is_used(projects: list[Path]) -> None:
    for project in projects:
        code = {path: text for path, text in sources(project).items() if not path.startswith("tests/")}
        everything = "\n".join(code.values())
        for path, text in code.items():
            module = path.removesuffix(".py").replace("/", ".")
            if path.startswith(f"{project.name}/") and not path.endswith("__init__.py"):
                assert f"from {module} import" in everything, f"nothing imports {project.name}/{path}"
            for node in ast.parse(text).body:
                if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name not in ("main", *SHARED_FILES):
                    uses = len(re.findall(rf"\b{node.name}\b", everything))
                    assert uses > 1, f"nothing uses {node.name} of {project.name}/{path}"
        settings = ast.parse(code[f"{project.name}/settings.py"])
        for field in ast.walk(settings):
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
                assert re.search(rf"\.{field.target.id}\b", everything), (
                    f"{project.name}: {field.target.id} is not read"
                )


def test_every_component_has_a_test(projects: list[Path]) -> None:
    for project in projects:
        for file in (project / project.name).glob("*/*.py"):
            if file.stem != "__init__":
                suffix = "_loss" if file.parent.name == "losses" else ""
                assert (project / "tests" / f"test_{file.stem}{suffix}.py").exists()


def test_functions_fit_on_a_screen(projects: list[Path]) -> None:
    for project in projects:
        for path, text in sources(project).items():
            for node in ast.walk(ast.parse(text)):
                if isinstance(node, ast.FunctionDef):
                    assert (node.end_lineno or 0) - node.lineno < 50, f"{path}: {node.name}"


def test_rendering_again_gives_the_same_bytes() -> None:
    for fields in ({}, {"data": {"source": "image_folder"}, "precision": "fp16", "train": {"ema": False}}):
        first, second = (render(plan(choices(**fields))) for _ in range(2))
        assert first == second
        assert list(first) == sorted(first)


RUN_EACH = """
    import os, sys, torch, numpy, yaml, accelerate, lightning.pytorch, torch.utils.tensorboard
    for project in sys.argv[1:]:
        if not (child := os.fork()):
            os.chdir(project)
            sys.path.insert(0, project)
            import glob, train, evaluate
            code = train.main(["--config", *glob.glob("configs/smoke.*"), "--run-dir", "runs/a"])
            os._exit(code or evaluate.main(["--run", "runs/a"]))
        if os.waitpid(child, 0)[1]:
            sys.exit(project)
"""


def test_every_classifier_trains_and_evaluates(classifiers: list[Path]) -> None:
    """One process imports torch, and forks for each project."""
    command = [PYTHON, "-c", textwrap.dedent(RUN_EACH), *map(str, classifiers)]
    done = subprocess.run(command, env=QUICK, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    for project in classifiers:
        assert (project / "runs/a/evaluation/confusion_matrix.png").exists()


NOTHING_AS_BY_DEFAULT: dict[str, Any] = {
    "data": {"source": "image_folder", "augmentation": "strong", "image_size": 96},
    "model": {"family": "resnet", "size": "tiny"},
    "train": {"ema": False, "optimizer": "sgd", "accumulation": 2},
    "precision": "fp16",
    "config": "argparse",
}


def test_the_projects_own_tests_pass_with_nothing_as_by_default(tmp_path: Path) -> None:
    """Those of the shortest request, and of several processes, run at the end of the way: `test_end_to_end.py`."""
    project = write_project(tmp_path / "waves", **NOTHING_AS_BY_DEFAULT)
    alike = ["-k", "not rank and not process"]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", *alike]
    done = subprocess.run(command, cwd=project, env=QUICK, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout[-4000:]
    assert "skipped" not in done.stdout
