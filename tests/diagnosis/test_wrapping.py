"""A traceback means the same whatever a collector or copying has put around it."""

import html
import json
from collections.abc import Callable

import pytest

from dlcoder.diagnosis.diagnose import diagnose
from dlcoder.diagnosis.lines import make_lines
from dlcoder.diagnosis.tracebacks import find_exceptions
from dlcoder.diagnosis.wrapping import unfold, without_prefixes

TRACEBACK = """\
Traceback (most recent call last):
  File "/app/train.py", line 40, in <module>
    for batch in train_loader:
  File "/usr/lib/python3.10/site-packages/torch/utils/data/_utils/fetch.py", line 51, in fetch
    data = [self.dataset[idx] for idx in possibly_batched_index]
  File "/app/coco_dataset.py", line 88, in __getitem__
    label = self.class_to_idx[annotation["category"]]
KeyError: 'bicycle'"""


def before_each(prefix: str) -> Callable[[str], str]:
    return lambda text: "\n".join(prefix + line for line in text.split("\n"))


def numbered(form: str) -> Callable[[str], str]:
    return lambda text: "\n".join(form.format(i, line) for i, line in enumerate(text.split("\n"), 8))


def records(key: str) -> Callable[[str], str]:
    return lambda text: "\n".join(json.dumps({key: f"{line}\n", "stream": "stderr"}) for line in text.split("\n"))


WRAPPINGS: dict[str, Callable[[str], str]] = {
    "srun -l": before_each(" 3: "),
    "kubectl logs --prefix": before_each("[pod/train-worker-2/pytorch] "),
    "kubectl logs --prefix --timestamps": before_each("[pod/train-worker-2/torch] 2025-03-01T10:11:12.123456789Z "),
    "stern": before_each("train-worker-2 pytorch "),
    "docker compose": before_each("trainer-1  | "),
    "docker's own records": records("log"),
    "one record a line": records("message"),
    "one record in all": lambda text: json.dumps({"level": "ERROR", "msg": text}),
    "Ray": before_each("\x1b[36m(RayTrainWorker pid=4123, ip=10.0.0.7)\x1b[0m "),
    "DeepSpeed on several hosts": before_each("worker-3: "),
    "pdsh": before_each("10.0.0.3: "),
    "mpirun 5": before_each("[prterun-n1-44@1,5]<stderr>: "),
    "Lightning": before_each("[rank: 1] "),
    "TorchX": before_each("trainer/0 "),
    "loguru": before_each("2024-01-01 10:00:00.000 | ERROR    | __main__:main:12 - "),
    "OpenMMLab": before_each("2024-01-01 10:00:00,000 - mmengine - ERROR - "),
    "journald": before_each("Jan 01 10:00:00 gpu01 python[4123]: "),
    "CloudWatch": before_each("2025-01-01T10:00:00.000+00:00 algo-1-abcde "),
    "Airflow": before_each("[2024-01-01, 10:00:00 UTC] {{subprocess.py:93}} INFO - "),
    "wandb's console": before_each("wandb: "),
    "PowerShell": before_each("python.exe : "),
    "colors whose escapes were lost": before_each("[31m"),
    "an editor's line numbers": numbered("{:>4}  {}"),
    "grep -n": numbered("{}:{}"),
    "nohup": lambda text: f"nohup: ignoring input\n{text}",
    "HTML entities": html.escape,
    "a page's source": lambda text: f"<pre>{html.escape(text).replace('  ', '&nbsp;&nbsp;')}</pre>",
    "breaks of HTML": lambda text: text.replace("\n", "<br>"),
    "escaped line breaks": lambda text: text.replace("\n", "\\n").replace('"', '\\"'),
    "a list of lines": lambda text: repr(text.split("\n")),
    "no line breaks": lambda text: " ".join(line.strip() for line in text.split("\n")),
}


@pytest.mark.parametrize("wrap", WRAPPINGS.values(), ids=WRAPPINGS)
def test_a_traceback_is_understood_in_any_wrapping(wrap: Callable[[str], str]) -> None:
    found = diagnose(wrap(TRACEBACK))
    assert found.hypotheses[0].cause == "dl-label-format"
    assert found.hypotheses[0].probability > 0.7


def test_processes_that_a_collector_interleaves_are_read_one_by_one() -> None:
    other = TRACEBACK.replace("KeyError: 'bicycle'", "ValueError: nothing to unpack")
    pairs = zip(TRACEBACK.split("\n"), other.split("\n"), strict=True)
    text = "\n".join(f"train-0 torch {a}\ntrain-1 torch {b}" for a, b in pairs)
    raised = find_exceptions(without_prefixes(list(make_lines(text, "log"))))
    assert [(one.name, len(one.frames)) for one in raised] == [("KeyError", 3), ("ValueError", 3)]


def test_a_progress_bar_before_a_traceback_is_no_prefix() -> None:
    text = f"  3%|▎         | 31/1000 [00:12<06:10,  2.61it/s]{TRACEBACK}"
    lines = list(make_lines(text, "log"))
    assert without_prefixes(lines) == lines


def test_a_record_of_metrics_stays_as_it_is() -> None:
    line = '{"step": 10, "loss": 0.5, "log": null}'
    assert unfold(line) == line
