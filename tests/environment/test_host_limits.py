"""Limits read from the kernel's files, on machines made of files."""

from pathlib import Path

import pytest

from dlcoder.environment import host
from dlcoder.environment.data import data_folders

MEMINFO = "MemTotal:       65536000 kB\nMemFree: 1000 kB\nMemAvailable:   32768000 kB\nHugePages_Total:       0\n"


@pytest.fixture
def machine(tmp_path):
    def write(path: str, text: str) -> None:
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    write("proc/meminfo", MEMINFO)
    write("proc/self/mounts", "/dev/sda / ext4 rw 0 0\n")
    return tmp_path, write


def test_without_a_cgroup_the_machine_is_the_limit(machine):
    limits = host.limits([], machine[0])
    assert limits.memory_total_gib == 62.5 and limits.memory_available_gib == 31.2
    assert limits.memory_limit_gib is None and limits.oom_kills is None
    assert limits.cpus_usable <= limits.cpus


def test_a_cgroup_of_version_2_limits_memory_processors_and_processes(machine):
    root, write = machine
    write("proc/self/cgroup", "0::/job/step\n")
    write("sys/fs/cgroup/job/memory.max", f"{8 << 30}\n")
    write("sys/fs/cgroup/job/step/memory.max", "max\n")
    write("sys/fs/cgroup/job/step/memory.current", f"{5 << 30}\n")
    write("sys/fs/cgroup/job/step/memory.stat", f"anon 1\ninactive_file {2 << 30}\n")
    write("sys/fs/cgroup/job/step/memory.events", "low 0\nhigh 0\nmax 7\noom 2\noom_kill 2\noom_group_kill 0\n")
    write("sys/fs/cgroup/job/cpu.max", "50000 100000\n")
    write("sys/fs/cgroup/job/pids.max", "512\n")
    limits = host.limits([], root)
    assert limits.memory_limit_gib == 8.0
    assert limits.memory_available_gib == 5.0, "the file cache can be dropped, so it is available"
    assert limits.oom_kills == 2 and limits.cpus_usable == 0.5 and limits.processes == 512


def test_a_cgroup_of_version_1_limits_the_same(machine):
    root, write = machine
    write("proc/self/cgroup", "12:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n0::/\n")
    write("sys/fs/cgroup/memory/memory.limit_in_bytes", f"{4 << 30}\n")
    write("sys/fs/cgroup/memory/memory.usage_in_bytes", f"{1 << 30}\n")
    write("sys/fs/cgroup/memory/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n")
    write("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "150000\n")
    write("sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n")
    limits = host.limits([], root)
    assert limits.memory_limit_gib == 4.0 and limits.memory_available_gib == 3.0
    assert limits.oom_kills == 1 and limits.cpus_usable == 1.5


def test_a_cgroup_that_allows_everything_is_no_limit(machine):
    root, write = machine
    write("proc/self/cgroup", "1:memory:/\n")
    write("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n")
    assert host.limits([], root).memory_limit_gib is None


def test_the_file_system_of_a_directory_that_does_not_exist_yet_is_its_parent_s(machine, tmp_path):
    root, write = machine
    write("proc/self/mounts", f"/dev/sda / ext4 rw 0 0\nserver:/x {tmp_path} nfs4 rw 0 0\n")
    disk = host.disks([tmp_path / "not/yet"], root)[0]
    assert disk.type == "nfs4" and disk.free_gib is not None and disk.path.endswith("not/yet")


def test_a_mount_point_with_a_blank_and_the_mount_on_top_of_it_are_found(machine, tmp_path):
    root, write = machine
    folder = tmp_path / "my data"
    folder.mkdir()
    octal = str(folder).replace(" ", r"\040")
    write("proc/self/mounts", f"a / ext4 rw 0 0\nb {octal} xfs rw 0 0\nc {octal} tmpfs rw 0 0\n")
    assert host.disks([folder], root)[0].type == "tmpfs"


def test_a_directory_that_cannot_be_looked_at_is_left_out(machine):
    assert host.disks([Path()], machine[0]) is not None


@pytest.mark.parametrize(
    ("environ", "files", "kind"),
    [
        ({}, (), ""),
        ({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, (".dockerenv",), "Kubernetes"),
        ({}, (".dockerenv",), "Docker"),
        ({}, ("run/.containerenv",), "Podman"),
        ({}, (".singularity.d/x",), "Apptainer"),
        ({"container": "lxc"}, (), "container"),
    ],
)
def test_the_kind_of_container_is_told_by_its_marks(machine, environ, files, kind):
    root, write = machine
    for file in files:
        write(file, "")
    assert host.container(environ, root) == kind


def test_wsl_is_told_by_its_kernel(machine):
    root, write = machine
    write("proc/sys/kernel/osrelease", "5.15.146.1-microsoft-standard-WSL2\n")
    assert host.container({}, root) == "WSL"


def test_the_scheduler_s_variables_are_named_without_their_values():
    environ = {"SLURM_JOB_ID": "17", "SLURM_JWT": "secret", "HF_TOKEN": "secret", "PATH": "/bin"}
    found = host.scheduler(environ)
    assert found.name == "Slurm" and found.variables == ["SLURM_JOB_ID", "SLURM_JWT"]
    assert "secret" not in found.model_dump_json()


def test_a_job_says_what_it_was_given_and_a_pod_its_names(machine):
    root, write = machine
    given = {"SLURM_JOB_ID": "17", "SLURM_CPUS_PER_TASK": "8", "SLURM_JWT": "secret"}
    assert host.scheduler(given, root).values == {"SLURM_JOB_ID": "17", "SLURM_CPUS_PER_TASK": "8"}
    write("var/run/secrets/kubernetes.io/serviceaccount/namespace", "research\n")
    write("var/run/secrets/kubernetes.io/serviceaccount/token", "secret\n")
    pod = host.scheduler({"HOSTNAME": "train-0"}, root)
    assert (pod.name, pod.values) == ("Kubernetes", {"pod": "train-0", "namespace": "research"})
    assert host.container({}, root) == "Kubernetes" and "secret" not in pod.model_dump_json()


def test_data_is_looked_for_where_the_project_its_settings_and_the_environment_say(machine, tmp_path):
    root, write = machine
    (tmp_path / "far/images").mkdir(parents=True)
    for name in ("cache", "scratch", "set", "project/configs"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "project/data").symlink_to(tmp_path / "far")
    write("project/configs/default.yaml", f"data:\n  root: {tmp_path}/far/images\n  absent_dir: /nowhere\n")
    environ = {"HF_HOME": f"{tmp_path}/cache", "SLURM_TMPDIR": f"{tmp_path}/scratch", "MY_DATA_DIR": f"{tmp_path}/set"}
    found = data_folders(tmp_path / "project", {**environ, "DATABASE_URL": "/x", "DATA": "/nowhere"})
    assert [str(path.relative_to(tmp_path)) for path in found] == ["far", "far/images", "cache", "scratch", "set"]
    write("proc/self/mounts", f"/dev/sda / ext4 rw 0 0\nserver:/x {tmp_path}/far nfs4 rw 0 0\n")
    assert [disk.type for disk in host.disks([tmp_path / "project", *found], root)] == ["ext4", "nfs4"]


def test_only_settings_that_are_no_secrets_show_their_values():
    environ = {
        "NCCL_DEBUG": "INFO",
        "CUDA_VISIBLE_DEVICES": "0,1",
        "WANDB_API_KEY": "secret",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "MY_NCCL_KEY": "secret",
    }
    assert host.settings(environ) == {"CUDA_VISIBLE_DEVICES": "0,1", "NCCL_DEBUG": "INFO"}


def test_a_kernel_without_any_of_these_files_gives_no_error(tmp_path):
    limits = host.limits([tmp_path], tmp_path)
    assert limits.memory_total_gib is None and limits.shm_mib is None and limits.cpus >= 1
