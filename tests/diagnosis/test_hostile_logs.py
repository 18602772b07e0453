"""Input that wants to hurt: random bytes, endless lines, a million ranks."""

import random
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dlcoder.diagnosis.diagnose import diagnose

MESSAGES = [
    "RuntimeError: ",
    "CUDA out of memory. Tried to allocate ",
    "loss: nan",
    '  File "a.py", line 1, in f',
    "\x1b[31m",
]
MESSAGES += [
    "[rank7]: ",
    "Traceback (most recent call last):",
    "SeqNum=1, OpType=",
    "\r",
    "\n",
    "\0",
    "{",
    "1e999",
    "((((",
    "显存不足",
]
PIECES = st.one_of(st.sampled_from(MESSAGES), st.text(max_size=40))


@settings(max_examples=60, deadline=2000, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(PIECES, max_size=60), st.one_of(st.none(), st.text(max_size=80)))
def test_any_text_gets_an_answer(pieces, context):
    found = diagnose(log="".join(pieces), context=context)
    assert found.status in ("failed", "degraded", "healthy", "unknown")
    assert all(0 <= h.probability < 1 for h in found.hypotheses)


HOSTILE = {
    "one line of megabytes": "loss: 1.0 RuntimeError: CUDA out of memory " * 60_000,
    "ranks without number": "\n".join(
        f"[rank{i}]: RuntimeError: NCCL error SeqNum={i}, OpType=X" for i in range(40_000)
    ),
    "a deep traceback": '  File "a.py", line 1, in f\n    f()\n' * 40_000
    + "RecursionError: maximum recursion depth exceeded",
    "carriage returns": "x\r" * 300_000,
    "brackets": "(" * 400_000,
    "digits": "1" * 400_000 + "\n" + "1." * 200_000,
    "spaces": "loss" + " " * 400_000 + "nan",
    "nested records": "{" * 100_000 + "}" * 100_000,
    "names": " ".join(f"loss{i}=1" for i in range(60_000)),
    "quotes": 'File "' * 60_000,
}


@pytest.mark.parametrize("log", HOSTILE.values(), ids=HOSTILE)
def test_hostile_text_is_answered_in_bounded_time(log):
    start = time.process_time()
    diagnose(log=log)
    assert time.process_time() - start < 4


def test_random_bytes_say_nothing(tmp_path):
    (tmp_path / "noise.log").write_bytes(random.Random(0).randbytes(2_000_000))
    assert diagnose(paths=[tmp_path / "noise.log"]).status == "unknown"


def test_time_grows_with_size_and_not_faster(tmp_path):
    line = "Epoch(train) [1][   17/90000]  lr: 1e-4  time: 0.42  loss: 1.9342\n"
    seconds = []
    for megabytes in (8, 32):
        (tmp_path / "train.log").write_text(line * (megabytes * 1_000_000 // len(line)), encoding="utf-8")
        start = time.process_time()
        diagnose(paths=[tmp_path / "train.log"])
        seconds.append(time.process_time() - start)
    assert seconds[1] < 8 * max(seconds[0], 0.02)
