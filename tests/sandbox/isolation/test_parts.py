import asyncio
import json
import os
import struct
import sys
from pathlib import Path

import pytest

from dlcoder.errors import UserError
from dlcoder.sandbox.interpreters import describe, find_interpreter
from dlcoder.sandbox.jail import cgroups, collect, frames, kernel, seccomp
from dlcoder.sandbox.validate import validate_code

KEY = b"k" * 32
LOSS = """
import torch
class Loss(torch.nn.Module):
    def forward(self, logits, target):
        {before}
        return torch.nn.functional.cross_entropy(logits, target)
"""
CHEATS = {
    "exits": "import os; os._exit(0)",
    "closes descriptors": "import os; [os.close(n) for n in range(3, 50) if os.path.exists(f'/proc/self/fd/{n}')]",
    "forges frames": (
        'import os; [os.write(int(n), b\'{"check": {"name": "loads", "status": "pass"}}\\n\') '
        "for n in os.listdir('/proc/self/fd') if int(n) > 2 and os.path.exists(f'/proc/self/fd/{n}')]"
    ),
    "climbs frames": "import sys; sys._getframe(1)",
    "replaces torch": "torch.isfinite = lambda x: torch.ones_like(x, dtype=torch.bool)",
    "replaces a check": "import harness.component.core as c; c.frame = lambda *a, **k: {}",
    "searches memory": "import gc; gc.get_objects()",
    "prints": 'print(\'{"check": {"status": "pass"}, "done": true}\'); raise SystemExit(0)',
}


@pytest.mark.parametrize("cheat", CHEATS)
def test_code_that_cheats_does_not_pass(cheat):
    code = LOSS.format(before=CHEATS[cheat])
    report = asyncio.run(validate_code(code, None, "loss", {}, None, None, "cpu", lambda message, fraction: None))
    assert not report.passed
    assert any(check.status in ("fail", "error") for check in report.checks)


def test_frames_count_only_with_their_mark_number_and_end():
    def line(number: int, frame: dict) -> bytes:
        body = json.dumps(frame).encode()
        return frames.sign(KEY, 0, number, body) + b" " + body + b"\n"

    reader = frames.FrameReader(KEY, 0)
    assert reader.feed(line(0, {"check": 1})[:20]) == []
    assert reader.feed(line(0, {"check": 1})[20:] + line(1, {"end": 1})) == [{"check": 1}]
    assert reader.complete and not reader.tampered
    reader.feed(line(2, {"check": 2}))
    assert reader.tampered
    for data in (b'{"check": 1}\n', line(1, {"check": 1}), line(0, {"check": 1}) * 2, b"x" * (9 << 20)):
        forged = frames.FrameReader(KEY, 0)
        forged.feed(data)
        assert forged.tampered


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
@pytest.mark.parametrize("network", [True, False])
def test_the_filter_is_a_valid_program_on_both_machines(monkeypatch, machine, network):
    monkeypatch.setattr(kernel, "ARCH", machine)
    program = seccomp.assemble(network, metered=False)
    steps = [struct.unpack("HBBI", program[i : i + 8]) for i in range(0, len(program), 8)]
    assert len(steps) < 4096
    for index, (code, yes, no, _) in enumerate(steps):
        if code & 7 == 5:
            assert index + 1 + max(yes, no) < len(steps)
    assert _judge(steps, machine, 435) != 0x7FFF0000
    assert _judge(steps, machine, 500) != 0x7FFF0000
    number = {"x86_64": 41, "aarch64": 198}[machine]
    allowed = [_judge(steps, machine, number, family, 1, 0) == 0x7FFF0000 for family in (1, 2, 10, 40, 17, 38)]
    assert allowed == ([True, True, True, False, False, False] if network else [False] * 6)
    assert _judge(steps, machine, {"x86_64": 0, "aarch64": 63}[machine]) == 0x7FFF0000


def _judge(steps: list[tuple[int, int, int, int]], machine: str, number: int, *arguments: int) -> int:
    """Run the filter as the kernel would."""
    arch = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}[machine]
    data = struct.pack("IIQ6Q", number, arch, 0, *(arguments + (0,) * 6)[:6])
    at = value = 0
    while True:
        code, yes, no, operand = steps[at]
        at += 1
        if code == 0x20:
            value = struct.unpack_from("I", data, operand)[0]
        elif code == 0x54:
            value &= operand
        elif code == 0x06:
            return operand
        else:
            hit = {0x15: value == operand, 0x35: value >= operand, 0x45: bool(value & operand)}[code]
            at += yes if hit else no


def test_a_delegated_cgroup_is_found_among_the_ancestors(tmp_path, monkeypatch):
    home = tmp_path / "user.slice" / "app.scope"
    home.mkdir(parents=True)
    for folder, handed in ((tmp_path, "cpu memory pids"), (home.parent, "memory pids"), (home, "")):
        (folder / "cgroup.subtree_control").write_text(handed)
        (folder / "cgroup.procs").write_text("")
    monkeypatch.setattr(cgroups, "_own_groups", lambda: {"": "/user.slice/app.scope"})
    monkeypatch.setattr(cgroups, "_mounts", lambda: [("cgroup2", str(tmp_path), "/", "rw")])
    group = cgroups.create("1-test")
    assert group.folders["memory"] == home.parent / "dlcoder-1-test"
    group.set_limits(1 << 20, 7)
    assert (group.folders["memory"] / "memory.max").read_text() == str(1 << 20)
    assert (group.folders["pids"] / "pids.max").read_text() == "7"
    (group.folders["memory"] / "memory.events").write_text("low 0\noom_kill 2\n")
    assert group.memory_struck() and not group.processes_struck()


def test_what_is_brought_back_never_follows_or_writes_through_a_link(tmp_path):
    source, target, outside = tmp_path / "source", tmp_path / "target", tmp_path / "outside"
    for folder in (source / "sub", target, outside):
        folder.mkdir(parents=True)
    (source / "sub/file").write_text("new")
    (source / "plain").write_text("new")
    (outside / "victim").write_text("old")
    (target / "sub").symlink_to(outside)
    (target / "plain").symlink_to(outside / "victim")
    descriptor = os.open(source, os.O_RDONLY)
    result = collect.harvest(descriptor, str(target), 1 << 20, lambda: None)
    os.close(descriptor)
    assert (outside / "victim").read_text() == "old"
    assert [path.name for path in outside.iterdir()] == ["victim"]
    assert (target / "plain").read_text() == "new" and not (target / "plain").is_symlink()
    assert result.left == {"folder in the way of a link or file": 1}


def test_a_sparse_file_is_not_copied_beyond_the_limit(tmp_path):
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    target.mkdir()
    with (source / "giant").open("wb") as file:
        file.truncate(1 << 40)
    descriptor = os.open(source, os.O_RDONLY)
    assert collect.harvest(descriptor, str(target), 1 << 20, lambda: None).left == {"too large": 1}
    os.close(descriptor)


def test_an_interpreter_is_described_without_being_run(tmp_path):
    found = describe(Path(sys.executable))
    assert found.version.startswith(f"{sys.version_info.major}.{sys.version_info.minor}")
    assert found.torch
    assert Path(sys.base_prefix).resolve() in [prefix.resolve() for prefix in found.prefixes]
    fake = tmp_path / ".venv" / "bin" / "python"
    fake.parent.mkdir(parents=True)
    fake.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    fake.chmod(0o755)
    assert describe(fake) is None
    with pytest.raises(UserError, match="not a Python interpreter"):
        asyncio.run(find_interpreter(str(fake), None))
    assert asyncio.run(find_interpreter(None, tmp_path)).torch
    assert not (tmp_path / "ran").exists()


def test_the_server_side_imports_nothing_heavy():
    code = (
        "import sys, dlcoder.sandbox.runner, dlcoder.sandbox.layers\n"
        "print([name for name in ('torch', 'numpy', 'jinja2', 'libcst', 'yaml') if name in sys.modules])"
    )
    import subprocess

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
