"""The start-up benchmark judges what it measures, and measures what it says."""

import importlib.util
import os
import sys
from pathlib import Path

import pytest

SPEC = importlib.util.spec_from_file_location(
    "startup_benchmark", Path(__file__).parents[1] / "benchmarks" / "startup.py"
)
assert SPEC and SPEC.loader
startup = importlib.util.module_from_spec(SPEC)
sys.modules["startup_benchmark"] = startup
SPEC.loader.exec_module(startup)

REPLIES = """\
import sys, time
held = bytearray(int(sys.argv[1]) << 20)
begin = time.process_time()
while time.process_time() - begin < float(sys.argv[2]):
    pass
sys.stdin.readline()
print('{"jsonrpc": "2.0", "id": 1, "result": {}}', flush=True)
sys.stdin.read()
"""


def starts(wall: float, cpu: float, memory: float) -> list:
    return [startup.Start(wall * noise, cpu, memory) for noise in (1.0, 1.02, 1.5)]


def ratios(wall: float, cpu: float, memory: float):
    return startup.compare(starts(100 * wall, 100 * cpu, 60 * memory), starts(100, 100, 60))


def test_an_equal_server_is_fast_and_small():
    same = ratios(1, 1, 1)
    assert same.fast and same.small and same.median == same.cpu == same.memory == 1


def test_a_slow_server_is_slow_by_every_measure():
    assert not ratios(1.2, 1.2, 1).fast


def test_a_server_that_waits_without_working_is_slow():
    assert not ratios(1.2, 1.0, 1).fast


def test_a_large_server_is_large():
    assert not ratios(1, 1, 1.2).small


def test_noise_in_the_median_alone_does_not_condemn():
    noisy = [startup.Start(wall, 100, 60) for wall in (100, 180, 190)]
    assert startup.compare(noisy, starts(100, 100, 60)).fast


def test_work_and_memory_before_the_reply_are_measured():
    light = startup.start([sys.executable, "-I", "-S", "-c", REPLIES, "0", "0"])
    heavy = startup.start([sys.executable, "-I", "-S", "-c", REPLIES, "80", "0.3"])
    assert heavy.cpu_ms - light.cpu_ms >= 200 and heavy.wall_ms > light.wall_ms
    assert 60 < heavy.memory_mib - light.memory_mib < 100


def test_costs_are_those_of_the_process_asked_for():
    cpu_ms, memory_mib = startup.costs(os.getpid())
    assert cpu_ms > 0 and memory_mib > 5


def test_a_server_that_does_not_answer_stops_the_benchmark():
    with pytest.raises(SystemExit, match="answered"):
        startup.start([sys.executable, "-I", "-S", "-c", "print('{}')"])


def test_both_servers_are_started_equally_often():
    command = [sys.executable, "-I", "-S", "-c", REPLIES, "0", "0.05"]
    ours, empty = startup.measure(command, command, rounds=2)
    assert len(ours) == len(empty) == 2
    assert "2 rounds" in startup.report(ours, empty, startup.compare(ours, empty))
