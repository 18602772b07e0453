"""Names that tests and fixtures share."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

SERVER = str(Path(__file__).with_name("sample_tools.py"))
WAYS = [f"{transport}-{era}" for transport in ("memory", "stdio", "http") for era in ("legacy", "modern")]
MODES = {"legacy": "legacy", "modern": "2026-07-28"}

# A second is promised; a machine that has more to do than it can has to be given more.
WITHIN_S = 1.0 if os.getloadavg()[0] < 1.5 * (os.cpu_count() or 1) else 4.0

Connect = Callable[..., Any]
