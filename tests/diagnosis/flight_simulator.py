"""A hang, simulated: Megatron-style ranks, injected culprits, and the Flight Recorder dumps they would leave.

Every rank has a program (the order in which it hands operations to groups) and a device that runs them in that order;
sends run beside it, as asynchronous sends do. A program runs ahead of its device up to a depth, and stops at operations
that it synchronises with. An operation starts on a rank when its device reaches it and is done when all its members
have started it. Both only ever advance, so running everything until nothing moves gives the one state in which the job
hangs. Faults stop a program, stop a device, lose the process, skip, add or alter an operation, at a random position.

Only faults that were reached count as injected: what lies behind another hang never happens.
"""

import random
from dataclasses import dataclass, field

GROUPS = ("default_pg", "TENSOR_MODEL_PARALLEL_GROUP", "PIPELINE_MODEL_PARALLEL_GROUP", "DATA_PARALLEL_GROUP")
FAULTS = ("stop", "device", "lost", "skip", "size", "op", "dtype")


@dataclass
class Step:
    """One operation of one rank's program."""

    group: int
    members: tuple[int, ...]
    op: str
    numel: int
    dtype: str = "BFloat16"
    source: int = -1
    target: int = -1
    sync: bool = False
    asynchronous: bool = False
    number: int = 0


@dataclass
class Rank:
    """A rank's program and how far its two halves have come."""

    steps: list[Step]
    depth: int
    enqueued: int = 0
    started: set[int] = field(default_factory=set)
    done: set[int] = field(default_factory=set)
    stop_at: int | None = None
    device_stop_at: int | None = None
    unreported: int = 1
    lost: bool = False


@dataclass
class Job:
    """A job that hangs, with the ranks that made it hang."""

    ranks: list[Rank]
    groups: dict[int, tuple[str, tuple[int, ...]]]
    injected: dict[int, str]


def build(seed: int) -> Job:
    """Make a job of random shape, inject one or two faults, and run it until nothing moves."""
    rng = random.Random(seed)
    tensor, stages, data = rng.choice([(2, 2, 2), (4, 1, 2), (2, 4, 2), (4, 2, 2), (1, 1, 8), (1, 2, 4), (8, 1, 1)])
    job = _layout(tensor, stages, data, rng)
    plan = _plan(job, rng)
    for rank, (kind, at) in plan.items():
        _inject(job.ranks[rank], kind, at)
        job.ranks[rank].unreported = rng.randint(3, 8)
    _number(job)
    _run(job)
    for rank, (kind, at) in plan.items():
        if _reached(job, rank, kind, at):
            job.injected[rank] = kind
    return job


def _layout(tensor: int, stages: int, data: int, rng: random.Random) -> Job:  # noqa: C901
    world = tensor * stages * data

    def place(t: int, s: int, d: int) -> int:
        return s * tensor * data + d * tensor + t

    groups: dict[int, tuple[str, tuple[int, ...]]] = {0: (GROUPS[0], tuple(range(world)))}
    mine: list[dict[str, int]] = [{GROUPS[0]: 0} for _ in range(world)]

    def add(kind: str, members: tuple[int, ...]) -> None:
        number = len(groups)
        groups[number] = (kind, members)
        for rank in members:
            mine[rank][kind] = number

    for s in range(stages):
        for d in range(data):
            add(GROUPS[1], tuple(place(t, s, d) for t in range(tensor)))
    for d in range(data):
        for t in range(tensor):
            add(GROUPS[2], tuple(place(t, s, d) for s in range(stages)))
    for s in range(stages):
        for t in range(tensor):
            add(GROUPS[3], tuple(place(t, s, d) for d in range(data)))
    layers, micro, steps = rng.randint(1, 3), rng.randint(2, 4), rng.randint(2, 4)
    depth, syncs = rng.choice([6, 12, 40]), rng.random() < 0.5
    ranks = []
    for rank in range(world):
        stage = rank // (tensor * data)
        program = _program(mine[rank], groups, stage, stages, layers, micro, steps, syncs)
        ranks.append(Rank(program, depth))
    return Job(ranks, groups, {})


def _program(  # noqa: C901
    mine: dict[str, int],
    groups: dict[int, tuple[str, tuple[int, ...]]],
    stage: int,
    stages: int,
    layers: int,
    micro: int,
    steps: int,
    syncs: bool,
) -> list[Step]:
    program: list[Step] = []

    def call(kind: str, op: str, numel: int, **more: object) -> None:
        number = mine[kind]
        members = groups[number][1]
        if len(members) > 1:
            program.append(Step(number, members, op, numel, **more))  # type: ignore[arg-type]

    def pass_on(source: int, target: int) -> None:
        op = "send" if source == stage else "recv"
        call(GROUPS[2], op, 4096, source=source, target=target, asynchronous=op == "send")

    for _ in range(steps):
        for _ in range(micro):
            if stage > 0:
                pass_on(stage - 1, stage)
            for layer in range(layers):
                call(GROUPS[1], "_all_gather_base", 512 * (layer + 1))
                call(GROUPS[1], "_reduce_scatter_base", 1024 * (layer + 1), sync=syncs and layer == 0)
            if stage < stages - 1:
                pass_on(stage, stage + 1)
        for _ in range(micro):
            if stage < stages - 1:
                pass_on(stage + 1, stage)
            for layer in range(layers):
                call(GROUPS[1], "all_reduce", 256 * (layer + 1))
            if stage > 0:
                pass_on(stage, stage - 1)
        for bucket in range(2):
            call(GROUPS[3], "all_reduce", 10_000 + bucket, asynchronous=False, sync=bucket == 1)
        call(GROUPS[0], "all_reduce", 1, sync=True)
    return program


def _plan(job: Job, rng: random.Random) -> dict[int, tuple[str, int]]:
    kinds = list(FAULTS) if rng.random() < 0.5 else ["stop", "device", "lost"]
    # A job has one kind of trouble at a time; two authors of different mismatches cannot be told from one.
    kind = rng.choice(kinds)
    count = 2 if kind in ("stop", "device") and rng.random() < 0.5 else 1
    length = min(len(rank.steps) for rank in job.ranks)
    at = rng.randint(length // 3, length - 4)
    plan = {}
    for rank in rng.sample(range(len(job.ranks)), count):
        place = min(max(at + rng.randint(-2, 2), 2), length - 3)
        if kind in ("skip", "size", "op", "dtype"):
            place = _collective_near(job.ranks[rank].steps, place)
        plan[rank] = (kind, place)
    return plan


def _collective_near(steps: list[Step], at: int) -> int:
    """The next collective with three members or more, so that there is a majority to differ from."""
    for place in [*range(at, len(steps)), *range(at, -1, -1)]:
        step = steps[place]
        if step.source < 0 and len(step.members) > 2:
            return place
    return len(steps) - 1


def _inject(rank: Rank, kind: str, at: int) -> None:
    step = rank.steps[at]
    if kind == "stop":
        rank.stop_at = at
    elif kind == "device":
        rank.device_stop_at = at
    elif kind == "lost":
        rank.stop_at, rank.lost = at, True
    elif kind == "skip":
        rank.steps.pop(at)
    elif kind == "size":
        step.numel += 8
    elif kind == "dtype":
        step.dtype = "Float"
    elif kind == "op":
        step.op = "broadcast" if step.op != "broadcast" else "all_reduce"


def _number(job: Job) -> None:
    for rank in job.ranks:
        counters: dict[tuple[int, bool], int] = {}
        for step in rank.steps:
            key = (step.group, step.source >= 0)
            counters[key] = counters.get(key, 0) + 1
            step.number = counters[key]


def _run(job: Job) -> None:
    matches = _match(job)
    moved = True
    while moved:
        moved = False
        for rank in job.ranks:
            moved |= _advance_program(rank) | _advance_device(rank)
        moved |= _finish(job, matches)


def _advance_program(rank: Rank) -> bool:
    before = rank.enqueued
    while rank.enqueued < len(rank.steps) and rank.enqueued != rank.stop_at:
        last = rank.enqueued - 1
        if last >= 0 and rank.steps[last].sync and last not in rank.done:
            break
        if rank.enqueued - len(rank.done) >= rank.depth:
            break
        rank.enqueued += 1
    return rank.enqueued > before


def _advance_device(rank: Rank) -> bool:
    moved = False
    for at in range(rank.enqueued):
        if rank.device_stop_at is not None and at >= rank.device_stop_at:
            break
        if at not in rank.started:
            rank.started.add(at)
            moved = True
        if at not in rank.done and not rank.steps[at].asynchronous:
            break
    return moved


def _match(job: Job) -> dict[tuple[object, ...], list[tuple[int, int]]]:
    """Which steps of which ranks are one operation: by number in the group, or by count between a pair."""
    matches: dict[tuple[object, ...], list[tuple[int, int]]] = {}
    for number, rank in enumerate(job.ranks):
        pairs: dict[tuple[int, int, int], int] = {}
        for at, step in enumerate(rank.steps):
            if step.source >= 0:
                pair = (step.group, step.source, step.target)
                pairs[pair] = pairs.get(pair, 0) + 1
                key: tuple[object, ...] = (*pair, pairs[pair])
            else:
                key = (step.group, step.number)
            matches.setdefault(key, []).append((number, at))
    return matches


def _finish(job: Job, matches: dict[tuple[object, ...], list[tuple[int, int]]]) -> bool:
    moved = False
    for parts in matches.values():
        steps = [job.ranks[rank].steps[at] for rank, at in parts]
        whole = len(parts) == (2 if steps[0].source >= 0 else len(steps[0].members))
        alike = steps[0].source >= 0 or len({(step.op, step.numel, step.dtype) for step in steps}) == 1
        if whole and alike and all(at in job.ranks[rank].started for rank, at in parts):
            for rank, at in parts:
                if at not in job.ranks[rank].done:
                    job.ranks[rank].done.add(at)
                    moved = True
    return moved


def _reported(rank: Rank, at: int) -> bool:
    """Whether the rank knows that an operation is done: a stopped device took the news of its last ones with it."""
    dead = rank.device_stop_at is not None and rank.device_stop_at - 1 in rank.started
    return at in rank.done and not (dead and at >= rank.device_stop_at - rank.unreported)


def _reached(job: Job, number: int, kind: str, at: int) -> bool:
    rank = job.ranks[number]
    if kind in ("stop", "lost"):
        waits = rank.steps[at - 1].sync and at - 1 not in rank.done
        return rank.enqueued == at and not waits and at - len(rank.done) < rank.depth
    if kind == "device":
        # It shows in what others know to be done and this rank does not.
        return any(
            rank.steps[each].source < 0 and each in rank.done and not _reported(rank, each)
            for each in range(rank.enqueued)
        )
    return rank.enqueued > at


def dump_of(job: Job, rank: int, only_pending: bool, size: int = 2000) -> dict[str, object] | None:
    """What the rank's recorder would write; None for a process that is gone."""
    state = job.ranks[rank]
    if state.lost and rank in job.injected:
        return None
    entries = []
    for at in range(state.enqueued):
        pending = not _reported(state, at)
        if only_pending and not pending:
            continue
        entries.append(_entry(state.steps[at], at, pending, job))
    status = {}
    for number, (_, members) in job.groups.items():
        if rank in members and len(members) > 1:
            mine = [(at, step) for at, step in enumerate(state.steps[: state.enqueued]) if step.group == number]
            finished = [step.number for at, step in mine if _reported(state, at)]
            status[str(number)] = {
                "last_enqueued_collective": max((step.number for _, step in mine), default=-1),
                "last_started_collective": -1,
                "last_completed_collective": max(finished, default=-1),
            }
    config = {
        str(number): {"name": str(number), "desc": kind, "ranks": str(list(members))}
        for number, (kind, members) in job.groups.items()
        if rank in members and len(members) > 1
    }
    return {"version": "2.10", "pg_config": config, "pg_status": status, "entries": entries[-size:]}


def _entry(step: Step, at: int, pending: bool, job: Job) -> dict[str, object]:
    peers = f" {step.source}->{step.target}" if step.op == "send" else f" {step.target}<-{step.source}"
    return {
        "record_id": at,
        "pg_id": step.group,
        "process_group": (str(step.group), job.groups[step.group][0]),
        "collective_seq_id": 0 if step.source >= 0 else step.number,
        "p2p_seq_id": step.number if step.source >= 0 else 0,
        "profiling_name": f"nccl:{step.op}{peers if step.source >= 0 else ''}",
        "input_sizes": [[step.numel]],
        "output_sizes": [[step.numel]],
        "input_dtypes": [step.dtype],
        "output_dtypes": [step.dtype],
        "state": "scheduled" if pending else "completed",
        "retired": not pending,
        "op_id": at,
        "time_created_ns": 1_700_000_000_000_000_000 + at,
        "time_discovered_started_ns": None,
        "time_discovered_completed_ns": None,
        "timeout_ms": 600_000,
        "is_p2p": step.source >= 0,
        "frames": [{"name": "train_step", "filename": "train.py", "line": 10 + at % 40}],
    }
