"""Every command in the README does what it says."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import anyio
import pytest
from mcp import Client, StdioServerParameters

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BIN = Path(sys.executable).parent
CONFIGURATIONS = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", README, re.DOTALL)]
CONSOLE = [
    line[2:]
    for block in re.findall(r"```console\n(.*?)```", README, re.DOTALL)
    for line in block.splitlines()
    if line.startswith("$ ")
]
INLINE = [
    code for code in re.findall(r"`([^`\n]+)`", README) if code.split()[0] in {"dlcoder", "make", "claude", "npx"}
]


def run(*command: str, cwd: Path = ROOT) -> subprocess.CompletedProcess:
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=120)


async def tool_names(command: str, arguments: list[str]) -> list[str]:
    assert command == "dlcoder"
    server = StdioServerParameters(command=str(BIN / command), args=arguments)
    async with Client(server, mode="legacy", read_timeout_seconds=60) as client:
        return [tool.name for tool in (await client.list_tools()).tools]


@pytest.mark.parametrize("configuration", CONFIGURATIONS, ids=lambda c: next(iter(c)))
def test_a_clients_configuration_starts_the_server(configuration):
    (servers,) = configuration.values()
    entry = servers["dlcoder"]
    assert "scaffold_project" in anyio.run(tool_names, entry["command"], entry["args"])


@pytest.mark.parametrize("line", [c for c in INLINE if c.split()[0] in {"claude", "npx"}])
def test_what_other_programs_are_told_to_start_is_the_server(line):
    words = shlex.split(line)
    start = len(words) - words[::-1].index("dlcoder") - 1
    assert "diagnose_log" in anyio.run(tool_names, words[start], words[start + 1 :])


@pytest.mark.parametrize("line", sorted({c for c in CONSOLE + INLINE if c.startswith("make ")}))
def test_make_knows_the_command(line):
    result = run("make", "--dry-run", line.split()[1])
    assert result.returncode == 0, result.stderr
    assert "python" in result.stdout or "dlcoder" in result.stdout or "ruff" in result.stdout


def test_every_tool_and_only_those_stand_in_the_readme():
    names = anyio.run(tool_names, "dlcoder", ["serve"])
    section = README.split("## The tools")[1].split("\n## ")[0]
    assert re.findall(r"^\| `(\w+)`", section, re.MULTILINE) == names


@pytest.mark.parametrize("line", sorted({c for c in CONSOLE + INLINE if c.startswith("dlcoder ")}))
def test_a_dlcoder_command_is_understood(line):
    words = shlex.split(line)
    if words[1:] in (["--help"], ["env"]):
        result = run(str(BIN / "dlcoder"), *words[1:])
    else:
        result = run(str(BIN / "dlcoder"), words[1], "--help")
    assert result.returncode == 0, result.stderr
    assert result.stdout
    assert [flag for flag in words if flag.startswith("--") and flag not in result.stdout] == []


def test_the_install_command_installs_the_program(tmp_path):
    (line,) = (c for c in CONSOLE if "pip install" in c)
    words = shlex.split(line)
    result = run(sys.executable, *words[1:4], "--quiet", "--no-deps", "--target", str(tmp_path), *words[4:])
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "bin" / "dlcoder").exists()
    assert (tmp_path / "dlcoder" / "knowledge" / "causes").is_dir()


def test_the_transcripts_loss_fails_the_checks_that_the_transcript_shows(tmp_path):
    section = README.split("## A transcript")[1].split("\n## ")[0]
    code = re.search(r"```python\n(.*?)```", section, re.DOTALL).group(1)
    shown = re.findall(r"^- ([\w-]+): ", section, re.MULTILINE)
    (tmp_path / "seg_loss.py").write_text(code, encoding="utf-8")
    result = run(str(BIN / "dlcoder"), "validate", str(tmp_path / "seg_loss.py"), "--kind", "loss", "--json")
    report = json.loads(result.stdout)
    failed = {check["name"]: check for check in report["checks"] if check["status"] == "fail"}
    assert sorted(failed) == sorted(shown)
    lines = code.splitlines()
    assert f"line {lines.index('        return (nll * valid).sum() / valid.sum()') + 1}" in failed["all-ignored"]["fix"]
