"""What a project remembers about how it was made, for a later update to start from."""

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dlcoder import __version__

FOLDER = ".dlcoder"


def is_scaffolded(path: Path) -> bool:
    """Whether dlcoder made the project at `path`."""
    return (path / FOLDER / "project.json").is_file()


def record(spec: Mapping[str, Any], decided: Mapping[str, Any], files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the files of the record.

    `project.json` holds the request, what was decided, the version, and a hash of each file: an edited file is one
    whose hash differs. `pristine.zip` holds the files as they were, the common ancestor of a three-way merge.

    Args:
        spec: The request as it was given.
        decided: Every choice, defaults included.
        files: The project's files, by path.
    """
    project = {
        "dlcoder": __version__,
        "spec": spec,
        "decided": decided,
        "files": {path: hashlib.sha256(content).hexdigest() for path, content in sorted(files.items())},
    }
    return {
        f"{FOLDER}/project.json": (json.dumps(project, indent=2) + "\n").encode(),
        f"{FOLDER}/pristine.zip": _zip(files),
    }


def _zip(files: Mapping[str, bytes]) -> bytes:
    """An archive that is the same for the same files: no times, no owners."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in sorted(files.items()):
            info = zipfile.ZipInfo(path, date_time=(1980, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, content)
    return buffer.getvalue()
