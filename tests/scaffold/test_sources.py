"""Projects that read files: each is proved on a few of the kind, names what is missing, and says what goes where."""

import json
import subprocess
import textwrap
from pathlib import Path
from typing import Any

import pytest
from projects import PYTHON, QUICK, choices, spec, write_project

from dlcoder.scaffold.plan import data_settings
from dlcoder.scaffold.project import project_files
from dlcoder.scaffold.spec import Source
from dlcoder.scaffold.tasks.table import TASKS, meant

READING: list[dict[str, Any]] = [
    {"data": {"source": "csv", "classes": ["stripes", "waves"]}},
    {"data": {"source": "csv", "multi_label": True}, "config": "argparse"},
    {"data": {"source": "numpy"}},
    {"data": {"source": "webdataset", "num_classes": 2}},
    {"data": {"source": "csv"}, "model": {"family": "mlp"}},
    {"data": {"source": "numpy", "num_classes": 2}, "model": {"family": "mlp"}, "config": "toml"},
    {"task": "regression", "data": {"source": "csv"}, "config": "dataclass"},
    {"task": "regression", "data": {"source": "numpy"}},
    {"task": "segmentation", "data": {"source": "segmentation_pairs", "cache": "memory"}},
    {"task": "segmentation", "data": {"source": "segmentation_pairs", "num_classes": 2}},
    {"task": "detection", "data": {"source": "coco", "num_classes": 2, "cache": "disk"}, "config": "toml"},
    {"task": "generation", "data": {"source": "text"}, "model": {"family": "gpt"}},
    {"task": "generation", "data": {"source": "tokens"}, "model": {"family": "gpt"}, "layout": "flat"},
]
"""One request for each source of a task that reads files, but for image folders, which have tests of their own."""

EACH = pytest.mark.parametrize("fields", READING, ids=lambda fields: f"{meant(spec(**fields))}-{source_of(fields)}")


def source_of(fields: dict[str, Any]) -> str:
    return str(fields["data"]["source"])


def test_every_source_that_reads_files_is_covered() -> None:
    reading = {(name, word) for name, task in TASKS.items() for word, s in task.sources.items() if not s.synthetic}
    covered = {(meant(spec(**fields)), source_of(fields)) for fields in READING}
    assert covered == {pair for pair in reading if pair[1] != "image_folder"}
    assert {word for task in TASKS.values() for word in task.sources} == set(Source.__args__)  # type: ignore[attr-defined]


PROVE_EACH = """
    import glob, importlib, os, sys, torch, numpy, yaml

    def prove(project, layout):
        os.chdir(project)
        sys.path.insert(0, project)
        import train, evaluate
        package = "" if layout == "flat" else f"{os.path.basename(project)}."
        settings = importlib.import_module(f"{package}settings").DataSettings(root="nowhere")
        try:
            importlib.import_module(f"{package}build").build_datasets(settings)
        except (FileNotFoundError, ValueError) as error:
            assert "nowhere" in str(error), error
        else:
            raise AssertionError("no error")
        code = train.main(["--config", *glob.glob("configs/smoke.*"), "--run-dir", "runs/a"])
        return code or evaluate.main(["--run", "runs/a"])

    for request in sys.argv[1:]:
        if not (child := os.fork()):
            os._exit(prove(*request.split(",")))
        if os.waitpid(child, 0)[1]:
            sys.exit(request)
"""


def test_every_project_refuses_missing_files_and_trains_on_its_sample(tmp_path: Path) -> None:
    """One process imports torch, and forks for each project."""
    requests = []
    for number, fields in enumerate(READING):
        project = write_project(tmp_path / f"project_{number}", **fields)
        requests.append(f"{project},{fields.get('layout', 'package')}")
    command = [PYTHON, "-c", textwrap.dedent(PROVE_EACH), *requests]
    done = subprocess.run(command, env=QUICK, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    for number, fields in enumerate(READING):
        results = json.loads((tmp_path / f"project_{number}/runs/a/evaluation/metrics.json").read_text())
        assert all(f"metric_{name}" in results for name in TASKS[meant(spec(**fields))].metrics)


@EACH
def test_readme_and_next_steps_say_what_goes_where(fields: dict[str, Any]) -> None:
    fields = {**fields, "data": {**fields["data"], "root": "/data/mine"}}
    request = spec(**fields)
    readme = project_files(request, choices(**fields))["README.md"].decode()
    assert "`/data/mine/" in readme or "`/data/mine`" in readme


@pytest.mark.parametrize(
    ("cache", "inner"), [("memory", "MemoryCache(dataset)"), ("disk", "cached(dataset, settings)")]
)
def test_what_is_random_comes_after_the_cache(cache: str, inner: str) -> None:
    fields = {"data": {"source": "image_folder", "cache": cache, "augmentation": "strong"}}
    files = project_files(spec(**fields), choices(**fields))
    build = " ".join(files["waves/build.py"].decode().split())
    assert f"Augmented({inner}, RandomAugment(), seed=seed)" in build
    assert build.count(inner) == 2, "validation is cached too"


@EACH
def test_what_settings_mean_fits_on_a_line(fields: dict[str, Any]) -> None:
    for setting in data_settings(choices(**fields)):
        assert len(setting.meaning) <= 78, setting.name
