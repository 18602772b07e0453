"""Messages that look like one cause and are another: decided by a number, a code or a place, not by the words."""

import pytest

from dlcoder.diagnosis.diagnose import diagnose

TRACE = 'Traceback (most recent call last):\n  File "/home/u/train.py", line 40, in <module>\n'
STEPS = "".join(f"epoch 1 step {i} loss {1 / (i + 1):.3f}\n" for i in range(6))
PICKLE = "_pickle.UnpicklingError: Weights only load failed. WeightsUnpickler error: "
CPU = (
    "RuntimeError: [enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate memory: you tried "
)
CUT = (
    "    with _open_zipfile_reader(opened_file) as opened_zipfile:\n"
    "    super().__init__(torch._C.PyTorchFileReader(name_or_buffer))\nOSError: [Errno 22] Invalid argument\n"
)
FORWARD = (
    '  File "/x/site-packages/torch/nn/modules/module.py", line 15, in _call_impl\n'
    "    return forward_call(*args, **kwargs)\n"
)
OPTIMIZER = '  File "/x/site-packages/torch/optim/sgd.py", line 30, in __init__\n    if lr < 0.0:\n'
SCALE = (
    "ValueError: Expected parameter scale (Tensor of shape (4,)) of distribution Normal() to satisfy the constraint "
)
CASES = {
    "an argument that a function of torch now requires": (
        "env-api-removed",
        "    spec = torch.stft(\nRuntimeError: stft requires the return_complex parameter be given for real inputs\n",
    ),
    "a hook that was removed": (
        "env-api-removed",
        "NotImplementedError: Support for `validation_epoch_end` has been removed in v2.0.0.\n",
    ),
    "a generator of another numpy": (
        "env-numpy",
        "AttributeError: 'mtrand.RandomState' object has no attribute 'permuted'\n",
    ),
    "a file of weights with another number of layers": (
        "ckpt-key-mismatch",
        "ValueError: Layer count mismatch when loading weights from file. Model expected 9 layers, found 8 saved "
        "layers.\n",
    ),
    "a layer whose saved variables are not there": (
        "ckpt-key-mismatch",
        "ValueError: Layer 'dense_3' expected 2 variables, but received 0 variables during loading.\n",
    ),
    "a saved weight of another shape": (
        "ckpt-size-mismatch",
        "ValueError: Shape mismatch in layer #4 (named out) for weight out/kernel. Weight expects shape (64, 3). "
        "Received saved weight with shape (64, 10)\n",
    ),
    "a part of numpy by its module": (
        "env-numpy",
        "AttributeError: module 'numpy.typing' has no attribute 'NDArray'\n",
    ),
    "keys in code, sizes in the message": (
        "ckpt-size-mismatch",
        "    missing_keys, unexpected_keys = model.load_state_dict(state, strict=False)\n"
        "RuntimeError: Error(s) in loading state_dict for Net:\n\tsize mismatch for head.weight: copying a param with "
        "shape torch.Size([91, 256]) from checkpoint, the shape in current model is torch.Size([4, 256]).\n",
    ),
    "networks that train against each other": (
        "autograd-inplace",
        "    loss_D.backward()\nRuntimeError: one of the variables needed for gradient computation has been modified "
        "by an inplace operation: [torch.cuda.FloatTensor [256]] is at version 5; expected version 4 instead.\n"
        "Warning: Error detected in CudnnBatchNormBackward0.\n",
    ),
    "a call among lines of a notebook that did not run": (
        "shape-broadcast",
        "<ipython-input-9> in <module>()\n     29     inp, lab = inp.to(device), lab.to(device)\n"
        "---> 30     out, h = model(inp, h)\n     31     loss = criterion(out.squeeze(), lab.float())\n"
        "RuntimeError: Expected hidden[0] size (2, 82, 50), got (2, 100, 50)\n",
    ),
    "a cut archive": ("ckpt-corrupt", CUT),
    "a page of HTML": ("ckpt-corrupt", PICKLE + "Unsupported operand 60\n"),
    "a pointer of a large file": ("ckpt-corrupt", PICKLE + "Unsupported operand 118\n"),
    "a real opcode": ("ckpt-weights-only", PICKLE + "Unsupported operand 149\n"),
    "an invalid path": ("dl-path", "    open(path)\nOSError: [Errno 22] Invalid argument: 'C:\\\\a?.jpg'\n"),
    "gigabytes of a host": ("host-oom", CPU + "to allocate 68719476736 bytes. Error code 12\n"),
    "terabytes of a host": ("oom-size-bug", CPU + "to allocate 5100000000369 bytes. Error code 12\n"),
    "a keyword of forward": (
        "api-misuse",
        FORWARD + "TypeError: Net.forward() got an unexpected keyword argument 'mask'\n",
    ),
    "a rate that is text": (
        "env-config",
        OPTIMIZER + "TypeError: '<' not supported between instances of 'str' and 'float'\n",
    ),
    "batches of one part": (
        "api-misuse",
        "    for x, y in train_loader:\nValueError: not enough values to unpack (expected 2, got 1)\n",
    ),
    "an operator that was not built": (
        "env-abi",
        "AttributeError: '_OpNamespace' 'torch_scatter' object has no attribute 'segment_csr'\n",
    ),
    "a library of the system": (
        "env-libc",
        "OSError: libfoo_codec.so.3: cannot open shared object file: No such file or directory\n",
    ),
    "a library of CUDA": (
        "cuda-library-load",
        "ImportError: libcudnn.so.8: cannot open shared object file: No such file or directory\n",
    ),
    "a scale that is no number": ("nan-domain-op", SCALE + "GreaterThan(lower_bound=0.0), but found invalid values:\n"),
    "a lost connection to a loading worker": (
        "dl-worker-crash",
        '  File "/x/torch/multiprocessing/reductions.py", line 538, in rebuild_storage_fd\n'
        "ConnectionResetError: [Errno 104] Connection reset by peer\n",
    ),
    "a spawned worker that ends at once": (
        "dl-main-guard",
        '    for x in DataLoader(data, num_workers=1, multiprocessing_context="spawn"):\n'
        "RuntimeError: DataLoader worker (pid 85) exited unexpectedly with exit code 1.\n",
    ),
    "a model that is spread over GPUs": (
        "dist-sharded-config",
        "ValueError: You can't train a model that has been loaded with `device_map='auto'` in any distributed mode.\n",
    ),
    "CUDA before a notebook forks": (
        "dl-fork-cuda",
        "RuntimeError: CUDA has been initialized before the `notebook_launcher` could create a forked subprocess.\n",
    ),
    "a traced graph": (
        "compile-graph",
        "W09 torch/_dynamo/exc.py:525] [5/0] While executing %item : [num_users=2] = call_method[target=item]\n",
    ),
    "an assertion of native code": (
        "native-crash",
        "python: engine.cpp:71: Assertion `pos >= 0 && pos < buffer.size()' failed.\n",
    ),
    "a missing hook of a trainer": (
        "api-misuse",
        "MisconfigurationException: `ModelCheckpoint(monitor='val_f1')` could not find the monitored key in the "
        "returned metrics: ['loss']. HINT: Did you call `log('val_f1', value)` in the `LightningModule`?\n",
    ),
    "a hook of another version": (
        "env-api-removed",
        "TypeError: Net.on_validation_epoch_end() missing 1 required positional argument: 'outputs'\n",
    ),
    "a keyword of a trainer without its exception": (
        "env-api-removed",
        "GRPOTrainer.__init__() got an unexpected keyword argument 'use_vllm'\n",
    ),
    "statistics that a broadcast overwrites": (
        "ddp-inplace-buffers",
        "Warning: Error detected in NativeBatchNormBackward0.\nRuntimeError: one of the variables needed for gradient "
        "computation has been modified by an inplace operation: [torch.cuda.FloatTensor [96]] is at version 5\n",
    ),
    "a shard of a checkpoint": (
        "dist-sharded-config",
        "KeyError: MetadataIndex(fqn='decoder.layers.mlp.weight', offset=torch.Size([4, 0]), index=3)\n",
    ),
    "an update that does not fit": (
        "oom-model-states",
        '  File "/home/u/train.py", line 90, in train\n    optimizer.step()\n'
        "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 96.00 MiB. GPU 0 has a total capacity of 23.65 "
        "GiB of which 40.00 MiB is free. Including non-PyTorch memory, this process has 23.60 GiB memory in use.\n",
    ),
    "the first of no files": (
        "dl-path",
        '  File "/x/site-packages/datasets/reader.py", line 9, in __init__\n    first = open(paths[0])\n'
        "IndexError: list index out of range\n",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_the_cause_follows_from_what_tells_two_alike_messages_apart(name: str):
    cause, text = CASES[name]
    assert diagnose(log=STEPS + TRACE + text).hypotheses[0].cause == cause


def test_keys_that_were_left_out_without_an_error_are_weights_that_were_not_loaded():
    some = '_IncompatibleKeys(missing_keys=["a.weight"], unexpected_keys=["module.a.weight"])\n'
    assert diagnose(log=some + STEPS).hypotheses[0].cause == "ckpt-not-loaded"
    assert diagnose(log="_IncompatibleKeys(missing_keys=[], unexpected_keys=[])\n" + STEPS).status == "healthy"


def test_a_checkpointed_part_without_gradients_does_not_learn_however_the_loss_falls():
    warned = "UserWarning: None of the inputs have requires_grad=True. Gradients will be None\n" + STEPS
    found = diagnose(log=warned)
    assert (found.status, found.hypotheses[0].cause) == ("degraded", "not-learning-bug")


DRESSED = {
    "a logger's stamp and level": lambda line: f"2025-03-01 10:00:00,123 - INFO - {line}",
    "an error stream's level": lambda line: f"2025-03-01 10:00:00.123 | ERROR | {line}",
    "a mail's quotation marks": lambda line: f"> {line}",
}


@pytest.mark.parametrize("dress", DRESSED)
def test_a_traceback_is_found_under_what_loggers_and_mails_put_before_every_line(dress: str):
    _, text = CASES["batches of one part"]
    log = "\n".join(map(DRESSED[dress], (STEPS + TRACE + text).splitlines()))
    assert diagnose(log=log).hypotheses[0].cause == "api-misuse"


@pytest.mark.parametrize("width", [80, 100, 120])
def test_a_single_line_that_a_terminal_broke_is_put_together_again(width: int):
    _, text = CASES["terabytes of a host"]
    lines = (STEPS + TRACE + text).splitlines()
    log = "\n".join(line[at : at + width] for line in lines for at in range(0, len(line), width))
    assert diagnose(log=log).hypotheses[0].cause == "oom-size-bug"


@pytest.mark.parametrize("end", ["terminate called without an active exception\n", "Fatal Python error: Aborted\n"])
def test_a_process_that_breaks_while_it_ends_had_failed_before(end: str):
    raised = (
        '  File "/home/u/dataset.py", line 12, in __getitem__\n    return self.ann[i]["label"]\nKeyError: \'label\'\n'
    )
    assert diagnose(log=STEPS + TRACE + raised + end).hypotheses[0].cause == "dl-label-format"
    assert diagnose(log=STEPS + end).hypotheses[0].cause == "native-crash"


@pytest.mark.parametrize(
    ("cause", "words"),
    [
        ("overfitting", "validation loss decreases in the first 5 epochs and after that keeps on increasing"),
        ("irreproducible", "same network, input and optimizer, but different losses after some iterations"),
        ("perf-comm-bound", "training with DDP on 4 cards takes longer than on a single GPU"),
        ("ckpt-optimizer", "when I resume from the checkpoint the learning rate is reset to its first value"),
        ("train-eval-gap", "after removing model.eval() the validation error is as low as in training"),
        ("metric-bug", "recall is computed for every image separately and averaged over the images"),
    ],
)
def test_what_a_person_says_is_read_where_the_log_says_nothing(cause, words):
    assert diagnose(log="Epoch 9 done\n", context=words).hypotheses[0].cause == cause


def test_deprecation_notices_alone_are_no_failure_unless_the_user_says_that_the_run_hangs():
    notice = "/x/rnn.py:12: UserWarning: RNN module weights are not part of single contiguous chunk of memory. This "
    notice += "means they need to be compacted at every call, possibly greatly increasing memory usage.\n"
    assert diagnose(log=notice).status == "healthy"
    assert diagnose(log=STEPS, context="it hangs here").status != "healthy"


def test_a_problem_of_the_machine_speaks_for_its_cause():
    log = "RuntimeError: DataLoader worker (pid 71) exited unexpectedly\n"
    found = diagnose(log=log, environment="Disks: / 9 GiB free\nshm-too-small: /dev/shm is only 64 MiB.")
    assert found.hypotheses[0].cause == "shm-too-small"
    assert ("environment", 2) in [(item.source, item.line) for item in found.hypotheses[0].evidence]


@pytest.mark.parametrize(
    "warning",
    [
        "The model and loaded state dict do not match exactly\n\nsize mismatch for head.fc.weight: copying a param "
        "with shape torch.Size([1000, 64]) from checkpoint, the shape in current model is torch.Size([7, 64]).",
        "The model and loaded state dict do not match exactly\n\n"
        "unexpected key in source state_dict: fc.weight, fc.bias",
        "Skip loading parameter 'roi_heads.box_predictor.cls_score.weight' to the model due to incompatible shapes: "
        "(81, 64) in the checkpoint but (3, 64) in the model!",
        "are newly initialized because the shapes did not match:\n- classifier.weight: found shape torch.Size([9, 64]) "
        "in the checkpoint and torch.Size([5, 64]) in the model instantiated",
    ],
)
def test_a_head_for_other_classes_may_be_left_out(warning: str) -> None:
    assert diagnose(f"{warning}\n{STEPS}").status == "healthy"


def test_a_body_that_is_left_out_is_told() -> None:
    warning = (
        "The model and loaded state dict do not match exactly\n\nunexpected key in source state_dict: "
        "backbone.conv1.weight, fc.weight\nmissing keys in source state_dict: conv1.weight"
    )
    assert diagnose(f"{warning}\n{STEPS}").hypotheses[0].cause == "ckpt-not-loaded"
