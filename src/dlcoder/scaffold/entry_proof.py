"""Proof of config templates and launch scripts: programs run them in the sandbox, what they print is judged here."""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dlcoder.progress import Progress
from dlcoder.sandbox import artifacts
from dlcoder.sandbox.interpreters import find_interpreter
from dlcoder.sandbox.jobs import Job, Limits, Outcome
from dlcoder.sandbox.report import Check, Isolation, Report
from dlcoder.sandbox.runner import run
from dlcoder.scaffold.catalogue_entry import RenderedScript
from dlcoder.scaffold.component import Rendered
from dlcoder.scaffold.config_forms import FORMS
from dlcoder.scaffold.config_template import RenderedConfig, leaves

_PROOFS = Path(__file__).parents[1] / "templates" / "proofs"
_LIMITS = Limits(timeout_s=120, memory_mb=4096)
Facts = dict[str, Any]


async def prove(rendered: Rendered, progress: Progress) -> Report:
    """Run a config template or a launch script in the sandbox.

    Args:
        rendered: One of the two.
        progress: Told what is being done.

    Raises:
        UserError: There is no interpreter with torch.
    """
    progress("running it in the sandbox", 0.2)
    interpreter = await find_interpreter(None, None)
    with tempfile.TemporaryDirectory(prefix="dlcoder-") as folder:
        root = Path(folder, "work")
        words = _lay_out(rendered, root)
        (root / "proof.py").write_text((_PROOFS / f"{rendered.component.kind}.py").read_text("utf-8"), "utf-8")
        job = Job(("python", "proof.py", *words), workdir=root, limits=_LIMITS, collect=False)
        outcome = await run(job, interpreter)
    checks = list(_judge(rendered, outcome))
    return Report(
        passed=all(check.status in ("pass", "skip") for check in checks) and checks[0].status == "pass",
        checks=checks,
        device="cpu",
        interpreter=str(interpreter),
        isolation=Isolation(layers=list(outcome.layers)),
        duration_s=round(outcome.duration_s, 3),
        log_tail="" if outcome.exit_code == 0 else outcome.output[-2000:],
        artifacts=artifacts.keep(outcome),
    )


def _lay_out(rendered: Rendered, root: Path) -> list[str]:
    """Write what is run, and return the arguments of the program that runs it."""
    if isinstance(rendered, RenderedConfig):
        module = rendered.filename.removesuffix(".py")
        for form in FORMS:
            other = rendered.in_form(form)
            _write(root / form, {other.filename: other.code, **other.beside(module)})
        return [rendered.symbol, module, *(f"{record.suffix}:{form}" for form, record in FORMS.items())]
    assert isinstance(rendered, RenderedScript)
    files = {**rendered.beside(""), f"scripts/{rendered.filename}": rendered.code}
    _write(root, files)
    return [rendered.launcher, rendered.program, *(Path(path).name for path in files)]


def _write(root: Path, files: dict[str, str]) -> None:
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
        (root / path).chmod(0o755)


def _judge(rendered: Rendered, outcome: Outcome) -> Iterator[Check]:
    try:
        facts = json.loads(outcome.output.strip().splitlines()[-1])
    except (ValueError, IndexError):
        reason = outcome.limit or outcome.reason or f"status {outcome.exit_code}"
        yield Check(name="runs", status="error", measured=reason, expected="the program runs to its end")
        return
    if isinstance(rendered, RenderedConfig):
        yield from _judge_config(rendered, facts)
    elif isinstance(rendered, RenderedScript):
        yield _check("syntax", facts["syntax"], all(f["status"] == 0 for f in facts["syntax"].values()), "bash -n: 0")
        yield from {"torchrun": _judge_torchrun, "srun": _judge_srun, "sbatch": _judge_sbatch}[rendered.launcher](facts)


def _judge_config(rendered: RenderedConfig, facts: Facts) -> Iterator[Check]:
    """The own form first, then that the others hold the same."""
    wanted = rendered.tree
    first = next(name for name, _ in leaves(rendered.tree))
    own = next(form for form, record in FORMS.items() if record is rendered.form)
    for form in sorted(FORMS, key=lambda each: each != own):
        found = facts[form]
        if "missing" in found:
            detail = f"{found['missing']} is not installed there"
            yield Check(name=f"{form}-holds-the-settings", status="skip", detail=detail)
            continue
        yield _check(f"{form}-holds-the-settings", found["loaded"], found["loaded"] == wanted, "the settings given")
        yield _check(f"{form}-round-trip", found["again"], found["again"] == wanted, "the same after a round trip")
        yield _check(f"{form}-refuses-a-misspelt-name", found["refused"], first in found["refused"], f"names {first}")


def _judge_torchrun(facts: Facts) -> Iterator[Check]:
    yield _ranks("one-node", facts["one_node"], local=True)
    yield _ranks("two-nodes", facts["two_nodes"], local=False)
    yield _asks("several-nodes-need-a-master", facts["alone"], "host name")


def _judge_srun(facts: Facts) -> Iterator[Check]:
    yield _ranks("a-rank-for-each-task", facts["tasks"], local=True)
    yield _asks("asks-for-srun", facts["alone"], "srun")


def _judge_sbatch(facts: Facts) -> Iterator[Check]:
    limit, again, failed = facts["limit"], facts["again"], facts["failed"]
    yield _ranks("a-rank-for-each-task", limit | {"status": 0}, local=True)
    queued = limit["queue"].startswith("requeue 4242") and limit["status"] == 143
    yield _check("requeues-after-the-limit", limit, queued, "processes end with 143, then scontrol requeue")
    folders = [rank["arguments"][2:] for rank in limit["ranks"] + again["ranks"]]
    goes_on = again["status"] == 0 and not again["queue"] and "--resume" in folders[0]
    yield _check("goes-on-where-it-was", again, goes_on and folders == folders[:1] * 4, "the same folder, --resume")
    yield _check("does-not-requeue-a-failure", failed, failed["status"] == 1 and not failed["queue"], "1, no requeue")


def _ranks(name: str, start: Facts, *, local: bool) -> Check:
    """Whether two processes ran, each with its own rank, one meeting place and all arguments."""
    wanted = [("0", "0", "2"), ("1", "1" if local else "0", "2")]
    ranks = start["ranks"]
    found = [(rank["RANK"], rank["LOCAL_RANK"], rank["WORLD_SIZE"]) for rank in ranks]
    place = {(rank["MASTER_ADDR"], rank["MASTER_PORT"]) for rank in ranks}
    words = all(rank["arguments"][:2] == ["--config", "a file"] for rank in ranks)
    good = start["status"] == 0 and found == wanted and len(place) == 1 and words
    return _check(name, start, good, "ranks 0 and 1 of 2, one meeting place, all arguments")


def _asks(name: str, start: Facts, word: str) -> Check:
    """Whether a start that lacks something says what, and starts nothing."""
    good = start["status"] != 0 and word in start["said"] and not start["ranks"]
    return _check(name, start, good, f"ends at once and names the {word}")


def _check(name: str, found: Any, good: bool, expected: str) -> Check:
    measured = "" if good else json.dumps(found)[:600]
    return Check(name=name, status="pass" if good else "fail", measured=measured, expected=expected)
