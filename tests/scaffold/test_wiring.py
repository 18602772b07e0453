"""A component goes into a project that dlcoder did not make, in that project's style."""

import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from dlcoder.errors import UserError
from dlcoder.paths import Roots
from dlcoder.scaffold.style import style_of
from dlcoder.tools.base import Call
from dlcoder.tools.render_template import TOOL, RenderTemplateInput, RenderTemplateOutput

MODULE = "import os\n\n\ndef name():\n    return {quote}a string{quote} + os.sep + {quote}b{quote}\n"


def project(root: Path, files: dict[str, str]) -> Path:
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return root


def render(root: Path, template: str = "losses/dice", **arguments) -> RenderTemplateOutput:
    given = RenderTemplateInput.model_validate(
        {"template": template, "path": str(root), "validate": False, **arguments}
    )
    return anyio.run(TOOL.run, given, Call(Roots((root,))))


def snapshot(root: Path) -> dict[str, str]:
    return {str(file.relative_to(root)): file.read_text() for file in root.rglob("*") if file.is_file()}


@pytest.fixture
def packaged(tmp_path: Path) -> Path:
    return project(
        tmp_path / "work",
        {
            "pyproject.toml": "[tool.black]\nline-length = 100\n",
            "src/seg/__init__.py": "",
            "src/seg/criterions/__init__.py": "from .bce import Bce\n\n__all__ = ['Bce']\n",
            "src/seg/criterions/bce.py": MODULE.format(quote="'") + "\n\nclass Bce:\n    kind = 'bce'\n",
            "src/seg/train.py": MODULE.format(quote="'") + "\n\nfrom .criterions import Bce\n",
            "tests/test_bce.py": "def test_bce():\n    assert 'a' != 'b'\n",
        },
    )


def test_the_style_is_read_from_configuration_and_files(packaged, tmp_path):
    style = style_of(packaged)
    assert (style.line_length, style.quotes, style.relative_imports) == (100, "single", True)
    assert (style.package, style.import_name) == (Path("src/seg"), "seg")
    flat = style_of(project(tmp_path / "flat", {"train.py": MODULE.format(quote='"')}))
    assert (flat.line_length, flat.quotes, flat.package) == (88, "double", Path())


def test_the_line_length_is_told_by_the_lines_where_nothing_else_tells_it(tmp_path):
    long = "".join(f"value_{i} = {'x' * (i % 100 + 1)!r}\n" for i in range(400))
    assert style_of(project(tmp_path, {"a.py": long})).line_length == 120


def test_a_dry_run_shows_a_patch_that_applies_and_writes_nothing(packaged):
    before = snapshot(packaged)
    answer = render(packaged)
    assert snapshot(packaged) == before and answer.files == []
    subprocess.run(["git", "apply", "--check"], cwd=packaged, input=answer.diff, text=True, check=True)
    assert "Nothing was written" in answer.text()


def test_the_component_is_written_exported_and_tested(packaged):
    answer = render(packaged, dry_run=False)
    assert answer.files == ["src/seg/criterions/dice.py", "tests/test_dice.py", "src/seg/criterions/__init__.py"]
    exports = (packaged / "src/seg/criterions/__init__.py").read_text()
    assert exports == "from .bce import Bce\nfrom .dice import DiceLoss\n\n__all__ = ['Bce', 'DiceLoss']\n"
    look = ["--config", "line-length=100", "--config", "format.quote-style='single'"]
    command = [sys.executable, "-m", "ruff", "format", "--isolated", "--check", *look, "src/seg/criterions/dice.py"]
    assert subprocess.run(command, cwd=packaged, check=False).returncode == 0
    assert answer.usage.startswith("from seg.criterions.dice import DiceLoss\n")
    (packaged / "conftest.py").write_text("import sys\nsys.path.insert(0, 'src')\n")
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "tests/test_dice.py"],
        cwd=packaged,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout


def test_a_project_without_packages_gets_a_file_beside_the_others(tmp_path):
    root = project(tmp_path, {"train.py": MODULE.format(quote='"')})
    answer = render(root, dry_run=False)
    assert answer.files == ["dice.py"] and "no tests folder" in answer.notes[0]


def test_a_kind_that_the_package_lacks_gets_a_folder(tmp_path):
    root = project(tmp_path, {"net/__init__.py": "", "net/train.py": MODULE.format(quote='"')})
    assert render(root, dry_run=False).files == ["net/losses/dice.py", "net/losses/__init__.py"]


def test_exports_on_lines_of_their_own_stay_so(packaged):
    (packaged / "src/seg/criterions/__init__.py").write_text("from .bce import Bce\n\n__all__ = [\n    'Bce',\n]\n")
    render(packaged, dry_run=False)
    exports = (packaged / "src/seg/criterions/__init__.py").read_text()
    assert exports.endswith("__all__ = [\n    'Bce',\n    'DiceLoss',\n]\n")


def test_an_existing_file_is_never_overwritten(packaged):
    (packaged / "src/seg/criterions/dice.py").write_text("mine")
    before = snapshot(packaged)
    with pytest.raises(UserError, match="exists already"):
        render(packaged, dry_run=False)
    assert snapshot(packaged) == before
    assert "src/seg/criterions/organ_dice.py" in render(packaged, name="OrganDice", dry_run=False).files


def test_what_fails_its_checks_is_not_written(packaged, monkeypatch):
    from dlcoder.sandbox import validate
    from dlcoder.sandbox.report import Check, Report

    async def failing(*_):
        return Report(passed=False, checks=[Check(name="half-precision", status="fail")])

    monkeypatch.setattr(validate, "validate_code", failing)
    before = snapshot(packaged)
    with pytest.raises(UserError, match="failed its checks"):
        render(packaged, dry_run=False, validate=True)
    assert snapshot(packaged) == before


def test_a_path_outside_the_roots_or_no_directory_is_refused(packaged):
    with pytest.raises(UserError, match="outside"):
        render(packaged, path="/etc")
    with pytest.raises(UserError, match="no directory"):
        render(packaged, path=str(packaged / "missing"))
