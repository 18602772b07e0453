"""How a project's training is found: declared, hinted at, or by its name."""

import pytest

from dlcoder.errors import UserError
from dlcoder.sandbox.configs import PLACEHOLDER, config_leaves
from dlcoder.sandbox.entry import find_entry

TRAINS = "def train(): pass\nif __name__ == '__main__':\n    train()\n"


def make(folder, **files):
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def test_what_the_project_declares_wins(tmp_path):
    declared = '[tool.dlcoder.smoke]\nentry = "go.py"\nargs = ["--tiny"]\nresume = ["--tiny", "--resume"]\n'
    entry = find_entry(make(tmp_path, train_dot_py=TRAINS, go_dot_py="pass", pyproject_dot_toml=declared))
    assert (entry.path, entry.args, entry.resume, entry.declared) == (
        "go.py",
        ("--tiny",),
        ("--tiny", "--resume"),
        True,
    )


def test_a_declared_entry_that_does_not_exist_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"gone\.py"):
        find_entry(make(tmp_path, pyproject_dot_toml='[tool.dlcoder.smoke]\nentry = "gone.py"\n'))


def test_a_declared_entry_outside_the_project_is_refused(tmp_path):
    make(tmp_path, out_dot_py="pass", p__pyproject_dot_toml='[tool.dlcoder.smoke]\nentry = "../out.py"\n')
    with pytest.raises(UserError, match="outside"):
        find_entry(tmp_path / "p")


@pytest.mark.parametrize("name", ["train.py", "main.py", "scripts/train.py", "src/pkg/train.py", "pkg/train.py"])
def test_a_script_with_a_usual_name_is_found(tmp_path, name):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(TRAINS)
    assert find_entry(tmp_path).path == name


def test_the_readme_gives_the_arguments(tmp_path):
    make(
        tmp_path,
        train_dot_py=TRAINS,
        README_dot_md="Run\n```\npython train.py --epochs 2 --data DIR --out <dir>\n```\n",
    )
    assert find_entry(tmp_path).args == ("--epochs", "2", "--data", "DIR")


def test_the_makefile_names_an_unusual_script(tmp_path):
    make(tmp_path, fit_model_dot_py=TRAINS, other_dot_py=TRAINS, Makefile="train:\n\tpython fit_model.py --fast\n")
    entry = find_entry(tmp_path)
    assert (entry.path, entry.args) == ("fit_model.py", ("--fast",))


def test_no_script_or_several_are_errors_that_say_how_to_name_it(tmp_path):
    with pytest.raises(UserError, match=r"tool\.dlcoder\.smoke"):
        find_entry(tmp_path)
    make(tmp_path, a_dot_py=TRAINS, b_dot_py=TRAINS)
    with pytest.raises(UserError, match=r"a\.py, b\.py"):
        find_entry(tmp_path)


def test_every_leaf_of_a_configuration_file_has_a_template(tmp_path):
    make(tmp_path, conf__a_dot_yaml="optim:\n  lr: 0.1\n  name: sgd\n", b_dot_toml="[data]\nsize = 3  # small\n")
    leaves = config_leaves(tmp_path, ())
    assert [leaf["name"] for leaf in leaves["conf/a.yaml"]] == ["optim.lr", "optim.name"]
    assert leaves["b.toml"][0]["template"] == f"[data]\nsize = {PLACEHOLDER}  # small\n"
