# cause: host-oom
import resource, torch
resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))
print("building the index in memory")
index = torch.zeros(400_000, 20_000)
