"""Runs of every origin become one table, and every reason to doubt it is named."""

import csv
import io
import json
import random
import struct
import time
from pathlib import Path
from typing import Any

import pytest
from torch.utils.tensorboard import SummaryWriter

from dlcoder.errors import UserError
from dlcoder.experiments.arms import group
from dlcoder.experiments.metrics import lower_is_better
from dlcoder.experiments.report import make_report
from dlcoder.experiments.runs import Run
from dlcoder.experiments.summary import Summary, summarize

SEEDS = range(6)


def value(arm: str, seed: int) -> float:
    return (
        0.7
        + 0.01 * random.Random(seed).random()
        + (0.02 if arm == "new" else 0)
        + 0.002 * random.Random(f"{arm}{seed}").random()
    )


def curve(arm: str, seed: int) -> list[tuple[int, float]]:
    return [(step, value(arm, seed) * step / 100) for step in range(10, 101, 10)]


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def lines(rows: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def project(folder: Path, arm: str, seed: int, **config: Any) -> None:
    losses = [{"step": s, "loss_total": 2 / s, "time_iter": 36.0, "max_mem": 500.0 + seed} for s, _ in curve(arm, seed)]
    write(folder / "metrics.jsonl", lines(losses))
    write(folder / "eval.jsonl", lines([{"step": s, "epoch": 0, "metric_accuracy": v} for s, v in curve(arm, seed)]))
    settings = {"seed": seed, "train": {"lr": 0.01 if arm == "new" else 0.001, **config}}
    write(folder / "config.yaml", json.dumps(settings))
    write(
        folder / "run.json",
        json.dumps({"seed": seed, "git": {"commit": "abc"}, "packages": {"torch": "2.13"}, "gpus": []}),
    )


def projects(root: Path) -> None:
    for arm in ("old", "new"):
        for seed in SEEDS:
            project(root / f"{arm}-{seed}", arm, seed)


def jsonl(root: Path) -> None:
    for arm in ("old", "new"):
        for seed in SEEDS:
            write(root / arm / f"seed{seed}.jsonl", lines([{"step": s, "val/acc": v} for s, v in curve(arm, seed)]))


def nested_folders(root: Path) -> None:
    for arm in ("old", "new"):
        for seed in SEEDS:
            folder = root / f"seed_{seed}" / arm
            write(folder / "train_log.jsonl", lines([{"step": s, "loss": 1.0} for s, _ in curve(arm, seed)]))
            write(folder / "validation.csv", "epoch,acc\n" + "".join(f"{s},{v!r}\n" for s, v in curve(arm, seed)))
            write(folder / "args.json", json.dumps({"seed": seed, "method": arm}))


def single_logs(root: Path) -> None:
    for arm in ("old", "new"):
        for seed in SEEDS:
            rows = [{"step": s, "val": {"acc": v}} for s, v in curve(arm, seed)]
            write(root / arm / f"seed_{seed}" / "train.jsonl", lines(rows))


def lightning(root: Path) -> None:
    for arm in ("old", "new"):
        for seed in SEEDS:
            folder = root / arm / "lightning_logs" / f"version_{seed}"
            rows = "".join(f"0,{s},{v!r},\n0,{s},,0.5\n" for s, v in curve(arm, seed))
            write(folder / "metrics.csv", "epoch,step,val_acc,train_loss\n" + rows)
            write(folder / "hparams.yaml", f"seed: {seed}\nlr: {0.01 if arm == 'new' else 0.001}\n")


def hugging_face(root: Path) -> None:
    for arm in ("old", "new"):
        for seed in SEEDS:
            history = [{"step": s, "epoch": s / 50, "eval_accuracy": v, "eval_loss": 1.0} for s, v in curve(arm, seed)]
            for step in (50, 100):
                state = {"global_step": step, "log_history": history[: step // 10]}
                write(root / f"{arm}-seed{seed}" / f"checkpoint-{step}" / "trainer_state.json", json.dumps(state))


def tensorboard(root: Path) -> None:
    for arm in ("old", "new"):
        for seed in SEEDS:
            with SummaryWriter(str(root / f"{arm}_s{seed}")) as writer:
                for s, v in curve(arm, seed):
                    writer.add_scalar("val/accuracy", v, s)
                    writer.add_scalar("train/loss", 1.0, s, new_style=True)


def varint(number: int) -> bytes:
    low, rest = number & 127, number >> 7
    return bytes([low | 128]) + varint(rest) if rest else bytes([low])


def message(number: int, *parts: bytes) -> bytes:
    """A field of a protocol buffer that holds a text or another message."""
    body = b"".join(parts)
    return varint(number << 3 | 2) + varint(len(body)) + body


def item(key: str, value: Any) -> bytes:
    names = [message(2, part.encode()) for part in key.split("/")] if "/" in key else [message(1, key.encode())]
    return message(1, *names, message(16, json.dumps(value).encode()))


def wandb_file(records: list[bytes]) -> bytes:
    """LevelDB's log: pieces in blocks of 32 KiB."""
    data = b":W&B\xe1\xbe\x00"
    for record in records:
        first = True
        while record or first:
            room = 32768 - len(data) % 32768
            if room < 7:
                data, room = data + b"\0" * room, 32768
            piece, record = record[: room - 7], record[room - 7 :]
            kind = (1 if not record else 2) if first else (4 if not record else 3)
            data += struct.pack("<IHB", 0, len(piece), kind) + piece
            first = False
    return data


def wandb(root: Path) -> None:
    for arm in ("old", "new"):
        for seed in SEEDS:
            lr = 0.01 if arm == "new" else 0.001
            config = [item("lr", lr), item("seed", seed), item("_wandb", {"t": {"1": [seed]}})]
            records = [message(17, message(1, b"abc"), message(4, *config), message(8, f"{arm}-{seed}".encode()))]
            for s, v in curve(arm, seed):
                step = message(2, b"\x08" + varint(s))
                row = [item("val/acc", v), item("_runtime", 3.6 * s), item("note", "x" * 5000)]
                records.append(message(2, *row, step))
            records.append(varint(18 << 3 | 2) + b"\x02\x08\x00")
            folder = root / "wandb" / f"offline-run-2026_{arm}{seed}"
            folder.mkdir(parents=True)
            (folder / f"run-{arm}{seed}.wandb").write_bytes(wandb_file(records))
    (root / "wandb" / "latest-run").symlink_to("offline-run-2026_new5")


def wandb_summaries(root: Path) -> None:
    for arm in ("old", "new"):
        for seed in SEEDS:
            files = root / "wandb" / f"run-2026_{arm}{seed}" / "files"
            write(
                files / "wandb-summary.json", json.dumps({"val_acc": value(arm, seed), "_runtime": 360.0, "_step": 9})
            )
            lr = 0.01 if arm == "new" else 0.001
            write(
                files / "config.yaml", f"lr:\n  value: {lr}\nseed:\n  value: {seed}\n_wandb:\n  value: {{a: {seed}}}\n"
            )


def table(root: Path) -> None:
    rows = "".join(f"{arm},{seed},{value(arm, seed)!r}\n" for arm in ("old", "new") for seed in SEEDS)
    write(root / "results.csv", "method,seed,test_acc\n" + rows)


WRITERS = [
    projects,
    jsonl,
    nested_folders,
    single_logs,
    lightning,
    hugging_face,
    tensorboard,
    wandb,
    wandb_summaries,
    table,
]


def test_a_run_of_wandb_that_was_killed_or_failed_is_said_to_be(tmp_path: Path) -> None:
    wandb(tmp_path)
    path = tmp_path / "wandb" / "offline-run-2026_new1" / "run-new1.wandb"
    path.write_bytes(path.read_bytes()[:-20])
    path = tmp_path / "wandb" / "offline-run-2026_new2" / "run-new2.wandb"
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    summary = summarize([tmp_path], "lr=0.001", None)
    assert summary.runs == 12 and sorted(summary.rows[1].values) == [0, 3, 4, 5]
    assert warned(summary, "new1 unfinished", "it never ended") and warned(summary, "new2 crashed", "exit status 1")
    assert len(summary.rows[0].arm.runs[0].series["val.acc"].values) == 10


@pytest.mark.parametrize("writer", WRITERS, ids=lambda writer: writer.__name__)
def test_runs_of_every_origin_give_the_same_table(writer: Any, tmp_path: Path) -> None:
    writer(tmp_path)
    names = ("method=old", "method=new") if writer is nested_folders else ("old", "new")
    names = names if writer not in (projects, lightning, wandb, wandb_summaries) else ("lr=0.001", "lr=0.01")
    summary = summarize([tmp_path], names[0], None)
    control, other = summary.rows
    assert (control.arm.name.partition("/")[0], other.arm.name.partition("/")[0]) == names
    assert [sorted(row.values) for row in summary.rows] == [list(SEEDS)] * 2
    digits = 1e-6 if writer is tensorboard else 1e-12
    assert control.mean == pytest.approx(sum(value("old", s) for s in SEEDS) / 6, abs=digits)
    assert other.comparison and other.comparison.test == "paired t" and other.p_holm is not None
    expected = sum(value("new", s) - value("old", s) for s in SEEDS) / 6
    assert other.comparison.difference == pytest.approx(expected, abs=2 * digits) and other.p_holm < 0.001
    assert not summary.lower and not [w for w in summary.warnings if "other seeds" in w]


def output(root: Path, baseline: str | None = None, form: str = "markdown") -> dict[str, Any]:
    return make_report([root], baseline, None, form).fields


def test_the_tables_come_in_every_form_with_cost_and_picture(tmp_path: Path) -> None:
    projects(tmp_path)
    report = make_report([tmp_path], "lr=0.001", None, "markdown")
    fields, image = report.fields, report.picture
    assert fields["verdict"].startswith("Better than lr=0.001: lr=0.01")
    assert (
        "| arm | n | mean | sd | 95 % CI | bootstrap CI | diff |" in fields["table"]
        and "0.6 | 505 |" in fields["table"]
    )
    assert "train.lr" in fields["ablation"] and "best of 3" in fields["stability"]
    assert image is not None and image.startswith(b"\x89PNG")
    rows = list(csv.DictReader(io.StringIO(output(tmp_path, "lr=0.001", "csv")["table"])))
    assert float(rows[1]["mean"]) == pytest.approx(sum(value("new", s) for s in SEEDS) / 6, abs=1e-12)
    latex = output(tmp_path, "lr=0.001", "latex")["table"]
    assert latex.startswith(r"\begin{tabular}") and r"95 \% CI" in latex and latex.count(r"\\") == 3


def warned(summary: Summary, *words: str) -> bool:
    return any(all(word in warning for word in words) for warning in summary.warnings)


def test_what_failed_was_resumed_or_differs_is_named(tmp_path: Path) -> None:
    projects(tmp_path)
    write(tmp_path / "new-0" / "error_rank0.txt", "Traceback\nRuntimeError: CUDA out of memory\n")
    write(
        tmp_path / "new-1" / "metrics.jsonl", lines([{"step": 1, "loss_total": 1.0}, {"step": 2, "loss_total": None}])
    )
    write(tmp_path / "new-2" / "run-2.json", "{}")
    project(tmp_path / "new-3", "new", 3)
    record = json.loads((tmp_path / "new-3" / "run.json").read_text())
    write(tmp_path / "new-3" / "run.json", json.dumps({**record, "git": {"commit": "def"}}))
    summary = summarize([tmp_path], "lr=0.001", None)
    assert warned(summary, "new-0 crashed", "CUDA out of memory") and warned(summary, "new-1 diverged", "from step 2")
    assert warned(summary, "resumed", "new-2") and warned(summary, "Runs differ in commit")
    assert warned(summary, "its runs differ in commit") and warned(summary, "ran with other seeds", "n = 4")
    assert summary.rows[1].comparison and summary.rows[1].comparison.n == 4


def test_a_run_that_ended_before_its_others_is_named(tmp_path: Path) -> None:
    jsonl(tmp_path)
    path = tmp_path / "new" / "seed2.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:4]))
    summary = summarize([tmp_path], "old", None)
    assert warned(summary, "new/seed2.jsonl at step 40", "stopped early, or killed")


@pytest.mark.parametrize(
    "name", ["val_mse", "test/mae", "wer", "eval_loss", "FID", "top1_error", "bits/bpb", "val/ece"]
)
def test_less_is_better_of_what_measures_errors(name: str) -> None:
    assert lower_is_better(name)


@pytest.mark.parametrize(
    "name", ["accuracy", "mAP", "transfer", "fidelity", "f1_macro", "bleu", "dice", "interval_hits"]
)
def test_more_is_better_of_what_measures_success(name: str) -> None:
    assert not lower_is_better(name)


@pytest.mark.parametrize(
    ("names", "arms"),
    [
        (["lr0.1-seed0", "lr0.1-seed1", "lr0.01-seed0"], ["lr0.1", "lr0.01"]),
        (["resnet18", "resnet50"], ["resnet18", "resnet50"]),
        (["seed_1/base", "seed_2/base", "seed_1/new"], ["base", "new"]),
        (["base/version_0", "base/version_1", "new_run2", "new_run3"], ["base", "new"]),
        (["a-1.jsonl", "a-2.jsonl", "b.jsonl"], ["a", "b"]),
    ],
)
def test_names_tell_repetitions_from_arms(names: list[str], arms: list[str]) -> None:
    assert [arm.name for arm in group([Run(name, "log") for name in names])] == arms


def test_one_seed_is_never_a_finding(tmp_path: Path) -> None:
    project(tmp_path / "a", "old", 0)
    project(tmp_path / "b", "new", 0)
    fields = output(tmp_path, "lr=0.001")
    assert fields["verdict"].startswith("No arm differs") and "95 % CI" not in fields["table"]
    assert any("no finding" in warning for warning in fields["warnings"])


def test_arms_that_equal_the_control_or_change_much_are_doubted(tmp_path: Path) -> None:
    for seed in SEEDS:
        project(tmp_path / f"a{seed}", "old", seed)
        project(tmp_path / f"b{seed}", "old", seed, ema=True)
        project(tmp_path / f"c{seed}", "new", seed, ema=False)
    summary = summarize([tmp_path], "lr=0.001, ema=None", None)
    assert warned(summary, "equals the control at every seed")
    assert warned(summary, "changes 2 settings at once", "train.lr", "train.ema")


def test_what_is_missing_is_said_with_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        summarize([tmp_path / "absent"], None, None)
    with pytest.raises(UserError, match="no run in"):
        summarize([tmp_path], None, None)
    projects(tmp_path)
    with pytest.raises(UserError, match=r"logged 'bleu'.*eval/metric_accuracy"):
        summarize([tmp_path], None, "bleu")
    with pytest.raises(UserError, match=r"fits no arm.*'lr=0.001'"):
        summarize([tmp_path], "absent", None)
    assert summarize([tmp_path], None, "loss_total").lower
    assert not summarize([tmp_path], None, "loss_total:max@best").lower


def test_long_logs_are_scanned_to_the_same_numbers_and_fast(tmp_path: Path) -> None:
    rows = [
        {"step": s, "loss": 1 / (s + 1), "val_acc": s / 10_000, "lr": 1e-3, "time_iter": 0.1, "note": "x"}
        for s in range(10_000)
    ]
    rows[5000]["loss"] = None
    for seed in range(10):
        write(tmp_path / f"a_s{seed}" / "metrics.jsonl", lines(rows))
    started = time.perf_counter()
    (row,) = summarize([tmp_path], None, None).rows
    assert time.perf_counter() - started < 5
    assert set(row.values.values()) == {0.9999}
    series = row.arm.runs[0].series["loss"]
    assert (series.bad, series.first_bad, series.count) == (1, 5000, 10_000)
    assert row.arm.runs[0].hours == pytest.approx(1000 / 3600)


@pytest.mark.parametrize("metric", [None, "val_acc"])
def test_evaluations_that_are_rare_in_a_long_log_are_found(tmp_path: Path, metric: str | None) -> None:
    for seed in range(3):
        rows = [
            {"step": s, "loss": 1.0, "lr": 0.1, **({"val_acc": s + seed} if s % 1000 == 999 else {})}
            for s in range(9000)
        ]
        write(tmp_path / f"a_s{seed}" / "metrics.jsonl", lines(rows))
    summary = summarize([tmp_path], None, metric)
    assert summary.metric == "val_acc" and sorted(summary.rows[0].values.values()) == [8999, 9000, 9001]
    assert summary.rows[0].arm.runs[0].series["val_acc"].count == 9
