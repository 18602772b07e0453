# cause: user-cancelled
import os, signal, threading, time
threading.Timer(0.6, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
for step in range(1000):
    time.sleep(0.1)
    print(f"epoch 0 step {step} loss {1 / (step + 1):.4f}", flush=True)
