"""Every task in every framework, form of settings and source, proved in the sandbox; and what each task learns.

    python tests/scaffold/matrix.py [--tasks NAME ...] [--frameworks NAME ...] [--configs NAME ...] [--no-smoke]

Prints Markdown, a row as soon as it is known, and exits 1 if one failed. All of it takes an hour or two on two cores.
"""

import argparse
import asyncio
import itertools
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lessons import LESSONS, learned
from options import TASKS, Request, merge
from projects import spec
from warm import Warm

from dlcoder.errors import UserError
from dlcoder.scaffold.project import scaffold_project
from dlcoder.scaffold.tasks.table import TASKS as TABLE
from dlcoder.scaffold.tasks.table import meant

FRAMEWORKS = ("pytorch", "lightning", "accelerate")
CONFIGS = ("yaml", "toml", "argparse", "dataclass")


def requests(tasks: list[str], frameworks: list[str], configs: list[str]) -> Iterator[tuple[str, Request]]:
    """The product, each with a name for its row."""
    for task, framework, config in itertools.product(TASKS, frameworks, configs):
        name = meant(spec(**task))
        if tasks and name not in tasks:
            continue
        for source in TABLE[name].sources:
            request = merge([task, {"data": {"source": source}, "framework": framework, "config": config}])
            family = request.get("model", {}).get("family", "default")
            yield f"{name} | {family} | {framework} | {config} | {source}", request


def smoke(request: Request, path: Path) -> str:
    """Scaffold a project with its smoke validation; return "ok", or what went wrong."""
    try:
        asyncio.run(scaffold_project(path, spec(**request), validate="smoke"))
    except UserError as error:
        return " ".join(str(error).split())[:200].replace("|", "/")
    return "ok"


def prove(given: Any, folder: Path) -> int:
    """Print the table of projects; return how many failed."""
    failed = 0
    print("| task | network | framework | settings | source | smoke | seconds |\n|---|---|---|---|---|---|---|")
    for number, (name, request) in enumerate(requests(given.tasks, given.frameworks, given.configs)):
        begin = time.perf_counter()
        verdict = smoke(request, folder / f"project_{number}")
        failed += verdict != "ok"
        print(f"| {name} | {verdict} | {time.perf_counter() - begin:.0f} |", flush=True)
    return failed


def teach(tasks: list[str], folder: Path) -> int:
    """Print the table of lessons; return how many were not learned, or were without their signal."""
    failed = 0
    warm = Warm()
    print("\n| task | metric | signal | control | bar | | CPU seconds |\n|---|---|---|---|---|---|---|")
    for name, lesson in LESSONS.items():
        if tasks and name not in tasks:
            continue
        signal, control = learned(lesson, folder / name, warm)
        good = lesson.passed(signal.metric) and not lesson.passed(control.metric)
        failed += not good
        values = f"{signal.metric:.3f} | {control.metric:.3f} (`{lesson.control}`) | {lesson.bar}"
        verdict = "learned" if good else "FAILED"
        print(f"| {name} | {lesson.metric} | {values} | {verdict} | {signal.seconds:.0f} |", flush=True)
    warm.close()
    return failed


def main(given: Any) -> int:
    """Print the tables; return the exit status."""
    with tempfile.TemporaryDirectory() as name:
        failed = prove(given, Path(name)) if given.smoke else 0
        failed += teach(given.tasks, Path(name)) if given.learn else 0
    return int(failed > 0)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="*", default=[])
    parser.add_argument("--frameworks", nargs="*", default=FRAMEWORKS)
    parser.add_argument("--configs", nargs="*", default=CONFIGS)
    parser.add_argument("--learn", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--smoke", action=argparse.BooleanOptionalAction, default=True)
    sys.exit(main(parser.parse_args()))
