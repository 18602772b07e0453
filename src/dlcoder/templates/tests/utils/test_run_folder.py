"""Tests of a run's folder and record."""

import json
import subprocess
from pathlib import Path

import pytest
import torch

from dlcoder.templates.components.utils.run_folder import new_run_folder, record_run


def test_runs_of_the_same_second_have_folders_of_their_own(tmp_path: Path) -> None:
    assert len({new_run_folder(tmp_path, "a") for _ in range(3)}) == 3


def test_a_run_is_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("API_TOKEN", "secret")
    record_run(tmp_path, seed=3, data={"train": "abc"})
    record = json.loads((tmp_path / "run.json").read_text())
    assert record["seed"] == 3
    assert record["data"] == {"train": "abc"}
    assert record["packages"]["torch"] == torch.__version__
    assert record["environment"]["OMP_NUM_THREADS"] == "1"
    assert "secret" not in json.dumps(record["environment"])


def test_a_later_start_adds_a_record(tmp_path: Path) -> None:
    for _ in range(2):
        record_run(tmp_path, seed=0, data={})
    assert (tmp_path / "run-2.json").exists()


def test_uncommitted_changes_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "code.py"
    file.write_bytes(b"a = 1\r\n")
    who = ["-c", "user.name=a", "-c", "user.email=a@b"]
    for arguments in (["init", "-q"], ["add", "."], [*who, "commit", "-qm", "a"]):
        subprocess.run(["git", *arguments], check=True)
    # Line ends of Windows, and a letter that is not in UTF-8.
    file.write_bytes(b"a = 2  # \xfc\r\n")
    record_run(tmp_path, seed=0, data={})
    assert b"+a = 2  # \xfc\r\n" in (tmp_path / "git.diff").read_bytes()
    git = json.loads((tmp_path / "run.json").read_text())["git"]
    assert len(git["commit"]) == 40
    assert git["changed"]
    file.write_bytes(b"a = 3\r\n")
    record_run(tmp_path, seed=0, data={})
    assert b"+a = 2" in (tmp_path / "git.diff").read_bytes()
    assert b"+a = 3" in (tmp_path / "git-2.diff").read_bytes()
