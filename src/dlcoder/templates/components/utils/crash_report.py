"""What went wrong, on disk, for each rank."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def crash_report(folder: Path, rank: int) -> Iterator[None]:
    """Write an exception's traceback to `folder`/error_rank<N>.txt, and let it pass.

    A report of an earlier attempt is removed: what is there is of this one.
    """
    report = folder / f"error_rank{rank}.txt"
    report.unlink(missing_ok=True)
    try:
        yield
    except Exception:
        report.write_text(traceback.format_exc(), encoding="utf-8")
        raise
