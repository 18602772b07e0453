"""One check's result, as the report has it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

Check = dict[str, Any]


def passed(name: str, measured: str, expected: str = "", detail: str = "") -> Check:
    """A check that held."""
    return _check(name, "pass", measured, expected, detail, "")


def failed(name: str, measured: str, expected: str, fix: str, detail: str = "") -> Check:
    """A check that did not hold, and what to change."""
    return _check(name, "fail", measured, expected, detail, fix)


def skipped(name: str, reason: str, measured: str = "") -> Check:
    """A check that could not be made, and why."""
    return _check(name, "skip", measured, "", reason, "")


def broken(name: str, reason: str, fix: str = "") -> Check:
    """A check whose run ended in an error of its own."""
    return _check(name, "error", "", "", reason, fix)


def _check(name: str, status: str, measured: str, expected: str, detail: str, fix: str) -> Check:
    values = {"measured": measured, "expected": expected, "detail": detail, "fix": fix}
    return {"name": name, "status": status, **{key: value[:600] for key, value in values.items()}}


def listed(names: Iterable[str], most: int = 4) -> str:
    """A few names, and how many more there are."""
    names = list(dict.fromkeys(names))
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def at(site: str) -> str:
    """A place, as the end of a sentence."""
    return f" ({site})" if site else ""
