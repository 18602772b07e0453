# cause: permission
import os
os.makedirs("/sys/kernel/checkpoints")
