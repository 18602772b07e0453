"""Verdicts on traces made by hand: what must not be called a fault, and ranks that wait for each other."""

import json
import os
from pathlib import Path

from dlcoder.sandbox.harness.project.judge_loop import (
    judge_accumulation,
    judge_scheduler,
    judge_syncs,
    judge_validation,
)
from dlcoder.sandbox.harness.project.judge_repeat import merge_faster
from dlcoder.sandbox.harness.project.judge_step import judge_one_batch
from dlcoder.sandbox.harness.project.runs import Event, Result
from dlcoder.sandbox.harness.project.verdict import failed, passed
from dlcoder.sandbox.harness.project.waits import where_ranks_wait

STEP = {"e": "step", "opt": 0, "n": 4, "frozen": 0, "none": [], "nonfinite": [], "loose": [], "unchanged": []}
STEP |= {"lr": [0.1], "clean": True, "graphs": 0, "params": "a", "after": "b", "site": "train.py:9", "mixed": False}
BACKWARD = {"e": "bwd", "loss": 1.0, "numel": 1, "site": "train.py:8", "factors": [1.0], "lr": [[0.1]], "fresh": [True]}
DONE = {"e": "bwd_end", "opts": [0]}
FORWARD = {"e": "fwd", "trained": True, "grad": True, "train": True, "layers": 0, "layers_eval": 0, "cls": "Net"}


def result(root: Path, *events: Event) -> Result:
    made = Result("plain", root)
    made.ranks, made.codes = [[*events, {"e": "end", "code": 0}]], [0]
    return made


def gradients(root: Path, *zero: str) -> str:
    steps = [{**event, "zero": list(zero)} if event["e"] == "step" else event for event in [BACKWARD, STEP] * 4]
    return next(c["status"] for c in judge_one_batch(result(root, *steps)) if c["name"] == "one_batch.gradients")


def test_a_bias_without_gradient_is_a_fault_only_with_its_weight(tmp_path):
    assert gradients(tmp_path, "head.bias") == "pass"
    assert gradients(tmp_path, "head.bias", "head.weight") == "fail"


def test_a_loop_that_acts_on_what_the_model_says_is_not_blamed_for_reading_it(tmp_path):
    (tmp_path / "train.py").write_text("action = model(state.to(device)).sample().item()\n")
    step = {**STEP, "syncs": {"train.py:1": 20}}
    assert judge_syncs(result(tmp_path, *[*[FORWARD] * 20, BACKWARD, step] * 4), None)["status"] == "skip"
    assert judge_syncs(result(tmp_path, *[FORWARD, BACKWARD, step] * 4), None)["status"] == "fail"


def test_the_weight_of_a_term_is_not_taken_for_one_over_k(tmp_path):
    def judged(*factors: float) -> str:
        backward = {**BACKWARD, "factors": list(factors)}
        window = [backward, DONE, {**backward, "fresh": [False]}, DONE, STEP]
        return judge_accumulation(result(tmp_path, *window * 4), None, None)["status"]

    assert (judged(0.5, 0.25), judged(1.0, 0.5), judged(1.0)) == ("pass", "skip", "fail")


def test_a_schedule_as_long_as_training_is_not_stepped_once_an_epoch(tmp_path):
    made = {"e": "scheduler", "i": 0, "cls": "OneCycleLR", "inner": [], "horizon": 12, "site": "train.py:4"}
    final = {"e": "final", "sched": {}, "sites": {}}

    def judged(*stepped_before: int) -> str:
        steps = [{**STEP, "s": i, "lr": [i / 99], "sched": {"0": int(i in stepped_before)}} for i in range(1, 13)]
        return judge_scheduler(result(tmp_path, made, *steps, final))["status"]

    assert (judged(7, 12), judged(*range(2, 13))) == ("fail", "pass")


def test_a_framework_that_divides_a_shorter_last_window_like_the_others_is_not_the_users_fault(tmp_path):
    def judged(line: str) -> str:
        (tmp_path / "train.py").write_text("\n" * 7 + line)
        first = {**BACKWARD, "factors": [0.5]}
        window = [first, DONE, {**first, "fresh": [False]}, DONE, STEP]
        return judge_accumulation(result(tmp_path, *window * 4, first, DONE, STEP), None, None)["status"]

    assert (judged("trainer.fit(model)"), judged("loss.backward()")) == ("skip", "fail")


def test_a_small_learning_rate_is_no_failure_to_learn():
    slow = failed("overfit", "1.5 to 0.7", "", "look for a softmax")
    assert merge_faster(slow, passed("overfit", "1.5 to 0.1"), 10)["status"] == "skip"
    assert merge_faster(slow, failed("overfit", "1.5 to 0.7", "", ""), 10)["status"] == "fail"


def test_graphs_that_are_dropped_after_every_epoch_still_grow_within_it(tmp_path):
    def judged(*graphs: int) -> str:
        steps = [{**STEP, "graphs": count, "zero": []} for count in graphs]
        checks = judge_one_batch(result(tmp_path, *[e for step in steps for e in (BACKWARD, step)]))
        return next(c["status"] for c in checks if c["name"] == "one_batch.graph")

    assert judged(*[*range(9)] * 3, 0) == "fail"
    assert judged(*[0, 1, 2, 3] * 7) == "pass", "a few steps of unrolling"


def test_dropout_is_a_fault_in_evaluation_and_none_in_what_a_training_step_computes_beside(tmp_path):
    dropped, over = {"e": "dropped", "site": "train.py:7"}, {"e": "iter_end", "loader": 0}
    judging = {**FORWARD, "grad": False, "train": False, "site": "train.py:6", "input": "a"}
    after = judge_validation(result(tmp_path, FORWARD, BACKWARD, judging, dropped, over), None)
    beside = judge_validation(result(tmp_path, judging, dropped, FORWARD, BACKWARD, over), None)
    assert (after["status"], after["measured"]) == ("fail", "dropout is on in evaluation")
    assert beside["status"] == "pass"


def waiting(folder: Path, *last: Event) -> list[str]:
    for rank, event in enumerate(last):
        (folder / f"trace.{rank}").write_text(json.dumps(event) + "\n")
    return where_ranks_wait(str(folder / "trace"), folder, [os.getpid()] * len(last), set())


def test_ranks_hang_only_if_none_of_them_can_go_on(tmp_path):
    barrier = {"e": "coll", "name": "barrier", "site": "train.py:3"}
    assert waiting(tmp_path, barrier, {"e": "step"}) == []
    lines = waiting(tmp_path, barrier, {**barrier, "name": "all_reduce"})
    assert "rank 1 waits in all_reduce at train.py:3 (after 0 steps)" in lines
