"""Checklists: the likeliest and cheapest first, re-ordered by what the context says, in few words."""

import asyncio
import itertools
import json
from pathlib import Path

import pytest

import dlcoder.knowledge.checklists as data
from dlcoder.diagnosis.checklist import CheckItem, make_checklist
from dlcoder.errors import UserError
from dlcoder.knowledge.causes import load_causes
from dlcoder.knowledge.checklists import compile_checklists, load_cues, load_topics
from dlcoder.tools.base import Call
from dlcoder.tools.make_checklist import TOOL, MakeChecklistInput

TOPICS = list(load_topics())
PROMISED = {
    "nan": {"nan-lr-too-high", "nan-loss-unnormalized", "nan-amp-overflow", "nan-bad-data", "nan-domain-op"},
    "hang": {"ddp-dataloader-hang", "ddp-divergent-branch", "ddp-collective-mismatch", "ddp-unused-parameters"},
    "oom": {"oom-activations", "oom-model-states", "oom-leak", "host-oom"},
    "slow": {"perf-data-bound", "perf-sync", "perf-comm-bound", "perf-precision"},
    "not_learning": {"not-learning-bug", "not-learning-lr"},
    "irreproducible": {"irreproducible"},
    "crash": {"api-misuse", "dl-path", "env-config"},
}


def probability(items: list[CheckItem], cause: str) -> float:
    return next((item.probability for item in items if item.cause == cause), 0.0)


def test_the_compiled_checklists_are_what_the_yaml_file_says():
    compiled = Path(data.__file__).with_name("checklists.json").read_text(encoding="utf-8")
    assert json.loads(compiled) == json.loads(compile_checklists()), "run: python -m dlcoder.knowledge.checklists"


def test_topics_and_cues_name_only_known_causes():
    named = {cause for topic in load_topics().values() for cause in topic.shares}
    named |= {cause for cue in load_cues() for cause in cue.adds}
    assert named <= set(load_causes())


@pytest.mark.parametrize("topic", PROMISED)
def test_a_topic_holds_the_checks_that_are_promised_for_it(topic: str):
    assert PROMISED[topic] <= {item.cause for item in make_checklist(topic)[1]}


@pytest.mark.parametrize("topic", TOPICS)
def test_items_go_by_probability_over_cost_and_are_the_same_each_time(topic: str):
    items = make_checklist(topic, "DDP, fp16, 4 GPUs")[1]
    worth = [item.probability / item.cost for item in items]
    assert all(one >= two - 1e-4 for one, two in itertools.pairwise(worth))
    assert items == make_checklist(topic, "DDP, fp16, 4 GPUs")[1]
    assert 0.5 < sum(item.probability for item in items) <= 1.01


CONTEXTS = [
    ("nan", "training with fp16 autocast", "nan-amp-overflow"),
    ("nan", "混合精度训练", "nan-amp-overflow"),
    ("nan", "happens in bf16 even with a smaller lr, loss uses a log", "nan-domain-op"),
    ("nan", "attention with key padding mask", "nan-all-masked"),
    ("nan", "only with my own dataset, bounding boxes", "nan-bad-data"),
    ("hang", "end of epoch, IterableDataset, ranks have different lengths", "ddp-uneven-inputs"),
    ("hang", "单卡 也会卡住, num_workers=8", "ddp-dataloader-hang"),
    ("hang", "if rank == 0: evaluate and save", "ddp-divergent-branch"),
    ("hang", "two nodes, stuck in init_process_group", "dist-rdzv-unreachable"),
    ("hang", "tokenizing the dataset on rank 0 first", "ddp-slow-rank-timeout"),
    ("oom", "only in validation", "oom-eval"),
    ("oom", "显存 每步都涨, 几个小时后", "oom-leak"),
    ("oom", "7B model, also with batch size 1", "oom-model-states"),
    ("oom", "process killed with -9, RAM full", "host-oom"),
    ("oom", "docker container, dataloader workers die", "shm-too-small"),
    ("slow", "GPU utilization drops, JPEG decoding, num_workers=2", "perf-data-bound"),
    ("slow", "torch.compile with different lengths", "compile-recompile"),
    ("slow", "8 GPUs on 4 nodes are hardly faster than one", "perf-comm-bound"),
    ("not_learning", "simclr contrastive", "representation-collapse"),
    ("not_learning", "the scheduler with warmup", "not-learning-lr"),
    ("killed", "started over ssh, closed the laptop", "session-hangup"),
    ("killed", "slurm job with a queue limit", "time-limit"),
    ("environment", "after upgrading numpy", "env-numpy"),
    ("checkpoint", "after updating torch", "ckpt-weights-only"),
]


@pytest.mark.parametrize(("topic", "context", "cause"), CONTEXTS)
def test_context_raises_what_it_speaks_for(topic: str, context: str, cause: str):
    before, after = make_checklist(topic)[1], make_checklist(topic, context)[1]
    assert probability(after, cause) > probability(before, cause)
    likeliest = sorted(after, key=lambda item: -item.probability)
    assert cause in [item.cause for item in likeliest[:2]]


def test_a_single_process_rules_out_what_needs_several():
    items = make_checklist("hang", "single GPU")[1]
    assert items[0].cause == "ddp-dataloader-hang"
    assert probability(items, "ddp-divergent-branch") < 0.05


@pytest.mark.parametrize("given", ["NaN", "loss nan", "显存不足", "stuck", "not converging", "卡住", "慢"])
def test_common_words_for_a_topic_are_understood(given: str):
    assert make_checklist(given)[1]


@pytest.mark.parametrize(
    ("given", "near"), [("nans", "nan"), ("my run hangs", "hang"), ("irreproducable", "irreproducible")]
)
def test_an_unknown_topic_is_refused_with_the_nearest(given: str, near: str):
    with pytest.raises(UserError) as refused:
        make_checklist(given)
    assert f"Use '{near}'" in refused.value.next_step


def test_a_hopeless_topic_is_refused_with_the_choices():
    with pytest.raises(UserError, match="Choose one of nan, hang"):
        make_checklist("zzz\n" * 100)


@pytest.mark.parametrize("topic", TOPICS)
def test_the_text_stays_under_nine_hundred_tokens_and_names_commands(topic: str):
    answer = asyncio.run(TOOL.run(MakeChecklistInput(topic=topic, context=None), Call()))
    assert len(answer.text()) / 3.5 < 900
    assert "->" in answer.text()
    assert answer.text().count("\n") >= len(answer.items)
