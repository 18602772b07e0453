"""The catalogue of component checks is complete, and can be read without torch."""

import subprocess
import sys
from importlib import import_module

import pytest

from dlcoder.sandbox.harness.component.battery import _KINDS
from dlcoder.sandbox.harness.component.catalogue import CHECKS

_PACKAGE = "dlcoder.sandbox.harness.component"
_MODULES = {kind: modules for kind, (_, _, modules) in _KINDS.items()}


@pytest.mark.parametrize("kind", CHECKS)
def test_every_entry_has_code_and_every_code_an_entry(kind):
    for name in _MODULES[kind]:
        import_module(f"{_PACKAGE}.{name}")
    battery = import_module(f"{_PACKAGE}.{_MODULES[kind][0]}").BATTERY
    names = {entry.name for entry in CHECKS[kind]} - {"loads", "interface"}

    assert {check.entry.name for check in battery.checks()} == names
    assert set(battery._code) == names


@pytest.mark.parametrize("kind", CHECKS)
def test_names_and_numbers_are_unique_and_every_check_says_what_it_proves_and_kills(kind):
    entries = CHECKS[kind]

    assert len({entry.name for entry in entries}) == len({entry.id for entry in entries}) == len(entries)
    assert all(entry.proves.endswith(".") and entry.kills and entry.price > 0 for entry in entries)
    assert [entry.name for entry in entries[:2]] == ["loads", "interface"]


def test_reading_the_catalogue_imports_no_torch():
    program = "import sys, dlcoder.tools.validate_code, dlcoder.sandbox.validate; sys.exit('torch' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
