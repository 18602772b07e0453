"""Tracebacks: whose code a frame is."""

import pytest

from dlcoder.diagnosis.lines import make_lines
from dlcoder.diagnosis.tracebacks import find_exceptions

FILES = {
    "/opt/env/lib/python3.10/site-packages/transformers/trainer.py": "transformers",
    "/usr/lib/python3/dist-packages/torch/nn/functional.py": "torch",
    r"C:\env\Lib\site-packages\torch\serialization.py": "torch",
    "lib/python3.12/site-packages/accelerate/launchers.py": "accelerate",
    "/usr/lib/python3.10/multiprocessing/queues.py": "multiprocessing",
    "/home/me/project/train.py": "",
}


@pytest.mark.parametrize(("file", "library"), FILES.items())
def test_the_package_of_a_frame_is_read_off_its_path(file: str, library: str) -> None:
    text = f'Traceback (most recent call last):\n  File "{file}", line 3, in run\n    step()\nValueError: no'
    (raised,) = find_exceptions(list(make_lines(text, "log")))
    assert raised.frames[0].library == library


def test_looking_an_attribute_up_is_not_the_deepest_frame() -> None:
    text = (
        'Traceback (most recent call last):\n  File "train.py", line 3, in main\n    model.module.eval()\n'
        '  File "/e/lib/python3.9/site-packages/torch/nn/modules/module.py", line 1130, in __getattr__\n'
        "    raise AttributeError(type(self).__name__)\nAttributeError: 'Net' object has no attribute 'module'"
    )
    (raised,) = find_exceptions(list(make_lines(text, "log")))
    assert raised.deepest
    assert raised.deepest.file == "train.py"
