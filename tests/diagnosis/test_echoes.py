"""Lost connections and the ends of ranks: what is an effect, and which rank the others waited for."""

import pickle
from pathlib import Path

import flight_simulator as simulator
import pytest

from dlcoder.diagnosis.diagnose import diagnose

STEPS = "".join(f"epoch 1 step {i}/6 loss {1 / (i + 1):.3f}\n" for i in range(6))
TRACE = 'Traceback (most recent call last):\n  File "/home/u/train.py", line 40, in <module>\n    loss.backward()\n'
GLOO = "RuntimeError: [../third_party/gloo/gloo/transport/tcp/"
LOST = {
    "closed": f"{GLOO}pair.cc:598] Connection closed by peer [10.0.0.4]:31852\n",
    "reset": f"{GLOO}pair.cc:525] Read error [10.0.0.4]:21911: Connection reset by peer\n",
    "timeout": f"{GLOO}unbound_buffer.cc:136] Application timeout caused pair closure\n",
    "bare": "RuntimeError: Application timeout caused pair closure\n",
}
LABEL = '  File "/home/u/dataset.py", line 12, in __getitem__\n    return self.ann[i]["label"]\nKeyError: \'label\'\n'
WAITED = (
    "[rank{0}]:[E520 11:42:28.85 ProcessGroupNCCL.cpp:632] [Rank {0}] Watchdog caught collective operation timeout: "
    "WorkNCCL(SeqNum=70, OpType=ALLREDUCE, NumelIn=4, NumelOut=4, Timeout(ms)=600000) ran for 600029 milliseconds "
    "before timing out.\n"
)


def of_ranks(folder: Path, *logs: str):
    for rank, log in enumerate(logs):
        (folder / f"rank_{rank}.log").write_text(log, encoding="utf-8")
    return diagnose(paths=[folder])


@pytest.mark.parametrize("words", LOST)
def test_a_lost_gloo_connection_alone_is_a_peer_that_died_and_no_network(words: str):
    found = diagnose(log=STEPS + TRACE + LOST[words])
    assert found.hypotheses[0].cause == "ddp-peer-crash"
    assert all(each.probability < 0.05 for each in found.hypotheses if each.cause == "nccl-network")


@pytest.mark.parametrize("words", LOST)
def test_the_rank_that_failed_by_itself_outweighs_the_echoes_of_the_others(words: str, tmp_path: Path):
    found = of_ranks(tmp_path, STEPS + TRACE + LOST[words], STEPS + TRACE + LABEL, STEPS + TRACE + LOST[words])
    assert found.hypotheses[0].cause == "dl-label-format"
    assert found.first_failure is not None and found.first_failure.rank == 1


@pytest.mark.parametrize("words", LOST)
def test_a_rank_that_ended_in_order_before_the_others_lost_it_had_fewer_inputs(words: str, tmp_path: Path):
    found = of_ranks(tmp_path, STEPS + TRACE + LOST[words], STEPS + "Epoch 1 finished\n")
    assert found.hypotheses[0].cause == "ddp-uneven-inputs"
    assert "rank 1 ended in order" in found.summary


@pytest.mark.parametrize("form", ["step {}/{} loss 0.5", "epoch 1/9 [{}/{}] loss 0.5", "Training: {}/{} [00:04<00:00]"])
@pytest.mark.parametrize(
    "waited", [f"{GLOO}unbound_buffer.cc:78] Timed out waiting 4000ms for recv operation to complete", ""]
)
def test_a_rank_that_counts_to_a_smaller_total_than_those_that_wait_had_fewer_inputs(
    form: str, waited: str, tmp_path: Path
):
    steps = ["".join(form.format(step, total) + "\n" for step in range(1, 5)) for total in (6, 4)]
    found = of_ranks(tmp_path, steps[0] + (TRACE + waited if waited else WAITED.format(0)), steps[1] + "epoch 1 done\n")
    assert found.hypotheses[0].cause == "ddp-uneven-inputs"
    assert "rank 1 counts to 4, rank 0 to 6" in found.summary


def test_a_rank_that_stops_in_the_middle_without_a_word_is_not_taken_for_finished(tmp_path: Path):
    found = of_ranks(tmp_path, STEPS + TRACE + LOST["closed"], STEPS, STEPS + TRACE + LOST["reset"])
    assert found.hypotheses[0].cause == "ddp-peer-crash"


@pytest.mark.parametrize("last", ["IndexError: list index out of range", "ValueError: bad sample", "Exception: check"])
def test_a_rank_that_raised_while_the_others_waited_failed_first_and_is_not_asked_for(last: str, tmp_path: Path):
    waited = [STEPS + WAITED.format(rank) for rank in range(3)]
    found = of_ranks(tmp_path, *waited, STEPS + TRACE.replace("loss.backward()", "x = names[i]") + last + "\n")
    assert found.status == "failed" and "rank 3 raised" in found.summary
    assert found.first_failure is not None and (found.first_failure.rank, found.first_failure.line) == (3, last)
    assert not found.hypotheses[0].cause.startswith(("ddp-", "nccl-"))
    assert not any("rank 3" in wanted for wanted in found.missing) and "3" not in found.ranks


def test_where_rank_0_alone_prints_its_end_of_epoch_says_nothing_about_the_branch_it_took(tmp_path: Path):
    found = of_ranks(tmp_path, STEPS + "Epoch 1 finished\n", WAITED.format(1), WAITED.format(2))
    assert found.status == "failed" and found.hypotheses[0].probability < 0.6
    assert not any("log of rank 0" in wanted for wanted in found.missing)


def test_a_rank_that_went_past_a_collective_took_another_branch(tmp_path: Path):
    waits = f"{GLOO}unbound_buffer.cc:78] Timed out waiting 1800000ms for recv operation to complete\n"
    found = of_ranks(tmp_path, STEPS + TRACE + waits, STEPS + "score: None\n")
    assert found.hypotheses[0].cause == "ddp-divergent-branch"
    assert of_ranks(tmp_path, STEPS + TRACE + waits, STEPS + "tokenizing 100000 texts\n").hypotheses[0].cause == (
        "ddp-slow-rank-timeout"
    )


def test_a_launcher_that_was_told_to_end_ran_out_of_time_unless_a_rank_had_failed():
    ended = "W torch/distributed/elastic/agent/server/api.py:704] Received 15 death signal, shutting down workers\n"
    ended += TRACE + "torch.distributed.elastic.multiprocessing.api.SignalException: Process 12 got signal: 15\n"
    assert diagnose(log=STEPS + ended).hypotheses[0].cause == "time-limit"
    failed = STEPS + TRACE + "IndexError: Target 5 is out of bounds.\n" + ended
    assert diagnose(log=failed).hypotheses[0].cause == "cuda-index-out-of-range"


def test_flight_recorder_findings_name_the_rank_in_the_summary_and_as_first_failure(tmp_path: Path):
    job = simulator.build(3)
    for rank in range(len(job.ranks)):
        dump = simulator.dump_of(job, rank, True)
        if dump is not None:
            (tmp_path / f"trace_rank{rank}").write_bytes(pickle.dumps(dump, protocol=2))
    found = diagnose(paths=[tmp_path])
    assert found.first_failure is not None
    rank = found.first_failure.rank
    assert rank in job.injected
    assert f"rank {rank}" in found.summary and found.first_failure.source.endswith(f"rank{rank}")
