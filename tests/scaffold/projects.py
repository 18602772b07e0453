"""Projects to look at and to run."""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

from dlcoder.scaffold.choices import Choices, decide
from dlcoder.scaffold.project import scaffold_project
from dlcoder.scaffold.spec import ProjectSpec

QUICK = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "PYTHONDONTWRITEBYTECODE": "1"}
"""An environment in which training is reproducible and leaves both cores to two processes."""


def spec(**fields: Any) -> ProjectSpec:
    return ProjectSpec.model_validate({"task": "classification", **fields})


def choices(folder: str = "waves", **fields: Any) -> Choices:
    return decide(spec(**fields), folder)


def write_project(path: Path, **fields: Any) -> Path:
    asyncio.run(scaffold_project(path, spec(**fields), validate="none"))
    return path


PYTHON = sys.executable
