"""Plants each bug, runs the check that is meant for it, and prints whether it was seen.

`python project_runner.py [WORD]` takes the mutants whose name contains WORD.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
import time
from pathlib import Path

from dlcoder.sandbox.report import Check, Report
from dlcoder.sandbox.smoke import smoke_test

sys.path.insert(0, str(Path(__file__).parent))
from project_mutants import MUTANTS, Mutant

PROJECTS = Path(__file__).parents[2] / "sandbox" / "smoke" / "projects"


def plant(mutant: Mutant, folder: Path) -> Path:
    """A copy of the good project with the bug in it."""
    target = folder / mutant.project
    shutil.copytree(PROJECTS / mutant.project, target, ignore=shutil.ignore_patterns("__pycache__"))
    file = target / mutant.file
    text = file.read_text()
    for old, new in mutant.edits:
        if text.count(old) != 1:
            raise AssertionError(f"{mutant.name}: {old!r} occurs {text.count(old)} times in {mutant.file}")
        text = text.replace(old, new)
    file.write_text(text)
    return target


async def judge(mutant: Mutant) -> Report:
    """Run the check that must see the bug."""
    with tempfile.TemporaryDirectory() as folder:
        return await smoke_test(plant(mutant, Path(folder)), [mutant.check], timeout_s=120)


def killed_by(mutant: Mutant, report: Report) -> Check | None:
    """The failure of the check that is meant for the bug."""
    return next((c for c in report.checks if c.status == "fail" and c.name == mutant.kills), None)


async def main(word: str) -> int:
    """Run all mutants whose name contains `word`, print the table, and return how many survived."""
    chosen = [m for m in MUTANTS if word in m.name]
    survived = []
    slow = 0
    for mutant in chosen:
        start = time.monotonic()
        report = await judge(mutant)
        seconds = time.monotonic() - start
        found = killed_by(mutant, report)
        slow += seconds > 5
        others = ", ".join(f"{c.name}: {c.measured}" for c in report.checks if c.status in ("fail", "error"))
        verdict = "killed  " if found else "SURVIVED"
        print(f"{verdict} {seconds:5.1f} s  {mutant.name:55} {found.measured if found else others}", flush=True)
        if not found:
            survived.append(mutant)
    rate = 100 * (1 - len(survived) / max(len(chosen), 1))
    killed = len(chosen) - len(survived)
    print(f"{killed} of {len(chosen)} killed by the check meant for them ({rate:.1f} %); {slow} took more than 5 s")
    return len(survived)


if __name__ == "__main__":
    raise SystemExit(min(asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "")), 1))
