import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
_spec = importlib.util.spec_from_file_location("threat_battery", HERE / "battery.py")
battery = importlib.util.module_from_spec(_spec)
sys.modules["threat_battery"] = battery
_spec.loader.exec_module(battery)

WHO = ("root", "user") if os.geteuid() == 0 else ("user",)
WAYS = [(who, heat) for who in WHO for heat in ("cold", "warm")]
NAMES = list(battery.programs())
WHOLE = ["(the light programs)", "(the heavy programs)"]
_verdicts: dict[tuple[str, str], dict[str, dict]] = {}


def verdicts(who, heat):
    """The battery's results for one way of running it; it runs once for each."""
    if (who, heat) not in _verdicts:
        command = [sys.executable, str(HERE / "battery.py"), "--json", *(["--warm"] if heat == "warm" else [])]
        if who == "user" and os.geteuid() == 0:
            command = [sys.executable, str(HERE / "ordinary.py"), *command]
        result = subprocess.run(command, capture_output=True, text=True, timeout=400, check=False)
        lines = result.stdout.splitlines()
        broken = {name: {"escapes": [f"the battery broke: {result.stderr[-3000:]}"]} for name in (*NAMES, *WHOLE)}
        whole = bool(lines) and lines[-1].startswith("[")
        found = {verdict["name"]: verdict for verdict in json.loads(lines[-1])} if whole else broken
        _verdicts[who, heat] = found
    return _verdicts[who, heat]


@pytest.mark.slow
@pytest.mark.parametrize("name", [*NAMES, *WHOLE])
@pytest.mark.parametrize(("who", "heat"), WAYS)
def test_nothing_that_a_program_does_reaches_beyond_the_sandbox(who, heat, name):
    assert verdicts(who, heat)[name]["escapes"] == []


def test_the_battery_is_large_enough_to_mean_something():
    hostile = [name for name, family in battery.programs().items() if family != "benign"]
    assert len(hostile) >= 60
    assert {"train_one_batch", "load_data_with_workers", "spawn_two_ranks", "run_torchrun"} <= set(NAMES)


def test_a_judge_that_sees_a_leak_says_so():
    arena = battery.Arena()
    try:
        secret = arena.canaries["ssh"].encode()
        assert arena.leaks(b"x" + secret) == ["leaked: ssh"]
        assert arena.leaks(secret[::-1]) == ["leaked: ssh"]
        assert arena.leaks(secret.hex().encode()) == ["leaked: ssh"]
        assert arena.leaks(__import__("base64").b64encode(b"id=" + secret)) == ["leaked: ssh"]
        assert arena.leaks(b"nothing of the kind") == []
        (arena.home / ".ssh/id_ed25519").chmod(0o644)
        (arena.home / "planted").write_text("x")
        assert any("planted" in line for line in arena.damage())
    finally:
        arena.close()
