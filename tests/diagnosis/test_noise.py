"""Boilerplate of libraries is printed in healthy runs too: it is no failure, and hides none."""

import pytest

from dlcoder.diagnosis.diagnose import judge

HARMLESS = {
    "IPv6 that is not there": "[W socket.cpp:601] [c10d] The client socket cannot be initialized to connect to "
    "[node7]:29511 (errno: 97 - Address family not supported by protocol).",
    "a network plugin that is not installed": "node7:88:88 [0] NCCL INFO NET/Plugin : Plugin load (libnccl-net.so) "
    "returned 2 : libnccl-net.so: cannot open shared object file: No such file or directory",
    "cards without peer access": "node7:88:90 [1] NCCL INFO Could not enable P2P between dev 1(=3b000) and dev 0(=1a0)",
    "the setting of an interface": "node7:88:90 [1] NCCL INFO NCCL_SOCKET_IFNAME set by environment to eno2",
    "a group left at exit": "[rank0]:[W ProcessGroupNCCL.cpp:1496] Warning: WARNING: destroy_process_group() was not "
    "called before program exit, which can leak resources.",
    "a device chosen for the barrier": "[rank2]:[W ProcessGroupNCCL.cpp:4561] [PG ID 0 PG GUID 0 Rank 2]  using GPU 2 "
    "to perform barrier as devices used by this process are currently unknown. This can potentially cause a hang",
    "strides of gradients": "graph.py:744: UserWarning: Grad strides do not match bucket view strides. This is not an "
    "error, but may impair performance.",
    "an operator of DeepSpeed": " [WARNING]  async_io requires the dev libaio .so object and headers but these were "
    "not found.",
    "a disk that is asked": "df: /home/u/.triton/autotune: No such file or directory",
    "a profile in an image": "libpng warning: iCCP: known incorrect sRGB profile",
    "a new head": "Some weights of BertForTokenClassification were not initialized from the model checkpoint at bert-x "
    "and are newly initialized: ['classifier.bias', 'classifier.weight']",
}
WARNED = {
    "an image extension": "image.py:13: UserWarning: Failed to load image Python extension: libc10_cuda.so: cannot "
    "open shared object file",
    "a TensorFlow library": "W dso_loader.cc:64] Could not load dynamic library 'libcudart.so.11.0'; dlerror: "
    "libcudart.so.11.0: cannot open shared object file: No such file or directory",
    "xFormers of another build": "WARNING[XFORMERS]: xFormers can't load C++/CUDA extensions. xFormers was built for: "
    "PyTorch 2.3.1 with CUDA 1201 (you have 2.4.0)",
}
FAILURE = (
    'Traceback (most recent call last):\n  File "/home/u/train.py", line 31, in <module>\n    fit(model)\n'
    "RuntimeError: mat1 and mat2 shapes cannot be multiplied (8x640 and 512x10)\n"
)


@pytest.mark.parametrize("line", HARMLESS.values(), ids=HARMLESS)
def test_a_line_of_healthy_runs_is_not_called_a_failure(line):
    status, scored = judge(line)
    assert status in ("unknown", "healthy")
    assert not scored or scored[0].probability < 0.5


@pytest.mark.parametrize("line", (HARMLESS | WARNED).values(), ids=HARMLESS | WARNED)
def test_boilerplate_before_a_failure_hides_it_from_nobody(line):
    plain = judge(FAILURE)[1][0]
    noisy = judge(f"{line}\n{FAILURE}")[1][0]
    assert noisy.cause == plain.cause == "shape-matmul"
    assert noisy.probability > 0.9


@pytest.mark.parametrize("line", WARNED.values(), ids=WARNED)
def test_a_warning_that_can_be_a_cause_is_one_as_long_as_nothing_else_failed(line):
    status, scored = judge(line)
    assert status == "failed"
    assert scored[0].cause in ("env-abi", "cuda-library-load")
