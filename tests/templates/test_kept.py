"""Texts made before are found again by another process, and a file that is none of ours is not believed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dlcoder.templates.kept import Kept

RENDER = """
import sys
from dlcoder.scaffold.choices import decide
from dlcoder.scaffold.project import project_files
from dlcoder.scaffold.spec import ProjectSpec
spec = ProjectSpec(task="regression")
files = project_files(spec, decide(spec, "demo"))
print(sorted({"libcst", "yaml"} & {*sys.modules}), end=";")
print(hash(tuple(sorted(files.items()))))
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "dlcoder/rendered"


def test_a_second_process_renders_the_same_without_loading_what_rendered_it(file: Path) -> None:
    command, environment = [sys.executable, "-c", RENDER], {**os.environ, "PYTHONHASHSEED": "0"}
    first, second = (
        subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.split(";")
        for _ in range(2)
    )
    assert (first[0], second[0]) == ("['libcst', 'yaml']", "[]")
    assert first[1] == second[1]


def test_what_is_saved_is_there_for_the_next(file: Path) -> None:
    kept = Kept()
    kept.put("made\nof ü", "kind", "of this")
    kept.put("", "empty")
    kept.save()
    assert (Kept().get("kind", "of this"), Kept().get("empty")) == ("made\nof ü", "")
    assert Kept().get("kind", "of that") is None
    assert [path.name for path in file.parent.iterdir()] == ["rendered"]


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"made_by": "x"}', '{"made_by": "x", "lengths": [1]}\na'])
def test_a_damaged_file_counts_as_none(file: Path, damage: str) -> None:
    file.parent.mkdir()
    file.write_text(damage)
    assert Kept().get("kind", "of this") is None


def test_what_another_version_made_is_not_used(file: Path) -> None:
    kept = Kept()
    kept.put("made", "key")
    kept.save()
    head, text = file.read_text().split("\n")
    file.write_text(json.dumps({**json.loads(head), "made_by": "another"}) + f"\n{text}")
    assert Kept().get("key") is None


def test_a_file_that_was_cut_off_is_not_used(file: Path) -> None:
    kept = Kept()
    kept.put("made", "key")
    kept.save()
    file.write_bytes(file.read_bytes()[:-1])
    assert Kept().get("key") is None


def test_a_folder_that_cannot_be_written_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    kept = Kept()
    kept.put("made", "key")
    kept.save()
    assert kept.get("key") == "made"


def test_the_file_does_not_grow_without_end(file: Path) -> None:
    kept = Kept()
    kept.put("x" * 20_000_000, "large")
    kept.save()
    assert file.stat().st_size < 1000
