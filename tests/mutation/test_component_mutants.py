"""The quality figure of component checks: seeded bugs die, good and published components pass."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

sys.path.insert(0, str(Path(__file__).parent))

from components import ORIGINALS, check, mutants, verdict
from published_components import LIBRARIES

_CORPUS = mutants()
_SAMPLE = _CORPUS[::2]
"""`make mutation` plants all of them."""


def test_the_corpus_is_large_and_every_kind_is_in_it():
    assert len(_CORPUS) >= 50
    assert {mutant.kind for mutant in _CORPUS} == {"loss", "model", "dataset", "metric", "optimizer"}
    assert len({mutant.code for mutant in _CORPUS}) == len(_CORPUS)


@pytest.mark.parametrize("mutant", _SAMPLE, ids=str)
def test_its_check_kills_the_bug_and_names_a_line_or_a_name(mutant):
    result = verdict(mutant)

    assert (result.name, result.status) == (mutant.killer, "fail"), result
    assert result.measured and result.expected and result.detail and result.fix


@pytest.mark.parametrize("path", ORIGINALS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_good_component_is_not_accused(path):
    report = check(path.read_text(), path.parent.name, {})

    assert report.passed, [item for item in report.checks if item.status in ("fail", "error")]


@pytest.mark.slow
@pytest.mark.parametrize("library", LIBRARIES)
def test_published_components_are_accused_only_of_what_is_known(library):
    if importlib.util.find_spec(library) is None:
        pytest.skip(f"{library} is not installed (extra `published`)")
    runner = Path(__file__).parent / "published_components.py"
    done = subprocess.run([sys.executable, str(runner), library], capture_output=True, text=True, timeout=300)
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]

    assert len(lines) == len(LIBRARIES[library]), done.stderr[-2000:]
    surprises = {line["component"]: line["found"] for line in lines if not set(line["found"]) <= set(line["known"])}
    assert surprises == {}


def test_at_least_thirty_published_losses_and_models_are_held():
    held = [item for items in LIBRARIES.values() for item in items if item.kind in ("loss", "model")]

    assert len(held) >= 30
    assert len(LIBRARIES) >= 6


def test_every_known_defect_of_a_library_carries_its_reason():
    reasons = [reason for items in LIBRARIES.values() for item in items for reason in item.known.values()]

    assert all(len(reason) > 20 for reason in reasons)


def test_killers_are_checks_of_the_catalogue():
    from dlcoder.sandbox.harness.component.catalogue import CHECKS

    entries = yaml.safe_load((Path(__file__).parent / "components.yaml").read_text())
    for entry in entries:
        assert entry["killer"] in {check.name for check in CHECKS[entry["in"].split("/")[0]]}
