# cause: dl-corrupt-sample
import pathlib, tarfile
pathlib.Path("train-000003.tar").write_bytes(b"not a tar file" * 90)
print("opening train-000003.tar")
tarfile.open("train-000003.tar")
