"""nvidia-smi of several generations, healthy and not."""

import asyncio
from pathlib import Path

import nvidia_recordings as recordings
import pytest

from dlcoder.environment import nvidia
from dlcoder.environment.command import Reply

EMPTY = Path("/nonexistent")


def query(ask, root: Path = EMPTY) -> nvidia.Nvidia:
    return asyncio.run(nvidia.query(root, ask))


@pytest.mark.parametrize(
    ("recorded", "count", "cuda"),
    [
        (recordings.k80(), 1, "10.1"),
        (recordings.rtx_4090(), 2, "12.2"),
        (recordings.h100(), 8, "12.4"),
        (recordings.a100_mig(), 1, "12.2"),
        (recordings.b200(), 2, "13.3"),
        (recordings.wsl(), 1, "12.4"),
    ],
    ids=["418", "535", "550", "535-mig", "610", "wsl"],
)
def test_every_generation_tells_gpus_memory_and_cuda(recorded, count, cuda):
    found = query(recorded)
    assert len(found.gpus) == count
    assert found.driver.version == recorded.driver and found.driver.cuda == cuda and not found.driver.error
    for gpu in found.gpus:
        assert gpu.name and gpu.uuid
        assert gpu.memory_total_mib == gpu.memory_used_mib + gpu.memory_free_mib > 8000


def test_fields_that_this_generation_does_not_know_are_left_out_in_one_more_question():
    recorded = recordings.k80()
    query(recorded)
    assert sum(asked.startswith("--query-gpu=") for asked in recorded.asked) == 2
    assert (
        recorded.asked.count("--help-query-gpu --format=csv,noheader,nounits")
        + recorded.asked.count("--help-query-gpu")
        == 1
    )


def test_an_nvidia_smi_that_does_not_list_its_fields_is_asked_for_the_sure_ones():
    recorded = recordings.k80()

    async def silent(*command, timeout_s):
        return Reply(1, "") if "--help-query-gpu" in command else await recorded(*command, timeout_s=timeout_s)

    (gpu,) = query(silent).gpus
    assert gpu.name == "Tesla K80" and gpu.memory_total_mib == 11441


def test_what_is_not_supported_has_no_value():
    gpu = query(recordings.k80()).gpus[0]
    assert gpu.utilization_percent is None and gpu.pcie_lanes == "" and gpu.compute_capability == "" and gpu.mig == []
    assert query(recordings.rtx_4090()).gpus[0].ecc == ""


def test_processes_are_listed_under_their_gpu_with_their_memory():
    first, second = query(recordings.rtx_4090()).gpus
    assert [(p.pid, p.name, p.memory_mib) for p in first.processes] == [(31337, "python", 20990)]
    assert second.processes == []


def test_a_process_of_the_same_number_but_another_name_is_not_taken_for_the_owner(tmp_path):
    process = tmp_path / "proc/31337"
    process.mkdir(parents=True)
    (process / "comm").write_text("nginx\n")
    assert query(recordings.rtx_4090(), tmp_path).gpus[0].processes[0].user == ""
    (process / "comm").write_text("python\n")
    assert query(recordings.rtx_4090(), tmp_path).gpus[0].processes[0].user != ""


def test_a_process_name_with_commas_and_arguments_is_read_whole():
    gpus, _ = nvidia.parse_gpus("index,uuid,name\n0, GPU-x, A")
    nvidia.add_processes(gpus, "GPU-x, 12, /opt/my,app/train.py --lr 1,2 --token=abc, 512\n", EMPTY)
    assert [(p.pid, p.name, p.memory_mib) for p in gpus[0].processes] == [(12, "train.py", 512)]


def test_unknown_processes_under_wsl_are_none():
    assert query(recordings.wsl()).gpus[0].processes == []


def test_ecc_errors_heat_and_pending_repairs_are_seen():
    gpus = query(recordings.h100(faults=True)).gpus
    assert gpus[2].ecc_uncorrected == 3 and gpus[2].repair_pending == "a reset to remap rows"
    assert gpus[5].throttled_by == ["hardware slowdown", "temperature (hardware)"] and gpus[5].temperature_c == 91
    assert [gpu.repair_pending for gpu in gpus if gpu.index != 2] == [""] * 7


def test_idle_clocks_are_no_throttling():
    assert all(gpu.throttled_by == [] for gpu in query(recordings.h100()).gpus)


def test_mig_instances_stand_under_their_gpu():
    assert query(recordings.a100_mig()).gpus[0].mig == ["3g.20gb", "3g.20gb"]
    assert query(recordings.a100_mig(instances=False)).gpus[0].mig == ["enabled"]


def test_the_topology_names_each_pair_once():
    links = query(recordings.h100()).topology
    assert len(links) == 28 and set(link.split()[1] for link in links) == {"NV18"}
    assert query(recordings.rtx_4090()).topology == ["GPU0-GPU1 SYS"]


def test_gpus_that_answer_are_kept_when_another_is_lost():
    found = query(recordings.one_lost())
    assert len(found.gpus) == 3
    assert found.driver.error.startswith("Unable to determine the device handle for GPU3")


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (18, "Failed to initialize NVML: Driver/library version mismatch\nNVML library version: 535.183\n"),
        (
            9,
            "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make sure that the latest "
            "NVIDIA driver is installed and running.\n\n",
        ),
        (6, "No devices were found\n"),
        (255, "Failed to initialize NVML: Unknown Error\n"),
        (124, "nvidia-smi did not answer within 20 s."),
        (1, ""),
    ],
)
def test_a_driver_that_does_not_answer_leaves_its_reason(code, text):
    found = query(recordings.failing(code, text))
    assert found.gpus == []
    assert found.driver.error.split()[0] in (text or "nvidia-smi ended")


def test_a_machine_without_gpu_and_without_nvidia_smi_has_no_error():
    found = query(recordings.failing(127, "[Errno 2] No such file or directory: 'nvidia-smi'"))
    assert not found.driver.hardware and not found.driver.error and not found.driver.version


def test_a_gpu_on_the_bus_is_seen_without_any_driver(tmp_path):
    for number, kind in enumerate(("0x030200", "0x020000")):
        device = tmp_path / f"sys/bus/pci/devices/0000:0{number}:00.0"
        device.mkdir(parents=True)
        (device / "vendor").write_text("0x10de\n")
        (device / "class").write_text(kind + "\n")
    assert nvidia.hardware_present(tmp_path)
    assert query(recordings.failing(127, "No such file"), tmp_path).driver.error == "No such file"


def test_a_network_card_of_the_same_vendor_is_no_gpu(tmp_path):
    device = tmp_path / "sys/bus/pci/devices/0000:01:00.0"
    device.mkdir(parents=True)
    (device / "vendor").write_text("0x10de\n")
    (device / "class").write_text("0x020700\n")
    assert not nvidia.hardware_present(tmp_path)


def test_the_kernel_module_tells_its_version_without_nvidia_smi(tmp_path):
    version = tmp_path / "proc/driver/nvidia/version"
    version.parent.mkdir(parents=True)
    version.write_text("NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.124.06  Release Build  (dvs@x)\n")
    assert nvidia.kernel_module_version(tmp_path) == "570.124.06"
    version.write_text("NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.161.08  Sat Feb 17 22:55:48 UTC 2024\n")
    assert nvidia.kernel_module_version(tmp_path) == "535.161.08"


def test_rows_with_warnings_between_them_are_read():
    text = "index,name,memory.total\nWARNING: infoROM is corrupted at gpu 0000:1A:00.0\n0, NVIDIA L4, 23034 MiB\n"
    gpus, _ = nvidia.parse_gpus(text)
    assert [(gpu.name, gpu.memory_total_mib) for gpu in gpus] == [("NVIDIA L4", 23034)]


def test_a_lost_gpu_among_the_rows_waits_for_a_reboot():
    gpus, _ = nvidia.parse_gpus(
        "index,name,memory.total\n0, NVIDIA L4, [GPU is lost]\n1, NVIDIA L4, [GPU requires reset]"
    )
    assert "reboot" in gpus[0].repair_pending and gpus[1].repair_pending == "a reset"


@pytest.mark.parametrize("garbage", ["", "\n\n", "\x00\x01", "index", "a,b\nc", "index,name\n-,", "GPU0\tX"])
def test_no_text_breaks_a_parser(garbage):
    gpus, _ = nvidia.parse_gpus(garbage)
    nvidia.add_processes(gpus, garbage, EMPTY)
    nvidia.add_repairs(gpus, garbage)
    nvidia.add_mig(gpus, garbage)
    assert nvidia.parse_topology(garbage) == [] and nvidia.parse_cuda(garbage) == ""


def test_names_are_stripped_of_what_cannot_be_seen():
    gpus, _ = nvidia.parse_gpus("index,name\n0, NVI\x1b[31mDIA\u202e L4")
    assert gpus[0].name == "NVIDIA L4"
