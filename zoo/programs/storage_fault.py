# cause: storage-fault
import os
descriptor = os.open("/proc/self/mem", os.O_RDONLY)
print("reading shard 12 of /mnt/nfs/train")
os.read(descriptor, 4096)
