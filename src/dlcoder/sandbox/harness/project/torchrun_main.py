"""What a real torchrun starts on every rank: `torchrun ... torchrun_main.py SPEC.json`."""

from __future__ import annotations

import importlib
import json
import os
import sys
from pathlib import Path


def main() -> None:
    """Read the specification, run the rank, and leave without the interpreter's teardown, which can abort."""
    spec = json.loads(Path(sys.argv[1]).read_text())
    sys.path.insert(0, spec["harness"])
    leave = os._exit
    launch = importlib.import_module("harness.project.launch")
    leave(launch.run_rank(spec, int(os.environ["RANK"])))


if __name__ == "__main__":
    main()
