"""The folder of a run, and the record of what ran in it."""

import json
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from dlcoder.templates.components.utils.environment_report import environment_report


def new_run_folder(parent: Path, name: str) -> Path:
    """Make a folder of its own for a run, even if two start in the same second."""
    stamp = time.strftime("%Y%m%d-%H%M%S")
    for attempt in range(1000):
        suffix = f"-{attempt}" if attempt else ""
        folder = parent / f"{stamp}-{name}{suffix}"
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        return folder
    raise FileExistsError(f"{parent} has too many runs of the same second.")


def record_run(folder: Path, *, seed: int, data: Mapping[str, str]) -> None:
    """Write down what is needed, beside the settings, to repeat the run.

    `run.json` holds the command, the commit, versions and environment; `git.diff` what
    was not committed. Each later start of the same run adds a `run-2.json` with its
    `git-2.diff`, and so on.
    """
    record = {
        "command": [sys.executable, *sys.argv],
        "seed": seed,
        "git": {
            "commit": _git("rev-parse", "HEAD").decode().strip() or None,
            "changed": bool(_git("status", "--porcelain")),
        },
        "data": dict(data),
        **environment_report(),
    }
    number = 1 + len(list(folder.glob("run*.json")))
    start = "" if number == 1 else f"-{number}"
    text = json.dumps(record, indent=2) + "\n"
    (folder / f"run{start}.json").write_text(text, encoding="utf-8")
    (folder / f"git{start}.diff").write_bytes(_git("diff", "HEAD"))


def _git(*arguments: str) -> bytes:
    """Run git; what is no repository, or has no git, gives an empty answer.

    In bytes: files may be in any encoding, and a patch whose line ends were translated
    does not apply.
    """
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return b""
    return done.stdout if done.returncode == 0 else b""
