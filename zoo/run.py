#!/usr/bin/env python3
"""Run the failure zoo and score diagnosis on it.

    python zoo/run.py [--only NAME,NAME] [--keep DIR] [--bar 0.97]

Makes every log afresh on the installed torch, diagnoses each, and prints accuracy as the logs are and under what
happens to logs: cut, hard-wrapped, ranks interleaved, the culprit's log missing, a second failure in the same file.
Exits with 1 where top-1 on the logs as they are stays under the bar.
"""

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from dlcoder.diagnosis.diagnose import diagnose
from zoo import Program, Specimen, as_is, collect, cut, keep, load, shuffled, without_culprit, wrapped

Alter = Callable[[Specimen, random.Random], list[str]]
WAYS: dict[str, Alter] = {
    "as is": as_is,
    "cut to 25 lines": cut,
    "wrapped at 80": wrapped,
    "ranks interleaved": shuffled,
}


def names_for(logs: Sequence[str], program: Program) -> list[str]:
    """The causes that diagnosis gives for some logs, likeliest first."""
    given = {"context": program.context, "code": program.body if program.give_code else None}
    if len(logs) == 1:
        answer = diagnose(log=logs[0], **given)
    else:
        with tempfile.TemporaryDirectory() as folder:
            paths = [Path(folder) / f"rank_{rank}.log" for rank in range(len(logs))]
            for path, log in zip(paths, logs, strict=True):
                path.write_text(log, encoding="utf-8")
            answer = diagnose(paths=paths, **given)
    return [] if answer.status == "healthy" else [each.cause for each in answer.hypotheses]


def hits(found: list[list[str]], right: list[frozenset[str]], k: int) -> float:
    """The share of answers with a right cause among the first k."""
    return sum(bool(set(names[:k]) & causes) for names, causes in zip(found, right, strict=True)) / max(len(found), 1)


def row(title: str, found: list[list[str]], right: list[frozenset[str]]) -> str:
    """A line of the table."""
    return f"{title:32} {len(found):4} {hits(found, right, 1):7.3f} {hits(found, right, 3):7.3f}"


def score(specimens: list[Specimen]) -> tuple[float, list[str], list[str]]:
    """Return top-1 on the logs as they are, the table's lines, and the misses."""
    rng = random.Random(0)
    table, misses, plain = [f"{'logs':32} {'n':>4} {'top-1':>7} {'top-3':>7}"], [], 0.0
    for title, alter in WAYS.items():
        chosen = [each for each in specimens if title != "ranks interleaved" or len(each.logs) > 1]
        found = [names_for(alter(each, rng), each.program) for each in chosen]
        right = [each.program.right for each in chosen]
        table.append(row(title, found, right))
        for each, names in zip(chosen, found, strict=True):
            if not set(names[:1]) & each.program.right:
                misses.append(f"{title}: {each.program.name} wanted {each.program.cause} got {names[:3]}")
        plain = hits(found, right, 1) if title == "as is" else plain
    table += [_dropped(specimens, rng), *_pairs(specimens, rng)]
    return plain, table, misses


def _dropped(specimens: list[Specimen], rng: random.Random) -> str:
    """Without the culprit's log the right answer is that another rank died, or stayed away: never a made-up cause."""
    chosen = [each for each in specimens if each.program.culprit is not None and len(each.logs) > 1]
    echoes = frozenset({"ddp-peer-crash", "ddp-divergent-branch", "ddp-uneven-inputs", "ddp-slow-rank-timeout"})
    found = [names_for(without_culprit(each, rng), each.program) for each in chosen]
    return row("culprit's log missing", found, [echoes] * len(chosen))


def _pairs(specimens: list[Specimen], rng: random.Random) -> list[str]:
    """Two failures in one file: either first, and both among the first three."""
    single = [each for each in specimens if len(each.logs) == 1 and each.exit_codes[0] != 0]
    pairs = [tuple(rng.sample(single, 2)) for _ in range(len(single))] if len(single) > 1 else []
    found = [names_for([f"{one.logs[0]}\n{two.logs[0]}"], Program("", "", "")) for one, two in pairs]
    either = [one.program.right | two.program.right for one, two in pairs]
    both = sum(
        bool(set(names[:3]) & one.program.right) and bool(set(names[:3]) & two.program.right)
        for names, (one, two) in zip(found, pairs, strict=True)
    )
    share = both / max(len(pairs), 1)
    together = f"{'two failures, both in three':32} {len(pairs):4} {'':7} {share:7.3f}"
    return [row("two failures, either found", found, either), together]


def main() -> int:
    """Run, score, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help="only these programs, comma separated")
    parser.add_argument("--keep", type=Path, help="write the logs there")
    parser.add_argument("--bar", type=float, default=0.97)
    args = parser.parse_args()
    programs = load(set(args.only.split(",")) if args.only else None)
    started = time.monotonic()
    specimens = collect(programs)
    print(f"{len(specimens)} programs, {len({p.cause for p in programs})} causes, {time.monotonic() - started:.0f} s")
    if args.keep:
        keep(specimens, args.keep)
    plain, table, misses = score(specimens)
    print("\n".join([*misses, "", *table]))
    return 0 if plain >= args.bar else 1


if __name__ == "__main__":
    sys.exit(main())
