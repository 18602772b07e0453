"""Tracebacks whose last line is missing: the frame at which they break off still says what was being done."""

import re
from collections.abc import Sequence

from dlcoder.diagnosis.facts import Fact
from dlcoder.diagnosis.lines import Line
from dlcoder.diagnosis.tracebacks import Frame, Raised, last_frame

_LAST: tuple[tuple[str, str, dict[str, float]], ...] = (
    (
        "a checkpoint is written",
        r"serialization\.py \S+ .*(write_record|write_end_of_file|_write_file|FileWriter)",
        {"disk-full": 3.4, "permission": 1, "storage-fault": 1},
    ),
    (
        "the first process opens its port",
        r"TCPStore\(",
        {"dist-rdzv-port-in-use": 3, "dist-rdzv-unreachable": 1.4, "ddp-slow-rank-timeout": 0.6},
    ),
    ("a device is chosen", r"_cuda_setDevice|cuda\.set_device\(", {"cuda-invalid-device": 4}),
    (
        "CUDA is started",
        r"_cuda_init\(\)|_cuda_getDeviceCount|cuda[/\\]__init__\.py _lazy_init",
        {"cuda-unavailable": 3.2, "cuda-driver-mismatch": 2.4},
    ),
    ("an extension is compiled", r"cpp_extension\.py|op_builder[/\\]", {"env-build": 4}),
    (
        "a loading worker is found to be gone",
        r"_error_if_any_worker_fails|signal_handling\.py",
        {"dl-worker-crash": 3, "host-oom": 2.6, "shm-too-small": 2},
    ),
    ("a child is handed its arguments", r"(popen_spawn|reduction)\S* \S* .*dump\(", {"dl-pickle": 4}),
    ("an archive is opened", r"PyTorchFileReader", {"ckpt-corrupt": 3.6}),
    (
        "a checkpoint is read",
        r"serialization\.py .*(unpickler\.load|pickle_module\.load|_legacy_load|return _load\()",
        {"ckpt-corrupt": 2.4, "ckpt-weights-only": 2.2, "ckpt-device": 1.2},
    ),
    (
        "weights are loaded",
        r"module\.py load_state_dict|Error\(s\) in loading state_dict",
        {"ckpt-key-mismatch": 2.8, "ckpt-size-mismatch": 2.6},
    ),
    ("samples are put into a batch", r"collate\.py .*stack|in default_collate", {"dl-collate-shapes": 4}),
    ("a file is opened", r"builtins\.open\(|Image\.py open |open_file_like", {"dl-path": 3}),
    ("a batch of one is refused", r"_verify_batch_size", {"shape-batchnorm-single": 5}),
    (
        "a linear layer is applied",
        r"linear\.py forward .*linear\(|functional\.py linear ",
        {"shape-matmul": 2.4, "dtype-mismatch": 1.4, "cudnn-cublas-failure": 1, "device-mismatch": 1},
    ),
    (
        "a convolution is applied",
        r"conv\.py (_conv_forward|forward|conv2d_forward) ",
        {"shape-channels": 2, "cudnn-cublas-failure": 1.8, "dtype-mismatch": 1.4},
    ),
    (
        "an embedding is looked up",
        r"sparse\.py forward .*embedding\(|functional\.py embedding ",
        {"cuda-index-out-of-range": 3, "device-mismatch": 1.4},
    ),
    (
        "the loss is computed",
        r"functional\.py (nll_loss|cross_entropy|binary_cross_entropy\w*) ",
        {"shape-target": 2, "cuda-index-out-of-range": 1.8, "dtype-target": 1.8},
    ),
    (
        "the gradients of the last step are looked for",
        r"prepare_for_backward|_rebuild_buckets|prepare_for_forward",
        {"ddp-unused-parameters": 4.5},
    ),
    (
        "the models of all ranks are compared",
        r"_verify_(params?|model)_across|_verify_param_shape",
        {"ddp-collective-mismatch": 3, "nccl-system": 1.6, "nccl-p2p": 1.6, "nccl-network": 1.2},
    ),
    (
        "weights are sent to all ranks",
        r"_sync_(module_states|params)|broadcast_coalesced",
        {"nccl-system": 2, "nccl-p2p": 2, "nccl-network": 1.4},
    ),
    (
        "the process group is asked for",
        r"_get_default_group|_check_default_pg",
        {"dist-not-initialized": 4.4},
    ),
    (
        "ranks wait for each other",
        r"distributed_c10d\.py barrier |\.barrier\(",
        {"ddp-slow-rank-timeout": 1.6, "nccl-system": 1.2, "nccl-p2p": 1.2, "nccl-network": 1},
    ),
    ("a rank is looked up", r"environ\[.(RANK|LOCAL_RANK|WORLD_SIZE)", {"dist-launch-args": 4.4}),
    (
        "a server is asked",
        r"huggingface_hub[/\\]|urllib3[/\\]|requests[/\\]|http[/\\]client|urllib[/\\]request",
        {"env-auth-network": 3.4},
    ),
)
_TABLE = tuple((doing, re.compile(pattern), weights) for doing, pattern, weights in _LAST)


def _described(frame: Frame) -> str:
    return f"{frame.file} {frame.function} {frame.code}"


def cut_facts(lines: Sequence[Line], exceptions: Sequence[Raised]) -> list[Fact]:
    """What the last frame says, where the log ends with it and names no exception."""
    frame = None if exceptions else last_frame(lines)
    if frame is None:
        return []
    facts = [Fact("traceback.cut", frame.line)]
    for doing, pattern, weights in _TABLE:
        if pattern.search(_described(frame)):
            note = f"the traceback breaks off where {doing}"
            facts.append(Fact("traceback.cut-at", frame.line, dict(weights), "root", note))
            break
    return facts
