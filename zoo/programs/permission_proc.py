# cause: permission
import pathlib
pathlib.Path("/sys/kernel/notes").write_bytes(b"x")
