"""The signatures and the engines that look for them."""

import re

import pytest
import yaml

from dlcoder.diagnosis.diagnose import judge
from dlcoder.diagnosis.matcher import ENGINES, Locator, scope_scanner
from dlcoder.knowledge.causes import load_causes
from dlcoder.knowledge.signatures import _COMPILED, _HERE, SCOPES, compile_files, load_signatures

SIGNATURES = load_signatures()
TEXT = [
    "RuntimeError: CUDA out of memory. Tried to allocate 2 GiB",
    "slurmstepd: error: *** JOB 8 ON n1 CANCELLED AT 2024-01-01T00:00:00 DUE TO TIME LIMIT ***",
    "训练正常 验证时显存不足",
    "loss: nan",
    "x" * 9000 + " undefined symbol: _ZN3c104cuda9SetDeviceEi",
]


def test_what_is_read_at_run_time_is_what_the_files_say():
    import json

    assert json.loads(_COMPILED.read_text(encoding="utf-8")) == json.loads(json.dumps(compile_files()))


def test_every_weight_is_for_a_known_cause_and_every_cause_has_a_prior():
    weighed = {cause for p in SIGNATURES.patterns for cause in p.weights} | {
        c for r in SIGNATURES.rules for c in r.weights
    }
    assert weighed == set(SIGNATURES.priors) == set(load_causes())


def test_every_fact_that_a_rule_asks_for_can_be_established():
    source = "\n".join(file.read_text(encoding="utf-8") for file in (_HERE.parent / "diagnosis").glob("*.py"))
    known = {pattern.id for pattern in SIGNATURES.patterns}
    asked = {name for rule in SIGNATURES.rules for name in (*rule.all, *rule.any, *rule.none)}
    assert not {name for name in asked - known if f'"{name}"' not in source and not name.startswith("exc.")}


@pytest.mark.parametrize("engine", ["re2", "hyperscan"])
def test_no_pattern_can_backtrack_since_automata_take_them_all(engine):
    library = pytest.importorskip(engine)
    for pattern in SIGNATURES.patterns:
        for part in pattern.alternatives:
            if engine == "re2":
                library.compile(part.regex)
            else:
                assert not re.search(r"\(\?(?:[=!]|<[=!])|\\[1-9]", part.regex)


@pytest.mark.parametrize("engine", sorted(ENGINES))
@pytest.mark.parametrize("scope", SCOPES)
def test_all_engines_find_the_same(engine, scope):
    if engine != "stdlib":
        pytest.importorskip(engine)
    assert scope_scanner(scope, engine).match(TEXT) == scope_scanner(scope).match(TEXT)


def test_every_literal_that_is_looked_for_stands_in_what_its_pattern_matches():
    for pattern in SIGNATURES.patterns:
        for part in pattern.alternatives:
            if re.fullmatch(r"[\w ,:'-]+", part.regex):
                assert any(literal in part.regex.lower() for literal in part.literals) or len(part.regex) < 2


def test_a_large_file_is_searched_for_messages_and_not_for_prose():
    literals = Locator().literals
    assert "traceback (most" in literals
    assert all(len(literal) >= 4 for literal in literals)


def test_the_priors_file_covers_the_families_of_the_causes():
    priors = yaml.safe_load((_HERE / "signatures" / "priors.yaml").read_text(encoding="utf-8"))
    families = {cause.id: cause.family for cause in load_causes().values()}
    assert {cause: family for family, causes in priors.items() for cause in causes} == families


def test_evidence_against_a_cause_alone_does_not_list_it():
    assert judge("Epoch 1 loss 1.0\nRuntimeError: something that nobody has seen")[1][0].score > -9
    for entry in judge("RuntimeError: something that nobody has seen")[1]:
        assert any(w > 0 for w, _ in entry.support) or any(w > 0 for w, _ in entry.rules)
