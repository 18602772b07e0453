"""Names that tests and fixtures share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

SERVER = str(Path(__file__).with_name("sample_tools.py"))
WAYS = [f"{transport}-{era}" for transport in ("memory", "stdio", "http") for era in ("legacy", "modern")]
MODES = {"legacy": "legacy", "modern": "2026-07-28"}

Connect = Callable[..., Any]
