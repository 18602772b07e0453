"""`dlcoder demo`: the main job, end to end, on this machine and for real.

A server is started over stdio and a real MCP client connects to it. It scaffolds an image classifier, which is proved
in the sandbox before it is handed over; it smoke-tests the project; then one annotation is broken, two ranks train
until the run dies of it, and the logs of both go to `diagnose_log`.
"""

import argparse
import asyncio
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from mcp import Client, StdioServerParameters

from dlcoder.errors import UserError
from dlcoder.sandbox.interpreters import find_interpreter
from dlcoder.sandbox.runner import Job, Limits, Outcome, run

SPEC = {"task": "classification"}
BROKEN_SAMPLE = 40
LOG_WORDS = ("--log-dir", "logs", "--redirects", "3")


class Narrator:
    """Prints what happens, with one live line for what is going on now."""

    def __init__(self) -> None:
        self.live = sys.stdout.isatty()
        self.started = time.monotonic()

    def step(self, text: str) -> None:
        """Print a heading."""
        print(f"\n[{time.monotonic() - self.started:5.1f} s] {text}", flush=True)

    async def progress(self, progress: float, total: float | None, message: str | None) -> None:
        """Show one progress notification of the server."""
        percent = f"{100 * progress / total:3.0f}%" if total else "    "
        line = f"    {percent} {message or ''}"[:100]
        print(f"\r{line:100}\r" if self.live else line, end="" if self.live else "\n", flush=True)

    def show(self, text: str) -> None:
        """Print an answer of the server, indented."""
        if self.live:
            print(" " * 100, end="\r")
        print("\n".join(f"    {line}".rstrip() for line in text.splitlines()), flush=True)


async def call(client: Client, narrator: Narrator, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Call a tool, show its progress and its text, and return its structured answer.

    Raises:
        UserError: The tool answered with an error.
    """
    answer = await client.call_tool(tool, arguments, progress_callback=narrator.progress)
    text = "\n".join(block.text for block in answer.content if block.type == "text")
    narrator.show(text)
    if answer.is_error:
        raise UserError(f"{tool} failed.", "Its message stands above.")
    return answer.structured_content or {}


def break_annotation(project: Path) -> str:
    """Give one sample of the scaffolded data a label that no class has, as a slip of an annotator would.

    Returns:
        The changed line, with its file.

    Raises:
        UserError: The dataset no longer reads as this demonstration expects.
    """
    (source,) = project.glob("*/datasets/synthetic_images.py")
    right = "label = index % self.num_classes"
    wrong = f"label = self.num_classes if index == {BROKEN_SAMPLE} else index % self.num_classes"
    text = source.read_text(encoding="utf-8")
    if text.count(right) != 1:
        raise UserError(f"{source.name} has no line {right!r} to break.", "Please report this.")
    source.write_text(text.replace(right, wrong), encoding="utf-8")
    return f"{source.relative_to(project)}: {wrong}"


async def train_until_it_breaks(project: Path, folder: Path) -> Outcome:
    """Run the project under torchrun with two ranks, each writing its own log into `folder`."""
    interpreter = await find_interpreter(None, project)
    command = ("python", "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    job = Job(
        argv=(*command, *LOG_WORDS, "train.py", "--config", "configs/smoke.yaml"),
        workdir=project,
        env={"OMP_NUM_THREADS": "1"},
        limits=Limits(timeout_s=180),
    )
    outcome = await run(job, interpreter)
    if outcome.workdir is not None:
        shutil.copytree(outcome.workdir / "logs", folder)
    (folder / "launcher.log").write_text(outcome.output, encoding="utf-8")
    return outcome


async def demonstrate(folder: Path) -> None:
    """Run the whole demonstration in an empty folder."""
    narrator = Narrator()
    narrator.step("Starting the server and connecting a client over stdio")
    server = StdioServerParameters(
        command=sys.executable, args=["-m", "dlcoder", "serve", "--root", str(folder)], cwd=folder
    )
    async with Client(server, read_timeout_seconds=600) as client:
        tools = (await client.list_tools()).tools
        narrator.show("Tools: " + ", ".join(tool.name for tool in tools))

        narrator.step("scaffold_project: an image classifier, proved before it is handed over")
        await call(client, narrator, "scaffold_project", {"path": "classifier", "spec": SPEC})

        narrator.step("smoke_test: one batch forward and backward, then torchrun with two processes")
        await call(client, narrator, "smoke_test", {"path": "classifier", "checks": ["one_batch", "torchrun"]})

        narrator.step("Breaking one annotation, and training on two ranks until it is hit")
        narrator.show(break_annotation(folder / "classifier"))
        outcome = await train_until_it_breaks(folder / "classifier", folder / "logs")
        narrator.show(f"torchrun ended with status {outcome.exit_code} after {outcome.duration_s:.1f} s")

        narrator.step("diagnose_log: both ranks' logs")
        await call(client, narrator, "diagnose_log", {"paths": ["logs"]})
    narrator.step("Done")


def main(argv: list[str] | None = None) -> int:
    """Run `dlcoder demo` and return its exit status."""
    parser = argparse.ArgumentParser(prog="dlcoder demo", description=__doc__)
    parser.add_argument("--keep", type=Path, metavar="DIR", help="work in this empty folder, and leave it")
    args = parser.parse_args(argv)
    if args.keep is not None:
        args.keep.mkdir(parents=True, exist_ok=True)
        asyncio.run(demonstrate(args.keep.resolve()))
        return 0
    with tempfile.TemporaryDirectory(prefix="dlcoder-demo-") as folder:
        asyncio.run(demonstrate(Path(folder).resolve()))
    return 0
