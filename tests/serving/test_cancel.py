"""A cancelled call is over within a second, with every process that it had started."""

import time
from pathlib import Path

import anyio
import pytest
from connections import WITHIN_S, Connect

pytestmark = pytest.mark.anyio


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def test_cancelling_a_call_kills_its_process_tree(connect: Connect, tmp_path: Path) -> None:
    note = tmp_path / "pids"
    async with connect() as client:
        async with anyio.create_task_group() as group:
            group.start_soon(client.call_tool, "work", {"seconds": 60, "how": "tree", "note": str(note)})
            with anyio.fail_after(10):
                while not (note.exists() and len(note.read_text().split()) == 2):
                    await anyio.sleep(0.01)
            pids = [int(pid) for pid in note.read_text().split()]
            assert all(map(alive, pids))
            start = time.monotonic()
            group.cancel_scope.cancel()
        with anyio.fail_after(10):
            while any(map(alive, pids)):
                await anyio.sleep(0.01)
        assert time.monotonic() - start < WITHIN_S
        assert (await client.call_tool("echo", {"text": "next"})).structured_content["said"] == "next"


async def test_a_tool_that_computes_without_a_pause_does_not_hold_up_the_protocol(connect_in_memory: Connect) -> None:
    async with connect_in_memory() as client, anyio.create_task_group() as group:
        group.start_soon(client.call_tool, "work", {"seconds": 0.6, "how": "block"})
        await anyio.sleep(0.1)
        start = time.monotonic()
        await client.list_prompts()
        assert time.monotonic() - start < 0.3
