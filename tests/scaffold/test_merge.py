"""Three versions of a file become one, and nothing that either side wrote is lost."""

import random

import pytest

from dlcoder.scaffold.merge import MARKS, merge

BASE = "a\nb\nc\nd\ne\nf\n"


def merged(path: str, base: str, ours: str, theirs: str) -> tuple[str, list[str]]:
    result = merge(path, base.encode(), ours.encode(), theirs.encode())
    return result.content.decode(), result.conflicts


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        (BASE, BASE.replace("c", "C"), "a\nb\nC\nd\ne\nf\n"),
        (BASE.replace("c", "C"), BASE, "a\nb\nC\nd\ne\nf\n"),
        (BASE.replace("a", "A"), BASE.replace("f", "F"), "A\nb\nc\nd\ne\nF\n"),
        (BASE.replace("c", "C"), BASE.replace("c", "C"), "a\nb\nC\nd\ne\nf\n"),
        (BASE + "mine\n", "new\n" + BASE, "new\n" + BASE + "mine\n"),
        (BASE.replace("b\n", ""), BASE.replace("e\n", ""), "a\nc\nd\nf\n"),
    ],
)
def test_changes_in_different_places_are_both_made(ours, theirs, expected):
    assert merged("x.py", BASE, ours, theirs) == (expected, [])


def test_two_changes_of_one_line_are_both_shown_between_marks():
    text, conflicts = merged("x.py", BASE, BASE.replace("c", "mine"), BASE.replace("c", "new"))
    assert len(conflicts) == 1 and "line 3" in conflicts[0]
    assert text == ("a\nb\n<<<<<<< yours\nmine\n||||||| as scaffolded\nc\n=======\nnew\n>>>>>>> new\nd\ne\nf\n")


def test_random_edits_lose_no_line_of_either_side():
    rng = random.Random(0)
    for _ in range(300):
        base = [f"line {i}\n" for i in range(rng.randrange(0, 30))]
        ours, theirs = (edited(base, rng, side) for side in ("ours", "theirs"))
        text, conflicts = merged("x.txt", "".join(base), "".join(ours), "".join(theirs))
        lines = text.splitlines(keepends=True)
        for line in {*ours, *theirs} - set(base):
            assert line in lines
        assert bool(conflicts) == any(mark in lines for mark in MARKS)


def edited(lines: list[str], rng: random.Random, side: str) -> list[str]:
    lines = list(lines)
    for number in range(rng.randrange(0, 5)):
        place = rng.randrange(0, len(lines) + 1)
        lines[place : place + rng.randrange(0, 3)] = [f"{side} {number} {rng.random()}\n"] * rng.randrange(0, 3)
    return lines


FORMS = {
    # each: a file, and of its learning rate and its epochs: as they are, and changed
    "s.toml": ("[train]\nlr = 0.1  # tuned\nepochs = 10\n", ["lr = 0.1", "lr = 0.3", "lr = 0.2"], "epochs = "),
    "s.yaml": ("train:\n  lr: 0.1  # tuned\n  epochs: 10\n", ["lr: 0.1", "lr: 0.3", "lr: 0.2"], "epochs: "),
    "s.json": ('{\n  "lr": 0.1,\n  "epochs": 10\n}\n', ['"lr": 0.1', '"lr": 0.3', '"lr": 0.2'], '"epochs": '),
}


@pytest.mark.parametrize("path", FORMS)
def test_settings_next_to_each_other_are_merged_by_key(path):
    base, (lr, mine, _), epochs = FORMS[path]
    longer = base.replace(f"{epochs}10", f"{epochs}30")
    text, conflicts = merged(path, base, base.replace(lr, mine), longer)
    assert text == longer.replace(lr, mine) and conflicts == []


@pytest.mark.parametrize("path", FORMS)
def test_of_two_values_of_a_setting_the_owners_stays_and_both_are_named(path):
    base, (lr, mine, new), _ = FORMS[path]
    text, conflicts = merged(path, base, base.replace(lr, mine), base.replace(lr, new))
    assert text == base.replace(lr, mine)
    assert len(conflicts) == 1 and "0.3" in conflicts[0] and "0.2" in conflicts[0]


def test_a_setting_that_was_added_or_removed_is_so_in_the_merge_too():
    base = "a: 1\nb: 2\nc: 3\n"
    assert merged("s.yaml", base, "a: 1\nb: 20\nc: 3\n", "a: 1\nb: 2\nd: 4\n") == ("a: 1\nb: 20\nd: 4\n", [])


def test_what_is_no_text_stays_as_the_owner_left_it():
    result = merge("x.bin", b"\xff1", b"\xff2", b"\xff3")
    assert result.content == b"\xff2" and result.conflicts


def test_settings_that_cannot_be_parsed_are_merged_by_line():
    text, conflicts = merged("s.yaml", "a: [1\nb: 2\nc: 3\n", "a: [1\nb: 2\nc: 4\n", "a: [9\nb: 2\nc: 3\n")
    assert (text, conflicts) == ("a: [9\nb: 2\nc: 4\n", [])
