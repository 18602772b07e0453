"""Flight Recorder dumps: read without running anything, and the ranks that made the others wait named, no others."""

import contextlib
import json
import os
import pickle
import random
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import flight_simulator as simulator
import pytest

from dlcoder.diagnosis.flight_dumps import looks_like_dump, rank_of, read_dump, unpickle_plain
from dlcoder.diagnosis.flight_recorder import FlightFindings, read_dumps
from dlcoder.errors import UserError


def findings_of(job: simulator.Job, folder: Path, only_pending: bool, form: str = "pickle") -> FlightFindings:
    paths = []
    for rank in range(len(job.ranks)):
        dump = simulator.dump_of(job, rank, only_pending)
        if dump is not None:
            path = folder / f"trace_{rank}"
            path.write_bytes(pickle.dumps(dump, protocol=2) if form == "pickle" else json.dumps(dump).encode())
            paths.append(path)
    return read_dumps(paths)


def test_over_eighty_hangs_every_injected_rank_is_named_and_no_other(tmp_path: Path):
    exact = wrong = jobs = 0
    for seed in range(80):
        job = simulator.build(seed)
        if not job.injected:
            continue
        jobs += 1
        folder = tmp_path / str(seed)
        folder.mkdir()
        findings = findings_of(job, folder, only_pending=seed % 2 == 0, form="json" if seed % 3 == 0 else "pickle")
        named = {culprit.rank for culprit in findings.culprits}
        exact += named == set(job.injected)
        wrong += bool(named - set(job.injected))
    assert jobs > 70
    assert wrong == 0
    assert exact / jobs >= 0.98


@pytest.mark.parametrize("kind", ["size", "op", "dtype"])
def test_a_mismatch_names_what_differs_and_whose_it_is(kind: str, tmp_path: Path):
    seed, job = next((seed, job) for seed in range(2000) if kind in (job := simulator.build(seed)).injected.values())
    findings = findings_of(job, tmp_path, only_pending=False)
    assert [m.kind for m in findings.mismatches] == [{"op": "operation"}.get(kind, kind)], seed
    assert findings.mismatches[0].minority == tuple(job.injected)
    assert findings.cause == "ddp-collective-mismatch"
    assert "differs" in findings.evidence()[1]


def test_a_stopped_rank_carries_its_last_operation_and_the_reason(tmp_path: Path):
    job = next(j for seed in range(500) if "stop" in (j := simulator.build(seed)).injected.values())
    culprit = findings_of(job, tmp_path, only_pending=False).culprits[0]
    assert culprit.role in ("absent", "behind")
    assert f"rank {culprit.rank} " in culprit.reason
    assert "train.py" in culprit.last


def test_a_job_that_waits_for_nothing_has_no_culprit(tmp_path: Path):
    job = next(j for seed in range(500) if "stop" in (j := simulator.build(seed)).injected.values())
    for rank in job.ranks:
        rank.stop_at = rank.device_stop_at = None
        rank.enqueued = len(rank.steps)
        rank.started = rank.done = set(range(rank.enqueued))
    findings = findings_of(job, tmp_path, only_pending=False)
    assert findings.culprits == () and findings.cause is None
    assert "did not hang" in findings.summary()


def test_of_a_few_pasted_dumps_no_absent_rank_is_accused(tmp_path: Path):
    job = next(j for seed in range(500) if "lost" in (j := simulator.build(seed)).injected.values())
    lost = next(iter(job.injected))
    paths = []
    for rank in [r for r in range(len(job.ranks)) if r != lost][:2]:
        path = tmp_path / f"trace_{rank}"
        path.write_bytes(pickle.dumps(simulator.dump_of(job, rank, True)))
        paths.append(path)
    findings = read_dumps(paths)
    assert not {culprit.rank for culprit in findings.culprits} & set(findings.missing_dumps)
    assert lost in findings.missing_dumps


PROGRAM = """
import datetime, os, sys, time
import torch
import torch.distributed as dist
import torch._C._distributed_c10d as c10d

dist.init_process_group("gloo", timeout=datetime.timedelta(seconds=30))
rank = dist.get_rank()
pair = dist.new_group([0, 1])
dist.all_reduce(torch.ones(4))
if rank < 2:
    dist.all_reduce(torch.ones(2), group=pair)
{body}
time.sleep(0.3)
with open(os.path.join(sys.argv[1], f"rank_{rank}"), "wb") as file:
    file.write(c10d._dump_fr_trace())
with open(os.path.join(sys.argv[1], f"json_rank_{rank}.json"), "wb") as file:
    file.write(c10d._dump_fr_trace_json())
# A rank that leaves would end the others' wait: all stay until all have written.
written = lambda: len([name for name in os.listdir(sys.argv[1]) if name.endswith(".json")])
while written() < 3:
    time.sleep(0.05)
time.sleep(0.2)
os._exit(0)
"""


def run_gloo(body: str, folder: Path) -> None:
    """Run three real ranks that hang as `body` makes them, and let each dump its recorder."""
    script = folder / "hang.py"
    script.write_text(PROGRAM.replace("{body}", body))
    with contextlib.closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    env = {**os.environ, "TORCH_FR_BUFFER_SIZE": "100", "OMP_NUM_THREADS": "1", "WORLD_SIZE": "3"}
    env |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    ranks = [
        subprocess.Popen([sys.executable, str(script), str(folder)], env={**env, "RANK": str(rank)})
        for rank in range(3)
    ]
    try:
        assert [each.wait(timeout=60) for each in ranks] == [0, 0, 0]
    finally:
        for each in ranks:
            each.kill()


@pytest.mark.parametrize("prefix", ["rank_", "json_rank_"])
def test_real_gloo_ranks_that_wait_are_told_from_the_one_that_does_not_come(real_hang: Path, prefix: str):
    findings = read_dumps(sorted(real_hang.glob(f"{prefix}*")))
    assert [(culprit.rank, culprit.role) for culprit in findings.culprits] == [(2, "absent")]
    assert findings.culprits[0].op == "all_reduce" and findings.culprits[0].sequence == 2
    assert findings.waiting[0].joined == (0, 1)


def test_the_line_of_user_code_in_a_real_dump_is_not_torchs(real_hang: Path):
    findings = read_dumps(sorted(real_hang.glob("rank_*")))
    assert "hang.py" in findings.waiting[0].where


@pytest.fixture(scope="module")
def real_hang(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gloo")
    run_gloo("work = dist.all_reduce(torch.ones(8), async_op=True) if rank != 2 else None", folder)
    return folder


class _Hostile:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, ("touch /tmp/should_not_exist",)


HOSTILE = {
    "runs a command": pickle.dumps({"entries": [], "x": _Hostile()}),
    "builds an object of a class": pickle.dumps({"entries": [Path("a")]}),
    "promises eight exabytes": b"\x80\x04\x8d" + (1 << 62).to_bytes(8, "little") + b"x.",
    "stores far out in the memo and fetches elsewhere": b"\x80\x02]r\xff\xff\xff\xffh\x01.",
    "closes what it did not open": b"\x80\x02e.",
    "ends in the middle": pickle.dumps({"entries": [1, 2, 3]})[:-4],
    "appends to a number": b"\x80\x02K\x01K\x02a.",
    "is no pickle": b"\x80\x02\xff\xff",
    "is JSON of something else": b"[1, 2, 3]",
    "nests without end": b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b".",
    "is empty": b"",
    "an entry without a group": pickle.dumps({"entries": [{"record_id": 1}]}),
    "a text where a number belongs": pickle.dumps({"entries": [{"record_id": "x", "process_group": ("0", "a")}]}),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_dump_is_refused_with_a_reason(what: str, tmp_path: Path):
    path = tmp_path / "dump_0"
    path.write_bytes(HOSTILE[what])
    with pytest.raises(UserError, match="no Flight Recorder dump"):
        read_dump(path)
    assert not Path("/tmp/should_not_exist").exists()


def test_references_that_double_again_and_again_cost_no_more_than_their_bytes(tmp_path: Path):
    bomb: list[Any] = []
    for _ in range(60):
        bomb = [bomb, bomb]
    path = tmp_path / "dump_0"
    path.write_bytes(pickle.dumps({"entries": [], "pg_config": {}, "pg_status": {}, "extra": bomb}))
    assert read_dump(path).entries == []


def test_random_bytes_never_raise_anything_but_a_refusal(tmp_path: Path):
    rng = random.Random(0)
    good = pickle.dumps({"entries": [{"record_id": 1, "process_group": ("0", "a"), "profiling_name": "nccl:x"}]})
    path = tmp_path / "dump_0"
    for _ in range(400):
        data = bytearray(good if rng.random() < 0.7 else rng.randbytes(60))
        for _ in range(rng.randint(1, 6)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        path.write_bytes(bytes(data))
        with contextlib.suppress(UserError):
            read_dump(path)


def test_plain_data_comes_through_every_protocol_unchanged():
    data = {"a": [1, -5, 300, 2**40, 1.5, None, True, "é"], "b": {"c": (1, 2, 3, 4), "d": ()}, "e": [[], {}]}
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        assert unpickle_plain(pickle.dumps(data, protocol=protocol)) == data


def test_the_rank_is_read_from_the_usual_names():
    names = {"nccl_trace_rank_12": 12, "_dump_3": 3, "fr_0.json": 0, "rank7_of_8": 7, "trace.pkl": None}
    assert {name: rank_of(Path(name)) for name in names} == names


def test_a_file_without_a_rank_and_two_of_one_rank_are_refused(tmp_path: Path):
    for name in ("trace", "a_1", "b_1"):
        (tmp_path / name).write_bytes(pickle.dumps({"entries": [], "pg_status": {}}))
    with pytest.raises(UserError, match="which rank"):
        read_dumps([tmp_path / "trace"])
    with pytest.raises(UserError, match="both claim rank 1"):
        read_dumps([tmp_path / "a_1", tmp_path / "b_1"])


def test_a_dump_is_told_from_a_log_by_its_first_bytes(tmp_path: Path):
    job = simulator.build(1)
    dump = tmp_path / "a"
    dump.write_bytes(pickle.dumps(simulator.dump_of(job, 1, False), protocol=2))
    log = tmp_path / "b"
    log.write_text("[rank0]: collective_seq_id entries\n")
    assert looks_like_dump(dump) and not looks_like_dump(log) and not looks_like_dump(tmp_path / "absent")


def missing_by_torch(folder: Path, prefix: str) -> set[frozenset[int]]:
    """The sets of ranks that PyTorch's own analyzer calls missing, one for each operation that it reports."""
    command = [sys.executable, "-m", "torch.distributed.flight_recorder.fr_trace", "--prefix", prefix, str(folder)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=100, check=True)
    found = re.findall(r"missing ranks: \{([\d, ]+)\}", run.stdout + run.stderr)
    return {frozenset(map(int, ranks.split(", "))) for ranks in found}


def test_where_pytorchs_analyzer_names_victims_too_the_culprit_is_told_from_them(tmp_path: Path):
    job = simulator.build(31)
    findings = findings_of(job, tmp_path, only_pending=False)
    assert {culprit.rank for culprit in findings.culprits} == set(job.injected)
    reported = missing_by_torch(tmp_path, "trace_")
    assert frozenset(job.injected) in reported and len(reported) > 1
