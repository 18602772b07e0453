# cause: env-libc
import ctypes
print("loading video decoder")
ctypes.CDLL("libavformat.so.61")
