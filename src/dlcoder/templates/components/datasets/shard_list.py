"""The tar files that a split of a dataset consists of, and what is known of them."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

try:
    from webdataset.shardlists import expand_urls
except ImportError as error:
    raise ImportError("WebDataset is needed: pip install webdataset") from error


class ShardList:
    """Shards, for `WebdatasetShards` to read.

    Args:
        pattern: Paths, URLs or commands (`pipe:...`), with `{000..127}` for numbers,
            and `*` in names of files for anything.
        classes: The names of the classes, by label.
        image_size: Height and width that images are read with, in pixels.

    Raises:
        FileNotFoundError: It means no file, or one that is not there.
    """

    def __init__(
        self, pattern: str, *, classes: Sequence[str], image_size: int
    ) -> None:
        self.classes = list(classes)
        self.image_size = image_size
        self.shards: list[str] = []
        for shard in expand_urls(pattern):
            remote = "://" in shard or shard.startswith("pipe:")
            path = Path(shard)
            files = sorted(str(file) for file in path.parent.glob(path.name))
            found = [shard] if remote else files
            if not found:
                raise FileNotFoundError(f"There are no shards {shard}.")
            self.shards.extend(found)

    def fingerprint(self) -> str:
        """A hash over the shards' names, and the sizes of those that are files."""
        digest = hashlib.sha256()
        for shard in self.shards:
            path = Path(shard)
            size = path.stat().st_size if path.is_file() else ""
            digest.update(f"{path.name}\0{size}\0".encode())
        return f"sha256:{digest.hexdigest()}"
