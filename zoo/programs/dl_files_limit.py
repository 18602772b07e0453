# cause: dl-too-many-files
import pathlib, resource
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
handles = []
for shard in range(200):
    path = pathlib.Path(f"shard{shard:05}.tar")
    path.touch()
    handles.append(path.open("rb"))
