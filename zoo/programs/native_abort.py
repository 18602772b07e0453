# cause: native-crash
# launch: shell
import os
print("importing fast_ops", flush=True)
os.abort()
