"""A plan can answer its question, runs, survives a kill, and ends in the filled table."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import anyio
import jsonschema
import pytest
from mcp import Client

from dlcoder import cli
from dlcoder.errors import UserError
from dlcoder.experiments.goal import Goal
from dlcoder.experiments.launch import claimed
from dlcoder.experiments.parameters import parameters
from dlcoder.experiments.plan_text import markdown, risks
from dlcoder.experiments.planfiles import runs_of, write_plan
from dlcoder.experiments.planning import make_plan
from dlcoder.experiments.power import seeds_needed
from dlcoder.server import DlcoderServer, Options
from dlcoder.serving.roots import RootsPolicy

BASE: dict[str, Any] = {
    "question": "Does warmup help?",
    "task": "classification",
    "data": "digits",
    "metric": "val_acc",
    "factors": {"warmup": [0, 0.1], "ema": [False, True]},
}

TRAIN = """
import json, pathlib, random, sys, time
settings = dict(word.split("=") for word in sys.argv[2:])
folder = pathlib.Path(sys.argv[1])
with (folder / "starts.txt").open("a") as file:
    file.write("x")
draw = random.Random(str(settings))
w, target = draw.random(), 3.0
for step in range(20):
    w -= float(settings.get("lr", 0.05)) * 2 * (w - target)
    time.sleep(0.008)
acc = 1 / (1 + (w - target) ** 2) + (0.05 if settings.get("ema") == "true" else 0) + draw.random() * 1e-3
(folder / "metrics.jsonl").write_text(json.dumps({"step": 20, "val_acc": acc}) + "\\n")
"""


def planned(**changes: Any) -> Any:
    return make_plan(Goal.model_validate({**BASE, **changes}))


def test_the_control_changes_nothing_and_every_other_arm_what_is_declared() -> None:
    plan = planned(factors={"a": [0, 1], "b": [0, 1], "c": ["x", "y", "z"]})
    assert plan.arms[0].changes == {} and all(arm.changes for arm in plan.arms[1:])
    sizes = sorted(len(arm.changes) for arm in plan.arms)
    assert sizes == [0, 1, 1, 1, 1, 2, 2, 2, 3]  # one in for each level, all but one, all
    runs = runs_of(plan, Path("p"))
    assert len(runs) == len(plan.arms) * plan.seeds and len({run["id"] for run in runs}) == len(runs)
    block = runs[: len(plan.arms)]
    assert {run["seed"] for run in block} == {0} and len({run["arm"] for run in block}) == len(plan.arms)


def test_seeds_come_from_the_power_computation_and_the_budget_says_what_it_can_show() -> None:
    plan = planned(effect=0.02, sd=0.01, correlation=0.5)
    assert plan.seeds == seeds_needed(2.0, correlation=0.5, alpha=0.05 / 3)
    assert plan.reached >= 0.8 and plan.detectable <= 2.0
    poor = planned(effect=0.02, sd=0.01, gpu_hours=4.6 * 4, step_seconds=3.6, steps=1000)
    assert poor.seeds == 4 and poor.gpu_hours == pytest.approx(18.4)
    assert poor.detectable > 2.0 and any("may stay unseen" in warning for warning in poor.warnings)
    pilot = planned(effect=0.02, pilot=[0.70, 0.71, 0.72])
    assert pilot.sd == pytest.approx(0.01) and any("may truly be" in warning for warning in pilot.warnings)


def test_pairs_that_may_not_add_up_get_an_arm_of_their_own() -> None:
    factors = {"train.lr": [1, 2], "train.batch_size": [1, 2], "model.width": [1, 2], "ema": [False, True]}
    plan = planned(factors=factors)
    assert [set(arm.changes) for arm in plan.arms if arm.role == "pair"] == [
        {"train.lr", "train.batch_size"},
        {"train.lr", "ema"},
    ]
    named = planned(factors=factors, interactions=[["model.width", "ema"]])
    assert {"model.width", "ema"} in [set(arm.changes) for arm in named.arms] and "model.width x ema" in markdown(named)
    with pytest.raises(UserError, match="no pair of factors"):
        planned(factors=factors, interactions=[["ema", "absent"]])


def test_the_deadline_the_gpus_and_the_search_bound_the_seeds() -> None:
    cost = {"step_seconds": 3.6, "steps": 1000, "effect": 0.02, "sd": 0.01}  # one GPU hour a run
    plan = planned(**cost, deadline_hours=23, gpus=2)
    assert plan.hours_per_run == 2 and plan.budget == 46 and plan.seeds == 5
    tuned = planned(**cost, gpu_hours=46, tune={"lr": [0.01, 0.1]}, trials=6)
    assert tuned.seeds == 4 and tuned.gpu_hours == pytest.approx(46) and tuned.runs == 40
    over = planned(**cost, gpu_hours=1)
    assert over.seeds == 1 and "nothing can be claimed" in " ".join(over.warnings) and "It needs 4.6" in markdown(over)


def test_pilot_runs_give_the_spread_and_the_correlation(tmp_path: Path) -> None:
    for seed in range(6):
        for arm, shift in (("baseline", 0.0), ("new", 0.01)):
            folder = tmp_path / f"{arm}-seed{seed}"
            folder.mkdir()
            value = 0.7 + [0.01, 0.03, 0.02, 0.0, 0.04, 0.02][seed] + shift * (1 + seed % 2)
            (folder / "metrics.jsonl").write_text(json.dumps({"step": 1, "val_acc": value}) + "\n")
    goal = {**BASE, "pilot": str(tmp_path), "effect": 0.02, "constraints": ["one node"]}
    answer = anyio.run(call, tmp_path, "plan_experiment", {"goal": goal}).structured_content
    assert answer["seeds"]["sd"] == pytest.approx(0.01414, abs=1e-4) and 0.9 < answer["seeds"]["correlation"] < 0.95


def test_the_table_of_settings_says_what_may_favor_an_arm() -> None:
    plan = planned(settings={"warmup": 0, "ema": False, "train": {"lr": 0.001, "epochs": 10}})
    rows = {row["setting"]: row for row in parameters(plan)}
    assert rows["train.lr"]["kind"] == "nuisance" and rows["train.lr"]["range"] == "0.0001 to 0.01"
    assert rows["train.epochs"]["kind"] == "fixed" and rows["warmup"]["kind"] == "scientific"
    assert "train.lr tuned for the control alone" in " ".join(risks(plan))
    near = planned(settings={"train": {"warmup": 0, "ema": True}})
    assert any("did you mean train.warmup?" in warning for warning in near.warnings)


def test_what_is_left_out_is_a_stated_assumption() -> None:
    text = markdown(planned())
    for words in (
        "sd between seeds is unknown",
        "one standard deviation",
        "GPU hours are unknown",
        "of a dlcoder project",
        "Holm",
    ):
        assert words in text
    tuned = markdown(planned(tune={"train.lr": [1e-4, 1e-1]}))
    assert "| train.lr | nuisance | 0.0001 to 0.1 |  | log |" in tuned and "20 trials" in tuned
    assert "--set warmup=0.1 seed=0 --run-dir" in " ".join(runs_of(planned(), None)[1]["argv"])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"question": "Guarantee 95 % accuracy"}, "No plan can promise a score.*80% power"),
        ({"task": None, "metric": None}, "Missing in goal: task, metric"),
        ({"factors": {"a": [1]}}, "two different levels"),
        ({"baseline": "python x.py {seed}"}, "passes no settings on"),
        ({"tune": {"lr": [1.0, 0.1]}}, r"\[low, high\]"),
        ({"pilot": [0.5, 0.5]}, "all equal"),
    ],
)
def test_what_cannot_be_planned_is_refused_with_what_can(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        planned(**changes)


def test_a_paper_is_held_against_the_project() -> None:
    plan = planned(paper={"lr": 0.1, "epochs": 90, "warmup": "?"}, settings={"lr": 0.01, "epochs": 90, "warmup": 5})
    text = markdown(plan)
    assert "| lr | 0.1 | 0.01 | DIFFERS |" in text and "| epochs | 90 | 90 | same |" in text
    assert "not reported" in text and "Tolerance" in text


def test_a_paper_alone_is_a_plan_to_reproduce_it() -> None:
    plan = planned(
        factors={}, paper={"lr": 0.1, "val_acc": 0.763}, settings={"train": {"lr": 0.1}}, sd=0.01, tolerance=0.01
    )
    text = markdown(plan)
    assert [arm.name for arm in plan.arms] == ["control"] and plan.seeds == seeds_needed(1.0, correlation=0.5)
    assert "the paper's val_acc 0.763" in text and "| lr | 0.1 | 0.1 | same |" in text
    assert "widened by the tolerance (0.01)" in text and "UNKNOWN" not in text


async def call(root: Path, name: str, arguments: dict[str, Any]) -> Any:
    async with Client(DlcoderServer(Options(RootsPolicy((root,))))) as client:
        schema = next(tool for tool in (await client.list_tools()).tools if tool.name == name).output_schema
        result = await client.call_tool(name, arguments)
        assert not result.is_error, result.content[0].text
        jsonschema.validate(result.structured_content, schema)
        assert len(json.dumps(result.structured_content)) / 4 < 4000
        return result


def finished(folder: Path) -> list[Path]:
    records = folder.glob("runs/*/arm.json")
    return [record.parent for record in records if '"finished"' in record.read_text()]


def test_a_plan_runs_is_killed_goes_on_and_ends_in_the_filled_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.py").write_text(TRAIN)
    goal = {
        **BASE,
        "factors": {"lr": [0.05, 0.1], "ema": [False, True]},
        "baseline": f"python {tmp_path / 'train.py'} {{run_dir}} {{overrides}} seed={{seed}}",
        "seeds": 3,
        "path": "plan",
    }
    answer = anyio.run(call, tmp_path, "plan_experiment", {"goal": goal})
    folder = tmp_path / "plan"
    assert "dlcoder plan run" in answer.content[0].text and len(list(folder.glob("configs/*.json"))) == 12

    command = [sys.executable, "-m", "dlcoder", "plan", "run", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 60
        while len(finished(folder)) < 4 and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    done = finished(folder)
    assert 4 <= len(done) < 12
    assert cli.main(["plan", "run", str(folder)]) == 0
    assert "12 of 12 runs are done" in capsys.readouterr().out and len(finished(folder)) == 12
    assert all((run / "starts.txt").read_text() == "x" for run in done), "a run that was done ran again"

    results = anyio.run(call, tmp_path, "summarize_runs", {"paths": ["plan/runs"], "metric": "val_acc"})
    data = results.structured_content
    assert data["baseline"] == "control" and [arm["n"] for arm in data["arms"]] == [3, 3, 3, 3]
    assert all(arm.get("p_holm") is not None for arm in data["arms"][1:]) and "Better than control" in data["verdict"]
    assert [part.type for part in results.content] == ["text", "image", "resource_link", "resource_link"]


def test_a_run_that_fails_is_reported_and_tried_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flag = tmp_path / "flag"
    code = f"import sys, os; sys.exit(0 if os.path.exists({str(flag)!r}) else 3)"
    runs = [{"id": "a", "arm": "control", "seed": 0, "control": True, "changes": {}, "argv": ["python", "-c", code]}]
    (tmp_path / "plan.json").write_text(json.dumps({"cwd": str(tmp_path), "runs": runs}))
    assert cli.main(["plan", "run", str(tmp_path)]) == 1
    assert "Failed: a" in capsys.readouterr().out
    record = json.loads((tmp_path / "runs" / "a" / "arm.json").read_text())
    assert (record["status"], record["exit_status"], record["starts"]) == ("failed", 3, 1)
    flag.touch()
    assert cli.main(["plan", "run", str(tmp_path)]) == 0
    assert json.loads((tmp_path / "runs" / "a" / "arm.json").read_text())["starts"] == 2
    assert cli.main(["plan", "run", str(tmp_path / "absent")]) == 2


def test_a_job_array_runs_one_each_and_a_run_of_another_worker_is_left_to_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = [
        {"id": name, "arm": name, "seed": 0, "control": False, "changes": {}, "argv": ["python", "-c", "pass"]}
        for name in ("a", "b")
    ]
    (tmp_path / "plan.json").write_text(json.dumps({"cwd": str(tmp_path), "runs": runs}))
    assert cli.main(["plan", "run", str(tmp_path), "--only", "2"]) == 0
    assert [path.name for path in finished(tmp_path)] == ["b"]
    with claimed(tmp_path / "runs" / "a") as ours:
        assert ours is not None and cli.main(["plan", "run", str(tmp_path)]) == 0
    assert "Other workers are at a" in capsys.readouterr().out and len(finished(tmp_path)) == 1
    assert cli.main(["plan", "run", str(tmp_path), "--only", "3"]) == 2


def test_a_plan_on_several_gpus_starts_torchrun_and_writes_a_job_array(tmp_path: Path) -> None:
    write_plan(planned(gpus=4, seeds=3, step_seconds=1.0, steps=3600), tmp_path / "plan")
    lines = (tmp_path / "plan" / "commands.sh").read_text().splitlines()
    assert len(lines) == 13 and lines[1].startswith("torchrun --standalone --nproc-per-node 4 train.py --config")
    batch = (tmp_path / "plan" / "array.sbatch").read_text()
    assert "--array=1-12" in batch and "--gpus-per-node=4" in batch and "--time=2:15:00" in batch
    assert subprocess.run(["bash", "-n"], input=batch, text=True, check=False).returncode == 0
    with pytest.raises(UserError, match="not empty"):
        write_plan(planned(), tmp_path / "plan")


def test_settings_reach_programs_that_take_flags_or_a_file(tmp_path: Path) -> None:
    flags = planned(
        baseline="train {flags} --seed={seed} --out {run_dir}", factors={"ema": [False, True], "lr": [1, 2]}
    )
    assert runs_of(flags, tmp_path)[3]["argv"][:4] == ["train", "--ema", "--lr", "2"]
    assert runs_of(flags, tmp_path)[0]["argv"] == ["train", "--seed=0", "--out", str(tmp_path / "runs" / "arm0-seed0")]
    whole = planned(baseline="python x.py --config {config}")
    assert runs_of(whole, tmp_path)[0]["argv"][-1] == str(tmp_path / "configs" / "arm0-seed0.json")


SAVING = """
import pathlib, signal, sys, time
log = pathlib.Path(sys.argv[1]) / "times.txt"

def note(word):
    with log.open("a") as file:
        file.write(word + "\\n")

def save(*_):
    time.sleep(0.7)
    note("saved")
    sys.exit(143)

signal.signal(signal.SIGTERM, save)
note("begun")
for _ in range(5 if "saved" in log.read_text() else 600):
    time.sleep(0.05)
note("done")
"""


@pytest.mark.parametrize("kill", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "told to end"])
def test_a_run_whose_worker_is_gone_may_save_before_it_is_begun_again(tmp_path: Path, kill: signal.Signals) -> None:
    (tmp_path / "train.py").write_text(SAVING)
    argv = ["python", "train.py", str(tmp_path / "runs" / "a")]
    runs = [{"id": "a", "arm": "control", "seed": 0, "control": True, "changes": {}, "argv": argv}]
    (tmp_path / "plan.json").write_text(json.dumps({"cwd": str(tmp_path), "runs": runs}))
    times = tmp_path / "runs" / "a" / "times.txt"
    command = [sys.executable, "-m", "dlcoder", "plan", "run", str(tmp_path)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 30
        while not times.exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(kill)
        said = process.communicate()[1]
    assert ("The same command goes on" in said) == (kill == signal.SIGTERM)
    assert cli.main(["plan", "run", str(tmp_path)]) == 0
    assert times.read_text().split() == ["begun", "saved", "begun", "done"], "never two at once"
