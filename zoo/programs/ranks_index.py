# cause: cuda-index-out-of-range
# ranks: 2
# culprit: 1
import datetime, torch, torch.distributed as dist
dist.init_process_group("gloo", timeout=datetime.timedelta(seconds=20))
rank = dist.get_rank()
net = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(4, 3))
for step in range(4):
    label = torch.tensor([3 if (rank, step) == (1, 2) else 1])
    loss = torch.nn.functional.cross_entropy(net(torch.randn(1, 4)), label)
    loss.backward()
    print(f"step {step}: loss={loss.item():.3f}", flush=True)
