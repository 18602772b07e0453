"""A check of a library is known by the file that raised it, whatever its words resemble."""

import pytest

from dlcoder.diagnosis.diagnose import judge

SITE = "/opt/env/lib/python3.11/site-packages/"
RAISED = {
    "a list of FSDP": (
        "torch/distributed/fsdp/_runtime_utils.py",
        "AssertionError: Expects a non-empty handle",
        "dist-sharded-config",
    ),
    "a shape of FSDP": (
        "torch/distributed/fsdp/_optim_utils.py",
        "ValueError: Differing optimizer state names for the unflattened parameters: ['w']",
        "dist-sharded-config",
    ),
    "a mesh": (
        "torch/distributed/device_mesh.py",
        "RuntimeError: Each device mesh dimension should get only one process group, but got 2",
        "dist-sharded-config",
    ),
    "a partition of DeepSpeed": (
        "deepspeed/runtime/zero/stage3.py",
        "AssertionError: the number of groups differs",
        "dist-sharded-config",
    ),
    "memory inside of a sharding library": (
        "deepspeed/runtime/zero/stage3.py",
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79.10 "
        "GiB of which 1.00 GiB is free. Of the allocated memory 70.00 GiB is allocated by PyTorch, and 1.00 GiB is "
        "reserved by PyTorch but unallocated.",
        "oom-model-states",
    ),
    "a loss scale that runs out": (
        "deepspeed/runtime/fp16/loss_scaler.py",
        "Exception: Current loss scale already at minimum - cannot decrease scale anymore. Exiting run.",
        "nan-amp-overflow",
    ),
    "a compiler that is too old": (
        "torch/utils/cpp_extension.py",
        "RuntimeError: The current installed version of g++ (4.9.2) is less than the minimum required version by CUDA "
        "12.1 (6.0.0).",
        "env-build",
    ),
    "a place to meet that is no place": (
        "torch/distributed/elastic/rendezvous/utils.py",
        "ValueError: The rendezvous configuration option 'timeout' must have a value specified.",
        "dist-launch-args",
    ),
    "a meeting": (
        "torch/distributed/elastic/rendezvous/dynamic_rendezvous.py",
        "RuntimeError: the state of the meeting is not known",
        "dist-rdzv-unreachable",
    ),
    "a launcher": (
        "torch/distributed/run.py",
        "ValueError: the count of processes was not understood",
        "dist-launch-args",
    ),
}


@pytest.mark.parametrize("file, message, cause", RAISED.values(), ids=RAISED)
def test_a_check_of_a_library_says_its_subject(file, message, cause):
    log = (
        'Traceback (most recent call last):\n  File "/home/u/train.py", line 9, in <module>\n    main()\n'
        f'  File "{SITE}{file}", line 210, in check\n    raise error\n{message}\n'
    )
    assert judge(log)[1][0].cause == cause


def test_a_refusal_to_annotate_nothing_is_no_label():
    _, scored = judge("AssertionError: the process group cannot be None\n")
    assert scored[0].cause != "dl-label-format"
