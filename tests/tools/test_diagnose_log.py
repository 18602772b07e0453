"""The tool `diagnose_log`."""

import asyncio

from dlcoder.paths import Roots
from dlcoder.tools.base import Call
from dlcoder.tools.diagnose_log import TOOL, DiagnoseLogInput

LOG = """[rank1]: Traceback (most recent call last):
[rank1]:   File "/srv/train.py", line 31, in main
[rank1]:     loss.backward()
[rank1]: RuntimeError: element 0 of tensors does not require grad and does not have a grad_fn"""


def call(roots=None, **arguments):
    return asyncio.run(TOOL.run(DiagnoseLogInput(**arguments), Call(roots or Roots())))


def test_the_answer_has_the_fields_that_clients_depend_on():
    fields = set(call(log=LOG).model_dump())
    assert fields == {"status", "summary", "hypotheses", "first_failure", "progress", "missing", "next_step"}
    first = call(log=LOG).hypotheses[0]
    assert set(first.model_dump()) == {
        "cause",
        "title",
        "probability",
        "evidence",
        "explanation",
        "verify",
        "fix",
        "sources",
    }
    assert first.cause == "autograd-no-grad" and first.fix and first.verify and first.sources


def test_the_text_begins_with_the_verdict_and_quotes_the_line():
    text = call(log=LOG).text()
    assert "autograd-no-grad" in text.splitlines()[0]
    assert "log:4: [rank1]: RuntimeError: element 0 of tensors" in text
    assert "rank 1" in text and "Next:" in text


def test_text_and_structure_stay_short_however_long_the_lines_are():
    answer = call(log=LOG.replace("main", "m" * 3000) + "\nERROR: " + "x" * 100_000, max_hypotheses=20)
    assert len(answer.text()) / 4 < 1500
    assert len(answer.model_dump_json()) / 4 < 4000


def test_paths_are_taken_from_the_allowed_directories(tmp_path):
    (tmp_path / "rank_1.log").write_text(LOG, encoding="utf-8")
    answer = call(Roots((tmp_path,)), paths=["rank_1.log"])
    assert answer.hypotheses[0].evidence[0].source == "rank_1.log"


def test_at_most_the_wanted_number_of_hypotheses_comes_back():
    assert len(call(log=LOG, max_hypotheses=1).hypotheses) == 1
