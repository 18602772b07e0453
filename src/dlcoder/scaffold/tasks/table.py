"""All tasks, by the word that names their files."""

from dlcoder.scaffold.task import Task
from dlcoder.scaffold.tasks.classification import CLASSIFICATION

TASKS: dict[str, Task] = {
    "classification": CLASSIFICATION,
}
