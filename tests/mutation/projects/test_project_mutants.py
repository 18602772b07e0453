"""One bug of every kind is seen by the check that is meant for it; `project_runner.py` runs all of them."""

import asyncio
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from project_mutants import MUTANTS, Mutant
from project_runner import judge, killed_by, plant

FIRST_OF_KIND = list({m.kills: m for m in reversed(MUTANTS)}.values())[::-1]


@pytest.mark.parametrize("mutant", FIRST_OF_KIND, ids=lambda m: m.name)
def test_a_bug_is_seen_by_the_check_that_is_meant_for_it(mutant: Mutant):
    report = asyncio.run(judge(mutant))
    assert not report.passed
    found = killed_by(mutant, report)
    assert found is not None, report.checks
    assert found.fix, "a failure says what to change"


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: m.name)
def test_every_patch_applies_and_leaves_valid_code(mutant: Mutant, tmp_path):
    file = plant(mutant, tmp_path) / mutant.file
    compile(file.read_text(), str(file), "exec")


def test_the_corpus_has_no_two_bugs_of_one_name():
    assert len({m.name for m in MUTANTS}) == len(MUTANTS) >= 90
