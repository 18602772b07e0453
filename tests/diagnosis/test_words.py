"""What users say of a run, without a log that shows it."""

import pytest

from dlcoder.diagnosis.diagnose import diagnose, judge

SAID = {
    "After 3000 steps everything turns to NaN, clipping the LSTM's gradients is no help": "nan-exploding-grad",
    "The gradients get NaN now and then; the loss divides by the norm of each vector": "nan-domain-op",
    "A batch without any foreground pixels gives NaN": "nan-loss-unnormalized",
    "NaN whenever a sentence is nothing but padding": "nan-all-masked",
    "Lora 微调时grad_norm显示nan 用的是fp16": "nan-amp-overflow",
    "The loss went from 0.8 to 4000 all of a sudden": "nan-lr-too-high",
    "训练时loss一直不下降 准确率一直是0.1": "not-learning-bug",
    "The learning rate becomes 0 after five epochs": "not-learning-lr",
    "Host RAM piles up with every epoch until the process is gone; I append all predictions to a list": "oom-leak",
    "The first epoch is fine, then GPU memory explodes in validation": "oom-eval",
    "It pauses for ever in `for batch in train_loader` and does not continue": "ddp-dataloader-hang",
    "Once I call model.eval() the results are random": "train-eval-gap",
    "Each epoch takes ten times as long since I print every metric": "perf-sync",
    "加了一个新的loss之后 多卡训练卡住 单卡正常": "ddp-divergent-branch",
    "The discriminator's loss soon gets as low as 0.002 while the generator stays at 9": "representation-collapse",
    "The IoU exceeds 1 and the Dice loss becomes negative": "nan-bad-data",
    "The denominator of the recall is wrong, python 2 divides integers": "metric-bug",
    "损失变为nan, 我调小学习率也没有用": "nan-bad-data",
    "Evaluation afterwards does not match the accuracy of training": "train-eval-gap",
    "The model always predicts blanks, loss stops going down": "not-learning-bug",
    "I resume from the last checkpoint and the loss is as high as at the beginning": "ckpt-not-loaded",
    "GTX 1660 Ti: all losses are nan from the first epoch": "nan-amp-overflow",
    "The loader pauses for 40 seconds at the start of every epoch": "perf-data-bound",
    "16G内存只能跑到30个epoch就爆内存": "host-oom",
    "Images of one patient are in both training and validation, the scores overlap": "train-eval-gap",
    "Perplexity decreases for ten thousand steps, but then it rises again": "overfitting",
    "两台机器 启动之后一直卡住不动": "dist-rdzv-unreachable",
    "A few broken annotations seem to cause the nan": "nan-bad-data",
    "The learning rate is tiny, 3e-8, and the accuracy still is 0 after a dozen epochs": "not-learning-lr",
    "I ran it five times and the results are different, although I fix all seeds": "irreproducible",
    "The mIoU is suspiciously high, far better than in the paper": "metric-bug",
    "训练时准确率有95%, 但是单独预测的时候准确率很低": "train-eval-gap",
}


@pytest.mark.parametrize(("words", "cause"), SAID.items(), ids=SAID.values())
def test_a_complaint_leads_to_its_cause(words: str, cause: str) -> None:
    _, scored = judge("", words)
    assert cause in [entry.cause for entry in scored[:3]]


def test_data_that_was_checked_is_not_blamed() -> None:
    _, scored = judge("", "After 15000 steps the loss turned into nan, lr=1e-4; my data is clean")
    assert scored[0].cause == "nan-lr-too-high"


def test_memory_that_many_evaluations_eat_up_is_a_leak_and_a_first_one_that_does_not_fit_is_none() -> None:
    log = "RuntimeError: CUDA error: out of memory"
    _, late = judge(log, "It fills up after 140 epochs, I suspect a memory leak in the validation loop")
    _, first = judge(log, "Training fits, but it runs out of memory in the first validation")
    assert (late[0].cause, first[0].cause) == ("oom-leak", "oom-eval")


def test_words_alone_never_make_a_run_healthy() -> None:
    assert diagnose("", context="The code runs fine. I would like to understand why.").status == "unknown"


def test_what_the_log_shows_outweighs_what_is_said() -> None:
    log = "RuntimeError: mat1 and mat2 shapes cannot be multiplied (32x512 and 1024x10)"
    _, scored = judge(log, "I changed the learning rate and got NaN before")
    assert scored[0].cause == "shape-matmul"


def test_what_to_paste_fits_the_complaint() -> None:
    nan = diagnose("", context="The loss is NaN after some hundred steps").missing
    assert any("precision in use" in wanted for wanted in nan)
    hang = diagnose("", context="Training is stuck at the first batch with num_workers=4").missing
    assert any("py-spy" in wanted for wanted in hang)


@pytest.mark.parametrize("words", ["CUDA out of memory", "'CUDA out of memory'"])
def test_memory_that_a_change_spared_is_not_the_failure(words: str) -> None:
    _, scored = judge("", f"I halved the batch to avoid {words}, and now the accuracy is chance, the loss never falls")
    assert scored[0].cause in ("not-learning-bug", "not-learning-lr")


def test_a_step_skipped_now_and_then_is_no_failure() -> None:
    words = "Every few steps it says 'Gradient overflow. Skipping step, loss scaler 0 reducing loss scale to 65536.0'"
    assert judge("", words)[0] == "healthy"


def test_validation_that_goes_up_and_down_is_no_divergence() -> None:
    scored = judge("", "The training loss falls; the validation loss keeps increasing and decreasing, 0.3 to 0.4")[1]
    assert scored[0].cause == "overfitting"


def test_words_within_words_are_not_read() -> None:
    assert judge("", "Larger boxes somehow change the score by Zhang et al.")[1] == []
