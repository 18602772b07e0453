"""Binding options gives the code that somebody would have written without them."""

import textwrap

import pytest

from dlcoder.templates.bindings import Bindings, Default, Fixed, Present
from dlcoder.templates.specialize import specialize


def bind(source: str, bindings: Bindings) -> str:
    return specialize(textwrap.dedent(source), package="birds", bindings=bindings)


def same(result: str, expected: str) -> bool:
    return result.strip() == textwrap.dedent(expected).strip()


def test_imports_go_to_the_package() -> None:
    source = "from dlcoder.templates.components.losses.dice import DiceLoss\n"
    assert bind(source, {}) == "from birds.losses.dice import DiceLoss\n"


def test_a_fixed_parameter_disappears_from_a_function() -> None:
    result = bind(
        '''
        def f(x, *, scale: float = 1.0, shift: float | None = None) -> float:
            """Compute.

            Args:
                x: A number.
                scale: What it is multiplied
                    by, in the end.
                shift: What is added.
            """
            if shift is not None:
                x = x + shift
            return x * scale
        ''',
        {"f": {"shift": Fixed("None"), "scale": Fixed("2.0")}},
    )
    assert same(
        result,
        '''
        def f(x) -> float:
            """Compute.

            Args:
                x: A number.
            """
            return x * 2.0
        ''',
    )


def test_a_fixed_option_disappears_from_a_class() -> None:
    result = bind(
        '''
        class Step:
            """A step.

            Args:
                ema: Follows.
            """

            def __init__(self, *, ema: Ema | None = None) -> None:
                self.ema = ema
                self.count = 0

            def __call__(self) -> None:
                # Comes after the update.
                if self.ema is not None:
                    self.ema.update()
                self.count += 1
        ''',
        {"Step": {"ema": Fixed("None")}},
    )
    assert same(
        result,
        '''
        class Step:
            """A step.
            """

            def __init__(self) -> None:
                self.count = 0

            def __call__(self) -> None:
                self.count += 1
        ''',
    )


def test_an_option_that_is_present_is_not_asked_for() -> None:
    result = bind(
        """
        class Step:
            def __init__(self, *, ema: Ema | None = None) -> None:
                self.ema = ema

            def __call__(self) -> None:
                # Comes after the update.
                if self.ema is not None:
                    self.ema.update()
        """,
        {"Step": {"ema": Present()}},
    )
    assert same(
        result,
        """
        class Step:
            def __init__(self, *, ema: Ema) -> None:
                self.ema = ema

            def __call__(self) -> None:
                # Comes after the update.
                self.ema.update()
        """,
    )


def test_a_default_is_changed() -> None:
    result = bind("def f(*, a: int = 1) -> int:\n    return a\n", {"f": {"a": Default("3")}})
    assert same(result, "def f(*, a: int = 3) -> int:\n    return a")


def test_fields_of_a_dataclass_are_options_too() -> None:
    source = """
        @dataclass(kw_only=True)
        class Loop:
            a: int
            b: Log | None = None
            c: Log | None = None

            def run(self) -> int:
                return self.a if self.b is None else self.b.level
        """
    result = bind(source, {"Loop": {"b": Fixed("None"), "c": Present()}})
    assert "b:" not in result
    assert "c: Log\n" in result
    assert "return self.a\n" in result


def test_calls_lose_the_argument_in_every_file() -> None:
    bindings: Bindings = {"Step": {"ema": Fixed("None")}}
    assert bind("step = Step(model, ema=make(), lr=0.1)\n", bindings) == "step = Step(model, lr=0.1)\n"
    assert bind("step = Other(model, ema=make())\n", bindings) == "step = Other(model, ema=make())\n"


@pytest.mark.parametrize(
    ("condition", "value", "outcome"),
    [
        ("mode == 'sum'", "'sum'", True),
        ("mode != 'sum'", "'sum'", False),
        ("mode in ('a', 'b')", "'b'", True),
        ("not mode", "True", False),
        ("mode > 2 and unknown()", "1", False),
        ("mode > 2 or unknown()", "3", True),
        ("mode is None", "torch.float16", False),
        ("mode is not None", "torch.float16", True),
    ],
)
def test_conditions_on_a_fixed_option_are_decided(condition: str, value: str, outcome: bool) -> None:
    source = f"def f(*, mode=None):\n    if {condition}:\n        return 1\n    else:\n        return 2\n"
    result = bind(source, {"f": {"mode": Fixed(value)}})
    assert same(result, f"def f():\n    return {1 if outcome else 2}")


def test_branches_keep_what_is_not_known() -> None:
    source = """
        def f(x, *, mode=None):
            if mode == 1:
                return 1
            elif x:
                return 2
            elif mode == 3:
                return 3
            else:
                return 4
        """
    assert same(
        bind(source, {"f": {"mode": Fixed("2")}}),
        "def f(x):\n    if x:\n        return 2\n    else:\n        return 4",
    )
    assert same(
        bind(source, {"f": {"mode": Fixed("3")}}),
        "def f(x):\n    if x:\n        return 2\n    else:\n        return 3",
    )


def test_what_cannot_be_reached_is_cut() -> None:
    source = "def f(x, *, whole=False):\n    if whole:\n        return x\n    x = x + 1\n    return x\n"
    assert same(bind(source, {"f": {"whole": Fixed("True")}}), "def f(x):\n    return x")


def test_a_context_that_is_off_is_not_entered() -> None:
    source = "def f(*, t=None):\n    with autocast('cpu', dtype=t, enabled=t is not None):\n        go()\n"
    assert same(bind(source, {"f": {"t": Fixed("None")}}), "def f():\n    go()")
    assert same(
        bind(source, {"f": {"t": Fixed("torch.bfloat16")}}),
        "def f():\n    with autocast('cpu', dtype=torch.bfloat16):\n        go()",
    )


def test_optional_entries_of_a_dict_become_entries_or_nothing() -> None:
    source = "def f(*, a=None):\n    return {'x': 1, **({'a': a} if a is not None else {})}\n"
    assert same(bind(source, {"f": {"a": Fixed("None")}}), "def f():\n    return {'x': 1, }")
    assert same(bind(source, {"f": {"a": Present()}}), "def f(*, a):\n    return {'x': 1, 'a': a}")


def test_helpers_that_nothing_uses_any_more_go() -> None:
    helpers = "\n\ndef _a(x):\n    return _b(x)\n\n\ndef _b(x):\n    return x\n"
    source = "def f(x, *, k=0):\n    return _a(x) if k > 0 else x\n" + helpers
    assert same(bind(source, {"f": {"k": Fixed("0")}}), "def f(x):\n    return x")


def test_names_that_only_look_like_the_option_stay() -> None:
    source = "def f(*, a=1):\n    return g(a=2, b=x.a) + a\n"
    assert same(bind(source, {"f": {"a": Fixed("1")}}), "def f():\n    return g(a=2, b=x.a) + 1")


def test_tests_of_what_is_not_there_are_left_out() -> None:
    source = """
        def test_with() -> None:
            assert Step(ema=Ema())


        # needs: Step.ema
        def test_needing() -> None:
            assert make()


        def test_without() -> None:
            assert Step(ema=None)
        """
    result = bind(source, {"Step": {"ema": Fixed("None")}})
    assert "test_with()" not in result
    assert "test_needing" not in result
    assert "assert Step()" in result
    kept = bind(source, {"Step": {"ema": Present()}})
    assert "test_needing" in kept
    assert "# needs" not in kept
    assert "test_without" not in kept


def test_an_option_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(ValueError, match="f has no parameter b"):
        bind("def f(*, a=1):\n    return a\n", {"f": {"b": Fixed("1")}})
