# cause: host-oom
import resource, numpy as np
resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
embeddings = np.ones((2_000_000, 768), dtype=np.float32)
