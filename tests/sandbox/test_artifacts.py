"""What runs leave for a closer look: in full, clean, bounded, and only for whoever was given the address."""

import json
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dlcoder.errors import UserError
from dlcoder.sandbox import artifacts
from dlcoder.sandbox.jobs import Outcome, Usage


@pytest.fixture(autouse=True)
def _kept() -> Iterator[None]:
    with artifacts.kept():
        yield


def outcome(folder: Path, printed: bytes = b"", frames: list[dict[str, Any]] | None = None) -> Outcome:
    path = folder / "output.log"
    path.write_bytes(printed)
    return Outcome(
        status="exited",
        exit_code=0,
        limit="",
        struck="",
        layers=(),
        usage=Usage(),
        output="",
        output_path=path,
        workdir=None,
        frames=frames or [],
        complete=True,
        reason="",
        duration_s=0.1,
    )


def read(uri: str) -> str:
    run, name = uri.removeprefix(artifacts.ADDRESS).split("/")
    return artifacts.read(run, name)[0]


def test_the_output_is_kept_in_full_and_clean(tmp_path: Path) -> None:
    lines = "".join(f"line {number}\n" for number in range(20_000))
    (uri,) = artifacts.keep(outcome(tmp_path, b"\x1b[31mred\x1b[0m 1%\r2%\r\n\xff\n" + lines.encode()))
    assert uri.endswith("/output.log")
    assert read(uri) == "red 1%\n2%\n\ufffd\n" + lines


def test_of_an_output_above_the_bound_the_beginning_and_the_end_are_kept(tmp_path: Path) -> None:
    (uri,) = artifacts.keep(outcome(tmp_path, b"first\n" + b"x" * (artifacts.LARGEST + 100) + b"\nlast"))
    text = read(uri)
    assert text.startswith("first\n") and text.endswith("\nlast") and "[dlcoder: 111 bytes left out]" in text
    assert len(text) == artifacts.LARGEST + len("\n[dlcoder: 111 bytes left out]\n")


def test_frames_are_lines_of_json_without_those_that_only_tell_progress(tmp_path: Path) -> None:
    check = {"check": {"name": "output", "measured": "nan\u202e at\n(4, 5)"}}
    frames = [{"running": "output", "fraction": 0.5}, check, {"progress": "x"}, {"note": "\ud800"}, {"done": True}]
    (uri,) = artifacts.keep(outcome(tmp_path, frames=frames))
    assert uri.endswith("/frames.jsonl")
    assert [json.loads(line) for line in read(uri).splitlines()] == [
        {"check": {"name": "output", "measured": "nan at\n(4, 5)"}},
        {"note": "?"},
    ]


def test_frames_above_the_bound_end_with_a_whole_line(tmp_path: Path) -> None:
    frames = [{"note": "é" * 500_000} for _ in range(6)]
    (uri,) = artifacts.keep(outcome(tmp_path, frames=frames))
    assert [json.loads(line) for line in read(uri).splitlines()] == frames[:4]


def test_a_run_that_left_nothing_has_no_address(tmp_path: Path) -> None:
    assert artifacts.keep(outcome(tmp_path, b" \n", [{"done": True}])) == []


def test_only_the_latest_runs_are_kept_and_their_folder_is_private(tmp_path: Path) -> None:
    first, *others = [artifacts.keep(outcome(tmp_path, b"%d" % n))[0] for n in range(artifacts.KEPT + 1)]
    assert [read(uri) for uri in others] == [str(n + 1) for n in range(artifacts.KEPT)]
    with pytest.raises(UserError, match="no such file"):
        read(first)
    home = artifacts._home()
    assert stat.S_IMODE(home.stat().st_mode) == 0o700 and len(list(home.iterdir())) == artifacts.KEPT


@pytest.mark.parametrize("part", ["..", ".", "", "../..", "/etc"])
def test_no_text_of_a_caller_becomes_part_of_a_path(tmp_path: Path, part: str) -> None:
    (uri,) = artifacts.keep(outcome(tmp_path, b"x"))
    run = uri.split("/")[-2]
    for pair in [(part, "output.log"), (run, part), (run, "frames.jsonl")]:
        with pytest.raises(UserError, match="no such file"):
            artifacts.read(*pair)


def test_what_nobody_can_read_is_not_kept(tmp_path: Path) -> None:
    token = artifacts._wanted.set(False)
    try:
        assert artifacts.keep(outcome(tmp_path, b"x")) == []
    finally:
        artifacts._wanted.reset(token)
