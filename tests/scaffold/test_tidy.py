"""Imports and form of files that are put together: the same one by one and all at once, wherever that happens."""

import subprocess
from pathlib import Path

import pytest

from dlcoder.scaffold.component import find_component, merged, with_siblings
from dlcoder.scaffold.tidy import tidier, tidy

UNTIDY = "import torch\nimport os, json\nfrom math import (\n    inf,\n    pi,\n)\nx = {  'a':json, 'b' : pi }\n"


@pytest.mark.parametrize("text", ["", UNTIDY, "# ü\nimport torch\n\n\n\nprint( torch )"])
def test_one_text_is_tidied_as_files_are(text: str) -> None:
    with tidier() as tidied:
        assert tidied(text) == tidy({"file.py": text}, "demo")["file.py"]


def test_the_modules_of_a_component_are_tidied_as_files_are() -> None:
    texts = {}
    for name in ("losses/dice_cross_entropy", "models/mae", "engine/train_step"):
        modules = with_siblings(find_component(name))
        texts[f"{name}.py"] = merged(modules, modules[-1], name) + f"\n\nnumber = {len(texts)}"
    for path, text in tidy(texts, "demo").items():
        with tidier() as tidied:
            assert tidied(texts[path]) == text


def test_unused_imports_go_and_the_others_are_sorted() -> None:
    with tidier() as tidied:
        assert tidied(UNTIDY) == 'import json\nfrom math import pi\n\nx = {"a": json, "b": pi}\n'


def test_folders_of_where_it_runs_are_no_packages_of_the_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "torch").mkdir()
    monkeypatch.chdir(tmp_path)
    text = "import torch\nimport yaml\n\nprint(torch, yaml)  # in a folder of that name\n"
    with tidier() as tidied:
        assert tidied(text) == text


def test_what_is_no_python_is_refused() -> None:
    with pytest.raises(subprocess.CalledProcessError), tidier() as tidied:
        tidied("def (:\n")
