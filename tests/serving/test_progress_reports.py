"""Progress rises strictly, comes at most four times a second, and never falls silent for long."""

import asyncio
import threading
import time

import pytest
from connections import Connect

from dlcoder.serving import progress as subject
from dlcoder.serving.progress import reporting

pytestmark = pytest.mark.anyio
Seen = list[tuple[float, float, float | None, str | None]]


def check(seen: Seen) -> None:
    values = [value for _, value, _, _ in seen]
    assert values == sorted(set(values)), "strictly rising"
    assert all(0 <= value <= 100 and total == 100 for _, value, total, _ in seen)
    times = [at for at, *_ in seen]
    # The clock here is the receiver's: a little of the spacing may be lost on the way.
    assert all(later - earlier > 0.9 for earlier, later in zip(times, times[4:], strict=False)), "at most 4 a second"


async def test_many_reports_become_few_and_the_last_comes_before_the_result(connect: Connect) -> None:
    seen: Seen = []

    async def note(value: float, total: float | None, message: str | None) -> None:
        seen.append((time.monotonic(), value, total, message))

    async with connect() as client:
        await client.call_tool("work", {"seconds": 1.5}, progress_callback=note)
        at_result = len(seen)
        await asyncio.sleep(0.1)
    assert 4 <= len(seen) <= 7
    check(seen)
    assert seen[0][3] == "step 0" and seen[0][0] < seen[-1][0] - 1.0
    assert seen[-1][3] == "last step" and seen[-1][1] == 100
    assert at_result == len(seen) or at_result == len(seen) - 1  # the client may dispatch the last one concurrently


async def collect(reports: list[tuple[str, float]], spacing_s: float, quiet_s: float = 0.0) -> Seen:
    seen: Seen = []

    async def send(value: float, total: float, message: str) -> None:
        seen.append((time.monotonic(), value, total, message))

    async with reporting(send) as report:
        for message, fraction in reports:
            report(message, fraction)
            await asyncio.sleep(spacing_s)
        await asyncio.sleep(quiet_s)
    return seen


@pytest.mark.parametrize("fractions", [[0, 0, 0], [0.5, 0.2, 0.9], [float("nan"), 2.0, -1.0, float("inf")], [1.0, 0.3]])
async def test_work_that_stands_still_goes_back_or_talks_nonsense_still_rises(fractions: list[float]) -> None:
    seen = await collect([("m", fraction) for fraction in fractions], 0.4)
    assert len(seen) >= 2
    check(seen)


async def test_silent_work_shows_a_heartbeat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "HEARTBEAT_S", 0.3)
    seen = await collect([("Compiling", 0.25)], 0.0, quiet_s=2.2)
    check(seen)
    assert len(seen) >= 3
    assert seen[0][1] == 25 and 25 < seen[-1][1] < 26
    assert seen[-1][3] in ("Compiling (1 s)", "Compiling (2 s)")


async def test_work_that_calls_itself_done_too_early_still_shows_a_heartbeat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "HEARTBEAT_S", 0.2)
    seen = await collect([("Done", 1.0)], 0.0, quiet_s=1.5)
    check(seen)
    assert len(seen) >= 3 and [value for _, value, _, _ in seen].count(100) == 1 and seen[-1][1] == 100


async def test_work_that_never_reports_shows_a_heartbeat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "HEARTBEAT_S", 0.2)
    seen = await collect([], 0.0, quiet_s=1.0)
    check(seen)
    assert seen and seen[0][3] == "Working (0 s)"


async def test_reports_may_come_from_any_thread_and_nothing_is_owed_after_the_end() -> None:
    seen: Seen = []

    async def send(value: float, total: float, message: str) -> None:
        seen.append((time.monotonic(), value, total, message))

    async with reporting(send) as report:
        thread = threading.Thread(target=lambda: [report(f"item {n}", n / 1000) for n in range(1000)])
        thread.start()
        while thread.is_alive():
            await asyncio.sleep(0.01)
    assert seen[-1][3] == "item 999"
    report("too late", 1.0)
    await asyncio.sleep(0.4)
    assert seen[-1][3] == "item 999"


async def test_a_client_that_is_gone_does_not_fail_the_work() -> None:
    async def send(value: float, total: float, message: str) -> None:
        raise ConnectionError

    async with reporting(send) as report:
        report("one", 0.1)
        await asyncio.sleep(0.5)
        report("two", 0.2)
