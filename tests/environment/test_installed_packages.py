"""Distributions read from site-packages, in the layouts of pip, conda and distributions of Linux."""

import importlib.metadata

from dlcoder.environment import packages


def write(folder, name, metadata):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(metadata)


def test_pip_s_metadata_gives_name_version_and_requirements(tmp_path):
    write(
        tmp_path,
        "torchvision-0.20.1.dist-info/METADATA",
        "Metadata-Version: 2.1\nName: TorchVision\nVersion: 0.20.1\nRequires-Dist: numpy\n"
        "Requires-Dist: torch (==2.5.1)\n"
        "\nRequires-Dist: this is prose\n",
    )
    (found,) = packages.read([tmp_path])
    assert (found.name, found.version, found.requires) == ("torchvision", "0.20.1", ("numpy", "torch (==2.5.1)"))


def test_the_build_is_read_from_the_package_where_the_metadata_lacks_it(tmp_path):
    write(tmp_path, "torch-2.5.1.dist-info/METADATA", "Name: torch\nVersion: 2.5.1\n")
    write(
        tmp_path, "torch/version.py", "from typing import Optional\n\n__version__ = '2.5.1+cu124'\ncuda: str = '12.4'\n"
    )
    (found,) = packages.read([tmp_path])
    assert found.version == "2.5.1+cu124" and found.build == "cu124"


def test_conda_s_and_debian_s_egg_info_are_read(tmp_path):
    write(tmp_path, "torch-2.1.0-py3.11.egg-info/PKG-INFO", "Name: torch\nVersion: 2.1.0\n")
    write(tmp_path, "PyYAML-6.0.egg-info", "Name: PyYAML\nVersion: 6.0\n")
    assert {entry.name: entry.version for entry in packages.read([tmp_path])} == {"torch": "2.1.0", "pyyaml": "6.0"}


def test_broken_metadata_and_missing_folders_are_passed_over(tmp_path):
    (tmp_path / "broken-1.0.dist-info").mkdir()
    write(tmp_path, "binary-1.0.dist-info/METADATA", "\x00\xff")
    assert packages.read([tmp_path, tmp_path / "nowhere"]) == []


def test_it_agrees_with_importlib_on_our_own_environment():
    import sysconfig
    from pathlib import Path

    folder = Path(sysconfig.get_paths()["purelib"])
    ours = {entry.name: entry.version.partition("+")[0] for entry in packages.read([folder])}
    theirs = {
        packages.normalized(entry.metadata["Name"]): entry.version.partition("+")[0]
        for entry in importlib.metadata.distributions(path=[str(folder)])
    }
    assert ours == theirs
