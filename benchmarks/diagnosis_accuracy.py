#!/usr/bin/env python3
"""How often `diagnose` is right, and how far its probabilities can be trusted.

    python benchmarks/diagnosis_accuracy.py [CASES.jsonl ...] [--misses] [--fit]

Cases are those of `../shared/cases/dev.jsonl`, where it lies beside the checkout, and the logs of
`tests/diagnosis/logs`.
"cross-validated" means: for every repository in turn, what may have been worded on its cases is switched off, the map
from scores to probabilities is fitted on the others, and then its cases are judged. Worded on a case is an alternative
of a pattern that matches in cases of this repository alone and that is not the text of a message published elsewhere
(`../shared/research/signatures.yaml`, gathered from released packages).
`--fit` writes that map, fitted on all cases judged so, to `knowledge/signatures/calibration.yaml`.
"""

import argparse
import collections
import json
import math
import statistics
from pathlib import Path

import yaml

from dlcoder.diagnosis.diagnose import judge
from dlcoder.diagnosis.matcher import scope_scanner
from dlcoder.diagnosis.ranking import calibrate
from dlcoder.knowledge import signatures as knowledge

HERE = Path(__file__).resolve().parent
SHARED = HERE.parent.parent / "shared" / "cases" / "dev.jsonl"
OWN = HERE.parent / "tests" / "diagnosis" / "logs"
PUBLISHED = HERE.parent.parent / "shared" / "research" / "signatures.yaml"
PRIORS = knowledge.load_signatures().priors
CALIBRATION = Path(knowledge.__file__).parent / "signatures" / "calibration.yaml"


def load(paths):
    """The cases: id, repository, cause, acceptable causes, log, context."""
    cases = []
    for path in paths:
        for line in path.read_text(encoding="utf-8").splitlines():
            case = json.loads(line)
            url = case.get("url", case["id"])
            repository = "/".join(url.split("/")[3:5]) if "/" in url else url
            cases.append(
                (
                    case["id"],
                    repository,
                    case["cause"],
                    case.get("acceptable", []),
                    case["log"],
                    case.get("context", ""),
                )
            )
    for file in sorted(OWN.glob("*.yaml")):
        for i, case in enumerate(yaml.safe_load(file.read_text(encoding="utf-8"))):
            name = f"{file.stem}-{i}"
            cases.append((name, name, case["cause"], case.get("accept", []), case["log"], case.get("context", "")))
    return cases


def fired(case):
    """The alternatives that match in a case, per scope."""
    from dlcoder.diagnosis.evidence import pattern_facts
    from dlcoder.diagnosis.lines import make_lines

    found = set()
    for scope, text in (("log", case[4]), ("context", case[5])):
        if text:
            pattern_facts(list(make_lines(text, scope)), scope)
            found |= {(scope, index) for index in scope_scanner(scope).matched}
    return found


def answer(case, calibration=None):
    """(status, causes, probability of the first, scored) of a case."""
    status, scored = judge(case[4], context=case[5] or None)
    if calibration:
        scored = calibrate(scored, calibration, PRIORS)
    causes = [] if status == "healthy" else [entry.cause for entry in scored]
    return status, causes, scored[0].probability if causes else 0.0, scored


def hit(case, status, causes, k):
    """Whether the case counts as found among the first `k`."""
    wanted = {case[2], *case[3]}
    if case[2] == "healthy":
        return status == "healthy" or (bool(causes) and causes[0] in case[3])
    return any(cause in wanted for cause in causes[:k])


def figures(name, rows):
    """Print one line of figures."""
    n = len(rows)
    tops = [sum(hit(case, status, causes, k) for case, status, causes, _ in rows) / n for k in (1, 3)]
    scored = [(p, hit(case, status, causes, 1)) for case, status, causes, p in rows if case[2] != "healthy"]
    brier = statistics.fmean((p - h) ** 2 for p, h in scored)
    bins = collections.defaultdict(list)
    for p, h in scored:
        bins[min(int(p * 10), 9)].append((p, h))
    ece = sum(
        abs(statistics.fmean(p for p, _ in b) - statistics.fmean(h for _, h in b)) * len(b) for b in bins.values()
    ) / len(scored)
    alarms = sum(status == "failed" for case, status, *_ in rows if case[2] == "healthy")
    print(
        f"{name:32} n {n:4} top-1 {tops[0]:.3f} top-3 {tops[1]:.3f} Brier {brier:.3f} ECE {ece:.3f} healthy "
        f"called failed {alarms}"
    )


GRID = {
    "temperature": (0.8, 1.0, 1.3, 1.6),
    "unknown": (0.0, 0.7, 1.4, 2.1),
    "slope": (0.4, 0.6, 0.8, 1.0, 1.2),
    "offset": (-0.25, 0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5),
    "thin_slope": (1.0, 1.15, 1.3),
    "thin_offset": (-1.6, -1.9, -2.2),
    "ceiling": (0.93, 0.96, 0.98, 0.99),
}


def fit(samples):
    """Fit the map from scores to probabilities by log loss; `samples` are (scored, hit).

    One parameter after the other is set to its best value, until none changes.
    """
    choice = {"temperature": 1.0, "unknown": 1.4, "slope": 1.0, "offset": 0.5, "thin_slope": 1.15, "thin_offset": -1.9}
    choice |= {"kin_offset": 1.0, "ceiling": 0.98}

    def loss(trial):
        total = 0.0
        for scored, right in samples:
            p = min(max(calibrate(scored, trial, PRIORS)[0].probability, 1e-3), 1 - 1e-3)
            total -= math.log(p if right else 1 - p)
        return total

    best = loss(choice)
    changed = True
    while changed:
        changed = False
        for name, values in GRID.items():
            for value in values:
                trial = choice | {name: value}
                if value != choice[name] and (found := loss(trial)) < best - 1e-9:
                    best, choice, changed = found, trial, True
    return choice


def published():
    """(scope, index) of the alternatives whose literals stand in published message texts."""
    if not PUBLISHED.exists():
        return set()
    text = PUBLISHED.read_text(encoding="utf-8").lower().replace("\\\\", "\\").replace("\\", "")
    found = set()
    for scope in ("log", "context"):
        for index, (_, part) in enumerate(scope_scanner(scope)._alternatives):
            if any(len(literal) >= 6 and literal in text for literal in part.literals):
                found.add((scope, index))
    return found


def held_out(cases):
    """Judge each case with what was worded on its repository alone switched off."""
    known = published()
    by_alternative = collections.defaultdict(set)
    matches = {}
    for case in cases:
        matches[case[0]] = fired(case)
        for alternative in matches[case[0]]:
            by_alternative[alternative].add(case[1])
    rows = []
    for case in cases:
        alone = {a for a in matches[case[0]] if by_alternative[a] == {case[1]} and a not in known}
        for scope in ("log", "context"):
            scope_scanner(scope).disabled = frozenset(i for s, i in alone if s == scope)
        rows.append((case, *answer(case)))
    for scope in ("log", "context"):
        scope_scanner(scope).disabled = frozenset()
    return rows


def main():
    """Print the figures; fit and write the map on demand."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", type=Path, default=[SHARED] if SHARED.exists() else [])
    parser.add_argument("--misses", action="store_true")
    parser.add_argument("--fit", action="store_true")
    args = parser.parse_args()
    cases = load(args.cases)
    plain = [(case, *answer(case)[:3]) for case in cases]
    figures("plain", plain)
    held = held_out(cases)
    folds = {repository: i % 8 for i, repository in enumerate(sorted({case[1] for case in cases}))}
    maps = {}
    judged = [r for r in held if r[0][2] != "healthy" and r[2]]
    for fold in range(8):
        maps[fold] = fit([(r[4], hit(r[0], r[1], r[2], 1)) for r in judged if folds[r[0][1]] != fold])
    crossed = [
        (r[0], r[1], r[2], calibrate(r[4], maps[folds[r[0][1]]], PRIORS)[0].probability if r[2] else 0.0) for r in held
    ]
    figures("cross-validated by repository", crossed)
    for label, select in (
        (
            "  of which shared cases",
            lambda c: "-" in c[0] and c[0][0] in "ncd" and c[0].split("-")[0] in ("num", "cuda", "dist"),
        ),
    ):
        figures(label + ", plain", [r for r in plain if select(r[0])])
        figures(label + ", crossed", [r for r in crossed if select(r[0])])
    if args.misses:
        for name, rows in (("plain", plain), ("crossed", crossed)):
            for case, status, causes, p in rows:
                if not hit(case, status, causes, 1):
                    print(f"  {name:8} {case[0]:14} {case[2]:24} {case[3]} -> {status} {causes[:3]} {p:.2f}")
    if args.fit:
        choice = fit([(r[4], hit(r[0], r[1], r[2], 1)) for r in judged])
        header = "# Fitted by benchmarks/diagnosis_accuracy.py --fit; do not edit by hand.\n"
        CALIBRATION.write_text(header + "".join(f"{key}: {value}\n" for key, value in choice.items()), encoding="utf-8")
        knowledge.main()
        print("fitted", choice)


if __name__ == "__main__":
    main()
