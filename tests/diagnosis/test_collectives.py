"""Many ranks wait: the one that is silent, behind or runs something else is named, whatever torch printed the log."""

import random
from pathlib import Path

import pytest

from dlcoder.diagnosis.diagnose import diagnose

RANKS, ODD = 64, 17
CAUGHT = "Watchdog caught collective operation timeout: WorkNCCL({}Timeout(ms)=1800000) ran for 1800{} milliseconds"
FORMS = {
    "1.10": "[E ProcessGroupNCCL.cpp:587] [Rank {rank}] {caught} before timing out.",
    "2.0": "[E ProcessGroupNCCL.cpp:828] [Rank {rank}] {caught} before timing out.",
    "2.3": "[rank{rank}]:[E ProcessGroupNCCL.cpp:563] [Rank {rank}] {caught} before timing out.\n"
    "[rank{rank}]:[E ProcessGroupNCCL.cpp:1537] [PG 0 Rank {rank}] Timeout at NCCL work: {number}, last enqueued NCCL "
    "work: {number}, last completed NCCL work: {done}.",
    "2.8": "[rank{rank}]:[E602 11:18:52.489301002 ProcessGroupNCCL.cpp:685] [Rank {rank}] {caught} before timing out.\n"
    "[rank{rank}]:[E602 11:18:52.489301002 ProcessGroupNCCL.cpp:2252] [PG ID 0 PG GUID 0(default_pg) Rank {rank}]  "
    "failure detected by watchdog at work sequence id: {number} PG status: last enqueued work: {number}, last "
    "completed work: {done}",
}


def timeout(era: str, rank: int, number: int = 100, operation: str = "ALLREDUCE", size: int = 1_048_576) -> str:
    work = {"1.10": f"OpType={operation}, ", "2.0": f"SeqNum={number}, OpType={operation}, "}
    sized = f"SeqNum={number}, OpType={operation}, NumelIn={size}, NumelOut={size}, "
    caught = CAUGHT.format(work.get(era, sized), f"{rank:03d}")
    return FORMS[era].format(rank=rank, caught=caught, number=number, done=number - 1)


def progress(rank: int) -> str:
    return "\n".join(f"[rank{rank}]: epoch 3 step {i} loss {2 - 0.01 * i:.3f}" for i in range(6))


def logs(era: str, odd: str | None) -> dict[int, str]:
    told = {rank: f"{progress(rank)}\n{timeout(era, rank)}" for rank in range(RANKS)}
    told[ODD] = progress(ODD) + (f"\n{odd}" if odd else "")
    return told


def said(text: str | None, paths: list[Path]) -> tuple[str, str]:
    found = diagnose(text, paths)
    rank = found.first_failure.rank if found.first_failure else None
    return f"{found.summary} {' '.join(found.missing)} {rank}", found.hypotheses[0].cause


def write(folder: Path, told: dict[int, str]) -> list[Path]:
    for rank, text in told.items():
        (folder / f"rank_{rank}.log").write_text(text + "\n")
    return [folder]


@pytest.mark.parametrize("era", FORMS)
def test_the_silent_rank_is_named(era: str, tmp_path: Path) -> None:
    assert "rank 17" in said(None, write(tmp_path, logs(era, None)))[0]


@pytest.mark.parametrize("era", FORMS)
def test_the_rank_whose_log_is_missing_is_named(era: str, tmp_path: Path) -> None:
    told = logs(era, None)
    del told[ODD]
    assert "rank 17" in said(None, write(tmp_path, told))[0]


@pytest.mark.parametrize("era", FORMS)
def test_the_silent_rank_is_named_in_an_interleaved_log(era: str) -> None:
    left = [text.split("\n") for text in logs(era, None).values()]
    order, lines = random.Random(4), []
    while left:
        own = order.choice(left)
        lines.append(own.pop(0))
        left = [rest for rest in left if rest]
    assert "rank 17" in said("\n".join(lines), [])[0]


@pytest.mark.parametrize("era", FORMS)
def test_another_operation_over_files_is_a_mismatch_of_that_rank(era: str, tmp_path: Path) -> None:
    text, cause = said(None, write(tmp_path, logs(era, timeout(era, ODD, operation="ALLGATHER"))))
    assert cause == "ddp-collective-mismatch"
    assert "rank 17 runs ALLGATHER" in text


@pytest.mark.parametrize("era", ["2.3", "2.8"])
def test_another_size_over_files_names_the_rank_and_both_sizes(era: str, tmp_path: Path) -> None:
    text, cause = said(None, write(tmp_path, logs(era, timeout(era, ODD, size=4096))))
    assert cause in ("ddp-collective-mismatch", "ddp-divergent-branch")
    assert "rank 17 has 4096 elements" in text


@pytest.mark.parametrize("era", ["2.0", "2.3", "2.8"])
def test_the_rank_that_is_behind_is_named(era: str, tmp_path: Path) -> None:
    text, cause = said(None, write(tmp_path, logs(era, timeout(era, ODD, number=97))))
    assert cause in ("ddp-divergent-branch", "ddp-slow-rank-timeout")
    assert "rank 17" in text


def test_numbers_of_different_groups_do_not_compare(tmp_path: Path) -> None:
    told = {rank: timeout("2.3", rank, number=100 + rank % 2).replace("PG 0", f"PG {rank % 2}") for rank in range(8)}
    assert "behind" not in said(None, write(tmp_path, told))[0]
