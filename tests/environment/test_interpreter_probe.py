"""The script that runs in the user's interpreter, and what is made of its answer."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from dlcoder.environment import interpreter, probe
from dlcoder.sandbox.interpreters import Interpreter

SCRIPT = Path(probe.__file__)


def run(*modules: str, path: Path) -> tuple[interpreter.Answer, str]:
    """Run the script without torch in reach, so that it is quick."""
    (path / "torch.py").write_text("raise ImportError('libcudnn.so.9: cannot open shared object file')\n")
    code = f"import sys; sys.path.insert(0, {str(path)!r})\n" + SCRIPT.read_text()
    done = subprocess.run([sys.executable, "-c", code, *modules], capture_output=True, text=True, timeout=30)
    output = done.stdout + done.stderr
    answer = interpreter.parse(output)
    if done.returncode:
        interpreter.blame(answer, output, f"died with status {done.returncode}")
    return answer, output


def test_an_import_that_fails_is_reported_with_its_error(tmp_path):
    answer, _ = run("json", "no_such_module", path=tmp_path)
    assert answer.ran and answer.facts["python"]["version"].startswith("3.")
    assert answer.failures["torch"] == "ImportError: libcudnn.so.9: cannot open shared object file"
    assert answer.failures["no_such_module"].startswith("ModuleNotFoundError") and "json" not in answer.failures


def test_an_import_that_calls_exit_is_only_a_failure(tmp_path):
    (tmp_path / "leaves.py").write_text("import sys; sys.exit('goodbye')\n")
    answer, _ = run("leaves", "no_such_module", path=tmp_path)
    assert answer.failures["leaves"] == "SystemExit: goodbye" and "no_such_module" in answer.failures


def test_a_death_in_native_code_is_put_on_the_import_that_was_running(tmp_path):
    (tmp_path / "crashes.py").write_text("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)\n")
    answer, _ = run("json", "crashes", "no_such_module", path=tmp_path)
    assert "died" in answer.failures["crashes"] and "no_such_module" not in answer.failures
    assert answer.reason.startswith("died")


def test_what_libraries_print_does_not_hide_an_answer(tmp_path):
    (tmp_path / "chatty.py").write_text(f"print('{probe.MARKER}{{broken'); print('no newline', end='')\n")
    answer, _ = run("chatty", "no_such_module", path=tmp_path)
    assert set(answer.failures) == {"torch", "no_such_module"}


def test_the_script_is_valid_for_python_3_9():
    import ast

    ast.parse(SCRIPT.read_text(), feature_version=(3, 9))
    imported = [
        node for node in ast.walk(ast.parse(SCRIPT.read_text())) if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    names = {name.name.partition(".")[0] for node in imported for name in node.names if isinstance(node, ast.Import)}
    names |= {(node.module or "").partition(".")[0] for node in imported if isinstance(node, ast.ImportFrom)}
    assert names <= sys.stdlib_module_names


@pytest.mark.parametrize(("number", "version"), [(8902, "8.9.2"), (7605, "7.6.5"), (90100, "9.1.0"), (91301, "9.13.1")])
def test_cudnn_s_number_is_read_in_both_generations(number, version):
    assert probe.version_of(number) == version


def test_our_own_interpreter_imports_torch_behind_the_walls():
    found = asyncio.run(interpreter.choose(sys.executable, Path.cwd()))
    answer = asyncio.run(interpreter.question(found, ["numpy", "torch"], {}, gpu=False))
    assert answer.ran and answer.failures == {} and answer.reason == ""
    assert answer.facts["torch"]["version"] == found.torch
    assert answer.facts["devices"]["available"] is False


def test_an_interpreter_that_cannot_be_started_is_no_answer_and_has_a_reason(tmp_path):
    missing = Interpreter(tmp_path / "python", "3.11.0", "2.9.0", (tmp_path,))
    answer = asyncio.run(interpreter.question(missing, [], {}, gpu=False))
    assert not answer.ran and answer.reason
