# cause: dist-rdzv-unreachable
import datetime, os, socket, torch.distributed as dist
free = socket.socket(); free.bind(("127.0.0.1", 0)); port = free.getsockname()[1]; free.close()
store = dist.TCPStore("127.0.0.1", port, 4, True, timeout=datetime.timedelta(seconds=3))
