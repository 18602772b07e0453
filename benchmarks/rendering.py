"""How fast one component is rendered, against ruff's own two programs reading the text that comes out.

    python benchmarks/rendering.py [--every 3]

Every third component of the catalogue is rendered with its first options bound, once as something that nobody has
asked for before, and once again; then ruff checks and formats the result, one program after the other: a rendering that
leaves form and imports to ruff cannot do with much less. On a machine with nothing else to do the floor is about 13 ms,
so the bound is 20 ms.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ruff import find_ruff_bin

from dlcoder.scaffold.component import render_component
from dlcoder.templates.catalogue import Component, catalogue

BOUNDS = {"for the first time": 1.5, "seen before": 0.5}
WARM_UP = 3


def milliseconds(work: Callable[..., Any], *arguments: Any) -> float:
    """How long a call takes."""
    begin = time.perf_counter()
    work(*arguments)
    return (time.perf_counter() - begin) * 1000


def bound(component: Component) -> dict[str, Any]:
    """Values for the first two options: a switch is turned, a number is what it was."""
    options = [(name, each.default) for name, each in component.params.items() if not each.required]
    plain = [(name, value) for name, value in options if isinstance(value, bool | int | float)]
    return {name: not value if isinstance(value, bool) else value for name, value in plain[:2]}


def ruff(text: str, folder: Path) -> None:
    """Check and format a text as files are."""
    file = folder / "component.py"
    file.write_text(text)
    for command in (["check", "--fix-only", "--select", "F401,I001"], ["format"]):
        subprocess.run([find_ruff_bin(), *command, "--isolated", "--no-cache", "--quiet", str(file)], check=True)


def measure(components: list[Component], folder: Path) -> dict[str, list[float]]:
    """The milliseconds of each rendering, by row, and of the floor."""
    times: dict[str, list[float]] = {"for the first time": [], "seen before": [], "ruff alone": []}
    for component in components:
        params = bound(component)
        for row in ("for the first time", "seen before"):
            times[row].append(milliseconds(render_component, component, params))
        code = render_component(component, params).code
        times["ruff alone"].append(milliseconds(ruff, code, folder))
    return {row: found[WARM_UP:] for row, found in times.items()}


def main(every: int) -> int:
    """Measure, print, and return the exit status."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CACHE_HOME"] = folder  # where nothing has been kept yet
        components = [each for each in catalogue().values() if each.is_module and bound(each)][::every]
        times = measure(components, Path(folder))
    floor = statistics.median(times["ruff alone"])
    print(f"{len(components) - WARM_UP} components; ruff alone: median {floor:.1f} ms")
    kept = True
    for row, limit in BOUNDS.items():
        median = statistics.median(times[row])
        kept &= median / floor <= limit
        verdict = "ok" if median / floor <= limit else "MISSED"
        print(f"{row:20} median {median:6.1f} ms  ratio {median / floor:5.2f}  bound {limit:.2f}  {verdict}")
    return 0 if kept else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=int, default=3)
    sys.exit(main(parser.parse_args().every))
