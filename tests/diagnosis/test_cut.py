"""Tracebacks that break off: the last frame says what was being done; a whole traceback is read by its message."""

import pytest

from dlcoder.diagnosis.diagnose import diagnose, judge

SITE = '  File "/opt/env/lib/python3.10/site-packages/'
ENDINGS = {
    "a checkpoint is written": (
        f'{SITE}torch/serialization.py", line 861, in _save\n    zip_file.write_record(name, storage, num_bytes)\n',
        "disk-full",
    ),
    "a port is opened": (
        f'{SITE}torch/distributed/rendezvous.py", line 185, in _create_c10d_store\n    return TCPStore(\n',
        "dist-rdzv-port-in-use",
    ),
    "a device is chosen": (
        f'{SITE}torch/cuda/__init__.py", line 478, in set_device\n    torch._C._cuda_setDevice(device)\n',
        "cuda-invalid-device",
    ),
    "CUDA is started": (
        f'{SITE}torch/cuda/__init__.py", line 319, in _lazy_init\n    torch._C._cuda_init()\n',
        "cuda-unavailable",
    ),
    "gradients are looked for": (
        f'{SITE}torch/nn/parallel/distributed.py", line 1026, in forward\n    if torch.is_grad_enabled() and '
        "self.reducer._rebuild_buckets():\n",
        "ddp-unused-parameters",
    ),
    "an extension is compiled": (
        f'{SITE}torch/utils/cpp_extension.py", line 2104, in _run_ninja_build\n    subprocess.run(\n',
        "env-build",
    ),
}
HEAD = 'Traceback (most recent call last):\n  File "/home/u/train.py", line 12, in <module>\n    main()\n'


@pytest.mark.parametrize("ending, cause", ENDINGS.values(), ids=ENDINGS)
def test_the_frame_at_which_a_traceback_breaks_off_names_the_cause(ending, cause):
    assert judge(HEAD + ending)[1][0].cause == cause


@pytest.mark.parametrize("ending", [ending for ending, _ in ENDINGS.values()], ids=ENDINGS)
def test_a_message_outweighs_the_frame_that_raised_it(ending):
    _, scored = judge(f"{HEAD}{ending}PermissionError: [Errno 13] Permission denied: '/srv/out'\n")
    assert scored[0].cause == "permission"


def test_the_evidence_says_that_the_traceback_breaks_off():
    answer = diagnose(HEAD + ENDINGS["a checkpoint is written"][0])
    assert "breaks off" in answer.hypotheses[0].evidence[0].note


def test_a_bar_of_other_work_explains_why_the_others_timed_out():
    timeout = (
        "[E ProcessGroupNCCL.cpp:475] [Rank {0}] Watchdog caught collective operation timeout: WorkNCCL(SeqNum=2, "
        "OpType=ALLREDUCE, NumelIn=1, NumelOut=1, Timeout(ms)=1800000) ran for 1800006 milliseconds before timing out."
    )
    waiting = "\n".join(map(timeout.format, (1, 2, 3)))
    bar = "Rendering stills:  41%|####      | 82/200 [29:58<43:00, 21.9s/it]\n"
    _, busy = judge(bar + waiting)
    assert busy[0].cause == "ddp-slow-rank-timeout"
    training = bar.replace("Rendering stills", "Train epoch 0")
    assert judge(training + waiting)[1][0].cause != "ddp-slow-rank-timeout"
