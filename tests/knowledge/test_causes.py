"""The causes: complete, consistent, short, and read fast."""

import json
import time
from pathlib import Path

import pytest
import yaml

import dlcoder.knowledge.causes as causes_module
from dlcoder.knowledge.causes import Cause, compile_causes, load_causes

CAUSES = load_causes()
each_cause = pytest.mark.parametrize("cause", CAUSES.values(), ids=list(CAUSES))


def test_the_compiled_causes_are_what_the_yaml_files_say():
    compiled = Path(causes_module.__file__).with_name("causes.json").read_text(encoding="utf-8")
    assert json.loads(compiled) == json.loads(compile_causes()), "run: python -m dlcoder.knowledge.causes"


def test_no_cause_is_defined_twice():
    names = [
        name
        for path in sorted((Path(causes_module.__file__).parent / "causes").glob("*.yaml"))
        for name in yaml.safe_load(path.read_text(encoding="utf-8"))
    ]
    assert len(names) == len(set(names)) == len(CAUSES) == 104


@each_cause
def test_a_cause_says_what_it_is_what_it_is_not_how_to_prove_and_mend_it(cause: Cause):
    assert 3 <= len(cause.title.split()) <= 12 or len(cause.title) <= 70
    assert 100 < len(cause.explanation) <= 520
    assert cause.symptoms and cause.lookalikes
    assert 1 <= len(cause.verify) <= 3
    assert 1 <= len(cause.fix) <= 3
    assert cause.sources and all(source.startswith("https://") for source in cause.sources)


@each_cause
def test_lookalikes_are_other_known_causes(cause: Cause):
    named = [lookalike.cause for lookalike in cause.lookalikes]
    assert set(named) <= set(CAUSES) - {cause.id}
    assert len(named) == len(set(named))


@each_cause
def test_every_check_names_a_command_a_price_and_what_its_outcome_means(cause: Cause):
    for check in cause.verify:
        assert check.command.strip() and check.action and len(check.expect) > 20
        assert 1 <= check.cost <= 3600


def test_snippets_of_python_in_the_checks_are_python():
    """What does not start with a program of the shell must compile as it stands."""
    shell = (
        "python ", "nvidia", "grep", "PYTORCH", "CUDA", "CUBLAS", "NCCL", "TORCH", "torchrun", "dlcoder", "for p in $",
        "for n in", "for b in eager", "df ", "dmesg", "env ", "curl", "ss ", "getent", "ls ", "ulimit", "ldd", "pip",
        "nvcc", "id ", "last", "sacct", "command", "c++filt", "compute-", "dcgmi", "py-spy", "p=<path>", "uv ", "gh ",
    )  # fmt: skip
    checked = 0
    for cause in CAUSES.values():
        for check in cause.verify:
            if not check.command.startswith(shell):
                compile(check.command, cause.id, "exec")
                checked += 1
    assert checked > 60


def test_reading_all_causes_takes_less_than_thirty_milliseconds():
    load_causes()
    best = min(_seconds_to_read() for _ in range(5))
    assert best < 0.03


def _seconds_to_read() -> float:
    load_causes.cache_clear()
    start = time.perf_counter()
    load_causes()
    return time.perf_counter() - start
