"""The answer of the tool: honest, short, sufficient."""

import asyncio
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from projects import choices, spec

from dlcoder.errors import UserError
from dlcoder.paths import Roots
from dlcoder.scaffold.project import project_files
from dlcoder.tools.base import Call
from dlcoder.tools.scaffold_project import TOOL, ScaffoldOutput


def call(path: Path, root: Path | None = None, **arguments: Any) -> ScaffoldOutput:
    values = {"path": str(path), "spec": {"task": "classification"}, **arguments}
    roots = Roots((root.resolve(),)) if root else Roots()
    return asyncio.run(TOOL.run(TOOL.input.model_validate(values), Call(roots=roots)))


def test_a_dry_run_lists_what_a_run_writes_and_writes_nothing(tmp_path: Path) -> None:
    planned = call(tmp_path / "project", dry_run=True)
    assert list(tmp_path.iterdir()) == []
    assert "nothing was written" in planned.text()
    written = call(tmp_path / "project", validate="none")
    assert written.files == planned.files
    on_disk = {str(p.relative_to(tmp_path / "project")): p.stat().st_size for p in tmp_path.rglob("*") if p.is_file()}
    assert on_disk == {file.path: file.bytes for file in written.files}


def test_not_run_is_never_ok(tmp_path: Path) -> None:
    answer = call(tmp_path / "project", validate="none")
    assert not answer.validation.passed
    assert [check.status for check in answer.validation.checks] == ["skip"]
    assert answer.text().splitlines()[0].endswith("NOT PROVED: not run: validate was 'none'.")
    assert "smoke_test" in answer.next_steps[0]


def test_the_text_is_short_and_sufficient(tmp_path: Path) -> None:
    text = call(tmp_path / "project", validate="none", spec={"task": "classification", "goal": "99 %"}).text()
    assert len(text) < 1200 * 4
    for part in ("train.py", "engine/", "train.lr = 0.001", "No score can be promised", "python train.py"):
        assert part in text


def test_every_file_has_a_role(tmp_path: Path) -> None:
    answer = call(tmp_path / "p", dry_run=True, spec={"task": "classification", "data": {"source": "image_folder"}})
    roles = {file.path: file.role for file in answer.files}
    assert roles["train.py"] == "entry: training"
    assert roles["p/models/resnet.py"] == "model"
    assert roles["p/engine/trainer.py"] == "engine"
    assert roles["tests/sample_data/val/waves/10.png"] == "sample data"
    assert "file" not in roles.values()


def test_a_path_outside_the_roots_is_refused(tmp_path: Path) -> None:
    (tmp_path / "inside").mkdir()
    with pytest.raises(UserError, match="outside"):
        call(tmp_path / "outside", root=tmp_path / "inside", validate="none")


def test_an_occupied_directory_is_refused_before_anything_is_run(tmp_path: Path) -> None:
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "mine.py").write_text("")
    with pytest.raises(UserError, match="not empty"):
        call(tmp_path / "project")


def test_the_record_holds_request_decisions_and_pristine_files() -> None:
    request = spec(precision="fp16", data={"num_classes": 3})
    files = project_files(request, choices(precision="fp16", data={"num_classes": 3}))
    record = json.loads(files[".dlcoder/project.json"])
    assert record["spec"] == {"task": "classification", "precision": "fp16", "data": {"num_classes": 3}}
    assert record["decided"]["batch_size"] == 64
    pristine = zipfile.ZipFile(io.BytesIO(files[".dlcoder/pristine.zip"]))
    assert {name: pristine.read(name) for name in pristine.namelist()} == {
        path: content for path, content in files.items() if not path.startswith(".dlcoder/")
    }


def test_the_same_request_gives_the_same_bytes() -> None:
    request = {"data": {"source": "image_folder"}}
    assert project_files(spec(**request), choices(**request)) == project_files(spec(**request), choices(**request))
