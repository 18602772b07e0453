"""Config templates and launch scripts as entries of the catalogue: bound, proved by a run, put into a project."""

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest

from dlcoder.errors import UserError
from dlcoder.paths import Roots
from dlcoder.progress import silent
from dlcoder.scaffold import config_template
from dlcoder.scaffold.catalogue_entry import render_entry
from dlcoder.scaffold.component import find_component
from dlcoder.scaffold.config_forms import FORMS, convert
from dlcoder.scaffold.entry_proof import prove
from dlcoder.scaffold.launchers import LAUNCHERS
from dlcoder.serving.resources import read_resource, values_of
from dlcoder.templates.catalogue import catalogue
from dlcoder.tools.base import Call
from dlcoder.tools.render_template import TOOL, RenderTemplateOutput

SETTINGS = {"seed": 3, "train": {"lr": 1e-05, "betas": [0.9, 0.95], "note": 'it\'s "a" \\ b'}, "aug": {"flip": False}}


def render(name: str, **params: Any):
    return render_entry(find_component(name), params)


def status(name: str, **params: Any) -> dict[str, str]:
    report = anyio.run(prove, render(name, **params), silent)
    return {check.name: check.status for check in report.checks}


def add(root: Path, template: str, **arguments: Any) -> RenderTemplateOutput:
    given = {"template": template, "path": str(root), "validate": False, "dry_run": False, **arguments}
    return anyio.run(TOOL.run, TOOL.input.model_validate(given), Call(Roots((root,))))


def test_every_form_and_launcher_of_a_project_is_an_entry_with_a_resource():
    assert {name.partition("/")[2] for name in catalogue() if name.startswith("configs/")} == set(FORMS)
    assert {name.partition("/")[2] for name in catalogue() if name.startswith("launchers/")} == set(LAUNCHERS)
    assert {"configs", "launchers"} <= set(values_of("kind", {}))
    assert values_of("name", {"kind": "launchers"}) == sorted(LAUNCHERS)
    for name, component in catalogue().items():
        if not component.is_module:
            assert read_resource(f"dlcoder://templates/{name}")[0] == render(name).code


def test_given_settings_are_equal_in_all_four_forms_when_a_program_reads_them():
    found = status("configs/toml", settings=SETTINGS)
    assert set(found.values()) == {"pass"} and len(found) == 12
    assert next(iter(found)) == "toml-holds-the-settings"


def test_the_usual_settings_are_those_of_a_project():
    tree = render("configs/yaml").params["settings"]
    assert list(tree) == ["seed", "deterministic", "profile", "data", "model", "train"]
    assert tree["train"]["lr"] == 0.001


def test_a_form_that_holds_something_else_fails_its_proof(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(config_template, "convert", lambda *args: convert(*args).replace("seed = 3", "seed = 4"))
    found = status("configs/yaml", settings=SETTINGS)
    assert [name for name, each in found.items() if each == "fail"] == ["toml-holds-the-settings", "toml-round-trip"]


@pytest.mark.parametrize(
    ("launcher", "right", "wrong", "check"),
    [
        ("srun", 'RANK="${SLURM_PROCID', 'RANK="0${SLURM_LOCALID#1', "a-rank-for-each-task"),
        ("srun", ' "$@"', " $*", "a-rank-for-each-task"),
        ("sbatch", "scontrol requeue", "# scontrol", "requeues-after-the-limit"),
        ("sbatch", '"$again" = yes', "yes = yes", "does-not-requeue-a-failure"),
        ("sbatch", " --resume", "", "goes-on-where-it-was"),
    ],
)
def test_a_script_with_a_fault_fails_its_proof(launcher: str, right: str, wrong: str, check: str):
    rendered = render(f"launchers/{launcher}")
    assert right in rendered.code
    report = anyio.run(prove, replace(rendered, code=rendered.code.replace(right, wrong)), silent)
    assert check in {each.name for each in report.checks if each.status != "pass"}


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_a_launch_script_is_proved_by_starting_it(launcher: str):
    found = status(f"launchers/{launcher}", script="src/main.py")
    assert set(found.values()) == {"pass"} and len(found) >= 3


def test_the_parameters_of_a_script_are_where_they_belong():
    code = render("launchers/sbatch", gpus=4, nodes=2, partition="a100", time="04:00:00", grace=60, cpus=6).code
    wanted = ["nodes=2", "ntasks-per-node=4", "gpus-per-node=4", "partition=a100", "time=04:00:00", "cpus-per-task=6"]
    assert all(f"#SBATCH --{each}\n" in code for each in wanted)
    assert "USR1@60" in code
    assert 'exec torchrun "${meeting[@]}" --nproc-per-node "${PROCESSES:-4}" src/main.py "$@"' in (
        render("launchers/torchrun", processes=4, script="src/main.py").code
    )


@pytest.mark.parametrize(
    ("name", "params", "message"),
    [
        ("launchers/sbatch", {"partition": "a100; rm -rf ~"}, "without spaces"),
        ("launchers/sbatch", {"time": "1\n#SBATCH --x"}, "without spaces"),
        ("launchers/sbatch", {"nodes": 0}, "above 0"),
        ("launchers/sbatch", {"gpus": "many"}, "above 0"),
        ("launchers/sbatch", {"gpu": 4}, "Did you mean gpus"),
        ("configs/yaml", {"settings": {}}, "must hold names"),
        ("configs/yaml", {"settings": {"lr": None}}, "lr cannot be None"),
        ("configs/yaml", {"settings": {"a": {"b": {"c": 1}}}}, "a.b cannot be"),
        ("configs/yaml", {"settings": {"class": 1}}, "identifier"),
        ("configs/yaml", {"lr": 0.1}, "Its parameters are: settings"),
    ],
)
def test_what_cannot_be_bound_is_refused(name: str, params: dict[str, Any], message: str):
    with pytest.raises(UserError, match=message):
        render(name, **params)


def test_a_config_template_goes_into_a_project_and_is_read_there(tmp_path: Path):
    (tmp_path / "seg").mkdir()
    (tmp_path / "seg" / "__init__.py").write_text("")
    (tmp_path / "seg" / "model.py").write_text("x = 1\n")
    answer = add(tmp_path, "configs/dataclass", params={"settings": SETTINGS}, name="Config")
    assert answer.files == ["seg/config.py", "configs/default.py"]
    assert "from seg.config import" in (tmp_path / "configs/default.py").read_text()
    with pytest.raises(UserError, match="exists already"):
        add(tmp_path, "configs/dataclass", name="Config")


def test_a_job_script_brings_the_one_that_it_starts(tmp_path: Path):
    assert add(tmp_path, "launchers/srun").files == ["scripts/srun.sh"]
    answer = add(tmp_path, "launchers/sbatch", name="large.sbatch")
    assert answer.files == ["scripts/large.sbatch"], "srun.sh is there, as it should be"
    assert "sbatch scripts/large.sbatch --config" in answer.usage
    done = subprocess.run([tmp_path / "scripts/srun.sh"], capture_output=True, text=True, check=False)
    assert done.returncode != 0 and "start this script by srun" in done.stderr
    (tmp_path / "scripts/srun.sh").write_text("mine")
    with pytest.raises(UserError, match="holds something else"):
        add(tmp_path, "launchers/sbatch")
