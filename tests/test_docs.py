"""The documentation site: everything has a page, no page is empty, every link leads somewhere."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from dlcoder.sandbox import smoke
from dlcoder.sandbox.harness.component.catalogue import CHECKS
from dlcoder.tools import available

ROOT = Path(__file__).parent.parent
SOURCES = ROOT / "src" / "dlcoder"
LINK = re.compile(r"\]\(([^)\s]+)\)")
FENCED = re.compile(r"^(`{3,}).*?^\1$", re.DOTALL | re.MULTILINE)

spec = importlib.util.spec_from_file_location("docs_build", ROOT / "docs" / "build.py")
assert spec and spec.loader
build = importlib.util.module_from_spec(spec)
spec.loader.exec_module(build)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    assert build.write_site(folder) == len(list(folder.rglob("*.md"))) - 1
    return folder


def expected() -> dict[str, set[str]]:
    """What must have a page, read from the files rather than through the code that writes the pages."""
    components = SOURCES / "templates" / "components"
    causes = (SOURCES / "knowledge" / "causes").glob("*.yaml")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return {
        "tools": {listed.name for listed in available()},
        "components": {file.relative_to(components).with_suffix("").as_posix() for file in components.glob("*/*.yaml")},
        "causes": {cause for file in causes for cause in yaml.load(file.read_text("utf-8"), Loader=loader)},
        "checks": {f"{kind}/{entry.name}" for kind, entries in CHECKS.items() for entry in entries}
        | {f"project/{name}" for name in smoke.CHECKS},
    }


def test_every_tool_component_cause_and_check_has_a_page_and_nothing_else_does(site: Path) -> None:
    for section, names in expected().items():
        found = {
            page.relative_to(site / section).with_suffix("").as_posix() for page in site.glob(f"{section}/**/*.md")
        }
        assert len(names) >= 5 and found == names, section


def test_every_link_leads_to_a_page_and_every_page_is_in_the_index(site: Path) -> None:
    broken, followed = [], 0
    for page in site.rglob("*.md"):
        for target in LINK.findall(FENCED.sub("", page.read_text("utf-8"))):
            followed += 1
            if not target.startswith("https://") and not (page.parent / target).is_file():
                broken.append(f"{page.relative_to(site)} -> {target}")
    assert followed > 300 and not broken
    listed = set(LINK.findall((site / "index.md").read_text("utf-8")))
    assert listed == {str(page.relative_to(site)) for page in site.rglob("*.md")} - {"index.md"}


def test_no_page_and_no_section_of_a_page_is_empty(site: Path) -> None:
    for page in site.rglob("*.md"):
        title, _, body = page.read_text("utf-8").partition("\n")
        assert re.match(r"# \S", title), page
        assert len(re.findall(r"\w+", body)) >= 12, page
        outside = FENCED.sub("code", body)
        empty = re.findall(r"^(#{2,3}) (.+)\n\s*(?=\1 |\Z|## )", outside, re.MULTILINE)
        assert not empty, f"{page.relative_to(site)}: {empty}"


def test_tables_have_as_many_cells_as_columns_and_fences_are_closed(site: Path) -> None:
    for page in site.rglob("*.md"):
        text = page.read_text("utf-8")
        outside = FENCED.sub("", text)
        assert "```" not in outside, page
        for row, below in zip(outside.splitlines(), outside.splitlines()[1:], strict=False):
            if row.startswith("|") and below.startswith("|"):
                cells = [len(re.findall(r"(?<!\\)\|", line)) for line in (row, below)]
                assert cells[0] == cells[1], f"{page.relative_to(site)}: {below}"


def test_a_page_of_a_cause_says_how_to_be_sure_and_what_to_do(site: Path) -> None:
    for page in (site / "causes").glob("*.md"):
        text = page.read_text("utf-8")
        assert (
            "## How to be sure\n\n### " in text
            and "## What to do\n\n### " in text
            and "](../tools/diagnose_log.md)" in text
        )


def test_a_projects_checks_tell_what_they_do_and_what_must_hold() -> None:
    checks = build.project_checks()
    assert all(len(does.split()) >= 2 for does, _ in checks.values())
    told = [name for name, (_, bounds) in checks.items() if bounds]
    assert len(told) > len(checks) // 2, "the judges no longer read as `name, bound = ...`"
    assert "torchrun.parameters" in checks["torchrun"][1]


def test_the_builder_writes_where_it_is_told_and_spares_a_folder_that_is_not_a_site(tmp_path: Path) -> None:
    (tmp_path / "thesis.md").write_text("mine")
    command = [sys.executable, str(ROOT / "docs" / "build.py")]
    refused = subprocess.run([*command, str(tmp_path)], capture_output=True, text=True, check=False)
    assert refused.returncode == 1 and (tmp_path / "thesis.md").read_text() == "mine"
    for _ in range(2):
        done = subprocess.run([*command, str(tmp_path / "site")], capture_output=True, text=True, check=False)
        assert done.returncode == 0 and (tmp_path / "site" / "index.md").is_file(), done.stderr
