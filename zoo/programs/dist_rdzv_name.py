# cause: dist-rdzv-unreachable
import datetime, os, torch.distributed as dist
os.environ.update(MASTER_ADDR="node-0.train.invalid", MASTER_PORT="29500", RANK="1", WORLD_SIZE="2")
dist.init_process_group("gloo", timeout=datetime.timedelta(seconds=3))
