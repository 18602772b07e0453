"""Machines with one thing wrong, and the healthy ones beside them: the rule fires there and only there."""

import asyncio
import re
import time
from dataclasses import replace
from pathlib import Path

import nvidia_recordings as recordings
import pytest
from packaging.requirements import Requirement

from dlcoder.environment import nvidia
from dlcoder.environment.describe import judge
from dlcoder.environment.facts import Facts
from dlcoder.environment.interpreter import Answer
from dlcoder.environment.model import Disk, Driver, Limits, Scheduler, Torch
from dlcoder.environment.packages import Installed, normalized
from dlcoder.environment.rules_software import runs_on
from dlcoder.environment.support import minimum_driver, older, support
from dlcoder.knowledge.causes import load_causes
from dlcoder.sandbox.layers import Layer

SITE = Path("/venv/lib/site-packages")
ARCHITECTURES = ["sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120", "compute_120"]
NOTHING = nvidia.Nvidia(Driver())


def smi(recorded) -> nvidia.Nvidia:
    return asyncio.run(nvidia.query(Path("/nonexistent"), recorded))


def says(code: int, text: str) -> nvidia.Nvidia:
    found = smi(recordings.failing(code, text))
    found.driver.hardware = True
    return found


def packages(*names: str) -> list[Installed]:
    return [Installed(*name.split("==", 1), SITE) for name in names]


def healthy(**changes) -> Facts:
    """Eight H100 that work, with a torch that fits; `changes` breaks it."""
    facts = Facts(
        python="3.11.7",
        torch=Torch(version="2.9.1+cu128", ran=True, cuda="12.8", available=True, architectures=ARCHITECTURES),
        answer=Answer(ran=True, facts={"python": {"headers": True}}),
        installed=packages("torch==2.9.1+cu128", "torchvision==0.24.1+cu128", "numpy==2.3.4", "triton==3.5.1"),
        nvidia=smi(recordings.h100()),
        limits=Limits(
            cpus=64,
            cpus_usable=64,
            memory_total_gib=1000,
            memory_available_gib=900,
            shm_mib=500_000,
            shm_free_mib=499_000,
            open_files=1_048_576,
            locked_memory_kib=None,
            processes=100_000,
            disks=[Disk(path="/data", type="ext4", free_gib=900, total_gib=2000, inodes_free_percent=90)],
        ),
        interfaces=["eth0", "lo"],
        compiler="/usr/bin/cc",
    )
    return replace(facts, **changes)


def limits(**changes) -> Limits:
    return healthy().limits.model_copy(update=changes)


def torch(**changes) -> Torch:
    return healthy().torch.model_copy(update=changes)


def failures(**errors: str) -> Answer:
    return Answer(ran=True, failures={name.replace("_", " "): error for name, error in errors.items()})


CPU_BUILD = {"version": "2.9.1+cpu", "cuda": "", "available": False}
BROKEN = {
    "job-ends-soon": {"scheduler": Scheduler(name="Slurm", values={"SLURM_JOB_END_TIME": str(int(time.time()) + 300)})},
    "no-gpu-requested": {"variables": {"NVIDIA_VISIBLE_DEVICES": "void"}, "container": "Kubernetes"},
    # GPU and driver
    "driver-library-mismatch": {"nvidia": says(18, "Failed to initialize NVML: Driver/library version mismatch")},
    "driver-not-loaded": {
        "nvidia": says(9, "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.")
    },
    "gpu-not-found": {"nvidia": says(6, "No devices were found")},
    "gpu-lost-to-container": {"nvidia": says(255, "Failed to initialize NVML: Unknown Error")},
    "gpu-permission": {"nvidia": says(4, "Failed to initialize NVML: Insufficient Permissions")},
    "gpu-blocked": {"nvidia": says(17, "Failed to initialize NVML: GPU access blocked by the operating system")},
    "driver-libraries-missing": {
        "nvidia": says(12, "NVIDIA-SMI couldn't find libnvidia-ml.so library in your system.")
    },
    "driver-hangs": {"nvidia": says(124, "nvidia-smi did not answer within 20 s.")},
    "nvidia-smi-failed": {"nvidia": says(3, "A new message of a new driver")},
    "no-driver": {"nvidia": nvidia.Nvidia(Driver(hardware=True, error="No such file or directory: 'nvidia-smi'"))},
    "nvidia-smi-missing": {
        "nvidia": nvidia.Nvidia(Driver(version="550.54.14", hardware=True, error="No such file or directory"))
    },
    "gpu-lost": {"nvidia": smi(recordings.one_lost())},
    "driver-too-old": {"nvidia": smi(replace(recordings.h100(), driver="470.57.02", cuda="11.4"))},
    "gpu-memory-taken": {"nvidia": smi(recordings.rtx_4090())},
    "no-peer-access": {"nvidia": smi(recordings.rtx_4090())},
    "ecc-errors": {"nvidia": smi(recordings.h100(faults=True))},
    "gpu-repair-pending": {"nvidia": smi(recordings.h100(faults=True))},
    "gpu-throttled": {"nvidia": smi(recordings.h100(faults=True))},
    "mig": {"nvidia": smi(recordings.a100_mig())},
    "fabric-not-ready": {"nvidia": smi(recordings.b200())},
    "gpus-hidden": {"variables": {"CUDA_VISIBLE_DEVICES": "0,1"}},
    "no-gpu": {"nvidia": NOTHING, "torch": torch(available=False)},
    # torch and libraries
    "no-torch": {"torch": Torch(), "installed": []},
    "torch-old": {"torch": torch(version="2.1.0+cu118", cuda="11.8")},
    "cpu-build": {"torch": torch(**CPU_BUILD)},
    "cuda-unavailable": {"torch": torch(available=False)},
    "forward-compatibility": {
        "torch": torch(available=False, error="Error 804: forward compatibility was attempted on non supported HW")
    },
    "no-kernel-image": {"torch": torch(architectures=["sm_50", "sm_60", "sm_70", "sm_75", "sm_80", "sm_86"])},
    "import-fails": {"answer": failures(torchvision="RuntimeError: operator torchvision::nms does not exist")},
    "mixed-builds": {"installed": packages("torch==2.9.1+cpu", "torchvision==0.24.1+cu128")},
    "requirement-broken": {
        "installed": [
            *packages("torch==2.9.1+cu128", "numpy==2.3.4"),
            Installed("torchvision", "0.23.0", SITE, ("torch==2.8.0", "numpy")),
        ]
    },
    "versions-clash": {"installed": packages("torch==2.2.2+cu121", "numpy==2.0.1")},
    "same-files": {"installed": packages("opencv-python==4.12.0.88", "opencv-python-headless==4.12.0.88")},
    "installed-twice": {"installed": packages("torch==2.9.1", "torch==2.8.0")},
    "libraries-shadowed": {"shadowing": ["/usr/local/cuda/lib64/libcudnn.so"]},
    "not-imported": {"answer": Answer(reason="the sandbox needs namespaces"), "torch": torch(ran=False)},
    "cannot-compile": {"compiler": ""},
    "toolkit-mismatch": {"toolkit": "11.8"},
    # limits and settings
    "shm-too-small": {"limits": limits(shm_mib=64, shm_free_mib=64), "container": "Docker"},
    "open-files-limit": {"limits": limits(open_files=1024)},
    "process-limit": {"limits": limits(processes=256)},
    "address-space-limit": {"limits": limits(address_space_mib=16_000)},
    "locked-memory-limit": {"limits": limits(locked_memory_kib=64), "infiniband": True},
    "cpus-limited": {"limits": limits(cpus_usable=4)},
    "too-many-threads": {"variables": {"OMP_NUM_THREADS": "128"}},
    "oom-killed-before": {"limits": limits(oom_kills=2)},
    "memory-low": {"limits": limits(memory_available_gib=1.0)},
    "disk-nearly-full": {"limits": limits(disks=[Disk(path="/data", type="ext4", free_gib=0.4, total_gib=100)])},
    "remote-file-system": {"limits": limits(disks=[Disk(path="/data", type="nfs4", free_gib=900, total_gib=2000)])},
    "rank-left-over": {"variables": {"RANK": "0", "WORLD_SIZE": "4"}},
    "debug-setting": {"variables": {"CUDA_LAUNCH_BLOCKING": "1"}},
    "interface-missing": {"variables": {"NCCL_SOCKET_IFNAME": "ib0"}},
    "sandbox-weak": {"layers": (Layer("namespaces", False, "Enable user namespaces."),)},
}


def problems(facts: Facts) -> list[str]:
    return [problem.id for problem in judge(facts)]


def test_a_healthy_machine_has_no_problem():
    assert problems(healthy()) == []


def test_a_healthy_machine_without_gpu_has_no_problem():
    cpu = healthy(torch=torch(**CPU_BUILD), nvidia=NOTHING, installed=packages("torch==2.9.1+cpu", "numpy==2.3.4"))
    assert problems(cpu) == []


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_wrong_is_named_with_consequence_and_fix(name):
    found = judge(healthy(**BROKEN[name]))
    assert name in [problem.id for problem in found]
    for problem in found:
        assert problem.problem.endswith((".", ")")) and len(problem.problem) < 260, problem
        assert problem.consequence[0].isupper() or problem.consequence.startswith(("torch", "os.", "import ")), problem
        assert problem.consequence.endswith((".", ")")), problem
        assert problem.fix and problem.source, problem


@pytest.mark.parametrize("name", BROKEN)
def test_one_fault_brings_no_crowd_of_others(name):
    # Recordings of other machines differ from the healthy one in more than one respect.
    others = [p for p in problems(healthy(**BROKEN[name])) if p != name]
    assert len(others) <= 2, others


def test_every_rule_that_can_fire_is_proved_to_fire():
    sources = [Path(module.__file__).read_text() for module in _rule_modules()]
    named = {name for source in sources for name in re.findall(r'id="([a-z-]+)"', source)}
    tested = {problem for changes in BROKEN.values() for problem in problems(healthy(**changes))}
    assert named - tested <= {"compute-mode", "mixed-gpus", "pcie-narrow"}


def _rule_modules():
    from dlcoder.environment import rules_gpu, rules_host, rules_software

    return rules_gpu, rules_host, rules_software


def test_modes_and_mixtures_of_gpus_are_named():
    recorded = recordings.h100()
    recorded.gpus[0]["compute_mode"] = "Exclusive_Process"
    recorded.gpus[1]["name"] = "NVIDIA A100-SXM4-80GB"
    recorded.gpus[2]["pcie.link.width.current"] = "4"
    assert {"compute-mode", "mixed-gpus", "pcie-narrow"} == set(problems(healthy(nvidia=smi(recorded))))


def test_what_blocks_comes_first_and_notes_last():
    facts = healthy(**BROKEN["gpu-not-found"] | BROKEN["shm-too-small"] | BROKEN["cannot-compile"])
    order = {"blocks": 0, "risk": 1, "note": 2}
    ranks = [order[problem.severity] for problem in judge(facts)]
    assert ranks == sorted(ranks) and set(ranks) == {0, 1, 2}


def test_two_witnesses_of_one_fault_are_one_problem():
    old = smi(replace(recordings.h100(), driver="470.57.02", cuda="11.4"))
    error = "The NVIDIA driver on your system is too old (found version 11040)."
    assert problems(healthy(nvidia=old, torch=torch(available=False, error=error))).count("driver-too-old") == 1


def test_every_cause_is_one_that_diagnosis_knows():
    used = {problem.cause for changes in BROKEN.values() for problem in judge(healthy(**changes))}
    used |= {m.cause for m in (*support().cuda_errors, *support().import_errors, *support().nvidia_smi_errors)}
    used |= {clash.cause for clash in support().clashes}
    assert used - {""} <= load_causes().keys()


@pytest.mark.parametrize(
    ("chosen", "fires"),
    [("", True), ("-1", True), ("9", True), ("0,9,1", True), ("0,1,2,3,4,5,6,7", False), ("GPU-h0", True)],
)
def test_cuda_visible_devices_is_read_as_cuda_reads_it(chosen, fires):
    found = [p for p in judge(healthy(variables={"CUDA_VISIBLE_DEVICES": chosen})) if p.id == "gpus-hidden"]
    assert bool(found) == fires
    if chosen in ("", "-1", "9"):
        assert found[0].severity == "blocks"
    if chosen == "0,9,1":
        assert "shows 1 of 8" in found[0].problem


@pytest.mark.parametrize(
    ("built", "capability", "runs"),
    [
        (["sm_80"], "8.0", True),
        (["sm_80"], "8.9", True),
        (["sm_86"], "8.0", False),
        (["sm_90"], "8.9", False),
        (["sm_80"], "9.0", False),
        (["sm_80", "compute_80"], "12.0", True),
        (["sm_90a"], "9.0", True),
        (["sm_100a"], "10.3", False),
        (["sm_100f"], "10.3", True),
        (["sm_120"], "12.1", True),
        (["gfx90a"], "9.0", False),
        (["sm_80"], "", True),
    ],
)
def test_code_runs_on_its_architecture_and_on_what_is_compatible(built, capability, runs):
    assert runs_on(built, capability) == runs


@pytest.mark.parametrize(
    ("cuda", "driver", "enough"),
    [
        ("12.8", "525.60.13", True),
        ("12.8", "520.61.05", False),
        ("11.8", "450.80.02", True),
        ("13.0", "575.57.08", False),
        ("13.2", "580.65.06", True),
        ("10.2", "440.33.01", True),
        ("99.0", "1.0", True),
    ],
)
def test_the_matrix_knows_which_driver_is_enough(cuda, driver, enough):
    assert older(driver, minimum_driver(cuda)) != enough


def test_many_that_need_another_version_are_one_problem():
    needy = [Installed(f"lib-{i}", "1.0", SITE, ("torch<2",)) for i in range(6)]
    (problem,) = judge(healthy(installed=[*healthy().installed, *needy]))
    assert "lib-0 1.0 needs torch<2" in problem.problem and "3 more; 2.9.1+cu128 is installed" in problem.problem


def test_a_requirement_under_a_condition_that_does_not_hold_is_no_requirement():
    entry = Installed("x", "1", SITE, ('torch==1.0; python_version < "3"', 'numpy<1; extra == "old"', "torch>=2", "?!"))
    assert problems(healthy(installed=[*healthy().installed, entry])) == []


def test_requirements_of_libraries_that_do_not_matter_are_left_to_pip():
    entry = Installed("x", "1", SITE, ("requests<1",))
    assert problems(healthy(installed=[*healthy().installed, entry, *packages("requests==2.32.0")])) == []


def test_a_launcher_that_sets_ranks_is_no_left_over():
    variables = {"RANK": "0", "WORLD_SIZE": "4"}
    assert problems(healthy(variables=variables, scheduler=Scheduler(name="torchrun"))) == []


@pytest.mark.parametrize(("name", "chosen"), [("NCCL_SOCKET_IFNAME", "eth"), ("NCCL_SOCKET_IFNAME", "^docker,lo")])
def test_interfaces_by_prefix_and_exclusion_are_there(name, chosen):
    assert problems(healthy(variables={name: chosen})) == []


def test_gloo_takes_the_name_of_an_interface_literally():
    assert problems(healthy(variables={"GLOO_SOCKET_IFNAME": "eth"})) == ["interface-missing"]


def test_numpy_that_torch_cannot_use_is_measured_not_guessed():
    facts = healthy(answer=failures(numpy_bridge="RuntimeError: Numpy is not available"))
    (problem,) = [p for p in judge(facts) if p.id == "import-fails"]
    assert problem.cause == "env-numpy" and problem.severity == "blocks"


def test_an_import_that_mixed_builds_explain_is_one_problem_with_them():
    mixed = packages("torch==2.9.1+cpu", "torchvision==0.24.1+cu128")
    answer = failures(torchvision="RuntimeError: operator torchvision::nms does not exist")
    (problem,) = [p for p in judge(healthy(installed=mixed, answer=answer)) if p.severity != "note"]
    assert problem.id == "mixed-builds" and "torchvision::nms" in problem.consequence and problem.source == "import"


def test_the_matrix_is_well_formed():
    for message in (*support().nvidia_smi_errors, *support().cuda_errors, *support().import_errors):
        assert message.match == message.match.lower() and message.consequence.endswith((".", ")")) and message.fix
    for clash in support().clashes:
        for text in (clash.package, *clash.others):
            assert Requirement(text).specifier and normalized(Requirement(text).name) == Requirement(text).name
    assert all(len(group) > 1 for group in support().same_files)
