# cause: native-crash
# launch: shell
import ctypes, faulthandler
faulthandler.enable()
print("step 0 loss 0.71", flush=True)
ctypes.string_at(0)
