"""The failure zoo: its programs are labelled, small and really fail, and a sample of them is diagnosed rightly."""

import random
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "zoo"))

from run import hits, names_for

from dlcoder.knowledge.causes import load_causes
from zoo import Specimen, collect, cut, load, shuffled, without_culprit, wrapped

PROGRAMS = load()
# Programs that take a moment each: most need no torch.
QUICK = {
    "dist_args_local_rank", "dl_corrupt_json", "dl_corrupt_tar", "dl_files_limit", "dl_label_map", "dl_path_listdir",
    "dl_path_open", "disk_full_log", "env_api_iterable", "env_config_argparse", "env_config_choice", "env_config_yaml",
    "env_libc_gl", "env_missing_project", "env_network_401", "env_numpy_bool", "env_numpy_inf", "host_oom_killed",
    "native_segv", "cuda_lib_cudnn", "autograd_twice_shared", "shape_matmul_flatten", "ddp_unused", "ckpt_keys_module",
}  # fmt: skip


@pytest.fixture(scope="module")
def specimens() -> list[Specimen]:
    return collect(load(QUICK))


def test_at_least_a_hundred_and_twenty_programs_show_at_least_sixty_causes():
    assert len(PROGRAMS) >= 120
    assert len({program.cause for program in PROGRAMS}) >= 60


def test_every_label_is_a_known_cause():
    assert {cause for program in PROGRAMS for cause in program.right} <= set(load_causes())


def test_programs_are_small_and_no_two_are_alike():
    bodies = [program.body for program in PROGRAMS]
    assert len(set(bodies)) == len(bodies)
    assert max(len(body.splitlines()) for body in bodies) <= 25


def test_no_program_names_its_own_cause_to_the_reader_of_its_log():
    assert [program.name for program in PROGRAMS if program.cause in program.body] == []


def test_what_says_that_it_fails_fails(specimens: list[Specimen]):
    assert len(specimens) == len(QUICK)
    assert [each.program.name for each in specimens if not any(each.exit_codes)] == []
    assert [each.program.name for each in specimens if not all(log.strip() for log in each.logs)] == []


def test_a_sample_of_the_zoo_is_diagnosed_rightly(specimens: list[Specimen]):
    found = [names_for(each.logs, each.program) for each in specimens]
    right = [each.program.right for each in specimens]
    wrong = [
        each.program.name
        for each, names in zip(specimens, found, strict=True)
        if not set(names[:1]) & each.program.right
    ]
    assert hits(found, right, 1) >= 0.9, wrong
    assert hits(found, right, 3) >= 0.95, wrong


def test_every_rank_has_its_own_log_and_a_withheld_culprit_is_gone(specimens: list[Specimen]):
    ddp = next(each for each in specimens if each.program.name == "ddp_unused")
    assert len(ddp.logs) == 2
    others = Specimen(program_with_culprit(1), ddp.logs, ddp.exit_codes, 0.0)
    assert without_culprit(others, random.Random(0)) == [ddp.logs[0]]


def program_with_culprit(rank: int):
    from dataclasses import replace

    return replace(next(program for program in PROGRAMS if program.name == "ddp_unused"), culprit=rank)


def test_what_happens_to_logs_loses_no_text_but_what_it_says_it_cuts(specimens: list[Specimen]):
    ddp = next(each for each in specimens if each.program.name == "ddp_unused")
    rng = random.Random(0)
    assert "".join(wrapped(ddp, rng)).replace("\n", "") == "".join(ddp.logs).replace("\n", "")
    assert max(len(line) for line in wrapped(ddp, rng)[0].splitlines()) <= 80
    (mixed,) = shuffled(ddp, rng)
    for rank, log in enumerate(ddp.logs):
        prefix = f"[rank{rank}]: "
        mine = [line.removeprefix(prefix) for line in mixed.splitlines() if line.startswith(prefix)]
        assert mine == log.splitlines()
    assert all(len(log.splitlines()) <= 25 for log in cut(ddp, rng))
