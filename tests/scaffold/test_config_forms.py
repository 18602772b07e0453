"""The same settings in every form: equal when read, refused when misspelt, overridden alike."""

import argparse
import importlib
import sys
from pathlib import Path
from typing import Any, get_args

import pytest
from projects import write_project

from dlcoder.scaffold.config_forms import FORMS
from dlcoder.scaffold.spec import ProjectSpec
from dlcoder.templates.components.utils import (
    settings_flags,
    settings_json,
    settings_python,
    settings_toml,
    settings_yaml,
)
from dlcoder.templates.components.utils.settings import SettingsError, to_mapping

CLASSES = ["it's", 'a "b" \\ c', "yes", "ﬁsh & chips"]
"""Names of classes that need quotes in one form or another."""


@pytest.fixture(scope="module")
def projects(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("forms")
    data = {"source": "image_folder", "classes": CLASSES, "root": "../a: b"}
    train = {"max_grad_norm": 0, "weight_decay": 1e-5}
    return {
        form: write_project(folder / f"in_{form}", config=form, data=data, train=train, layout="flat") for form in FORMS
    }


def load(project: Path, form: str, *overrides: str, file: str = "default") -> dict[str, Any]:
    """Read settings as the project does, by the component that it has a copy of."""
    sys.modules.pop("settings", None)
    sys.path.insert(0, str(project))
    try:
        cls = importlib.import_module("settings").Settings
        path = project / f"configs/{file}.{FORMS[form].suffix}"
        if form == "argparse":
            words = [word for item in overrides for word in (f"--{item.partition('=')[0]}", item.partition("=")[2])]
            flags: argparse.Namespace = settings_flags.FlagParser(cls, description="Test.").parse_args(words)
            return to_mapping(settings_flags.load_settings(cls, path, flags))
        reader: Any = {"yaml": settings_yaml, "toml": settings_toml, "dataclass": settings_python}[form]
        return to_mapping(reader.load_settings(cls, path, overrides))
    finally:
        sys.path.remove(str(project))
        sys.modules.pop("settings", None)


def test_every_form_of_the_spec_is_here() -> None:
    assert set(get_args(ProjectSpec.model_fields["config"].annotation)) == set(FORMS)


@pytest.mark.parametrize("file", ["default", "smoke"])
def test_all_forms_hold_the_same_settings(projects: dict[str, Path], file: str) -> None:
    loaded = [load(project, form, file=file) for form, project in projects.items()]
    assert all(settings == loaded[0] for settings in loaded)
    if file == "default":
        assert loaded[0]["data"]["classes"] == CLASSES
        assert loaded[0]["train"]["max_grad_norm"] == float("inf")


@pytest.mark.parametrize("form", FORMS)
def test_an_override_wins_and_a_misspelt_one_is_refused_with_the_nearest_name(
    projects: dict[str, Path], form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    changed = load(projects[form], form, "train.lr=0.5", "train.epochs=7")
    assert (changed["train"]["lr"], changed["train"]["epochs"]) == (0.5, 7)
    with pytest.raises((SettingsError, SystemExit)) as refused:
        load(projects[form], form, "train.epoch=7")
    assert "train.epochs" in f"{refused.value}{capsys.readouterr().err}"


@pytest.mark.parametrize("form", FORMS)
def test_a_setting_of_a_wrong_type_is_refused(projects: dict[str, Path], form: str) -> None:
    with pytest.raises((SettingsError, SystemExit)):
        load(projects[form], form, "train.epochs=many")


def test_what_one_form_writes_the_others_read(projects: dict[str, Path], tmp_path: Path) -> None:
    """A run's record, in YAML, TOML or JSON, gives back every setting."""
    wanted = load(projects["yaml"], "yaml")
    sys.path.insert(0, str(projects["yaml"]))
    try:
        cls = importlib.import_module("settings").Settings
        settings = settings_yaml.load_settings(cls, projects["yaml"] / "configs/default.yaml")
        for component in (settings_yaml, settings_toml, settings_json):
            component.save_settings(settings, tmp_path / "record")
            assert to_mapping(component.load_settings(cls, tmp_path / "record")) == wanted
    finally:
        sys.path.remove(str(projects["yaml"]))
        sys.modules.pop("settings", None)


def test_a_project_needs_what_its_form_needs(projects: dict[str, Path]) -> None:
    for form, project in projects.items():
        metadata = (project / "pyproject.toml").read_text()
        code = "\n".join(file.read_text() for file in project.rglob("*.py"))
        assert ("pyyaml" in metadata) == ("import yaml" in code) == (form == "yaml")
        assert ("import tomllib" in code) == ('requires-python = ">=3.11"' in metadata) == (form == "toml")
