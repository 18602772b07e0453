"""Color, the live table and the page at the terminal; and nothing of it where nobody watches."""

import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from dlcoder.sandbox.report import Check
from dlcoder.terminal.checks import LiveTable, table
from dlcoder.terminal.color import paint, wanted
from dlcoder.terminal.diagnose import colored, verdict_of
from dlcoder.tools.smoke_test import SmokeOutput

DLCODER = str(Path(sys.executable).parent / "dlcoder")
ANSI = re.compile(r"\x1b\[[\d;]*[A-Za-z]")
OOM = (
    "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79.15 GiB "
    "of which 1.20 GiB is free.\n"
)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


def test_color_is_for_terminals_whose_owner_wants_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert wanted(Terminal()) and not wanted(io.StringIO())
    monkeypatch.setenv("NO_COLOR", "1")
    assert not wanted(Terminal())
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert not wanted(Terminal())
    assert paint("x", "") == "x" and paint("", "red") == "" and ANSI.sub("", paint("x", "alarm")) == "x"


TEXT = """\
Memory ran out (oom-activations): 2 GiB were asked for.
First failure: rank 3, 10:00:01.
87% oom-activations
  rank_3.log:12: CUDA out of memory.  [asked for: 2 GiB]
It says so.
Check: halve the batch: `python train.py --batch 4` (passes: found)
Fix: checkpoint activations
-x = block(x)
+x = checkpoint(block, x)
6% oom-leak: Memory grows every step <- rank_3.log:12
Next: checkpoint activations"""


def test_a_colored_diagnosis_says_the_same_words() -> None:
    for status in ("failed", "degraded", "healthy", "unknown", ""):
        assert ANSI.sub("", colored(TEXT, status)) == TEXT
    lines = colored(TEXT, "failed").split("\n")
    assert lines[0].startswith("\x1b[1;31m") and "\x1b[33moom-activations" in lines[2]
    assert lines[7].startswith("\x1b[31m-") and lines[8].startswith("\x1b[32m+")
    assert "\x1b[2mrank_3.log:12:\x1b[0m" in lines[3] and lines[4] == "It says so."
    assert colored(TEXT, "healthy").startswith("\x1b[1;32m")


def test_another_cause_rank_or_status_is_another_verdict_and_another_probability_is_not() -> None:
    data = {
        "status": "failed",
        "hypotheses": [{"cause": "oom-leak", "probability": 0.9}],
        "first_failure": {"rank": 3, "time": ""},
    }
    same = {**data, "hypotheses": [{"cause": "oom-leak", "probability": 0.4}]}
    assert verdict_of(data) == verdict_of(same)
    others = [{"status": "degraded"}, {"hypotheses": [{"cause": "host-oom"}]}, {"first_failure": {"rank": 4}}]
    assert len({verdict_of({**data, **other}) for other in others} | {verdict_of(data)}) == 4
    assert verdict_of({"status": "healthy", "hypotheses": [{"cause": "x"}], "first_failure": None}) == (
        "healthy",
        "",
        None,
    )


def report() -> SmokeOutput:
    checks = [
        Check(name="one_batch.loss", status="pass", measured="2.31", expected="finite"),
        Check(name="ema", status="skip", detail="no averaged weights"),
        Check(
            name="one_batch.zero_grad",
            status="fail",
            measured="gradients double",
            expected="cleared",
            detail="d",
            fix="Call optimizer.zero_grad() in train.py:12 " + "and so on " * 20,
        ),
        Check(name="torchrun", status="error", detail="the time limit \x1b[31mwas reached"),
    ]
    return SmokeOutput(passed=False, checks=checks, interpreter="Python 3.11", duration_s=1.5, log_tail="last words")


@pytest.mark.parametrize("width", [60, 100, 200])
def test_the_final_table_has_a_row_for_each_check_with_what_was_measured_and_its_bound(width: int) -> None:
    answer = report()
    shown = table(answer, answer.text(), width)
    plain = ANSI.sub("", shown).split("\n")
    assert plain[0] == answer.text().split("\n")[0] and plain[-1] == answer.text().split("\n")[-1]
    rows = [line for line in plain if re.match(r"(PASS|FAIL|ERROR|SKIP) ", line)]
    assert [row.split()[:2] for row in rows] == [
        ["FAIL", "one_batch.zero_grad"],
        ["ERROR", "torchrun"],
        ["PASS", "one_batch.loss"],
        ["SKIP", "ema"],
    ]
    assert "gradients double" in rows[0] and "cleared" in rows[0] and "2.31" in rows[2] and "finite" in rows[2]
    assert all(len(line) <= width for line in plain[1:-1])
    assert any(line.strip().startswith("-> Call optimizer.zero_grad()") for line in plain) and "last words" in plain
    assert "\x1b[1;31mFAIL" in shown and "\x1b[1;32mPASS" in shown and "\x1b[31mwas" not in shown


def test_the_live_table_grows_a_row_for_each_check_that_begins_and_leaves_nothing() -> None:
    terminal = Terminal()
    live = LiveTable(terminal)
    for step, name in enumerate(["preparing", "running one_batch", "running one_batch", "running torchrun\x1b[2J"]):
        live(name, step / 4)
    live("odd", float("nan"))
    screen: list[str] = []
    for frame in re.split(r"(?=\x1b\[\d+A)", terminal.getvalue()):
        screen = [line.split("  ")[0] for line in ANSI.sub("", frame).replace("\r", "").splitlines()]
    assert "of the checks" in ANSI.sub("", terminal.getvalue().splitlines()[-1])
    assert screen[:4] == ["· preparing", "· one_batch", "· torchrun", "> odd"]
    assert "\x1b[2J" not in terminal.getvalue()
    live.clear()
    assert terminal.getvalue().endswith("\x1b[5A\r\x1b[J")


def in_terminal(*command: str, **env: str) -> str:
    """The output of a command that runs in a pseudo-terminal."""
    import pty

    parent, child = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", **env}
    with subprocess.Popen(command, stdout=child, stderr=child, stdin=child, env=environment):
        os.close(child)
        chunks = []
        try:
            while chunk := os.read(parent, 65536):
                chunks.append(chunk)
        except OSError:
            pass  # the terminal's other end is closed
    os.close(parent)
    return b"".join(chunks).decode()


def test_the_command_is_colored_in_a_terminal_and_plain_in_a_file_or_by_no_color(tmp_path: Path) -> None:
    log = tmp_path / "train.log"
    log.write_text(OOM)
    plain = subprocess.run([DLCODER, "diagnose", str(log)], capture_output=True, text=True, check=False).stdout
    assert "\x1b" not in plain and plain
    shown = in_terminal(DLCODER, "diagnose", str(log))
    assert "\x1b[1;31m" in shown
    assert plain in ANSI.sub("", shown.replace("\r\n", "\n"))
    assert "\x1b[1;31m" not in in_terminal(DLCODER, "diagnose", str(log), NO_COLOR="1")


def test_html_writes_the_page_and_says_where(tmp_path: Path) -> None:
    log = tmp_path / "train.log"
    log.write_text(OOM)
    command = [DLCODER, "diagnose", "train.log", "--html", "page.html"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 1 and done.stderr == f"The page is {tmp_path / 'page.html'}\n" and "emory" in done.stdout
    assert "CUDA out of memory" in (tmp_path / "page.html").read_text("utf-8")
    command[-1] = "absent/page.html"
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 2 and "cannot be written" in done.stderr


def test_faces_cost_the_help_nothing() -> None:
    script = (
        "import sys; from dlcoder import cli; cli.main(['--help']); print([m for m in sys.modules if 'terminal.' in m])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
