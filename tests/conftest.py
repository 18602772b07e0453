"""What every test may count on."""

import os
import signal
import tempfile

# Shells start jobs in the background with Ctrl-C ignored, and so would everything be that a test starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# What was rendered before these tests must not decide them; among themselves, they may share it.
_cache = tempfile.TemporaryDirectory(prefix="dlcoder-tests-")
os.environ["XDG_CACHE_HOME"] = _cache.name

# Options of this run are none of the pytests that it starts in projects.
os.environ.pop("PYTEST_ADDOPTS", None)
