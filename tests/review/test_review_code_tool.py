"""The tool `review_code`: code or files in, findings and corrections out."""

import subprocess
from pathlib import Path

import anyio
import pytest
from pydantic import ValidationError

from dlcoder.errors import UserError
from dlcoder.paths import Roots
from dlcoder.tools.base import Call
from dlcoder.tools.review_code import TOOL, ReviewCodeInput, ReviewCodeOutput

FAULTY = """import torch
import torch.nn.functional as F


def step(model, x, y):
    return F.cross_entropy(F.softmax(model(x), dim=1), y)
"""


def run(root: Path | None = None, **arguments) -> ReviewCodeOutput:
    call = Call(Roots((root,)) if root else Roots())
    return anyio.run(TOOL.run, ReviewCodeInput(**arguments), call)


def test_a_finding_says_where_what_why_and_what_to_do():
    (finding,) = run(code=FAULTY).findings
    assert (finding.rule, finding.line) == ("double-softmax", 6)
    assert "softmax" in finding.message and finding.why and finding.fix


def test_code_comes_back_corrected_only_if_asked():
    assert run(code=FAULTY).fixed_code is None
    fixed = run(code=FAULTY, fix=True).fixed_code
    assert fixed == FAULTY.replace("F.softmax(model(x), dim=1)", "model(x)")


def test_a_folder_is_read_without_its_environment_and_its_corrections_apply(tmp_path):
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg" / "loss.py").write_text(FAULTY)
    (tmp_path / ".venv" / "lib").mkdir(parents=True)
    (tmp_path / ".venv" / "lib" / "other.py").write_text(FAULTY)
    answer = run(tmp_path, paths=["."], fix=True)
    assert answer.files == 1 and [finding.file for finding in answer.findings] == ["pkg/loss.py"]
    assert (tmp_path / "pkg" / "loss.py").read_text() == FAULTY, "a review writes nothing"
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    subprocess.run(["git", "apply"], cwd=tmp_path, input=answer.diff, text=True, check=True)
    assert run(tmp_path, paths=["."]).findings == []


def test_a_file_that_is_no_python_does_not_hide_the_others(tmp_path):
    (tmp_path / "a.py").write_text("def broken(:\n")
    (tmp_path / "b.py").write_text(FAULTY)
    answer = run(tmp_path, paths=["."])
    assert len(answer.findings) == 1 and "a.py, line 1" in answer.skipped[0]
    assert "Not read: a.py" in answer.text()


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({}, "either"),
        ({"code": "x = 1", "paths": ["a.py"]}, "either"),
        ({"paths": ["missing.py"]}, "does not exist"),
        ({"paths": ["notes.txt"]}, "no Python file"),
        ({"paths": ["../outside"]}, "outside"),
        ({"code": "def broken(:"}, "cannot be parsed"),
    ],
)
def test_bad_input_is_refused_with_what_to_do(arguments, problem, tmp_path):
    (tmp_path / "notes.txt").write_text("text")
    with pytest.raises(UserError) as refused:
        run(tmp_path, **arguments)
    assert problem in refused.value.problem and refused.value.next_step


def test_no_paths_at_all_are_refused():
    with pytest.raises(ValidationError):
        ReviewCodeInput(paths=[])


def test_the_text_tells_each_reason_once_and_stays_short():
    functions = "".join(f"def f{i}(x, y):\n    return F.cross_entropy(F.softmax(x, 1), y)\n" for i in range(200))
    answer = run(code=f"import torch.nn.functional as F\n{functions}")
    text = answer.text()
    assert len(answer.findings) == 200 and text.count(answer.findings[0].why) == 1
    assert len(text) / 4 < 3000 and "160 more" in text


def test_no_finding_is_not_sold_as_proof():
    assert "no proof" in run(code="x = 1\n").text()
