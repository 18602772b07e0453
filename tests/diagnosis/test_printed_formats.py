"""What happens to a run is seen in whatever form its trainer prints the numbers."""

import math

import pytest

from dlcoder.diagnosis.diagnose import judge

TEMPLATES = {
    "dictionaries": ("", "{{'loss': {loss}, 'grad_norm': {norm}, 'learning_rate': {lr}, 'epoch': {share}}}"),
    "quoted": ("", "{{'loss': '{loss}', 'grad_norm': '{norm}', 'learning_rate': '{lr}', 'epoch': '{share}'}}"),
    "progress bar": ("", "Epoch {epoch}:  52%|█████▏    | {step}/999 [01:41<01:30,  9.4it/s, loss={loss}, lr={lr}]"),
    "old bar": ("", "Epoch {epoch}/90\n782/782 [======>] - 12s 15ms/step - loss: {loss} - accuracy: {accuracy}"),
    "new bar": ("", "Epoch {epoch}/90\n782/782 ━━━━ 12s 15ms/step - accuracy: {accuracy} - loss: {loss}"),
    "log of a detector": (
        "",
        "03:17:20 - mmengine - INFO - Epoch(train)  [{epoch}][{step}/7330]  lr: {lr}  eta: 1 day, 2:11:01  "
        "time: {time}  data_time: {data}  memory: {memory}  grad_norm: {norm}  loss: {loss}  loss_cls: {part}",
    ),
    "table of a detector": (
        "      Epoch    GPU_mem   box_loss   cls_loss   dfl_loss  Instances       Size",
        "      {epoch}/90      {gigabytes}G     {part}     {loss}     {part}        123        640: 100%|███| 25/25",
    ),
    "older table of a detector": (
        "     Epoch   gpu_mem       box       obj       cls    labels  img_size",
        "      {epoch}/89     {gigabytes}G     {part}     {loss}     {part}        31       640: 100%|███| 25/25",
    ),
    "notebook": ("Step\tTraining Loss", "{step}\t{loss}"),
    "table": ("epoch     train_loss  accuracy  time    ", "{epoch}         {loss}    {accuracy}  00:32     "),
    "bars": ("| epoch | train loss | accuracy |", "| {epoch} | {loss} | {accuracy} |"),
    "averages": ("", "Epoch: [{epoch}][{step}/5005]\tTime {time} ({time})\tData {data} ({data})\tLoss {loss} ({loss})"),
    "translation": (
        "",
        "2021-03-23 11:38:37 | INFO | train_inner | epoch {epoch}: {step} / 3560 loss={loss}, wps=30690.8, "
        "num_updates={step}, lr={lr}, gnorm={norm}, loss_scale={scale}, wall=30",
    ),
    "small language model": ("", "iter {step}: loss {loss}, time 351.22ms, mfu 31.20%"),
    "large language model": (
        "",
        " iteration {step}/ 500000 | elapsed time per iteration (ms): 351.2 | learning rate: {lr} | lm loss: {loss} | "
        "loss scale: {scale} | grad norm: {norm} | number of skipped iterations:   0 |",
    ),
    "comma-separated": ("epoch,step,train_loss,lr,grad_norm", "{epoch},{step},{loss},{lr},{norm}"),
    "records": ("", '{{"step": {step}, "epoch": {epoch}, "train_loss": {loss}, "lr": {lr}, "grad_norm": {norm}}}'),
    "sentence": ("", "Epoch {epoch}/50, Train Loss: {loss}, Train Acc: {accuracy}"),
    "words": ("", "Step {step} loss {loss} (lr {lr})"),
    "Chinese": ("", "第{epoch}轮 训练损失: {loss} 训练准确率: {accuracy}"),
}


def falling(i: int) -> float:
    return 2.3 * math.exp(-i / 6) * (1 + 0.03 * math.sin(3 * i))


COURSES = {
    "falls": (falling, {"healthy"}),
    "is nan from the beginning": (lambda i: math.nan, {"nan-bad-data", "nan-amp-overflow", "nan-domain-op"}),
    "jumps and is nan": (
        lambda i: falling(i) if i < 8 else 9.0 if i == 8 else 170.0 if i == 9 else math.nan,
        {"nan-lr-too-high", "nan-exploding-grad", "nan-amp-overflow"},
    ),
    "runs away": (lambda i: falling(i) if i < 6 else 2.3 * 3.0 ** (i - 5), {"nan-lr-too-high", "nan-exploding-grad"}),
    "sits at a guess": (lambda i: math.log(10) + 0.001 * math.sin(5 * i), {"not-learning-bug", "not-learning-lr"}),
    "turns": (
        lambda i: falling(2 * i) if i < 5 else 0.6 + 0.4 * (i - 5),
        {"nan-lr-too-high", "not-learning-lr"},
    ),
    "sinks below zero": (lambda i: -3.0 * 2.2**i, {"nan-bad-data", "nan-exploding-grad", "not-learning-bug"}),
}


def printed(name: str, losses: list[float]) -> str:
    """A log in the form `name`."""
    head, line = TEMPLATES[name]
    lines = [head] if head else []
    for i, loss in enumerate(losses):
        accuracy = 0.1 if loss != loss or loss > 2 else 0.1 + 0.07 * i
        values = {
            "loss": "NaN" if loss != loss and name == "records" else f"{loss:.4f}",
            "part": f"{0.4 * loss:.4f}",
            "epoch": i // 4,
            "step": 50 * (i + 1),
            "share": f"{(i + 1) / 8:.2f}",
            "accuracy": f"{accuracy:.4f}",
            "lr": "0.0001",
            "norm": f"{1.2 + 0.1 * math.sin(i):.4f}",
            "time": f"{0.35 + 0.01 * math.sin(i):.3f}",
            "data": "0.010",
            "memory": 8800,
            "gigabytes": "8.61",
            "scale": 65536,
        }
        lines.append(line.format(**values))
    return "\n".join(lines)


@pytest.mark.parametrize("course", COURSES)
@pytest.mark.parametrize("name", TEMPLATES)
def test_a_loss_that_goes_wrong_is_seen_in_every_printed_form(name: str, course: str) -> None:
    loss, wanted = COURSES[course]
    status, scored = judge(printed(name, [loss(i) for i in range(12)]))
    found = "healthy" if status == "healthy" else scored[0].cause if scored else status
    assert found in wanted


def test_a_flat_loss_late_in_training_is_no_failure() -> None:
    lines = [
        f" iteration {30000 + 50 * i}/ 500000 | learning rate: 1.0E-05 | lm loss: {0.21 + 0.001 * (i % 3):.4f} | "
        "number of skipped iterations:   0 |"
        for i in range(12)
    ]
    assert judge("\n".join(lines))[0] == "healthy"


def test_top_five_of_few_classes_is_no_constant_metric() -> None:
    lines = [
        f"Epoch: [80][{50 * i}/900]\tLoss {0.21 + 0.001 * (i % 3):.4f}\n * Acc@1 93.{i}20 Acc@5 100.000"
        for i in range(9)
    ]
    assert judge("\n".join(lines))[0] == "healthy"


def test_validation_that_is_named_after_the_loss_belongs_to_it() -> None:
    lines = [
        f"Epoch {i + 1} | iter {i * 391} | loss train: {2.3 * math.exp(-i / 3):.3f}, val: {1.1 + 0.1 * i:.3f} | 36 ms"
        for i in range(9)
    ]
    assert judge("\n".join(lines))[1][0].cause == "overfitting"


def test_a_message_that_ends_a_run_does_not_say_when_its_loss_went_wrong() -> None:
    raised = 'RuntimeError("loss became NaN")'
    log = f'  File "train.py", line 283, in train\n    raise {raised}\nRuntimeError: loss became NaN'
    best = judge(log)[1][0]
    assert best.cause == "nan-lr-too-high"
    assert best.probability < 0.6


def test_one_step_whose_gradient_overflowed_is_no_failure() -> None:
    norms = ["1.21", "1.30", "inf", "1.18", "1.25", "1.22", "1.19", "1.27"]
    lines = [
        f"{{'loss': {2.3 * math.exp(-i / 6):.4f}, 'grad_norm': {norm}, 'learning_rate': 0.0001}}"
        for i, norm in enumerate(norms)
    ]
    assert judge("\n".join(lines))[0] == "healthy"


def test_a_loss_next_to_nothing_beside_a_metric_of_zero_is_wrong_in_between() -> None:
    lines = [f"epoch:{200 + i}/300 - loss: {3.6e-5 - i * 1e-7:.4e} - acc: 0.0000e+00" for i in range(5)]
    assert judge("\n".join(lines))[1][0].cause in ("train-eval-gap", "metric-bug")


def test_accuracies_in_percent_do_not_exceed_one() -> None:
    lines = [f"Epoch {i}, loss {9.2 - 0.3 * i:.3f}, acc: {0.1 * i:.4f}%" for i in range(14)]
    assert judge("\n".join(lines))[0] == "healthy"
