# cause: ddp-uneven-inputs
# ranks: 2
import datetime, os, torch, torch.distributed as dist
dist.init_process_group("gloo", timeout=datetime.timedelta(seconds=4))
rank = dist.get_rank()
net = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(4, 1))
opt = torch.optim.SGD(net.parameters(), 0.01)
steps = 6 if rank == 0 else 4
for step in range(steps):
    loss = net(torch.randn(2, 4)).pow(2).mean()
    opt.zero_grad(); loss.backward(); opt.step()
    print(f"[rank {rank}] epoch 0 step {step + 1}/{steps} loss {loss.item():.3f}", flush=True)
print(f"[rank {rank}] epoch 0 done", flush=True)
dist.destroy_process_group()
