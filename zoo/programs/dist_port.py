# cause: dist-rdzv-port-in-use
import os, socket, torch.distributed as dist
busy = socket.socket(); busy.bind(("127.0.0.1", 0)); busy.listen()
os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(busy.getsockname()[1]), RANK="0", WORLD_SIZE="2")
dist.init_process_group("gloo")
