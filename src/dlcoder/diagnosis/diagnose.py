"""`diagnose`: from logs to ranked causes."""

import re
from collections.abc import Sequence
from pathlib import Path

from dlcoder.diagnosis.collectives import work_facts
from dlcoder.diagnosis.endings import ending_facts
from dlcoder.diagnosis.event_logs import is_events, read_events
from dlcoder.diagnosis.evidence import log_facts, prose_facts, shared_facts
from dlcoder.diagnosis.facts import Fact, Facts
from dlcoder.diagnosis.flight_dumps import looks_like_dump, rank_of
from dlcoder.diagnosis.lines import Line, make_lines
from dlcoder.diagnosis.missing import what_is_missing
from dlcoder.diagnosis.noise import without_asides
from dlcoder.diagnosis.ranking import Scored, calibrate, score
from dlcoder.diagnosis.ranks import Reading, absent_ranks, is_effect, own_strength, primary, without_passing
from dlcoder.diagnosis.reading import Document, read
from dlcoder.diagnosis.sources import Source, collect
from dlcoder.diagnosis.trends import trend_facts
from dlcoder.diagnosis.verdict import Diagnosis, Evidence, FirstFailure, Hypothesis, Status, Step
from dlcoder.errors import UserError
from dlcoder.knowledge.causes import load_causes
from dlcoder.knowledge.signatures import Scope, load_signatures
from dlcoder.progress import Progress, silent

QUOTE = 220
_CRASHES = re.compile(
    r"^(exc\.|oom\.cuda|native\.|host\.|assert\.|illegal\.|worker\.|arch\.kernel-image|shm\.|driver\."
    r"|unavailable\.|watch\.struck|nccl\.|port\.|launch\.|build\.error|ordinal\.)"
)
_NO_CRASH = {
    "exc.KeyboardInterrupt",
    "host.words",
    "host.offload",
    "native.words",
    "native.faulthandler",
    "shm.words",
    "unavailable.words",
    "unavailable.integrated",
}
_KNOWN_WARNINGS = (
    "warn.deprecated",
    "warn.rnn-chunks",
    "lr.order-warning",
    "lr.override-warning",
    "ckpt.head-new",
    "amp.overflow",
)
_COMPLAINTS = ("hang.words", "dlhang.words", "native.words", "flat.words")
_DEGRADED = {
    "not-learning-lr",
    "not-learning-bug",
    "train-eval-gap",
    "irreproducible",
    "overfitting",
    "representation-collapse",
    "metric-bug",
    "perf-data-bound",
    "perf-sync",
    "perf-comm-bound",
    "perf-precision",
    "ckpt-not-loaded",
    "compile-recompile",
}


def _derived(facts: Sequence[Fact]) -> list[Fact]:
    """Facts about the facts: whether there is a failure at all, and of which kind."""
    derived = []
    roots = [f for f in facts if f.role == "root" and f.line and f.line.source not in ("context", "code")]
    strong = [
        f
        for f in roots
        if max(
            (w for c, w in f.weights.items() if c not in ("ddp-peer-crash", "user-cancelled", "time-limit")), default=0
        )
        >= 3
    ]
    if strong:
        derived.append(Fact("any.root"))
        derived.append(Fact("any.root-other"))
        derived.append(Fact("any.specific"))
    in_log = [f for f in facts if f.line is None or f.line.source not in ("context", "code")]
    if any(_CRASHES.match(f.id) and f.id not in _NO_CRASH and f.role != "benign" for f in in_log):
        derived.append(Fact("any.crash"))
    return derived


def _quote(line: Line) -> str:
    text = line.raw.strip()
    return text if len(text) <= QUOTE else text[: QUOTE - 1] + "…"


def _evidence(scored: Scored, facts: Facts, most: int = 4) -> list[Evidence]:
    """The lines that speak for the cause, strongest first, then what speaks against it."""
    wanted: list[tuple[float, Fact]] = [(w, f) for w, f in scored.support if w > 0]
    for weight, rule in scored.rules:
        if weight <= 0:
            continue
        names = [n for n in (*rule.all, *rule.any) if n in facts]
        for name in names[:2]:
            fact = facts.get(name)
            if fact and fact.line:
                wanted.append((weight, fact))
    items: list[Evidence] = []
    seen: set[tuple[str, int]] = set()
    for _, fact in sorted(wanted, key=lambda pair: (-pair[0], pair[1].line.number if pair[1].line else 0)):
        if fact.line is None:
            continue
        place = (fact.line.source, fact.line.number)
        if place in seen:
            continue
        seen.add(place)
        items.append(Evidence(fact.line.source, fact.line.number, _quote(fact.line), fact.note))
        if len(items) >= most:
            break
    against = [f for w, f in scored.support if w < 0 and f.line]
    for fact in against[:1]:
        assert fact.line is not None
        items.append(Evidence(fact.line.source, fact.line.number, _quote(fact.line), fact.note, supports=False))
    return items


def _line_of(facts: Facts, name: str) -> Line | None:
    fact = facts.get(name)
    return fact.line if fact else None


_DIFFERS = ("collective.op-differs", "collective.size-differs", "collective.absent-rank")
_NAMES_RANKS = ("rank.raised", *_DIFFERS, "rank.shorter", "rank.ended", "rank.went-on")
_WAITING = {
    "ddp-slow-rank-timeout",
    "ddp-divergent-branch",
    "ddp-peer-crash",
    "ddp-uneven-inputs",
    "ddp-collective-mismatch",
    "ddp-dataloader-hang",
    "nccl-p2p",
    "nccl-network",
}


def _reasons(scored: Scored, facts: Facts, absent: Sequence[int] = ()) -> list[str]:
    """Which ranks it was, then the sentences of the rules that fired, strongest first."""
    flight = [fact.line for fact in facts if fact.id == "flight.culprit" and fact.line]
    named = [flight[0].text.rstrip(".")] if flight else []
    culprits = sorted({line.rank for line in flight if line.rank is not None})
    if len(culprits) > 1:
        named.insert(0, f"look at ranks {', '.join(map(str, culprits[:8]))}")
    named += [fact.note for fact in map(facts.get, _NAMES_RANKS) if fact][:1]
    if absent and not named and scored.cause in _WAITING:
        ranks = ", ".join(map(str, absent[:8]))
        named.append(f"rank {ranks} reports no timeout" if len(absent) == 1 else f"ranks {ranks} report no timeout")
    ordered = sorted(((w, r.why) for w, r in scored.rules if w > 0 and r.why), key=lambda pair: -pair[0])
    return list(dict.fromkeys([*named, *(why for _, why in ordered)]))


def _hypothesis(scored: Scored, facts: Facts) -> Hypothesis:
    cause = load_causes()[scored.cause]
    checks = sorted(cause.verify, key=lambda check: check.cost)
    return Hypothesis(
        scored.cause,
        cause.title,
        round(scored.probability, 3),
        _evidence(scored, facts),
        cause.explanation,
        [Step(v.action, v.command, v.expect, v.cost) for v in checks],
        [Step(f.action, f.patch) for f in cause.fix],
        list(cause.sources),
    )


_GOES_ON = ("progress.losses", "progress.metrics", "done.finished", "said.runs")


def _complains(facts: Facts) -> bool:
    """Whether the user says that the run does not get on, which its log need not show."""
    said = (f for f in facts if f.line is not None and f.line.source == "context")
    return any(fact.id in _COMPLAINTS for fact in said)


def _status(scored: Sequence[Scored], facts: Facts) -> Status:
    """`failed`, `degraded`, `healthy` or `unknown`."""
    crash = "any.crash" in facts
    progress = "any.log" in facts and any(name in facts for name in _GOES_ON)
    best = scored[0] if scored else None
    strength = best.score - load_signatures().priors[best.cause] if best else 0.0
    if "rank.raised" in facts and best is not None:
        return "failed"
    quiet = not crash and "nan.tensor" not in facts and not _complains(facts)
    calm = quiet and progress
    if best is None or strength < 1.5:
        noticed = any(name in facts for name in _KNOWN_WARNINGS)
        return "healthy" if calm or (quiet and noticed) else "unknown"
    if calm and strength < 2.6:
        return "healthy"
    return "degraded" if best.cause in _DEGRADED and not crash else "failed"


def _differing_rank(facts: Facts) -> Line | None:
    """The record of the rank that ran something else than the others, or came less far."""
    return next((line for name in _DIFFERS if (line := _line_of(facts, name))), None)


def _first_failure(readings: Sequence[Reading], best: Scored | None, raised: Line | None) -> FirstFailure | None:
    """The line at which the failure began: of those that show the cause, the earliest in time, then in the file.

    Args:
        readings: Those that were chosen.
        best: The first cause.
        raised: The exception of the one rank that the others waited for, where there is one.
    """
    shown: list[tuple[bool, str, int, Line]] = []
    for fact in (fact for reading in readings for fact in reading.facts):
        if fact.line is None or is_effect(fact) or fact.role == "benign" or best is None:
            continue
        strong = fact.weights.get(best.cause, 0.0) >= _SHOWS
        named = fact.id.startswith(("nan.", "exc.")) and fact.id != "exc.ChildFailedError"
        if strong or named:
            shown.append((not strong, fact.line.time or "~", fact.line.number, fact.line))
    if raised is None and not shown:
        return None
    line = raised or min(shown, key=lambda item: item[:3])[3]
    return FirstFailure(line.rank, line.time, _quote(line), line.source, line.number)


def _progress_text(readings: Sequence[Reading]) -> str:
    """How far training had come, in the words of the last line that says it."""
    pattern = re.compile(r"(?:epoch|iter(?:ation)?|step|it)\W{0,4}\d", re.I)
    for reading in readings:
        for line in reversed(reading.document.routine or reading.document.lines):
            if pattern.search(line.text[:400]) and len(line.text) < 2000:
                return f"{line.source}:{line.number}: {line.raw.strip()[:120]}"
    return ""


_CONFIDENT = 0.75
_MESSAGE = 140
_WEAK = 1.5
_SHOWS = 2.0
_ROUTINES = 16
_FLIGHT_WEIGHT = 4.5


def _message_of(best: Hypothesis) -> str:
    """The message that speaks for the cause, where no rule puts it into words."""
    shown = next((item for item in best.evidence if item.supports and item.source != "context"), None)
    if shown is None:
        return ""
    message = shown.text[:_MESSAGE].rstrip(" .:")
    return f": `{message}`" if message.count("`") == 0 else f": {message}"


def _summary(status: str, hypotheses: Sequence[Hypothesis], reasons: Sequence[str], benign: Sequence[str]) -> str:
    if status == "healthy":
        return "Nothing is wrong in this log: no failure is printed." + (
            f" Harmless: {'; '.join(benign[:3])}." if benign else ""
        )
    if status == "unknown" or not hypotheses:
        return "The text does not say what went wrong."
    best = hypotheses[0]
    because = f": {'; '.join(reasons[:2])}" if reasons else _message_of(best)
    if best.probability >= _CONFIDENT:
        return f"{best.title} ({best.cause}){because}."
    others = " or ".join(h.cause for h in hypotheses[1:3]) or "others"
    title = best.title[:1].lower() + best.title[1:]
    return f"Most likely {title} ({best.cause}){because}; the text does not exclude {others}."


def _next_step(status: str, hypotheses: Sequence[Hypothesis], missing: Sequence[str]) -> str:
    if status == "healthy":
        return "Go on training."
    if status == "unknown" or not hypotheses:
        return f"Paste {missing[0]}." if missing else "Paste the output from the start of the run to its end."
    best = hypotheses[0]
    if best.probability >= _CONFIDENT and best.fix:
        return best.fix[0].action
    checks = [(h.probability / max(v.cost, 1.0), v) for h in hypotheses[:3] for v in h.verify]
    if checks:
        check = max(checks, key=lambda pair: pair[0])[1]
        return f"{check.action}: `{check.command}`" if check.command else check.action
    return best.fix[0].action if best.fix else ""


def _benign(facts: Facts) -> list[str]:
    odd = (f for f in facts if f.role == "benign" or f.id in ("norm.mean-poisoned", "norm.bad-but-recovers"))
    return list(dict.fromkeys(f.note for f in odd if f.note))


def read_source(source: Source) -> Reading:
    """Read a source and find its facts.

    Raises:
        UserError: It cannot be read.
    """
    document = read_events(source) if source.path and is_events(source.name) else read(source)
    reading = Reading(document, log_facts(document.lines, whole=not document.routine)[0])
    reading.facts = without_passing(reading)
    return reading


def _flight_facts(dumps: Sequence[Source]) -> list[Fact]:
    """What Flight Recorder dumps say, as facts whose lines are the findings."""
    from dlcoder.diagnosis.flight_recorder import read_dumps

    findings = read_dumps([source.path for source in dumps if source.path])
    weights = {findings.cause: _FLIGHT_WEIGHT} if findings.cause else {}
    facts = []
    names = {rank_of(source.path): source.name for source in dumps if source.path}
    for i, text in enumerate(findings.evidence()):
        rank = findings.culprits[i].rank if i < len(findings.culprits) else None
        line = Line(names.get(rank, dumps[0].name), 0, text, text, rank, "")
        facts.append(Fact("flight.culprit", line, weights, "root"))
    return facts


def _readings(log: str | None, paths: Sequence[Path], progress: Progress) -> list[Reading]:
    sources = collect(log, paths)
    dumps = [source for source in sources if source.path and looks_like_dump(source.path)]
    total = max(sum(source.size for source in sources), 1)
    done = 0
    readings = []
    for source in sources:
        if source not in dumps:
            readings.append(read_source(source))
        done += source.size
        progress(f"read {source.name}", done / total)
    if dumps:
        readings.append(Reading(Document("flight recorder", None, []), _flight_facts(dumps)))
    return readings


def _gather(
    log: str | None, paths: Sequence[Path], prose: dict[Scope, str], progress: Progress
) -> tuple[Facts, list[Reading], list[Reading]]:
    readings = _readings(log, paths, progress) if log is not None or paths else []
    if all(own_strength(reading.facts) < _WEAK for reading in readings):
        for reading in readings[:_ROUTINES]:
            reading.facts += trend_facts(reading.document.routine)[0]
    chosen = primary(readings)
    together = [line for reading in readings for line in reading.document.lines] if len(readings) > 1 else []
    told = work_facts(together) + [fact for reading in chosen for fact in reading.facts] + ending_facts(readings)
    lines = [line for reading in chosen for line in reading.document.lines[:4000]]
    for scope, text in prose.items():
        own = list(make_lines(text, scope))
        told += prose_facts(own, scope)
        lines += own
    told += shared_facts(lines)
    told = without_asides(told)
    facts = Facts(told)
    if any(reading.document.lines for reading in readings):
        facts.add(Fact("any.log"))
    for fact in _derived(told):
        facts.add(fact)
    return facts, readings, chosen


def judge(log: str, context: str | None = None) -> tuple[Status, list[Scored]]:
    """The status and the scored causes of a pasted log, without the rest of the answer."""
    facts, _, _ = _gather(log, (), {"context": context} if context else {}, silent)
    signatures = load_signatures()
    scored = calibrate(score(facts, signatures), signatures.calibration, signatures.priors)
    return _status(scored, facts), scored


def diagnose(
    log: str | None = None,
    paths: Sequence[Path] = (),
    context: str | None = None,
    code: str | None = None,
    environment: str | None = None,
    max_hypotheses: int = 5,
    progress: Progress = silent,
) -> Diagnosis:
    """Say why a run failed.

    Args:
        log: Pasted text.
        paths: Files, directories or patterns, already resolved.
        context: What the user says about the run, in English or Chinese.
        code: Source code of the run.
        environment: Output of `collect_env`, `nvidia-smi`, `pip list`, ...
        max_hypotheses: The most causes to return.
        progress: Told how much has been read.

    Raises:
        UserError: There is nothing to read, or a path cannot be read.
    """
    return examine(log, paths, context, code, environment, max_hypotheses, progress)[0]


def examine(
    log: str | None,
    paths: Sequence[Path],
    context: str | None,
    code: str | None,
    environment: str | None,
    max_hypotheses: int,
    progress: Progress,
) -> tuple[Diagnosis, list[Reading]]:
    """The diagnosis, and the logs as they were read for it; arguments and errors are those of `diagnose`."""
    if log is None and not paths:
        raise UserError("There is no log to look at.", "Give `log` (text) or `paths` (files or directories).")
    scopes: dict[Scope, str | None] = {"context": context, "code": code, "environment": environment}
    prose = {scope: text for scope, text in scopes.items() if text}
    facts, readings, chosen = _gather(log, paths, prose, progress)
    signatures = load_signatures()
    scored = calibrate(score(facts, signatures), signatures.calibration, signatures.priors)
    status = _status(scored, facts)
    kept = [] if status in ("healthy",) else scored[:max_hypotheses]
    hypotheses = [_hypothesis(entry, facts) for entry in kept if entry.probability >= 0.005 or entry is scored[0]]
    lines = [line for reading in readings for line in reading.document.lines]
    raised = _line_of(facts, "rank.raised")
    absent = [rank for rank in absent_ranks(readings, lines) if raised is None or rank != raised.rank]
    missing = what_is_missing(status, scored, facts, readings, absent)
    benign = _benign(facts)
    diagnosis = Diagnosis(
        status,
        _summary(status, hypotheses, _reasons(scored[0], facts, absent) if scored else [], benign),
        hypotheses,
        _first_failure(chosen, scored[0] if scored else None, raised or _differing_rank(facts))
        if status != "healthy"
        else None,
        _progress_text(chosen),
        missing,
        _next_step(status, hypotheses, missing),
        benign,
        f"ranks that do not report: {', '.join(map(str, absent[:8]))}" if absent else "",
    )
    return diagnosis, readings
