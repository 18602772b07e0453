"""What to paste for a surer answer, exactly: by what the text leaves open."""

from collections.abc import Iterator, Sequence

from dlcoder.diagnosis.facts import Facts
from dlcoder.diagnosis.ranking import Scored
from dlcoder.diagnosis.ranks import Reading
from dlcoder.knowledge.causes import load_causes

MOST = 4
_UNSURE = 0.6
_OUTPUT = "the last 200 lines of the output, with the full traceback"
# Symptom of a cause -> what shows it, the telling ones first.
_SHOWS = {
    "nan": "the 20 log lines before the first NaN with loss, learning rate and gradient norm, and the precision in use "
    "(fp32, fp16, bf16)",
    "hang": "`py-spy dump --pid PID` of every rank and of a loading worker while it hangs, and the last 50 lines of "
    "each rank",
    "oom": "the whole out-of-memory message with its numbers, `nvidia-smi` at that moment, and when it happened "
    "(start, first step, later, evaluation)",
    "killed": "the last 50 lines before the end, the exit code, and `dmesg | grep -iE 'oom|killed'` or what the "
    "scheduler says",
    "slow": "the time of 20 steps apart for data, forward and backward, `nvidia-smi dmon -s u` meanwhile, batch size "
    "and num_workers",
    "checkpoint": "what load_state_dict returns (missing and unexpected keys), and the code that loads",
    "eval": "the metric on the same 100 samples in train() and in eval() mode, and the code that evaluates",
    "irreproducible": "the first ten losses of two runs, and how seeds, workers and deterministic algorithms are set",
    "not_learning": "loss and metric of the first 50 steps, `optimizer.param_groups[0]['lr']`, and the code of one "
    "training step",
}
_NOT_FINITE = ("nan.loss", "nan.word", "nan.zh", "nan.consequence", "norm.bad", "explode.nonfinite-norm")
_OF_ALL = ("ddp-peer-crash", "ddp-slow-rank-timeout", "ddp-divergent-branch")
_ALL_RANKS = (
    "the logs of all ranks (torchrun --log-dir logs --redirects 3 --tee 3), at least the last 200 lines of each"
)


def _of_ranks(absent: Sequence[int], readings: Sequence[Reading]) -> Iterator[str]:
    """The logs of ranks that are not given, or the stacks of those whose logs say nothing."""
    given = {reading.document.rank for reading in readings}
    unseen = [rank for rank in absent if rank not in given]
    ranks = ", ".join(map(str, (unseen or absent)[:8]))
    if unseen:
        yield f"the log of rank {ranks}: the others wait for it"
    elif absent:
        yield f"the stack of rank {ranks} while it hangs (`py-spy dump --pid PID`): its log shows no failure"


def _for_words(scored: Sequence[Scored]) -> Iterator[str]:
    """What would show the likeliest causes, where the user's words are all there is."""
    symptoms = [load_causes()[entry.cause].symptoms for entry in scored[:2]]
    shown = [text for own in symptoms for text in [text for name, text in _SHOWS.items() if name in own][:1]]
    yield from shown or [_OUTPUT]


def _for_log(status: str, scored: Sequence[Scored], facts: Facts) -> Iterator[str]:
    unsure = not scored or scored[0].probability < _UNSURE
    if status == "unknown":
        yield _OUTPUT
    if unsure and any(fact.id in _NOT_FINITE for fact in facts):
        yield _SHOWS["nan"]
    elif unsure and "any.crash" in facts and not any(fact.id.startswith("exc.") for fact in facts):
        yield "the full traceback"
    if unsure and status != "unknown":
        yield "`python -m torch.utils.collect_env`"


def what_is_missing(
    status: str, scored: Sequence[Scored], facts: Facts, readings: Sequence[Reading], absent: Sequence[int]
) -> list[str]:
    """What to paste, most telling first.

    Args:
        status: Of the run.
        scored: The causes, best first.
        facts: Of all that was given.
        readings: The logs.
        absent: Ranks that do not report what the others report.
    """
    if status == "healthy":
        return []
    wanted = list(_of_ranks(absent, readings))
    if scored and scored[0].cause in _OF_ALL and len(readings) == 1:
        wanted.append(_ALL_RANKS)
    wanted += _for_log(status, scored, facts) if "any.log" in facts else _for_words(scored)
    return list(dict.fromkeys(wanted))[:MOST]
